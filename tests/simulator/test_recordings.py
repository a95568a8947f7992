"""Recordings and backups."""

import socket
import ssl
import zlib
from hashlib import sha256

import pytest
import requests

from bic_lib.core.containers import Boxes, Tags
from bic_lib.simulator import Backup, Fault, Recording, SessionTruth, Simulator
from bic_lib.simulator.framing import Coding, Framing
from bic_lib.simulator.odd_answers import ODD_ANSWERS, OddAnswer
from bic_lib.simulator.recordings import MEDIA_TYPES, blocks
from tests.simulator.client import Client, error_text

REPORT_OF = {
    "session_recordings": "SupportSessionRecording",
    "command_shell_recordings": "CommandShellRecording",
    "show_my_screen_recordings": "ShowMyScreenRecording",
    "presentation_recordings": "PresentationSessionRecording",
}


@pytest.fixture
def recorded(sim: Simulator) -> SessionTruth:
    """A session with a screen recording."""
    return next(truth for truth in sim.sessions() if truth.recordings)


def _one_of_each(sim: Simulator) -> dict[str, tuple[str, int]]:
    support, presentations = list(sim.sessions()), list(sim.sessions("presentation"))
    return {
        "session_recordings": (next(t.lsid for t in support if t.recordings), 0),
        "command_shell_recordings": (next(t.lsid for t in support if t.shells == 2), 1),
        "show_my_screen_recordings": (next(t.lsid for t in support if t.screens), 0),
        "presentation_recordings": (next(t.lsid for t in presentations if t.recordings), 0),
    }


@pytest.mark.parametrize("data", REPORT_OF)
@pytest.mark.parametrize(("form", "magic"), [("flv", b"FLV\x01"), ("mp4", b"\x00\x00\x00\x18ftyp")])
def test_a_recording_is_what_the_digest_says(sim: Simulator, client: Client, data: str, form: str, magic: bytes) -> None:
    """The bytes served are those of `recording_bytes_digest`, in the format of the switch."""
    sim.faults.recording = Recording(format=form)  # type: ignore[arg-type] # of its words
    lsid, instance = _one_of_each(sim)[data]
    answer = client.report(REPORT_OF[data], lsid=lsid, instance=instance)
    assert answer.content.startswith(magic)
    assert answer.headers["Content-Type"].startswith("video/")
    assert "Content-Length" not in answer.headers
    digest = sha256(answer.content).hexdigest()
    assert (len(answer.content), digest) == sim.recording_bytes_digest(data, lsid, instance)


def test_recordings_differ_from_each_other(sim: Simulator) -> None:
    """Kind, session and instance all make other bytes."""
    lsid = next(sim.sessions()).lsid
    digests = {sim.recording_bytes_digest(data, lsid, instance) for data in REPORT_OF for instance in (0, 1)}
    assert len(digests) == 8


def test_a_large_recording_streams(sim: Simulator, client: Client, recorded: SessionTruth) -> None:
    """A recording has the size that was asked for, and its bytes are made block by block."""
    sim.faults.recordings[recorded.lsid] = Recording(size=30_000_001)
    hashed, size = sha256(), 0
    params = {"generate_report": "SupportSessionRecording", "lsid": recorded.lsid}
    with client.api("/api/reporting", params, stream=True) as answer:
        for block in answer.iter_content(65_536):
            hashed.update(block)
            size += len(block)
    expected = sim.recording_bytes_digest("session_recordings", recorded.lsid)
    assert (size, hashed.hexdigest()) == expected
    assert expected[0] == 30_000_001


@pytest.mark.parametrize("size", [0, 5, 13, 14])
def test_a_recording_may_be_tiny(sim: Simulator, client: Client, recorded: SessionTruth, size: int) -> None:
    """Even an empty recording is a proper answer."""
    sim.faults.recording = Recording(size=size)
    assert len(client.report("SupportSessionRecording", lsid=recorded.lsid).content) == size


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Recording(expired=True), "has expired"),
        (Recording(none=True), "No recording is available"),
        (Recording(error="Odd."), "Odd."),
    ],
)
def test_a_recording_may_be_refused(sim: Simulator, client: Client, recorded: SessionTruth, how: Recording, words: str) -> None:
    """Refusals are error documents with status 200, for this session only."""
    sim.faults.recordings[recorded.lsid] = how
    answer = client.report("SupportSessionRecording", lsid=recorded.lsid)
    assert answer.status_code == 200
    assert words in error_text(answer.content)
    other = next(t for t in sim.sessions() if t.recordings and t.lsid != recorded.lsid)
    assert client.report("SupportSessionRecording", lsid=other.lsid).content.startswith(b"FLV")


