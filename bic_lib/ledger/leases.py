"""Leases: who may work at what. A lane, a claim on a site's reports and a claim on one step are the same thing, a leased row.

Taking a lease adds 1 to the row's epoch and runs for two minutes; a timer thread renews it every 30 seconds, and waits 10 for
the answer. Whoever finds it taken by somebody else, or has no write of it that went well and began within the last 90 seconds,
makes no call and publishes nothing any more (ClaimLost): so of two holders one has always stopped before the other begins,
however slow the ledger answers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic
from typing import Any, Protocol, TypeVar

from bic_lib.core.errors import BicError, ClaimLost, Conflict, LedgerError
from bic_lib.core.plan import CLOCK_TOLERANCE
from bic_lib.core.ports.store import Change, Delete, Insert, Replace, Row, Store

log = logging.getLogger("bic.transfers")

LEASE_SECONDS = 120.0
RENEW_SECONDS = 30.0
TRUSTED_SECONDS = 90.0
"""A worker that was killed holds its lanes no longer than a lease; two renewals may fail before its holder stops, 30 s before it
runs out (docs/design.md 2)."""
RENEWAL_SECONDS = 10.0
"""A renewal that takes longer is cut off; the next one is not far."""


_NOT_ANSWERED = f"The ledger has not answered for {RENEWAL_SECONDS:.0f} s."
Answer = TypeVar("Answer")


class Ask(Protocol):
    """A way to call the ledger."""

    def __call__(self, call: Callable[[], Answer]) -> Answer: ...


def _patiently(call: Callable[[], Answer]) -> Answer:
    return call()


def _hurriedly(call: Callable[[], Answer]) -> Answer:
    """What the call gives. Raises LedgerError when it has not ended in time: it goes on by itself, and nobody hears its end."""
    future: Future[Answer] = Future()
    threading.Thread(target=_answer, args=(call, future), name="bic-renewal", daemon=True).start()
    try:
        return future.result(RENEWAL_SECONDS)
    except TimeoutError as error:
        raise LedgerError(_NOT_ANSWERED) from error


def _answer(call: Callable[[], Answer], future: Future[Answer]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
        future.set_exception(error)


class Lease:
    """A leased row in hand. `body` is the row's content without the lease's own fields."""

    def __init__(self, store: Store, table: str, row: Row, body: dict[str, Any], holder: str, *, orphaned: bool) -> None:
        self.store = store
        self.table = table
        self.partition = row.partition
        self.key = row.key
        self.body = body
        self.holder = holder
        self.epoch = int(row.body.get("epoch", 0)) + 1
        self.orphaned = orphaned
        """The worker before us was lost: its lease ran out without being given back."""
        self._version = row.version
        self._lock = threading.Lock()
        self._lost = False
        self._until = 0.0
        self._unsure = False
        """A renewal was cut off: it may have been taken, or be taken yet."""
        self._proven = -TRUSTED_SECONDS
        """When the last write began that went well, on the monotonic clock."""

    def _leased(self, until: float) -> dict[str, Any]:
        return {**self.body, "epoch": self.epoch, "holder": self.holder if until else "", "until": until}

    def _write(self, until: float, changes: list[Change], ask: Ask = _patiently) -> None:
        """One conditional write of the leased row with whatever belongs to the same act; `_lock` is held."""
        if self._lost:
            raise ClaimLost(f"the claim on {self.key} was lost")
        begun, body = monotonic(), self._leased(until)
        try:
            self._version = self._commit(lambda version: Replace(self.key, body, version), changes, ask)
        except Conflict as conflict:
            self._lost = True
            raise ClaimLost(f"another worker holds the claim on {self.key}") from conflict
        self._until, self._proven, self._unsure = until, begun, False
        self._lost = not until  # a renewal that was on its way must not take back what was given

    def _commit(self, own: Callable[[str], Change], changes: list[Change], ask: Ask) -> str:
        """The row's new version. What a renewal of ours changed that was cut off is no conflict. Raises Conflict, LedgerError."""
        commit = self.store.commit
        try:
            return ask(lambda: commit(self.table, self.partition, [own(self._version), *changes]))[0]
        except Conflict:
            row = ask(lambda: self.store.get(self.table, self.partition, self.key)) if self._unsure else None
            if row is None or (row.body.get("holder"), row.body.get("epoch")) != (self.holder, self.epoch):
                raise
            return ask(lambda: commit(self.table, self.partition, [own(row.version), *changes]))[0]

    def renew(self) -> None:
        """Two more minutes. Raises ClaimLost, LedgerError, also when the ledger has not answered for 10 seconds."""
        if not self._lock.acquire(timeout=RENEWAL_SECONDS):
            raise LedgerError(_NOT_ANSWERED)
        try:
            self._write(self.store.now() + LEASE_SECONDS, [], _hurriedly)
        except LedgerError:
            self._unsure = True
            raise
        finally:
            self._lock.release()

    def check(self) -> None:
        """To be called before anything is asked for or published. Raises ClaimLost, LedgerError."""
        if self._lost:
            raise ClaimLost(f"the claim on {self.key} was lost")
        if not self._trusted:
            self.renew()
        if not self._trusted:
            raise ClaimLost(f"the ledger answers too slowly to be sure of the claim on {self.key}")

    @property
    def _trusted(self) -> bool:
        return monotonic() - self._proven < TRUSTED_SECONDS and self.store.now() < self._until

    def commit(self, changes: list[Change], *, release: bool = False) -> None:
        """Write `body` and rows of the same partition, all or nothing, only if the lease is still ours. Raises ClaimLost."""
        with self._lock:
            self._write(0.0 if release else self.store.now() + LEASE_SECONDS, changes)

    def release(self) -> None:
        """Give it back; one that was given back, ended or lost already is not ours to give."""
        if not self._lost:
            self.commit([], release=True)

    def end(self, changes: list[Change]) -> None:
        """Finish for good: the leased row goes, together with the changes. Raises ClaimLost."""
        with self._lock:
            if self._lost:
                raise ClaimLost(f"the claim on {self.key} was lost")
            try:
                self._commit(lambda version: Delete(self.key, version), changes, _patiently)
            except Conflict as conflict:
                raise ClaimLost(f"another worker holds the claim on {self.key}") from conflict
            finally:
                self._lost = True


