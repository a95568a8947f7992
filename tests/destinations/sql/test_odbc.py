"""Connection strings, drivers, tokens and error texts of SQL Server; where it says so, with Microsoft's own driver."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from bic_lib.contracts.documents import HOST, small
from bic_lib.core.errors import BicError, DestinationError, SettingsError, Unexpected
from bic_lib.destinations.sql import connection_strings, create, odbc, sqlserver_errors
from bic_lib.destinations.sql.load import Clash
from bic_lib.destinations.sql.transaction import as_json
from bic_lib.simulator.certificates import CertificateFiles, make_certificates
from tests.destinations.sql import listener
from tests.support import symptoms

if os.environ.get("BIC_TEST_REQUIRE") == "all":
    pyodbc = import_module("pyodbc")
else:
    pyodbc = pytest.importorskip("pyodbc", reason="pyodbc needs the driver manager unixodbc", exc_type=ImportError)

MICROSOFTS = "ODBC Driver 18 for SQL Server"
PORTAL = (
    "Server=tcp:x.database.windows.net,1433;Initial Catalog=bic;Persist Security Info=False;User ID=u;Password=p=q;"
    "MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;"
)
"""As the Azure portal prints it."""

# --- connection strings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("string", "parts"),
    [
        (
            "SERVER=db,1433;DATABASE=bic;UID=u;PWD={a;b}}c}",
            {"SERVER": "db,1433", "DATABASE": "bic", "UID": "u", "PWD": "a;b}c", "ENCRYPT": "yes"},
        ),
        (
            PORTAL,
            {
                "SERVER": "tcp:x.database.windows.net,1433",
                "DATABASE": "bic",
                "UID": "u",
                "PWD": "p=q",
                "ENCRYPT": "yes",
                "TRUSTSERVERCERTIFICATE": "no",
            },
        ),
        (
            "Data Source=db; Initial Catalog=bic; Integrated Security=SSPI",
            {"SERVER": "db", "DATABASE": "bic", "TRUSTED_CONNECTION": "yes", "ENCRYPT": "yes"},
        ),
        ("driver={ODBC Driver 17};server=db;encrypt=no", {"DRIVER": "ODBC Driver 17", "SERVER": "db", "ENCRYPT": "no"}),
        ("DSN=bic;UID=u;PWD=", {"DSN": "bic", "UID": "u", "PWD": "", "ENCRYPT": "yes"}),
        (
            ";Provider=MSOLEDBSQL; ;Data Source=db;;TrustServerCertificate=1;Encrypt=Strict;",
            {"SERVER": "db", "TRUSTSERVERCERTIFICATE": "yes", "ENCRYPT": "strict"},
        ),
    ],
)
def test_strings_are_read(string: str, parts: dict[str, str]) -> None:
    """ODBC and ADO.NET spellings give the same parts, and encryption is on unless it is switched off."""
    assert connection_strings.parse(string) == parts


@pytest.mark.parametrize(
    ("string", "parts"),
    [
        ("SERVER=db:1444;UID=u;PWD=p", {"SERVER": "db,1444", "UID": "u", "PWD": "p"}),
        ("Server=tcp:db:1444;User Id=u;Password=p", {"SERVER": "tcp:db,1444", "UID": "u", "PWD": "p"}),
        ("serverName=db;portNumber=1444;databaseName=bic;user=u;password=p;integratedSecurity=false", {"SERVER": "db,1444"}),
        ("Server=db , 1444;Port=9;Uid=u;Pwd=p", {"SERVER": "db,1444"}),
        (r"Data Source=HOST\INSTANCE;Integrated Security=SSPI", {"SERVER": r"HOST\INSTANCE", "TRUSTED_CONNECTION": "yes"}),
        ("Server=[::1]:1433;Uid=u;Pwd=p", {"SERVER": "[::1]:1433"}),
        ("Server=db;Data Source=db;Uid=u;Pwd=p", {"SERVER": "db"}),
        ("Server=db;Initial Catalog=bic;Uid=u;Pwd='a;b'", {"PWD": "a;b", "DATABASE": "bic"}),
        ("Server=db;Database=bic;Uid=u;Pwd='ab'", {"PWD": "'ab'"}),
        ('Data Source=db;User ID=u;Password="x;uid=y;driver=z"', {"UID": "u", "PWD": "x;uid=y;driver=z"}),
        ("DRIVER={FreeTDS};SERVER=db;PORT=1444;UID=u;PWD={p};TDS_Version=7.4", {"SERVER": "db,1444", "TDS_VERSION": "7.4"}),
        ("Driver={DataDirect 8.0 SQL Server Wire Protocol};HostName=db;Server=db;UID=u", {"SERVER": "db"}),
        ("Driver=/opt/other/driver.so;Server=db;Novelty=1;UID=u", {"NOVELTY": "1"}),
        ("Server=db;Column Encryption Setting=enabled;Uid=u;Pwd=p", {"COLUMNENCRYPTION": "enabled"}),
        (
            "Server=db;Multi Subnet Failover=True;Application Name=x;Workstation ID=w;Uid=u",
            {"MULTISUBNETFAILOVER": "yes", "APP": "x"},
        ),
    ],
)
def test_what_people_copy_is_understood(string: str, parts: dict[str, str]) -> None:
    """Ports, names and quotes as other drivers have them mean what they mean there."""
    assert parts.items() <= connection_strings.parse(string).items()
    assert "PORT" not in connection_strings.parse(string)


@pytest.mark.parametrize("more", ["Integrated Security=False", "Trusted_Connection=no", "User ID=;Password=", "UID="])
def test_who_is_named_by_nothing_is_the_identity(more: str) -> None:
    """A switch that is off, and names that are empty, name nobody: the identity signs in."""
    parts = connection_strings.parse(f"Server=tcp:x.database.windows.net,1433;Initial Catalog=bic;{more}")
    assert not parts.keys() & {"UID", "PWD", "TRUSTED_CONNECTION", "AUTHENTICATION"}


@pytest.mark.parametrize(
    ("string", "told"),
    [
        ("SERVER=db;Databse=x;UID=u;PWD=secret", "a name that no driver knows: did you mean DATABASE?"),
        ("SERVER=db;DATABASE=x;UID=u;PWD=a;secret=b", "a name that no driver knows"),
        ("SERVER=db;SERVER=other;UID=u;PWD=secret", "SERVER twice"),
        ("Server=db;Data Source=other;User ID=u;Password=secret", "Data Source twice"),
        ("Server=db;Password=secret;PWD=secret2;User ID=u", "PWD twice"),
        ("Server=db;Authentication=ActiveDirectoryMsi;Integrated Security=true", "in two ways who signs in"),
        ("Server=db;ApplicationIntent=ReadOnly;Uid=u;Pwd=secret", "takes no rows"),
        *(
            []
            if sys.platform == "win32"
            else [
                (rf"Server={server};Integrated Security=true", "from Windows")
                for server in (r"(localdb)\MSSQLLocalDB", "np:db", r"\\.\pipe\x", "lpc:db")
            ]
        ),
    ],
)
def test_a_slip_is_a_problem_of_the_settings(string: str, told: str) -> None:
    """What a driver would pass over or time out on is told when the settings are read, and no piece of a password with it."""
    with pytest.raises(SettingsError) as caught:
        connection_strings.parse(string)
    assert told in caught.value.message
    assert "secret" not in f"{caught.value}{caught.value.hint}"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool))
def test_any_password_survives(password: str) -> None:
    """Whatever a password holds, the driver is given that password and nothing else."""
    string = connection_strings.as_string({"SERVER": "db", "PWD": password, "DATABASE": "bic"})
    assert connection_strings.parse(string) == {"SERVER": "db", "PWD": password, "DATABASE": "bic", "ENCRYPT": "yes"}


def test_urls_are_read() -> None:
    """An SQLAlchemy URL says the same as the ODBC string behind it."""
    url = make_url("mssql+pyodbc://u:p%40ss@db.example.com:1433/bic?driver=FreeTDS")
    parts = connection_strings.from_url(url)
    assert {
        "SERVER": "db.example.com,1433",
        "DATABASE": "bic",
        "UID": "u",
        "PWD": "p@ss",
        "DRIVER": "FreeTDS",
    }.items() <= parts.items()


@pytest.mark.parametrize(
    "string",
    [
        *("DATABASE=x;PWD=secret", "secret", "=;secret", "SERVER=;PWD=secret", "DSN=;PWD=secret", "SERVER=db;Encrypt=secret"),
        "SERVER=db;PWD=secret;TrustServerCertificate=strict",
        *("mssql+pymssql://u:secret@db/x", "mssql+pyodbc://u:p@db:secret/x", "jdbc:sqlserver://db:1433;user=u;password=secret"),
    ],
)
def test_unusable_strings_are_refused_unseen(string: str) -> None:
    """A string without a server, or none at all, is a mistake in the settings; its text is never shown."""
    with pytest.raises(SettingsError) as caught:
        create(connection_string=string)
    assert "secret" not in str(caught.value)


IDENTITY = {"SERVER": "x.database.windows.net", "DATABASE": "bic", "ENCRYPT": "yes"}
BOTH = {**IDENTITY, "UID": "u", "PWD": "p"}
WORDS = {
    "Active Directory Default": IDENTITY,
    "Active Directory Workload Identity": IDENTITY,
    "Active Directory Managed Identity": {**IDENTITY, "AUTHENTICATION": "ActiveDirectoryMsi"},
    "Active Directory MSI": {**IDENTITY, "AUTHENTICATION": "ActiveDirectoryMsi"},
    "Active Directory Integrated": {**IDENTITY, "AUTHENTICATION": "ActiveDirectoryIntegrated"},
    "Not Specified": IDENTITY,
}
"""Each word of `Authentication`, in ADO.NET's spelling, and what it comes to."""
TWO = {
    "Sql Password": {**BOTH, "AUTHENTICATION": "SqlPassword"},
    "Active Directory Password": {**BOTH, "AUTHENTICATION": "ActiveDirectoryPassword"},
    "Active Directory Service Principal": {**BOTH, "AUTHENTICATION": "ActiveDirectoryServicePrincipal"},
}
"""Those that need a user and a password."""


