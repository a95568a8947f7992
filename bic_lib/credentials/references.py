"""`env:NAME` and `keyvault:…` → values. The settings file holds references; values live only in memory, behind stars.

What could not be resolved fails its own site or destination at run time, by name (docs/design.md 6): :class:`Unresolved`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from bic_lib.core.errors import BicError
from bic_lib.core.miscopied import NEVER_AROUND, miscopied
from bic_lib.masking import STARS, mask

ENVIRONMENT = "env:"
KEY_VAULT = "keyvault:"
APP_SERVICE = "@Microsoft.KeyVault("
"""How the Functions platform marks a reference of its own; where a value still begins so, the platform did not resolve it."""

_VARIABLE = re.compile(r"[^\s={}\"'$%]+")
_SECRET_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_SECRET_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/secrets/[0-9A-Za-z-]{1,127}(/[0-9a-zA-Z]+)?/?")


class Unresolved(BicError):
    """A reference has no value: the variable is unset, the vault refused. Names the reference, never a value."""


class Secret:
    """A value that prints as stars; :meth:`reveal` hands it out, where it is sent and nowhere else."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return STARS

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(STARS, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("A secret is not written down.")


def is_reference(text: str) -> bool:
    return text.startswith((ENVIRONMENT, KEY_VAULT))


def fault(reference: str) -> str | None:
    """Why this is not a well-formed reference, and what would be right; None when it is one. Never quotes it."""
    kind, _, name = reference.partition(":")
    match f"{kind}:":
        case "env:" if not _VARIABLE.fullmatch(name):
            return "names no environment variable; env:NAME"
        case "keyvault:" if not (_SECRET_NAME.fullmatch(name) or _SECRET_URL.fullmatch(name)):
            return "names no vault secret; keyvault:NAME (letters, digits, -) or keyvault:https://VAULT/secrets/NAME"
        case "env:" | "keyvault:":
            return None
    if reference.startswith(APP_SERVICE):
        return "is a reference of the Functions platform, which is resolved in app settings only; keyvault:NAME"
    return "is a secret written out; put it into the environment or a vault, and env:NAME or keyvault:NAME here"


Read = Callable[[str], str]
"""The value of a vault's secret, by its name or URL. It may raise any :class:`BicError`."""


class References:
    """Resolves what the settings refer to. `again` are further ways to read from the vault, for credentials that were refused."""

    def __init__(self, environ: Mapping[str, str], vault: Read | None = None, again: Sequence[Read] = ()) -> None:
        self._environ = environ
        self._vault = vault
        self._again = again

    def anew(self) -> Iterator[References]:
        """What a refused credential may be by now: read again past all caches; then as it was before it was last changed."""
        return (References(self._environ, read) for read in self._again or (self._vault,))

    def text(self, value: str) -> str:
        """The value of a reference, or the plain text itself. For what is no secret (`client_id`). Raises :class:`Unresolved`."""
        if not is_reference(value):
            return value
        found = self._variable(value.removeprefix(ENVIRONMENT)) if value.startswith(ENVIRONMENT) else self._from_vault(value)
        if found != found.strip(NEVER_AROUND):
            mask.register(found)
            raise Unresolved(f"{value}: the value {miscopied(found)}.", hint="Store it again, without anything around it.")
        return found

    def secret(self, value: str) -> Secret:
        """The same, behind stars and masked in logs from now on. Raises :class:`Unresolved`."""
        resolved = self.text(value)
        mask.register(resolved)
        return Secret(resolved)

    def _variable(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            raise Unresolved(f"env:{name}: the environment variable is not set.", hint=f"Set {name} for this process.")
        if value.startswith(APP_SERVICE):
            raise Unresolved(
                f"env:{name}: the platform did not resolve this app setting's Key Vault reference.",
                hint="Check the identity's role on the vault, or use keyvault:NAME in the settings file.",
            )
        return value

    def _from_vault(self, reference: str) -> str:
        if self._vault is None:
            raise Unresolved(
                f"{reference}: no vault client in this installation.", hint="Use env:NAME, or configure [key_vault]."
            )
        return self._vault(reference.removeprefix(KEY_VAULT))
