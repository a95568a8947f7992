"""Marks: of what a site or destination was made when it failed, so that a change of its settings or secrets is seen.

A mark lies in the ledger, beside a rest (docs/design.md 13). Who has a copy of the ledger must learn no secret from it. Of what
came out of a vault only the id of its version is in it. For what came out of the environment no place is at hand in which a key
would be safer than these values are, so the key of the HMAC is made of the values themselves, by a slow function (scrypt) with
the mark's own salt: each guess, at all values of the subject together, costs 16 MiB and tens of milliseconds, and equal secrets
give no equal marks. So guessing in bulk is no way to a password of some length; one that is on every list is found.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from bic_lib.core.errors import BicError
from bic_lib.credentials.references import ENVIRONMENT, KEY_VAULT
from bic_lib.settings import access

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings
    from bic_lib.settings.model import Section

_SALT = 16
_LENGTH = 32
"""Hex digits that are kept of each HMAC."""


class Marks:
    """The marks of sites and destinations of these settings, in this environment (None: the process's)."""

    def __init__(self, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._environ = os.environ if environ is None else environ

    def mark(self, subject: str) -> str:
        """What `site NAME` or `destination NAME` is made of now, as it is in use; "" where the settings don't have it."""
        section = self._section(subject)
        if section is None:
            return ""
        salt = secrets.token_hex(_SALT)
        return ".".join((salt, self._own(section, salt), self._vault(section, salt, anew=False)))

    def changed(self, subject: str, mark: str, *, anew: bool) -> bool:
        """It is another one than the mark tells; `anew`: also by what its vault has now, if that answers."""
        section = self._section(subject)
        if section is None or not mark:
            return False
        salt, own, vault = mark.split(".")
        if own != self._own(section, salt):
            return True
        return anew and self._vault(section, salt, anew=True) not in (vault, "")

    def _section(self, subject: str) -> Section | None:
        kind, _, name = subject.partition(" ")
        return (self._settings.sites if kind == "site" else self._settings.destinations).get(name)

    def _own(self, section: Section, salt: str) -> str:
        """Of its settings, of how Azure is entered, of values in the environment, of the file that it names."""
        values = [self._environ.get(reference.removeprefix(ENVIRONMENT), "") for reference in _references(section, ENVIRONMENT)]
        shared = (self._settings.identity, self._settings.key_vault)
        told = [one.model_dump_json() for one in (section, *shared) if one is not None]
        return _hmac(values, [*told, self._authority(section)], salt)

    def _authority(self, section: Section) -> str:
        """A file of authorities that was put there, or replaced."""
        ca_file = getattr(section, "ca_file", None)
        if not ca_file:
            return ""
        try:
            found = self._settings.path(ca_file).stat()
        except OSError:
            return ""
        return f"{found.st_size} {found.st_mtime_ns}"

    def _vault(self, section: Section, salt: str, *, anew: bool) -> str:
        """Of the versions of its secrets; "" when they can't be told now."""
        named = [reference.removeprefix(KEY_VAULT) for reference in _references(section, KEY_VAULT)]
        if not named:
            return ""
        try:
            vault = access.vault(self._settings, self._environ)
            versions = [vault.version(name, anew=anew) for name in named]
        except BicError:
            return ""
        return _hmac((), versions, salt)


def _references(section: Section, kind: str) -> list[str]:
    return [value for _, value in section if isinstance(value, str) and value.startswith(kind)]


def _hmac(hidden: Sequence[str], told: Sequence[str], salt: str) -> str:
    key = _slow_key(json.dumps(hidden), salt) if hidden else salt.encode()
    return hmac.new(key, json.dumps(told).encode(), "sha256").hexdigest()[:_LENGTH]


@lru_cache(1024)
def _slow_key(hidden: str, salt: str) -> bytes:
    """Kept, since a tick asks each minute for the same; the values are in this process's memory anyway."""
    return hashlib.scrypt(hidden.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=32)
