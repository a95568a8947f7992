"""What `status`, `runs`, `failures`, `check` and `settings` show, in the words of the contract."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from bic_lib.actions.check import check
from bic_lib.appliance.client import Client
from bic_lib.core.model import DataType
from bic_lib.core.ports.preflight import Check
from bic_lib.settings import loading
from bic_lib.simulator import Simulator
from tests.support import SECRET, Bic, archive, hourly, other_name, site


def test_status_before_anything_ran(bic: Bic) -> None:
    """A new installation: nobody ticked, the site is new, its streams have not begun."""
    shown = bic("status", "--json").json
    assert shown["scheduler"] == {"state": "never ran", "last_tick": None}
    assert [site["state"] for site in shown["sites"]] == ["new"]
    assert [(stream["data"], stream["watermark"]) for stream in shown["streams"]] == [("sessions", None)]


def test_status_after_a_run(bic: Bic, appliance: Simulator) -> None:
    """After a run everything that the contract names is there, and the stream has caught up."""
    bic("run", "--once")
    shown = bic("status", "--json").json
    assert shown["scheduler"].keys() >= {"state", "last_tick"}
    (schedule,), (stream,), (support,) = shown["schedules"], shown["streams"], shown["sites"]
    assert schedule.keys() >= {"name", "every", "at", "transfers", "last_run", "last_outcome", "next_due"}
    assert (schedule["every"], schedule["last_outcome"]) == ("1h", "ok")
    assert datetime.fromisoformat(schedule["next_due"]) > datetime.fromisoformat(schedule["last_run"])
    assert stream.keys() >= {"waiting", "failed", "forgotten_first", "backlog_done_at"}
    assert 0 <= stream["lag_seconds"] < 60
    assert (support["name"], support["host"], support["state"]) == ("support", appliance.host, "ok")
    assert abs(support["clock_skew_seconds"]) < 5


def test_status_shows_parked_work(bic: Bic, appliance: Simulator) -> None:
    """Names that are no longer in the settings are shown as parked."""
    bic("run", "--once")
    renamed = site(appliance, "renamed") + archive() + hourly(site="renamed")
    (bic.folder / "bic.toml").write_text(renamed, encoding="utf-8")
    shown = bic("status", "--json").json
    assert {site["name"]: site["state"] for site in shown["sites"]} == {"renamed": "new", "support": "parked"}
    assert {stream["site"]: stream["parked"] for stream in shown["streams"]} == {"renamed": False, "support": True}


def test_status_of_a_resting_site(bic: Bic, appliance: Simulator) -> None:
    """A site that refuses us fails: state, reason, since when and until are shown; a run that needs it ends with 1."""
    bic.environ[SECRET] = "a-secret-that-is-wrong"
    bic("run", "--once")
    (support,) = bic("status", "--json").json["sites"]
    assert support["state"] == "failing"
    assert support["reason"]
    assert support["until"] > bic("status", "--json").json["scheduler"]["last_tick"]
    again = bic("run", "--once")
    assert again.status == 1, "nothing could be done: no green word"
    assert f"site support fails since {support['since']}; next try {support['until']}" in again.err


def test_runs(bic: Bic, appliance: Simulator) -> None:
    """A run is listed with its times, outcome and counts (what a reconcile pass found is nobody's run)."""
    bic("run", "--once")
    ended = sum(1 for truth in appliance.sessions() if truth.state == "ended")
    (run,) = bic("runs", "--json").json["runs"]
    assert run.keys() >= {"id", "schedule", "started", "finished", "outcome", "stored", "skipped", "failed", "bytes"}
    assert (run["schedule"], run["outcome"], run["stored"]) == ("hourly", "ok", ended)
    assert run["started"] <= run["finished"]
    assert run["bytes"] > 0


def test_check_all_well(bic: Bic, appliance: Simulator) -> None:
    """With everything ready each line of the check is ok, and the probe leaves nothing behind."""
    ended = bic("check", "--json")
    assert ended.status == 0, ended.out
    assert all(line.keys() == {"subject", "check", "ok", "detail", "hint"} for line in ended.json["checks"])
    assert {line["subject"] for line in ended.json["checks"]} == {"ledger", "site support", "destination archive"}
    assert not [path for path in (bic.folder / "archive").rglob("*") if path.is_file()]


def test_check_names_every_reference(bic: Bic, appliance: Simulator) -> None:
    """References without a value and a missing ca_file are all named, each at its own site."""
    broken = site(appliance).replace(SECRET, "NOT_SET_1") + site(appliance, "other", host=other_name(appliance)).replace(
        SECRET, "NOT_SET_2"
    )
    broken += site(appliance, "third", host="third.invalid").replace("ca.pem", "gone.pem")
    (bic.folder / "bic.toml").write_text(broken + archive() + hourly(), encoding="utf-8")
    ended = bic("check", "--json")
    assert ended.status == 1
    failed = {line["subject"]: line["detail"] for line in ended.json["checks"] if not line["ok"]}
    assert "NOT_SET_1" in failed["site support"]
    assert "NOT_SET_2" in failed["site other"]
    assert "gone.pem" in failed["site third"]


def test_check_of_a_site_that_surprises_us_hides_no_other(
    tmp_path: Path, appliance: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug that one site's answers hit is a line of that site; the others, and the destinations, are looked at."""
    text = site(appliance, "odd", host=other_name(appliance)) + site(appliance) + archive() + hourly()
    usual = Client.checks

    def checks(client: Client, data: frozenset[DataType]) -> list[Check]:
        if next(turns):
            raise ZeroDivisionError("division by zero")
        return usual(client, data)

    turns = iter([True, False])
    monkeypatch.setattr(Client, "checks", checks)
    lines = check(loading.parse(text, tmp_path, "test"), environ={SECRET: appliance.client_secret})
    failed = [(line.subject, line.detail) for line in lines if not line.ok]
    assert failed == [("site odd", "unexpected error: ZeroDivisionError: division by zero")]
    assert {line.subject for line in lines} == {"ledger", "site odd", "site support", "destination archive"}


def test_check_of_one_site_leaves_the_others_alone(bic: Bic, appliance: Simulator) -> None:
    """A named site is checked with its destinations; what is wrong elsewhere does not count."""
    other = site(appliance, "other", host=other_name(appliance)).replace(SECRET, "NOT_SET")
    (bic.folder / "bic.toml").write_text(site(appliance) + other + archive() + hourly(), encoding="utf-8")
    assert bic("check", "support").status == 0
    assert bic("check").status == 1


@pytest.mark.parametrize(("conflict", "warned"), [("AppendNumber", False), ("Overwrite", True), ("Skip", True)])
def test_check_warns_of_names_that_collide(bic: Bic, appliance: Simulator, conflict: str, warned: bool) -> None:
    """A format without the session's id loses sessions under Overwrite and Skip: the check says so."""
    more = f'on_conflict = "{conflict}"\nfile_name_format = "%EXTERNAL_KEY%.%EXTENSION%"'
    (bic.folder / "bic.toml").write_text(site(appliance) + archive(more=more) + hourly(), encoding="utf-8")
    lines = [line for line in bic("check", "--json").json["checks"] if line["check"] == "file names"]
    assert bool(lines) == warned
    assert all("%LSID%" in line["detail"] for line in lines)


@pytest.mark.parametrize(
    ("host", "security", "warned"),
    [("mail.example.com", "none", True), ("mail.example.com", "tls", False), ("localhost", "none", False)],
)
def test_check_warns_of_a_mail_password_in_the_clear(bic: Bic, host: str, security: str, warned: bool) -> None:
    """A login without TLS is allowed, and told: whoever listens on the way reads the password."""
    login = 'username = "bic"\npassword = "env:MAIL"\nfrom = "bic@example.com"\nto = ["ops@example.com"]\n'
    with (bic.folder / "bic.toml").open("a") as file:
        file.write(f'[notifications.smtp]\nhost = "{host}"\nsecurity = "{security}"\n{login}')
    told = [line for line in bic("check", "--json").json["checks"] if line["subject"] == "mail"]
    assert [(line["ok"], "in the clear" in line["detail"]) for line in told] == [(False, True)] * warned


def test_settings_show_and_schema(bic: Bic, appliance: Simulator) -> None:
    """The effective settings hold defaults and references, never a secret; the schema is a JSON Schema."""
    shown = bic("settings", "show", "--json")
    assert shown.json["sites"]["support"]["client_secret"] == f"env:{SECRET}"
    assert shown.json["destinations"]["archive"]["on_conflict"] == "AppendNumber"
    assert appliance.client_secret not in shown.out
    assert "sites.support.host = " in bic("settings", "show").out
    assert json.loads(bic("settings", "schema").out)["properties"].keys() >= {"sites", "destinations", "schedules"}


def test_one_ill_site_of_fifty_fits_a_screen(bic: Bic, appliance: Simulator) -> None:
    """`--problems` names the site that can't be reached, its streams and its schedule, and nothing of the forty-nine others."""
    sites = site(appliance) + site(appliance, "ill", host="localhost:1")
    sites += "".join(f'[sites.s{n}]\nhost = "s{n}.example.com"\nclient_id = "x"\nclient_secret = "env:NO"\n' for n in range(48))
    schedules = hourly("sessions", "presentations") + hourly(name="other", site="ill")
    (bic.folder / "bic.toml").write_text(sites + archive() + schedules, encoding="utf-8")
    assert bic("status", "--problems").out.endswith("Nothing here is in trouble.\n")
    assert bic("run", "--once").status == 1
    shown = bic("status", "--problems", "--json").json
    assert [one["name"] for one in shown["sites"]] == ["ill"]
    assert {(one["site"], one["data"]) for one in shown["streams"]} == {("ill", "sessions")}
    assert [(one["name"], one["last_outcome"]) for one in shown["schedules"]] == [("other", "failed")]
    assert shown["destinations"] == []
    words = bic("status", "--problems").out
    assert ("ill" in words, "s47" in words, len(words.splitlines()) < 24) == (True, False, True)
    _, first, *_ = filter(None, bic("health").out.splitlines())
    assert "site ill" in first


def test_status_says_first_whether_all_is_well(bic: Bic) -> None:
    """What verify found is in no table of it, nor what belongs to no site: neither is shown as if nothing were."""
    bic("run", "--once")
    assert bic("status").out.startswith("All is well.")
    next((bic.folder / "archive").glob("*.xml")).unlink()
    (bic.folder / "archive" / "foreign.txt").write_text("hello")
    assert bic("verify", "--strict").status == 1
    for options in ([], ["--problems"], ["support"]):
        assert bic("status", *options).out.startswith("Ill: 2 troubles, the worst: unproven. `bic health` says what.")


def test_status_of_some_sites(bic: Bic, appliance: Simulator) -> None:
    """Named sites, their streams, schedules and destinations; health stays whole; an unknown name is told with what was meant."""
    sites = site(appliance) + site(appliance, "second", host=other_name(appliance))
    schedules = hourly() + hourly(name="other", site="second", destination="there")
    (bic.folder / "bic.toml").write_text(sites + archive() + archive("there") + schedules, encoding="utf-8")
    whole, shown = bic("status", "--json").json, bic("status", "second", "--json").json
    assert [one["name"] for one in shown["sites"]] == ["second"]
    assert [one["name"] for one in shown["schedules"]] == ["other"]
    assert {one["destination"] for one in shown["streams"]} == {one["name"] for one in shown["destinations"]} == {"there"}
    assert shown["health"] == whole["health"]
    unknown = bic("status", "secnd")
    assert (unknown.status, "second" in unknown.err) == (2, True)