def strings(word: str, user: bool) -> list[str]:
    """Connection strings with this word, in every spelling that people copy from somewhere."""
    near = word.replace(" ", "")
    ado = "Server=tcp:x.database.windows.net,1433;Initial Catalog=bic;" + ("User ID=u;Password=p;" if user else "")
    plain = "SERVER=x.database.windows.net;DATABASE=bic;" + ("UID=u;PWD=p;" if user else "")
    url = f"mssql+pyodbc://{'u:p@' if user else ''}x.database.windows.net/bic?driver=FreeTDS&"
    return [
        f'{ado}Authentication="{word}"',
        f"{ado}Authentication='{word}';Encrypt=True",
        f"{ado}Authentication={word};",
        f"{ado}authentication={near}",
        f"{plain}Authentication={near}",
        f"{plain}Authentication={{{near}}}",
        f"{plain}AUTHENTICATION={near.upper()}",
        f'{plain}Authentication="{word}"',
        f"{url}Authentication={near}",
        f"{url}authentication={word.replace(' ', '+')}",
    ]


def read(string: str) -> dict[str, str]:
    """The parts, whatever the spelling; the driver and the server's port are left out."""
    url = string.startswith("mssql")
    parts = connection_strings.from_url(make_url(string)) if url else connection_strings.parse(string)
    server = parts["SERVER"].removeprefix("tcp:").partition(",")[0]
    return {name: value for name, value in {**parts, "SERVER": server}.items() if name != "DRIVER"}


