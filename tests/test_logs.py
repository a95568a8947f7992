"""What is logged, where it goes, and what must never be in it."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bic_lib import logs
from bic_lib.core.errors import LedgerError
from bic_lib.destinations import azure_blob
from bic_lib.ledger.stores import azure_table
from bic_lib.logs import DailyFile, LogFormat, configure, protect
from bic_lib.masking import STARS, Mask, mask, masked
from tests.support import ROOT

REGISTERED = 'pa"ss\\wörd /1&<2'
TOKEN = "x8Kf0aQ2mN4bV6cZ8lK0jH2gF4dS6aP8oI0uY2tR"
LSID = "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"
CHECK_VALUE = "1111111111111111111111111111111111111111"
LINK = f"https://support.example.com/session_download?lsid=l%3D{LSID}%3Bh%3D{CHECK_VALUE}%3Bt%3Dsd%3Bm%3Dchat&dl_action=chat"

SPOKEN: dict[str, tuple[str, str]] = {
    # what it is: (a text that holds it, what must not be left)
    "registered": (f"login with {REGISTERED} failed", REGISTERED),
    "registered, as JSON": (f"body {json.dumps({'x': REGISTERED})}", json.dumps(REGISTERED)[1:-1]),
    "registered, as Python": (f"called with {REGISTERED!r}", repr(REGISTERED)[1:-1]),
    "registered, in a URL": ("GET /?p=pa%22ss%5Cw%C3%B6rd%20%2F1%26%3C2", "w%C3%B6rd"),
    "registered, in a form": ("p=pa%22ss%5Cw%C3%B6rd+%2F1%26%3C2", "w%C3%B6rd"),
    "registered, in XML": ("<p>pa&quot;ss\\wörd /1&amp;&lt;2</p>", "wörd"),
    "signed link": (f"see {LINK} for it", CHECK_VALUE),
    "signed link in XML": (f"<url>{LINK.replace('&', '&amp;')}</url>", CHECK_VALUE),
    "signed link to a shell": (f"https://a/session_download?lsid={LSID}&dl_action=shell&instance=0", "dl_action"),
    "check value alone": (f"l%3Dabc%3Bh%3D{CHECK_VALUE}%3Bt", CHECK_VALUE),
    "SAS": ("https://acct.blob.core.windows.net/c/b?sv=2024&sp=r&sig=Ab%2FcdEf%3D&se=1", "Ab%2FcdEf"),
    "SAS at the end": ("PUT /c/b?sp=rw&sig=AbcdEfgh12345", "AbcdEfgh12345"),
    "bearer token": (f"Authorization: Bearer {TOKEN}", TOKEN),
    "bearer token in a mapping": (f"{{'Authorization': 'Bearer {TOKEN}'}}", TOKEN),
    "bearer token alone": (f"sent bearer {TOKEN} to it", TOKEN),
    "basic header": ("Authorization: Basic aWQ6c2VjcmV0", "aWQ6c2VjcmV0"),
    "basic credentials alone": ("sent Basic aWRlbnRpdHk6c2VjcmV0 to it", "aWRlbnRpdHk6c2VjcmV0"),
    "token answer": (f'{{"access_token":"{TOKEN}","token_type":"Bearer"}}', TOKEN),
    "form with secret": ("client_id=a&client_secret=b7secret&grant_type=x", "b7secret"),
    "ODBC password": ("DRIVER=x;UID=me;PWD=s3cret word;DATABASE=d", "s3cret word"),
    "ODBC password in open braces": ("UID=me;PWD={s3;geheim", "geheim"),
    "ODBC password in braces": ("UID=me;PWD={s3;}}geheim};DATABASE=d", "geheim"),
    "ADO password": ("Server=x;Password = s3cret;Encrypt=yes", "s3cret"),
    "storage key": ("AccountName=a;AccountKey=Zm9vYmFy==;EndpointSuffix=core", "Zm9vYmFy"),
    "storage SAS": ("BlobEndpoint=https://a;SharedAccessSignature=sv=1&sig=Qq%3D", "Qq%3D"),
    "password in a URL": ("mssql+pyodbc://me:p%40ss@server/db failed", "p%40ss"),
    "password in an encoded string": ("odbc_connect=UID%3Dme%3BPWD%3Ds3cret", "s3cret"),
}


class Answer:
    """An object whose text holds a secret, as exceptions and responses of other libraries are."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


