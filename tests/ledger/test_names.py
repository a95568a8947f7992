"""A renamed site goes on with its rows: one act, whoever is at work, and whatever is wrong is told before anything is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.errors import SettingsError
from bic_lib.core.model import DataType, Item, Outcome, State, Stream, Visit
from bic_lib.core.ports.store import Delete, Put, Row, Store
from bic_lib.engine.verifying import order
from bic_lib.ledger import Ledger, breakdowns
from bic_lib.ledger.history import RunId
from bic_lib.ledger.names import Keys, Names
from bic_lib.ledger.notes import filled, stopped
from bic_lib.ledger.notices import Cause, Lasts, Notices
from bic_lib.ledger.records import ITEMS, Record
from bic_lib.ledger.renamed import Renamed
from bic_lib.ledger.streams import STATE, Rest
from bic_lib.ledger.taking_over import PLACES, Named, at_host, take_over

HOST, OTHER = "one.example.com", "two.example.com"
ITEM = Item("old", DataType.SESSIONS, "a" * 32, start=1_795_000_000)


def called(store: Store, **sites: Named) -> Ledger:
    """The ledger of a process with these sites."""
    return Ledger(store, "host|boot|1|1|x", take_over(store, sites))


def with_destinations(store: Store, **destinations: Named) -> Ledger:
    """The ledger of a process with the site `old` and these destinations, which it notes as the settings' are."""
    ledger = Ledger(store, "host|boot|1|1|x", take_over(store, {"old": Named(HOST)}, destinations))
    for name, named in destinations.items():
        ledger.store.commit(STATE, PLACES, [Put(name, {"directory": named.where})])
    return ledger


def deliver(ledger: Ledger, site: str = "old") -> None:
    """The site has a stream, and has delivered a session."""
    ledger.streams.make_due(Stream(site, DataType.SESSIONS, "archive"), None, 1.0)
    ledger.proof.settle([Record(replace(ITEM, site=site), "archive", Outcome(State.STORED, "a.xml", 1, "00"))])


def delivered(ledger: Ledger) -> list[str]:
    return [record.item.site for record in ledger.proof.records()]


def written(store: Store) -> list[tuple[str, Any]]:
    return [(row.key, row.body) for row in store.scan(STATE, "names")]


