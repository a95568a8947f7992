"""The key of `bic serve`: whoever has it may see and do all, so there is one on loopback too, where any program could ask."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bic_lib.core.errors import UsageError
from bic_lib.credentials.references import Unresolved
from bic_lib.logs import mask
from bic_lib.settings import access
from bic_lib.settings.model import SqliteLedger

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

PAGE_KEY = "BIC_PAGE_KEY"
"""The environment variable with the key, plain or as a reference."""
SHORTEST_KEY = 20
"""Characters of a key that nobody finds by trying (docs/design.md 15)."""


def page_key(settings: Settings, environ: Mapping[str, str]) -> tuple[str, bool]:
    """The key, masked in logs from now on, and whether it is our own: made at the first start and kept beside the ledger.

    Raises UsageError for one that is too short or can't be had.
    """
    given = environ.get(PAGE_KEY, "")
    if not given:
        key = _kept(_file(settings))
        mask.register(key)
        return key, True
    try:
        key = access.references(settings, environ).secret(given).reveal()
    except Unresolved as error:
        raise UsageError(f"serve: {PAGE_KEY}: {error.message}", hint=error.hint) from error
    if len(key) < SHORTEST_KEY:
        raise UsageError(f"serve: {PAGE_KEY} is too short to be a key", hint=f"Take {SHORTEST_KEY} random characters or more.")
    return key, False


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