@pytest.fixture(autouse=True)
def _clean_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins with logging as it was, and leaves it so; the registered secret is known."""
    factory = logging.getLogRecordFactory()
    mask.register(REGISTERED)
    yield
    logging.setLogRecordFactory(factory)
    for logger in (logs.scheduler, logs.transfers):
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
    for handler in logging.getLogger().handlers:
        handler.filters[:] = [mine for mine in handler.filters if not isinstance(mine, logs.MaskExtras)]


def fail(text: str) -> None:
    raise RuntimeError(Answer(text)) from ValueError(text)


def say_everything(logger: logging.Logger, text: str) -> None:
    """One text by every way into a log."""
    logger.warning("in the message: %s", "-" * 3 + text)
    logger.warning(text)
    logger.warning("as an argument: %s and %r", text, Answer(text))
    logger.warning("as a mapping: %(key)s", {"key": text})
    logger.warning("the arguments don't fit %d", text)
    logger.warning("beside", extra={"told": text, "deep": {"list": [text, Answer(text)]}, "count": 3})
    try:
        fail(text)
    except RuntimeError:
        logger.exception("with its cause", stack_info=True)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("what", SPOKEN)
def test_nothing_secret_reaches_a_log_file(tmp_path: Path, what: str, log_format: LogFormat) -> None:
    """Message, arguments, extras, exceptions with causes and stacks: none shows a secret, in either format."""
    text, secret = SPOKEN[what]
    configure(tmp_path, log_format=log_format)
    say_everything(logs.transfers, text)
    (path,) = tmp_path.glob("transfers-*")
    written = path.read_text("utf-8")
    assert secret not in written
    assert json.dumps(secret)[1:-1] not in written
    assert STARS in written
    assert all(words in written for words in ("in the message", "don't fit", "beside", "with its cause", "RuntimeError"))


@pytest.mark.parametrize("what", SPOKEN)
def test_nothing_secret_reaches_the_handlers_of_others(what: str) -> None:
    """Loggers of other libraries and handlers that know nothing of masking get masked records."""
    text, secret = SPOKEN[what]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(told)s", defaults={"told": ""}))
    logging.getLogger().addHandler(handler)
    protect()
    try:
        say_everything(logging.getLogger("urllib3.connectionpool"), text)
    finally:
        logging.getLogger().removeHandler(handler)
    assert secret not in stream.getvalue()
    assert "RuntimeError" in stream.getvalue()


def test_what_is_no_secret_stays_readable() -> None:
    """Ordinary texts are left alone."""
    for text in (
        "Bearer token was refused (401)",
        "basic authentication is off",
        "sites.support.client_secret: missing; env:NAME",
        "https://support.example.com/api/reporting?generate_report=SupportSession&lsids=" + LSID,
        f"session/{LSID} stored as archive/a.xml (1,234 bytes, sha256 {'0a' * 32})",
        "design=1 high=2",
        "mssql+pyodbc://server/db",
    ):
        assert masked(text) == text


_LONG = 1_000_000
ENDLESS = {
    "spaces after authorization": "authorization=" + " " * _LONG,
    "spaces around a colon": "authorization" + " " * _LONG + ":" + " " * _LONG,
    "quotes after authorization": "authorization='" * (_LONG // 15),
    "spaces after bearer": "bearer" + " " * _LONG,
    "spaces after basic": "basic" + " " * _LONG + "basic " * (_LONG // 6),
    "signatures": "sig=" * (_LONG // 4),
    "links": "session_download?" * (_LONG // 17),
    "check values": "h=" * (_LONG // 2) + "h=0" * (_LONG // 3),
    "strings without an end": "'pwd':\"\\" * (_LONG // 8),
    "strings in strings": "'pwd':\"\"pwd\":'" * (_LONG // 14),
    "backslashes": "'pwd':'" + "\\" * _LONG,
    "spaces before an equals sign": "pwd" + " " * _LONG + "=" + "\n" * _LONG,
    "braces without an end": "pwd={;" * (_LONG // 6),
    "doubled braces": "pwd={" + "}}" * (_LONG // 2) + "\n" + "pwd={}};" * (_LONG // 8),
    "keys": "shared_access_" * (_LONG // 14),
    "colons in URLs": "a://x:" * (_LONG // 6),
    "URLs without a password": "a://" * (_LONG // 4),
    "colons": "a://" + ":" * _LONG,
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_long_text_does_not_hang(what: str) -> None:
    """Whatever somebody sends is masked in a time that grows with its length only: quadratic would take hours here."""
    begun = time.process_time()
    masked(ENDLESS[what])
    assert time.process_time() - begun < 5


def test_masking_twice_changes_nothing() -> None:
    """A masked text is a fixed point."""
    for text, _ in SPOKEN.values():
        assert masked(masked(text)) == masked(text)


def test_registered_values_are_masked_longest_first() -> None:
    """A secret that begins with another one leaves no rest, and very short values mask nothing."""
    mask = Mask()
    for value in ("abcd", "abcdefgh", "abc", ""):
        mask.register(value)
    assert mask.masked("abcdefgh abcd abc") == f"{STARS} {STARS} abc"


def test_a_forgotten_value_is_masked_only_while_another_secret_is_the_same() -> None:
    """Tokens come and go: nothing is left of them; what was registered twice has to be forgotten twice."""
    mask = Mask()
    for value in ("token-1", "token-1", "token/2"):
        mask.register(value)
    mask.forget("token/2")
    mask.forget("token-1")
    assert mask.masked("token-1 token/2 token%2F2") == f"{STARS} token/2 token%2F2"
    mask.forget("token-1")
    assert mask.masked("token-1") == "token-1"
    assert not mask._spellings


def test_passwords_within_a_registered_connection_string_are_masked_alone() -> None:
    """A driver's error quotes the password without its key."""
    mask = Mask()
    mask.register("DRIVER=x;UID=me;PWD={tri;}}cky};DATABASE=d")
    mask.register("mssql+pyodbc://me:urlpass@server/db")
    assert mask.masked("Login failed: tri;}cky, urlpass") == f"Login failed: {STARS}, {STARS}"


