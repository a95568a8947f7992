"""The settings file: what is taken, and how everything that is wrong is named at once."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bic_lib import settings, settings_docs
from bic_lib.errors import SettingsError
from bic_lib.model import DAY, DataType, OnConflict, OpenSessions, Schedule, Site, Transfer
from bic_lib.settings_model import (
    LocalFolderSettings,
    SmtpSettings,
    SqliteLedger,
)
from bic_lib.settings_spelling import duration, seconds

ROOT = Path(__file__).parent.parent
EXAMPLE = (ROOT / "bic.example.toml").read_text("utf-8")

GOOD = r"""
[ledger]
kind = "sqlite"
path = "bic-ledger.sqlite"
[key_vault]
url = "https://vault.vault.azure.net"
[sites.support]
host = "support.example.com"
client_id = "id"
client_secret = "env:SECRET"
[destinations.archive]
kind = "local_folder"
directory = "archive"
[destinations.blob]
kind = "azure_blob"
container_url = "https://acct.blob.core.windows.net/sessions"
[destinations.share]
kind = "smb_share"
directory = '\\files.example.com\support\archive'
[destinations.rows]
kind = "sql_database"
connection_string = "sqlite:///sessions.sqlite"
[schedules.hourly]
every = "1h"
transfers = [{ site = "support", destination = "archive", data = ["sessions"] }]
[notifications.smtp]
host = "mail.example.com"
from = "bic@example.com"
to = ["ops@example.com"]
[logs]
directory = "logs"
"""

HOURLY = 'transfers = [{ site = "support", destination = "archive", data = ["sessions"] }]'
SECRET = "hunter2-very-secret"


def problems(text: str, base: Path = Path("/srv/bic")) -> tuple[str, ...]:
    """What is wrong with a settings text."""
    with pytest.raises(SettingsError) as caught:
        settings.parse(text, base, "bic.toml")
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


def after(line: str, *more: str) -> str:
    return changed(line, "\n".join((line, *more)))


HOST = 'host = "support.example.com"'
CLIENT_SECRET = 'client_secret = "env:SECRET"'
FOLDER = 'directory = "archive"'
EVERY = 'every = "1h"'
BLOB = 'container_url = "https://acct.blob.core.windows.net/sessions"'
SHARE = r"directory = '\\files.example.com\support\archive'"
ROWS = 'connection_string = "sqlite:///sessions.sqlite"'
MAIL = 'host = "mail.example.com"'


def line(data: str, destination: str = "archive", site: str = "support", more: str = "") -> str:
    """The hourly schedule's transfers with these data types."""
    return changed(HOURLY, f'transfers = [{{ site = "{site}", destination = "{destination}", data = {data}{more} }}]')


