"""What every FileStore means by its methods (bic_lib.ports.FileStore).

An adapter's test module inherits :class:`FileStoreContract` and overrides the fixture `store` with an empty store.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bic_lib.ports import FileStore, Found


class FileStoreContract:
    """Inherited by the test class of each adapter."""

    @pytest.fixture
    def store(self) -> FileStore:
        """An empty store; the adapter's test class gives its own."""
        raise NotImplementedError

    def test_what_is_put_can_be_read(self, store: FileStore) -> None:
        """A put file is there whole, with its size, under its name, in its folder's listing."""
        content = b"\x00\xff<session/>" * 300_000
        assert store.put("2025/06/a.xml", content, replace=False)
        assert b"".join(store.read("2025/06/a.xml")) == content
        found = store.look("2025/06/a.xml")
        assert found is not None
        assert found.size == len(content)
        assert store.names("2025/06") == {"a.xml"}

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
        """What bic_lib.naming calls safe, the store takes as it is."""
        assert store.put(f"{name}.d/{name[-200:]}", b"x", replace=False)
        assert store.names(f"{name}.d") == {name[-200:]}
        found = store.look(f"{name}.d/{name[-200:]}")
        assert isinstance(found, Found)

    def test_checks_of_a_healthy_store_are_well(self, store: FileStore) -> None:
        """The preflight succeeds and leaves nothing behind."""
        assert all(check.ok for check in store.checks())
        assert store.names("") == frozenset()
