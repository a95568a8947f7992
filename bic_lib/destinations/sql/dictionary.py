"""The data dictionary: each column of each table, its type, meaning, place in the session document, and an example.

`python -m bic_lib.destinations.sql.dictionary` prints docs/data-dictionary.md. Tables and types are those of :mod:`.tables`,
places those of :mod:`bic_lib.core.columns`; what no code knows, the meaning, stands here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sqlalchemy import Column, Table
from sqlalchemy.dialects import mssql

from bic_lib.core.columns import CUSTOM_ATTRIBUTE, CUSTOMER, REPRESENTATIVE, SESSION, TEAM, Source
from bic_lib.destinations.sql.tables import GUIDE, metadata

TABLES = {
    "session": "One row a session, unique by `host_name` and `lsid`. Loading it again keeps its `id`.",
    "session_event": "What happened in a session, in its order.",
    "session_event_data": "What an event carries: names and values, chats and notes (`body`), files (`filename`, `filesize`).",
    "system_information": "What was read of the customer's machine; empty with `store_system_information = false`.",
    "representative": "Who worked in a session.",
    "customer": "Who was helped, on which machine.",
    "team": "The teams of a session, by the names that they have today.",
    "custom_attribute": "Attributes that your site defines.",
    "bic_recording": "The recordings that a session announces; where they lie tells `bic_file`.",
    "bic_survey_answer": "The answers in a session's exit surveys. The view `bic_survey` adds those that only events tell.",
    "bic_event_performer": "The number of who did an event. The view `bic_event` finds name and machine by it.",
    "bic_load": "What was loaded last of each session.",
    "bic_file": "Where a session's files lie; derived from the ledger, maybe behind.",
    "bic_schema": "The versions of these tables that were made here; the highest counts.",
}

_LISTS = {
    "session": ("session", SESSION),
    "representative": ("session/rep_list/representative", REPRESENTATIVE),
    "customer": ("session/customer_list/customer", CUSTOMER),
    "team": ("session/team_list/team", TEAM),
    "custom_attribute": ("session/custom_attributes/custom_attribute", CUSTOM_ATTRIBUTE),
}
"""The element of each row, and where its columns are in it."""

_GIVEN = {
    "representative": "whether `session/primary_rep/@gsnumber` names it",
    "customer": "`session/primary_customer`",
    "team": "whether `session/primary_team/@id` names it",
}
"""What the session says of one of its rows."""

_EVENT = "session/session_details/event"
_PLACES = {
    "session_event": {
        "type": f"{_EVENT}/@event_type",
        "event_time": f"{_EVENT}/@timestamp",
        "performed_by": f"{_EVENT}/performed_by",
        "performed_by_type": f"{_EVENT}/performed_by/@type",
        "destination": f"{_EVENT}/destination",
        "destination_type": f"{_EVENT}/destination/@type",
    },
    "session_event_data": {
        "name": f"{_EVENT}/data/value/@name, or the name of `body`, `filename`, `filesize`",
        "value": f"{_EVENT}/data/value/@value; {_EVENT}/body, encoded_body, filename, filesize, files/file",
    },
    "system_information": {
        "category": f"{_EVENT}/system_information/category/@name",
        "information": f"{_EVENT}/system_information/category/*",
    },
    "bic_recording": {
        "data": "session/session_recording_download_url, command_shell_recordings, show_my_screen_recordings",
        "instance": "session/command_shell_recordings/command_shell_recording/@instance",
    },
    "bic_survey_answer": {
        "survey": "session/cust_survey_list/cust_exit_survey, rep_survey_list/rep_exit_survey",
        "gs_number": "session/cust_survey_list/cust_exit_survey/@gsnumber",
        "question": "session/cust_survey_list/cust_exit_survey/value/@name",
        "answer": "session/cust_survey_list/cust_exit_survey/value/@value",
    },
    "bic_event_performer": {"gs_number": f"{_EVENT}/performed_by/@gsnumber"},
}

Meaning = tuple[str, str]
"""What a column means, and an example."""

_SHARED: dict[str, Meaning] = {
    "id": ("key of this row, made here", "42"),
    "session_id": ("the session, `session.id`", "42"),
    "session_event_id": ("the event, `session_event.id`", "1337"),
    "gs_number": ("number of the connection within the session; one person may have two, after a reconnect", "97"),
    "public_ip": ("address as the appliance saw it, with the port", "203.0.113.17:61606"),
    "private_ip": ("address on the machine itself", "192.0.2.61"),
    "host_name": ("name of the machine", "NB-00871"),
    "operating_system": ("system of the machine", "Windows 11"),
}

MEANINGS: dict[str, dict[str, Meaning]] = {
    "session": {
        "lsid": ("the appliance's id of the session", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
        "type": ("kind of session", "support"),
        "start_time": ("when it began, UTC", "2025-03-11 14:02:17"),
        "end_time": ("when it ended, UTC; NULL while it goes on, and where it broke off", "2025-03-11 14:37:09"),
        "duration": ("how long it took, as the appliance writes it; hours may exceed 99", "00:34:52"),
        "file_transfers": ("how many files were moved", "3"),
        "host_name": ("the site's host as it is in the settings", "support.example.com"),
        "external_key": ("key of another system, such as the number of a ticket", "INC0012345"),
        "public_site_id": ("number of the public site", "2"),
        "public_site_name": ("name of the public site", "Branch Office"),
        "lseq": ("number of the session in the appliance, not unique", "48213"),
        "jump_group_id": ("number of the jump group, where the session began with a jump", "7"),
        "jump_group_name": ("name of the jump group", "Servers"),
    },
    "session_event": {
        "type": ("kind of event (docs/appliance.md 3.11)", "Chat Message"),
        "event_time": ("when, UTC", "2025-03-11 14:03:15"),
        "performed_by": ("display name of who did it; for the system the queue or product", "Bo Tester"),
        "performed_by_type": ("what did it", "representative"),
        "destination": ("to whom", "Ada Example"),
        "destination_type": ("what it was done to", "customer"),
    },
    "session_event_data": {
        "name": ("name of the value", "body"),
        "value": ("the value; NULL for links, whose names end in `_url`", "Hello, this is Cara."),
    },
    "system_information": {
        "category": ("name of the category", "General"),
        "information": ("the XML inside the category, without links", "<description>…</description>"),
    },
    "representative": {
        "user_id": ("number of the account", "14"),
        "user_name": ("name that they log in with", "bo"),
        "display_name": ("name among colleagues (the private one)", "Bo Tester"),
        "public_display_name": ("name that customers see", "Bo"),
        "display_number": ("number that customers see", "109"),
        "is_owner": ("1: owned the session", "1"),
        "is_primary": ("1: was its last owner", "1"),
        "duration": ("seconds in the session", "1444"),
        "host_name": ("name of the representative's machine", "DESK-14"),
        "operating_system": ("its system", "macOS 14.4"),
    },
    "customer": {
        "issue": ("number of the issue chosen", "12"),
        "issue_description": ("what the customer wrote about it", "Printer prints nothing"),
        "display_name": ("name of the customer", "Ada Example"),
        "company_name": ("company, as the customer wrote it", "Example & Sons"),
        "company_code": ("its code", "EX-9"),
        "rpat_support": ("1: the session was to a machine without a person", "0"),
    },
    "team": {
        "team_id": ("number of the team", "3"),
        "name": ("its name today", "Second Level"),
        "is_primary": ("1: the session's primary team", "1"),
    },
    "custom_attribute": {
        "display_name": ("name for people", "Cost Centre"),
        "code_name": ("name for programs", "cost_centre"),
        "value": ("the value", "4711"),
    },
    "bic_recording": {
        "data": ("data type of the recording", "session_recordings"),
        "instance": ("which of several, from 0", "0"),
        "location": ("NULL; it once held the appliance's link", ""),
    },
    "bic_survey_answer": {
        "survey": ("who was asked: `customer` or `representative`", "customer"),
        "gs_number": ("number of who answered", "118"),
        "question": ("name of the question", "rating"),
        "answer": ("the answer", "5"),
    },
    "bic_event_performer": {
        "gs_number": ("number of who did it, as in `representative` and `customer`; no row for the system", "97"),
    },
    "bic_load": {
        "fingerprint": ("SHA-256 of the document without its signed links", "9c0e…"),
        "fetched_at": ("the appliance's time of the answer, UTC", "2025-03-11 15:00:00"),
        "rows_sha256": ("digest of the rows (docs/sql.md)", "f6b0…"),
        "external_key": ("the session's key, cut to what an index of SQL Server takes", "INC0012345"),
    },
    "bic_file": {
        "data": ("data type", "session_recordings"),
        "instance": ("which of several recordings, from 0", "0"),
        "destination": ("name of the destination in the settings", "archive"),
        "location": ("where in the destination it lies", "2025/7c1f….mp4"),
        "bytes": ("size", "1048576"),
        "sha256": ("SHA-256 of its content", "2cf2…"),
        "stored_at": ("when it was stored, UTC", "2025-03-11 15:00:21"),
        "state": ("`stored`, `mended`, `doubtful`, `lost`", "stored"),
    },
    "bic_schema": {"version": ("version of the tables", "3")},
}


def document() -> str:
    """The page."""
    parts = [_HEAD, *(_part(table) for table in _ordered())]
    return "\n".join(parts)


_HEAD = """# Data dictionary