WRONG: dict[str, tuple[str, str, str]] = {
    # what is wrong: (the file, the path, words of the message)
    "nothing at all": ("", "sites", "missing; The appliances"),
    "empty sites": ("sites = {}", "sites", "at least one"),
    "unknown section": (GOOD + "[site.other]\nhost = 'x'", "site", 'did you mean "sites"?'),
    "unknown key of a site": (after(HOST, "hots = 1"), "sites.support.hots", 'did you mean "host"?'),
    "missing host": (changed(HOST, ""), "sites.support.host", "missing; The appliance's host name"),
    "missing client_id": (changed('client_id = "id"', ""), "sites.support.client_id", "missing"),
    "missing secret": (changed(CLIENT_SECRET, ""), "sites.support.client_secret", "missing"),
    "host with scheme": (changed(HOST, 'host = "https://support.example.com"'), "sites.support.host", "scheme"),
    "host with path": (changed(HOST, 'host = "support.example.com/login"'), "sites.support.host", "and path"),
    "host with user": (changed(HOST, 'host = "me:pw@support.example.com"'), "sites.support.host", "no host name"),
    "host with bad port": (changed(HOST, 'host = "support.example.com:99999"'), "sites.support.host", "1 to 65535"),
    "host empty": (changed(HOST, 'host = ""'), "sites.support.host", "no host name"),
    "host as number": (changed(HOST, "host = 5"), "sites.support.host", "must be text in quotes"),
    "literal secret": (changed(CLIENT_SECRET, f'client_secret = "{SECRET}"'), "sites.support.client_secret", "env:NAME"),
    "secret as number": (changed(CLIENT_SECRET, "client_secret = 12345678"), "sites.support.client_secret", "must be text"),
    "env without name": (changed(CLIENT_SECRET, 'client_secret = "env:"'), "sites.support.client_secret", "env:NAME"),
    "keyvault without name": (changed(CLIENT_SECRET, 'client_secret = "keyvault:a b"'), "sites.support.client_secret", "letters"),
    "platform's reference": (
        changed(CLIENT_SECRET, 'client_secret = "@Microsoft.KeyVault(VaultName=v;SecretName=n)"'),
        "sites.support.client_secret",
        "Functions platform",
    ),
    "literal backup password": (
        after(HOST, f'backup_password = "{SECRET}"'),
        "sites.support.backup_password",
        "is a secret written out",
    ),
    "site's name": (GOOD + "[sites.'my site']\nhost='x'\nclient_id='x'\nclient_secret='env:X'", 'sites."my site"', "is no name"),
    "name too long": (
        GOOD + f"[sites.{'x' * 41}]\nhost='x'\nclient_id='x'\nclient_secret='env:X'",
        f"sites.{'x' * 41}",
        "at most 40",
    ),
    "site is no table": ('sites.support = "x"', "sites.support", "must be a table"),
    "enabled in quotes": (after(HOST, 'enabled = "true"'), "sites.support.enabled", "true or false"),
    "enabled as number": (after(HOST, "enabled = 1"), "sites.support.enabled", "true or false"),
    "history as number": (after(HOST, "history = 90"), "sites.support.history", "is no duration"),
    "history in months": (after(HOST, 'history = "3 months"'), "sites.support.history", '"3 months" is no duration'),
    "lookback negative": (after(HOST, 'lookback = "-10m"'), "sites.support.lookback", "is no duration"),
    "lookback too long": (after(HOST, 'lookback = "2d"'), "sites.support.lookback", 'from "0s" to "12h"'),
    "second look": (after(HOST, 'second_look = "48 hours"'), "sites.support.second_look", "is no duration"),
    "reconcile days": (after(HOST, "reconcile_days = 0"), "sites.support.reconcile_days", "at least 1"),
    "reconcile days as text": (after(HOST, 'reconcile_days = "7"'), "sites.support.reconcile_days", "whole number"),
    "reconcile days half": (after(HOST, "reconcile_days = 1.5"), "sites.support.reconcile_days", "whole number"),
    "abnormal after": (after(HOST, 'abnormal_after = "0s"'), "sites.support.abnormal_after", "out of range"),
    "no lane": (after(HOST, "max_concurrency = 0"), "sites.support.max_concurrency", "at least 1"),
    "no requests": (after(HOST, "requests_per_second = 0"), "sites.support.requests_per_second", "more than 0"),
    "endless requests": (after(HOST, "requests_per_second = inf"), "sites.support.requests_per_second", "number"),
    "negative per hour": (after(HOST, "requests_per_hour = -1"), "sites.support.requests_per_hour", "at least 1"),
    "ledger's kind": (
        changed('kind = "sqlite"', 'kind = "postgres"'),
        "ledger.kind",
        '"postgres" is not known; one of sqlite, azure_table',
    ),
    "ledger without kind": (changed('kind = "sqlite"', ""), "ledger.kind", "missing; one of sqlite"),
    "ledger's path empty": (changed('path = "bic-ledger.sqlite"', 'path = ""'), "ledger.path", "is empty"),
    "ledger without account": (
        changed('kind = "sqlite"\npath = "bic-ledger.sqlite"', 'kind = "azure_table"'),
        "ledger.account_url",
        "both missing",
    ),
    "ledger is the database": (
        changed("sqlite:///sessions.sqlite", "sqlite:///./bic-ledger.sqlite"),
        "ledger.path",
        "storage database",
    ),
    "identity's kind": (GOOD + '[identity]\nkind = "password"', "identity.kind", "managed_identity"),
    "identity's secret": (
        GOOD + f'[identity]\nkind = "client_secret"\ntenant_id = "t"\nclient_id = "c"\nclient_secret = "{SECRET}"',
        "identity.client_secret",
        "is a secret written out",
    ),
    "vault by http": (changed("https://vault.vault", "http://vault.vault"), "key_vault.url", "https URL"),
    "vault missing": (
        changed('[key_vault]\nurl = "https://vault.vault.azure.net"', "").replace("env:SECRET", "keyvault:name"),
        "sites.support.client_secret",
        "no vault is configured",
    ),
    "destination's kind": (
        changed('"local_folder"', '"ftp"'),
        "destinations.archive.kind",
        '"ftp" is not known; one of local_folder',
    ),
    "destination without kind": (
        changed('kind = "local_folder"', ""),
        "destinations.archive.kind",
        "missing; one of local_folder",
    ),
    "unknown key of a folder": (after(FOLDER, "tags = true"), "destinations.archive.tags", "unknown key"),
    "folder missing": (changed(FOLDER, ""), "destinations.archive.directory", "missing"),
    "folder on a drive": (changed(FOLDER, r"directory = 'Z:\archive'"), "destinations.archive.directory", "Windows drive"),
    "folder on a share": (changed(FOLDER, r"directory = '\\server\share'"), "destinations.archive.directory", "smb_share"),
    "conflict rule": (after(FOLDER, 'on_conflict = "append"'), "destinations.archive.on_conflict", "'AppendNumber'"),
    "retention negative": (after(FOLDER, "retention_count = -1"), "destinations.archive.retention_count", "at least 0"),
    "retention as truth": (after(FOLDER, "retention_count = true"), "destinations.archive.retention_count", "whole number"),
    "format's value": (
        after(FOLDER, "file_name_format = '%LSIDD%.xml'"),
        "destinations.archive.file_name_format",
        "%LSIDD% is not known",
    ),
    "format in lower case": (
        after(FOLDER, "file_name_format = '%lsid%.xml'"),
        "destinations.archive.file_name_format",
        "case-sensitive",
    ),
    "format that climbs": (after(FOLDER, "file_name_format = '../%LSID%'"), "destinations.archive.file_name_format", "leaves"),
    "format empty": (after(FOLDER, "file_name_format = ''"), "destinations.archive.file_name_format", "no file name"),
    "format per type": (
        after(FOLDER, "file_name_format = { sessions = '%SESSION%' }"),
        "destinations.archive.file_name_format.sessions",
        "%SESSION% is not known",
    ),
    "format of unknown type": (
        after(FOLDER, "file_name_format = { recordings = '%LSID%' }"),
        "destinations.archive.file_name_format.recordings",
        "'session_recordings'",
    ),
    "format as number": (after(FOLDER, "file_name_format = 5"), "destinations.archive.file_name_format", "must be text"),
    "nested folders": (
        GOOD + "[destinations.inner]\nkind = 'local_folder'\ndirectory = 'archive/deep'",
        "destinations.inner.directory",
        "lies within destinations.archive",
    ),
    "same folder": (
        GOOD + "[destinations.twin]\nkind = 'local_folder'\ndirectory = 'x/../archive'",
        "destinations.twin.directory",
        "same place as destinations.archive",
    ),
    "folder around": (
        GOOD + "[destinations.outer]\nkind = 'local_folder'\ndirectory = '.'",
        "destinations.outer.directory",
        "overlaps with destinations.archive",
    ),
    "same share": (
        GOOD + "[destinations.twin]\nkind = 'smb_share'\ndirectory = '//FILES.example.com/Support/archive/x'",
        "destinations.twin.directory",
        "lies within destinations.share",
    ),
    "same container": (
        after(SHARE, "[destinations.twin]", 'kind = "azure_blob"', BLOB),
        "destinations.twin.directory",
        "same place",
    ),
    "same database": (
        after(ROWS, "[destinations.twin]", 'kind = "sql_database"', ROWS),
        "destinations.twin.connection_string",
        "same place",
    ),
    "share on a drive": (changed(SHARE, r"directory = 'S:\archive'"), "destinations.share.directory", "mapped drives"),
    "share as a path": (changed(SHARE, "directory = '/mnt/share'"), "destinations.share.directory", "no UNC path"),
    "share without password": (after(SHARE, "username = 'svc'"), "destinations.share.password", "missing"),
    "share without user": (after(SHARE, "password = 'env:P'"), "destinations.share.username", "missing"),
    "share's literal password": (
        after(SHARE, "username = 'svc'", f"password = '{SECRET}'"),
        "destinations.share.password",
        "a secret",
    ),
    "blob without place": (changed(BLOB, ""), "destinations.blob.container_url", "both missing"),
    "blob with both": (after(BLOB, 'connection = "env:C"', 'container = "abc"'), "destinations.blob.container_url", "both there"),
    "blob without container": (changed(BLOB, 'connection = "env:C"'), "destinations.blob.container", "missing"),
    "blob with a container twice": (after(BLOB, 'container = "abc"'), "destinations.blob.container", "already in"),
    "blob's signed URL": (
        changed(BLOB, f'container_url = "https://a.b/c?sig={SECRET}"'),
        "destinations.blob.container_url",
        "signature",
    ),
    "blob by http": (changed(BLOB, 'container_url = "http://a.b/c"'), "destinations.blob.container_url", "https"),
    "blob's literal connection": (
        changed(BLOB, f'connection = "AccountName=a;AccountKey={SECRET}"\ncontainer = "abc"'),
        "destinations.blob.connection",
        "is a secret written out",
    ),
    "blob's directory": (after(BLOB, 'directory = "/x"'), "destinations.blob.directory", "no folder within"),
    "rows with password": (
        changed("sqlite:///sessions.sqlite", f"DRIVER=x;SERVER=y;UID=z;PWD={SECRET}"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows with password in a URL": (
        changed("sqlite:///sessions.sqlite", f"mssql+pyodbc://me:{SECRET}@server/db"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows with password in a query": (
        changed("sqlite:///sessions.sqlite", f"mssql+pyodbc:///?odbc_connect=SERVER%3Dy%3BPWD%3D{SECRET}"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows in another database": (
        changed("sqlite:///sessions.sqlite", "mysql://server/db"),
        "destinations.rows.connection_string",
        "SQLite",
    ),
    "rows in memory": (changed("sqlite:///sessions.sqlite", "sqlite://"), "destinations.rows.connection_string", "in memory"),
    "rows with a format": (after(ROWS, "file_name_format = 'x'"), "destinations.rows.file_name_format", "unknown key"),
    "system information": (
        after(ROWS, "store_system_information = 'yes'"),
        "destinations.rows.store_system_information",
        "true or false",
    ),
    "every missing": (changed(EVERY, ""), "schedules.hourly.every", "missing"),
    "every too short": (changed(EVERY, 'every = "30s"'), "schedules.hourly.every", '"30s" is out of range; from "1m" to "7d"'),
    "every too long": (changed(EVERY, 'every = "8d"'), "schedules.hourly.every", "out of range"),
    "every as number": (changed(EVERY, "every = 60"), "schedules.hourly.every", "is no duration"),
    "every in words": (changed(EVERY, 'every = "hourly"'), "schedules.hourly.every", '"hourly" is no duration'),
    "at with hours": (after(EVERY, 'at = "02:30"'), "schedules.hourly.at", "whole days only"),
    "at with 36 hours": (changed(EVERY, 'every = "36h"\nat = "02:30"'), "schedules.hourly.at", "whole days only"),
    "at out of range": (changed(EVERY, 'every = "1d"\nat = "25:00"'), "schedules.hourly.at", '"25:00" is no time of day'),
    "at unquoted": (changed(EVERY, 'every = "1d"\nat = 02:30:00'), "schedules.hourly.at", "in quotes"),
    "time zone": (
        after(EVERY, 'time_zone = "Europe/Atlantis"'),
        "schedules.hourly.time_zone",
        '"Europe/Atlantis" is no time zone',
    ),
    "time zone's folder": (after(EVERY, 'time_zone = "Europe"'), "schedules.hourly.time_zone", "is no time zone"),
    "time zone outside": (after(EVERY, 'time_zone = "../etc/passwd"'), "schedules.hourly.time_zone", "is no time zone"),
    "no transfers": (changed(HOURLY, "transfers = []"), "schedules.hourly.transfers", "at least one"),
    "transfers as table": (changed(HOURLY, 'transfers = { site = "support" }'), "schedules.hourly.transfers", "must be a list"),
    "unknown site": (line('["sessions"]', site="suport"), "schedules.hourly.transfers[0].site", 'did you mean "support"?'),
    "unknown destination": (
        line('["sessions"]', destination="zzz"),
        "schedules.hourly.transfers[0].destination",
        "known here: archive",
    ),
    "unknown data": (line('["sesions"]'), "schedules.hourly.transfers[0].data[0]", '"sesions" is not known'),
    "no data": (line("[]"), "schedules.hourly.transfers[0].data", "at least one"),
    "data as text": (line('"sessions"'), "schedules.hourly.transfers[0].data", "must be a list"),
    "data twice": (line('["sessions", "sessions"]'), "schedules.hourly.transfers[0].data[1]", "already in"),
    "recordings as rows": (
        line('["sessions", "session_recordings"]', destination="rows"),
        "schedules.hourly.transfers[0].data[1]",
        "sessions only",
    ),
    "presentations as rows": (
        line('["presentations"]', destination="rows"),
        "schedules.hourly.transfers[0].data[0]",
        "sql_database",
    ),
    "backups as rows": (line('["site_backups"]', destination="rows"), "schedules.hourly.transfers[0].data[0]", "sql_database"),
    "open sessions": (
        line('["sessions"]', more=', open_sessions = "maybe"'),
        "schedules.hourly.transfers[0].open_sessions",
        "'wait' or 'deliver'",
    ),
    "unknown key of a transfer": (
        line('["sessions"]', more=", sites = []"),
        "schedules.hourly.transfers[0].sites",
        "did you mean",
    ),
    "stream twice": (
        changed(HOURLY, HOURLY[:-1] + ', { site = "support", destination = "archive", data = ["sessions"] }]'),
        "schedules.hourly.transfers[1].data[0]",
        "already in schedules.hourly.transfers[0]",
    ),
    "mail host with scheme": (changed(MAIL, 'host = "smtp://mail"'), "notifications.smtp.host", "scheme"),
    "mail host with port": (changed(MAIL, 'host = "mail:25"'), "notifications.smtp.host", 'the port as "port"'),
    "mail port": (after(MAIL, "port = 70000"), "notifications.smtp.port", "at most 65535"),
    "mail security": (after(MAIL, 'security = "ssl"'), "notifications.smtp.security", "'starttls'"),
    "mail without sender": (changed('from = "bic@example.com"', ""), "notifications.smtp.from", "missing"),
    "mail address": (changed('"ops@example.com"', '"ops"'), "notifications.smtp.to[0]", "no mail address"),
    "mail to nobody": (changed('["ops@example.com"]', "[]"), "notifications.smtp.to", "at least one"),
    "mail's literal password": (
        after(MAIL, 'username = "u"', f'password = "{SECRET}"'),
        "notifications.smtp.password",
        "is a secret written out",
    ),
    "notified by pigeon": (GOOD + "[notifications.pigeon]\nname = 'x'", "notifications.pigeon", "unknown key"),
    "log format": (after('directory = "logs"', 'format = "xml"'), "logs.format", "'text' or 'json'"),
    "log days": (after('directory = "logs"', "keep_days = 0"), "logs.keep_days", "at least 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_names_what_is_wrong_and_where(case: str) -> None:
    """Each wrong file gives exactly one problem: its path, what is wrong, what would be right; and never a secret."""
    text, path, words = WRONG[case]
    (problem, *others) = problems(text)
    assert others == []
    assert problem.startswith(f"{path}: ")
    assert words in problem
    assert "; " in problem
    assert SECRET not in problem


def test_at_least_fifty_ways_of_being_wrong() -> None:
    """The table of wrong files is as long as the promise."""
    assert len(WRONG) >= 50


def test_lists_all_problems_at_once() -> None:
    """Values, unknown keys and contradictions of one file are told together, in one error."""
    text = changed(HOST, 'host = "https://x"')
    text = text.replace("env:SECRET", SECRET).replace("local_folder", "ftp").replace('"1h"', '"1x"')
    text = text.replace('site = "support"', 'site = "other"') + "[nonsense]\n"
    found = problems(text)
    paths = ["sites.support.host", "sites.support.client_secret", "destinations.archive.kind"]
    paths += ["schedules.hourly.every", "schedules.hourly.transfers[0].site", "nonsense"]
    assert sorted(paths) == sorted(problem.partition(": ")[0] for problem in found)
    assert SECRET not in "".join(found)


def test_a_bare_text_for_every_section_is_still_only_a_list_of_problems() -> None:
    """Sections of the wrong shape are named, whatever the cross-checks would have looked for in them."""
    for wrong in ('"text"', "5", "[]", "true", "[{}]"):
        keys = ["ledger", "identity", "key_vault", "sites", "destinations", "schedules", "notifications", "logs"]
        found = problems("\n".join(f"{key} = {wrong}" for key in keys))
        assert [problem.partition(":")[0].partition(".")[0] for problem in found] == keys


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[sites.a]\nhost = "x\n', "line 2, column 10"),
        ("[sites.a]\nhost = \n", "line 2, column 8"),
        ("[sites.a", "line 1, column 9"),
        ("[a]\n[a]\n", "line 2, column 3"),
        ("a = 1\na = 2\n", "line 2, column 6"),
    ],
)
def test_syntax_errors_have_line_and_column(text: str, where: str) -> None:
    """A file that is no TOML is told where it breaks."""
    (problem,) = problems(text)
    assert problem.startswith(f"{where}: ")


def test_a_secret_on_a_broken_line_is_not_echoed() -> None:
    """A TOML error next to a secret tells the place, not the text."""
    assert SECRET not in "".join(problems(f'[sites.a]\nclient_secret = "{SECRET}" x\n'))


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda path: None, "There is no settings file"),
        (lambda path: path.mkdir(), "can't be read"),
        (lambda path: path.write_bytes(b"\xff\xfe["), "not UTF-8"),
    ],
)
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, prepare: Any, words: str) -> None:
    """A missing, unreadable or wrongly encoded file is one clear error with a hint."""
    prepare(tmp_path / "bic.toml")
    with pytest.raises(SettingsError, match=words) as caught:
        settings.load(tmp_path / "bic.toml")
    assert caught.value.hint


