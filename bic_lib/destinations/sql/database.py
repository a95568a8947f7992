"""The `sql_database` destination: a TableDestination over SQLite or SQL Server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from sqlalchemy import Engine, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from bic_lib.core.columns import Value, moment
from bic_lib.core.errors import BicError, SettingsError, Unexpected
from bic_lib.core.model import Document, Outcome
from bic_lib.core.ports.preflight import Check
from bic_lib.core.ports.tables import Loaded, StoredFile
from bic_lib.core.rows import SessionRows
from bic_lib.core.searching import Search, Sought
from bic_lib.destinations.sql import connection_strings, odbc, schema, sqlite, sqlserver, sqlserver_errors, tables
from bic_lib.destinations.sql.load import Loader, tried
from bic_lib.destinations.sql.reading import Reader
from bic_lib.destinations.sql.search import search
from bic_lib.destinations.sql.tables import OF_EVENT, OF_SESSION
from bic_lib.destinations.sql.transaction import Transaction
from bic_lib.destinations.sql.views import Dialect


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the two kinds of database, beside their transactions."""

    dialect: Dialect
    transaction: type[Transaction]
    translated: Callable[[Exception, str], BicError]


def create(
    *,
    connection_string: str,
    store_system_information: bool = True,
    token: Callable[[], str] | None = None,
    wait: float = 60.0,
) -> SqlDatabase:
    """The destination for an SQLAlchemy URL (`sqlite:///…`, `mssql+pyodbc://…`) or an ODBC connection string.

    `token` gives an Entra ID access token for the database; it is asked when the connection string names no user. `wait`,
    in seconds, is for a locked file or the answer to a login. Nothing is opened yet. Raises SettingsError for an unusable string.
    """
    if "://" in connection_string.partition("=")[0]:
        try:
            url = make_url(connection_string)
        except (ArgumentError, ValueError):  # whose text may hold a piece of the password
            raise SettingsError("The connection string is no SQLAlchemy URL.", hint=_FORMS) from None
        if url.get_backend_name() == "sqlite":
            kind = Kind("sqlite", sqlite.SqliteTransaction, sqlite.translated)
            engine = sqlite.engine(url, wait=wait)
            return SqlDatabase(kind, lambda: engine, sqlite.name(url), store_system_information)
        parts = connection_strings.from_url(url)
    else:
        parts = connection_strings.parse(connection_string)
    kind = Kind("mssql", sqlserver.SqlServerTransaction, sqlserver_errors.translated)
    return SqlDatabase(
        kind, lambda: odbc.engine(parts, token=token, wait=wait), connection_strings.name(parts), store_system_information
    )


_FORMS = "Write sqlite:///sessions.sqlite, mssql+pyodbc://user:password@server/database, or SERVER=…;DATABASE=…;UID=…;PWD=…"


def _row(session: int, file: StoredFile) -> tuple[Value, ...]:
    stored_at = moment(str(int(file.stored_at)))
    values = (file.data, file.instance, file.destination, file.location, file.size, file.sha256, stored_at, file.state)
    return session, *(None if value == "" else value for value in values)


_SESSIONS = "SELECT s.host_name, s.lsid, l.session_id FROM session AS s LEFT JOIN bic_load AS l ON l.session_id = s.id"


def _strays(table: Table) -> str:
    """How many of its rows have no parent: what keeps that from happening may be switched off, or never have been there."""
    parent = "session_event" if table in OF_EVENT else "session"
    return f"SELECT COUNT(*) FROM {table.name} AS c LEFT JOIN {parent} AS p ON p.id = c.{parent}_id WHERE p.id IS NULL"  # noqa: S608


