"""Which column of which table comes from where in a session document: the mapping of docs/appliance.md 10, as data.

The tables of a session's events are not here: :mod:`bic_lib.core.rows` reads them by hand, for nine rows in ten are theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

Value = str | int | None


# --- reading a value: each raises ValueError for what it can't read ---------------------------------------------------


def number(raw: str) -> int:
    """A whole number of at most 64 bits."""
    value = int(raw) if raw.isascii() and raw.removeprefix("-").isdigit() else None
    if value is None or not -(2**63) <= value < 2**63:
        raise ValueError(raw)
    return value


def flag(raw: str) -> int:
    """1 or 0 (docs/appliance.md 3.2)."""
    if raw not in _FLAGS:
        raise ValueError(raw)
    return _FLAGS[raw]


def moment(raw: str) -> str:
    """Unix seconds, or ISO 8601 (without an offset: UTC), as UTC text to the second."""
    try:
        if raw.isdecimal():
            days, second = divmod(int(raw), 86_400)
            return _date(days) + _minute(second // 60) + _SECONDS[second % 60]
        when = datetime.fromisoformat(raw)
        when = when.astimezone(UTC) if when.tzinfo else when
        return when.replace(tzinfo=None, microsecond=0).isoformat(" ")
    except OverflowError as error:
        raise ValueError(raw) from error


# A time an event is what costs most of it: days are few, and so are the minutes of a day, but not those of ninety.


@lru_cache(maxsize=512)
def _date(days: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)).date().isoformat()


@lru_cache(maxsize=1440)
def _minute(of_day: int) -> str:
    return f" {of_day // 60:02}:{of_day % 60:02}"


_SECONDS = tuple(f":{second:02}" for second in range(60))


_FLAGS = {"1": 1, "0": 0, "true": 1, "false": 0}


# --- the mapping -----------------------------------------------------------------------------------------------------


class Source(NamedTuple):
    """Where a column comes from: the first of its places that is there and can be read, else `default`.

    A place is a path below the row's element: `os`, `info/name`, `@id`, `start_time/@timestamp`, `.` (its own text). Places in
    parentheses are not in the element: `(host)` is the configured host, `(primary)` tells whether the session names this one as
    its primary, and `(primary_customer)` is the name that the session gives to its primary customer.
    """

    first: tuple[str, str]
    read: Callable[[str], Value]
    others: tuple[tuple[str, str], ...]
    default: Value
    column: str


def _from(column: str, *places: str, read: Callable[[str], Value] = str, default: Value = None) -> Source:
    first, *others = map(_place, places)
    return Source(first, read, (first,) if first[0] == "(host)" else tuple(others), default, column)


def _place(path: str) -> tuple[str, str]:
    """Element and attribute ("": its text) of a place."""
    element, _, attribute = path.partition("@")
    return element.rstrip("/") or ".", attribute


SESSION = (
    _from("lsid", "@lsid"),
    _from("type", "session_type"),
    _from("start_time", "start_time/@timestamp", "start_time/@ts", "start_time", read=moment),
    _from("end_time", "end_time/@timestamp", "end_time/@ts", "end_time", read=moment),
    _from("duration", "duration"),
    _from("file_transfers", "file_transfer_count", read=number),
    _from("host_name", "(host)"),
    _from("external_key", "external_key"),
    _from("public_site_id", "public_site/@id", read=number, default=1),
    _from("public_site_name", "public_site", default="Default"),
    _from("lseq", "lseq", read=number),
    _from("jump_group_id", "jump_group/@id", read=number),
    _from("jump_group_name", "jump_group"),
)
REPRESENTATIVE = (
    _from("gs_number", "@gsnumber", read=number),
    _from("user_id", "@id", read=number),
    _from("user_name", "username"),
    _from("display_name", "private_display_name", "display_name"),
    _from("public_display_name", "public_display_name", "display_name"),
    _from("display_number", "display_number", read=number),
    _from("public_ip", "public_ip"),
    _from("private_ip", "private_ip"),
    _from("is_owner", "session_owner", read=flag),
    _from("is_primary", "primary_rep", "(primary)", read=flag),
    _from("duration", "seconds_involved", read=number),
    _from("host_name", "hostname"),
    _from("operating_system", "os"),
)
CUSTOMER = (
    _from("gs_number", "@gsnumber", read=number),
    _from("issue", "info/issue"),
    _from("issue_description", "info/details"),
    _from("display_name", "info/name", "username", "(primary_customer)"),
    _from("company_name", "info/company"),
    _from("company_code", "info/company_code"),
    _from("public_ip", "public_ip"),
    _from("private_ip", "private_ip"),
    _from("rpat_support", "rpat_support", read=flag, default=0),
    _from("host_name", "hostname"),
    _from("operating_system", "os"),
)
TEAM = (
    _from("team_id", "@id", read=number),
    _from("name", "name", "."),
    _from("is_primary", "primary_team", "(primary)", read=flag),
)
CUSTOM_ATTRIBUTE = (
    _from("display_name", "@display_name"),
    _from("code_name", "@code_name"),
    _from("value", "."),
)


def _columns(sources: tuple[Source, ...]) -> tuple[str, ...]:
    return tuple(source.column for source in sources)


COLUMNS: dict[str, tuple[str, ...]] = {
    "session": _columns(SESSION),
    "session_event": ("type", "event_time", "performed_by", "performed_by_type", "destination", "destination_type"),
    "session_event_data": ("name", "value"),
    "system_information": ("category", "information"),
    "representative": _columns(REPRESENTATIVE),
    "customer": _columns(CUSTOMER),
    "team": _columns(TEAM),
    "custom_attribute": _columns(CUSTOM_ATTRIBUTE),
    "bic_recording": ("data", "instance"),
    "bic_survey_answer": ("survey", "gs_number", "question", "answer"),
    "bic_event_performer": ("gs_number",),
}
"""The columns of each table that come from the document, in the order of the rows here; ids and keys are the database's."""
