"""The ways by which notices leave, as the settings name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bic_lib.notices import mail
from bic_lib.notices.channels import Channel
from bic_lib.notices.notify import Notifier
from bic_lib.settings import access

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings


def create(settings: Settings, environ: Mapping[str, str] | None = None) -> list[Notifier]:
    """Mail first, then each channel; none where none is named. References are resolved when something is sent."""
    mailer = mail.create(settings, environ)
    named = settings.notifications.channels
    references = access.references(settings, environ)
    channels = [Channel(reference, references) for reference in named.urls] if named else []
    return [*([mailer] if mailer else []), *channels]