def test_loads_a_file_with_a_byte_order_mark_relative_to_its_folder(tmp_path: Path) -> None:
    """Windows editors' BOM is tolerated, and relative paths begin at the file."""
    (tmp_path / "bic.toml").write_text("\ufeff" + GOOD, encoding="utf-8")
    loaded = settings.load(tmp_path / "bic.toml")
    assert tmp_path / "archive" == loaded.path("archive")
    assert f"sqlite:///{tmp_path}/sessions.sqlite" == loaded.connection("sqlite:///sessions.sqlite")
    assert Path("/x/archive") == loaded.path("/x/archive")


def test_a_url_is_fetched_by_the_callers_function() -> None:
    """An https source is read by what is handed in; without it, that is a clear error."""
    assert settings.load("https://acct/bic.toml", fetch=lambda url: GOOD).sites.keys() == {"support"}
    with pytest.raises(SettingsError, match="can't be read here"):
        settings.load("https://acct/bic.toml")


def test_the_source_is_the_option_then_the_environment_then_the_folder() -> None:
    """`--settings` wins over BIC_SETTINGS, which wins over ./bic.toml."""
    environ = {"BIC_SETTINGS": "from-environment.toml"}
    assert settings.source(environ, "option.toml") == "option.toml"
    assert settings.source(environ, None) == "from-environment.toml"
    assert settings.source({}, None) == "bic.toml"


