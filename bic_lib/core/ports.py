"""The edges of the core: what an appliance, a destination and a ledger must be able to do.

Adapters translate their vendor's exceptions into :mod:`bic_lib.core.errors`; nobody else looks at vendor errors. Nothing here
retries: when to try again is decided in one place, by the retry table in :mod:`bic_lib.core.plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from bic_lib.core.errors import Unsupported
from bic_lib.core.model import BrokenDocument, DataType, Document, Listed, Outcome, ReportKind, Selection, Window
from bic_lib.core.recognition import Recognised
from bic_lib.core.searching import Search, Sought

if TYPE_CHECKING:
    from bic_lib.core.rows import SessionRows

# --- the appliance ---------------------------------------------------------------------------------------------------


class Report(Protocol):
    """One report answer on its way: documents come as the body arrives; it is never held whole.

    Iterating raises :class:`~bic_lib.core.errors.Interrupted` when the body ends before the root's end tag, and
    :class:`~bic_lib.core.errors.Unexpected` when it is no report. Only an iteration that ends by itself has seen everything.
    """

    @property
    def as_of(self) -> int | None:
        """The appliance's clock when it answered (`Date`), None where it told none."""
        ...

    def __iter__(self) -> Iterator[Document | BrokenDocument]: ...


class Payload(Protocol):
    """A file on its way (recording, backup), and what it was recognised as. `content_type` as received."""

    @property
    def recognised(self) -> Recognised: ...

    @property
    def content_type(self) -> str: ...

    @property
    def doubt(self) -> str:
        """Why it may not be what was asked for, although it came whole; "" for no doubt."""
        ...

    @property
    def as_of(self) -> int | None: ...

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a preflight: what was looked at, whether it is well, and what to do if not."""

    subject: str
    check: str
    ok: bool
    detail: str = ""
    hint: str = ""


class Pause(Protocol):
    """For how long an appliance wants to be left alone: all lanes of its site, in all processes. May raise LedgerError."""

    def left(self) -> float:
        """Seconds from now; 0 and less: none."""
        ...

    def begin(self, seconds: float) -> None:
        """It asked for so many seconds; a pause that ends later stays."""
        ...


class Lessons(Protocol):
    """What a site was found to say, for each report kind, where nothing is found. May raise LedgerError."""

    def learned(self, kind: ReportKind, account: str) -> str:
        """Its text to this account, "" for none."""
        ...

    def learn(self, kind: ReportKind, account: str, text: str) -> None: ...


class Appliance(Protocol):
    """One site's appliance. Every call may raise SiteError (whole site) or ItemError (this request)."""

    def now(self) -> tuple[float, bool]:
        """The appliance's clock, Unix seconds, and whether the appliance itself told it (else: ours)."""
        ...

    def report(self, kind: ReportKind, selection: Selection) -> AbstractContextManager[Report]: ...

    def listing(self, kind: ReportKind, began: Window) -> Sequence[Listed]:
        """Sessions that began in the window, running ones too (docs/appliance.md 2.4). Nothing found: empty."""
        ...

    def recording(self, data: DataType, lsid: str, instance: int | None) -> AbstractContextManager[Payload]:
        """Raises NotReady, Gone or Unexpected for an `<error>` answer (docs/appliance.md 5.3)."""
        ...

    def backup(self) -> AbstractContextManager[Payload]: ...

    def spent(self, now: float) -> dict[str, int]:
        """Requests of the last hour by minutes (as text) of the ledger's clock, which shows `now`."""
        ...

    def take_over(self, spent: Mapping[str, int], now: float) -> None:
        """Reckon with the requests that were sent in this lane, by others too, as `spent` told them."""
        ...

    def checks(self, data: frozenset[DataType]) -> list[Check]:
        """Preflight: token, the rights that these data types need, clock skew (docs/appliance.md 7.4). Never raises."""
        ...


# --- destinations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is there. `sha256` and `owner` (transfer and version) where the store keeps them beside the file."""

    size: int
    sha256: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a staged file is and whose it is: what is published with it, where the store can keep it beside the file.

    `transfer` is 16 hex digits of item and destination, `sha256` hex, `size` in bytes.
    """

    transfer: str
    version: int
    size: int
    sha256: str
    content_type: str

    @property
    def owner(self) -> str:
        return f"{self.transfer}.{self.version}"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as the listing of a whole place shows it: `size` in bytes, `modified` in Unix seconds by the place's own clock."""

    location: str
    size: int
    modified: float


PAGE = 1_000
"""Most files in one page of such a listing."""


class Recovered(StrEnum):
    """What a store finds of a file that a lost worker was about to publish."""

    PUBLISHED = "published"
    STAGED = "staged"
    LOST = "lost"


class Staging(Protocol):
    """A large file on its way, invisible under its final name. `write` may keep a few blocks in flight; memory is bounded."""

    def write(self, block: bytes) -> None:
        """The next bytes (any length). Raises DestinationError; after that only `discard` is allowed."""
        ...

    def finish(self) -> str:
        """All bytes are durable. Returns the token under which they can be published, by another process too."""
        ...

    def discard(self) -> None:
        """Take back what was written; a failure to do so is not worth an error."""
        ...