def test_a_recording_becomes_ready(sim: Simulator, client: Client, recorded: SessionTruth) -> None:
    """The first k requests are told to wait."""
    sim.faults.recording = Recording(not_ready=2)
    answers = [client.report("SupportSessionRecording", lsid=recorded.lsid).content for _ in range(3)]
    assert [error_text(each) for each in answers[:2]] == ["The recording is not yet available."] * 2
    assert answers[2].startswith(b"FLV")


def test_one_instance_may_differ_from_the_others(sim: Simulator, client: Client) -> None:
    """A fault by `lsid/instance` leaves the session's other recordings alone."""
    lsid = next(t.lsid for t in sim.sessions() if t.shells == 2)
    sim.faults.recordings[f"{lsid}/1"] = Recording(expired=True)
    answers = [client.report("CommandShellRecording", lsid=lsid, instance=number).content for number in (0, 1, 2)]
    assert answers[0].startswith(b"FLV")
    assert "has expired" in error_text(answers[1])
    assert "No recording" in error_text(answers[2])


def test_only_announced_recordings_exist(sim: Simulator, client: Client) -> None:
    """An unknown id, a missing instance and a session without recording are refused."""
    unrecorded = next(t for t in sim.sessions() if t.state == "ended" and not t.recordings).lsid
    assert "No recording" in error_text(client.report("SupportSessionRecording", lsid=unrecorded).content)
    assert "Invalid lsid." in error_text(client.report("SupportSessionRecording", lsid="0" * 32).content)
    assert "instance" in error_text(client.report("CommandShellRecording", lsid=unrecorded).content)


def test_a_recording_may_be_cut_off(sim: Simulator, client: Client, recorded: SessionTruth) -> None:
    """A body that stops early has no last chunk."""
    sim.faults.recording = Recording(cut_after=10_000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.report("SupportSessionRecording", lsid=recorded.lsid)


def test_renderings_may_differ(sim: Simulator, client: Client, recorded: SessionTruth) -> None:
    """With `recording_variation` each answer has other bytes of the same format."""
    sim.faults.recording_variation = True
    first, second = (client.report("SupportSessionRecording", lsid=recorded.lsid).content for _ in range(2))
    assert first != second
    assert first[:4] == second[:4] == b"FLV\x01"


def test_each_backup_is_known(sim: Simulator, client: Client) -> None:
    """Backups differ from each other, and their size, digest and password are remembered."""
    sim.faults.backup = Backup(size=123_456)
    plain = client.api("/api/backup")
    locked = client.request("POST", "/api/backup", json={"password": "pass phrase"}, headers=client.authorization)
    assert plain.headers["Content-Type"] == "application/octet-stream"
    served = [(len(each.content), sha256(each.content).hexdigest()) for each in (plain, locked)]
    assert served == [backup.digest() for backup in sim.backups]
    assert served[0] != served[1]
    assert [backup.password for backup in sim.backups] == [None, "pass phrase"]


def test_backups_are_limited_by_the_hour(sim: Simulator, client: Client) -> None:
    """One backup too many is answered by 429, until an hour has passed."""
    sim.faults.backup = Backup(size=10, per_hour=2)
    assert [client.api("/api/backup").status_code for _ in range(3)] == [200, 200, 429]
    sim.advance(3600)
    assert Client(sim).api("/api/backup").status_code == 200


def test_a_backup_may_fail_as_text_or_be_empty(sim: Simulator, client: Client) -> None:
    """A failure is a text with status 200; an empty backup is an empty body; one may be cut off."""
    sim.faults.backup = Backup(error="Invalid credentials")
    refused = client.api("/api/backup")
    assert (refused.status_code, refused.text) == (200, "Invalid credentials")
    sim.faults.backup = Backup(size=0)
    assert client.api("/api/backup").content == b""
    sim.faults.backup, sim.faults.fail_next = Backup(size=1_000), [Fault(on="backup", cut_after=10)]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.api("/api/backup")


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_something_else_may_come(sim: Simulator, client: Client, recorded: SessionTruth, name: OddAnswer) -> None:
    """With status 200, in place of recordings and backups alike."""
    sim.faults.recording, sim.faults.backup = Recording(odd=name), Backup(odd=name)
    recording = client.report("SupportSessionRecording", lsid=recorded.lsid)
    backup = client.api("/api/backup")
    for answer in (recording, backup):
        assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, *ODD_ANSWERS[name])
    assert sim.backups == []


