"""The HTTP routes over real HTTP."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from bic_lib.actions.verify import verify
from bic_lib.core.model import DAY
from bic_lib.ledger.records import Record
from bic_lib.simulator import Recording, Simulator
from bic_lib.web.http import LARGEST_BODY
from tests.support import archive, hourly, served_sessions, site, stored_sessions
from tests.web.conftest import KEY, Service, serving

_MONTH = {"start": "2020-01-01", "duration": "1d"}


def _recent(appliance: Simulator) -> dict[str, str]:
    """`start` and `duration` of all that the appliance knows."""
    begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(appliance.now() - 31 * DAY))
    return {"start": begin, "duration": "31d"}


def _ended(appliance: Simulator) -> int:
    """How many sessions windows by end time show: those that broke off have none, and come by the pass that follows the run."""
    return sum(truth.state == "ended" for truth in appliance.sessions())


def _until(done: Callable[[], Any]) -> Any:
    ends = time.monotonic() + 30
    while not (value := done()) and time.monotonic() < ends:
        time.sleep(0.05)
    return value


def _finished(service: Service, place: str) -> dict[str, Any]:
    """The run at this place, once it has ended."""
    found: dict[str, Any] = _until(lambda: (run := service.get(place).json())["finished"] and run)
    return found


# --- reading ---------------------------------------------------------------------------------------------------------


def test_status_tells_all_that_the_dashboard_shows(running: Service) -> None:
    """`GET /api/status` has the keys of `bic status`, the runs, failures and notices, and thirty days of counts."""
    running.tick()
    assert _until(lambda: running.get("/api/status").json()["runs"][0]["finished"])
    shown = running.get("/api/status").json()
    assert {"scheduler", "schedules", "streams", "sites", "destinations", "failures", "notices"} <= shown.keys()
    assert shown["scheduler"]["state"] == "running"
    assert len(shown["stored_per_day"]) == 30
    assert sum(day["stored"] for day in shown["stored_per_day"]) == shown["runs"][0]["stored"] == _ended(running.appliance)


def test_a_run_is_told_with_what_it_made_due(running: Service) -> None:
    """`GET /api/runs/{id}` has counts, bytes and the outcome of each stream."""
    running.tick()
    run = running.get("/api/status").json()["runs"][0]
    told = _finished(running, f"/api/runs/{run['id']}")
    assert told["outcome"] == "ok"
    assert told["stored"] == _ended(running.appliance)
    assert [(one["site"], one["data"], one["destination"], one["outcome"]) for one in told["transfers"]] == [
        ("support", "sessions", "archive", "ok")
    ]


@pytest.mark.parametrize("run", ["1-none", "none", "-", "99999999999999999999-x", "1%2F2"])
def test_unknown_run_is_not_found(running: Service, run: str) -> None:
    """A run that is not there, whatever its id looks like, is answered 404."""
    assert running.get(f"/api/runs/{run}").status_code == 404


def test_head_has_no_body(running: Service) -> None:
    """`HEAD` is answered like `GET`, without the body."""
    answered = running.get("/api/status")
    head = requests.head(running.address + "/api/status", headers={"x-functions-key": KEY}, timeout=10)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == answered.headers["Content-Type"]


# --- the test download -----------------------------------------------------------------------------------------------


def test_download_that_waits_answers_with_the_run(running: Service) -> None:
    """With `wait` the answer comes when the run has ended; everything that began in the time is there, once."""
    wanted = {"sites": ["support"], "destinations": ["archive"], "data": ["sessions"], "wait": 60, **_recent(running.appliance)}
    answered = running.post("/api/download", json=wanted)
    assert (answered.status_code, answered.json()["outcome"]) == (200, "ok")
    assert stored_sessions(running.folder / "archive") == served_sessions(running.appliance)
    again = running.post("/api/download", json=wanted).json()
    assert (again["stored"], again["failed"]) == (0, 0)


def test_download_is_accepted_at_once(running: Service) -> None:
    """Without `wait` the answer is 202 with the run's place, where its end can be seen."""
    wanted = {"sites": "support", "destinations": "archive", "data": "sessions", **_recent(running.appliance)}
    answered = running.post("/api/download", json=wanted)
    assert answered.status_code == 202
    assert _finished(running, answered.headers["Location"])["stored"] == len(served_sessions(running.appliance))