class SqlDatabase:
    """A TableDestination (ports.py). Tables are made at first use; threads may share it."""

    def __init__(self, kind: Kind, engine: Callable[[], Engine], name: str, store_system_information: bool) -> None:
        self.name = name
        self._kind = kind
        self._make_engine = engine
        self._prepared = False
        self._preparing = Lock()
        self._loader = Loader(self.opened, store_system_information=store_system_information)
        self._reader = Reader(self.opened)

    @property
    def dialect(self) -> Dialect:
        return self._kind.dialect

    @cached_property
    def engine(self) -> Engine:
        """Made when first needed, for that loads the database's driver."""
        return self._make_engine()

    def load(self, host_name: str, documents: Sequence[Document], *, force: bool = False) -> list[Outcome]:
        self._prepare()
        return self._loader.load(host_name, documents, force=force)

    def loaded(self, host_name: str, lsids: Sequence[str]) -> list[Loaded]:
        self._prepare()
        with self.opened() as transaction:
            known = transaction.known(host_name, list(dict.fromkeys(lsids)))
        return [Loaded(lsid, there.fingerprint, there.rows_sha256 or "") for lsid, there in known.items() if there.fingerprint]

    def digests(self, host_name: str, lsids: Sequence[str]) -> dict[str, str]:
        self._prepare()
        return self._reader.digests(host_name, lsids)

    def rows(self, host_name: str, lsid: str) -> SessionRows | None:
        self._prepare()
        return self._reader.rows(host_name, lsid)

    def remove(self, host_name: str, lsids: Sequence[str]) -> None:
        self._prepare()

        def removed() -> None:
            with self.opened() as transaction, transaction.begun(host_name.casefold()):
                transaction.remove_sessions([known.id for known in transaction.known(host_name, list(lsids)).values()])

        tried(removed)

    def sessions(self) -> Iterator[tuple[str, str, bool]]:
        self._prepare()
        with self.opened() as transaction:
            for host, lsid, load in transaction.stream(_SESSIONS):
                yield host or "", lsid or "", load is not None

    def is_empty(self) -> bool:
        self._prepare()
        with self.opened() as transaction:
            [(last,)] = transaction.run("SELECT MAX(id) FROM session")
        return last is None

    def strays(self) -> Mapping[str, int]:
        self._prepare()
        with self.opened() as transaction:
            counts = [(table.name, *next(transaction.stream(_strays(table)))) for table in (*OF_SESSION, *OF_EVENT)]
        return {name: count for name, count in counts if count}

    def search(self, sought: Sought) -> Search:
        self._prepare()
        with self.opened() as transaction:
            return search(transaction, self.dialect, sought)

    def note_files(self, host_name: str, files: Mapping[str, Sequence[StoredFile]]) -> None:
        self._prepare()
        tried(lambda: self._note_files(host_name, files))

    def _note_files(self, host_name: str, files: Mapping[str, Sequence[StoredFile]]) -> None:
        with self.opened() as transaction, transaction.begun(host_name.casefold()):
            keys = {lsid: known.id for lsid, known in transaction.known(host_name, list(files)).items()}
            transaction.note_files(list(keys.values()), [_row(key, file) for lsid, key in keys.items() for file in files[lsid]])

    def catch_up(self) -> bool:
        self._prepare()
        with self.opened() as transaction, transaction.begun("bic_search"):
            return transaction.index_earlier()

    def checks(self) -> list[Check]:
        """Connects, makes the tables if they are not there, writes and removes one session."""
        try:
            self._prepare()
            with self.opened() as transaction:
                transaction.begin("bic_check")
                try:
                    transaction.insert(tables.session, ("lsid", "host_name"), [("bic-check", "bic-check")])
                    transaction.run("DELETE FROM session WHERE host_name = 'bic-check' AND lsid = 'bic-check'")
                finally:
                    transaction.rollback()
                unseen = schema.unseen_views(transaction)
        except BicError as error:
            return [Check(self.name, "write", ok=False, detail=error.message, hint=error.hint)]
        views = f"; this login has no right to see {', '.join(unseen)} (loading needs none of them)" if unseen else ""
        hint = (
            "For whoever asks them: GRANT SELECT ON each; one that is gone is in `bic schema --sql --missing`." if unseen else ""
        )
        return [
            Check(self.name, "write", ok=True, detail=f"tables are there; a session was written and removed{views}", hint=hint)
        ]

    def missing(self) -> str:
        """The statements that lead from what is there to what loading needs; nothing is changed. Raises DestinationError."""
        with self.opened() as transaction:
            return schema.missing(transaction, self._kind.dialect)

    def _prepare(self) -> None:
        with self._preparing:
            if not self._prepared:
                tried(self._make_tables)
                self._prepared = True

    def _make_tables(self) -> None:
        with self.opened() as transaction:
            schema.prepare(transaction, self._kind.dialect, self.name)

    @contextmanager
    def opened(self) -> Iterator[Transaction]:
        """A connection for one piece of work. The vendor's errors become ours here, and only here."""
        try:
            with self.engine.connect() as connection:
                yield self._kind.transaction(connection)
        except DBAPIError as error:
            self._prepared = False  # whatever it was, somebody may have changed the database meanwhile
            raise self._kind.translated(error.orig if isinstance(error.orig, Exception) else error, self.name) from error
        except (UnicodeError, OverflowError) as error:  # the driver's own, for a value that it can't bind
            raise Unexpected(f"a value can't be stored ({type(error).__name__})") from error
