"""Few large records at a time, whoever asks for them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from bic_lib.appliance import large_records
from bic_lib.appliance.large_records import LARGE, PLACES, Place
from bic_lib.appliance.session_documents import documents
from bic_lib.core.errors import Interrupted
from bic_lib.core.model import BrokenDocument, Document
from tests.support import ROOT

BEGIN = b'<session_list><session lsid="a"><note>'
END = b"</note></session></session_list>"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_records, "_WAIT_SECONDS", 0.2)


def report(size: int = LARGE + 1_000_000) -> Iterator[bytes]:
    """One session of so many bytes, in pieces."""
    yield BEGIN
    for _ in range(size // 100_000):
        yield b"x" * 100_000
    yield END


def test_no_more_than_a_few_are_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than there are places is interrupted, to be tried again; once another is done with, there is room."""
    held = [documents(report(), as_of=1) for _ in range(PLACES)]
    for reader in held:
        next(reader)
    with pytest.raises(Interrupted, match="in hand already"):
        list(documents(report(), as_of=1))
    assert list(held[0])[1:] == []
    assert len(list(documents(report(), as_of=1))) == 1
    held[1].close()  # type: ignore[attr-defined]  # a generator: its reader went away in the middle
    again = [documents(report(), as_of=1) for _ in range(PLACES)]
    assert [len(list(reader)) for reader in again] == [1] * PLACES


def test_small_ones_need_no_place() -> None:
    """However many: nearly all sessions are small, and no hostile site may hold up those of others."""
    held = [documents(report(), as_of=1) for _ in range(PLACES)]
    for reader in held:
        next(reader)
    assert all(len(list(documents(report(100_000), as_of=1))) == 1 for _ in range(20))
    for reader in held:
        assert list(reader) == []


def test_a_place_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lanes with large sessions take turns; none fails."""
    monkeypatch.setattr(large_records, "_WAIT_SECONDS", 30)
    done: list[Document | BrokenDocument] = []
    lanes = [threading.Thread(target=lambda: done.extend(documents(report(), as_of=1))) for _ in range(3 * PLACES)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    assert len(done) == 3 * PLACES


def test_a_place_is_not_kept_from_others_for_ever() -> None:
    """A large record that comes too slowly gives it back, and is tried again later."""
    now = 0.0
    place = Place(monotonic=lambda: now)
    place.need(LARGE + 1)
    now = 899.0
    place.need(LARGE + 2)
    now = 901.0
    with pytest.raises(Interrupted, match="did not come within"):
        place.need(LARGE + 3)
    place.leave()
    assert large_records._places._value == PLACES


THREADS = """
import sys, threading
from benchmarks import _peak
from lxml import etree
from bic_lib.appliance.large_records import LARGE, Place

document = b"<a>" + b"<b c='d'>e</b>" * 200_000 + b"</a>"
read, end = threading.Barrier(2), threading.Event()

def lane():
    place = Place()
    place.need(LARGE + 1)
    tree = etree.fromstring(document)
    del tree
    place.leave()
    read.wait()
    end.wait()  # the lane has more to do, and keeps its heap

for _ in range(int(sys.argv[1])):
    threading.Thread(target=lane, daemon=True).start()
    read.wait()
print(_peak.kilobytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory is kept there")
def test_six_lanes_need_little_more_than_one_at_a_time() -> None:
    """Each lane reads a large record after the other one has; what the first took is there for the next."""

    def peak(lanes: int) -> int:
        command = [sys.executable, "-c", THREADS, str(lanes)]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout)

    assert peak(6) < 2.5 * peak(1)