def test_a_text_line_has_time_level_logger_message_and_extras(tmp_path: Path) -> None:
    """Text: one readable line a record."""
    configure(tmp_path)
    logs.scheduler.info("tick %d", 7, extra={"site": "support", "stored": 3})
    (path,) = tmp_path.glob("scheduler-*.log")
    time, rest = path.read_text("utf-8").strip().split(" ", 1)
    assert rest == "INFO bic.scheduler tick 7 site=support stored=3"
    assert abs(datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds() < 60


def test_a_json_line_is_an_object_with_the_extras(tmp_path: Path) -> None:
    """JSON: one object a record, numbers as numbers, the exception as text."""
    configure(tmp_path, log_format="json")
    logs.transfers.info("stored", extra={"bytes": 12, "seconds": 0.5, "location": "a/ü.xml", "data": ("x",)})
    (path,) = tmp_path.glob("transfers-*.jsonl")
    line = json.loads(path.read_text("utf-8"))
    line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "bic.transfers",
        "message": "stored",
        "bytes": 12,
        "seconds": 0.5,
        "location": "a/ü.xml",
        "data": ["x"],
    }


def test_each_logger_has_its_own_file(tmp_path: Path) -> None:
    """The scheduler's and the transfers' records are apart; configuring again doubles nothing."""
    configure(tmp_path / "old")
    configure(tmp_path / "logs")
    logs.scheduler.info("tick")
    logs.transfers.info("stored")
    assert not (tmp_path / "old").exists()
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "logs").iterdir()) == ["scheduler", "transfers"]
    assert all(path.read_text("utf-8").count("\n") == 1 for path in (tmp_path / "logs").iterdir())


