"""Notices: what people are to be told, one row a cause, for as long as the cause lasts.

A row is written wherever a cause shows; only a tick sends messages and notes that it did (:mod:`bic_lib.notices.notify`). All
rows stand in one partition, with the time of the last look for causes: a tick without news costs one range read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from bic_lib.core.errors import Conflict
from bic_lib.core.ports.store import Delete, Insert, Replace, Row, Store
from bic_lib.ledger.contention import attempts
from bic_lib.ledger.history import RUNS

_NOTICES = "notices"
_LOOK, _HEARTBEAT = "\0look", "\0heartbeat"
"""No cause begins like this."""


class Lasts(StrEnum):
    """How a cause ends."""

    SEEN = "seen"
    """With the first look at the ledger that does not find it."""
    EVENT = "event"
    """By itself, a day after it happened last."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that people are to be told. `key` tells it from others and stays the same while it lasts.

    `at` is when it began (an event: happened), on the ledger's clock. `patience` is how long it may last before it is worth a
    mail, seconds. `all_clear` is what its end means. No text holds personal data or a secret.
    """

    key: str
    subject: str
    text: str
    at: float
    lasts: Lasts
    patience: float = 0.0
    all_clear: str = "It is over."


@dataclass(frozen=True, slots=True)
class Notice:
    """A cause as the ledger knows it: first and last told, how often, last sent (None: not yet), over since (None: lasts).

    `left` are the ways (by name) that did not take what was sent last, while others did.
    """

    cause: Cause
    first: float
    last: float
    count: int = 1
    sent: float | None = None
    over: float | None = None
    left: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Noticed:
    """All notices at one moment; when somebody last looked the whole ledger through for causes, and sent the heartbeat."""

    notices: list[Notice]
    look: Row | None
    heartbeat: Row | None = None


class Notices:
    """Reading and writing notices."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def read(self) -> Noticed:
        rows = list(self.store.scan(RUNS, _NOTICES))
        ours = {row.key: row for row in rows if row.key in (_LOOK, _HEARTBEAT)}
        return Noticed([_notice(row) for row in rows if row.key not in ours], ours.get(_LOOK), ours.get(_HEARTBEAT))

    def tell(self, cause: Cause) -> None:
        """Note a cause, or that it is still there."""
        last = cause.at if cause.lasts is Lasts.EVENT else max(cause.at, self.store.now())

        def told(known: Notice | None) -> Notice:
            if known is None:
                return Notice(cause, cause.at, last)
            happened = last > known.last or cause.lasts is not Lasts.EVENT
            return replace(known, cause=cause, last=max(last, known.last), count=known.count + happened, over=None)

        self._change(cause.key, told)

    def clear(self, key: str) -> None:
        """The cause is gone: an all-clear follows if it had been mailed, else the notice just goes."""
        self._change(key, lambda known: known and (replace(known, over=known.over or self.store.now()) if known.sent else None))

    def mark_sent(self, notice: Notice, sent: float | None, left: tuple[str, ...] = ()) -> Notice | None:
        """Note the time of a message, only if nobody else touched the notice; None when somebody did."""
        marked = replace(notice, sent=sent, left=left)
        try:
            version = self.store.commit(RUNS, _NOTICES, [Replace(notice.cause.key, _body(marked), notice.version)])[0]
        except Conflict:
            return None
        return replace(marked, version=version)

    def forget(self, notice: Notice) -> None:
        """Take the notice away, unless its cause showed again meanwhile."""
        try:
            self.store.commit(RUNS, _NOTICES, [Delete(notice.cause.key, notice.version)])
        except Conflict:
            return

    def may_look(self, last: Row | None, now: float, every: float) -> bool:
        """Whether the last look at the whole ledger is `every` seconds ago; if so it is noted, and ours to make."""
        return self._claim(_LOOK, last, now, every, {}) is not None

    def may_beat(self, last: Row | None, now: float, every: float) -> Row | None:
        """The row of the heartbeat, if the last one is `every` seconds ago and this one is ours to send."""
        said = {name: value for name, value in (last.body if last else {}).items() if name != "at"}
        return self._claim(_HEARTBEAT, last, now, every, said)

    def beaten(self, row: Row, failed: float | None, why: str) -> None:
        """Note since when heartbeats can't be told, and why; None and "" when they can."""
        body = {"at": row.body["at"], "failed": failed, "why": why}
        if body != {"failed": None, "why": "", **row.body}:
            self._write(_HEARTBEAT, row, body)

    def _claim(self, key: str, last: Row | None, now: float, every: float, said: Mapping[str, object]) -> Row | None:
        if last and 0 <= now - last.body["at"] < every:
            return None
        return self._write(key, last, {**said, "at": now})

    def _write(self, key: str, last: Row | None, body: dict[str, Any]) -> Row | None:
        """None when somebody else wrote it."""
        try:
            [version] = self.store.commit(RUNS, _NOTICES, [Replace(key, body, last.version) if last else Insert(key, body)])
        except Conflict:
            return None
        return Row(_NOTICES, key, body, version, self.store.now())

    def _change(self, key: str, change: Callable[[Notice | None], Notice | None]) -> None:
        for _ in attempts(f"notice {key}"):
            row = self.store.get(RUNS, _NOTICES, key)
            changed = change(_notice(row) if row else None)
            try:
                if changed is None and row:
                    self.store.commit(RUNS, _NOTICES, [Delete(key, row.version)])
                elif changed:
                    body = _body(changed)
                    self.store.commit(RUNS, _NOTICES, [Replace(key, body, row.version) if row else Insert(key, body)])
            except Conflict:
                continue
            return


def _body(notice: Notice) -> dict[str, object]:
    body = asdict(notice)
    del body["version"]
    return body


def _notice(row: Row) -> Notice:
    body = dict(row.body)
    cause = dict(body.pop("cause"))
    left = tuple(body.pop("left", ()))
    return Notice(Cause(**{**cause, "lasts": Lasts(cause["lasts"])}), **body, left=left, version=row.version)
