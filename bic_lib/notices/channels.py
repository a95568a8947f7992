"""Notices by other services: Teams, Slack, webhooks … through the library Apprise, which knows how each wants to be told.

It is imported when a message is due and not before: it costs a third of a second and tens of megabytes. Of its kinds those may
be used that send by HTTPS or by mail over TLS, as Apprise itself says of them; others (a syslog, a desktop, a chat in the clear)
are refused by name.
"""

from __future__ import annotations

import logging
import smtplib
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from bic_lib.credentials.references import References, Unresolved
from bic_lib.masking import shown
from bic_lib.notices import secret_urls
from bic_lib.notices.notify import Unsent

if TYPE_CHECKING:
    from apprise import NotifyBase, NotifyLogEntry

    from bic_lib.network.unanswered import Unanswered

_SECONDS = 20.0
"""For one message by one channel, all told: a service that drips its answer must not stop the tick."""
_MOST_REASONS = 600
"""Characters of what a service said: its error pages may be long."""
_WARNINGS = frozenset({"WARNING", "ERROR", "CRITICAL"})
_BUILT_ON = ("requests", "smtplib")
"""What a kind sends with that speaks HTTP or SMTP: the library that its module, or that of a kind which it extends, imports."""


_SOME_URL = "https://service.invalid"
"""Stands for that of a question which was never sent: the same proxy is asked for it."""


class Channel:
    """The Notifier port by Apprise: one URL, which is read anew for each message."""

    def __init__(self, reference: str, references: References) -> None:
        self.name = f"channel {reference}"
        self._reference, self._references = reference, references

    def send(self, subject: str, text: str) -> Sequence[str]:
        """As the port says. Raises Unsent, with what Apprise logged."""
        try:
            kind = _kind(secret_urls.read(self._references, self._reference))
        except Unresolved as error:
            raise Unsent(f"{self.name}: {error.message}", hint=error.hint) from error
        except _Unusable as error:
            raise Unsent(f"{self.name}: {error}.", hint="docs/operating.md says which URLs can be used.") from error
        lines = "\n".join(map(shown, text.split("\n")))
        title = shown(" ".join(subject.split()))
        apprise = _library()
        with _Connections(kind) as connections:
            told = apprise.Apprise([kind]).notify(lines, title, body_format="text", timeout=_SECONDS, log_level=logging.DEBUG)
        if not told:
            what, hint = _reason(list(told.logs()), connections)
            raise Unsent(f"{self.name}: {what}", hint=hint or "`bic notify-test` tries each channel.")
        return ()


class _Connections(logging.Filter):
    """What connections raised, by the line that Apprise logs of it: it does so where it has caught it, and tells nobody else."""

    def __init__(self, kind: NotifyBase) -> None:
        super().__init__()
        self._trusted_by = "SSL_CERT_FILE" if _is_built_on(type(kind), ("smtplib",)) else "REQUESTS_CA_BUNDLE"
        self._raised: dict[str, BaseException] = {}

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addFilter(self)
        return self

    def __exit__(self, *_raised: object) -> None:
        logging.getLogger("apprise").removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if error := sys.exc_info()[1]:
            self._raised[record.getMessage()] = error
        return True

    def why(self, line: str) -> Unanswered | None:
        """What is so and what to do, where a line tells of a connection's end that says more than the line."""
        from bic_lib.network.unanswered import Party, of_environment, unanswered  # noqa: PLC0415  # only where something went wrong
        from bic_lib.notices.stepped_in import SteppedIn  # noqa: PLC0415

        error = self._raised.get(line)
        if isinstance(error, SteppedIn):
            return error.found
        told = isinstance(error, OSError) or (error is not None and of_environment(error, _SOME_URL))
        if error is None or not told or isinstance(error, smtplib.SMTPException):
            return None
        asked = getattr(error, "request", None)
        url = _SOME_URL if asked is None else asked.url
        who = "the service" if asked is None else f"the service {urlsplit(url).netloc.rpartition('@')[2]}"
        return unanswered(Party(who, url, "its URL", self._trusted_by), error)


class _Unusable(Exception):
    """A URL that Apprise does not know, or that is sent by a way which is not allowed. Says why, without quoting it."""


def _library() -> Any:
    """Apprise, whose log says nothing by itself: what went wrong is told once, by us."""
    log = logging.getLogger("apprise")
    log.propagate = False
    log.setLevel(logging.DEBUG)  # what a connection said stands there only
    import apprise  # noqa: PLC0415  # costs much, and is needed seldom

    return apprise


def _kind(url: str) -> NotifyBase:
    """Apprise's own object for a URL. Raises _Unusable."""
    apprise = _library()
    parts = apprise.plugins.url_to_dict(url)
    if not parts:
        raise _Unusable("it is no URL that Apprise knows")
    scheme = str(parts["schema"])
    known = apprise.plugins.N_MGR[scheme]
    if scheme not in _several(known.secure_protocol) or not _is_built_on(known, _BUILT_ON):
        raise _Unusable(f"{scheme}:// does not send by HTTPS or by mail over TLS, as Apprise has it")
    kind: NotifyBase | None = apprise.Apprise.instantiate(parts)
    if kind is None:
        raise _Unusable(f"it is no URL of {scheme}:// as Apprise spells them")
    if not kind.verify_certificate or getattr(kind, "secure_mode", None) == "insecure":
        raise _Unusable("it says that whom it talks to is not to be verified")
    from bic_lib.notices.stepped_in import watch  # noqa: PLC0415  # requests is there by now

    kind.redirects = False  # what is told goes to the place that the URL names
    watch(type(kind))
    return kind


def _several(protocols: object) -> Iterable[str]:
    """Apprise gives one, several, or none."""
    return (protocols,) if isinstance(protocols, str) else tuple(protocols) if isinstance(protocols, (tuple, list)) else ()


def _is_built_on(kind: type, libraries: Iterable[str]) -> bool:
    modules = [sys.modules[one.__module__] for one in kind.__mro__]
    return any(hasattr(module, library) for module in modules for library in libraries)


def _reason(entries: Iterable[NotifyLogEntry], connections: _Connections) -> tuple[str, str]:
    """What went wrong and, where that is known, what to do: as the connection failed, or else as Apprise warned."""
    said = [one.message for one in entries if one.level in _WARNINGS or one.message.startswith("Socket Exception")]
    if found := next(filter(None, map(connections.why, said)), None):
        return shown(found.what), shown(found.hint)
    told = shown(" ".join(" ".join(said).split()))
    return told[:_MOST_REASONS] or "the service did not take it, and Apprise does not say why.", ""
