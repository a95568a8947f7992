"""Connection strings of SQL Server and Azure SQL, in ODBC's, ADO.NET's and SQLAlchemy's spelling, as ODBC has them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy.engine import URL

from bic_lib.core.errors import SettingsError
from bic_lib.core.meant import closest
from bic_lib.destinations.sql.connection_names import LEFT_OUT, ODBCS, ODBCS_TOO, SPELLINGS

_SWITCHES = frozenset({"ENCRYPT", "TRUSTED_CONNECTION", "TRUSTSERVERCERTIFICATE", "MULTISUBNETFAILOVER"})
_YES_NO = {"true": "yes", "false": "no", "sspi": "yes", "mandatory": "yes", "optional": "no", "1": "yes", "0": "no"}
_SWITCHED = frozenset({"yes", "no", "strict"})
"""What a switch is in ODBC; `strict` is one of `Encrypt` alone."""

_DRIVERS_OWN = {
    "sqlpassword": "SqlPassword",
    "activedirectorypassword": "ActiveDirectoryPassword",
    "activedirectoryserviceprincipal": "ActiveDirectoryServicePrincipal",
    "activedirectoryintegrated": "ActiveDirectoryIntegrated",
    "activedirectorymsi": "ActiveDirectoryMsi",
    "activedirectorymanagedidentity": "ActiveDirectoryMsi",
}
"""How `Authentication` says what the driver does by itself, in ODBC's word."""
_TWO_WORDS = frozenset({"SqlPassword", "ActiveDirectoryPassword", "ActiveDirectoryServicePrincipal"})
"""Those that need a user and a password."""
_IDENTITY = frozenset({"activedirectorydefault", "activedirectoryworkloadidentity"})
"""Those that ADO.NET alone knows, and that mean: whoever this program is. That is the identity of `[identity]`."""
_AT_A_SCREEN = frozenset({"activedirectoryinteractive", "activedirectorydevicecodeflow"})
_UNSAID = frozenset({"", "notspecified"})

_KNOWN_MAKES = re.compile(r"(?i)^odbc driver \d+ for sql server$|^sql server|msodbcsql|sqlncli|sqlsrv|freetds|tdsodbc")
_BLANK = re.compile(r"[\s;]*")
_BRACED = r"\{(?:[^}]|\}\})*\}"
_PART = re.compile(rf"\s*([^=;]+?)\s*=\s*({_BRACED}|[^;]*?)\s*(?:;|$)")
_PART_OF_ADO = re.compile(rf"""\s*([^=;]+?)\s*=\s*({_BRACED}|"(?:[^"]|"")*"|'(?:[^']|'')*'|[^;]*?)\s*(?:;|$)""")


def parse(connection_string: str) -> dict[str, str]:
    """The parts of an ODBC (or ADO.NET) connection string by their ODBC names in capitals; values without braces or quotes.

    `Encrypt=yes` is added where the string does not say. Raises SettingsError, without the string: it may hold a password.
    """
    return _parts(_pairs(connection_string.strip().strip(";")))


def from_url(url: URL) -> dict[str, str]:
    """The parts of an SQLAlchemy URL `mssql+pyodbc://…`; one without a user leaves open who signs in. Raises SettingsError."""
    if url.get_backend_name() != "mssql" or url.get_driver_name() != "pyodbc":
        raise SettingsError(f"{url.drivername} is not offered.", hint="Write a URL with sqlite or mssql+pyodbc.")
    query = {name: values if isinstance(values, str) else values[-1] for name, values in url.query.items()}
    if "odbc_connect" in query:
        return parse(query["odbc_connect"])
    server = url.host and (f"{url.host},{url.port}" if url.port else url.host)
    place = "SERVER" if url.database else "DSN"
    said = {place: server, "DATABASE": url.database, "UID": url.username, "PWD": url.password}
    return _parts([*((name, str(value)) for name, value in said.items() if value), *query.items()])


def _pairs(text: str) -> list[tuple[str, str]]:
    """Names and values, in the spelling that the names tell: in ADO.NET's, quotes are around a value; in ODBC's, a part of it."""
    try:
        adonets = list(_read(text, _PART_OF_ADO))
    except SettingsError:
        return list(_read(text, _PART))
    names = {_plain(name) for name, _ in adonets}
    own = names & (SPELLINGS.keys() | LEFT_OUT) - ODBCS_TOO
    if names & {"DRIVER", "DSN"} or (not own and names & {"UID", "PWD", "TRUSTED_CONNECTION"}):
        return list(_read(text, _PART))
    return adonets


def _plain(name: str) -> str:
    return " ".join(name.upper().split())


def _read(text: str, form: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    position = 0
    while (position := _BLANK.match(text, position).end()) < len(text):  # type: ignore[union-attr]  # it matches nothing, too
        match = form.match(text, position)
        if match is None:
            hint = "It is a list of NAME=value, with ; between them. A value with ; in it stands in braces: PWD={…}."
            raise SettingsError("The connection string can't be read.", hint=hint)
        yield match[1], _bare(match[2], quoted=form is _PART_OF_ADO)
        position = match.end()


def _bare(value: str, *, quoted: bool) -> str:
    if value.startswith("{") and value.endswith("}"):
        return value[1:-1].replace("}}", "}")
    if quoted and len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].replace(value[0] * 2, value[0])
    return value


