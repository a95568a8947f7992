"""Drivers and connections for SQL Server and Azure SQL. pyodbc is imported only when a connection is made."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event

from bic_lib.core import azure_hosts
from bic_lib.core.errors import DestinationError
from bic_lib.destinations.sql.connection_strings import as_string, name
from bic_lib.destinations.sql.transaction import Rows

SQL_COPT_SS_ACCESS_TOKEN = 1256
"""Microsoft's connection attribute for an Entra ID token (msodbcsql.h)."""

STATEMENT_SECONDS = 600
"""Longest statement: a batch takes seconds (docs/performance.md 5), a lock that nobody gives back must end."""

_INSTALL = (
    "Install Microsoft's ODBC Driver 18 for SQL Server (package msodbcsql18; Azure Functions' images have it),"
    " or name another by DRIVER= in the connection string: a driver's name, or the path of its library."
)

_NAMES_A_USER = frozenset({"UID", "PWD", "TRUSTED_CONNECTION", "AUTHENTICATION"})
_SERVER = re.compile(r"(?:tcp:)?([A-Za-z0-9.-]+)(?:,[0-9]{1,5})?")


def engine(parts: Mapping[str, str], *, token: Callable[[], str] | None, wait: float) -> Engine:
    """Connections in autocommit mode; transactions are begun by hand. Raises DestinationError where pyodbc can't be loaded."""
    return pooled(lambda: connected(parts, token=token, wait=wait))


def pooled(connect: Callable[[], Any]) -> Engine:
    """The pool over a function that connects."""
    engine = create_engine(
        "mssql+pyodbc://",
        module=_pyodbc(),
        creator=connect,
        max_overflow=-1,  # lanes limit how many load at once
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        pool_pre_ping=True,  # Azure SQL closes idle connections
        use_setinputsizes=False,  # rows are one JSON text; it has no columns to describe
    )
    event.listen(engine, "do_execute", _execute)
    return engine


def _execute(cursor: Any, statement: str, parameters: Any, _context: object) -> bool:
    execute(cursor, statement, parameters or ())
    return True


def execute(cursor: Any, statement: str, parameters: Sequence[Any]) -> None:
    """Run a statement whose texts without a limit travel as such, however short they are: so it is one statement to the server.

    What pyodbc does by itself costs three round trips with Microsoft's driver (prepare, execute, forget), or a plan for each
    length of a text. Sent within the statement it is one; FreeTDS would cut it there, and streams it in one.
    """
    if parameters and (wide := _endless(cursor.connection)):
        cursor.setinputsizes([wide if _is_wide(parameter) else None for parameter in parameters])
    cursor.execute(statement, *parameters)


def _endless(connection: Any) -> tuple[int, int, int] | None:
    """How this driver is told of a text without a limit; None for one of which that is not known, which pyodbc then tells."""
    pyodbc = _pyodbc()
    if _sends_within(connection):
        return pyodbc.SQL_WVARCHAR, 0, 0
    return (pyodbc.SQL_WLONGVARCHAR, 0, 0) if "tdsodbc" in _library(connection) else None


def _sends_within(connection: Any) -> bool:
    return any(name in _library(connection) for name in ("msodbcsql", "sqlncli"))


def _library(connection: Any) -> str:
    return str(connection.getinfo(_pyodbc().SQL_DRIVER_NAME)).lower()


def _is_wide(parameter: object) -> bool:
    return isinstance(parameter, Rows) or (isinstance(parameter, str) and 2 * len(parameter) > LONGEST_BOUND)


LONGEST_BOUND = 4_000
"""UTF-16 units of an NVARCHAR with a limit."""
_WITHIN = 1 << 30
"""Bytes that pyodbc binds at once: more than a batch has."""