def test_download_of_one_session(running: Service) -> None:
    """A session is fetched by its id; an unknown one fails the run by name."""
    lsid = next(iter(served_sessions(running.appliance)))
    wanted = {"sites": "support", "destinations": "archive", "data": "sessions", "wait": 60}
    assert running.post("/api/download", json={**wanted, "lsid": lsid}).json()["stored"] == 1
    unknown = running.post("/api/download", json={**wanted, "lsid": "0" * 32}).json()
    assert unknown["outcome"] == "failed"
    assert "0" * 32 in unknown["reason"]


def test_dry_run_stores_nothing(running: Service) -> None:
    """A dry run is answered with the list of what would come; it leaves the destination as it is, and no run."""
    wanted = {"sites": "support", "destinations": "archive", "data": ["sessions", "site_backups"], "dry_run": True}
    answered = running.post("/api/download", json={**wanted, **_recent(running.appliance)})
    told = answered.json()
    assert answered.status_code == 200
    assert {item["lsid"] for item in told["items"] if item["data"] == "sessions"} == served_sessions(running.appliance).keys()
    assert {item["state"] for item in told["items"]} == {"planned"}
    assert all(item["location"] for item in told["items"])
    assert told["found"] >= len(told["items"])
    assert not list(running.folder.glob("archive/**/*.*"))
    assert "Location" not in answered.headers
    ledger = running.current.held.app.ledger
    assert ledger.history.runs(ledger.now(), 10) == []


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, ["no site", "no destination", "no data type"]),
        (
            {
                "sites": ["nowhere"],
                "destinations": ["void", 1],
                "data": ["films"],
                "start": "soon",
                "duration": "long",
                "wait": 201,
            },
            ["nowhere", "destinations", "films", "start", "duration", "wait"],
        ),
        ({"sites": "support", "destinations": "archive", "data": "sessions", "start": "2026-01-01"}, ["start and duration"]),
        ({"sites": "support", "destinations": "archive", "data": "sessions", "lsid": "x", **_MONTH}, ["not both"]),
        (
            {"sites": "support", "destinations": "archive", "data": "sessions", "lsid": [f"{n:032x}" for n in range(2_000)]},
            ["at most 1,000 sessions"],
        ),
        ({"sitez": "support", "dry_run": "yes", "wait": True}, ["sitez", "dry_run", "wait"]),
        ({"start": "0001-01-01T00:00:00+23:59", "duration": 5}, ["duration"]),
    ],
)
def test_bad_download_is_refused_with_every_problem(running: Service, body: dict[str, Any], problems: list[str]) -> None:
    """400, and each thing that is wrong has its own line; nothing is planned."""
    answered = running.post("/api/download", json=body)
    assert answered.status_code == 400
    told = answered.json()["problems"]
    assert [part for part in problems if not any(part in line for line in told)] == []
    assert "films" not in str(body) or "no data type is named" not in told
    assert running.get("/api/status").json()["runs"] == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(running: Service, body: bytes) -> None:
    """Any other body is answered 400, not 500."""
    assert running.post("/api/download", data=body, headers={"Content-Type": "application/json"}).status_code == 400
    assert running.post("/api/download", data=body, headers={"Content-Type": "text/plain"}).status_code == 400


@pytest.mark.parametrize("path", ["/api/" + "x" * 5_000, "/api/runs/" + "x" * 5_000])
def test_refusals_repeat_little(running: Service, path: str) -> None:
    """What was sent stands shortened in the problems: at most a hundred characters of a value."""
    long = "authorization=" + " " * 500_000 + "x"
    body = {"sites": [long], "destinations": long, "data": [long], "start": long, "duration": long, "lsid": long, long: 1}
    answered = running.post("/api/download", json=body)
    assert answered.status_code == 400
    assert max(map(len, answered.json()["problems"])) < 400
    assert len(running.get(path).text) < 400


