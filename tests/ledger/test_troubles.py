"""Troubles: what is wrong is listed once, the worst first, until it is over or somebody has seen it (bic_lib.ledger.troubles)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bic_lib.core.health import Severity
from bic_lib.core.model import DataType, Item, Outcome, State
from bic_lib.core.ports.store import Store
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import Record
from bic_lib.ledger.troubles import Trouble, Troubles
from tests.ledger.conftest import NOW, Clock


def failed(state: State = State.FAILED, lsid: str = "a", site: str = "s", **more: object) -> Record:
    """A recording's transfer that went wrong at its first try."""
    item = Item(site, DataType.SESSION_RECORDINGS, lsid, start=int(NOW), end=int(NOW) + 60)
    record = Record(item, "archive", Outcome(state, reason="why"), attempts=1, first_failed=NOW, last_failed=NOW)
    return replace(record, **more)  # type: ignore[arg-type]  # by name


def doubtful(lsid: str, doubt: str = "89504e47") -> Record:
    record = failed(State.STORED, lsid, first_failed=None, attempts=0)
    return replace(record, outcome=Outcome(State.STORED, f"{lsid}.bin", 3, "aa", reason="a PNG?", doubt=doubt))


def listed(ledger: Ledger) -> list[tuple[str, str]]:
    return [(str(one.severity), one.lsid) for one in ledger.troubles.open()]


def test_one_range_tells_those_of_all_sites_the_worst_first(ledger: Ledger) -> None:
    """Within a site: lost before what fails; whatever else the table holds is none."""
    ledger.history.unit_done("100-x", "a", 1.0)
    ledger.proof.settle([failed(lsid="f"), failed(State.LOST, "l"), failed(State.NONE, "n"), failed(site="t", lsid="other")])
    assert sorted(listed(ledger)) == [("failing", "f"), ("failing", "other"), ("lost", "l"), ("note", "n")]
    assert [one.lsid for one in ledger.troubles.open("s", Severity.LOST)] == ["l"]
    assert [one.site for one in ledger.troubles.open("t")] == ["t"]


@pytest.mark.parametrize("end", [State.STORED, State.MENDED, State.REPLACED, State.PURGED])
def test_a_trouble_moves_with_its_item_and_ends_with_it(ledger: Ledger, end: State) -> None:
    """Failing, then lost: one trouble under one id; delivered after all, or purged: none."""
    [record] = ledger.proof.settle([failed()])
    [before] = ledger.troubles.open()
    [record] = ledger.proof.settle([replace(record, outcome=Outcome(State.LOST, reason="forgotten"), attempts=2)])
    [after] = ledger.troubles.open()
    assert (before.severity, after.severity) == (Severity.FAILING, Severity.LOST)
    assert before.id == after.id
    ledger.proof.settle([replace(record, outcome=Outcome(end, "f", 1, "aa"))])
    assert listed(ledger) == []


def test_what_a_lost_worker_listed_but_did_not_write_is_taken_off(ledger: Ledger) -> None:
    """The transfer's row knows nothing of it: whoever is unsure looks under every severity."""
    ledger.troubles.follow([failed(State.LOST)])
    stored = replace(failed(State.STORED, first_failed=None, attempts=0), outcome=Outcome(State.STORED, "f", 1, "aa"))
    ledger.troubles.follow([stored], unsure=True)
    assert listed(ledger) == []


def test_what_is_acknowledged_leaves_the_list_and_stays_known(ledger: Ledger) -> None:
    """With who saw it, and when; the same loss written again by a repeated step is a new one."""
    ledger.proof.settle([failed(State.LOST)])
    [lost] = ledger.troubles.open()
    assert ledger.troubles.acknowledge(lost, "ann", NOW + 5)
    assert listed(ledger) == []
    [seen] = ledger.troubles.seen()
    assert (seen.id, seen.seen_by, seen.seen_at, seen.state) == (lost.id, "ann", NOW + 5, "lost")


def test_what_changed_since_it_was_read_is_not_acknowledged(ledger: Ledger) -> None:
    """Seen is what was shown; what was added since is new."""
    stretch = Trouble(Severity.LOST, "s", "sessions", "archive", "lost", kind="stream", start=0, end=3600)
    ledger.troubles.note([stretch])
    [shown] = ledger.troubles.open()
    ledger.troubles.note([replace(stretch, end=7200)])
    assert not ledger.troubles.acknowledge(shown, "ann", NOW)
    [still] = ledger.troubles.open()
    assert still.end == 7200
    assert list(ledger.troubles.seen()) == []


def test_an_acknowledged_kind_of_doubt_holds_for_later_ones(ledger: Ledger) -> None:
    """Same site, data type and first 16 bytes; anything else is doubted anew, and its record says so."""
    ledger.proof.settle([doubtful("a")])
    [trouble] = ledger.troubles.open()
    assert (trouble.state, trouble.severity, trouble.doubt) == ("doubtful", Severity.DOUBTFUL, "89504e47")
    assert not ledger.troubles.acknowledged("s", DataType.SESSION_RECORDINGS, "89504e47")
    ledger.troubles.acknowledge(trouble, "ann", NOW)
    [known] = ledger.proof.settle([doubtful("b")])
    [other] = ledger.proof.settle([doubtful("c", "25504446")])
    assert (known.outcome.doubt, other.outcome.doubt) == ("", "25504446")
    assert listed(ledger) == [("doubtful", "c")]
    assert ledger.troubles.acknowledged("s", DataType.SESSION_RECORDINGS, "89504e47")
    assert not ledger.troubles.acknowledged("t", DataType.SESSION_RECORDINGS, "89504e47")
    assert not ledger.troubles.acknowledged("s", DataType.SESSIONS, "89504e47")
    assert not ledger.troubles.acknowledged("s", DataType.SESSION_RECORDINGS, "")


def test_findings_of_one_item_at_several_places_are_several(ledger: Ledger) -> None:
    """Two versions of a session may both be altered; each is over by itself."""
    finding = Trouble(Severity.UNPROVEN, "s", "sessions", "archive", "altered", "a", place="a.xml", found={"sha256": "bb"})
    ledger.troubles.note([finding, replace(finding, place="a.1.xml")])
    assert [one.found for one in ledger.troubles.open("s", Severity.UNPROVEN)] == [{"sha256": "bb"}] * 2
    ledger.troubles.clear([finding])
    assert [one.place for one in ledger.troubles.open("s")] == ["a.1.xml"]


def test_any_id_is_one_part_of_a_key(ledger: Ledger) -> None:
    """What an appliance sends as an id reaches into no other part, and comes back as it was."""
    odd = ["a|b", "a~", "%7C", "ä" * 300, "a\\/#?"]
    ledger.proof.settle([failed(lsid=lsid) for lsid in odd])
    assert {one.lsid for one in ledger.troubles.open()} == set(odd)
    assert {one.lsid for one in ledger.troubles.open("s", Severity.FAILING)} == set(odd)


def test_the_list_costs_what_is_open(store: Store, clock: Clock) -> None:
    """A year of acknowledged losses is not read by whoever asks what is wrong now."""
    troubles = Troubles(store)
    troubles.note(Trouble(Severity.LOST, "s", "sessions", "archive", "lost", f"{n:05d}") for n in range(250))
    for one in list(troubles.open()):
        troubles.acknowledge(one, "ann", clock.now)
    troubles.note([Trouble(Severity.LOST, "s", "sessions", "archive", "lost", "new")])
    assert [one.lsid for one in troubles.open()] == ["new"]
    assert sum(1 for _ in troubles.seen()) == 250
