"""Notices: what is worth one, and when a mail is due; mails against a real SMTP server."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as KeepsMessages
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from bic_lib import mail, settings
from bic_lib.errors import SettingsError
from bic_lib.ledger import Ledger
from bic_lib.ledger.notices import Cause, Lasts, Notice, Notices
from bic_lib.ledger.records import Record
from bic_lib.ledger.streams import Rest, StreamState
from bic_lib.ledger.work import Queue
from bic_lib.ledgers import sqlite
from bic_lib.logs import STARS
from bic_lib.mail import Mailer
from bic_lib.model import DAY, DataType, Failure, Item, Outcome, ReportKind, Schedule, Site, State, Stream, Transfer
from bic_lib.notify import Mail, Unsent, due_mail, notify, poisoned, send_test, settings_broken, settings_mended
from bic_lib.run import App
from bic_lib.simulator.certificates import CertificateFiles, make_certificates
from bic_lib.steps.job import Uploads
from bic_lib.steps.recordings import recording_step
from tests.fixtures_servers import free_port
from tests.support import Bic

_HOUR = 3_600
_START = 1_790_000_000.0


# --- when a mail is due ----------------------------------------------------------------------------------------------

_SEEN = Notice(Cause("k", "s", "t", 0, Lasts.SEEN), first=0, last=0)
_PATIENT = Notice(Cause("k", "s", "t", 0, Lasts.SEEN, patience=_HOUR), first=0, last=0)
_EVENT = Notice(Cause("k", "s", "t", 0, Lasts.EVENT), first=0, last=0)


@pytest.mark.parametrize(
    ("notice", "now", "due"),
    [
        (_SEEN, 0, Mail.FIRST),
        (_PATIENT, _HOUR - 1, Mail.NONE),
        (_PATIENT, _HOUR, Mail.FIRST),
        (replace(_SEEN, sent=0), DAY - 1, Mail.NONE),
        (replace(_SEEN, sent=0), DAY, Mail.REMINDER),
        (replace(_SEEN, sent=2 * DAY), DAY, Mail.REMINDER),  # the clock went back
        (replace(_SEEN, sent=0, over=5), 5, Mail.ALL_CLEAR),
        (replace(_SEEN, over=5), 5, Mail.FORGET),
        (_EVENT, DAY - 1, Mail.FIRST),
        (_EVENT, DAY, Mail.FORGET),
        (replace(_EVENT, sent=10, last=0), DAY - 1, Mail.NONE),
        (replace(_EVENT, sent=10, last=DAY), DAY + 10, Mail.REMINDER),
        (replace(_EVENT, sent=10, last=DAY), DAY + 9, Mail.NONE),
    ],
)
def test_due_mail(notice: Notice, now: float, due: Mail) -> None:
    """One mail when a cause shows, one a day while it lasts (of an event: when there is news), one when it is over."""
    assert due_mail(notice, now) is due


# --- what is worth a notice ------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """Keeps what it is sent; `broken` refuses all, as an unreachable server does."""

    mails: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False

    def send(self, subject: str, text: str) -> Sequence[str]:
        if self.broken:
            raise Unsent("mail server: connection refused.")
        self.mails.append((subject, text))
        return ()

    def subjects(self) -> list[str]:
        """What came since the last call."""
        found, self.mails = [subject for subject, _ in self.mails], []
        return found


class World:
    """An app with a real ledger whose clock the test moves, one site and one destination."""

    def __init__(self, folder: Path) -> None:
        self.now = _START
        transfer = Transfer("support", "archive", (DataType.SESSIONS, DataType.SESSION_RECORDINGS))
        self.ledger = Ledger(sqlite.create(folder / "ledger.sqlite", clock=lambda: self.now), "test")
        self.app = App(
            {"support": Site("support", "support.example.com")},
            [Schedule("hourly", _HOUR, (transfer,))],
            self.ledger,
            _not_asked,
            _not_asked,
            Uploads(_not_asked, _not_asked),
            ("archive",),
        )
        self.box = Mailbox()

    def tick(self, hours: float = 0.0) -> list[str]:
        """Notices after these hours; the subjects of the mails."""
        self.now += hours * _HOUR
        notify(self.app, self.box)
        return self.box.subjects()

    def fails(self, state: State, lsid: str = "a1", *, next_try: float | None = None, forgotten: float = 30 * DAY) -> Record:
        """A recording that was not delivered; `forgotten` seconds from now the appliance forgets it."""
        item = Item("support", DataType.SESSION_RECORDINGS, lsid, start=int(self.now - DAY))
        outcome = Outcome(state, reason="the file of Zoë O'Neil is broken", failure=Failure.UNEXPECTED)
        record = Record(item, "archive", outcome, attempts=6, first_failed=self.now, last_failed=self.now, next_try=next_try)
        record = replace(record, forgotten_at=self.now + forgotten)
        self.ledger.proof.settle([record])
        return record


def _not_asked(*_names: object) -> Any:
    raise AssertionError("notices ask neither appliances nor destinations")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Everything is well."""
    return World(tmp_path)


