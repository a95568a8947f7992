"""`--json`: what each command prints is what docs/json.md says, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rich_click as click
from aiosmtpd.controller import Controller

from bic_lib.cli import json_docs
from bic_lib.cli.json_shape import ByName, Key, Shape, Told, differences, example, leaves
from bic_lib.cli.main import COMMANDS, load
from bic_lib.simulator import Profile, Simulator
from tests.fixtures_servers import free_port
from tests.notices.test_mail import Kept
from tests.support import ROOT, SECRET, Bic, archive, demand_told, end, hourly, site, told_name

SHAPES = json_docs.shapes()


# --- what stands beside each command ---------------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    for name in COMMANDS:
        command = load(name)
        yield from [f"{name} {part}" for part in command.commands] if isinstance(command, click.Group) else [name]


@pytest.mark.parametrize("command", [*_commands()])
def test_each_command_tells_what_it_prints(command: str) -> None:
    """A command that takes `--json` says beside itself, in `JSON`, what that gives."""
    assert [name for name in SHAPES if name == command or name.startswith(f"{command} --")]


@pytest.mark.parametrize("name", SHAPES)
def test_the_example_is_one(name: str) -> None:
    """The example on the page is of the shape that the page tells of."""
    assert list(differences(SHAPES[name], example(SHAPES[name]))) == []


def test_the_page_is_what_the_code_says() -> None:
    """docs/json.md is written by the code: run `make docs`."""
    assert (ROOT / "docs/json.md").read_text("utf-8") == json_docs.document()


# --- differences -----------------------------------------------------------------------------------------------------

SHAPE = {
    "count": Key("how many", 3),
    "at": Key("when", "2026-08-01T02:30:00Z", null="never"),
    "rows": [{"name": Key("a name", "one"), "why": Key("why", "so", only="sometimes")}],
    "by": ByName("origin", "upload", Key("how many", 3)),
    "rest": Told("elsewhere"),
}
FITS: dict[str, Any] = {"count": 0, "at": None, "rows": [{"name": ""}], "by": {}, "rest": [1]}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"rows": [], "by": {"import": 1}, "at": "2026-08-01T00:00:00Z"}, []),
        ({"more": 1}, ["more is not told"]),
        ({"count": "3"}, ['count is "3", told as integer']),
        ({"count": True}, ["count is true, told as integer"]),
        ({"count": None}, ["count is null, told as integer"]),
        ({"at": "yesterday"}, ['at is "yesterday", told as time']),
        ({"rows": {}}, ["rows is no list"]),
        ({"rows": [{"name": "a", "why": 1, "x": 0}]}, ["rows[].x is not told", "rows[].why is 1, told as text"]),
        ({"rows": [{}]}, ["rows[].name is missing"]),
        ({"by": {"import": None}}, ["by.import is null, told as integer"]),
        ({"by": []}, ["by is no object"]),
    ],
)
def test_differences_are_named(changed: dict[str, Any], found: list[str]) -> None:
    """Whatever a result has that is not told, lacks that is told, or has in another type."""
    assert list(differences(SHAPE, {**FITS, **changed})) == found


def test_a_missing_key_is_named() -> None:
    """A key that the page promises and the result lacks."""
    assert list(differences(SHAPE, {name: value for name, value in FITS.items() if name != "count"})) == ["count is missing"]


# --- what the commands print -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What the commands printed in a life with successes, failures, an upload, a damaged file; by the name on the page."""
    folder = tmp_path_factory.mktemp("json")
    mail_server = Controller(Kept(), hostname="127.0.0.1", port=free_port())
    mail_server.start()
    try:
        with Simulator(Profile(sessions=12, days=3)) as appliance:
            (folder / "bic.toml").write_text(_settings(appliance, mail_server.port), encoding="utf-8")
            return _life(Bic(folder, {SECRET: appliance.client_secret}), appliance)
    finally:
        mail_server.stop()


def _settings(appliance: Simulator, port: int) -> str:
    smtp = f"""
[notifications.smtp]
host = "127.0.0.1"
port = {port}
security = "none"
from = "bic@example.com"
to = ["ops@example.com", "gone@example.com"]
"""
    backups = """
[schedules.nightly]
every = "1d"
at = "02:30"
transfers = [{ site = "support", destination = "archive", data = ["site_backups"] }]
"""
    return (
        site(appliance)
        + archive()
        + archive("second")
        + hourly("sessions", "command_shell_recordings")
        + '[destinations.warehouse]\nkind = "sql_database"\nconnection_string = "sqlite:///warehouse.sqlite"\n'
        + hourly(name="rows", destination="warehouse")
        + backups
        + smtp
        + '[logs]\ndirectory = "logs"\n[seal]\ndestination = "archive"\n'
    )