# --- uploads ---------------------------------------------------------------------------------------------------------


def test_uploaded_sessions_are_delivered(tmp_path: Path, appliance: Simulator) -> None:
    """Session XML that is uploaded goes to the destination like a downloaded one, and is not doubled by a later run."""
    with serving(tmp_path, appliance, site(appliance) + archive() + archive("second") + hourly()) as running:
        running.tick()
        files = _until(
            lambda: len(found := list((running.folder / "archive").glob("*.xml"))) == len(served_sessions(appliance)) and found
        )
        sent = [("files", (path.name, path.read_bytes(), "application/xml")) for path in files]
        answered = running.post("/api/download", files=sent, data={"destinations": "second", "data": "sessions", "wait": "60"})
        assert (answered.status_code, answered.json()["stored"]) == (200, len(files))
        assert stored_sessions(running.folder / "second") == served_sessions(appliance)
        again = running.post("/api/download", files=sent, data={"destinations": "second", "wait": "60"}).json()
        assert (again["outcome"], again["stored"], again["failed"]) == ("ok", 0, 0)
        assert not list((running.folder / "bic-uploads").iterdir())


_SESSION = (
    b'<session_list><session lsid="00000000000000000000000000000001"><session_type>support</session_type>'
    b'<start_time timestamp="1700000000"/><end_time timestamp="1700000600"/></session></session_list>'
)


def test_an_upload_honours_what_was_asked_for(tmp_path: Path, appliance: Simulator) -> None:
    """Presentations go neither into a database nor anywhere when only sessions were asked for: each is refused by name."""
    rows = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///rows.sqlite"\n'
    presentation = _SESSION.replace(b"<session_type>support", b"<session_type>presentation")
    with serving(tmp_path, appliance, site(appliance) + archive() + rows + hourly()) as running:

        def send(destination: str, data: str) -> dict[str, Any]:
            sent = {"destinations": destination, "data": data, "wait": "30"}
            return dict(running.post("/api/download", files=[("files", ("a.xml", presentation))], data=sent).json())

        for destination, data, told in (("archive", "sessions", "not asked for"), ("rows", "presentations", "database rows")):
            answer = send(destination, data)
            assert answer["stored"] == 0
            assert told in json.dumps(answer)
        assert send("archive", "presentations")["stored"] == 1


def test_an_upload_does_not_wait_for_its_site(tmp_path: Path, appliance: Simulator) -> None:
    """An upload of a site that can't be entered, and rests therefore, is taken in at once; the site goes on resting."""
    settings = site(appliance).replace("env:", "env:NOT_SET_") + archive() + hourly()
    with serving(tmp_path, appliance, settings) as running:
        running.tick()
        assert _until(lambda: running.get("/api/status").json()["sites"][0]["state"] == "failing")
        sent = {"destinations": "archive", "wait": "30"}
        answered = running.post("/api/download", files=[("files", ("a.xml", _SESSION))], data=sent)
        assert (answered.status_code, answered.json()["stored"]) == (200, 1)
        assert running.get("/api/status").json()["sites"][0]["state"] == "failing"
        assert appliance.requests == []


def test_an_upload_is_answered_at_once(running: Service) -> None:
    """Without `wait` an upload is answered 202 with the place of its run; when that has ended, nothing of the upload is kept."""
    answered = running.post("/api/download", files=[("files", ("a.xml", _SESSION))], data={"destinations": "archive"})
    assert answered.status_code == 202
    place = answered.headers["Location"]
    assert _until(lambda: running.get(place).json()["finished"])
    assert running.get(place).json()["stored"] == 1
    assert len(list((running.folder / "archive").glob("*.xml"))) == 1
    assert not list((running.folder / "bic-uploads").iterdir())