def test_nothing_to_tell(world: World) -> None:
    """While all is well nobody is written to, and nothing is kept."""
    assert (world.tick(), world.tick(1), world.tick(24)) == ([], [], [])
    assert Notices(world.ledger.store).read().notices == []


@pytest.mark.parametrize("what", ["site", "destination", "report"])
def test_what_rests_for_an_hour_is_told_once_daily_and_when_it_is_over(world: World, what: str) -> None:
    """A site, a destination, a site's report: nothing in the first hour, one mail, a reminder a day, an all-clear."""

    def rest(rest: Rest) -> None:
        if what == "site":
            world.ledger.streams.rest_site("support", rest, None)
        elif what == "destination":
            world.ledger.streams.rest_destination("archive", rest)
        else:
            claim = world.ledger.streams.claim_reports("support", ReportKind.SUPPORT)
            assert claim
            claim.body = {"rest_until": rest.until, "rest_failures": rest.failures, "rest_since": rest.since, "rest_reason": "x"}
            claim.release()

    rest(Rest(world.now + 60, 1, world.now, "connection refused"))
    assert world.tick(0.9) == []
    assert [subject.split(":")[0] for subject in world.tick(0.2)] == ["bic"]
    assert world.tick(1) == []
    assert [subject.split(":")[0] for subject in world.tick(24)] == ["bic, reminder"]
    rest(Rest())
    assert [subject.split(":")[0] for subject in world.tick(1)] == ["bic, over"]
    assert world.tick(48) == []


def test_two_causes_are_two_mails(world: World) -> None:
    """Each cause has its own mail, with the reason that the site or destination gave."""
    world.ledger.streams.rest_site("support", Rest(world.now, 3, world.now - 2 * _HOUR, "credentials refused"), None)
    world.ledger.streams.rest_destination("archive", Rest(world.now, 3, world.now - 2 * _HOUR, "disk full"))
    notify(world.app, world.box)
    assert {text.rsplit("\n\n", 2)[1] for _, text in world.box.mails} == {"credentials refused", "disk full"}


def test_given_up_items_are_one_mail(world: World) -> None:
    """However many were given up, one mail tells counts and the first day of forgetting, and nothing of any session."""
    for number in range(30):
        world.fails(State.GIVEN_UP, f"lsid{number}")
    notify(world.app, world.box)
    [(subject, text)] = world.box.mails
    assert "support" in subject
    assert "30 × session_recordings to archive" in text
    assert "2026-10-21" in text
    assert not [part for part in ("lsid1", "Zoë", "O'Neil") if part in subject + text]