def test_gives_the_values_of_the_core() -> None:
    """Sites and schedules come out as the core's values, with durations in seconds and clock times in minutes."""
    text = after(HOST, 'history = "1d12h"', "requests_per_second = 2.5").replace(EVERY, 'every = "2d"\nat = "02:30"')
    text = text.replace('["sessions"]', '["sessions"], open_sessions = "deliver"')
    parsed = settings.parse(text, Path("/srv/bic"), "bic.toml")
    site = Site("support", "support.example.com", history=DAY * 3 // 2, requests_per_second=2.5)
    assert parsed.site_values == {"support": site}
    transfer = Transfer("support", "archive", (DataType.SESSIONS,), OpenSessions.DELIVER)
    assert parsed.schedule_values == {"hourly": Schedule("hourly", 2 * DAY, (transfer,), at=150)}


def test_what_is_left_out_has_its_default() -> None:
    """A file with one site is enough; the ledger is SQLite beside the file."""
    parsed = settings.parse('[sites.a]\nhost="a:8443"\nclient_id="x"\nclient_secret="env:X"', Path("/srv"), "bic.toml")
    assert parsed.ledger == SqliteLedger(kind="sqlite")
    assert parsed.site_values["a"] == Site("a", "a:8443")
    assert (parsed.logs, parsed.identity, parsed.notifications.smtp) == (None, None, None)


def test_file_name_formats_are_for_all_data_types_or_for_each() -> None:
    """One text counts for every data type, a table for those it names."""
    one = settings.parse(after(FOLDER, "file_name_format = '%LSID%.%EXTENSION%'"), Path("/srv"), "x").destinations["archive"]
    each = settings.parse(after(FOLDER, "file_name_format.sessions = '%LSID%'"), Path("/srv"), "x").destinations["archive"]
    assert isinstance(one, LocalFolderSettings)
    assert isinstance(each, LocalFolderSettings)
    assert one.formats() == dict.fromkeys(DataType, "%LSID%.%EXTENSION%")
    assert each.formats() == {DataType.SESSIONS: "%LSID%"}
    assert one.on_conflict is OnConflict.APPEND_NUMBER


def test_one_stream_may_be_in_several_schedules() -> None:
    """The same data of one site to one destination is fine in two schedules."""
    settings.parse(GOOD + f'[schedules.daily]\nevery = "1d"\n{HOURLY}', Path("/srv"), "bic.toml")


def test_the_mail_port_follows_security() -> None:
    """Without a port, the usual one of the chosen security is taken."""
    smtp = {"host": "m", "from": "a@b", "to": ["c@d"]}
    ports = [SmtpSettings.model_validate(smtp | {"security": how}).effective_port for how in ("starttls", "tls", "none")]
    assert ports == [587, 465, 25]


@pytest.mark.parametrize(
    ("text", "number"), [("90d", 90 * DAY), ("1h30m", 5_400), ("48h", 2 * DAY), ("1m", 60), ("0s", 0), ("1d2h3m4s", 93_784)]
)
def test_durations_are_read_and_written(text: str, number: int) -> None:
    """A duration is a number of seconds, and its spelling is read back as the same."""
    assert seconds(text) == number
    assert seconds(duration(number)) == number


@pytest.mark.parametrize("text", ["", "1", "h", "1w", "1m1h", "1.5h", "-1h", "1 h", "1H", None, 60, True])
def test_other_spellings_are_no_durations(text: object) -> None:
    """Everything else is refused."""
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


# --- plug-ins --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pigeon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with the destination kind `pigeon`, and one that can't be imported."""
    metadata = tmp_path / "pigeon-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[bic.destinations]\npigeon = pigeon_plug_in:Pigeon\nbroken = no_such_module\n")
    (tmp_path / "pigeon_plug_in.py").write_text(
        "from bic_lib.settings_model import FileDestination\n"
        "class Pigeon:\n    class Settings(FileDestination):\n        loft: str\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_plug_in_kind_has_its_own_settings(pigeon: None) -> None:
    """A destination of another package is checked by that package's model, beside the built-in kinds."""
    text = GOOD + "[destinations.bird]\nkind = 'pigeon'\nloft = 'north'"
    parsed = settings.parse(text, Path("/srv"), "bic.toml")
    assert settings.effective(parsed)["destinations"]["bird"] == {
        "kind": "pigeon",
        "loft": "north",
        "on_conflict": "AppendNumber",
    }
    assert isinstance(parsed.destinations["archive"], LocalFolderSettings)
    assert problems(text.replace("loft", "attic"))[0].startswith("destinations.bird.")


def test_a_plug_in_that_can_not_be_loaded_is_named(pigeon: None) -> None:
    """A broken package is a problem of its destination, not a traceback."""
    found = problems(GOOD + "[destinations.bird]\nkind = 'broken'")
    assert any(problem.startswith("destinations.bird.kind: the plug-in broken can't be loaded") for problem in found)


# --- showing ---------------------------------------------------------------------------------------------------------


def test_effective_settings_show_defaults_and_references_and_load_again() -> None:
    """The effective settings are complete, hold no secret, and are themselves a valid file."""
    parsed = settings.parse(EXAMPLE, ROOT, "bic.example.toml")
    shown = settings.effective(parsed)
    assert shown["sites"]["support"]["client_secret"] == "keyvault:support-secret"
    assert shown["sites"]["support"]["history"] == "90d"
    assert shown["schedules"]["backup"]["at"] == "02:30"
    again = settings.Settings.model_validate(json.loads(json.dumps(shown)), context={"base": ROOT})
    assert settings.effective(again) == shown


def test_the_example_is_complete() -> None:
    """bic.example.toml loads, and names every key of every section, if only in a comment."""
    settings.parse(EXAMPLE, ROOT, "bic.example.toml")
    missing = {
        name
        for table, found in settings.schema()["$defs"].items()
        if table not in {"ClientSecretIdentity", "CertificateIdentity", "AzureCliIdentity"}
        for name in found.get("properties", {})
        if name not in EXAMPLE
    }
    assert missing == set()


def test_every_key_of_the_schema_is_described() -> None:
    """The JSON Schema can be dumped and each key has a sentence."""
    schema = settings.schema()
    assert json.dumps(schema)
    assert schema["$defs"]["SiteSettings"]["properties"]["history"]["default"] == "90d"
    fields = [field for table in schema["$defs"].values() for field in table.get("properties", {}).values()]
    assert all(field.get("description") for field in fields)


def test_the_settings_page_is_what_the_code_says() -> None:
    """docs/settings.md is written by the code: run `python -m bic_lib.settings_docs > docs/settings.md`."""
    assert (ROOT / "docs/settings.md").read_text("utf-8") == settings_docs.document()


def test_the_page_names_every_key() -> None:
    """No key of the schema is missing on the page."""
    page = settings_docs.document()
    names = {name for table in settings.schema()["$defs"].values() for name in table.get("properties", {})}
    assert {name for name in names if f"| `{name}` |" not in page} == {"smtp"}


def test_nothing_heavy_is_imported() -> None:
    """Reading settings loads no SDK and no HTTP library."""
    code = "import sys, bic_lib.settings; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert {"azure", "smbprotocol", "sqlalchemy", "requests", "lxml"} & set(modules) == set()


def test_good_is_good() -> None:
    """The file that the wrong ones are made from has nothing wrong itself."""
    assert tomllib.loads(GOOD)["sites"].keys() == settings.parse(GOOD, Path("/srv"), "bic.toml").sites.keys()