@pytest.mark.parametrize("sites", ["support", ""])
def test_a_disabled_site_is_refused(tmp_path: Path, appliance: Simulator, sites: str) -> None:
    """Neither a download nor an upload waits for a site whose work nobody does: both are told, and nothing is kept."""
    with serving(tmp_path, appliance, site(appliance, more="enabled = false") + archive() + hourly()) as running:
        wanted = {"destinations": "archive", "data": "sessions", **({"sites": sites} if sites else {})}
        answered = [running.post("/api/download", files=[("files", ("a.xml", _SESSION))], data=wanted)]
        if sites:
            answered.append(running.post("/api/download", json={**wanted, "lsid": "1"}))
        for one in answered:
            assert one.status_code == (400 if sites else 200)
            assert "the site support is disabled" in one.text
        assert not list(running.folder.glob("bic-uploads/*"))


def test_recordings_of_uploaded_sessions_come_from_the_site(tmp_path: Path, appliance: Simulator) -> None:
    """Recordings that are wanted with an upload are a download of these sessions: a run of its own."""
    with serving(tmp_path, appliance, site(appliance) + archive() + archive("second") + hourly()) as running:
        running.tick()
        assert _until(lambda: stored_sessions(running.folder / "archive").keys() == served_sessions(appliance).keys())
        recorded = [
            path
            for path in (running.folder / "archive").glob("*.xml")
            if b"<session_recording_download_url>" in path.read_bytes()
        ]
        sent = [("files", (path.name, path.read_bytes())) for path in recorded[:3]]
        wanted = {"destinations": "second", "sites": "support", "data": "sessions,session_recordings", "wait": "60"}
        answered = running.post("/api/download", files=sent, data=wanted)
        assert (answered.status_code, answered.json()["stored"]) == (200, 3)
        assert _until(lambda: len(list((running.folder / "second").glob("*.flv"))) == 3)
        other = [*[("files", (path.name, path.read_bytes())) for path in recorded[3:4]], ("files", ("old.xml", b"\x1f\x8b\x08"))]
        alone = {**wanted, "data": "session_recordings"}
        for files, status in ((other, 200), (other[1:], 400)):  # one that can't be read keeps the others from nothing
            answered = running.post("/api/download", files=files, data=alone)
            assert answered.status_code == status
            assert re.search("old.xml.{1,20}packed: unpack it first", answered.text, re.DOTALL)
        assert _until(lambda: len(list((running.folder / "second").glob("*.flv"))) == 4)


@pytest.mark.parametrize("fields", [{"force": "true"}, {}])
@pytest.mark.parametrize("other_day", [False, True])
def test_an_upload_replaces_nothing_that_the_appliance_sent(
    tmp_path: Path, appliance: Simulator, fields: dict[str, str], other_day: bool
) -> None:
    """Neither force nor Overwrite nor another start lets an upload replace what the appliance sent, in files or in rows."""
    rows = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///rows.sqlite"\n'
    schedules = hourly() + hourly(name="rows", destination="rows")
    with serving(tmp_path, appliance, site(appliance) + archive(more='on_conflict = "Overwrite"') + rows + schedules) as running:
        running.tick()
        assert _until(lambda: len(stored_sessions(tmp_path / "archive")) == len(served_sessions(appliance)))
        assert _until(lambda: all(run["finished"] for run in running.get("/api/status").json()["runs"]))
        before = stored_sessions(tmp_path / "archive")
        real = next((tmp_path / "archive").glob("*.xml"))
        forged = real.read_bytes().replace(b"<lseq>", b"<lseq>9")
        forged = re.sub(rb'(<start_time timestamp=")\d+', rb"\g<1>1700000000", forged) if other_day else forged
        sent = {"destinations": "archive,rows", "sites": "support", "wait": "60", **fields}
        answered = running.post("/api/download", files=[("files", ("a.xml", forged))], data=sent)
        assert (answered.status_code, "force: " in answered.text) == ((400, True) if fields else (200, False))
        assert answered.json().get("stored", 0) == 0
        assert stored_sessions(tmp_path / "archive") == before
        assert verify(running.current.held.app).problems == []