def content(row: Row) -> dict[str, Any]:
    """A leased row's own content."""
    return {name: value for name, value in row.body.items() if name not in ("epoch", "holder", "until")}


def is_free(store: Store, row: Row) -> bool:
    """Nobody holds it: given back, run out, its process gone, or written before the clock went back."""
    body, now = row.body, store.now()
    if not body.get("holder"):
        return True
    void = float(body.get("until", 0)) <= now or now < row.written - CLOCK_TOLERANCE
    return void or store.gone(str(body["holder"]))


def take(store: Store, table: str, row: Row, holder: str, changed: Mapping[str, Any] | None = None) -> Lease | None:
    """Take the lease on a row as it was read; None when somebody holds it or was quicker."""
    if not is_free(store, row):
        return None
    lease = Lease(store, table, row, {**content(row), **(changed or {})}, holder, orphaned=bool(row.body.get("holder")))
    try:
        lease.commit([])
    except ClaimLost:
        return None
    return lease


def take_at(store: Store, table: str, partition: str, key: str, row: Row | None, holder: str) -> Lease | None:
    """Take the lease on the row of this key as it was read (None: it was not there, and is made); None as `take` gives it."""
    if row is None:
        try:
            [version] = store.commit(table, partition, [Insert(key, {})])
        except Conflict:
            return None
        row = Row(partition, key, {}, version, store.now())
    return take(store, table, row, holder)


class Keeper:
    """Renews the leases in hand every 30 seconds, side by side, from a timer thread, for as long as a visit lasts."""

    def __init__(self) -> None:
        self._held: set[Lease] = set()
        self._guard = threading.Lock()
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Keeper]:
        thread = threading.Thread(target=self._run, name="bic-leases", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    @contextmanager
    def held(self, lease: Lease) -> Iterator[Lease]:
        """Renewed while in hand, given back afterwards."""
        with self._guard:
            self._held.add(lease)
        try:
            yield lease
        finally:
            with self._guard:
                self._held.discard(lease)
            try:
                lease.release()
            except ClaimLost:
                log.warning("the claim on %s had been lost", lease.key)

    def _run(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            with self._guard:
                held = list(self._held)
            for lease in held:  # one that hangs holds up no other, nor the end of the visit
                threading.Thread(target=self._renew, args=(lease,), name="bic-lease", daemon=True).start()

    def _renew(self, lease: Lease) -> None:
        """A renewal that the ledger could not take is tried again next time; the holder asks `check` before it publishes."""
        try:
            lease.renew()
        except ClaimLost:
            with self._guard:
                self._held.discard(lease)
        except BicError:
            return
