"""A test of everything by which people are told, each by itself: one that fails keeps no other from being tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bic_lib.core.errors import BicError, SettingsError
from bic_lib.engine.app import App
from bic_lib.notices import heartbeat, ways
from bic_lib.notices.heartbeat import Heartbeat
from bic_lib.notices.mail import Mailer
from bic_lib.notices.notify import Notifier, Unsent

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

_TEXT = "This is the test that was asked for: notices of bic reach you.\n"


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one way: `mail`, `channel env:NAME`, `heartbeat`. `sent_to` and `refused` are addresses of mails."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    sent_to: Sequence[str] = ()
    refused: Sequence[str] = ()


def try_all(make_app: Callable[[], App], settings: Settings, environ: Mapping[str, str] | None = None) -> list[Tried]:
    """Try each way that the settings name; only the heartbeat needs the app. Raises SettingsError when they name none."""
    beat = heartbeat.create(settings, environ)
    found = [*map(_message, ways.create(settings, environ)), *([_beat(make_app, beat)] if beat else [])]
    if not found:
        hint = "[notifications.smtp], [notifications.channels], [notifications.heartbeat]: docs/settings.md tells what they need."
        raise SettingsError("There is nobody to be told in the settings: they have no [notifications].", hint=hint)
    return found


def shown(found: Sequence[Tried]) -> dict[str, Any]:
    """It as JSON values: each way, and the addresses of all mails."""
    return {
        "ways": [{"name": one.name, "ok": one.ok, "detail": one.detail, "hint": one.hint} for one in found],
        "sent_to": [address for one in found for address in one.sent_to],
        "refused": [address for one in found for address in one.refused],
    }


def _message(way: Notifier) -> Tried:
    try:
        refused = way.send("bic: test", _TEXT)
    except Unsent as error:
        return _failed(way.name, error)
    if not isinstance(way, Mailer):
        return Tried(way.name, ok=True, detail="sent")
    sent_to = [address for address in way.settings.to if address not in refused]
    detail = f"sent to {', '.join(sent_to)}" + (f"; the mail server refused {', '.join(refused)}" if refused else "")
    return Tried(way.name, not refused, detail, sent_to=sent_to, refused=refused)


def _beat(make_app: Callable[[], App], beat: Heartbeat) -> Tried:
    """Whoever listens is told how things stand: a test must not look like a well bic that is ill."""
    try:
        return Tried(beat.name, ok=True, detail=beat.send(make_app()))
    except BicError as error:
        return _failed(beat.name, error)


def _failed(name: str, error: BicError) -> Tried:
    return Tried(name, ok=False, detail=error.message.removeprefix(f"{name}: "), hint=error.hint or "")
