"""Publishing once: how items get into a destination so that retries and kills leave no second copy (docs/design.md 9.1).

An XML document carries its own identity, so nothing is written to the ledger before it is published: when the name is taken, the
file there is read, and one that holds this session with this fingerprint is ours. (Bytes alone would not do: an appliance signs
the links in a document anew in each answer.)
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from bic_lib.core import naming
from bic_lib.core.errors import DestinationError, ItemError, Unexpected, Unsupported
from bic_lib.core.model import DataType, Document, Item, OnConflict, Outcome, State
from bic_lib.core.ports.files import FileStore, SmallFile
from bic_lib.core.ports.preflight import Check
from bic_lib.core.ports.tables import TableDestination
from bic_lib.ledger.records import HELD, Record

Identify = Callable[[bytes], Iterable[tuple[str, str]]]
"""The (lsid, fingerprint) of each session in a file's content; none when it isn't session XML."""

_NAMES_HELD = 1_000
_SESSIONS_HELD = 100_000
"""Of so many names that were taken, and sessions under them, it is kept in memory which file holds them."""
_MOST_READ = 96 * 1024 * 1024
"""Bytes of a file under a document's name that are looked at: a session has at most 64 MB."""
LEAST_FREE = 10**9
"""Bytes: `bic check` warns of a place with less room, which the next few recordings would fill."""
_MOST_NUMBERS = 100_000
"""So many numbers of one name are looked at for one document: by then the format tells nothing apart, and is named."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One document for one destination. `previous` is what the ledger knows of the same transfer.

    `only_new`: what is there stays, whatever the conflict rule says.
    """

    item: Item
    document: Document
    previous: Record | None = None
    force: bool = False
    only_new: bool = False

    @property
    def replaces(self) -> bool:
        """The conflict rule may replace what is there."""
        return not self.only_new


@dataclass(slots=True)
class Delivered:
    """Outcomes in the order of the deliveries; fewer than those when the destination failed with `error`."""

    outcomes: list[Outcome] = field(default_factory=list)
    error: DestinationError | None = None


class Destination(Protocol):
    """What steps deliver documents to."""

    name: str

    def deliver(self, host: str, deliveries: Sequence[Delivery], check: Callable[[], None]) -> Delivered:
        """Deliver documents of the site with this host. `check` raises ClaimLost and is asked before each publish."""
        ...

    def checks(self) -> list[Check]: ...


def usual_location(destination: Destination, host: str, item: Item) -> str:
    """The name that an item would get, unless it is taken or what comes has another extension; empty for rows."""
    if isinstance(destination, FileDestination):
        return destination.location(host, item, naming.extension(item.data))
    return ""


@dataclass(frozen=True, slots=True)
class FileRules:
    """How a file destination names and keeps files."""

    formats: Mapping[DataType, str]
    on_conflict: OnConflict = OnConflict.APPEND_NUMBER
    retention_count: int | None = None


