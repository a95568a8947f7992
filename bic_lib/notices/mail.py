"""Notices by mail: any SMTP server, by STARTTLS, TLS or in the clear."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from bic_lib.credentials.references import References, Unresolved
from bic_lib.masking import masked, shown
from bic_lib.notices.notify import Unsent
from bic_lib.settings import access
from bic_lib.settings.model import Security, SmtpSettings

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

_TIMEOUT_SECONDS = 20.0
"""A mail server that is silent must not stop the tick; smtplib would wait for ever (docs/overridden-defaults.md)."""


def create(settings: Settings, environ: Mapping[str, str] | None = None) -> Mailer | None:
    """The mailer that the settings describe, None when they name no mail server. References are resolved when a mail is sent."""
    smtp = settings.notifications.smtp
    return Mailer(smtp, access.references(settings, environ)) if smtp else None


class Mailer:
    """The Notifier port by SMTP; a connection per mail. Certificates are checked against the system's authorities."""

    name = "mail"

    def __init__(self, settings: SmtpSettings, references: References) -> None:
        self.settings = settings
        self._references = references

    def send(self, subject: str, text: str) -> Sequence[str]:
        """As the port says. Raises Unsent, with what the server said."""
        settings = self.settings
        where = f"mail server {settings.host}:{settings.effective_port}"
        try:
            with self._connect() as server:
                if settings.security is Security.STARTTLS:
                    server.starttls(context=ssl.create_default_context())
                if settings.username is not None and settings.password is not None:
                    username = self._references.text(settings.username)
                    server.login(username, self._references.secret(settings.password).reveal())
                return sorted(server.send_message(self._message(subject, text)))
        except Unresolved as error:
            raise Unsent(f"notifications.smtp: {error.message}", hint=error.hint) from error
        except (smtplib.SMTPException, OSError) as error:
            said, hint = _said(error, settings)
            raise Unsent(f"{where}: {masked(said)}.", hint=hint) from error

    def _connect(self) -> smtplib.SMTP:
        host, port = self.settings.host, self.settings.effective_port
        if self.settings.security is Security.TLS:
            return smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context())
        return smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)

    def _message(self, subject: str, text: str) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = shown(" ".join(subject.split()))
        message["From"] = self.settings.sender
        message["To"] = ", ".join(self.settings.to)
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid("bic", domain=self.settings.sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content("\n".join(map(shown, text.split("\n"))))
        return message


def _said(error: Exception, settings: SmtpSettings) -> tuple[str, str]:
    """What the server answered, where it answered; else what happened. And what to do."""
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            return "; ".join(f"{address}: {_answer(*answer)}" for address, answer in refused.items()), _ADDRESSES
        case smtplib.SMTPAuthenticationError(smtp_code=code, smtp_error=text):
            return _answer(code, text), "Look at username and password in [notifications.smtp]."
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=text):
            return _answer(code, text), _ADDRESSES if isinstance(error, smtplib.SMTPSenderRefused) else _look(settings)
        case smtplib.SMTPException() if not isinstance(error.__context__, ssl.SSLError):
            return str(error) or type(error).__name__, _look(settings)
    return _unanswered(error.__context__ if isinstance(error, smtplib.SMTPException) else error, settings)


_ADDRESSES = "Look at `from` and `to` in [notifications.smtp]."


def _look(settings: SmtpSettings) -> str:
    look = f"Look at host, port and security ({settings.security}) in [notifications.smtp]."
    at_once = ' A port that speaks TLS from the first byte (465) wants security = "tls".'
    return look if settings.security is Security.TLS else f"{look}{at_once}"


def _unanswered(error: BaseException | None, settings: SmtpSettings) -> tuple[str, str]:
    from bic_lib.network.unanswered import Party, unanswered  # noqa: PLC0415  # knows libraries that a mail does not need

    url = f"smtp://{settings.host}:{settings.effective_port}"
    found = unanswered(Party("the mail server", url, "host", trusted_by="SSL_CERT_FILE"), error or OSError())
    hint = ' Is it one for STARTTLS (587)? Then security = "starttls".' if found.what.endswith("speaks no TLS") else ""
    return found.what, f"{found.hint}{hint}"


def _answer(code: int, said: bytes | str) -> str:
    return f"{code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
