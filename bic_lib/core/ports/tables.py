"""What a place for rows must be able to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bic_lib.core.errors import Unsupported
from bic_lib.core.model import DataType, Document, Outcome
from bic_lib.core.ports.preflight import Check
from bic_lib.core.searching import Search, Sought

if TYPE_CHECKING:
    from bic_lib.core.rows import SessionRows


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a table destination keeps of one load, for others: fingerprint of the document, digest of the rows as written.

    `rows_sha256` is empty where a program wrote the rows that reckoned none.
    """

    lsid: str
    fingerprint: str
    rows_sha256: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a session, as the ledger knows it; `size` in bytes, `stored_at` in Unix seconds, `state` as the journal says."""

    data: DataType
    instance: int | None
    destination: str
    location: str
    size: int
    sha256: str
    stored_at: float
    state: str


FILES_AT_ONCE = 500
"""Most sessions whose files are noted in one call."""


class TableDestination(Protocol):
    """A place for rows."""

    def load(self, host_name: str, documents: Sequence[Document], *, force: bool = False) -> list[Outcome]:
        """Store the rows of these sessions, replacing older ones; an outcome per document, in order.

        STORED (location = `session/<host_name>/<lsid>`, size = bytes of its XML, sha256 = `rows_sha256` of the rows as they are
        written), SKIPPED (a newer document is there) or FAILED with a reason naming session and column. `force` writes rows
        anew that were loaded from the same document before. Raises DestinationError when the database as a whole fails; then
        nothing of the call needs to have been stored.
        """
        ...

    def loaded(self, host_name: str, lsids: Sequence[str]) -> list[Loaded]:
        """The load records that are there, for sessions whose rows are there too (any number of lsids, any order)."""
        ...

    def digests(self, host_name: str, lsids: Sequence[str]) -> Mapping[str, str]:
        """`rows_sha256` of each session that is there, reckoned from its rows as they are read back now; empty for rows that
        can't be read. Raises Unsupported where a kind can't read its rows back.
        """
        raise Unsupported(f"this kind of destination can't read back the rows of {len(lsids)} sessions of {host_name}")

    def rows(self, host_name: str, lsid: str) -> SessionRows | None:
        """One session's rows as they are read back now, None where it is not there.

        Raises Unsupported where a kind can't read its rows back, Unexpected for rows that can't be read.
        """
        raise Unsupported(f"this kind of destination can't read back the rows of {lsid} of {host_name}")

    def remove(self, host_name: str, lsids: Sequence[str]) -> None:
        """Take these sessions' rows away, of all tables; nothing happens for those that are not there.

        Raises Unsupported where a kind can't take rows away, DestinationError when it refuses: then all are there still.
        """
        raise Unsupported(f"this kind of destination can't remove the rows of {len(lsids)} sessions of {host_name}")

    def sessions(self) -> Iterator[tuple[str, str, bool]]:
        """(host name, lsid, whether a load of ours is noted for it) of every session that is there, in no certain order.

        Raises Unsupported where a kind can't list what it holds.
        """
        raise Unsupported("this kind of destination can't list the sessions that it holds")

    def is_empty(self) -> bool:
        """Whether it holds no session at all. A kind may ask for less than all of them."""
        return next(iter(self.sessions()), None) is None

    def strays(self) -> Mapping[str, int]:
        """How many rows each table has that belong to no session, where it has any. Raises DestinationError."""
        return {}

    def search(self, sought: Sought) -> Search:
        """The newest sessions that have all that is sought; the answer tells what was not looked at.

        Raises DestinationError when the database fails, Unsupported where a kind can't search its rows.
        """
        raise Unsupported(f"this kind of destination can't be searched for {sought}")

    def note_files(self, host_name: str, files: Mapping[str, Sequence[StoredFile]]) -> None:
        """Write where the files of these sessions (by lsid, at most FILES_AT_ONCE) lie, in place of what was noted of them.

        Sessions that are not there are passed over. Raises DestinationError, Unsupported where a kind keeps no such list.
        """
        raise Unsupported(f"this kind of destination keeps no list of the files of {len(files)} sessions of {host_name}")

    def catch_up(self) -> bool:
        """Do a little of what loads left for later because nobody waits for it; False when nothing is left of that."""
        return False

    def checks(self) -> list[Check]: ...