class _Storage(BaseHTTPRequestHandler):
    """As much of a storage account as the SDKs need: containers are made, everything else is not there."""

    def do_GET(self) -> None:
        self.send_response(201 if self.command == "PUT" else 404)
        self.send_header("x-ms-error-code", "BlobNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def test_a_full_pool_of_connections_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A library opens one connection more and goes on: nobody need be told."""
    caplog.set_level(logging.NOTSET, "urllib3.connectionpool")
    configure(None)
    logging.getLogger("urllib3.connectionpool").warning("Connection pool is full, discarding connection")
    assert caplog.records == []


def test_libraries_tell_no_names_of_files(caplog: pytest.LogCaptureFixture) -> None:
    """Where all is logged at INFO, as in the function app, Azure's SDKs do not log the paths of what they read."""
    for name in ("azure", "urllib3"):
        caplog.set_level(logging.NOTSET, name)
    caplog.set_level(logging.INFO)
    configure(None)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Storage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/acct"
        account = f"DefaultEndpointsProtocol=http;AccountName=acct;AccountKey={'k' * 44};"
        blobs = azure_blob.create(connection_string=f"{account}BlobEndpoint={address};", container="archive")
        assert blobs.look(f"{LSID}-Jane Doe.xml") is None
        table = azure_table.create(connection=f"{account}TableEndpoint={address};")
        with pytest.raises(LedgerError):
            table.get("items", "support|2026-11-18", f"sessions|{LSID}")
        server.shutdown()
    assert "Jane" not in caplog.text
    assert LSID not in caplog.text


def record(day: str, message: str = "x") -> logging.LogRecord:
    made = logging.LogRecord("bic.scheduler", logging.INFO, "", 0, message, (), None)
    made.created = datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()
    return made


def test_a_new_day_begins_a_new_file_and_old_ones_go(tmp_path: Path) -> None:
    """A file per UTC day; those older than keep_days are removed, files of others never."""
    for name in ("scheduler-2026-01-01.log", "scheduler-2026-01-08.jsonl", "transfers-2026-01-01.log", "scheduler-notes.log"):
        (tmp_path / name).write_text("old")
    handler = DailyFile(tmp_path, "scheduler", keep_days=2, log_format="text")
    for day in ("2026-01-10", "2026-01-10", "2026-01-11"):
        handler.handle(record(day))
    handler.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "scheduler-2026-01-10.log",
        "scheduler-2026-01-11.log",
        "scheduler-notes.log",
        "transfers-2026-01-01.log",
    ]
    assert (tmp_path / "scheduler-2026-01-10.log").read_text("utf-8").count("\n") == 2


def test_a_log_that_can_not_be_written_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many records of both logs are lost, it is one line on standard error, and the caller goes on."""
    (tmp_path / "file").write_text("")
    configure(tmp_path / "file")
    for _ in range(3):
        logs.transfers.info("stored with %s", REGISTERED)
        logs.scheduler.info("tick")
    (told,) = capsys.readouterr().err.splitlines()
    assert told == f"bic: no log can be written in {tmp_path / 'file'} (File exists); the work goes on without."


@pytest.mark.skipif(sys.platform == "win32", reason="files' sizes have no limit there")
def test_a_full_disk_costs_a_line_and_the_log_says_what_is_missing(tmp_path: Path) -> None:
    """Where a disk takes half a record and no more: one line is told; once there is room, the log names the gap."""
    program = f"""
import logging, resource
from bic_lib import logs
logs.configure(__import__("pathlib").Path({str(tmp_path)!r}))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
logs.transfers.info("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))
for n in range(5):
    logs.transfers.info("lost %d", n)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
logs.transfers.info("after")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stderr.splitlines()) == 1
    assert "no log can be written" in done.stderr
    (path,) = tmp_path.glob("transfers-*.log")
    lines = path.read_text("utf-8").splitlines()
    told = [line.partition("bic.transfers ")[2] for line in lines]
    assert told[0] == "before"
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [A-Z]+ bic", line) for line in lines[-2:])
    assert told[-2:] == ["5 records are missing here: the log could not be written", "after"]
    assert len(told) <= 4


def test_without_a_directory_no_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No [logs] section: the loggers still speak to whoever listens, and no file appears."""
    monkeypatch.chdir(tmp_path)
    configure(None)
    logs.transfers.info("stored")
    assert list(tmp_path.iterdir()) == []
    assert logs.transfers.isEnabledFor(logging.INFO)