def _parts(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    parts: dict[str, str] = {}
    unknown: list[str] = []
    for said, value in pairs:
        name = SPELLINGS.get(_plain(said), _plain(said))
        if name not in ODBCS | LEFT_OUT:
            unknown.append(said)
            parts[name] = value
        elif name in ODBCS:
            meant = _switch(said, name, value) if name in _SWITCHES else value
            if parts.setdefault(name, meant) != meant:
                hint = "Leave one of them out (Server and Data Source, say, are one)."
                raise SettingsError(f"The connection string says {said} twice, and not the same.", hint=hint)
    if unknown and not _of_another_make(parts.get("DRIVER", "")):
        raise _unknown(unknown)
    _place(parts)
    _who(parts)
    parts.setdefault("ENCRYPT", "yes")
    return parts


def _of_another_make(driver: str) -> bool:
    """Whether it is a driver whose words are not known here."""
    return bool(driver) and not _KNOWN_MAKES.search(driver)


def _unknown(names: Sequence[str]) -> SettingsError:
    """Names are not shown, but what was meant by them: they may be the rest of a password that holds a ;."""
    meant = [close for name in names if (close := closest(name, [*ODBCS, *SPELLINGS]))]
    ask = f": did you mean {' and '.join(meant)}?" if meant else "."
    return SettingsError(
        f"The connection string has a name that no driver knows{ask}", hint="A value with ; in it stands in braces: PWD={…}."
    )


def _place(parts: dict[str, str]) -> None:
    """The server, its port behind a comma, as the drivers take it. Raises SettingsError."""
    server = parts.get("SERVER", "")
    if not (server or parts.get("DSN")):
        raise SettingsError("The connection string names no server.", hint="Write SERVER=name.database.windows.net;DATABASE=…")
    if colon := re.fullmatch(r"((?:tcp:)?[^:,]+):(\d+)", server):
        server = f"{colon[1]},{colon[2]}"
    if server:
        port = parts.pop("PORT", "")
        parts["SERVER"] = re.sub(r"\s*,\s*", ",", server if "," in server or not port else f"{server},{port}")
    if re.match(r"(?i)\(localdb\)|np:|lpc:|\\\\", server) and sys.platform != "win32":
        hint = "Name a SQL Server that listens on the network (SERVER=HOST,PORT), or write sqlite:///sessions.sqlite."
        raise SettingsError("LocalDB and named pipes can only be reached from Windows.", hint=hint)
    if parts.get("APPLICATIONINTENT", "").lower() == "readonly":
        raise SettingsError("ApplicationIntent=ReadOnly leads to a copy that takes no rows.", hint="Leave it out.")


def _who(parts: dict[str, str]) -> None:
    """Who signs in: what names nobody is left out, so that the identity does. Raises SettingsError."""
    if parts.get("TRUSTED_CONNECTION") == "no":
        del parts["TRUSTED_CONNECTION"]
    if not parts.get("UID") and not parts.get("PWD"):
        parts.pop("UID", None)
        parts.pop("PWD", None)
    if "AUTHENTICATION" in parts:
        _authentication(parts)
    if {"AUTHENTICATION", "TRUSTED_CONNECTION"} <= parts.keys():
        hint = "Leave out Trusted_Connection (Integrated Security), or Authentication."
        raise SettingsError("The connection string says in two ways who signs in.", hint=hint)


def _switch(said: str, name: str, value: str) -> str:
    word = _YES_NO.get(value.lower(), value.lower())
    if word not in _SWITCHED or (word == "strict" and name != "ENCRYPT"):
        raise SettingsError(f"{said} in the connection string is neither yes nor no.", hint=f"Write {said}=yes or {said}=no.")
    return word


def _authentication(parts: dict[str, str]) -> None:
    """`Authentication` in the driver's word, or left out where the identity signs in. Raises SettingsError."""
    said = parts.pop("AUTHENTICATION").strip("\"'")
    word = re.sub(r"[\s_-]", "", said).lower()
    if word in _DRIVERS_OWN:
        parts["AUTHENTICATION"] = own = _DRIVERS_OWN[word]
        if own in _TWO_WORDS and not ({"UID", "PWD"} <= parts.keys()):
            raise SettingsError(
                f"Authentication={said} needs a user and a password.", hint="Add UID=…;PWD=… (User ID, Password)."
            )
    elif word in _IDENTITY:
        if {"UID", "PWD"} & parts.keys():
            hint = "Leave out user and password, and name a managed identity by client_id in [identity]."
            raise SettingsError(f"Authentication={said} means the identity of [identity], and names a user besides.", hint=hint)
    elif word in _AT_A_SCREEN:
        hint = "Leave it out: then the identity of [identity] signs in. Or name a service principal."
        raise SettingsError(f"Authentication={said} needs a person at a screen.", hint=hint)
    elif word not in _UNSAID:
        words = ", ".join(sorted({*_DRIVERS_OWN.values(), "ActiveDirectoryDefault"}))
        raise SettingsError(
            "The connection string's Authentication is not known.", hint=f"Write one of {words}, or leave it out."
        )


def name(parts: Mapping[str, str]) -> str:
    """What the database is called in messages."""
    server = parts.get("SERVER") or f"DSN {parts['DSN']}"
    return f"the database {parts.get('DATABASE') or '(default)'} on {server}"


def as_string(parts: Mapping[str, str]) -> str:
    return ";".join(f"{name}={_braced(value)}" for name, value in parts.items())


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}" if re.search(r"[;{}\[\](),?*=!@\s]", value) else value