@pytest.mark.parametrize(
    ("string", "parts"),
    [(string, parts) for words in (WORDS, TWO) for word, parts in words.items() for string in strings(word, words is TWO)],
)
def test_every_word_of_authentication(string: str, parts: dict[str, str]) -> None:
    """Each word means the same in every spelling: what the driver does by itself in its own word, else the identity signs in."""
    assert read(string) == parts


@pytest.mark.parametrize(
    ("string", "told"),
    [
        *((string, "a user and a password") for word in TWO for string in strings(word, user=False)),
        *((string, "a user besides") for string in strings("Active Directory Default", user=True)),
        *((string, "a person at a screen") for string in strings("Active Directory Interactive", user=False)),
        *((string, "a person at a screen") for string in strings("Active Directory Device Code Flow", user=False)),
        *((string, "is not known") for string in strings("Kerberos hunter2", user=False)),
    ],
)
def test_what_can_not_sign_in_is_a_problem_of_the_settings(string: str, told: str) -> None:
    """A word that lacks something, needs a person or is unknown is refused when the settings are read, with what to write."""
    with pytest.raises(SettingsError, match=told) as caught:
        create(connection_string=string)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("string", "password"),
    [
        ('Data Source=db;User ID=u;Password="a;b""c"', 'a;b"c'),
        ("Data Source=db;User ID=u;Password='a;b''c'", "a;b'c"),
        ("Data Source=db;User ID=u;Password='\"'", '"'),
        ("Data Source=db;User ID=u;Password={a;b}}c}", "a;b}c"),
        ("Data Source=db;User ID=u;Password=a'b", "a'b"),
        ('SERVER=db;UID=u;PWD="abc"', '"abc"'),
        ("SERVER=db;UID=u;PWD='abc'", "'abc'"),
        ("mssql+pyodbc://u:%22a%3Bb%22@db/x", '"a;b"'),
        ("mssql+pyodbc://?odbc_connect=SERVER%3Ddb%3BUID%3Du%3BPWD%3D%7Ba%3Bb%7D", "a;b"),
    ],
)
def test_quotes_are_those_of_the_spelling(string: str, password: str) -> None:
    """ADO.NET has quotes around a value, ODBC has braces, where quotes belong to the value, and a URL has its escapes."""
    assert read(string)["PWD"] == password


