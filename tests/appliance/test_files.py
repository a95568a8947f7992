"""The client against the simulated appliance, over real HTTPS: recordings and backups."""

import hashlib
import time

import pytest

from bic_lib.appliance.client import Client
from bic_lib.core.errors import Gone, Interrupted, ItemError, NotReady, Refused, TooOften, Unexpected
from bic_lib.core.model import DataType
from bic_lib.simulator import Simulator
from bic_lib.simulator.faults import Backup
from bic_lib.simulator.faults import Recording as Delivery
from bic_lib.simulator.odd_answers import ODD_ANSWERS, OddAnswer
from tests.appliance.conftest import NOW, MakeClient, Sleeps, truths
from tests.appliance.odd_server import OddServer, answer


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


UNKNOWN = {"png", "pdf", "unknown"}


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_what_comes_instead_of_a_file_is_recognised(sim: Simulator, client: MakeClient, name: OddAnswer) -> None:
    """Words in any encoding, packed or not, are read as an answer; what is unknown comes whole, with a doubt; nothing is both."""
    sim.faults.recording, sim.faults.backup = Delivery(odd=name), Backup(odd=name)
    if name in UNKNOWN:
        with client().recording(DataType.SESSION_RECORDINGS, recorded(sim), None) as payload:
            assert b"".join(payload) == ODD_ANSWERS[name][1]
            assert (payload.recognised.extension, bool(payload.doubt)) == ("bin", True)
        return
    with pytest.raises(ItemError) as told, client().recording(DataType.SESSION_RECORDINGS, recorded(sim), None):
        pass
    assert not isinstance(told.value, Gone)
    if "error" in name and "json" not in name:
        assert "The recording could not be" in told.value.message
    with pytest.raises(ItemError), client().backup():
        pass


@pytest.mark.parametrize("form", ["flv", "mp4", "webm", "mkv", "avi", "ogg"])
def test_each_kind_of_video_is_recognised(sim: Simulator, client: MakeClient, form: str) -> None:
    """Without a doubt, and with its extension."""
    sim.faults.recording = Delivery(format=form)  # type: ignore[arg-type]  # of its words
    with client().recording(DataType.SESSION_RECORDINGS, recorded(sim), None) as payload:
        assert (payload.recognised.extension, payload.doubt) == (form, "")


@pytest.mark.parametrize(
    "said",
    [
        "Your session has expired.",
        "The access token has expired.",
        "There is no recording server.",
        "Retry later: no recording slot.",
    ],
)
@pytest.mark.parametrize("shape", ["<error>%s</error>", '{"error": "%s"}', "%s", "<p>%s</p>"])
def test_only_words_about_the_recording_itself_are_final(odd: OddServer, odd_client: MakeClient, shape: str, said: str) -> None:
    """Another thing that expired or is not there is no reason never to ask again."""
    odd.on_call = lambda handler: answer(handler, 200, (shape % said).encode(), Content_Type="text/xml")
    with pytest.raises(ItemError) as told, odd_client().recording(DataType.SESSION_RECORDINGS, "1" * 32, None):
        pass
    assert not isinstance(told.value, Gone)


@pytest.mark.parametrize(
    "unit", ["<![CDATA[", "<!--", "<!---->", "<", "<?x?>", "<a b", " ", "<error ", '{"a":', "&", "&#", "<?xml encoding"]
)
def test_no_answer_takes_long_to_read(odd: OddServer, odd_client: MakeClient, unit: str) -> None:
    """Other sites and pages wait meanwhile: less than a second of the processor, whatever fills its 64 KiB."""
    odd.on_call = lambda handler: answer(handler, 200, (unit * 65_536)[:65_536].encode(), Content_Type="text/xml")
    odd_client().sign_in()
    begun = time.process_time()
    with pytest.raises(ItemError), odd_client().recording(DataType.SESSION_RECORDINGS, "1" * 32, None):
        pass
    assert time.process_time() - begun < 1


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
    """A message with status 200 is no backup, nor is nothing; what the appliance did not say itself comes from in between."""
    sim.faults.backup = Backup(error="Out of space.")
    with pytest.raises(Interrupted, match="13 bytes of text/plain"), client().backup():
        pass
    sim.faults.backup = Backup(size=0)
    with pytest.raises(Interrupted, match="empty"), client().backup():
        pass
    sim.faults.denied = {"perm_backup"}
    with pytest.raises(Refused, match="refuses our account"), client().backup():
        pass