def test_what_was_uploaded_is_told_from_what_the_appliance_sent(tmp_path: Path, appliance: Simulator) -> None:
    """The ledger marks uploaded sessions; once the appliance's own document comes, it is stored too, and is not marked."""
    broken_off = {truth.lsid for truth in appliance.sessions() if truth.state == "abnormal"}
    lsid = next(lsid for lsid in served_sessions(appliance) if lsid in broken_off)
    forged = b"<session_list>%s</session_list>" % appliance.session_xml(lsid).replace(b"<lseq>", b"<lseq>9")
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly()) as running:
        for content in (forged, _SESSION):
            running.post("/api/download", files=[("files", ("a.xml", content))], data={"destinations": "archive", "wait": "60"})
        assert verify(running.current.held.app).brought == {"upload": 2}
        running.tick()
        assert _until(lambda: any(record.item.lsid == lsid and not record.origin for record in _stored(running)))
        assert verify(running.current.held.app).brought == {"upload": 2}


def _stored(running: Service) -> list[Record]:
    return list(running.current.held.app.ledger.proof.records("support"))


def test_upload_of_something_else_is_told_by_its_own_name(running: Service) -> None:
    """A file that is no session XML is refused by the sender's name for it, wherever that points; nothing is written there."""
    sent = [("files", ("../../etc/x.xml", b"<no/>\r\n--nonsense\0", "application/xml"))]
    answered = running.post("/api/download", files=sent, data={"destinations": "archive"})
    assert answered.status_code == 200
    assert [one["file"] for one in answered.json()["refused"]] == ["../../etc/x.xml"]
    assert str(running.folder) not in answered.text


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"destinations": "nowhere"}, "nowhere"),
        ({"destinations": "archive", "data": "films"}, "films"),
        ({"destinations": "archive", "sites": "support,other"}, "one at most"),
        ({"destinations": "archive", "wait": "long"}, "wait"),
        ({"destinations": "archive", "dry_run": "true"}, "dry_run"),
    ],
)
def test_bad_upload_is_refused(running: Service, fields: dict[str, str], problem: str) -> None:
    """A form with wrong fields is answered 400, by name."""
    answered = running.post("/api/download", files=[("files", ("a.xml", b"<a/>"))], data=fields)
    assert (answered.status_code, problem in answered.text) == (400, True)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno end"),
        ("multipart/form-data; boundary=x", b"--x--"),
    ],
)
def test_broken_form_is_refused(running: Service, media_type: str, body: bytes) -> None:
    """A form without a boundary, an end or a file is answered 400."""
    assert running.post("/api/download", data=body, headers={"Content-Type": media_type}).status_code == 400


def test_too_large_a_body_is_refused(running: Service) -> None:
    """More than 20 MB in one request is answered 413."""
    assert running.post("/api/download", data=b"x" * (LARGEST_BODY + 1)).status_code == 413


# --- the other commands ----------------------------------------------------------------------------------------------


def test_check(running: Service) -> None:
    """`POST /api/check` looks at everything, or at the named sites; an unknown one is answered 400."""
    checks = running.post("/api/check").json()["checks"]
    assert {"ledger", "site support", "destination archive"} <= {line["subject"] for line in checks}
    assert all(line["ok"] for line in checks), checks
    assert running.post("/api/check", json={"sites": ["support"]}).status_code == 200
    assert running.post("/api/check", json={"sites": ["nowhere"]}).status_code == 400


def test_retry(running: Service) -> None:
    """`POST /api/retry` takes ids, a site or destination, or all, and refuses what is not there."""
    nothing = {"retried": 0, "ids": [], "subjects": [], "paused": [], "refused": []}
    for wanted in ({"all": True}, {"site": "support"}, {"destination": "archive"}):
        assert running.post("/api/retry", json=wanted).json() == nothing
    for wrong in ({"site": "suport"}, {"destination": "x"}, {"site": "support", "all": True}):
        assert running.post("/api/retry", json=wrong).status_code == 400, wrong
    assert running.post("/api/retry", json={"ids": ["none"]}).status_code == 400
    assert running.post("/api/retry", json={}).status_code == 400
    assert running.post("/api/retry", json={"ids": ["x"], "all": True}).status_code == 400


