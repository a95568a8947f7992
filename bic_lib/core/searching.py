"""Looking for sessions in a table destination: what is asked, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_FOUND = 200
"""Sessions in one answer: who gets more narrows the question."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What a session must have: all that is given. `since` and `until` bound its start (UTC text `YYYY-MM-DD[ HH:MM:SS]`).

    `words` are all to be found, in any order, in what was said, noted, answered, in file names and the names of people and
    machine; `person` and `machine` by the beginnings of their words; `key` is the whole external key.
    """

    words: str = ""
    key: str = ""
    person: str = ""
    machine: str = ""
    since: str = ""
    until: str = ""
    limit: int = MOST_FOUND


@dataclass(frozen=True, slots=True)
class FoundSession:
    """One session, with what tells it from others; times are UTC text, empty where it has none. `files`: how many were moved,
    None where nothing says it.
    """

    host_name: str
    lsid: str
    start: str
    end: str
    external_key: str
    customer: str
    machine: str
    representative: str
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """The sessions found, the newest first. `note`: what was not looked at, "" where all was; `more`: there are others."""

    sessions: list[FoundSession] = field(default_factory=list)
    note: str = ""
    more: bool = False
