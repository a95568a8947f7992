"""`bic verify --repair`: what is missing or altered is brought again at once, and what can't be is named."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from bic_lib.simulator import Fault, Recording, Simulator
from tests.support import Bic, archive, hourly, site

WAREHOUSE = '[destinations.warehouse]\nkind = "sql_database"\nconnection_string = "sqlite:///warehouse.sqlite"\n'


@pytest.fixture
def filled(bic: Bic, appliance: Simulator) -> Bic:
    """Two folders and a database, filled by a run."""
    appliance.faults.recording = Recording(size=20_000)
    settings = site(appliance) + archive() + archive().replace("archive", "copy") + WAREHOUSE
    settings += hourly("sessions", "session_recordings") + hourly("sessions", "session_recordings", name="b", destination="copy")
    settings += hourly(name="rows", destination="warehouse")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    assert bic("run", "--once").status == 0
    return bic


def damage(bic: Bic) -> tuple[Path, Path, bytes]:
    """One document altered, one recording missing, one session's rows changed; the paths and what is altered there."""
    folder = bic.folder / "archive"
    document, recording = min(folder.glob("*.xml")), min(folder.glob("*.flv"))
    altered = document.read_bytes().replace(b"session", b"Session", 1)
    document.write_bytes(altered)
    recording.unlink()
    with sqlite3.connect(bic.folder / "warehouse.sqlite") as rows:
        events = "SELECT id FROM session_event WHERE session_id = (SELECT min(session_id) FROM session_event)"
        for below in ("session_event_data", "system_information", "bic_event_performer"):
            rows.execute(f"DELETE FROM {below} WHERE session_event_id IN ({events})")  # our own names
        rows.execute(f"DELETE FROM session_event WHERE id IN ({events})")
    return document, recording, altered


@pytest.mark.slow
def test_it_is_brought_again_and_the_evidence_stays(filled: Bic) -> None:
    """From the appliance, which has it: all is listed and well again, by a strict verify and by health too; rows anew."""
    document, recording, altered = damage(filled)
    held = (recording.name, (filled.folder / "copy" / recording.name).read_bytes())
    assert filled("verify").status == 1
    assert filled("verify", "--repair").status == 2, "nobody can be asked"
    ended = filled("verify", "--repair", "--yes", "--json")
    assert (ended.status, ended.json["problems"]) == (0, []), ended.out
    mended = {(one["destination"], one["problem"], one["origin"]) for one in ended.json["mended"]}
    assert mended == {
        ("archive", "altered", "appliance"),
        ("archive", "missing", "appliance"),
        ("warehouse", "altered", "appliance"),
    }
    assert recording.read_bytes() == held[1]
    aside = document.with_name(f"{document.name}.altered-{hashlib.sha256(altered).hexdigest()[:8]}")
    assert aside.read_bytes() == altered
    for words in (("verify", "--strict"), ("health",)):
        assert (told := filled(*words)).status == 0, told.out + told.err
    assert filled("failures", "--json").json["failures"] == []


@pytest.mark.slow
def test_a_site_that_can_not_be_asked_is_not_needed(filled: Bic, appliance: Simulator) -> None:
    """The other destination's copies are taken; rows come from its documents. What nobody else has waits, and says why."""
    damage(filled)
    only = min((filled.folder / "copy").glob("*.xml"))
    twin = filled.folder / "archive" / only.name
    appliance.faults.standing = [Fault(status=503)]
    ended = filled("verify", "--repair", "--yes", "--json", "--destination", "archive")
    assert ended.status == 0, ended.out + ended.err
    assert {one["origin"] for one in ended.json["mended"]} == {"destination:copy"}
    assert filled("verify", "--repair", "--yes", "--json", "--destination", "warehouse").json["mended"][0]["origin"] in (
        "destination:archive",
        "destination:copy",
    )
    only.unlink()
    twin.unlink()
    ended = filled("verify", "--repair", "--yes", "--json")
    assert (ended.status, len(ended.json["problems"])) == (1, 2)
    assert {one["problem"] for one in ended.json["problems"]} == {"missing"}
    assert all("not brought again" in one["detail"] for one in ended.json["problems"])
    appliance.faults.standing = []
    assert filled("check").status == 0
    ended = filled("verify", "--repair", "--yes", "--json")
    assert (ended.status, len(ended.json["mended"])) == (0, 2), ended.out
    assert filled("failures", "--json").json["failures"] == []
