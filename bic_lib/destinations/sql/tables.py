"""The tables, defined once for SQLite and SQL Server: the eight of the vendor's guide, and ours (prefix `bic_`).

Names and columns are the guide's, for other software reads them by name; sizes are ours, since the guide names none. SQLite does
not enforce a text's length, SQL Server does (see :mod:`.fitting` for what is done with a longer one).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Integer, MetaData, Table, Unicode, UniqueConstraint
from sqlalchemy.dialects.mssql import DATETIME2
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from bic_lib.core.model import LSID_LIMIT

VERSION = 4
"""Raised whenever a column or table is added here, or a view changes: see :mod:`.schema`."""

KEY_LENGTH = 400
"""UTF-16 units of an external key by which SQL Server finds it: an index takes 1,700 bytes."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_SHORT = Unicode(255)
_NAME = Unicode(1024)
_LONG = Unicode()
_NUMBER = BigInteger()
_FLAG = Integer()
_TIME = DateTime().with_variant(DATETIME2(), "mssql")  # type: ignore[no-untyped-call]  # SQLAlchemy's own
_KEY = BigInteger().with_variant(Integer(), "sqlite")


def _anyhow_spelt(length: int) -> TypeEngine[str]:
    """Text compared without case, as SQL Server does by itself."""
    return Unicode(length, collation="NOCASE").with_variant(Unicode(length), "mssql")


def _id() -> Column[int]:
    return Column("id", _KEY, primary_key=True, autoincrement=True)


def _parent(table: str) -> Column[int]:
    return Column(f"{table}_id", _KEY, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False, index=True)


def _table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts)


session = _table(
    "session",
    _id(),
    Column("lsid", _anyhow_spelt(LSID_LIMIT), nullable=False, index=True),
    Column("type", _SHORT),
    Column("start_time", _TIME, index=True),
    Column("end_time", _TIME),
    Column("duration", _SHORT),
    Column("file_transfers", _NUMBER),
    Column("host_name", _anyhow_spelt(255), nullable=False),
    Column("external_key", _NAME, index=True),
    Column("public_site_id", _NUMBER),
    Column("public_site_name", _SHORT),
    Column("lseq", _NUMBER),
    Column("jump_group_id", _NUMBER),
    Column("jump_group_name", _NAME),
    UniqueConstraint("host_name", "lsid"),
)

session_event = _table(
    "session_event",
    _id(),
    _parent("session"),
    Column("type", _SHORT),
    Column("event_time", _TIME),
    Column("performed_by", _NAME),
    Column("performed_by_type", _SHORT),
    Column("destination", _NAME),
    Column("destination_type", _SHORT),
)

session_event_data = _table(
    "session_event_data",
    _id(),
    _parent("session_event"),
    Column("name", _SHORT),
    Column("value", _LONG),
)

system_information = _table(
    "system_information",
    _id(),
    _parent("session_event"),
    Column("category", _SHORT),
    Column("information", _LONG),
)

representative = _table(
    "representative",
    _id(),
    _parent("session"),
    Column("gs_number", _NUMBER),
    Column("user_id", _NUMBER, index=True),
    Column("user_name", _NAME, index=True),
    Column("display_name", _NAME, index=True),
    Column("public_display_name", _NAME),
    Column("display_number", _NUMBER),
    Column("public_ip", _SHORT),
    Column("private_ip", _SHORT),
    Column("is_owner", _FLAG),
    Column("is_primary", _FLAG),
    Column("duration", _NUMBER),
    Column("host_name", _SHORT),
    Column("operating_system", _SHORT),
)

customer = _table(
    "customer",
    _id(),
    _parent("session"),
    Column("gs_number", _NUMBER),
    Column("issue", _SHORT),
    Column("issue_description", _LONG),
    Column("display_name", _NAME, index=True),
    Column("company_name", _NAME),
    Column("company_code", _NAME),
    Column("public_ip", _SHORT),
    Column("private_ip", _SHORT),
    Column("rpat_support", _FLAG),
    Column("host_name", _SHORT, index=True),
    Column("operating_system", _SHORT),
)

team = _table(
    "team",
    _id(),
    _parent("session"),
    Column("team_id", _NUMBER),
    Column("name", _NAME),
    Column("is_primary", _FLAG),
)

custom_attribute = _table(
    "custom_attribute",
    _id(),
    _parent("session"),
    Column("display_name", _NAME),
    Column("code_name", _SHORT),
    Column("value", _LONG),
)

bic_recording = _table(
    "bic_recording",
    _id(),
    _parent("session"),
    Column("data", _SHORT),
    Column("instance", _NUMBER),
    Column("location", _LONG),
)
"""`location` held the appliance's signed link, which opens a recording for whoever has it: since version 2 it is NULL."""

bic_survey_answer = _table(
    "bic_survey_answer",
    _id(),
    _parent("session"),
    Column("survey", _SHORT),
    Column("gs_number", _NUMBER),
    Column("question", _NAME),
    Column("answer", _LONG),
)
"""What was answered in exit surveys, which the guide's tables have no place for."""

bic_event_performer = _table(
    "bic_event_performer",
    Column(
        "session_event_id",
        _KEY,
        ForeignKey("session_event.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("gs_number", _NUMBER),
)
"""Who did it, by number: names alone are not unique. No row where it was the system, or a program before version 3 loaded it."""

bic_load = _table(
    "bic_load",
    Column("session_id", _KEY, ForeignKey("session.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("fingerprint", _SHORT, nullable=False),
    Column("fetched_at", _TIME),
    Column("rows_sha256", _SHORT),
    Column("external_key", Unicode(KEY_LENGTH), index=True),
)
"""What was loaded last. Programs before version 2 write no `rows_sha256`: whatever they load has NULL there.

`external_key` is the session's, cut, for SQL Server to find it by; programs before version 3 write none.
"""

bic_file = _table(
    "bic_file",
    _id(),
    _parent("session"),
    Column("data", _SHORT),
    Column("instance", _NUMBER),
    Column("destination", _SHORT),
    Column("location", _LONG),
    Column("bytes", _NUMBER),
    Column("sha256", _SHORT),
    Column("stored_at", _TIME),
    Column("state", _SHORT),
)
"""Where the session's files lie, as the ledger knows it: derived, outside the digest, and maybe behind (docs/sql.md)."""

FILE_COLUMNS = ("data", "instance", "destination", "location", "bytes", "sha256", "stored_at", "state")

bic_schema = _table("bic_schema", Column("version", Integer, primary_key=True, autoincrement=False))

OF_SESSION = (session_event, representative, customer, team, custom_attribute, bic_recording, bic_survey_answer)
"""Tables whose rows hang below a session, in the order in which they are written."""

OF_EVENT = (session_event_data, system_information, bic_event_performer)
"""Tables whose rows hang below an event."""

BESIDE = (bic_load, bic_file)
"""Tables about a session that are no part of it: a load leaves `bic_file` as it is."""

GUIDE = (session, session_event, session_event_data, system_information, representative, customer, team, custom_attribute)
"""The guide's eight tables."""
