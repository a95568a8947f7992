"""The heartbeat: a URL that is asked once a minute and ledger while all is well, so that somebody else notices silence.

Well is what `bic health` calls well or merely doubts, while no work waits for a worker (:mod:`bic_lib.engine.waiting`). While it
is not, the other URL is asked, where one is named. That a URL can't be asked is a line in the log and a note.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bic_lib.core import azure_hosts
from bic_lib.core.errors import sentence
from bic_lib.core.health import Severity
from bic_lib.credentials.references import References, Unresolved
from bic_lib.engine import health
from bic_lib.engine.app import App
from bic_lib.engine.waiting import without_worker
from bic_lib.ledger.notices import Notices
from bic_lib.masking import shown
from bic_lib.notices import secret_urls
from bic_lib.notices.notify import Unsent
from bic_lib.settings import access

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings
    from bic_lib.settings.model import HeartbeatSettings

_EVERY_SECONDS = 55.0
"""A minute, less what ticks come early or late: of two hosts one beats, and no minute is left out."""
_SECONDS = 5.0
"""For one beat, all told (docs/design.md 5)."""
_WITHHOLD_NOTHING = {Severity.NOTE, Severity.DOUBTFUL}
"""A doubt waits for a person's look, for days perhaps; silence is told at once."""
_THREAD = "bic-heartbeat"

log = logging.getLogger("bic.scheduler")


def create(settings: Settings, environ: Mapping[str, str] | None = None) -> Heartbeat | None:
    """The heartbeat that the settings name, None where they name none. References are resolved when it is sent."""
    named = settings.notifications.heartbeat
    return Heartbeat(named, access.references(settings, environ)) if named else None


class Heartbeat:
    """Sends it."""

    name = "heartbeat"

    def __init__(self, settings: HeartbeatSettings, references: References) -> None:
        self._settings, self._references = settings, references

    def beat(self, app: App) -> None:
        """To be called after each tick, and after what a tick made due where it is done at once. Raises LedgerError."""
        notices = Notices(app.ledger.store)
        row = notices.may_beat(notices.read().heartbeat, app.ledger.now(), _EVERY_SECONDS)
        if row is None:
            return
        try:
            self.send(app)
        except Unsent as error:
            log.warning("%s", error)
            notices.beaten(row, row.body.get("failed") or row.body["at"], sentence(str(error)))
        else:
            notices.beaten(row, None, "")

    def send(self, app: App) -> str:
        """Ask the URL that is due now; returns what was done. Raises Unsent, LedgerError."""
        known = health.read(app)
        severities = {trouble.severity for trouble in health.reckon(app, known).troubles} - _WITHHOLD_NOTHING
        ill = [f"health is ill ({min(severities, key=lambda one: one.rank)})"] if severities else []
        wrong = [*ill, *(f"{one} waits for a worker" for one in without_worker(app, known))]
        if not wrong:
            self._ask(self._settings.url)
            return "all is well: url was asked"
        if self._settings.url_failing is None:
            return f"{wrong[0]}: nothing was asked, since no url_failing is named"
        self._ask(self._settings.url_failing)
        return f"{wrong[0]}: url_failing was asked"

    def _ask(self, reference: str) -> None:
        try:
            url = secret_urls.read(self._references, reference)
        except Unresolved as error:
            raise Unsent(f"heartbeat: {error.message}", hint=error.hint) from error
        if not _is_guarded(url):
            raise Unsent(f"heartbeat: {reference} is no https URL.", hint="Plain http is asked on this machine only.")
        try:
            status = _status(url)
        except _Unanswered as error:
            raise Unsent(f"heartbeat: {reference}: {sentence(str(error))}") from error
        if not 200 <= status < 300:
            raise Unsent(f"heartbeat: {reference} answered {status}.")


class _Unanswered(Exception):
    """Nothing answered. Says why, masked and escaped."""


def _is_guarded(url: str) -> bool:
    """It holds a secret, so nobody on the way may read it."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in azure_hosts.LOOPBACK)
        )
    except ValueError:
        return False


def _status(url: str) -> int:
    """What the URL answers, in a thread of its own, since neither a name's look-up nor a dripping head has an end by itself."""
    if any(thread.name == _THREAD for thread in threading.enumerate()):
        raise _Unanswered("the beat before this one is still not answered")
    said: queue.SimpleQueue[int | str] = queue.SimpleQueue()
    thread = threading.Thread(target=_ask, args=(url, said), name=_THREAD, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    try:
        answer = said.get_nowait()
    except queue.Empty:
        raise _Unanswered(f"not answered within {_SECONDS:.0f} s") from None
    if isinstance(answer, str):
        raise _Unanswered(answer)
    return answer


def _ask(url: str, said: queue.SimpleQueue[int | str]) -> None:
    import requests  # noqa: PLC0415  # only where there is a heartbeat

    from bic_lib.network.gateways import wants_login  # noqa: PLC0415
    from bic_lib.network.unanswered import Party, unanswered  # noqa: PLC0415

    party = Party("the service", url, "its URL")
    try:
        with requests.get(url, timeout=_SECONDS, allow_redirects=False, stream=True) as response:
            found = wants_login(party, response)
            said.put(f"{found.what}. {found.hint}" if found else response.status_code)
    except (requests.RequestException, OSError, ValueError) as error:  # urllib3 raises its own ValueErrors for odd URLs
        why = unanswered(party, error)
        said.put(shown(f"{why.what}. {why.hint}"))