def test_a_url_without_a_user_leaves_it_to_the_identity() -> None:
    """Nobody is named, so the identity signs in, as with the other spellings; who wants Windows' own says so."""
    assert "TRUSTED_CONNECTION" not in connection_strings.from_url(make_url("mssql+pyodbc://db.database.windows.net/x"))
    trusted = connection_strings.from_url(make_url("mssql+pyodbc://db/x?Trusted_Connection=yes"))
    assert trusted["TRUSTED_CONNECTION"] == "yes"
    assert connection_strings.from_url(make_url("mssql+pyodbc://u:p@name"))["DSN"] == "name"


# --- drivers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "installed", "chosen"),
    [
        (
            "",
            ["ODBC Driver 9 for SQL Server", "SQLite3", "ODBC Driver 18 for SQL Server", "FreeTDS"],
            "ODBC Driver 18 for SQL Server",
        ),
        ("", ["SQLite3", "FreeTDS"], "FreeTDS"),
        ("freetds", ["ODBC Driver 18 for SQL Server", "FreeTDS"], "freetds"),
        (__file__, [], __file__),
    ],
)
def test_the_newest_driver_is_taken(wanted: str, installed: list[str], chosen: str) -> None:
    """What the string wants counts, then Microsoft's newest, then FreeTDS."""
    assert odbc.driver(wanted, installed) == chosen


@pytest.mark.parametrize("wanted", ["", "ODBC Driver 18 for SQL Server", "/nowhere/libmsodbcsql.so"])
def test_a_missing_driver_says_what_to_install(wanted: str) -> None:
    """Without a driver the error names what was wanted, what there is, and the package."""
    with pytest.raises(DestinationError) as caught:
        odbc.driver(wanted, ["SQLite3"])
    assert "msodbcsql18" in caught.value.hint
    assert wanted in caught.value.message


