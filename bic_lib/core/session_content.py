"""What happened in one session, as people read it: pure, from its rows (docs/design.md 15).

The rows come from the stored document or from a database: both give the same content, but for what a database was told to leave
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bic_lib.core.columns import COLUMNS, Value, number

if TYPE_CHECKING:
    from bic_lib.core.rows import SessionRows

CHAT = "Chat Message"
MOVED = frozenset({"File Upload", "File Download", "File Upload Failed", "File Download Failed", "Files Shared"})
"""Types of events (docs/appliance.md 3.11): what was said, and what moved between the two machines. So the views have it too."""

Fields = dict[str, Value]
"""A row by its columns; times as ISO 8601 in UTC."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: who did what to whom, with the values that it carries, in their order."""

    time: str | None
    type: str
    by: str
    by_role: str
    to: str
    to_role: str
    data: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        return [value for held, value in self.data if held == name]


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a chat."""

    time: str | None
    author: str
    role: str
    recipient: str
    line: str


@dataclass(frozen=True, slots=True)
class Move:
    """One file that moved, or was to; `size` in bytes, None where the event tells none."""

    time: str | None
    type: str
    by: str
    name: str
    size: int | None


@dataclass(frozen=True)
class Content:
    """A session's content: its own columns, who took part, and what happened."""

    session: Fields
    representatives: list[Fields]
    customers: list[Fields]
    teams: list[Fields]
    attributes: list[Fields]
    events: list[Event]

    @cached_property
    def chat(self) -> list[Said]:
        chat = (event for event in self.events if event.type == CHAT)
        return [Said(one.time, one.by, one.by_role, one.to, line) for one in chat for line in one.values("body")]

    @cached_property
    def files(self) -> list[Move]:
        return [move for event in self.events if event.type in MOVED for move in _moves(event)]


def content(rows: SessionRows) -> Content:
    """The content that a session's rows tell of."""
    return Content(
        _fields("session", rows.session),
        [_fields("representative", row) for row in rows.representative],
        [_fields("customer", row) for row in rows.customer],
        [_fields("team", row) for row in rows.team],
        [_fields("custom_attribute", row) for row in rows.custom_attribute],
        list(_events(rows)),
    )


def _fields(table: str, row: Sequence[Value]) -> Fields:
    return {name: _iso(value) if name.endswith("_time") else value for name, value in zip(COLUMNS[table], row, strict=True)}


def _events(rows: SessionRows) -> Iterator[Event]:
    data: dict[int, list[tuple[str, str]]] = {}
    for place, name, value in rows.session_event_data:
        data.setdefault(place, []).append((name or "", value or ""))
    for place, (kind, when, *who) in enumerate(rows.session_event):
        by, by_role, to, to_role = (str(text or "") for text in who)
        yield Event(_iso(when), str(kind or ""), by, by_role, to, to_role, tuple(data.get(place, ())))


def _iso(value: Value) -> str | None:
    """A time as rows hold it, `YYYY-MM-DD HH:MM:SS` in UTC, in ISO 8601."""
    return f"{str(value).replace(' ', 'T')}Z" if value else None


def _moves(event: Event) -> Iterator[Move]:
    """An event may tell of several files: each name, then its size where there is one."""
    for place, (name, value) in enumerate(event.data):
        if name == "filename":
            follows = event.data[place + 1] if place + 1 < len(event.data) else ("", "")
            yield Move(event.time, event.type, event.by, value, _size(*follows))


def _size(name: str, value: str) -> int | None:
    try:
        return number(value) if name == "filesize" else None
    except ValueError:
        return None
