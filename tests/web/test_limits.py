"""What requests may hold, how much of it, and whom they may keep waiting (A14)."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from bic_lib.simulator import Fault
from bic_lib.web.http import MOST_VALUES
from bic_lib.web.upload import MOST_RECORDS
from tests.web.conftest import KEY, Service

JSON = {"Content-Type": "application/json"}
WHAT = {"sites": ["support"], "destinations": ["archive"], "data": ["sessions"]}


@pytest.mark.parametrize("route", ["download", "check", "retry", "acknowledge"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"lsid": ["\\ud800"]}',
        b'{"sites": ["\\ud800"]}',
        b'{"ids": ["a\\u0000b"]}',
        b'{"sites": ["a\\u001b[31m"]}',
        b'{"sites": ["\\u202e"]}',
        b'{"\\ud800": 1}',
        b'{"sites": [["support"]]}',
        b'{"sites": [{"a": "\\ud800"}]}',
        b'{"sites": {"support": 1}}',
        b'{"sites": [1]}',
        b'{"wait": NaN}',
        b'{"wait": 1e999}',
        b'{"wait": -Infinity}',
        b'{"wait": 1' + b"0" * 5000 + b"}",
        b'{"all": "yes"}',
        b"[" * 100_000,
        b'{"sites": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"\xff",
    ],
)
def test_what_is_no_text_and_no_number_is_refused(running: Service, route: str, body: bytes) -> None:
    """At any depth, in names too: 400 with what is wrong, in a JSON answer that can be read; nothing is planned."""
    answered = running.post(f"/api/{route}", data=body, headers=JSON)
    assert answered.status_code == 400, answered.text
    assert answered.json()["problems"]
    assert running.get("/api/status").json()["runs"] == []


def test_texts_in_any_script_are_no_harm(running: Service) -> None:
    """They are unknown names, told as they were."""
    answered = running.post("/api/check", json={"sites": ["東京 süd"]})
    assert (answered.status_code, "東京 süd" in json.dumps(answered.json(), ensure_ascii=False)) == (400, True)


@pytest.mark.parametrize("query", ["?" + "&".join(f"a{n}=1" for n in range(MOST_VALUES + 1)), "?" + "a" * 100 + "=%00"])
def test_addresses_hold_few_texts(running: Service, query: str) -> None:
    """Too many parameters are 413, such as are no text 400."""
    assert running.get(f"/api/status{query}").status_code == (400 if "%00" in query else 413)


def test_too_many_values_are_too_much(running: Service) -> None:
    """A list of a hundred thousand ids is not read one by one."""
    assert running.post("/api/retry", json={"ids": ["x"] * 100_000}).status_code == 413


def form(*parts: tuple[str, bytes], boundary: str = "b") -> dict[str, Any]:
    """A body of these parts: what stands in their head, and content."""
    body = b"".join(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head.encode(), content) for head, content in parts)
    whole = body + f"--{boundary}--\r\n".encode()
    return {"data": whole, "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"}}


FIELD = 'Content-Disposition: form-data; name="{}"'
FILE = 'Content-Disposition: form-data; name="file"; filename="{}"'


@pytest.mark.parametrize(
    "part",
    [
        (FIELD.format("sites"), b"a\x00b"),
        (FIELD.format("sites"), b"\xff"),
        (FIELD.format("sites"), "\u202e".encode()),
        (FIELD.format("a\x1bb"), b"x"),
        (FILE.format("a\x1b[31m.xml"), b"<session_list/>"),
        (FIELD.format("x") + "\r\nX: " + "y" * 10_000, b"x"),
    ],
)
def test_a_form_holds_texts(running: Service, part: tuple[str, bytes]) -> None:
    """Fields, their names and those of files: else 400."""
    answered = running.post("/api/download", **form(part))
    assert answered.status_code == 400
    assert answered.json()["problems"]


def cost(running: Service, body: dict[str, Any]) -> tuple[int, float]:
    """The answer's status, and the seconds of processor that this process spent (the service is in it)."""
    began = time.process_time()
    return running.post("/api/download", **body).status_code, time.process_time() - began


def test_a_form_has_few_parts(running: Service) -> None:
    """Two hundred thousand are refused for little more than their size costs."""
    small, large = (form(*[(FIELD.format("a"), b"")] * count) for count in (MOST_VALUES + 1, 200_000))
    assert cost(running, small)[0] == 413
    status, seconds = cost(running, large)
    assert (status, seconds < 2.0) == (413, True)


