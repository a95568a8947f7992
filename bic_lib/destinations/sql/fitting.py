"""Values that a column can't hold: cut alike for every database, so that the rows of a session are the same wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Unicode

from bic_lib.core.columns import COLUMNS, Value
from bic_lib.core.rows import SessionRows
from bic_lib.destinations.sql.tables import KEY_LENGTH, metadata

_Rows = Sequence[tuple[Value, ...]]


def fit(batch: Sequence[SessionRows]) -> None:
    """Cut texts to their columns and replace NUL characters; each loss is named in the session's `warnings`.

    Lengths are SQL Server's, counted as it counts them, in UTF-16 units; SQLite would take any.
    """
    for table in COLUMNS:
        if not _fits(table, [row for rows in batch for row in _held_in(rows, table)]):
            for rows in batch:
                _fit(rows, table)


def _held_in(rows: SessionRows, table: str) -> _Rows:
    return (rows.session,) if table == "session" else getattr(rows, table)


def _fit(rows: SessionRows, table: str) -> None:
    fitted = [_fitted(table, row, rows.warnings) for row in _held_in(rows, table)]
    if table == "session":
        [rows.session] = fitted
    else:
        setattr(rows, table, fitted)


def _fits(table: str, rows: _Rows) -> bool:
    """A look column by column, of a whole batch at once: there are many rows, nearly all fit, and many are alike."""
    columns = list(zip(*rows, strict=True))
    for place, limit in _texts(table) if rows else ():
        texts = set(columns[place]) - {None}
        if texts and (2 * max(map(len, texts)) > limit or "\0" in "".join(texts)):
            return False
    return True


@cache
def _texts(table: str) -> tuple[tuple[int, int], ...]:
    """Place and limit of each column of texts; the place from a row's end, for rows below an event begin with its place."""
    limits = _limits(table)
    return tuple((place - len(limits), limit) for place, limit in enumerate(limits) if limit is not None)


def _fitted(table: str, row: tuple[Value, ...], warnings: list[str]) -> tuple[Value, ...]:
    limits = _limits(table)
    place = len(row) - len(limits)
    values = [
        _held(f"{table}.{column}", value, limit, warnings) if limit is not None and isinstance(value, str) else value
        for column, value, limit in zip(COLUMNS[table], row[place:], limits, strict=True)
    ]
    return (*row[:place], *values)


def cut(text: str) -> str | None:
    """A text as it is looked up: what an index of SQL Server can hold of it; None for none."""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * KEY_LENGTH].decode("utf-16-le", "ignore") or None


def _held(column: str, value: str, limit: int, warnings: list[str]) -> str:
    if "\0" in value:
        warnings.append(f"{column}: NUL characters replaced")
        value = value.replace("\0", "\ufffd")
    units = value.encode("utf-16-le", "surrogatepass")
    if len(units) > 2 * limit:
        warnings.append(f"{column}: {len(units) // 2} characters cut to {limit}")
        value = units[: 2 * limit].decode("utf-16-le", "ignore")
    return value


@cache
def _limits(table: str) -> tuple[int | None, ...]:
    """The limit of each column in UTF-16 units, None for one that holds no text."""
    types = [metadata.tables[table].columns[column].type for column in COLUMNS[table]]
    return tuple((kind.length or _NO_LIMIT) if isinstance(kind, Unicode) else None for kind in types)


_NO_LIMIT = 1 << 29
"""UTF-16 units of an NVARCHAR(MAX), 2 GB, less than half: a document is far smaller."""
