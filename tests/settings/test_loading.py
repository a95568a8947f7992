"""The settings file: where it is read from, and which values come out of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from bic_lib.core.errors import SettingsError
from bic_lib.core.model import DAY, DataType, OnConflict, OpenSessions, Schedule, Site, Transfer
from bic_lib.settings import loading
from bic_lib.settings.model import LocalFolderSettings, SmtpSettings, SqliteLedger
from bic_lib.settings.times import duration, seconds
from tests.settings.good import EVERY, FOLDER, GOOD, HOST, HOURLY, after
from tests.support import ROOT


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
        loading.load(tmp_path / "bic.toml")
    assert caught.value.hint


def test_loads_a_file_with_a_byte_order_mark_relative_to_its_folder(tmp_path: Path) -> None:
    """Windows editors' BOM is tolerated, and relative paths begin at the file."""
    (tmp_path / "bic.toml").write_text("\ufeff" + GOOD, encoding="utf-8")
    loaded = loading.load(tmp_path / "bic.toml")
    assert tmp_path / "archive" == loaded.path("archive")
    assert f"sqlite:///{tmp_path}/sessions.sqlite" == loaded.connection("sqlite:///sessions.sqlite")
    assert Path("/x/archive") == loaded.path("/x/archive")


def test_a_url_is_fetched_by_the_callers_function() -> None:
    """An https source is read by what is handed in; without it, that is a clear error."""
    assert loading.load("https://acct/bic.toml", fetch=lambda url: GOOD).sites.keys() == {"support"}
    with pytest.raises(SettingsError, match="can't be read here"):
        loading.load("https://acct/bic.toml")


def test_settings_from_a_url_name_no_key_file() -> None:
    """A file would be of one instance: there days are sealed by a key of the vault."""
    seal = GOOD + '[seal]\ndestination = "archive"\n'
    url = "https://acct.blob.core.windows.net/settings/bic.toml"
    with pytest.raises(SettingsError) as told:
        loading.parse(seal, Path(), url)
    assert "seal.key" in str(told.value)
    assert loading.parse(seal + 'key = "keyvault:seal"', Path(), url).seal


def test_the_source_is_the_option_then_the_environment_then_the_folder() -> None:
    """`--settings` wins over BIC_SETTINGS, which wins over ./bic.toml."""
    environ = {"BIC_SETTINGS": "from-environment.toml"}
    assert loading.source(environ, "option.toml") == "option.toml"
    assert loading.source(environ, None) == "from-environment.toml"
    assert loading.source({}, None) == "bic.toml"


def test_gives_the_values_of_the_core() -> None:
    """Sites and schedules come out as the core's values, with durations in seconds and clock times in minutes."""
    text = after(HOST, 'history = "1d12h"', "requests_per_second = 2.5").replace(EVERY, 'every = "2d"\nat = "02:30"')
    text = text.replace('["sessions"]', '["sessions"], open_sessions = "deliver"')
    parsed = loading.parse(text, Path("/srv/bic"), "bic.toml")
    site = Site("support", "support.example.com", history=DAY * 3 // 2, requests_per_second=2.5)
    assert parsed.site_values == {"support": site}
    transfer = Transfer("support", "archive", (DataType.SESSIONS,), OpenSessions.DELIVER)
    assert parsed.schedule_values == {"hourly": Schedule("hourly", 2 * DAY, (transfer,), at=150)}


def test_what_is_left_out_has_its_default() -> None:
    """A file with one site is enough; the ledger is SQLite beside the file."""
    parsed = loading.parse('[sites.a]\nhost="a:8443"\nclient_id="x"\nclient_secret="env:X"', Path("/srv"), "bic.toml")
    assert parsed.ledger == SqliteLedger(kind="sqlite")
    assert parsed.site_values["a"] == Site("a", "a:8443")
    assert (parsed.logs, parsed.identity, parsed.notifications.smtp) == (None, None, None)


def test_file_name_formats_are_for_all_data_types_or_for_each() -> None:
    """One text counts for every data type, a table for those it names."""
    one = loading.parse(after(FOLDER, "file_name_format = '%LSID%.%EXTENSION%'"), Path("/srv"), "x").destinations["archive"]
    each = loading.parse(after(FOLDER, "file_name_format.sessions = '%LSID%'"), Path("/srv"), "x").destinations["archive"]
    assert isinstance(one, LocalFolderSettings)
    assert isinstance(each, LocalFolderSettings)
    assert one.formats() == dict.fromkeys(DataType, "%LSID%.%EXTENSION%")
    assert each.formats() == {DataType.SESSIONS: "%LSID%"}
    assert one.on_conflict is OnConflict.APPEND_NUMBER


def test_one_stream_may_be_in_several_schedules() -> None:
    """The same data of one site to one destination is fine in two schedules."""
    loading.parse(GOOD + f'[schedules.daily]\nevery = "1d"\n{HOURLY}', Path("/srv"), "bic.toml")


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


def test_nothing_heavy_is_imported() -> None:
    """Reading settings loads no SDK and no HTTP library."""
    code = "import sys, bic_lib.settings.loading; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert {"azure", "smbprotocol", "sqlalchemy", "requests", "lxml"} & set(modules) == set()


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """A database lies beside the settings, whatever their folder is called: a URL's escapes are no part of that name."""
    folder = tmp_path / "a%41b? #c"
    folder.mkdir()
    connection = loading.parse(GOOD, folder, "bic.toml").connection("sqlite:///x%20y.sqlite")
    assert make_url(connection).database == str(folder / "x y.sqlite")