def _life(bic: Bic, appliance: Simulator) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}

    def call(*arguments: str) -> Any:
        result = bic(*arguments, "--json").json
        found.setdefault(told_name(arguments), []).append(result)
        return result

    appliance.faults.language = "de"
    call("health")
    call("status")
    lsid = next(truth.lsid for truth in appliance.sessions() if truth.state == "ended")
    appliance.faults.malformed = {lsid: "control_reference"}
    call("run", "--once")
    call("run", "--now", "hourly")
    call("run", "--fill", "archive")
    call("ledger", "export", "copy.gz")
    settings = (bic.folder / "bic.toml").read_text("utf-8")
    (bic.folder / "copy.toml").write_text(f'[ledger]\nkind = "sqlite"\npath = "copy.sqlite"\n{settings}', encoding="utf-8")
    call("ledger", "import", "copy.gz", "--settings", "copy.toml")
    call("status")
    [*_, first] = call("runs")["runs"]
    call("runs", first["id"])
    [failure, *_] = call("failures")["failures"]
    call("acknowledge", failure["id"], "--yes")
    Path(bic.folder / "brought").mkdir()
    stored = sorted((bic.folder / "archive").glob("*.xml"))
    stored[0].rename(bic.folder / "brought" / stored[0].name)
    stored[1].write_bytes(b"cut")
    call("import", "--destination", "second", "brought")
    call("download", "--site", "support", "--destination", "second", "--data", "sessions", "--lsid", lsid)
    call("retry", "--all")  # that of the download is refused: no schedule has it
    call("backfill", "--site", "support", "--since", "2026-01-01", "--until", "2026-01-02")
    call("verify")

    def _session(file: Path) -> Any:
        return call("session", file.stem.rpartition("-")[2])

    call("session", "--key", next(told["external_key"] for told in map(_session, stored[2:]) if told["external_key"]))
    call("session", "--text", "the")
    call("purge", "--lsid", stored[2].stem.rpartition("-")[2], "--yes")
    call("hold", stored[3].stem.rpartition("-")[2], "--reason", "case 4711")
    call("purge", "--lsid", stored[3].stem.rpartition("-")[2], "--yes")
    stored[4].write_bytes(b"cut")
    call("purge", "--lsid", stored[4].stem.rpartition("-")[2], "--yes")
    call("seal", "init")
    call("seal", "now")
    call("seal", "head")
    call("seal", "rotate")
    (bic.folder / "archive" / stored[1].name).write_bytes(b"cut again")
    call("seal", "verify", "archive")
    call("verify", "--repair", "--yes")
    call("check")
    call("notify-test")
    call("logs")
    call("settings", "show")
    call("settings", "schema")
    call("schema", "--sql")
    call("demo", "--sessions", "3")
    return found | {command: [_introduced(bic, command)] for command in ("serve", "simulate")}


def _introduced(bic: Bic, command: str) -> Any:
    """What a server says of itself once it answers."""
    process = bic.start(command, "--json", "--port", "0")
    assert process.stdout
    text = ""
    while not text.endswith("}\n"):
        line = process.stdout.readline().decode()
        assert line, process.communicate()
        text += line
    end(process)
    demand_told([command], json.loads(text))
    return json.loads(text)


@pytest.mark.parametrize("name", SHAPES)
def test_each_key_is_seen(name: str, printed: dict[str, list[Any]]) -> None:
    """What the page tells of a command is what it prints: every key is there, in some result of its shape."""
    assert printed.get(name), f"no call of `bic {name}` here"
    results = [result for other, shown in printed.items() if SHAPES[other] is SHAPES[name] for result in shown]
    seen = {path for result in results for path in _seen(SHAPES[name], result)}
    assert {path for path, _ in leaves(SHAPES[name])} - seen == set()


def _seen(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """The paths that have a value in this result."""
    match shape:
        case Key() | Told():
            yield path
        case ByName():
            for inner in value.values():
                yield from _seen(shape.value, inner, f"{path}.<{shape.name}>".removeprefix("."))
        case list():
            for inner in value:
                yield from _seen(shape[0], inner, f"{path}[]")
        case _:
            for name in shape.keys() & value.keys():
                yield from _seen(shape[name], value[name], f"{path}.{name}".removeprefix("."))
