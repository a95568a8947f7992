"""The simulated appliance: one object that serves, whose time tests move, and that knows the truth."""

import json
import math
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Self

from bic_lib.simulator.accounts import Account
from bic_lib.simulator.answers import Answer, Refusal, json_answer, replacement
from bic_lib.simulator.certificates import make_certificates
from bic_lib.simulator.clock import ApplianceClock
from bic_lib.simulator.commands import Backups, BackupTruth, command
from bic_lib.simulator.faults import Fault, Faults
from bic_lib.simulator.markup import Links
from bic_lib.simulator.population import Kind, Profile, SessionTruth
from bic_lib.simulator.recordings import digest, usual_size
from bic_lib.simulator.register import Register
from bic_lib.simulator.reporting import Reporting, recording_name
from bic_lib.simulator.server import Answered, ApplianceServer, Asked, Request

_SUBJECTS = {"/oauth2/token": "token", "/api/command": "command", "/api/backup": "backup", "/check_health": "health"}


class Simulator:
    """A Remote Support appliance on `https://localhost:PORT`, for tests, benchmarks and a first look.

    `with Simulator(Profile(sessions=200), faults=Faults()) as sim:` serves until the end of the block. Certificates are
    written into `directory` (None: a temporary one, removed at the end); clients trust `ca_file`. Port 0: a free one,
    kept when it is started again. `clock` is the true time in Unix seconds, `advance` moves it.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
        directory: Path | str | None = None,
        port: int = 0,
    ) -> None:
        self.profile = profile or Profile()
        self.faults = faults or Faults()
        self._clock = ApplianceClock(clock, self.faults.clock_offset)
        self._register = Register(self.profile, self.faults, self._clock)
        self._reporting = Reporting(self._register, self.faults, self.profile.padding_bytes)
        self._backups = Backups(self.faults)
        self._account = Account(self.profile.seed, self.faults, self._clock.true)
        folder = Path(directory or tempfile.mkdtemp(prefix="simulated-appliance-"))
        folder.mkdir(parents=True, exist_ok=True)
        self._remove = None if directory else weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._certificates = make_certificates(folder)
        self._port = port
        self._server: ApplianceServer | None = None
        self._thread: threading.Thread | None = None
        self._earlier_requests: list[Request] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()
        if self._remove:
            self._remove()

    def start(self) -> None:
        """Serve; OSError when the port is taken."""
        server = ApplianceServer(self._port, self._certificates.server, self._answer, self._register.moment, self.faults)
        self._port = server.server_port
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Break off all connections; what the appliance knows stays, and it can be started again."""
        if self._server is None or self._thread is None:
            return
        self._server.stop()
        self._thread.join()
        self._earlier_requests += self._server.requests
        self._server = self._thread = None

    @property
    def host(self) -> str:
        """`localhost:PORT`, as a site's `host` setting."""
        return f"localhost:{self._port}"

    @property
    def ca_file(self) -> Path:
        """The authority's certificate (PEM) that a client has to trust."""
        return self._certificates.ca

    @property
    def client_id(self) -> str:
        """The API account's client id; the same for the same seed."""
        return self._account.client_id

    @property
    def client_secret(self) -> str:
        """The API account's secret as it is now; at first the same for the same seed."""
        return self._account.client_secret

    @property
    def requests(self) -> list[Request]:
        """The newest requests in the order of their arrival, a copy."""
        return self._earlier_requests + (self._server.requests if self._server else [])

    @property
    def backups(self) -> list[BackupTruth]:
        """All backups made so far, a copy."""
        return self._backups.made

    def now(self) -> float:
        """What the appliance's clock shows, Unix seconds."""
        return self._register.moment().shown

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass: sessions begin, end and break off, tokens and limits run out."""
        self._clock.advance(seconds)

    def set_secret(self, secret: str) -> None:
        """Regenerate the account's secret, which ends all its tokens (docs/appliance.md 1.10)."""
        self._account.set_secret(secret)

    def invalidate_tokens(self) -> None:
        """End all tokens of the account."""
        self._account.invalidate_tokens()

    def change_session(self, lsid: str) -> None:
        """Add a late note and survey to an ended session: its document changes."""
        self._register.change(lsid)

    def sessions(self, kind: Kind = "support") -> Iterator[SessionTruth]:
        """The truth of all sessions that the reports know now, oldest start first."""
        return self._register.select(kind, "start", -math.inf, math.inf, self._register.moment())

    def session(self, lsid: str, kind: Kind = "support") -> SessionTruth:
        """The truth of one session now; KeyError when the reports do not know it."""
        truth = self._register.find(kind, lsid, self._register.moment())
        if truth is None:
            raise KeyError(lsid)
        return truth

    def session_xml(self, lsid: str, kind: Kind = "support") -> bytes:
        """The record element as it is served now, but for the check values of its links; KeyError when unknown."""
        return self._reporting.session_xml(self.session(lsid, kind), Links())

    def recording_bytes_digest(self, data: str, lsid: str, instance: int = 0) -> tuple[int, str]:
        """Size and SHA-256 (hexadecimal) of a recording as it is served without `recording_variation`.

        `data` is the data type: `session_recordings`, `command_shell_recordings`, `show_my_screen_recordings` or
        `presentation_recordings`.
        """
        how = self.faults.recording_of(lsid, instance)
        name = recording_name(data, lsid, instance)
        return digest(name, how.format, usual_size(name) if how.size is None else how.size)

    def _answer(self, asked: Asked) -> Answered:
        subject = _SUBJECTS.get(asked.path, asked.params.get("generate_report", "reports"))
        fault = self.faults.take(subject)
        if fault is not None and fault.replaces:
            if fault.status == 401:
                self._account.invalidate_tokens()
            return Answered(replacement(fault, self.faults))
        try:
            answered = self._usual_answer(asked)
        except Refusal as refusal:
            answered = Answered(refusal.answer)
        return answered if fault is None else replace(answered, answer=_disturbed(answered.answer, fault))

    def _usual_answer(self, asked: Asked) -> Answered:
        match asked.path:
            case "/check_health":
                return Answered(Answer(body=[b"OK\n"], content_type="text/plain"))
            case "/oauth2/token" if asked.method == "POST":
                return Answered(self._token(asked))
            case "/oauth2/token":
                return Answered(_plain_error(405, "method_not_allowed"))
            case "/api/reporting" | "/api/command" | "/api/backup" if asked.method in ("GET", "POST"):
                return self._authorized_answer(asked)
            case "/api/reporting" | "/api/command" | "/api/backup":
                return Answered(_plain_error(405, "method_not_allowed"))
        return Answered(_plain_error(404, "not_found"))

    def _token(self, asked: Asked) -> Answer:
        body = dict(asked.params)
        if asked.headers.get("content-type", "").startswith("application/json"):
            try:
                given = json.loads(asked.body)
            except ValueError:
                return _plain_error(400, "invalid_request")
            body = {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
        return self._account.issue(asked.headers.get("authorization", ""), body)

    def _authorized_answer(self, asked: Asked) -> Answered:
        token_index = self._account.authorize(asked.headers.get("authorization", ""))
        try:
            limits = self._account.count()
            answer = self._api_answer(asked)
        except Refusal as refusal:
            return Answered(refusal.answer, token_index)
        return Answered(replace(answer, headers={**answer.headers, **limits}), token_index)

    def _api_answer(self, asked: Asked) -> Answer:
        if asked.path == "/api/reporting":
            return self._reporting.answer(asked.params, asked.moment, self._account.permit)
        if asked.path == "/api/command":
            self._account.permit("perm_command", "command")
            return command(asked.params, asked.moment, self.faults)
        self._account.permit("perm_backup")
        return self._backups.answer(asked.body, asked.moment)


def _plain_error(status: int, words: str) -> Answer:
    return json_answer(status, {"error": words, "message": words.replace("_", " ").capitalize() + "."})


def _disturbed(answer: Answer, fault: Fault) -> Answer:
    return replace(
        answer,
        body=_without_end(answer.body, fault) if fault.white_space or fault.endless else answer.body,
        cut_after=answer.cut_after if fault.cut_after is None else fault.cut_after,
        bytes_per_second=fault.bytes_per_second,
        chunk_delay=fault.chunk_delay,
        first_byte_delay=max(fault.first_byte_delay, answer.first_byte_delay),
        head_bytes_per_second=fault.head_bytes_per_second,
    )


def _without_end(body: Iterable[bytes], fault: Fault) -> Iterator[bytes]:
    """A report's beginning and white space, or its last record again and again, until the client goes."""
    parts = iter(body)
    yield next(parts)
    records = [] if fault.white_space else list(parts)[:-1]
    yield from records
    yield from repeat(b" " if fault.white_space else records[-1])
