"""One adoption at work: files are read through, and what they are is written into the ledger, a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby, islice

from bic_lib.actions.importing import ReadDocument
from bic_lib.actions.inventory import Inventory, Lying, begun
from bic_lib.core import beginnings, containers, plan, recognition
from bic_lib.core.errors import BicError, ItemError
from bic_lib.core.model import DOCUMENT_OF, BrokenDocument, DataType, Document, Item, Outcome, ReportKind, State, Stream
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination
from bic_lib.engine.steps import backups
from bic_lib.engine.steps.adopted import UNKNOWN_START, place, unplaced
from bic_lib.engine.steps.imports import Unconnected, kind_of
from bic_lib.engine.steps.job import Left
from bic_lib.engine.visit import holding_reports
from bic_lib.ledger.index import place_of
from bic_lib.ledger.journal import ADOPTED
from bic_lib.ledger.notes import adopted
from bic_lib.ledger.proof import KnownDocument, served_name
from bic_lib.ledger.records import SETTLED, Record

_AT_ONCE = 100
"""Files that are read before what they are is written together."""
_LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes of a session's file that is read whole (docs/design.md 2)."""
_REFUSED_NAMED = 100
"""So many refused files are named; the others are counted."""
_UNLIKE = (
    "its first bytes are those of no recording that we know; `bic download --force` fetches it anew while the appliance has it"
)
_CUT = "by its own structure its end is missing, or something else follows it; `bic download --force` fetches it anew likewise"
_NO_BACKUP = "it is text or empty, not a backup"


@dataclass(slots=True)
class Adopted:
    """What was found (the outcomes were told to the app's observer). `others` have names that say nothing to us.

    `read` of the `files` were gone through. `refused`: files and why, the first of them; `refused_more` counts the rest.
    """

    files: int = 0
    bytes: int = 0
    read: int = 0
    others: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    refused_more: int = 0

    def refuse(self, location: str, why: str) -> None:
        if len(self.refused) < _REFUSED_NAMED:
            self.refused.append((location, why))
        else:
            self.refused_more += 1


