"""What every FileStore means by its methods (bic_lib.core.ports.files.FileStore).

An adapter's test module inherits :class:`FileStoreContract` and overrides the fixture `place` with an empty place.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bic_lib.contracts.place import AGAIN, OTHER, TRANSFER, VIDEO, Place, held, killed, publish, staged, stamp
from bic_lib.core import naming
from bic_lib.core.errors import Unsupported
from bic_lib.core.ports.files import FileStore, Found, Recovered, SmallFile


class FileStoreContract:
    """Inherited by the test class of each adapter."""

    @pytest.fixture
    def place(self) -> Place:
        """An empty place; the adapter's test class gives its own."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, place: Place) -> Iterator[FileStore]:
        """A store at that place."""
        store = place.open()
        yield store
        if close := getattr(store, "close", None):
            close()

    @pytest.fixture
    def another(self, place: Place) -> Iterator[FileStore]:
        """The store of another process at the same place."""
        store = place.open()
        yield store
        if close := getattr(store, "close", None):
            close()

    def test_what_is_put_can_be_read(self, store: FileStore) -> None:
        """A put file is there whole, with its size, under its name, in its folder's listing."""
        content = b"\x00\xff<session/>" * 300_000
        assert store.put("2025/06/a.xml", content, replace=False)
        assert b"".join(store.read("2025/06/a.xml")) == content
        found = store.look("2025/06/a.xml")
        assert found is not None
        assert found.size == len(content)
        assert store.names("2025/06") == {"a.xml"}

    @pytest.mark.parametrize("begin", [0, 1, 5_000_000, 5_999_999])
    def test_a_file_is_read_from_within(self, store: FileStore, begin: int) -> None:
        """From any byte on, to its end."""
        content = bytes(range(250)) * 24_000
        assert store.put("long", content, replace=False)
        assert b"".join(store.read_from("long", begin)) == content[begin:]

    def test_an_empty_file_is_a_file(self, store: FileStore) -> None:
        """Zero bytes are stored and found too."""
        assert store.put("empty", b"", replace=False)
        assert b"".join(store.read("empty")) == b""
        found = store.look("empty")
        assert found is not None
        assert found.size == 0

    def test_a_taken_name_is_never_written_over(self, store: FileStore) -> None:
        """Without replace, put refuses a taken name and leaves what is there."""
        assert store.put("a.xml", b"first", replace=False)
        assert not store.put("a.xml", b"second", replace=False)
        assert b"".join(store.read("a.xml")) == b"first"
        assert store.names("") == {"a.xml"}

    def test_replace_puts_the_new_content(self, store: FileStore) -> None:
        """With replace, the name holds the new content, whether it was taken or free."""
        assert store.put("a.xml", b"a longer first", replace=True)
        assert store.put("a.xml", b"second", replace=True)
        assert b"".join(store.read("a.xml")) == b"second"
        assert store.names("") == {"a.xml"}

    def test_many_are_put_as_if_one_by_one(self, store: FileStore) -> None:
        """In their order: a taken name stays as it is, and of two files of one name the first has it."""
        assert store.put("taken.xml", b"first", replace=False)
        names = ["a/1.xml", "taken.xml", "a/2.xml", "a/1.xml", "taken.xml"]
        files = [SmallFile(name, b"%d" % number, replace=number == 4) for number, name in enumerate(names)]
        asked: list[None] = []
        assert list(store.put_all(files, lambda: asked.append(None))) == [True, False, True, False, True]
        assert [held(store, name) for name in ("a/1.xml", "a/2.xml", "taken.xml")] == [b"0", b"2", b"4"]
        assert store.names("a") == {"1.xml", "2.xml"}
        assert len(asked) >= 3

    def test_of_many_writers_one_gets_the_name(self, store: FileStore) -> None:
        """Writers that race for a name: one succeeds, the others learn that it is taken, nothing is mixed."""
        start = threading.Barrier(8)

        def write(n: int) -> bool:
            start.wait()
            return store.put("race/a.xml", b"%d" % n * 5000, replace=False)

        with ThreadPoolExecutor(8) as pool:
            won = [n for n, published in enumerate(pool.map(write, range(8))) if published]
        assert len(won) == 1
        assert b"".join(store.read("race/a.xml")) == b"%d" % won[0] * 5000
        assert store.names("race") == {"a.xml"}

    def test_names_lists_one_folder(self, store: FileStore) -> None:
        """A listing holds the files of exactly that folder, not its folders and not what lies deeper."""
        for location in ("top.xml", "a/one.xml", "a/two.xml", "a/b/deep.xml", "ab/other.xml"):
            store.put(location, b"x", replace=False)
        assert store.names("a") == {"one.xml", "two.xml"}
        assert store.names("") == {"top.xml"}

    def test_the_next_number_of_a_taken_name(self, store: FileStore) -> None:
        """What a listing of a folder shows is what numbers are counted by, and the number that it proposes is free."""
        for expected in ("2025/06/a.xml", "2025/06/a.1.xml", "2025/06/a.2.xml"):
            location = next(naming.candidates("2025/06/a.xml", store.names("2025/06")))
            assert location == expected
            assert store.put(location, expected.encode(), replace=False)
        assert held(store, "2025/06/a.1.xml") == b"2025/06/a.1.xml"

    def test_what_is_not_there(self, store: FileStore) -> None:
        """A missing folder is empty, a missing file is None, reading it raises, removing it does nothing."""
        assert store.names("no/such/folder") == frozenset()
        assert store.look("no/such/folder/a.xml") is None
        with pytest.raises(FileNotFoundError):
            next(iter(store.read("a.xml")))
        store.remove("no/such/folder/a.xml")

    def test_a_removed_file_is_gone(self, store: FileStore) -> None:
        """Removing frees the name and touches no other file."""
        store.put("a/x.xml", b"x", replace=False)
        store.put("a/y.xml", b"y", replace=False)
        store.remove("a/x.xml")
        assert store.look("a/x.xml") is None
        assert store.names("a") == {"y.xml"}
        assert store.put("a/x.xml", b"again", replace=False)

    @pytest.mark.parametrize(
        "name", ["Müller – 東京 🎥.xml", "a b.xml", "(x), y=z@w.xml", "x" * 236 + ".xml", ".hidden", "no-period"]
    )
    def test_every_safe_name_can_be_stored(self, store: FileStore, name: str) -> None:
        """What bic_lib.core.naming calls safe, the store takes as it is."""
        assert store.put(f"{name}.d/{name[-200:]}", b"x", replace=False)
        assert store.names(f"{name}.d") == {name[-200:]}
        found = store.look(f"{name}.d/{name[-200:]}")
        assert isinstance(found, Found)

    def test_checks_of_a_healthy_store_are_well(self, store: FileStore) -> None:
        """The preflight succeeds and leaves nothing behind."""
        assert all(check.ok for check in store.checks())
        assert store.names("") == frozenset()

    # --- what is there ---

    def test_pages_show_all_that_lies_below(self, store: FileStore) -> None:
        """Each file at any depth with its size and a time, once; of one folder only what lies below it; nothing of ours."""
        began = time.time()
        sizes = {"top.xml": 1, "a/one.xml": 0, "a/b/deep.xml": 70_000, "ab/other.xml": 3}
        for location, size in sizes.items():
            store.put(location, b"x" * size, replace=False)
        unfinished = store.stage("a/v.mp4", TRANSFER, 1)
        found = [entry for page in store.pages() for entry in page]
        assert {entry.location: entry.size for entry in found} == sizes
        assert len(found) == len(sizes)
        assert all(abs(entry.modified - began) < 120 for entry in found)
        assert {entry.location for page in store.pages("a") for entry in page} == {"a/one.xml", "a/b/deep.xml"}
        assert list(store.pages("no/such/folder")) == []
        unfinished.discard()

    def test_what_is_unfinished_is_left_once_nobody_can_be_at_it(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A staging in the making is nobody's after a day; a finished file never is. Blocks of a blob are no file."""
        store.put("a/x.xml", b"x", replace=False)
        unfinished = store.stage("a/v.mp4", TRANSFER, 1)
        unfinished.write(b"x")
        assert list(store.leftovers()) == []
        monkeypatch.setattr("bic_lib.destinations.temporary.STALE_SECONDS", -86_400)
        left = [entry.location for entry in store.leftovers()]
        assert [location.rpartition("/")[0] for location in left] == ["a"] * store.movable
        assert "a/x.xml" not in left
        unfinished.discard()

    def test_only_what_is_finished_makes_it_not_empty(self, store: FileStore) -> None:
        """A place without files is empty, whatever is on its way there; one file at any depth is something."""
        assert store.is_empty()
        unfinished = store.stage("a/v.mp4", TRANSFER, 1)
        unfinished.write(b"x")
        assert store.is_empty()
        unfinished.discard()
        store.put("a/b/deep.xml", b"x", replace=False)
        assert not store.is_empty()
        store.remove("a/b/deep.xml")
        assert store.is_empty()

    def test_a_page_is_not_longer_than_a_page(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long listing comes in pieces, so that nobody has to hold it whole."""
        monkeypatch.setattr("bic_lib.destinations.listing.PAGE", 2)
        for n in range(5):
            store.put(f"{n % 2}/{n}.xml", b"x", replace=False)
        pages = list(store.pages())
        assert [len(page) for page in pages] == [2, 2, 1]
        assert sorted(entry.location for page in pages for entry in page) == [
            "0/0.xml",
            "0/2.xml",
            "0/4.xml",
            "1/1.xml",
            "1/3.xml",
        ]

    def test_a_file_is_renamed_or_stays(self, store: FileStore) -> None:
        """A rename gives the file another name and never takes one; where a kind can't it says so, and all is as it was."""
        store.put("a/x.xml", b"x", replace=False)
        store.put("a/taken.xml", b"taken", replace=False)
        try:
            assert not store.rename("a/x.xml", "a/taken.xml")
            assert store.rename("a/x.xml", "a/x.xml.altered-0123abcd")
            name = "x.xml.altered-0123abcd"
            with pytest.raises(FileNotFoundError):
                store.rename("a/x.xml", "a/y.xml")
        except Unsupported:
            name = "x.xml"
        assert store.names("a") == {"taken.xml", name}
        assert held(store, f"a/{name}") == b"x"
        assert held(store, "a/taken.xml") == b"taken"

    def test_free_space_is_told_or_not(self, store: FileStore) -> None:
        """A number of bytes, or that this kind tells none."""
        store.put("a.xml", b"x", replace=False)
        with contextlib.suppress(Unsupported):
            assert store.free_bytes() > 0

    # --- large files ---

    def test_a_staged_file_appears_when_it_is_published(self, store: FileStore) -> None:
        """Nothing is seen before publishing, and then the whole file, whatever the lengths of the blocks."""
        staging = store.stage("2025/06/v.mp4", TRANSFER, 1)
        sizes = [0, 1, 65_536, 3_000_000, 1_048_576, 7, 10_000_000]
        for offset, size in zip([sum(sizes[:n]) for n in range(len(sizes))], sizes, strict=True):
            staging.write(VIDEO[offset : offset + size])
        assert store.look("2025/06/v.mp4") is None
        token = staging.finish()
        assert (store.look("2025/06/v.mp4"), store.names("2025/06")) == (None, frozenset())
        content = VIDEO[: sum(sizes)]
        assert store.publish(token, "2025/06/v.mp4", stamp(content), replace=False)
        assert held(store, "2025/06/v.mp4") == content
        assert store.names("2025/06") == {"v.mp4"}
        found = store.look("2025/06/v.mp4")
        assert found is not None
        assert found.size == len(content)
        assert found.sha256 in ("", stamp(content).sha256)
        assert found.owner in ("", stamp(content).owner)

    def test_an_empty_file_can_be_staged(self, store: FileStore) -> None:
        """A file of no bytes is a file."""
        token = store.stage("v.mp4", TRANSFER, 1).finish()
        assert store.publish(token, "v.mp4", stamp(b""), replace=False)
        assert held(store, "v.mp4") == b""

    def test_a_discarded_file_leaves_nothing(self, store: FileStore) -> None:
        """What is discarded is not seen, and the same worker can begin again."""
        staging = store.stage("a/v.mp4", TRANSFER, 1)
        staging.write(VIDEO)
        staging.discard()
        assert store.names("a") == frozenset()
        token = staged(store, "a/v.mp4", AGAIN)
        assert store.publish(token, "a/v.mp4", stamp(AGAIN), replace=False)
        assert held(store, "a/v.mp4") == AGAIN

    def test_another_process_can_publish(self, store: FileStore, another: FileStore) -> None:
        """The token is all that a successor needs."""
        token = staged(store, "a/v.mp4", VIDEO)
        assert another.recover(token, "a/v.mp4", stamp(VIDEO)) is Recovered.STAGED
        assert another.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
        assert held(store, "a/v.mp4") == VIDEO

    def test_a_published_file_is_recognised(self, store: FileStore, another: FileStore) -> None:
        """After a kill between publishing and the outcome, the successor finds it done, as often as it asks."""
        token = staged(store, "a/v.mp4", VIDEO)
        store.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
        for _ in range(2):
            assert another.recover(token, "a/v.mp4", stamp(VIDEO)) is Recovered.PUBLISHED
        assert store.names("a") == {"v.mp4"}

    @pytest.mark.parametrize("length", [len(VIDEO), len(VIDEO) // 2])
    def test_somebody_elses_file_is_not_ours(self, store: FileStore, length: int) -> None:
        """A file of the same name, even of the same size, is not taken for a lost one."""
        staging = store.stage("a/v.mp4", TRANSFER, 1)
        staging.write(VIDEO)
        token = staging.finish()
        store.put("a/v.mp4", b"x" * length, replace=False)
        assert store.recover(token, "a/v.mp4", stamp(VIDEO)) in {Recovered.STAGED, Recovered.LOST}
        assert not publish(store, token, "a/v.mp4", VIDEO)
        assert held(store, "a/v.mp4") == b"x" * length

    def test_what_was_never_staged_is_lost(self, store: FileStore) -> None:
        """A token whose bytes are gone says so."""
        token = staged(store, "a/v.mp4", VIDEO)
        store.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
        store.remove("a/v.mp4")
        assert store.recover(token, "a/v.mp4", stamp(VIDEO)) is Recovered.LOST

    def test_a_taken_name_goes_to_the_next_number(self, store: FileStore) -> None:
        """A taken name is refused and its file left alone; the item gets the next one."""
        store.put("a/v.mp4", b"older", replace=False)
        token = staged(store, "a/v.mp4", VIDEO)
        assert not store.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
        if not store.movable:
            token = staged(store, "a/v.1.mp4", VIDEO)
        assert store.publish(token, "a/v.1.mp4", stamp(VIDEO), replace=False)
        assert held(store, "a/v.mp4") == b"older"
        assert held(store, "a/v.1.mp4") == VIDEO
        assert store.names("a") == {"v.mp4", "v.1.mp4"}

    def test_replacing_puts_the_new_file(self, store: FileStore, another: FileStore) -> None:
        """Overwrite replaces in one step, whether the name is taken or free, and is recognised afterwards."""
        for content in (VIDEO, AGAIN):
            token = staged(store, "a/v.mp4", content)
            assert store.publish(token, "a/v.mp4", stamp(content), replace=True)
            assert held(store, "a/v.mp4") == content
            assert another.recover(token, "a/v.mp4", stamp(content)) is Recovered.PUBLISHED
        assert store.names("a") == {"v.mp4"}

    def test_a_second_rendering_does_not_mix_with_the_first(self, store: FileStore, another: FileStore) -> None:
        """A lost worker that is alive after all writes beside its successor: one file, wholly of the one that published first."""
        lost = store.stage("a/v.mp4", TRANSFER, 1)
        lost.write(VIDEO[: len(VIDEO) // 2])
        another.sweep("a/v.mp4", TRANSFER, 2)
        token = staged(another, "a/v.mp4", AGAIN, epoch=2)
        lost.write(VIDEO[len(VIDEO) // 2 :])
        assert another.publish(token, "a/v.mp4", stamp(AGAIN), replace=False)
        late = lost.finish()
        publish(store, late, "a/v.mp4", VIDEO)
        assert held(store, "a/v.mp4") == AGAIN
        assert store.names("a") == {"v.mp4"}

    def test_a_sweep_takes_only_what_earlier_epochs_left(self, store: FileStore) -> None:
        """Other transfers and this epoch keep what they staged."""
        old, new = staged(store, "a/v.mp4", VIDEO, epoch=9), staged(store, "a/v.mp4", AGAIN, epoch=10)
        other = staged(store, "a/w.mp4", b"other", transfer=OTHER, epoch=1)
        store.sweep("a/v.mp4", TRANSFER, 10)
        store.sweep("no/such/folder/v.mp4", TRANSFER, 10)
        if store.movable:
            assert store.recover(old, "a/v.mp4", stamp(VIDEO)) is Recovered.LOST
        assert store.recover(new, "a/v.mp4", stamp(AGAIN)) is Recovered.STAGED
        assert store.publish(new, "a/v.mp4", stamp(AGAIN), replace=False)
        assert store.publish(other, "a/w.mp4", stamp(b"other", OTHER), replace=False)

    def test_several_files_at_once(self, store: FileStore) -> None:
        """Threads that share a store don't disturb each other's files."""

        def carry(n: int) -> bool:
            transfer = f"{n:016x}"
            content = b"%d" % n * 9_000_000
            token = staged(store, f"a/{n}.mp4", content, transfer=transfer)
            return store.publish(token, f"a/{n}.mp4", stamp(content, transfer), replace=False) and (
                held(store, f"a/{n}.mp4") == content
            )

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(carry, range(4)))

    @pytest.mark.parametrize(
        ("gap", "expected"),
        [("writing", None), ("staged", Recovered.STAGED), ("published", Recovered.PUBLISHED)],
    )
    def test_killed_in_a_gap(self, place: Place, store: FileStore, gap: str, expected: Recovered | None) -> None:
        """SIGKILL while writing, before and after publishing: the successor ends with one whole file."""
        token = killed(place, gap)
        assert store.names("a") == ({"v.mp4"} if gap == "published" else set())
        if expected:
            assert store.recover(token, "a/v.mp4", stamp(VIDEO)) is expected
        if expected is Recovered.STAGED:
            assert store.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
        if expected is None:
            store.sweep("a/v.mp4", TRANSFER, 2)
            token = staged(store, "a/v.mp4", AGAIN, epoch=2)
            assert store.publish(token, "a/v.mp4", stamp(AGAIN), replace=False)
        assert held(store, "a/v.mp4") == (AGAIN if expected is None else VIDEO)
        assert store.names("a") == {"v.mp4"}
