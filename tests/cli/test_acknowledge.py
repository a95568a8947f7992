"""`bic acknowledge`: what is lost or doubtful stays named until a person says that it was seen."""

from __future__ import annotations

import pytest

from bic_lib.simulator import Recording, Simulator
from tests.support import Bic, archive, hourly, site


@pytest.fixture
def doubtful(bic: Bic, appliance: Simulator) -> list[str]:
    """Two recordings were stored that may be none; the run that found them said so."""
    settings = site(appliance) + archive() + hourly("sessions", "session_recordings")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    recorded = [truth.lsid for truth in appliance.sessions() if truth.state == "ended" and truth.recordings][:2]
    appliance.faults.recordings = {lsid: Recording(odd="png") for lsid in recorded}
    ended = bic("run", "--once", "--json")
    assert ended.status == 1
    assert "is doubtful" in ended.err
    assert sorted(item["lsid"] for item in ended.json["items"] if item["state"] == "doubtful") == sorted(recorded)
    assert bic("run", "--once").status == 0, "a doubt counts in the run that finds it out"
    return recorded


def test_what_was_acknowledged_leaves_the_list_and_stays_known(bic: Bic, doubtful: list[str]) -> None:
    """By id: it leaves `failures`, `failures --all` keeps it with who and when; the other one stays."""
    listed = bic("failures", "--json").json["failures"]
    assert sorted(failure["lsid"] for failure in listed) == sorted(doubtful)
    assert {(failure["state"], failure["severity"], failure["acknowledged"]) for failure in listed} == {
        ("doubtful", "doubtful", None)
    }
    done = bic("acknowledge", listed[0]["id"], "--yes", "--json")
    assert (done.status, done.json["ids"]) == (0, [listed[0]["id"]])
    assert [failure["id"] for failure in bic("failures", "--json").json["failures"]] == [listed[1]["id"]]
    everything = {failure["id"]: failure for failure in bic("failures", "--all", "--json").json["failures"]}
    assert everything.keys() == {failure["id"] for failure in listed}
    seen = everything[listed[0]["id"]]
    assert seen["acknowledged"]
    assert seen["acknowledged_by"]
    assert bic("acknowledge", listed[0]["id"], "--yes").status == 2, "it is no failure any more"


def test_all_that_fits_is_acknowledged(bic: Bic, doubtful: list[str]) -> None:
    """By site, destination, data type and date together; what fits nothing is nothing, and said."""
    assert bic("acknowledge", "--site", "support", "--data", "sessions", "--yes").status == 1
    assert bic("acknowledge", "--before", "2020-01-01", "--yes").status == 1
    assert len(bic("failures", "--json").json["failures"]) == len(doubtful)
    done = bic("acknowledge", "--destination", "archive", "--data", "session_recordings", "--before", "2100-01-01", "--yes")
    assert (done.status, done.out) == (0, "2 acknowledged\n")
    assert bic("failures", "--json").json == {"failures": []}


def test_nobody_is_asked_where_nobody_can_answer(bic: Bic, doubtful: list[str]) -> None:
    """Without a terminal and --yes nothing is acknowledged; the count is told. A call that names nothing is wrong."""
    asked = bic("acknowledge", "--site", "support")
    assert (asked.status, "2 would be acknowledged" in asked.err, "--yes" in asked.err) == (2, True, True)
    assert bic("acknowledge", "--yes").status == 2
    assert bic("acknowledge", "0" * 12, "--site", "support", "--yes").status == 2
    assert len(bic("failures", "--json").json["failures"]) == len(doubtful)


def test_what_is_tried_again_is_not_acknowledged(bic: Bic, appliance: Simulator) -> None:
    """A failure ends by itself: that is said, and it stays."""
    lsid = next(truth.lsid for truth in appliance.sessions() if truth.state == "ended")
    appliance.faults.malformed = {lsid: "control_reference"}
    bic("run", "--once")
    (failure,) = bic("failures", "--json").json["failures"]
    refused = bic("acknowledge", failure["id"], "--yes", "--json")
    assert (refused.status, refused.json["acknowledged"]) == (1, 0)
    assert "tried again" in refused.json["refused"][0]["reason"]
    assert len(bic("failures", "--json").json["failures"]) == 1