def test_given_up_items_that_are_delivered_later_are_cleared(world: World) -> None:
    """A retry that succeeds ends the notice with an all-clear."""
    record = world.fails(State.GIVEN_UP)
    assert len(world.tick()) == 1
    world.ledger.proof.settle([replace(record, outcome=Outcome(State.STORED, location="a"))])
    assert world.tick(1) == ["bic, over: transfers from support were given up"]


def test_lost_items_are_told_once(world: World) -> None:
    """What has expired can't be mended: one mail, no daily reminder, no all-clear; a further one is news the next day."""
    world.fails(State.EXPIRED)
    assert world.tick() == ["bic: items of support are lost"]
    assert (world.tick(12), world.tick(13), world.tick(48)) == ([], [], [])
    world.fails(State.EXPIRED, "a2")
    assert world.tick(1) == ["bic: items of support are lost"]


def test_given_up_items_become_lost_ones(world: World) -> None:
    """When the appliance forgets what had been given up, that is told."""
    world.fails(State.GIVEN_UP, forgotten=2 * DAY)
    assert world.tick() == ["bic: transfers from support were given up"]
    assert "bic: items of support are lost" in world.tick(49)


def test_what_waits_and_is_forgotten_soon_is_told(world: World) -> None:
    """A recording that still waits 14 days before the appliance forgets it is told, if it waits for more than an hour."""
    record = replace(world.fails(State.PLANNED), forgotten_at=world.now + 15 * DAY)
    world.ledger.work.plan([recording_step(record, Queue.FRESH, world.now)])
    assert world.tick(2) == []
    assert world.tick(24) == []
    notify(world.app, world.box, world.now + 2 * _HOUR)
    [(subject, text)] = world.box.mails
    assert "wait" in subject
    assert "1 × session_recordings to archive" in text


def test_failed_and_still_tried_counts_as_waiting(world: World) -> None:
    """A transfer that failed and is tried again is no news until it is forgotten soon."""
    world.fails(State.FAILED, next_try=world.now + 100 * DAY, forgotten=20 * DAY)
    assert (world.tick(), world.tick(5 * 24)) == ([], [])
    assert world.tick(2 * 24) == []
    assert world.tick(2) == ["bic: items of support wait and will be forgotten soon"]


def test_stream_that_is_far_behind_is_told(world: World) -> None:
    """What was never even listed can be forgotten too: a stream whose watermark is 80 of 90 days behind."""
    stream = Stream("support", DataType.SESSIONS, "archive")
    world.ledger.streams.write(StreamState(stream, mark=int(world.now - 80 * DAY)))
    assert world.tick() == []
    assert world.tick(2) == ["bic: items of support wait and will be forgotten soon"]


def test_broken_settings_are_told_until_they_are_mended(world: World) -> None:
    """The mail has every problem; the all-clear follows when the file is good again."""
    settings_broken(world.ledger, SettingsError("The settings can't be used: 1 problem.", ("sites.a.host: is missing",)))
    settings_broken(world.ledger, SettingsError("The settings can't be used: 1 problem.", ("sites.a.host: is missing",)))
    notify(world.app, world.box)
    assert [("sites.a.host" in text) for _, text in world.box.mails] == [True]
    assert world.box.subjects() == ["bic: the settings can't be used"]
    settings_mended(world.ledger)
    assert world.tick() == ["bic, over: the settings can't be used"]


def test_poison_messages_are_told(world: World) -> None:
    """Visits that break down: one mail a day, ended by silence a day after the last."""
    poisoned(world.ledger, "support")
    world.now += 60
    poisoned(world.ledger, "support")
    assert world.tick() == ["bic: visits to site support break down"]
    assert [notice.count for notice in Notices(world.ledger.store).read().notices] == [2]
    assert world.tick(25) == []
    assert Notices(world.ledger.store).read().notices == []


