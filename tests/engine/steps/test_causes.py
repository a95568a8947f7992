"""What has one cause is told as one, with its number, in health and in the list of failures (bic_lib.ledger.causes)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from bic_lib.actions import acknowledging, failures
from bic_lib.actions.status import status
from bic_lib.actions.verify import Asked, verify
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY
from bic_lib.engine import health
from bic_lib.engine.app import App
from bic_lib.simulator import Backup, Recording, Simulator
from bic_lib.simulator.faults import Fault
from bic_lib.simulator.recordings import blocks
from tests.engine.steps.world import ALL_FILES, World

_BACKUP = '[schedules.backup]\nevery = "1d"\ntransfers = [{ site = "support", destination = "archive", data = ["site_backups"] }]'


@contextlib.contextmanager
def app_of(world: World) -> Iterator[App]:
    app = world.app()
    with contextlib.closing(app.ledger.store):
        yield app


def listed(world: World, *, each: bool = False) -> list[dict[str, Any]]:
    with app_of(world) as app:
        return list(failures.failures(app, each=each))


def recorded(sim: Simulator) -> list[str]:
    return [truth.lsid for truth in sim.sessions() if truth.state == "ended" and truth.recordings]


def test_what_the_appliance_had_not_to_give_is_one_note_a_stream(world: World, sim: Simulator) -> None:
    """Some expired before we knew them, some never were: one row tells how many of which, each can be listed and tried."""
    world.configure(data=("sessions", "session_recordings"))
    first, second, third = recorded(sim)[:3]
    sim.faults.recordings = {first: Recording(expired=True), second: Recording(expired=True), third: Recording(none=True)}
    world.once()
    [row] = listed(world)
    assert (row["kind"], row["severity"], row["state"], row["count"]) == ("stream", "note", "gone", 3)
    assert (row["data"], row["destination"], row["lsid"]) == ("session_recordings", "archive", "")
    assert "2 had expired" in row["reason"]
    assert "of 1 the appliance says that there is none" in row["reason"]
    assert {(one["lsid"], one["state"], one["count"]) for one in listed(world, each=True)} == {
        (first, "expired", 1),
        (second, "expired", 1),
        (third, "none", 1),
    }
    with app_of(world) as app:
        [note] = [one for one in health.look(app).troubles if one.subject.data == "session_recordings"]
        assert (note.severity, note.times, note.text) == (Severity.NOTE, 3, row["reason"])
        assert {one["data"]: one["failed"] for one in status(app)["streams"]} == {"sessions": 0, "session_recordings": 3}
        sim.faults.recordings = {}
        assert len(failures.retry(app, failures.Again([row["id"]])).due) == 3
    world.once()
    assert listed(world) == []


def test_what_is_gone_for_a_week_is_counted_and_no_longer_listed(world: World, sim: Simulator) -> None:
    """The list does not grow with what was ever delivered: one row stays, its number too, however often it is gathered."""
    world.configure(data=("sessions", "session_recordings"))
    sim.faults.recording = Recording(expired=True)
    world.once()
    sim.faults.recording, gone = Recording(), len(recorded(sim))
    [row] = listed(world)
    assert (row["count"], len(listed(world, each=True))) == (gone, gone)
    for days in (8, 1):
        world.pass_time(days * DAY)
        world.once()
        assert [(one["count"], one["id"]) for one in listed(world)] == [(gone, row["id"])]
        assert [(one["count"], one["id"]) for one in listed(world, each=True)] == [(gone, row["id"])]
    with app_of(world) as app:
        assert failures.retry(app, failures.Again([row["id"]])).due == []


def test_answers_that_do_not_say_where_they_end_are_one_cause_of_the_site(world: World, sim: Simulator) -> None:
    """Recordings and backups to two destinations: one row and one failing cause, with what stands in between; then all come."""
    world.configure(destinations=("archive", "second"), data=ALL_FILES, schedules=_BACKUP)
    sim.faults.recording, sim.faults.backup = Recording(format="ogg", framing="none"), Backup(framing="length_with_unit")
    world.once()
    [row] = listed(world)
    assert (row["kind"], row["severity"], row["site"], row["data"], row["lsid"]) == ("site", "failing", "support", "", "")
    assert row["count"] == len(listed(world, each=True)) > 4
    assert "do not say where they end" in row["reason"]
    assert "proxy" in row["reason"]
    assert row["next_try"] is not None
    with app_of(world) as app:
        [ill] = [one for one in health.look(app).troubles if one.severity.is_ill]
        assert (str(ill.subject), ill.times, ill.text) == ("site support", row["count"], row["reason"])
        sim.faults.recording, sim.faults.backup = Recording(), Backup()
        assert len(failures.retry(app, failures.Again([row["id"]])).due) == row["count"]
    world.once()
    assert listed(world) == []
    world.demand_whole("second", recordings=True)


def test_what_nobody_knows_is_one_cause_of_its_destination(world: World) -> None:
    """However many files somebody laid there; each was named by verify, one acknowledgement of the cause is one of all."""
    world.configure()
    world.once()
    for number in range(3):
        (world.folder / "archive" / f"foreign-{number}.flv").write_bytes(b"".join(blocks("any", "flv", 100)))
    with app_of(world) as app:
        assert len(verify(app, Asked(strict=True)).problems) == 3
        [ill] = [one for one in health.look(app).troubles if one.severity.is_ill]
        assert (str(ill.subject), ill.times) == ("destination archive", 3)
        assert "repair" not in ill.hint
        [row] = failures.failures(app)
        assert (row["kind"], row["count"], len(list(failures.failures(app, each=True)))) == ("destination", 3, 3)
        chosen = acknowledging.choose(app, acknowledging.Choice([row["id"]]))
        assert len(acknowledging.acknowledge(app, chosen.troubles, "somebody").troubles) == 3
        assert list(failures.failures(app)) == []


def test_a_right_that_is_missing_is_one_cause_of_its_stream(world: World, sim: Simulator) -> None:
    """However many recordings wait for it."""
    world.configure(data=("sessions", "session_recordings"))
    sim.faults.standing = [Fault("SupportSessionRecording", status=403)]
    world.once()
    [row] = listed(world)
    assert (row["kind"], row["severity"], row["state"], row["data"]) == ("stream", "failing", "refused", "session_recordings")
    assert row["count"] == len(recorded(sim))
    assert "wait for the right" in row["reason"]
    assert "reports and recordings" in row["reason"]
