"""The keys of the pages. `bic serve` always has one, on loopback too, where any program could ask; the function app may."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bic_lib.core.errors import UsageError
from bic_lib.credentials.references import Unresolved
from bic_lib.masking import mask
from bic_lib.settings import access
from bic_lib.settings.model import SqliteLedger
from bic_lib.web.guard import Keys, NoPages

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

PAGE_KEY = "BIC_PAGE_KEY"
"""The environment variable with the key that may do all, plain or as a reference."""
VIEW_KEY = "BIC_VIEW_KEY"
"""The one with the key for reading only."""
ENTRA, SIGN_IN = "BIC_ENTRA", "WEBSITE_AUTH_ENABLED"
"""Ours and the platform's: only with both does who signed in by Entra ID count."""
SHORTEST_KEY = 20
"""Characters of a key that nobody finds by trying (docs/design.md 15)."""


def serve_keys(settings: Settings, environ: Mapping[str, str]) -> tuple[Keys, bool]:
    """Of one machine, masked in logs from now on, and whether the page key is our own: made at the first start and kept beside
    the ledger. Raises UsageError for one that is too short or can't be had.
    """
    given = _given(PAGE_KEY, settings, environ)
    key = given or _kept(_file(settings))
    mask.register(key)
    return Keys(key, _viewer(key, settings, environ)), not given


def app_keys(settings: Settings, environ: Mapping[str, str]) -> Keys:
    """Of the function app. Raises UsageError where there is none, or one that is no good."""
    key = _given(PAGE_KEY, settings, environ)
    if not key:
        raise NoPages(f"{PAGE_KEY} is not set: there are no pages", hint="Set it to a reference: keyvault:NAME.")
    entra = environ.get(SIGN_IN, "").lower() == "true" and environ.get(ENTRA, "").lower() == "on"
    return Keys(key, _viewer(key, settings, environ), entra)


def _viewer(key: str, settings: Settings, environ: Mapping[str, str]) -> str:
    viewer = _given(VIEW_KEY, settings, environ)
    if viewer == key:
        raise UsageError(f"{VIEW_KEY} is the same as {PAGE_KEY}: whoever reads could do all", hint="Take another one.")
    return viewer


def _given(name: str, settings: Settings, environ: Mapping[str, str]) -> str:
    """The key that this variable means, "" where it is not set."""
    if not (given := environ.get(name, "")):
        return ""
    try:
        key = access.references(settings, environ).secret(given).reveal()
    except Unresolved as error:
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from error
    if len(key) < SHORTEST_KEY:
        raise UsageError(f"{name} is too short to be a key", hint=f"Take {SHORTEST_KEY} random characters or more.")
    return key


def _file(settings: Settings) -> Path:
    ledger = settings.ledger
    return settings.path(f"{ledger.path}.key" if isinstance(ledger, SqliteLedger) else f"{ledger.prefix}-ledger.key")


def _kept(file: Path) -> str:
    """The key in this file, its owner's only; made when there is none."""
    try:
        if not file.exists():
            _make(file)
        file.chmod(0o600)
        key = file.read_text("utf-8", errors="replace").strip()
    except OSError as error:
        hint = f"Let this user write there, or set {PAGE_KEY}."
        raise UsageError(f"serve: the pages' key can't be kept in {file}: {error.strerror}", hint=hint) from error
    if len(key) < SHORTEST_KEY or not key.isascii():
        raise UsageError(f"serve: what {file} holds is no key", hint="Remove the file: a new key is made.")
    return key


def _make(file: Path) -> None:
    """Whole at once, so that of two first starts both find one and the same key."""
    made = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with open(made, "x", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as new:
        new.write(secrets.token_urlsafe(24))
    try:
        os.link(made, file)
    except FileExistsError:
        return  # the other was faster
    finally:
        made.unlink()