def test_unreachable_mail_server_delays_the_mail(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be sent is sent by a later tick, once."""
    settings_broken(world.ledger, SettingsError("x"))
    world.box.broken = True
    assert (world.tick(), world.tick(1)) == ([], [])
    assert "a notice waits" in caplog.text
    world.box.broken = False
    assert (len(world.tick(1)), world.tick(1)) == (1, [])


def test_without_a_notifier_notices_are_kept(world: World) -> None:
    """The dashboard shows them; when a mail server is named later they are sent."""
    poisoned(world.ledger, "support")
    notify(world.app, None)
    assert len(Notices(world.ledger.store).read().notices) == 1
    assert len(world.tick()) == 1


def test_two_ticks_at_once_send_one_mail(world: World, tmp_path: Path) -> None:
    """The mail is noted before it is sent, by a conditional write: whoever comes second leaves it."""
    poisoned(world.ledger, "support")
    other = Notices(sqlite.create(tmp_path / "ledger.sqlite", clock=lambda: world.now))
    [read_before] = other.read().notices
    assert len(world.tick()) == 1
    assert other.mark_sent(read_before, world.now) is None


# --- mails -----------------------------------------------------------------------------------------------------------


class Kept(KeepsMessages):
    """The mails that the server took."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.messages.append(message)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        """Named by aiosmtpd. Refuses one address."""
        if address == "gone@example.com":
            return "550 nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"


_PASSWORD = "correct horse battery"


def _login(_server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: object) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"bic", _PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@dataclass
class Server:
    """A running mail server."""

    security: str
    port: int
    kept: Kept

    def settings(self, to: str = '"ops@example.com", "lead@example.com"', login: str = "", host: str = "localhost") -> str:
        return f"""
[notifications.smtp]
host = "{host}"
port = {self.port}
security = "{self.security}"
from = "bic@example.com"
to = [{to}]
{login}
"""

    def mailer(self, text: str | None = None, **environ: str) -> Mailer:
        made = mail.create(_parse(text or self.settings()), environ)
        assert made
        return made


def _parse(text: str) -> settings.Settings:
    site = '[sites.a]\nhost = "a.example.com"\nclient_id = "x"\nclient_secret = "env:X"\n'
    return settings.parse(site + text, Path(), "test")


_LOGIN = 'username = "bic"\npassword = "env:MAIL_PASSWORD"'


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """An authority of its own, and a certificate for localhost."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve(certificates: CertificateFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Starts mail servers by `security`; the process trusts their authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    controllers: list[Controller] = []

    def start(security: str, *, login: bool = False) -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server)
        how: dict[str, Any] = {"tls": {"ssl_context": context}, "starttls": {"tls_context": context, "require_starttls": True}}
        auth: dict[str, Any] = (
            {"authenticator": _login, "auth_required": True, "auth_require_tls": security == "starttls"} if login else {}
        )
        kept = Kept()
        controllers.append(Controller(kept, hostname="127.0.0.1", port=free_port(), **how.get(security, {}), **auth))
        controllers[-1].start()
        return Server(security, controllers[-1].port, kept)

    yield start
    for controller in controllers:
        controller.stop()


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_mail_arrives(serve: Callable[..., Server], security: str) -> None:
    """By STARTTLS, TLS and in the clear: to everybody, with subject and text as they were."""
    server = serve(security)
    assert server.mailer().send("bic: größer\r\nBcc: x@example.com", "Zeile 1\nLine 2 – done\n") == []
    [message] = server.kept.messages
    assert message["To"] == "ops@example.com, lead@example.com"
    assert message["Bcc"] is None
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"]
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().splitlines() == ["Zeile 1", "Line 2 – done"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # aiosmtpd means STARTTLS; both are tested
@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_login(serve: Callable[..., Server], security: str) -> None:
    """With user name and password by reference; a wrong one is told without the password."""
    server = serve(security, login=True)
    text = server.settings(login=_LOGIN)
    server.mailer(text, MAIL_PASSWORD=_PASSWORD).send("s", "t")
    assert len(server.kept.messages) == 1
    with pytest.raises(Unsent, match=r"localhost:\d+: 535 .*Look at username") as refused:
        server.mailer(text, MAIL_PASSWORD="wrong-password").send("s", "t")
    assert "wrong-password" not in str(refused.value)


def test_unresolved_password_is_named(serve: Callable[..., Server]) -> None:
    """An unset variable is told by its name."""
    server = serve("none")
    with pytest.raises(Unsent, match="env:MAIL_PASSWORD"):
        server.mailer(server.settings(login=_LOGIN)).send("s", "t")


def test_certificates_are_checked(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of an unknown authority, or of another name, is refused, and no mail leaves."""
    servers = [serve("tls"), serve("starttls")]
    monkeypatch.delenv("SSL_CERT_FILE")
    for server in servers:
        with pytest.raises(Unsent, match="certificate was not accepted"):
            server.mailer().send("s", "t")
        assert server.kept.messages == []


def test_a_server_without_starttls_gets_no_mail(serve: Callable[..., Server]) -> None:
    """Asked for STARTTLS, a mail is never sent in the clear instead."""
    server = serve("none")
    server.security = "starttls"
    with pytest.raises(Unsent, match="STARTTLS"):
        server.mailer().send("s", "t")
    assert server.kept.messages == []


def test_nobody_there_is_told() -> None:
    """A port without a server: which, and what to look at."""
    port = free_port()
    with pytest.raises(Unsent, match=rf"localhost:{port}: Connection refused.*host, port and security"):
        Server("none", port, Kept()).mailer().send("s", "t")


def test_refused_recipients(serve: Callable[..., Server]) -> None:
    """One that is refused does not keep the mail from the others; if all are, nothing was sent."""
    server = serve("none")
    assert server.mailer(server.settings('"gone@example.com", "ops@example.com"')).send("s", "t") == ["gone@example.com"]
    assert len(server.kept.messages) == 1
    with pytest.raises(Unsent, match=r"gone@example\.com: 550"):
        server.mailer(server.settings('"gone@example.com"')).send("s", "t")


def test_no_secret_is_mailed(serve: Callable[..., Server]) -> None:
    """Whatever an error text held, the mail has stars."""
    server = serve("none")
    server.mailer().send("Password=hunter2", "sig=abcdefghijklmnop and Password=hunter2")
    [message] = server.kept.messages
    assert "hunter2" not in str(message)
    assert "abcdefghijklmnop" not in str(message)
    assert STARS in str(message)


def test_notice_reaches_the_mailbox(serve: Callable[..., Server], world: World) -> None:
    """From a tick to the server."""
    server = serve("starttls", login=True)
    poisoned(world.ledger, "support")
    notify(world.app, server.mailer(server.settings(login=_LOGIN), MAIL_PASSWORD=_PASSWORD))
    [message] = server.kept.messages
    assert message["Subject"] == "bic: visits to site support break down"


def test_send_test(serve: Callable[..., Server], bic: Bic, certificates: CertificateFiles) -> None:
    """`bic notify-test` sends one mail and says to whom; a server that refuses is status 1, no server named status 2."""
    server = serve("starttls", login=True)
    assert bic("notify-test").status == 2
    file = bic.folder / "bic.toml"
    file.write_text(file.read_text() + server.settings(login=_LOGIN))
    environ = {"SSL_CERT_FILE": str(certificates.ca)}
    sent = bic("notify-test", "--json", MAIL_PASSWORD=_PASSWORD, **environ)
    assert (sent.status, sent.json) == (0, {"sent_to": ["ops@example.com", "lead@example.com"], "refused": []})
    assert [message["Subject"] for message in server.kept.messages] == ["bic: test"]
    refused = bic("notify-test", MAIL_PASSWORD="wrong-password", **environ)
    assert (refused.status, "wrong-password" in refused.err) == (1, False)
    assert send_test(server.mailer(server.settings(login=_LOGIN), MAIL_PASSWORD=_PASSWORD)) == []