@pytest.mark.parametrize("form", ["webm", "mkv", "avi", "ogg"])
def test_other_kinds_of_video(sim: Simulator, client: Client, recorded: SessionTruth, form: str) -> None:
    """Under their own content types."""
    sim.faults.recording = Recording(format=form, size=5000)  # type: ignore[arg-type] # of its words
    answer = client.report("SupportSessionRecording", lsid=recorded.lsid)
    assert answer.headers["Content-Type"] == MEDIA_TYPES[form]
    digest = sha256(answer.content).hexdigest()
    assert (len(answer.content), digest) == sim.recording_bytes_digest("session_recordings", recorded.lsid)


@pytest.mark.parametrize(
    ("framing", "headers"),
    [
        ("length", {"Content-Length": "5000"}),
        ("length_with_unit", {"Content-Length": "5000 bytes"}),
        ("differing_lengths", {"Content-Length": "2500", "content-length": "5000"}),
        ("negative_length", {"Content-Length": "-1"}),
        ("none", {}),
        ("chunked", {"Transfer-Encoding": "chunked"}),
        ("gzip_and_chunked", {"Transfer-Encoding": "gzip, chunked"}),
    ],
)
def test_the_end_may_be_told_in_any_way(
    sim: Simulator, client: Client, recorded: SessionTruth, framing: Framing, headers: dict[str, str]
) -> None:
    """As it stands on the wire."""
    sim.faults.recording = Recording(size=5000, framing=framing)
    host, port = sim.host.split(":")
    context = ssl.create_default_context(cafile=str(sim.ca_file))
    path = f"/api/reporting?generate_report=SupportSessionRecording&lsid={recorded.lsid}"
    with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {client.token}\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: wire.recv(65_536), b"")).partition(b"\r\n\r\n")
    lines = [line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:]]
    told = [value for name, value in lines if name in {"Content-Length", "Transfer-Encoding"}]
    assert told == list(headers.values())
    assert (len(body) == 5000) == ("Transfer-Encoding" not in headers)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "cut_gzip"])
def test_it_may_come_packed(sim: Simulator, client: Client, recorded: SessionTruth, coding: Coding) -> None:
    """Whole, or without its last bytes."""
    sim.faults.recording = Recording(size=5000, coding=coding)
    params = {"generate_report": "SupportSessionRecording", "lsid": recorded.lsid}
    with client.api("/api/reporting", params, stream=True) as answer:
        packed = answer.raw.read(decode_content=False)
        assert answer.headers["Content-Encoding"] == coding.removeprefix("cut_")
    unpacker = zlib.decompressobj(47)
    content = unpacker.decompress(packed)
    assert unpacker.eof == (not coding.startswith("cut_"))
    assert not unpacker.eof or sha256(content).hexdigest() == sim.recording_bytes_digest("session_recordings", recorded.lsid)[1]


@pytest.mark.parametrize(("form", "kind"), [("flv", Tags), ("mp4", Boxes)])
def test_a_video_is_whole_by_its_own_structure(form: str, kind: type[Tags | Boxes]) -> None:
    """Of any size that has room for one."""
    for size in (100, 300_000, 262_144 + 13, 2 * 262_144 + 20, 600_001):
        structure = kind()
        for block in blocks("name", form, size):
            structure.feed(block)
        assert structure.complete
