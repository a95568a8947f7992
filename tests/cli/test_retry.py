"""`bic failures` and `bic retry`: what failed is named, and tried again when somebody asks for it."""

from __future__ import annotations

import dataclasses

from bic_lib.simulator import Recording, Simulator
from tests.support import Bic, archive, hourly, served_sessions, site, stored_sessions

KEYS = {
    "id",
    "site",
    "data",
    "destination",
    "lsid",
    "instance",
    "state",
    "attempts",
    "reason",
    "first_failed",
    "last_failed",
    "next_try",
    "forgotten_at",
}


def _an_ended_session(appliance: Simulator) -> str:
    return next(truth.lsid for truth in appliance.sessions() if truth.state == "ended" and truth.recordings)


def test_broken_session_is_named_and_tried_again(bic: Bic, appliance: Simulator) -> None:
    """An unreadable session costs the others nothing, is listed, and after `retry` the next run stores it."""
    lsid = _an_ended_session(appliance)
    served = served_sessions(appliance)
    appliance.faults.malformed = {lsid: "control_reference"}
    ended = bic("run", "--once", "--json")
    assert ended.status == 1
    assert (ended.json["failed"], ended.json["stored"]) == (1, len(served) - 1)
    (failure,) = bic("failures", "--json").json["failures"]
    assert failure.keys() >= KEYS
    assert (failure["lsid"], failure["state"], failure["data"]) == (lsid, "failed", "sessions")
    appliance.faults.malformed = {}
    assert bic("run", "--once", "--json").json["stored"] == 0, "its time had not come"
    assert bic("retry", failure["id"], "--json").json["ids"] == [failure["id"]]
    assert bic("run", "--once", "--json").json["stored"] == 1
    assert stored_sessions(bic.folder / "archive") == served
    assert bic("failures", "--json").json == {"failures": []}


def test_failed_again_stays_listed(bic: Bic, appliance: Simulator) -> None:
    """What is tried again and fails again is still on the list, with its first failure."""
    appliance.faults.malformed = {_an_ended_session(appliance): "control_reference"}
    bic("run", "--once")
    (before,) = bic("failures", "--json").json["failures"]
    assert bic("retry", "--all").status == 0
    assert bic("run", "--once").status == 1
    (after,) = bic("failures", "--json").json["failures"]
    assert (after["id"], after["first_failed"]) == (before["id"], before["first_failed"])
    assert after["next_try"] >= before["next_try"]


def test_expired_recording_is_tried_again(bic: Bic, appliance: Simulator) -> None:
    """A recording that the appliance had called expired is fetched after `retry --all`, when it is there after all."""
    settings = site(appliance) + archive() + hourly("sessions", "session_recordings")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    lsid = _an_ended_session(appliance)
    appliance.faults.recordings = {lsid: dataclasses.replace(Recording(), expired=True)}
    assert bic("run", "--once").status == 1
    (failure,) = bic("failures", "--json").json["failures"]
    assert (failure["lsid"], failure["state"]) == (lsid, "expired")
    assert bic("run", "--once").status == 0, "an expired recording counts when it is found out, not again"
    appliance.faults.recordings = {}
    assert bic("retry", "--all", "--json").json["retried"] == 1
    ended = bic("run", "--once", "--json")
    assert [(item["lsid"], item["state"]) for item in ended.json["items"]] == [(lsid, "stored")]
    assert bic("failures", "--json").json == {"failures": []}