What stands in each column of the storage database. [sql.md](sql.md) tells how it is used,
[appliance.md](appliance.md#10-columns-of-the-sql-tables) how sure each place in the XML is. Where there are several places, the
first that is there and can be read counts. Types are SQL Server's; SQLite keeps whole numbers and texts. This page is written by
the code: `make docs`.
"""


def _ordered() -> Iterator[Table]:
    yield from GUIDE
    yield from (metadata.tables[name] for name in TABLES if name.startswith("bic_"))


def _part(table: Table) -> str:
    lines = [
        f"## {table.name}",
        "",
        TABLES[table.name],
        "",
        "| column | type | meaning | in the XML | example |",
        "|---|---|---|---|---|",
    ]
    places = _places(table.name)
    for column in table.columns:
        meaning, example = meaning_of(column)
        shown = f"`{example}`" if example else ""
        lines.append(f"| `{column.name}` | {_type(column)} | {meaning} | {places.get(column.name, '')} | {shown} |")
    return "\n".join([*lines, ""])


def meaning_of(column: Column[object]) -> Meaning:
    """What a column means, and an example. Raises KeyError for one that nobody described."""
    return MEANINGS[column.table.name].get(column.name) or _SHARED[column.name]


def _places(table: str) -> dict[str, str]:
    if table not in _LISTS:
        return {column: f"`{place}`" if " " not in place else place for column, place in _PLACES.get(table, {}).items()}
    element, sources = _LISTS[table]
    return {source.column: _place(element, source) for source in sources}


def _place(element: str, source: Source) -> str:
    known = [place for place in dict.fromkeys((source.first, *source.others)) if not place[0].startswith("(")]
    spelt = [
        f"`{element}{'' if path == '.' else f'/{path}'}{f'/@{attribute}' if attribute else ''}`" for path, attribute in known
    ]
    spelt += [_GIVEN[element.rpartition("/")[2]] for place, _ in (source.first, *source.others) if place.startswith("(primary")]
    default = f"; default `{source.default}`" if source.default is not None else ""
    return ", ".join(spelt) + default


def _type(column: Column[object]) -> str:
    return str(column.type.compile(dialect=mssql.dialect())).upper()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


if __name__ == "__main__":
    sys.stdout.buffer.write(document().encode())
