"""What appliances' texts mean, as data (docs/appliance.md 8.2, 5.3): those that are known everywhere, and a site's own."""

from __future__ import annotations

from dataclasses import dataclass

_NOTHING_FOUND = (
    "matching your chosen criteria",
    "given search criteria",
    "correspondant à vos critères n’est disponible",  # a French site (8.2)
    "correspondant à vos critères n'est disponible",
)
_REFUSED = (
    "permission",
    "not authorized",
    "not authorised",
    "access denied",
    "login failed",
    "invalid credentials",
    "api is disabled",
    "api is not enabled",
)
_EXPIRED = ("recording has expired", "no longer be viewed", "enregistrement a expiré")
"""Final, so it has to speak of the recording: a session, a token or a licence expires too."""
_NOT_READY = (
    "not yet",
    "available yet",
    "being prepared",
    "being processed",
    "still processing",
    "n'est pas encore",
    "n’est pas encore",
)
_NONE = ("no recording is available", "session was not recorded", "aucun enregistrement")
"""Final likewise."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Parts of texts by what they mean at one site, in addition to the known ones.

    They are looked for without regard to case and white space. A text that holds a known refusal is one, whatever else it holds.
    """

    nothing_found: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    not_ready: tuple[str, ...] = ()
    none: tuple[str, ...] = ()

    def is_refusal(self, text: str) -> bool:
        """The account may not do this."""
        return _says(text, _REFUSED)

    def is_nothing_found(self, text: str) -> bool:
        """It only says that no session matches (docs/appliance.md 2.5)."""
        return not self.is_refusal(text) and _says(text, (*_NOTHING_FOUND, *self.nothing_found))

    def is_expired(self, text: str) -> bool:
        """The recording is gone for good."""
        return _says(text, (*_EXPIRED, *self.expired))

    def is_not_ready(self, text: str) -> bool:
        """The recording is still being made."""
        return _says(text, (*_NOT_READY, *self.not_ready))

    def is_none(self, text: str) -> bool:
        """There never was a recording."""
        return _says(text, (*_NONE, *self.none))


KNOWN = Texts()
"""What is known of every site."""


def same(one: str, other: str) -> bool:
    """Whether two texts are the same, but for case and white space."""
    return _plain(one) == _plain(other)


def _says(text: str, parts: tuple[str, ...]) -> bool:
    plain = _plain(text)
    return any(_plain(part) in plain for part in parts)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