@dataclass(frozen=True, slots=True)
class _Content:
    """A file that was read: its first bytes, its size and its SHA-256; `whole` where it was asked for. `cut`: a video that is."""

    first: bytes
    size: int
    sha256: str
    cut: bool
    whole: bytes = b""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file and what it is: an item; of a document also its fingerprint, and whether the session has not ended."""

    lying: Lying
    item: Item
    size: int
    sha256: str
    doubt: str = ""
    why: str = ""
    fingerprint: str = ""
    open: bool = False


@dataclass(slots=True)
class _Batch:
    """What will be written together."""

    records: dict[tuple[Item, int], Record] = field(default_factory=dict)
    documents: dict[tuple[DataType, str], tuple[Item, KnownDocument]] = field(default_factory=dict)


class Adoption:
    """Reads files and writes what they are."""

    def __init__(
        self,
        app: App,
        destination: FileDestination,
        inventory: Inventory,
        so_far: Adopted,
        read: ReadDocument,
        seen: Callable[[], None],
        wait: Callable[[], None],
    ) -> None:
        self.app = app
        self.ledger = app.ledger
        self.name = destination.name
        self.store = destination.store
        self.inventory = inventory
        self.so_far = so_far
        self.read_document = read
        self.seen = seen
        self.wait = wait

    def take_all(self) -> None:
        """Documents first, since they tell when their recordings were. Raises LedgerError, DestinationError."""
        self._take(self.inventory.documents(), self._document)
        self._take(self.inventory.recordings(), self._recording)
        for lying in self._unknown(self.inventory.backups()):
            self._backup(lying)

    def _take(self, files: Iterator[Lying], look: Callable[[Lying], _Found | None]) -> None:
        for site, of_site in groupby(files, key=lambda one: one.site):
            while some := list(islice(of_site, _AT_ONCE)):
                found = [one for lying in self._unknown(some) if (one := look(lying))]
                placed = [lying for lying in some if lying.known and lying.session]
                if found or placed:
                    with self._claimed(site):
                        self._write(found)
                        self._place(placed)

    # --- reading ---

    def _unknown(self, files: Iterable[Lying]) -> Iterator[Lying]:
        """Those that the ledger does not know as stored here; the others are told as there already."""
        for lying in files:
            self.so_far.read += 1
            self.seen()
            if not lying.known:
                yield lying
                continue
            start = lying.session.start if lying.session else UNKNOWN_START
            item = Item(lying.site, lying.named.data[0], lying.named.lsid or lying.entry.location, lying.named.instance, start)
            self.app.leave(item, self.name, Left.THERE)

    def _content(self, lying: Lying, *, whole: bool = False) -> _Content | None:
        """Read a file through; None for one that can't be, which is told."""
        location = lying.entry.location
        if whole and lying.entry.size > _LARGEST_DOCUMENT:
            self.so_far.refuse(location, "is larger than a session's file can be (64 MB)")
            return None
        digest, size, first, kept, walk = hashlib.sha256(), 0, bytearray(), bytearray(), None
        try:
            for block in self.store.read(location):
                digest.update(block)
                walk = walk if size else containers.structure(beginnings.video(block))
                if walk:
                    walk.feed(block)
                size += len(block)
                first += block[: recognition.LOOKED_AT - len(first)]
                if whole:
                    kept += block
        except FileNotFoundError:
            self.so_far.refuse(location, "is gone meanwhile")
        except ItemError as error:
            self.so_far.refuse(location, str(error))
        else:
            return _Content(bytes(first), size, digest.hexdigest(), bool(walk and not walk.whole), bytes(kept))
        return None

    def _document(self, lying: Lying) -> _Found | None:
        """Session XML tells itself whose it is and when it was."""
        content = self._content(lying, whole=True)
        document = content and self._the_one_in(lying, content.whole)
        if not content or not document:
            return None
        began, ended = document.start, document.end
        words = (document.session_type, document.lseq, document.external_key)
        start = began if began is not None else (ended or 0)
        item = Item(lying.site, DOCUMENT_OF[kind_of(document)], document.lsid, None, start, ended, *words)
        late = self.app.sites[lying.site].abnormal_after
        abnormal = plan.abnormally_ended(began, ended, now=self.ledger.now(), abnormal_after=late)
        self.inventory.note_session(item)
        is_open = ended is None and not abnormal
        return _Found(lying, item, content.size, content.sha256, fingerprint=document.fingerprint, open=is_open)

    def _the_one_in(self, lying: Lying, content: bytes) -> Document | None:
        """The one session in a file; None for anything else, which is told."""
        found: list[Document | BrokenDocument] = []
        why = "holds no session"
        try:
            found = list(self.read_document(content))
        except BicError as error:
            why = str(error)
        match found:
            case [Document() as document]:
                return document
            case [BrokenDocument() as broken]:
                why = broken.reason
            case [_, _, *_]:
                why = f"holds {len(found)} sessions: `bic import` without --adopt stores each by itself"
        self.so_far.refuse(lying.entry.location, why)
        return None

    def _recording(self, lying: Lying) -> _Found | None:
        """What its name says it is, if that is one thing; its first bytes say whether it is a recording."""
        data = self._data(lying)
        content = self._content(lying) if data else None
        if not data or not content:
            return None
        item = replace(
            lying.session or Item(lying.site, data, lying.named.lsid, start=UNKNOWN_START),
            data=data,
            instance=lying.named.instance,
        )
        found = recognition.recording(content.first)
        doubt, why = found.beginning or "empty", _UNLIKE
        if found.what is recognition.What.RECORDING:
            doubt, why = (f"{recognition.CUT}{doubt}", _CUT) if content.cut else ("", "")
        return _Found(lying, item, content.size, content.sha256, doubt, why)

    def _data(self, lying: Lying) -> DataType | None:
        """Of which data type a file is, None where its name and its session leave that open, which is told."""
        data = lying.named.data
        if lying.session and lying.session.session_type:
            presented = lying.session.session_type == "presentation"
            data = tuple(one for one in data if (one is DataType.PRESENTATION_RECORDINGS) is presented)
        if len(data) == 1:
            return data[0]
        if DataType.SESSION_RECORDINGS in data:
            return DataType.SESSION_RECORDINGS
        self.so_far.refuse(lying.entry.location, f"may be of {' or '.join(data) or 'nothing'}: say which by --format TYPE=FORMAT")
        return None

    def _backup(self, lying: Lying) -> None:
        """The oldest first: each is judged by those before it, as one that is fetched is."""
        content = self._content(lying)
        if content is None:
            return
        number = f".{lying.named.number}" if lying.named.number else ""
        item = Item(lying.site, DataType.SITE_BACKUPS, f"{ADOPTED}@{begun(lying)}{number}", start=begun(lying))
        found = recognition.backup(content.first)
        record = self._record(_Found(lying, item, content.size, content.sha256), None)
        answer = found.what is recognition.What.ANSWER
        if why := _NO_BACKUP if answer else backups.judged(self.ledger, record, content.size):
            record = replace(record, outcome=replace(record.outcome, reason=why, doubt=found.beginning or "empty"))
        for settled in self._settle(_Batch({(item, 1): record})):
            backups.note(self.ledger, settled)

    # --- writing ---

    def _claimed(self, site: str) -> ExitStack:
        """Nobody plans anything of the site's reports while a batch is written."""
        stack = ExitStack()
        for kind in ReportKind:
            stack.enter_context(holding_reports(self.app, self.app.sites[site], kind, Unconnected(), self.wait))
        return stack

    def _write(self, found: Sequence[_Found]) -> None:
        batch = _Batch()
        newest: dict[Item, Record] = {}
        for one in found:
            before = newest.get(one.item) or self.ledger.proof.latest(one.item, self.name)
            known = self._known(batch, one)
            if (known and known.purged) or (before and before.outcome.state is State.PURGED):
                self.so_far.refuse(one.lying.entry.location, f"session {one.item.lsid} was removed by `bic purge`")
                continue
            record = newest[one.item] = self._record(one, before)
            batch.records[one.item, record.version] = record
            if one.fingerprint:
                stream = Stream(one.item.site, one.item.data, self.name)
                batch.documents[one.item.data, one.item.lsid] = (one.item, _served(known, before, one.fingerprint, stream))
        if any(not one.fingerprint for one in found):
            self.ledger.streams.note_place(adopted(self.name))
        self._settle(batch)

    def _known(self, batch: _Batch, one: _Found) -> KnownDocument | None:
        if not one.fingerprint:
            return None
        noted = batch.documents.get((one.item.data, one.item.lsid))
        return noted[1] if noted else self.ledger.proof.document(place_of(one.item))

    def _place(self, known: Iterable[Lying]) -> None:
        """Those that were adopted before their sessions were known stand where these do, from now on."""
        for lying in known:
            for data in lying.named.data:
                if lying.session and (records := unplaced(self.ledger, replace(lying.session, data=data), self.name)):
                    place(self.ledger, records, replace(lying.session, data=data))

    def _record(self, found: _Found, before: Record | None) -> Record:
        """The transfer as it will stand: the next version, or in the place of one that came to nothing."""
        item, location = found.item, found.lying.entry.location
        keeps = self.app.sites[item.site].keeps
        return Record(
            item,
            self.name,
            Outcome(State.STORED, location, found.size, found.sha256, found.why, doubt=found.doubt),
            1 if before is None else before.version + (before.outcome.state in SETTLED),
            found.fingerprint,
            found.open,
            forgotten_at=float((item.end or item.start) + keeps) if item.start else 0.0,
            at=self.ledger.now(),
            origin=ADOPTED,
            listed=before.listed if before else "",
        )

    def _settle(self, batch: _Batch) -> list[Record]:
        settled = self.ledger.proof.settle(list(batch.records.values()), list(batch.documents.values()))
        for record in settled:
            self.app.observe(record.item, record.destination, record.outcome)
        return settled


def _served(known: KnownDocument | None, before: Record | None, fingerprint: str, stream: Stream) -> KnownDocument:
    """What is known of a session now. Its newest file here counts, unless the ledger knows it from elsewhere in another version.

    As of any document that somebody brought, the appliance is asked for its own once it lists the session (`open`).
    """
    if known is None or known.fingerprint == fingerprint:
        served = known.served if known else frozenset()
        return KnownDocument(fingerprint, served | {served_name(stream)}, open=known.open if known else True)
    if before is not None and before.origin == ADOPTED and before.fingerprint == known.fingerprint:
        return KnownDocument(fingerprint, frozenset({served_name(stream)}), open=True)
    return known
