"""What differs from system to system: whether it has time zones, and in which encoding output goes out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bic_lib.simulator import Simulator
from tests.support import ROOT, Bic, archive, hourly, site

# --- time zones -------------------------------------------------------------------------------------------------------


def backups(time_zone: str) -> str:
    return f"""
[schedules.nightly]
every = "1d"
at = "02:30"
{time_zone}
transfers = [{{ site = "support", destination = "archive", data = ["site_backups"] }}]
"""


@pytest.fixture
def without_zones(bic: Bic) -> Bic:
    """`bic` on a system without a time zone database, as plain Windows is; only the package tzdata may be there."""
    bic.environ["PYTHONTZPATH"] = ""
    return bic


@pytest.mark.parametrize("time_zone", ['time_zone = "UTC"', ""])
def test_utc_is_never_looked_up(without_zones: Bic, appliance: Simulator, tmp_path: Path, time_zone: str) -> None:
    """A schedule at a time of day works without any database, without the package too."""
    (tmp_path / "nothing/tzdata").mkdir(parents=True)
    (tmp_path / "nothing/tzdata/__init__.py").touch()
    without_zones.environ["PYTHONPATH"] = f"{tmp_path / 'nothing'}:{ROOT}"
    (tmp_path / "bic.toml").write_text(site(appliance) + archive() + backups(time_zone), encoding="utf-8")
    assert without_zones("run", "--once").status == 0
    assert without_zones("status", "--json").json["schedules"][0]["next_due"].endswith("T02:30:00Z")


def test_other_zones_come_with_us(without_zones: Bic, appliance: Simulator) -> None:
    """Any other zone is found without the system's database: its package is one of ours."""
    zone = 'time_zone = "Asia/Kathmandu"'  # 5:45 ahead, all year
    (without_zones.folder / "bic.toml").write_text(site(appliance) + archive() + backups(zone), encoding="utf-8")
    assert without_zones("run", "--once").status == 0
    assert without_zones("status", "--json").json["schedules"][0]["next_due"].endswith("T20:45:00Z")


def test_the_example_is_good_without_a_database(without_zones: Bic) -> None:
    """bic.example.toml, which has a schedule in a zone of its own."""
    assert "time_zone" in (ROOT / "bic.example.toml").read_text("utf-8")
    shown = without_zones("settings", "show", "--settings", str(ROOT / "bic.example.toml"))
    assert (shown.status, shown.err) == (0, "")


# --- encodings --------------------------------------------------------------------------------------------------------

BY_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
"""Python takes ASCII for pipes, as it takes the code page on Windows."""


def printed(folder: Path, *arguments: str, **environ: str) -> tuple[int, bytes, bytes]:
    """What a command prints, as it goes out."""
    bic = Bic(folder)
    command = [sys.executable, "-m", "bic_lib", *arguments]
    done = subprocess.run(command, cwd=folder, env=bic._environ(environ), capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo with names of many scripts in its rows."""
    folder = tmp_path_factory.mktemp("demo")
    assert Bic(folder)("demo", "--sessions", "40").status == 0
    return folder


@pytest.fixture(scope="module")
def plain(demo: Path) -> str:
    """What the demo prints when it is called again."""
    _, out, _ = printed(demo, "demo")
    return out.decode("utf-8")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii:strict", "shift_jis", "utf-16"])
def test_a_pipe_of_another_encoding_gets_every_line(demo: Path, plain: str, encoding: str) -> None:
    """Where PYTHONIOENCODING asks for another encoding: every line comes, and what it can't hold is replaced."""
    status, out, err = printed(demo, "demo", PYTHONIOENCODING=encoding)
    name = encoding.partition(":")[0]
    lines, wanted = out.decode(name).splitlines(), plain.splitlines()
    assert (status, err, len(lines)) == (0, b"", len(wanted))
    assert (lines[0], lines[-1]) == tuple(line.encode(name, "replace").decode(name) for line in (wanted[0], wanted[-1]))
    strange = {word for word in re.findall(r"[^\W\d_]+", plain) if not word.isascii()}
    assert strange
    assert [word for word in strange if word.encode(name, "replace").decode(name) not in out.decode(name)] == []


@pytest.mark.parametrize("arguments", [("demo",), ("runs",), ("settings", "show"), ("schema", "--sql"), ("--help",)])
def test_a_pipe_gets_utf8_where_nobody_asks_for_another(demo: Path, arguments: tuple[str, ...]) -> None:
    """What the system takes for pipes by itself holds half of the names: the same bytes go out as on any other system."""
    settings = {"BIC_SETTINGS": str(demo / "demo/bic.toml")}
    assert printed(demo, *arguments, **settings, **BY_LOCALE) == printed(demo, *arguments, **settings)


@pytest.mark.parametrize("environ", [{"PYTHONIOENCODING": "cp1252:strict"}, BY_LOCALE, {}])
@pytest.mark.parametrize("named", ["архив", "\udcff", "🙂"])
def test_an_error_is_told_whatever_it_names(tmp_path: Path, environ: dict[str, str], named: str) -> None:
    """A name that the encoding can't hold, or that is no text at all, does not hide what is wrong."""
    status, out, err = printed(tmp_path, "check", "--settings", named, **environ)
    assert (status, out) == (2, b"")
    assert err.startswith(b"bic: ")
    assert b"Error" not in err
    assert b"bic.example.toml" in err or b"settings" in err


def test_what_is_logged_for_somebody_who_watches_comes_whole(bic: Bic, appliance: Simulator) -> None:
    """Names of folders that the encoding can't hold are in the log, not in its way."""
    strange = archive().replace('directory = "archive"', 'directory = "архив"')
    (bic.folder / "bic.toml").write_text(site(appliance) + strange + hourly(), encoding="utf-8")
    (bic.folder / "архив").write_text("no folder")
    status, _, err = printed(bic.folder, "run", "--once", "--verbose", PYTHONIOENCODING="ascii:strict", **bic.environ)
    assert status == 1
    assert "архив".encode("ascii", "backslashreplace") in err
    assert b"UnicodeEncodeError" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="written in a shell of Unix")
def test_without_standard_streams_a_command_does_its_work(bic: Bic) -> None:
    """As a service without a console has none: nothing is printed, and no file of ours gets their numbers."""
    closed = f"{sys.executable} -m bic_lib run --once <&- >&- 2>&-; exit $?"
    assert subprocess.run(["sh", "-c", closed], cwd=bic.folder, env=bic._environ({}), check=False).returncode == 0
    assert bic("verify", "--strict").status == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    """As what it is, and no bug of ours."""
    for words in ("--version", "settings schema", "--help"):
        to_nowhere = f"{sys.executable} -m bic_lib {words} >/dev/full"
        ended = subprocess.run(
            ["sh", "-c", to_nowhere], cwd=tmp_path, env=Bic(tmp_path)._environ({}), capture_output=True, check=False
        )
        assert (ended.returncode, ended.stderr.decode().splitlines()[0]) == (
            1,
            "bic: the output can't be written: No space left on device",
        )
