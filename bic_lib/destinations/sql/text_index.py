"""Full-text search: the FTS5 table of SQLite, written with each load, and the catalog that a DBA may switch on in SQL Server.

A load never waits for it and never fails by it: sessions that were there before it are taken in later, the newest first, and an
index that refuses is made anew (docs/sql.md, "Search").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from bic_lib.core.searching import Sought

TEXT_TABLE = "bic_search"
GIVEN_UP = "bic_search_given_up"
"""A table of this name says that the index is so damaged that it can't even be taken away: nobody writes or asks it."""
TEXT_INDEX = (
    f"CREATE VIRTUAL TABLE {TEXT_TABLE} USING fts5"
    "(words, people, machine, external_key, tokenize = 'unicode61 remove_diacritics 2')"
)

SAID = ("body", "encoded_body", "filename")
"""Event data that people look for: what was said or noted, and the names of files. The rest is for machines."""

_DATA = ", ".join(f"'{name}'" for name in SAID)


def _joined(column: str, source: str) -> str:
    return f"(SELECT GROUP_CONCAT({column}, char(10)) FROM {source})"  # noqa: S608  our own names


_WORDS = " || char(10) || ".join(
    f"COALESCE({text}, '')"
    for text in (
        _joined(
            "d.value",
            "session_event AS e CROSS JOIN session_event_data AS d ON d.session_event_id = e.id"
            f" WHERE e.session_id = s.id AND d.name IN ({_DATA})",
        ),
        _joined("c.issue_description", "customer AS c WHERE c.session_id = s.id"),
        _joined("a.value", "custom_attribute AS a WHERE a.session_id = s.id"),
        _joined("q.answer", "bic_survey_answer AS q WHERE q.session_id = s.id"),
    )
)
_PEOPLE = " || char(10) || ".join(
    f"COALESCE({text}, '')"
    for text in (
        _joined("COALESCE(c.display_name, '') || ' ' || COALESCE(c.company_name, '')", "customer AS c WHERE c.session_id = s.id"),
        _joined(
            "COALESCE(r.display_name, '') || ' ' || COALESCE(r.user_name, '') || ' ' || COALESCE(r.public_display_name, '')",
            "representative AS r WHERE r.session_id = s.id",
        ),
    )
)
_MACHINE = _joined("c.host_name", "customer AS c WHERE c.session_id = s.id")

INDEXED = f"SELECT s.id, {_WORDS}, {_PEOPLE}, {_MACHINE}, s.external_key FROM"
INTO = f"INSERT OR REPLACE INTO {TEXT_TABLE} (rowid, words, people, machine, external_key)"

INDEX_LOADED = f"{INTO} {INDEXED} json_each(?) AS j CROSS JOIN session AS s ON s.id = j.value"
"""Take in the sessions of a JSON list of ids."""
FORGET = f"DELETE FROM {TEXT_TABLE} WHERE rowid IN (SELECT value FROM json_each(?))"  # noqa: S608
INDEX_EARLIER = f"{INTO} {INDEXED} session AS s WHERE s.id < ? ORDER BY s.id DESC LIMIT ?"
FIRST_INDEXED = f"SELECT MIN(id) FROM {TEXT_TABLE}_content"  # noqa: S608
"""FTS5 keeps what it indexes in this table: the lowest id in it is that down to which all sessions are in the index."""

_FULL_TEXT = {
    "session_event_data": ("value",),
    "customer": ("display_name", "company_name", "host_name", "issue_description"),
    "representative": ("display_name", "user_name", "public_display_name"),
    "custom_attribute": ("value",),
    "bic_survey_answer": ("answer",),
}


def full_text() -> list[str]:
    """What a DBA runs on SQL Server, if search shall go by words there; words of any language are split as they are written."""
    indexes = [
        f"CREATE FULLTEXT INDEX ON {table} ({', '.join(f'{column} LANGUAGE 0' for column in columns)})"
        f" KEY INDEX pk_{table} ON {TEXT_TABLE}"
        for table, columns in _FULL_TEXT.items()
    ]
    return [f"CREATE FULLTEXT CATALOG {TEXT_TABLE}", *indexes]


