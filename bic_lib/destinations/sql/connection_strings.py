"""Connection strings of SQL Server and Azure SQL, in ODBC's, ADO.NET's and SQLAlchemy's spelling, as ODBC has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy.engine import URL

from bic_lib.core.errors import SettingsError

_SPELLINGS = {
    "ADDR": "SERVER",
    "ADDRESS": "SERVER",
    "DATA SOURCE": "SERVER",
    "NETWORK ADDRESS": "SERVER",
    "INITIAL CATALOG": "DATABASE",
    "USER": "UID",
    "USER ID": "UID",
    "PASSWORD": "PWD",
    "INTEGRATED SECURITY": "TRUSTED_CONNECTION",
    "TRUST SERVER CERTIFICATE": "TRUSTSERVERCERTIFICATE",
    "HOST NAME IN CERTIFICATE": "HOSTNAMEINCERTIFICATE",
    "SERVER CERTIFICATE": "SERVERCERTIFICATE",
    "MULTI SUBNET FAILOVER": "MULTISUBNETFAILOVER",
    "APPLICATION INTENT": "APPLICATIONINTENT",
    "APPLICATION NAME": "APP",
    "WORKSTATION ID": "WSID",
    "FAILOVER PARTNER": "FAILOVER_PARTNER",
    "CONNECT RETRY COUNT": "CONNECTRETRYCOUNT",
    "CONNECT RETRY INTERVAL": "CONNECTRETRYINTERVAL",
}
"""ADO.NET's names (the vendor's program and the Azure portal give such strings), as ODBC has them."""

_LEFT_OUT = frozenset(
    {"CONNECT TIMEOUT", "CONNECTION TIMEOUT", "COMMAND TIMEOUT", "TIMEOUT", "PERSIST SECURITY INFO", "PERSISTSECURITYINFO"}
    | {"MULTIPLEACTIVERESULTSETS", "MULTIPLE ACTIVE RESULT SETS", "POOLING", "MIN POOL SIZE", "MAX POOL SIZE", "ENLIST"}
    | {
        "PROVIDER",
        "NETWORK LIBRARY",
        "LOAD BALANCE TIMEOUT",
        "CONNECTION LIFETIME",
        "PACKET SIZE",
        "POOL BLOCKING PERIOD",
        "POOLBLOCKINGPERIOD",
    }
)
"""ADO.NET's that ODBC has no word for, and that change nothing here."""

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

_ODBCS = re.compile(r"(?i)(?:^|;)\s*(?:driver|dsn|uid|pwd|trusted_connection)\s*=")
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


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Names and values; quotes are ADO.NET's, and in a string of ODBC's a part of the value."""
    form = _PART if _ODBCS.search(text) else _PART_OF_ADO
    position = 0
    while (position := _BLANK.match(text, position).end()) < len(text):  # type: ignore[union-attr]  # it matches nothing, too
        match = form.match(text, position)
        if match is None:
            raise SettingsError("The connection string can't be read.", hint="It is a list of NAME=value, with ; between them.")
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
    for said, value in pairs:
        name = " ".join(said.upper().split())
        spelt = _SPELLINGS.get(name, name)
        if name not in _LEFT_OUT:
            parts.setdefault(spelt, _switch(said, spelt, value) if spelt in _SWITCHES else value)
    if not (parts.get("SERVER") or parts.get("DSN")):
        raise SettingsError("The connection string names no server.", hint="Write SERVER=name.database.windows.net;DATABASE=…")
    if "AUTHENTICATION" in parts:
        _authentication(parts)
    parts.setdefault("ENCRYPT", "yes")
    return parts


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
    return "{" + value.replace("}", "}}") + "}" if re.search(r"[;{}\[\](),?*=!@ ]", value) else value
