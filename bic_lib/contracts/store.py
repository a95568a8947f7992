"""What every Store means by its methods (bic_lib.core.ports.store.Store): no more than Azure Tables can do.

An adapter's test module inherits :class:`StoreContract` and overrides the fixture `store` with an empty store.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from bic_lib.core.errors import Conflict
from bic_lib.core.ports.store import BATCH, Change, Delete, Insert, Put, Replace, Row, Store

ODD = ["a/b", "a\\b", "a#b", "a?b", "a%2Fb", "a\x01\x1fb", "a\0b", " ", "Müller", "東京", "🎥", "A", "a|b", "a\nb", "'; --"]


def keys(rows: Any) -> list[str]:
    return [row.key for row in rows]


def there(store: Store, key: str) -> Row:
    row = store.get("t", "p", key)
    assert row is not None
    return row


class StoreContract:
    """Inherited by the test class of each adapter."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store; the adapter's test class gives its own."""
        raise NotImplementedError

    def test_what_is_written_can_be_read(self, store: Store) -> None:
        """A body comes back as it was, with the version that commit told and the ledger's clock."""
        body = {
            "n": 1,
            "f": 0.1,
            "big": 2**62,
            "yes": True,
            "none": None,
            "list": [1, ["x"]],
            "text": "Müller 🎥 \0\u2028",
            "o": {"": ""},
        }
        before = store.now()
        [version] = store.commit("t", "p", [Insert("k", body)])
        row = there(store, "k")
        assert row.body == body
        assert row.version == version
        assert (row.partition, row.key) == ("p", "k")
        assert before - 1 <= row.written <= store.now() + 1

    def test_what_is_not_there_is_none(self, store: Store) -> None:
        """No row, no table yet: None and an empty scan."""
        assert store.get("t", "p", "k") is None
        assert list(store.scan("t", "p")) == []

    def test_everything_of_a_table_is_read_partition_by_partition(self, store: Store) -> None:
        """All rows of one table and of no other, in key order, also where they are more than one answer takes."""
        for partition in ("b", "a", "a|x"):
            for first in range(0, 600, BATCH):
                store.commit("t", partition, [Insert(f"{number:03}", {"n": number}) for number in range(first, first + BATCH)])
        store.commit("other", "a", [Insert("k", {})])
        found = [(row.partition, row.key) for row in store.everything("t")]
        assert found == [(partition, f"{number:03}") for partition in ("a", "a|x", "b") for number in range(600)]
        assert list(store.everything("nothing")) == []
        assert {row.partition for row in store.everything("t", "a|", "b")} == {"a|x"}
        assert {row.partition for row in store.everything("t", "a", "b")} == {"a", "a|x"}
        assert {row.partition for row in store.everything("t", "a|")} == {"a|x", "b"}
        assert {row.partition for row in store.everything("t", last="a|")} == {"a"}

    def test_an_insert_is_refused_when_the_key_is_there(self, store: Store) -> None:
        """Insert never writes over a row."""
        store.commit("t", "p", [Insert("k", {"n": 1})])
        with pytest.raises(Conflict):
            store.commit("t", "p", [Insert("k", {"n": 2})])
        assert there(store, "k").body == {"n": 1}

    def test_a_replace_needs_the_version_that_is_there(self, store: Store) -> None:
        """Replace writes over exactly the version it names, no older one and no missing row."""
        [first] = store.commit("t", "p", [Insert("k", {"n": 1})])
        [second] = store.commit("t", "p", [Replace("k", {"n": 2}, first)])
        with pytest.raises(Conflict):
            store.commit("t", "p", [Replace("k", {"n": 3}, first)])
        with pytest.raises(Conflict):
            store.commit("t", "p", [Replace("missing", {"n": 3}, second)])
        assert there(store, "k").body == {"n": 2}

    def test_every_write_changes_the_version(self, store: Store) -> None:
        """Also the same body again, and a row deleted and inserted again."""
        [first] = store.commit("t", "p", [Put("k", {})])
        [second] = store.commit("t", "p", [Put("k", {})])
        store.commit("t", "p", [Delete("k")])
        [third] = store.commit("t", "p", [Insert("k", {})])
        assert len({first, second, third}) == 3
        with pytest.raises(Conflict):
            store.commit("t", "p", [Replace("k", {"late": True}, first)])

    def test_a_put_needs_nothing(self, store: Store) -> None:
        """Put writes whether a row is there or not."""
        store.commit("t", "p", [Put("k", {"n": 1})])
        store.commit("t", "p", [Put("k", {"n": 2})])
        assert there(store, "k").body == {"n": 2}

    def test_deletes(self, store: Store) -> None:
        """With a version only that one goes; without, whatever is there, also nothing."""
        [version] = store.commit("t", "p", [Insert("k", {})])
        [newer] = store.commit("t", "p", [Put("k", {})])
        with pytest.raises(Conflict):
            store.commit("t", "p", [Delete("k", version)])
        assert store.commit("t", "p", [Delete("k", newer)]) == [""]
        with pytest.raises(Conflict):
            store.commit("t", "p", [Delete("k", newer)])
        assert store.commit("t", "p", [Delete("k")]) == [""]
        assert store.get("t", "p", "k") is None

    def test_a_conflict_leaves_nothing(self, store: Store) -> None:
        """All or nothing: one condition that does not hold undoes the whole commit, whatever its place."""
        [version] = store.commit("t", "p", [Insert("there", {"n": 1})])
        refused: list[Change] = [Insert("there", {}), Replace("there", {}, "other"), Delete("there", "other")]
        harmless: list[Change] = [Insert("a", {}), Put("b", {})]
        for change in refused:
            with pytest.raises(Conflict):
                store.commit("t", "p", [*harmless, change])
            with pytest.raises(Conflict):
                store.commit("t", "p", [change, *harmless])
        assert keys(store.scan("t", "p")) == ["there"]
        assert there(store, "there").version == version

    def test_a_full_batch(self, store: Store) -> None:
        """A commit takes as many rows as the port says, and tells the version of each in order."""
        versions = store.commit("t", "p", [Insert(f"{n:03}", {"n": n}) for n in range(BATCH)])
        assert [row.version for row in store.scan("t", "p")] == versions
        mixed: list[Change] = [Delete("000"), Replace("001", {"n": -1}, versions[1]), Put("002", {"n": -2}), Insert("new", {})]
        assert [bool(version) for version in store.commit("t", "p", mixed)] == [False, True, True, True]
        assert [row.body.get("n") for row in store.scan("t", "p", limit=2)] == [-1, -2]

    def test_what_is_committed_together_is_there_in_the_end(self, store: Store) -> None:
        """Commits of several tables and partitions may be one act: each tells its versions, and a later one sees the earlier."""
        with store.together():
            [first] = store.commit("t", "p", [Insert("a", {"n": 1})])
            store.commit("other", "q", [Put("b", {})])
            [second] = store.commit("t", "p", [Replace("a", {"n": 2}, first)])
        assert (there(store, "a").version, there(store, "a").body) == (second, {"n": 2})
        assert keys(store.scan("other", "q")) == ["b"]

    def test_a_conflict_leaves_what_is_committed_together(self, store: Store) -> None:
        """A commit that is refused has written nothing; those before and after it have."""
        with store.together():
            store.commit("t", "p", [Put("before", {})])
            with pytest.raises(Conflict):
                store.commit("t", "p", [Put("within", {}), Replace("missing", {}, "1")])
            store.commit("t", "p", [Put("behind", {})])
        assert keys(store.scan("t", "p")) == ["before", "behind"]

    def test_what_ends_early_together_was_written_in_order(self, store: Store) -> None:
        """However a block ends: no commit stays without those before it, and the next one goes on as ever."""
        with suppress(ZeroDivisionError), store.together():
            store.commit("t", "p", [Put("1", {})])
            store.commit("t", "p", [Put("2", {})])
            raise ZeroDivisionError
        assert keys(store.scan("t", "p")) in ([], ["1", "2"])
        store.commit("t", "p", [Put("3", {})])
        assert keys(store.scan("t", "p"))[-1] == "3"

    def test_an_empty_commit_does_nothing(self, store: Store) -> None:
        """No changes, no versions."""
        assert store.commit("t", "p", []) == []

    @pytest.mark.parametrize(
        "changes",
        [
            [Put(str(n), {}) for n in range(BATCH + 1)],
            [Put("k", {}), Delete("k")],
            [Put("k" * 401, {})],
            [Put("k", {"text": "x" * 60_000})],
            [Put("k", {"n": float("nan")})],
        ],
        ids=["rows", "twice", "key", "body", "nan"],
    )
    def test_more_than_the_port_allows_is_a_bug(self, store: Store, changes: list[Change]) -> None:
        """What some ledger could not take, none takes; nothing is written."""
        with pytest.raises(ValueError, match=r"."):
            store.commit("t", "p", changes)
        assert list(store.scan("t", "p")) == []

    def test_the_largest_row(self, store: Store) -> None:
        """Keys of 400 characters and bodies just below 60 KB are taken."""
        store.commit("t", "p" * 400, [Insert("k" * 400, {"text": "x" * 59_900})])
        row = store.get("t", "p" * 400, "k" * 400)
        assert row is not None
        assert len(row.body["text"]) == 59_900

    def test_keys_order_by_code_point(self, store: Store) -> None:
        """Upper case before lower, prefixes first, and characters beyond the basic plane last."""
        wanted = sorted(["a", "B", "aa", "a|", "a!", "ä", "Z", "1", "10", "2", "\uffee", "🎥", "~"])
        store.commit("t", "p", [Insert(key, {}) for key in reversed(wanted)])
        assert keys(store.scan("t", "p")) == wanted

    def test_a_scan_has_bounds_and_a_limit(self, store: Store) -> None:
        """first ≤ key < last, at most `limit`."""
        store.commit("t", "p", [Insert(key, {}) for key in "abcdef"])
        assert keys(store.scan("t", "p", "b", "e")) == ["b", "c", "d"]
        assert keys(store.scan("t", "p", "bb")) == ["c", "d", "e", "f"]
        assert keys(store.scan("t", "p", last="c")) == ["a", "b"]
        assert keys(store.scan("t", "p", "b", limit=2)) == ["b", "c"]
        assert keys(store.scan("t", "p", "b", "c", limit=9)) == ["b"]
        assert keys(store.scan("t", "p", "x")) == []

    def test_a_long_scan_is_whole(self, store: Store) -> None:
        """More rows than a store reads at once come complete and in order, with limits beyond a page as well."""
        wanted = [f"{n:05}" for n in range(1_300)]
        for begin in range(0, 1_300, BATCH):
            store.commit("t", "p", [Insert(key, {}) for key in wanted[begin : begin + BATCH]])
        assert keys(store.scan("t", "p")) == wanted
        assert keys(store.scan("t", "p", limit=1_000)) == wanted[:1_000]
        assert keys(store.scan("t", "p", limit=1_001)) == wanted[:1_001]

    def test_rows_may_change_while_they_are_scanned(self, store: Store) -> None:
        """A loop over a scan may write and delete the rows it reads."""
        store.commit("t", "p", [Insert(f"{n}", {}) for n in range(9)])
        for row in store.scan("t", "p"):
            store.commit("t", "p", [Delete(row.key, row.version)])
        assert list(store.scan("t", "p")) == []

    def test_tables_and_partitions_are_apart(self, store: Store) -> None:
        """The same key in another table or partition is another row."""
        for table, partition in (("t", "p"), ("t", "q"), ("u", "p")):
            store.commit(table, partition, [Insert("k", {"where": [table, partition]})])
        assert [row.body["where"] for row in store.scan("t", "q")] == [["t", "q"]]
        store.commit("t", "p", [Delete("k")])
        assert store.get("u", "p", "k") is not None

    def test_odd_keys_are_taken_as_they_are(self, store: Store) -> None:
        """Slashes, control characters, quotes, any language: keys and partitions come back unchanged."""
        store.commit("t", "p", [Insert(key, {"key": key}) for key in ODD])
        assert keys(store.scan("t", "p")) == sorted(ODD)
        for key in ODD:
            assert there(store, key).body == {"key": key}
            store.commit("t", key, [Insert("k", {})])
            assert [row.partition for row in store.scan("t", key)] == [key]

    def test_concurrent_increments_lose_nothing(self, store: Store) -> None:
        """Threads that read, add one and replace, again after each conflict, count every one."""
        store.commit("t", "p", [Insert("k", {"n": 0})])
        start = threading.Barrier(4)

        def increment(times: int) -> None:
            start.wait()
            while times:
                row = there(store, "k")
                try:
                    store.commit("t", "p", [Replace("k", {"n": row.body["n"] + 1}, row.version)])
                except Conflict:
                    continue
                times -= 1

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(increment, [25] * 4))
        assert there(store, "k").body == {"n": 100}

    def test_of_many_inserts_one_wins(self, store: Store) -> None:
        """Threads that claim the same key: exactly one succeeds."""
        start = threading.Barrier(8)

        def insert(n: int) -> bool:
            start.wait()
            try:
                store.commit("t", "p", [Insert("k", {"n": n})])
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(insert, range(8)))
        assert won.count(True) == 1
        assert there(store, "k").body == {"n": won.index(True)}

    def test_an_unknown_holder_is_not_known_to_be_gone(self, store: Store) -> None:
        """Only a process that has ended for certain frees its lease before time."""
        assert not store.gone("")
        assert not store.gone("other-host|boot|1|1|x")