def test_an_upload_has_few_records(running: Service) -> None:
    """Twenty thousand sessions in all files together; one more is 413, and nothing is planned."""
    half = b"<session_list>" + b'<session lsid="a"/>' * (MOST_RECORDS // 2) + b"</session_list>"
    more = half.replace(b"<session_list>", b'<session_list><session lsid="b"/>')
    answered = running.post("/api/download", **form((FILE.format("1.xml"), half), (FILE.format("2.xml"), more)))
    assert (answered.status_code, running.get("/api/status").json()["runs"]) == (413, [])


MEMORY = """
import sys
from benchmarks import _peak
from bic_lib.web.application import flask_app
from bic_lib.web.http import Refusal, form
from bic_lib.web.upload import read
count = int(sys.argv[1])
file = b"<session_list>" + b'<session lsid="a"/>' * count + b"</session_list>"
body = b'--b\\r\\nContent-Disposition: form-data; name="f"; filename="f.xml"\\r\\n\\r\\n%b\\r\\n--b--\\r\\n' % file
app = flask_app()
with app.test_request_context(method="POST", content_type="multipart/form-data; boundary=b", data=body) as asked:
    try:
        read(*form(asked.request))
    except Refusal as refused:
        print(refused.status, file=sys.stderr)
print(_peak.kilobytes())
"""


def test_an_upload_of_tiny_records_takes_a_few_times_its_size() -> None:
    """Sixteen megabytes of them: it is refused before anything is made of them."""

    def peak(count: int) -> int:
        call = [sys.executable, "-c", MEMORY, str(count)]
        return int(subprocess.run(call, check=True, capture_output=True, cwd=Path(__file__).parents[2]).stdout)

    assert (peak(840_000) - peak(10)) * 1024 < 8 * 16_000_000


def test_callers_that_wait_hold_up_nobody(running: Service) -> None:
    """Thirty of them, for a run that takes its time: others are answered at once, and some of them early, with 202."""
    running.appliance.faults.standing = [Fault("SupportSession", first_byte_delay=6)]
    statuses: list[int] = []

    def wait() -> None:
        answered = running.post("/api/download", json={**WHAT, "start": "2020-01-01", "duration": "1d", "wait": 5})
        statuses.append(answered.status_code)

    callers = [threading.Thread(target=wait) for _ in range(30)]
    for caller in callers:
        caller.start()
    time.sleep(1.0)
    began = time.monotonic()
    assert running.get("/api/runs/none").status_code == 404
    assert time.monotonic() - began < 3.0
    running.appliance.faults.standing = []
    for caller in callers:
        caller.join()
    assert set(statuses) <= {200, 202}
    assert len(statuses) == 30


@pytest.mark.slow
def test_a_silent_connection_is_closed(running: Service) -> None:
    """A hundred and fifty that send nothing keep nobody out; each is closed after some fifteen seconds, also in mid request."""
    host, port = running.address.removeprefix("http://").split(":")
    began = time.monotonic()
    silent = [socket.create_connection((host, int(port)), timeout=40) for _ in range(150)]
    for connection in silent[:75]:
        connection.sendall(b"POST /api/check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
    assert running.get("/api/runs/none").status_code == 404
    for connection in silent:
        assert connection.recv(1) in (b"", b"H")
        connection.close()
    assert time.monotonic() - began < 35


def test_slow_senders_keep_nobody_out(running: Service) -> None:
    """More connections than there may be, none of which ever ends its request: the oldest give way, and others are answered."""
    host, port = running.address.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), timeout=20) for _ in range(520)]
    for connection in slow:
        connection.sendall(b"GET /api/ui/ HTTP/1.1\r\nHost: localhost\r\nX: ")
    assert running.get("/api/ui/login").status_code == 200
    for connection in slow:
        connection.close()


def test_routes_have_a_head_and_no_case(running: Service) -> None:
    """Fixed parts match without case; ids keep theirs and are decoded exactly once."""
    assert requests.head(running.address + "/API/Status", headers={"x-functions-key": KEY}, timeout=20).status_code == 200
    assert requests.head(running.address + "/api/status", headers={"x-functions-key": KEY}, timeout=20).content == b""
    for asked, meant in (("%C3%A4", "ä"), ("%2541", "%41"), ("AbC", "AbC")):
        answered = running.get(f"/api/Runs/{asked}")
        assert (answered.status_code, meant in json.dumps(answered.json(), ensure_ascii=False)) == (404, True)