def connected(parts: Mapping[str, str], *, token: Callable[[], str] | None, wait: float) -> Any:
    """A new connection. `wait` is in seconds, for the login."""
    pyodbc = _pyodbc()
    drivers = pyodbc.drivers()
    string = as_string(_with_driver(parts, driver(parts.get("DRIVER", ""), drivers)) if "DSN" not in parts else parts)
    attributes = {}
    by_token = token is not None and not _NAMES_A_USER & parts.keys()
    if by_token or parts.get("AUTHENTICATION", "").upper().startswith("ACTIVEDIRECTORY"):
        _demand_azure(parts)
    if token is not None and by_token:
        attributes[SQL_COPT_SS_ACCESS_TOKEN] = token_structure(token())
    connection = pyodbc.connect(string, autocommit=True, timeout=max(1, round(wait)), attrs_before=attributes)
    connection.timeout = STATEMENT_SECONDS
    if _sends_within(connection):
        connection.maxwrite = _WITHIN
    return connection


def _with_driver(parts: Mapping[str, str], chosen: str) -> Mapping[str, str]:
    """The parts for this driver. FreeTDS goes only where nobody has to be recognised. Raises DestinationError."""
    if not re.search("(?i)freetds|tdsodbc", chosen):
        return {**parts, "DRIVER": chosen}
    if not _NAMES_A_USER & parts.keys():
        raise DestinationError(f"{name(parts)} needs a token, and the driver FreeTDS takes none.", hint=_INSTALL)
    if parts.get("ENCRYPT") != "no" and parts.get("TRUSTSERVERCERTIFICATE") != "yes":
        raise DestinationError(
            f"{name(parts)} can't be recognised: FreeTDS looks at no certificate, and would give the password to anybody.",
            hint=f"{_INSTALL} Or, where the way there is all yours: TrustServerCertificate=yes.",
        )
    return {**parts, "DRIVER": chosen, "SERVER": parts["SERVER"].removeprefix("tcp:")}


def _demand_azure(parts: Mapping[str, str]) -> None:
    """A token is sent to Azure's databases only, and where a DSN leads is not known. Raises DestinationError."""
    servers = [_SERVER.fullmatch(parts[place]) for place in ("SERVER", "FAILOVER_PARTNER") if place in parts]
    if "DSN" in parts or not all(match and azure_hosts.takes_tokens(match[1].lower(), azure_hosts.DATABASE) for match in servers):
        hint = (
            "Name a user by UID and PWD, or write Trusted_Connection=yes; for Azure SQL write SERVER=name.database.windows.net."
        )
        raise DestinationError(f"{name(parts)} is not at a host of Azure, and a token is sent to no other.", hint=hint)


def driver(wanted: str, installed: list[str]) -> str:
    """The driver to use: the one that is wanted, else the newest of Microsoft's, else FreeTDS.

    Raises DestinationError, saying what to install, when there is none.
    """
    if wanted:
        there = (
            Path(wanted).exists() if "/" in wanted or "\\" in wanted else wanted.lower() in (name.lower() for name in installed)
        )
        if not there:
            found = f" Installed: {', '.join(installed)}." if installed else ""
            raise DestinationError(f"The ODBC driver {wanted} is not there.{found}", hint=_INSTALL)
        return wanted
    if microsofts := [name for name in installed if _version(name)]:
        return max(microsofts, key=_version)
    if "FreeTDS" in installed:
        return "FreeTDS"
    raise DestinationError("No ODBC driver for SQL Server is installed.", hint=_INSTALL)


def token_structure(token: str) -> bytes:
    """A token as the driver takes it: its length in bytes (little endian), then UTF-16."""
    content = token.encode("utf-16-le")
    return struct.pack("<I", len(content)) + content


def _version(name: str) -> int:
    match = re.fullmatch(r"ODBC Driver (\d+) for SQL Server", name)
    return int(match[1]) if match else 0


def _pyodbc() -> Any:
    """The module; it has no types that mypy could read."""
    try:
        pyodbc: Any = import_module("pyodbc")
    except ImportError as error:
        raise DestinationError(
            f"SQL Server needs pyodbc, which can't be loaded ({error}).",
            hint="Run `pip install -r requirements.txt`, and install the driver manager unixodbc where libodbc is missing.",
        ) from error
    pyodbc.pooling = False  # SQLAlchemy has the pool; the driver manager's would mix up tokens
    return pyodbc