class FileDestination:
    """Documents as files, named by a format, in any file store. Threads may share it."""

    def __init__(self, name: str, store: FileStore, rules: FileRules, identify: Identify) -> None:
        self.name = name
        self.store = store
        self.rules = rules
        self.identify = identify
        self._taken: OrderedDict[str, _Numbers] = OrderedDict()
        self._guard = threading.Lock()

    def checks(self) -> list[Check]:
        """Whether the place takes files, and whether it has room for them, where it tells that."""
        found = self.store.checks()
        if all(check.ok for check in found):
            with suppress(Unsupported):
                found.append(self._room())
        return found

    def _room(self) -> Check:
        try:
            free = self.store.free_bytes()
        except (DestinationError, ItemError) as error:
            return Check(self.name, "free space", ok=False, detail=error.message, hint=error.hint)
        told = f"{free / 1e9:.1f} GB free" if free >= 1e9 else f"{free / 1e6:.0f} MB free"
        if free >= LEAST_FREE:
            return Check(self.name, "free space", ok=True, detail=told)
        hint = "Free space, or name another place: a recording alone may have hundreds of megabytes."
        return Check(self.name, "free space", ok=False, detail=f"{told}; at least {LEAST_FREE // 10**9} GB should be", hint=hint)

    def deliver(self, host: str, deliveries: Sequence[Delivery], check: Callable[[], None]) -> Delivered:
        delivered = Delivered()
        files = [self._file(host, delivery) for delivery in deliveries]
        put_all = getattr(self.store, "put_all", partial(FileStore.put_all, self.store))  # an older plug-in's store has none
        try:
            for delivery, file, told in zip(deliveries, files, put_all(files, check), strict=False):
                delivered.outcomes.append(self._outcome(delivery, file, told, check))
        except DestinationError as error:
            delivered.error = error
        return delivered

    def _outcome(self, delivery: Delivery, file: SmallFile, told: bool | ItemError, check: Callable[[], None]) -> Outcome:
        try:
            if isinstance(told, ItemError):
                raise told
            if told:
                return _stored(file.location, file.content)
            check()
            return self._name_taken(file.location, delivery)
        except ItemError as error:
            return Outcome(State.FAILED, reason=str(error), failure=error.failure)

    def location(self, host: str, item: Item, extension: str) -> str:
        """The name that the format gives to an item."""
        values = naming.values(item, host=host, extension=extension, at=item.start or None)
        return naming.location(self.rules.formats[item.data], values, item.data)

    def _file(self, host: str, delivery: Delivery) -> SmallFile:
        """The file that a document becomes if its name is free."""
        content, previous = delivery.document.xml, delivery.previous
        if previous and previous.open and previous.outcome.state in HELD and delivery.replaces:
            return SmallFile(previous.outcome.location, content, replace=True)
        replace = self.rules.on_conflict is OnConflict.OVERWRITE and delivery.replaces
        return SmallFile(self.location(host, delivery.item, "xml"), content, replace)

    def _name_taken(self, location: str, delivery: Delivery) -> Outcome:
        content, session = delivery.document.xml, (delivery.document.lsid, delivery.document.fingerprint)
        numbers = self._numbers(location)
        for _ in range(_MOST_NUMBERS):
            number = numbers.next
            candidate = naming.numbered(location, number)
            held = self._sessions_in(candidate)
            if held is not None:
                numbers.note(number, held)
            if not delivery.force and (own := self._own(location, numbers, session)):
                return own
            if self.rules.on_conflict is not OnConflict.APPEND_NUMBER:
                return Outcome(State.SKIPPED, location=location, reason="the name is taken")
            if held is None and self.store.put(candidate, content, replace=False):
                return _stored(candidate, content)
            if held is None:  # taken meanwhile, or by what is no file
                numbers.note(number, self._sessions_in(candidate) or ())
        raise Unexpected(f"{location} and {_MOST_NUMBERS} numbers of it are taken.", hint="Look at the file name format.")

    def _numbers(self, location: str) -> _Numbers:
        """What is known of a name; that of the names which were asked for last is kept."""
        with self._guard:
            numbers = self._taken.pop(location, None) or _Numbers()
            self._taken[location] = numbers
            while len(self._taken) > 1 and (len(self._taken) > _NAMES_HELD or self._sessions_held() > _SESSIONS_HELD):
                self._taken.popitem(last=False)
        return numbers

    def _sessions_held(self) -> int:
        return sum(len(numbers.holders) for numbers in self._taken.values())

    def _own(self, location: str, numbers: _Numbers, session: tuple[str, str]) -> Outcome | None:
        """The file that holds this very session; what was known of it may be long ago, so it is looked at again."""
        number = numbers.holders.get(session)
        if number is None:
            return None
        place = naming.numbered(location, number)
        content = self._content(place)
        if content is not None and session in self.identify(content):
            return _stored(place, content)
        numbers.holders.pop(session, None)
        return None

    def _sessions_in(self, location: str) -> Iterable[tuple[str, str]] | None:
        """The sessions in a file, None when there is none."""
        content = self._content(location)
        return None if content is None else self.identify(content)

    def _content(self, location: str) -> bytes | None:
        """What a file holds, None when there is none; of one that is too large for a document nothing."""
        held = bytearray()
        try:
            for chunk in self.store.read(location):
                held += chunk
                if len(held) > _MOST_READ:
                    return b""
        except FileNotFoundError:
            return None
        return bytes(held)


class _Numbers:
    """What is known of the files that a name and its numbers hold: which session is where, and the next number to look at."""

    def __init__(self) -> None:
        self.next = 0
        self.holders: dict[tuple[str, str], int] = {}

    def note(self, number: int, sessions: Iterable[tuple[str, str]]) -> None:
        for session in sessions:
            self.holders.setdefault(session, number)
        self.next = max(self.next, number + 1)


class RowDestination:
    """Documents of sessions as rows, in any table destination."""

    def __init__(self, name: str, table: TableDestination) -> None:
        self.name = name
        self.table = table

    def checks(self) -> list[Check]:
        return self.table.checks()

    def deliver(self, host: str, deliveries: Sequence[Delivery], check: Callable[[], None]) -> Delivered:
        check()
        try:
            kept = self._kept(host, [delivery for delivery in deliveries if delivery.only_new])
            wanted = [one for one in deliveries if one.item.lsid not in kept]
            # Said only when it is meant: older plug-ins don't know the word.
            forced = {"force": True} if any(one.force for one in wanted) else {}
            loaded = iter(self.table.load(host, [one.document for one in wanted], **forced))
        except DestinationError as error:
            return Delivered(error=error)
        return Delivered([kept.get(delivery.item.lsid) or next(loaded) for delivery in deliveries])

    def _kept(self, host: str, only_new: Sequence[Delivery]) -> dict[str, Outcome]:
        """The sessions whose rows are there in another version, and stay."""
        if not only_new:
            return {}
        there = {one.lsid: one.fingerprint for one in self.table.loaded(host, [delivery.item.lsid for delivery in only_new])}
        rivals = (one for one in only_new if there.get(one.item.lsid, one.document.fingerprint) != one.document.fingerprint)
        return {one.item.lsid: Outcome(State.SKIPPED, reason="the session is there already") for one in rivals}


def _stored(location: str, content: bytes) -> Outcome:
    return Outcome(State.STORED, location=location, size=len(content), sha256=hashlib.sha256(content).hexdigest())
