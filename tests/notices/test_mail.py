"""Mails, by real SMTP servers."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as KeepsMessages
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from bic_lib.core.model import Visit
from bic_lib.masking import STARS
from bic_lib.notices import mail
from bic_lib.notices.mail import Mailer
from bic_lib.notices.notify import Unsent, notify, poisoned
from bic_lib.settings import loading
from bic_lib.simulator.certificates import CertificateFiles, make_certificates
from tests.fixtures_servers import free_port
from tests.notices.conftest import World
from tests.support import Bic


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


def _parse(text: str) -> loading.Settings:
    site = '[sites.a]\nhost = "a.example.com"\nclient_id = "x"\nclient_secret = "env:X"\n'
    return loading.parse(site + text, Path(), "test")


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
        with pytest.raises(Unsent, match=r"its certificate is of an authority that is not trusted here.*SSL_CERT_FILE"):
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
    with pytest.raises(Unsent, match=rf"localhost:{port}: the mail server can't be reached: Connection refused.*Check host"):
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
    poisoned(world.ledger, Visit("support"))
    notify(world.app, [server.mailer(server.settings(login=_LOGIN), MAIL_PASSWORD=_PASSWORD)])
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
    told = {"name": "mail", "ok": True, "detail": "sent to ops@example.com, lead@example.com", "hint": ""}
    assert (sent.status, sent.json) == (0, {"ways": [told], "sent_to": ["ops@example.com", "lead@example.com"], "refused": []})
    assert [message["Subject"] for message in server.kept.messages] == ["bic: test"]
    refused = bic("notify-test", MAIL_PASSWORD="wrong-password", **environ)
    assert (refused.status, "wrong-password" in refused.err) == (1, False)


def test_no_line_of_a_mail_is_forged(serve: Callable[..., Server]) -> None:
    """What an appliance or a file name said is shown, and obeyed by no mail program."""
    server = serve("none")
    server.mailer().send("a\nBcc: x@example.com\u202e", "first\nsecond\x1b[31m\u2028\u202ethird")
    (message,) = server.kept.messages
    assert message["Bcc"] is None
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().splitlines() == ["first", r"second\x1b[31m\u2028\u202ethird"]