HAS_FULL_TEXT = "SELECT COUNT(*) FROM sys.fulltext_indexes WHERE object_id = OBJECT_ID('session_event_data')"


# --- what is asked ---------------------------------------------------------------------------------------------------


def match(sought: Sought) -> str:
    """The question in the language of FTS5: the beginnings of words, all of them; "" where no words are asked for."""
    wanted = (("", sought.words), ("people : ", sought.person), ("machine : ", sought.machine))
    return " AND ".join(f'{column}"{word}"*' for column, text in wanted for word in words(text))


class _Texts(NamedTuple):
    """Texts of a session: where they are, by what they belong to it, and which columns."""

    source: str
    session: str
    columns: tuple[str, ...]


_CUSTOMER = _Texts("customer AS c", "c.session_id", ("c.display_name", "c.company_name", "c.host_name", "c.issue_description"))
_REPRESENTATIVE = _Texts("representative AS r", "r.session_id", ("r.display_name", "r.user_name", "r.public_display_name"))
_EVERYTHING = (
    _Texts(
        f"session_event AS e INNER JOIN session_event_data AS d ON d.session_event_id = e.id AND d.name IN ({_DATA})",
        "e.session_id",
        ("d.value",),
    ),
    _CUSTOMER,
    _REPRESENTATIVE,
    _Texts("custom_attribute AS a", "a.session_id", ("a.value",)),
    _Texts("bic_survey_answer AS q", "q.session_id", ("q.answer",)),
)
_EVERYBODY = (_CUSTOMER._replace(columns=_CUSTOMER.columns[:2]), _REPRESENTATIVE)
_MACHINES = (_CUSTOMER._replace(columns=("c.host_name",)),)

Conditions = tuple[tuple[str, ...], tuple[str, ...]]
"""What sessions `s` must be, and the parameters."""


def contained(sought: Sought) -> Conditions:
    """The question for SQL Server's full text: the beginnings of words."""

    def one(texts: _Texts) -> tuple[str, int]:
        columns = ", ".join(texts.columns)
        found = f"SELECT {texts.session} FROM {texts.source} WHERE CONTAINS(({columns}), ?)"  # noqa: S608  our own names
        return f"s.id IN ({found})", 1

    return _conditions(sought, one, lambda word: f'"{word}*"')


def alike(sought: Sought) -> Conditions:
    """The question without any index: parts of texts, session by session."""

    def one(texts: _Texts) -> tuple[str, int]:
        likes = " OR ".join(f"{column} LIKE ? ESCAPE '!'" for column in texts.columns)
        found = f"SELECT 1 FROM {texts.source} WHERE {texts.session} = s.id AND ({likes})"  # noqa: S608  our own names
        return f"EXISTS ({found})", len(texts.columns)

    return _conditions(sought, one, lambda word: f"%{_escaped(word)}%")


def _conditions(sought: Sought, one: Callable[[_Texts], tuple[str, int]], spelt: Callable[[str], str]) -> Conditions:
    """For each word that one of the texts must have it."""
    conditions: list[str] = []
    parameters: list[str] = []
    wanted = ((sought.words, _EVERYTHING), (sought.person, _EVERYBODY), (sought.machine, _MACHINES))
    for text, places in wanted:
        for word in words(text):
            found = [one(texts) for texts in places]
            conditions.append(f"({' OR '.join(condition for condition, _ in found)})")
            parameters += [spelt(word)] * sum(marks for _, marks in found)
    return tuple(conditions), tuple(parameters)


_SIGNS = re.compile(r"^[\W_]+|[\W_]+$")


def words(text: str) -> list[str]:
    """The words of a question, without the signs around them: an index of words has no entry for signs."""
    stripped = (_SIGNS.sub("", word) for word in text.replace("\0", " ").replace('"', " ").split())
    return [word for word in stripped if word]


def _escaped(word: str) -> str:
    """Nothing in it is a pattern of LIKE."""
    return "".join(f"!{sign}" if sign in "!%_[" else sign for sign in word)