class FileStore(Protocol):
    """A place for files. Locations are relative to its root, with `/`; they are safe names from :mod:`bic_lib.core.naming`.

    A file appears under its name only when complete, by one atomic act (docs/design.md 9.1). All raise DestinationError when
    the store is unreachable, full or refuses, Unexpected when it refuses this one name. A method with a
    body here says "this kind can't" (Unsupported), for kinds that lack it.
    """

    def names(self, folder: str) -> frozenset[str]:
        """File names in a folder (`""`: the root); empty when the folder is not there."""
        ...

    def look(self, location: str) -> Found | None:
        """The file under exactly this location, None when there is none."""
        ...

    def read(self, location: str) -> Iterator[bytes]:
        """The file in chunks. Raises FileNotFoundError when it is not there."""
        ...

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        """Write a small file durably and publish it. False: the name is taken (never with `replace`)."""
        ...

    @contextmanager
    def together(self) -> Iterator[None]:
        """Files that this thread puts in here may last only from its end on, which raises DestinationError where they don't.

        For many small files: what makes their names durable is done once for all, where a kind can.
        """
        yield

    @property
    def movable(self) -> bool:
        """A staged file can still be published under another name (temporary file + rename), or not (blocks of one blob)."""
        ...

    def stage(self, location: str, transfer: str, epoch: int) -> Staging:
        """Begin a large file that shall become `location`; its temporary name holds transfer and epoch (docs/design.md 9.1)."""
        ...

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:
        """Publish a finished staging by one atomic act. False: the name is taken (never with `replace`); it stays staged."""
        ...

    def recover(self, token: str, location: str, stamp: Stamp) -> Recovered:
        """What became of a publication that may have been interrupted.

        PUBLISHED: the location holds this very file (a leftover temporary name is removed). STAGED: it can be published with the
        token. LOST: neither; it must be fetched again.
        """
        ...

    def sweep(self, location: str, transfer: str, epoch: int) -> None:
        """Remove what earlier epochs of this transfer staged beside this location."""
        ...

    def remove(self, location: str) -> None:
        """Delete the file; nothing happens when it is not there."""
        ...

    def pages(self, folder: str = "") -> Iterator[Sequence[FileEntry]]:
        """All files below a folder, at any depth, in pages of up to PAGE, in no certain order; none when the folder is not there.

        Memory does not grow with what is there. Links are not followed: one is told as the file it stands in the place of. Our
        temporary files are passed over. Raises Unsupported where a kind can't list what it holds.
        """
        raise Unsupported(f"this kind of destination can't list the files below {folder or 'its root'}")

    def rename(self, location: str, to: str) -> bool:
        """Give a file another name in its folder, never replacing one. False: that name is taken.

        Raises FileNotFoundError when there is no file, Unsupported where a kind has no rename.
        """
        raise Unsupported(f"this kind of destination can't rename {location} to {to}")

    def free_bytes(self) -> int:
        """How much may still be written here. Raises Unsupported where a kind tells no such thing."""
        raise Unsupported("this kind of destination doesn't tell its free space")

    def checks(self) -> list[Check]:
        """Preflight: tries what will be needed and leaves nothing there. Never raises."""
        ...


class AccessToken(Protocol):
    """A bearer token and when it ends (Unix seconds)."""

    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


class Tokens(Protocol):
    """How Azure is entered; the shape that Azure's own libraries ask of a credential."""

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """A token for one scope (`https://storage.azure.com/.default`). Raises DestinationError when there is none to be had."""
        ...


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


# --- the ledger ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One ledger row. `version` changes with every write; `written` is the ledger's clock at that write."""

    partition: str
    key: str
    body: Mapping[str, Any]
    version: str
    written: float


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row; the whole batch is refused when the key is there."""

    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Replace:
    """A row that must still have this version."""

    key: str
    body: Mapping[str, Any]
    version: str


@dataclass(frozen=True, slots=True)
class Put:
    """A row as it shall be, whatever was there."""

    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """A row to take away: with `version` only that one; without, and not there, nothing happens."""

    key: str
    version: str | None = None


Change = Insert | Replace | Put | Delete

BATCH = 100
"""Most changes in one commit (what Azure Tables takes in one transaction)."""


class Store(Protocol):
    """What a ledger is built on: no more than Azure Tables can do (docs/design.md 2).

    Bodies are JSON objects (str, int, float, bool, None, lists and objects of these) below 60 KB. Keys and partitions are any
    text up to 400 characters; keys order by code point. All methods raise LedgerError when the store can't be reached.
    """

    def now(self) -> float:
        """The ledger's clock, Unix seconds."""
        ...

    def get(self, table: str, partition: str, key: str) -> Row | None: ...

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        """Rows with first ≤ key < last in key order; an empty `last` has no upper bound, limit 0 no limit."""
        ...

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        """All rows of the partitions with first ≤ partition < last (an empty `last`: no upper bound), as one range read.

        Each partition's rows come together and in key order. Without bounds: a whole table, for those that stay small.
        """
        ...

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """All or nothing: ≤ 100 changes, each key once. Returns the new version of each row ("" for a deleted one).

        Raises Conflict when a condition does not hold; then nothing was written.
        """
        ...

    def gone(self, holder: str) -> bool:
        """True when the process behind this lease holder is known to have ended (one machine); else False."""
        ...

    def problems(self) -> list[str]:
        """What is wrong with the whole of what the rows are kept in; nothing where it is well, or where that can't be told.

        Reads all there is. A row that is not what was written is no problem of the whole: whoever reads it finds it set aside,
        as a trouble of state `damaged` (:mod:`bic_lib.ledger.stores.damage`).
        """
        return []

    def close(self) -> None: ...