def test_a_missing_driver_shows_in_the_preflight(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of a machine without drivers fails with that hint, and does not raise."""
    monkeypatch.setattr(pyodbc, "drivers", list)
    [check] = create(connection_string="SERVER=127.0.0.1;DATABASE=bic").checks()
    assert not check.ok
    assert "msodbcsql18" in check.hint


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("libmsodbcsql-18.6.so.2.1", [(pyodbc.SQL_WVARCHAR, 0, 0), None, None]),
        ("SQLNCLI11.DLL", [(pyodbc.SQL_WVARCHAR, 0, 0), None, None]),
        ("libtdsodbc.so", [(pyodbc.SQL_WLONGVARCHAR, 0, 0), None, None]),
        ("SQLSRV32.dll", None),
    ],
)
def test_each_driver_is_told_of_long_texts_in_its_way(library: str, told: object) -> None:
    """Rows have no limit, in the word that this driver takes; where that is not known, pyodbc tells it by itself."""
    sizes: list[object] = []

    class Cursor:
        connection = SimpleNamespace(getinfo=lambda _about: library)
        setinputsizes = staticmethod(sizes.append)
        execute = staticmethod(lambda *_: None)

    odbc.execute(Cursor, "SELECT ?, ?, ?", (as_json(("n",), [(1,)]), "host", 7))
    odbc.execute(Cursor, "SELECT 1", ())
    assert sizes == ([told] if told else [])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("UID=u;PWD=hunter2", "looks at no certificate"),
        ("UID=u;PWD=hunter2;Encrypt=strict", "looks at no certificate"),
        ("Trusted_Connection=yes", "looks at no certificate"),
        ("Encrypt=no", "takes none"),
        ("UID=u;PWD=hunter2;Encrypt=no", ""),
        ("UID=u;PWD=hunter2;TrustServerCertificate=yes", ""),
    ],
)
@pytest.mark.parametrize("chosen", ["", "DRIVER=FreeTDS;", f"DRIVER={os.devnull}/../../libtdsodbc.so;"])
def test_freetds_gives_no_password_to_strangers(monkeypatch: pytest.MonkeyPatch, more: str, told: str, chosen: str) -> None:
    """A driver that recognises nobody is used where the string says that nobody has to be, and is told a server in its words."""
    given: list[str] = []

    def connect(string: str, **_: object) -> object:
        given.append(string)
        return SimpleNamespace(getinfo=lambda _about: "libtdsodbc.so")

    monkeypatch.setattr(pyodbc, "connect", connect)
    monkeypatch.setattr(pyodbc, "drivers", lambda: ["FreeTDS"])
    monkeypatch.setattr("pathlib.Path.exists", lambda _path: True)
    parts = connection_strings.parse(f"{chosen}SERVER=tcp:db,1433;{more}")
    if told:
        with pytest.raises(DestinationError, match=told):
            odbc.connected(parts, token=None, wait=3)
        assert not given
    else:
        odbc.connected(parts, token=None, wait=3)
        assert "SERVER={db,1433}" in given[0]


def test_tokens_are_packed_as_the_driver_takes_them() -> None:
    """Length in bytes, little endian, then UTF-16."""
    assert odbc.token_structure("ab") == b"\x04\0\0\0a\0b\0"


@pytest.mark.parametrize(
    ("string", "with_token"),
    [
        ("SERVER=db.database.windows.net", True),
        ("SERVER=tcp:DB.Database.Windows.net,1433", True),
        ("SERVER=db;Authentication=SqlPassword;UID=u;PWD=p", False),
        ("SERVER=db;UID=u;PWD=p", False),
        ("SERVER=db;Integrated Security=true", False),
        ("SERVER=db.database.windows.net;Authentication=ActiveDirectoryMsi", False),
    ],
)
def test_a_token_is_used_when_no_user_is_named(monkeypatch: pytest.MonkeyPatch, string: str, with_token: bool) -> None:
    """The identity signs in only where the string leaves that open."""
    given: list[dict[str, object]] = []

    class Connection:
        timeout = 0

        def getinfo(self, _about: int) -> str:
            return "libmsodbcsql-18.6.so"

    def connect(_string: str, **options: object) -> Connection:
        given.append(options)
        return Connection()

    monkeypatch.setattr(pyodbc, "connect", connect)
    monkeypatch.setattr(pyodbc, "drivers", lambda: [MICROSOFTS])
    odbc.connected(connection_strings.parse(string), token=lambda: "token", wait=3)
    assert given[0]["attrs_before"] == ({1256: odbc.token_structure("token")} if with_token else {})
    assert given[0]["autocommit"] is True


@pytest.mark.parametrize(
    "string",
    [
        "SERVER=db.example.com",
        "SERVER=db.database.windows.net.example.com",
        r"SERVER=db.example.com\.database.windows.net",
        "SERVER=db.database.windows.net;Failover_Partner=db.example.com",
        "SERVER=db.example.com;Authentication=ActiveDirectoryMsi",
        "DSN=db",
        "DSN=db;SERVER=db.database.windows.net",
    ],
)
def test_a_token_goes_to_azure_only(monkeypatch: pytest.MonkeyPatch, string: str) -> None:
    """A connection string that names no user and some other server is refused before a token is asked for or sent."""
    monkeypatch.setattr(pyodbc, "connect", lambda *_, **__: pytest.fail("connected"))
    monkeypatch.setattr(pyodbc, "drivers", lambda: [MICROSOFTS])
    with pytest.raises(DestinationError, match="a token is sent to no other"):
        odbc.connected(connection_strings.parse(string), token=lambda: pytest.fail("asked for a token"), wait=3)


# --- errors ----------------------------------------------------------------------------------------------------------


def error(number: int, text: str, state: str = "42000") -> Exception:
    prefix = f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
    failed: Exception = pyodbc.ProgrammingError(state, f"{prefix}{text} ({number}) (SQLExecDirectW)")
    return failed


@pytest.mark.parametrize("number", [4060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920])
def test_transient_errors_pause_the_destination(number: int) -> None:
    """What Azure SQL says while it is busy, moving or waking up costs no session an attempt."""
    assert type(sqlserver_errors.translated(error(number, "Wait."), "db")) is DestinationError


@pytest.mark.parametrize(
    ("number", "lasting"),
    [(1205, DestinationError), (41302, DestinationError), (2627, Unexpected), (2601, Unexpected), (2714, DestinationError)],
)
def test_meeting_another_process_is_tried_again(number: int, lasting: type[BicError]) -> None:
    """Deadlocks and keys that another process wrote first are clashes; what they mean in the end differs."""
    clash = sqlserver_errors.translated(error(number, "Met."), "db")
    assert isinstance(clash, Clash)
    assert type(clash.lasting) is lasting


@pytest.mark.parametrize(
    ("number", "state"),
    [(2628, "42000"), (8115, "22003"), (515, "23000"), (13609, "42000"), (9807, "22007"), (8169, "22018")],
)
def test_values_are_refused_one_by_one(number: int, state: str) -> None:
    """What is wrong with one value is no failure of the database."""
    assert isinstance(sqlserver_errors.translated(error(number, "Bad value.", state), "db"), Unexpected)


@pytest.mark.parametrize(
    "text", ["[42000] {}Not this one (50000) (SQLExecDirectW)", "[42000] {}No (51234); [01000] {}Ended (3621)"]
)
def test_somebodys_rule_is_about_one_session(text: str) -> None:
    """What a trigger refuses by its own words, or ends, concerns the session; one within a text is not the server's."""
    prefix = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
    refused = pyodbc.ProgrammingError("42000", text.replace("{}", prefix))
    assert type(sqlserver_errors.translated(refused, "db")) is Unexpected
    assert type(sqlserver_errors.translated(error(3609, "The transaction ended in the trigger."), "db")) is Unexpected
    assert type(sqlserver_errors.translated(error(9002, "The log is full (60000) and waits."), "db")) is DestinationError


@pytest.mark.parametrize(
    ("number", "words", "hint"),
    [
        (229, "a right is missing", "SELECT, INSERT, UPDATE and DELETE"),
        (262, "a right is missing", "CREATE TABLE"),
        (18456, "the login was refused", "password"),
        (4060, "can't be opened", "spelt"),
        (40615, "firewall", "Allow"),
        (1105, "full", "size limit"),
        (9002, "full", "size limit"),
        (208, "gone", "bic schema --sql"),
        (3906, "can only be read", "listener"),
        (978, "can only be read", "listener"),
        (927, "not online", "sys.databases"),
        (271, "is computed", "bic schema --sql --missing"),
        (17142, "takes no connection of this login now", "tries again"),
        (33155, "the login was refused", "identity"),
    ],
)
def test_lasting_errors_say_what_to_do(number: int, words: str, hint: str) -> None:
    """Rights, logins, names and space are told apart, each with its remedy."""
    translated = sqlserver_errors.translated(error(number, "No."), "the database bic on db")
    assert isinstance(translated, DestinationError)
    assert words in translated.message
    assert "the database bic on db" in translated.message
    assert hint in translated.hint


def test_an_old_compatibility_level_is_named() -> None:
    """A database that does not know OPENJSON needs another level, not its tables made again."""
    translated = sqlserver_errors.translated(error(208, "Invalid object name 'OPENJSON'."), "db")
    assert "compatibility level" in str(translated)
    assert "ALTER DATABASE" in translated.hint


def test_messages_hold_no_values() -> None:
    """SQL Server quotes the offending value; what a person typed in a session is not for logs."""
    cut = "String or binary data would be truncated in table 'bic', column 'name'. Truncated value: 'my password'."
    double = "Violation of UNIQUE KEY constraint. The duplicate key value is (support.example.com, 7c1f)."
    for number, text in ((2628, cut), (2627, double)):
        message = sqlserver_errors.translated(error(number, text), "db").message
        assert "my password" not in message
        assert "7c1f" not in message
        assert "[SQL Server]" not in message


# --- Microsoft's driver itself ---------------------------------------------------------------------------------------


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine on which nobody answers."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_an_unreachable_server_is_named(microsofts: str, port: int) -> None:
    """Microsoft's driver finds nobody: in time, with the server's name, what to look at, and without the password."""
    string = f"DRIVER={microsofts};SERVER=127.0.0.1,{port};DATABASE=bic;UID=bic;PWD=hunter2"
    destination = create(connection_string=string, wait=1)
    with pytest.raises(DestinationError) as caught:
        destination.load(HOST, [small("a")])
    assert f"the database bic on 127.0.0.1,{port} can't be reached" in caught.value.message
    assert "port" in caught.value.hint
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
    [check] = destination.checks()
    assert not check.ok
    assert "hunter2" not in f"{check}"


def test_the_driver_takes_tokens(microsofts: str, port: int) -> None:
    """Microsoft's driver accepts the token's attribute: it is the network that fails, not the call."""
    asked: list[str] = []

    def token() -> str:
        asked.append("token")
        return "eyJ0eXAi"

    string = f"DRIVER={microsofts};SERVER=127.0.0.1,{port};DATABASE=bic"
    with pytest.raises(DestinationError, match="can't be reached"):
        create(connection_string=string, token=token, wait=1).load(HOST, [small("a")])
    assert asked


def test_a_login_that_is_no_server_ends_in_time(microsofts: str) -> None:
    """Somebody who takes the connection and says nothing is given up after the wait."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        string = f"DRIVER={microsofts};SERVER=127.0.0.1,{silent.getsockname()[1]};DATABASE=bic;UID=u;PWD=hunter2"
        with pytest.raises(DestinationError, match="can't be reached"):
            create(connection_string=string, wait=1).load(HOST, [small("a")])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """A server's certificate for this machine's names, by an authority that nobody knows."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


ON_THE_WAY = {
    "an unknown authority": (listener.within_tds, "", "does not know the authority of its certificate", "update-ca-certificates"),
    "the same from the first byte": (
        listener.around_tds,
        ";Encrypt=strict",
        "does not know the authority",
        "update-ca-certificates",
    ),
    "a reset": (listener.reset_in_handshake, "", "cut while it was being made", "firewall"),
    "an end": (listener.closed_in_handshake, "", "cut while it was being made", "firewall"),
    "no encryption": (listener.without_encryption, "", "it offers no encryption", "certificate"),
    "a login's refusal": (listener.refused_login, ";Encrypt=no", "the login was refused", "password"),
    "an old server, asked strictly": (listener.closed_at_once, ";Encrypt=strict", "cut while it was being made", "firewall"),
    "another service": (listener.another_service, "", "what answers there is no SQL Server", "name and port"),
}


@pytest.mark.parametrize("case", ON_THE_WAY)
def test_what_is_met_on_the_way_is_named(microsofts: str, certificates: CertificateFiles, case: str) -> None:
    """Microsoft's driver meets a certificate that nobody knows, or somebody cuts the handshake: the reason, and what to do."""
    part, more, told, hint = ON_THE_WAY[case]
    with listener.listening(part, certificates.server) as port:
        string = f"DRIVER={microsofts};SERVER=127.0.0.1,{port};DATABASE=bic;UID=bic;PWD=hunter2{more}"
        with pytest.raises(DestinationError) as caught:
            create(connection_string=string, wait=2).load(HOST, [small("a")])
    assert told in caught.value.message
    assert hint in caught.value.hint
    assert "port open" not in caught.value.hint
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


def test_a_certificate_for_another_name_is_named(
    microsofts: str, certificates: CertificateFiles, run_python: Callable[[str], str]
) -> None:
    """Where the authority is trusted and the name does not fit, it says so (OpenSSL reads its store once a process)."""
    with listener.listening(listener.within_tds, certificates.server) as port:
        string = f"DRIVER={microsofts};SERVER=127.0.0.1,{port};UID=u;PWD=p;HostNameInCertificate=other.example.com"
        program = (
            f"import os; os.environ['SSL_CERT_FILE'] = {str(certificates.ca)!r}\n"
            "from bic_lib.destinations.sql import create\n"
            f"[check] = create(connection_string={string!r}, wait=2).checks()\n"
            "print(check.detail, check.hint)"
        )
        told = run_python(program)
    assert "its certificate is for another name" in told
    assert "HostNameInCertificate=" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "SSL Provider: The certificate chain was issued by an authority that is not trusted.",
            "the authority of its certificate",
        ),
        ("SSL Provider: The target principal name is incorrect.", "for another name"),
        ("SSL Provider: [error:0A000086:SSL routines::certificate verify failed:certificate has expired]", "not valid now"),
        ("SSL Provider: [error:0A000086:SSL routines::certificate verify failed:self-signed certificate]", "the authority"),
        ("SSL Provider: [error:0A000102:SSL routines::unsupported protocol]", "no TLS in common"),
        ("SSL Provider: [error:0A00018A:SSL routines::dh key too small]", "no TLS in common"),
        ("SSL Provider: something new", "no encrypted connection"),
        ("TCP Provider: Error code 0x2AF9 (11001)", "its name is not known here"),
        ("TCP Provider: Error code 0x2746 (10054)", "cut while it was being made"),
    ],
)
def test_each_failure_on_the_way_has_its_words(text: str, told: str) -> None:
    """What OpenSSL and Windows say is told by what is behind it, with their own words and without the driver's prefixes."""
    prefixed = f"[08001] [Microsoft][ODBC Driver 18 for SQL Server]{text} (-1) (SQLDriverConnect)"
    translated = sqlserver_errors.translated(pyodbc.OperationalError("08001", prefixed), "the database")
    assert told in translated.message
    assert text in translated.message
    assert "[Microsoft]" not in translated.message
    assert translated.hint


