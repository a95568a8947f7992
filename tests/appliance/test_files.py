"""The client against the simulated appliance, over real HTTPS: recordings and backups."""

import hashlib

import pytest

from bic_lib.appliance.client import Client
from bic_lib.core.errors import Gone, Interrupted, ItemError, NotReady, Refused, TooOften, Unexpected
from bic_lib.core.model import DataType
from bic_lib.simulator import Simulator
from bic_lib.simulator.faults import Backup
from bic_lib.simulator.faults import Recording as Delivery
from tests.appliance.conftest import NOW, MakeClient, Sleeps, truths


def download(client: Client, data: DataType, lsid: str, instance: int | None = None) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with client.recording(data, lsid, instance) as payload:
        for chunk in payload:
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


@pytest.mark.parametrize(
    ("data", "instance"),
    [(DataType.SESSION_RECORDINGS, None), (DataType.COMMAND_SHELL_RECORDINGS, 0), (DataType.SHOW_MY_SCREEN_RECORDINGS, 0)],
)
def test_recordings_arrive_byte_by_byte(sim: Simulator, client: MakeClient, data: DataType, instance: int | None) -> None:
    """Of each kind, by their own reports."""
    truth = next(t for t in truths(sim, "ended") if t.recordings and t.shells and t.screens)
    assert download(client(), data, truth.lsid, instance) == sim.recording_bytes_digest(data, truth.lsid, instance or 0)


def test_presentation_recordings_arrive_byte_by_byte(sim: Simulator, client: MakeClient) -> None:
    """By a report of their own."""
    lsid = next(truth.lsid for truth in sim.sessions("presentation") if truth.recordings)
    data = DataType.PRESENTATION_RECORDINGS
    assert download(client(), data, lsid) == sim.recording_bytes_digest(data, lsid)


def recorded(sim: Simulator) -> str:
    return next(truth.lsid for truth in truths(sim, "ended") if truth.recordings)


def test_a_recording_tells_type_and_time(sim: Simulator, client: MakeClient) -> None:
    """As received."""
    sim.faults.recording = Delivery(format="mp4")
    with client().recording(DataType.SESSION_RECORDINGS, recorded(sim), None) as payload:
        assert (payload.content_type, payload.as_of) == ("video/mp4", int(NOW))


@pytest.mark.parametrize(
    ("delivery", "error", "expired"),
    [
        (Delivery(expired=True), Gone, True),
        (Delivery(none=True), Gone, False),
        (Delivery(not_ready=9), NotReady, None),
        (Delivery(error="Something else."), Unexpected, None),
        (Delivery(error="Invalid lsid."), Unexpected, None),
        (Delivery(cut_after=50_000, size=400_000), Interrupted, None),
        (Delivery(cut_after=0), Interrupted, None),
        (Delivery(size=0), Interrupted, None),
    ],
)
def test_what_is_no_recording_is_told_apart(
    sim: Simulator, client: MakeClient, delivery: Delivery, error: type[ItemError], expired: bool | None
) -> None:
    """Expired and none are final, not ready comes, unknown texts and cut-offs are tried again; none of them is a video."""
    sim.faults.recording = delivery
    with pytest.raises(error) as told:
        download(client(), DataType.SESSION_RECORDINGS, recorded(sim))
    assert getattr(told.value, "expired", None) == expired
    assert not isinstance(told.value, Unexpected) or (delivery.error or "?") in told.value.message


def test_a_recording_of_an_unknown_session_is_unexpected(client: MakeClient) -> None:
    """It is neither expired nor missing: the id itself is wrong."""
    with pytest.raises((Unexpected, Gone)):
        download(client(), DataType.SESSION_RECORDINGS, "f" * 32)


@pytest.mark.parametrize("password", [None, "pass word/ü"])
def test_a_backup_arrives_byte_by_byte(sim: Simulator, client: MakeClient, password: str | None) -> None:
    """With the password in a JSON body where there is one (docs/appliance.md 6.3)."""
    with client(backup_password=password).backup() as payload:
        size = sum(len(chunk) for chunk in payload)
    (made,) = sim.backups
    assert (made.size, made.password) == (size, password)
    assert sim.requests[-1].method == ("POST" if password else "GET")


def test_too_many_backups_wait_for_the_next_schedule(sim: Simulator, client: MakeClient, sleeps: Sleeps) -> None:
    """A 429 is neither waited out nor a pause of the site."""
    sim.faults.backup = Backup(per_hour=0)
    with pytest.raises(TooOften), client().backup():
        pass
    assert sleeps.slept == []


def test_a_refused_backup_is_told(sim: Simulator, client: MakeClient) -> None:
    """A message with status 200 is no backup; an empty one is left to the caller's judgement."""
    sim.faults.backup = Backup(error="Out of space.")
    with pytest.raises(Unexpected, match="13 bytes of text/plain"), client().backup():
        pass
    sim.faults.backup = Backup(size=0)
    with client().backup() as payload:
        assert list(payload) == []
    sim.faults.denied = {"perm_backup"}
    with pytest.raises(Refused, match="refuses our account"), client().backup():
        pass