class NamesContract:
    """What has to hold wherever the ledger is kept."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError

    def test_all_that_was_known_is_known_under_the_new_name(self, store: Store) -> None:
        """Streams, items and the index; once, whether `was` stays in the settings or goes."""
        deliver(called(store, old=Named(HOST)))
        for sites in ({"new": Named(HOST, "old")}, {"new": Named(HOST, "old")}, {"new": Named(HOST)}):
            ledger = called(store, **sites)
            assert delivered(ledger) == ["new"]
            assert ledger.streams.standing().sites() == ["new"]
            assert [one.site for one in ledger.streams.read("new").streams] == ["new"]
            assert not ledger.streams.read("old").rows
        assert len(written(store)) == 2

    def test_what_people_were_told_is_told_of_the_new_name(self, store: Store) -> None:
        """The cause of a mail goes on, so that none says that it is over; runs, breakdowns and places of verify as well."""
        before = called(store, old=Named(HOST), older=Named(OTHER))
        deliver(before)
        for key in ("failing|site old", "lost|old", "poison|old", "failing|site older", "sealed|1"):
            Notices(before.store).tell(Cause(key, "so", "so", 1.0, Lasts.SEEN))
        breakdowns.note(before.store, Visit("old"))
        before.history.begin(RunId(1_795_000_000, "hourly"), "hourly", ["old|sessions|archive"], seconds=60)
        cursor = {"after": order(next(before.proof.records()))}
        before.store.commit(STATE, "verify", [Put("old|archive|", cursor)])
        after = called(store, new=Named(HOST, "old"), older=Named(OTHER))
        keys = {notice.cause.key for notice in Notices(after.store).read().notices}
        assert keys == {"failing|site new", "lost|new", "poison|new", "failing|site older", "sealed|1"}
        assert (breakdowns.of_a_day(after.store, Visit("new")), breakdowns.of_a_day(after.store, Visit("old"))) == (1, 0)
        [going] = (after.history.going(row) for row in after.history.open())
        assert going.units == {"new|sessions|archive"}
        row = after.store.get(STATE, "verify", "new|archive|")
        assert row
        assert row.body["after"] == order(next(after.proof.records()))

    def test_who_works_under_the_old_name_meanwhile_works_at_the_same_rows(self, store: Store) -> None:
        """A lane that a process with the old settings holds is not free, and what it delivers is known at once."""
        before = called(store, old=Named(HOST))
        lane = before.streams.take_lane("old", before.streams.read("old"), 1)
        assert lane
        after = called(store, new=Named(HOST, "old"))
        assert after.streams.take_lane("new", after.streams.read("new"), 1) is None
        deliver(before)
        assert delivered(after) == ["new"]
        lane[1].renew()
        lane[1].release()
        assert after.streams.take_lane("new", after.streams.read("new"), 1)

    def test_a_chain_of_renames_and_back(self, store: Store) -> None:
        """However often, in which order, and over one that was never used: all stays with it; the first name again, too."""
        deliver(called(store, a=Named(HOST)), "a")
        for name, was in (("b", "a"), ("c", "b"), ("a", "c"), ("b", "a"), ("d", "a"), ("a", "d")):
            assert delivered(called(store, **{name: Named(HOST, was)})) == [name], f"{was} → {name}"

    def test_the_old_name_is_free_for_another_appliance(self, store: Store) -> None:
        """It begins from nothing, and neither knows of the other; both may be renamed again."""
        deliver(called(store, old=Named(HOST)))
        ledger = called(store, new=Named(HOST, "old"))
        ledger = called(store, new=Named(HOST), old=Named(OTHER))
        assert not ledger.streams.read("old").rows
        deliver(ledger, "old")
        assert sorted(delivered(ledger)) == ["new", "old"]
        ledger = called(store, newest=Named(HOST, "new"), second=Named(OTHER, "old"))
        assert sorted(delivered(ledger)) == ["newest", "second"]

    def test_whoever_goes_on_with_the_old_settings_is_told(self, store: Store) -> None:
        """The same appliance under the name that it had: it would be fetched from its beginning."""
        deliver(called(store, old=Named(HOST)))
        called(store, new=Named(HOST, "old"))
        with pytest.raises(SettingsError, match=r"sites\.old: is called new in this ledger") as refused:
            called(store, old=at_host("ONE.example.com:443"))
        assert 'was = "new"' in (refused.value.hint or "")

    def test_what_two_have_delivered_does_not_become_one(self, store: Store) -> None:
        """The new name has delivered itself: nothing is changed."""
        ledger = called(store, old=Named(HOST), new=Named(OTHER))
        deliver(ledger)
        deliver(ledger, "new")
        with pytest.raises(SettingsError, match=r"sites\.new\.was: new has delivered itself"):
            called(store, new=Named(HOST, "old"))
        assert written(store) == []

    def test_a_renamed_one_that_is_a_site_here_is_not_taken(self, store: Store) -> None:
        """What became of the old name is a site of its own."""
        deliver(called(store, old=Named(HOST)))
        called(store, new=Named(HOST, "old"))
        with pytest.raises(SettingsError, match=r'sites\.newest\.was: "old" was renamed to "new"'):
            called(store, new=Named(HOST), newest=Named(OTHER, "old"))

    def test_one_that_the_ledger_never_heard_of_leaves_nothing(self, store: Store) -> None:
        """A name that never ran, or a new ledger: the site begins, and no row tells of it."""
        ledger = called(store, new=Named(HOST, "old"))
        deliver(ledger, "new")
        assert delivered(called(store, new=Named(HOST, "old"))) == ["new"]
        assert written(store) == []

    def test_a_site_that_stopped_under_its_new_name_goes_on(self, store: Store) -> None:
        """Renamed without `was` it had begun and stopped; then `was` is written: of that beginning nothing is left.

        Rows that it loaded meanwhile are known to the old name, or are loaded again. A name that only begins alike is another.
        """
        other = called(store, **{"new-2": Named(OTHER)})
        deliver(other, "new-2")
        deliver(called(store, old=Named(HOST)))
        hasty = called(store, new=Named(HOST))
        hasty.streams.make_due(Stream("new", DataType.SESSIONS, "archive"), None, 1.0)
        hasty.streams.note_place(stopped("new", "archive"), why="so")
        item, row = replace(ITEM, site="new"), Outcome(State.STORED, "session/one.example.com/a", 1, "00")
        hasty.proof.settle([Record(item, "warehouse", row), Record(item, "archive", Outcome(State.FAILED, reason="so"))])
        ledger = called(store, new=Named(HOST, "old"))
        assert (ledger.streams.standing().sites(), delivered(ledger)) == (["new-2", "new"], ["new-2", "new"])
        assert not ledger.streams.places().notes
        assert not [*ledger.troubles.open()]

    def test_nothing_is_taken_over_where_somebody_is_at_work(self, store: Store) -> None:
        """Under the new name, with settings that lack `was`: it is told, and goes once the work is done."""
        deliver(called(store, old=Named(HOST)))
        hasty = called(store, new=Named(HOST))
        lane = hasty.streams.take_lane("new", hasty.streams.read("new"), 1)
        assert lane
        with pytest.raises(SettingsError, match="somebody is at work under the name new"):
            called(store, new=Named(HOST, "old"))
        lane[1].release()
        assert delivered(called(store, new=Named(HOST, "old"))) == ["new"]

    def test_a_destination_takes_over_too(self, store: Store) -> None:
        """Its streams, items, rests and notes, once; back again; and the old name is free for another place."""
        before = with_destinations(store, archive=Named("one"))
        deliver(before)
        before.streams.rest_destination("archive", Rest(until=5.0, failures=1, reason="full"))
        before.streams.note_place(filled("archive"))
        for name, was in (("vault", "archive"), ("shelf", "vault"), ("archive", "shelf"), ("vault", "archive")):
            after = with_destinations(store, **{name: Named("one", was)})
            assert [record.destination for record in after.proof.records()] == [name]
            assert [stream.destination for stream in after.streams.read("old").streams] == [name]
            assert (set(after.streams.rests()), set(after.streams.places().notes)) == ({name}, {filled(name)})
        reused = with_destinations(store, vault=Named("one"), archive=Named("two"))
        assert not reused.proof.latest(ITEM, "archive")
        with pytest.raises(SettingsError, match=r"destinations\.shelf: is called vault in this ledger, at one"):
            with_destinations(store, shelf=Named("one"))

    def test_a_destination_that_has_begun_takes_over_where_it_took_nothing(self, store: Store) -> None:
        """Stopped under its new name it leaves its backups and nothing else; one that took more is told. Nobody may work."""
        deliver(with_destinations(store, archive=Named("one")))
        hasty = with_destinations(store, vault=Named("one"))
        hasty.streams.make_due(Stream("old", DataType.SESSIONS, "vault"), None, 1.0)
        hasty.streams.note_place(stopped("old", "vault"), why="so")
        lane = hasty.streams.take_lane("old", hasty.streams.read("old"), 1)
        assert lane
        with pytest.raises(SettingsError, match="somebody is at work"):
            with_destinations(store, vault=Named("one", "archive"))
        lane[1].release()
        backup = Item("old", DataType.SITE_BACKUPS, "nightly|9", start=ITEM.start)
        hasty.proof.settle([Record(backup, "vault", Outcome(State.STORED, "b.nsb", 1, "00"))])
        hasty.store.commit(ITEMS, "old|backups|vault", [Put("000000000009", {"lsid": backup.lsid})])
        ledger = with_destinations(store, vault=Named("one", "archive"))
        assert [record.outcome.location for record in ledger.proof.records()] == ["a.xml", "b.nsb"]
        assert {record.destination for record in ledger.proof.records()} == {"vault"}
        assert [row.key for row in ledger.store.scan(ITEMS, "old|backups|vault")] == ["000000000009"]
        assert [stream.destination for stream in ledger.streams.read("old").streams] == ["vault"]
        assert not ledger.streams.places().notes
        hasty = with_destinations(store, another=Named("one"))
        hasty.proof.settle([Record(ITEM, "another", Outcome(State.STORED, "b.xml", 1, "00"))])
        with pytest.raises(SettingsError, match=r"destinations\.another\.was: another has taken something itself"):
            with_destinations(store, another=Named("one", "vault"))

    @pytest.mark.parametrize("damaged", ["a", "b", "c"])
    def test_a_row_of_names_that_is_missed_costs_nothing(self, store: Store, damaged: str) -> None:
        """It was damaged and set aside: what it told follows from the others."""
        deliver(called(store, a=Named(HOST)), "a")
        called(store, b=Named(HOST, "a"))
        called(store, c=Named(HOST, "b"))
        store.commit(STATE, "names", [Delete(damaged)])
        assert delivered(called(store, c=Named(HOST, "b"))) == ["c"]
        assert delivered(called(store, c=Named(HOST))) == ["c"]

    def test_many_at_once_agree(self, store: Store) -> None:
        """Hosts that read the new settings in the same moment."""
        deliver(called(store, old=Named(HOST)))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: take_over(store, {"new": Named(HOST, "old")}), range(4)))
        assert {tuple(sorted(one.sites.changed.items())) for one in found} == {(("new", "old"), ("old", "new"))}
        assert delivered(called(store, new=Named(HOST, "old"))) == ["new"]

    def test_killed_before_any_write_it_is_done_by_the_next(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """At each of its writes: what is there then is whole under the one name or the other."""
        before = called(store, old=Named(HOST))
        deliver(before)
        for point in range(4):
            called(store, new=Named(HOST)).streams.make_due(Stream("new", DataType.SESSIONS, "archive"), None, 1.0)
            called(store, new=Named(HOST)).streams.note_place(stopped("new", "archive"), why="so")
            with monkeypatch.context() as patched:
                patched.setattr(store, "commit", _killed_at(point, store.commit))
                try:
                    called(store, new=Named(HOST, "old"))
                except _Killed:
                    assert delivered(called(store, old=Named(HOST))) == ["old"]
                else:
                    break
        assert point == 3
        assert delivered(called(store, new=Named(HOST))) == ["new"]


class _Killed(BaseException):
    """The process ends."""


def _killed_at(point: int, commit: Callable[..., Any]) -> Callable[..., Any]:
    left = point

    def maybe(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Killed
        return commit(*arguments)

    return maybe


class TestNames(NamesContract):
    """In the embedded ledger."""

    @pytest.fixture
    def store(self, store: Store) -> Store:  # the room's own
        return store


NAMES = st.sampled_from(["a", "a-b", "a_", "b", "B", "0", "z"])
BOUNDS = st.one_of(st.just(""), NAMES, st.tuples(NAMES, st.sampled_from(["|", "|2", "|3", "|~"])).map("".join))


class _Rows:
    """A store that only has rows of items."""

    def __init__(self, partitions: set[str]) -> None:
        self._partitions = sorted(partitions)
        self.now = self.gone = self.problems = self.room = self.close = lambda *_: None

    def everything(self, table: str, first: str = "", last: str = "") -> list[Row]:
        assert table == ITEMS
        found = [one for one in self._partitions if first <= one and (not last or one < last)]
        return [Row(one, "k", {}, "1", 0.0) for one in found]


@given(
    st.sets(st.tuples(NAMES, st.sampled_from(["2", "3"])).map("|".join)),
    st.permutations(["a", "a-b", "a_", "b", "B", "0", "z"]),
    BOUNDS,
    BOUNDS,
)
def test_items_come_in_the_order_of_their_present_names(partitions: set[str], keys: list[str], first: str, last: str) -> None:
    """Whatever is called how, between any bounds: as if the rows had these names; cursors keep places in that order."""
    named = {name: key for name, key in zip(sorted(keys), keys, strict=True) if name != key}
    store: Any = _Rows(partitions)
    keys_of = Keys(named)
    found = [row.partition for row in Renamed(store, Names(keys_of)).everything(ITEMS, first, last)]
    present = sorted(f"{keys_of.name(one.partition('|')[0])}|{one.partition('|')[2]}" for one in partitions)
    assert found == [one for one in present if first <= one and (not last or one < last)]


SELDOM = [
    ("runs", "days", "2026-11-01|old", {"streams": {"sessions>archive": [1, 0, 9]}}),
    ("runs", "seen|old", "lost|sessions|aa||archive|00", {"destination": "archive"}),
    ("runs", "notices", "failing|destination archive", {"cause": {"key": "failing|destination archive"}, "left": ["mail"]}),
    ("seals", "stated|old", "2026-11-01|support", {"sha256": "00"}),
    ("seals", "listing|old", "2026-11-01|support", {"listed": 1}),
    ("state", "schedules", "hourly", {"loads": {"archive": 1.0}}),
    ("state", "site|old", "step|backfill|support|0|9|archive", {"body": {"destinations": ["archive"]}}),
    ("state", "site|old", "step|download|support|1", {"body": {"streams": [["sessions", "archive"]]}}),
    ("state", "site|old", "due|1|step|probe|archive", {"site": "old", "home": ["state", "site|old", "step|probe|archive"]}),
    ("due", "old|backlog", "due|1|step|repair|sessions|aa||archive", {"home": ["items", "old|2026-11-01", "step|sessions|aa|"]}),
    ("state", "files", "archive", {"after": "old|2026-11-01"}),
    ("state", "verify", "today", {"left": {"archive": 3}}),
    ("state", "ledger", "form", {"indexed_to": "old|2026-11-01"}),
]
"""Rows that few lives have, with their names as they were."""


def test_rows_that_few_lives_have_are_called_otherwise_too(store: Store) -> None:
    """Read under the new names each is what it would be if it had been written so; and so it is written."""
    keys = Keys({"new": "old", "old": "new"}), Keys({"vault": "archive", "archive": "vault"})
    renamed = Renamed(store, Names(*keys))
    for table, partition, key, body in SELDOM:
        told = json.dumps([partition, key, body]).replace("old", "new").replace("archive", "vault")
        place, name, content = json.loads(told)
        renamed.commit(table, place, [Put(name, content)])
        row, read = store.get(table, partition, key), renamed.get(table, place, name)
        assert (row and row.body, read and read.body) == (body, content), told
        assert [one.key for one in renamed.scan(table, place)].count(name) == 1