def test_a_missing_driver_manager_is_the_destinations_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyodbc can't be loaded, only this destination fails, and says what to install."""
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    destination = create(connection_string="SERVER=db")
    with pytest.raises(DestinationError) as caught:
        destination.load(HOST, [small("a")])
    assert "unixodbc" in caught.value.hint
    assert not destination.checks()[0].ok


def test_pyodbc_is_loaded_only_when_needed(run_python: Callable[[str], str]) -> None:
    """Who has no SQL Server never loads its driver manager."""
    program = (
        "import sys, bic_lib.destinations.sql as sql; sql.create(connection_string='SERVER=x'); print('pyodbc' in sys.modules)"
    )
    assert run_python(program) == "False"


@pytest.fixture
def run_python() -> Callable[[str], str]:
    return lambda program: subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


def told() -> str:
    """Everything that is said of a SQL Server that can't be used, a line each."""
    numbers = sorted({number for numbers, *_ in sqlserver_errors._CAUSES for number in numbers} | {1205})
    prefix = "[08001] [Microsoft][ODBC Driver 18 for SQL Server]"
    texts = (
        *(
            "does not match host name",
            "has expired",
            "certificate verify failed",
            "unsupported protocol",
            "SSL",
            "(104)",
            "(11001)",
        ),
        *("encryption not supported", "protocol error in TDS", "Unable to connect to data source", "Login timeout expired"),
    )
    errors = [
        *(error(number, "No.") for number in numbers),
        error(208, "Invalid object name 'OPENJSON'."),
        *(pyodbc.OperationalError("08001", f"{prefix}{text} (SQLDriverConnect)") for text in texts),
    ]
    said = [sqlserver_errors.translated(one, "db").message for one in errors]
    said += ["To be changed before the first load", "lacks what bic had made there"]  # tests/destinations/sql/test_schema.py
    for refused in (
        lambda: connection_strings.parse("SERVER=db;Databse=x"),
        lambda: odbc._with_driver({"SERVER": "db", "UID": "u"}, "FreeTDS"),
        lambda: odbc._demand_azure({"SERVER": "db"}),
    ):
        with pytest.raises(BicError) as caught:
            refused()
        said.append(caught.value.message)
    return "\n".join(said)


def test_the_page_has_each_trouble_and_no_other() -> None:
    """Whatever docs/troubleshooting.md quotes of databases is told so, and each reason that is told is there."""
    said, page = told(), symptoms("Databases")
    assert len(page) > 25
    assert not [quoted.pattern for quoted in page if not quoted.search(said)]
    reasons = [why for _, why, _ in (*sqlserver_errors._CAUSES, *sqlserver_errors._ON_THE_WAY)]
    assert not [why for why in reasons if not any(quoted.search(why) for quoted in page)]