def test_failures_and_acknowledge(running: Service) -> None:
    """`GET /api/failures` lists what is wrong, `POST /api/acknowledge` takes it off; `all` keeps showing it."""
    recorded = next(truth.lsid for truth in running.appliance.sessions() if truth.state == "ended" and truth.recordings)
    running.appliance.faults.recordings = {recorded: Recording(odd="png")}
    wanted = {"sites": ["support"], "destinations": ["archive"], "data": ["session_recordings"], "lsid": [recorded], "wait": 60}
    running.post("/api/download", json=wanted)
    assert _until(lambda: running.get("/api/failures").json()["failures"])
    [failure] = running.get("/api/failures").json()["failures"]
    assert (failure["lsid"], failure["state"]) == (recorded, "doubtful")
    for wrong in (
        {},
        {"ids": [failure["id"]], "site": "support"},
        {"ids": ["none"]},
        {"data": "x"},
        {"before": "soon"},
        {"site": 1},
    ):
        assert running.post("/api/acknowledge", json=wrong).status_code == 400, wrong
    done = running.post("/api/acknowledge", json={"ids": [failure["id"]]}).json()
    assert done == {"acknowledged": 1, "ids": [failure["id"]], "refused": []}
    assert running.get("/api/failures").json() == {"failures": []}
    assert [one["id"] for one in running.get("/api/failures?all=1").json()["failures"]] == [failure["id"]]
    assert running.get("/api/failures?all=2").status_code == 400


def test_notify_test_needs_a_mail_server(running: Service) -> None:
    """Without [notifications.smtp] there is nobody to tell: 400."""
    assert running.post("/api/notify-test").status_code == 400


# --- wrong calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/status", "GET"),
        ("GET", "/api/download", "POST"),
        ("DELETE", "/api/runs/1-x", "GET"),
        ("PUT", "/api/dashboard", "GET"),
        ("PUT", "/api/ui/download", "GET, POST"),
        ("POST", "/api/ui/sites", "GET"),
        ("GET", "/api/retry", "POST"),
    ],
)
def test_wrong_method(running: Service, method: str, path: str, allowed: str) -> None:
    """405, naming the methods that there are."""
    answered = requests.request(method, running.address + path, timeout=10)
    assert (answered.status_code, answered.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/api", "/api/nothing", "/api/runs", "/api/runs/", "/favicon.ico", "/api/status/x", "/%ff"])
def test_unknown_path(running: Service, path: str) -> None:
    """404."""
    assert running.get(path).status_code == 404


def test_no_answer_holds_a_secret(running: Service) -> None:
    """Not even where an error quotes it."""
    secret = running.appliance.client_secret
    running.post("/api/check")
    told = running.post("/api/download", json={"sites": secret, "destinations": f"x {secret}", "data": "sessions", "lsid": "x"})
    assert told.status_code == 400
    assert secret not in told.text
    assert json.loads(told.text)["problems"]


def test_front_doors_lead_to_the_pages(running: Service) -> None:
    """`/` on one machine redirects to the pages, and so does the address that was the page's."""
    for path in ("/", "/api/dashboard"):
        assert running.get(path).headers["Location"] == "/api/ui/"


# --- one session -----------------------------------------------------------------------------------------------------


def test_a_session_is_told_as_by_the_command(running: Service) -> None:
    """`GET /api/sessions/{lsid}`: content and copies; ids keep their case, and one that nobody knows is not found."""
    running.tick()
    assert _until(lambda: running.get("/api/status").json()["runs"][0]["finished"])
    lsid = next(one.lsid for one in running.appliance.sessions() if one.state == "ended")
    told = running.get(f"/API/Sessions/{lsid}")
    assert (told.status_code, told.json()["lsid"], told.json()["state"]) == (200, lsid, "ended")
    assert told.json()["content"]["events"]
    assert {one["proof"] for one in told.json()["copies"]} == {"proven"}
    for unknown in (lsid.upper(), "a%0Ab", "%252e"):
        assert running.get(f"/api/sessions/{unknown}").status_code == 404
    assert running.get(f"/api/sessions/{lsid}?site=other").status_code == 400
