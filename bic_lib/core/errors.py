"""Everything that can go wrong, as a tree by what to do next.

::

    BicError
    ├── SettingsError        the user mends the settings; nothing runs                       (exit status 2)
    ├── UsageError           the user mends the call                                         (exit status 2)
    ├── LedgerError          nothing can be promised: stop, try later
    ├── Unsupported          this kind of destination has no way to do that: it is named, and not tried again
    ├── ClaimLost            somebody else holds the work now: stop before the next publish
    ├── SiteError            pause the site; costs items no attempts
    │   ├── Overtaxed        ... it failed over a question: the next one is smaller
    │   └── Refused          ... credentials not accepted, or only a right is missing: then just what needs it pauses
    ├── DestinationError     pause the destination; costs items no attempts
    │   └── NotAdmitted      ... it does not accept our credentials: they are read again once
    └── ItemError            one item (or one report) failed; `failure` says when to try again
        ├── Interrupted      cut off, timed out, 5xx: the same again, soon
        │   └── Untold       ... or nobody can tell, since the answers do not say where they end
        ├── NotReady         the appliance is still preparing it
        ├── Gone             expired or never there: final
        ├── TooOften         a backup too many: the next schedule's
        └── Unexpected       malformed, refused value: a few times, then given up
            └── UnknownText  ... or a text of the appliance's own that nobody knows

Vendor exceptions (requests, SQLAlchemy, OS, ...) are translated at the adapter's edge, with the cause chained.
"""

from __future__ import annotations

from typing import Literal

from bic_lib.core.escaping import escaped
from bic_lib.core.model import Failure


def sentence(text: str) -> str:
    """A text with the end of a sentence, so that another may follow."""
    return text if text.endswith((".", "!", "?", "…", ":")) else f"{text}."


class BicError(Exception):
    """A failure that a person can act on: what failed, on what, why (`message`) and what to do (`hint`), each in one line."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        message, hint = escaped(message), escaped(hint)
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{sentence(self.message)} {self.hint}" if self.hint else self.message


class SettingsError(BicError):
    """The settings can't be used. `problems` lists every one, each with its path in the file."""

    def __init__(self, message: str, problems: tuple[str, ...] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(map(escaped, problems))

    def __str__(self) -> str:
        return " ".join((super().__str__(), "; ".join(self.problems))).strip()


class UsageError(BicError):
    """The call can't be carried out as it was given."""


class LedgerError(BicError):
    """The ledger is unreachable or refused a write for a reason that is not a conflict."""


class Conflict(BicError):
    """A conditional ledger write found another version of a row: read again, decide again."""


class Unsupported(BicError):
    """A kind of destination has no way to do what was asked of it; nothing is wrong with it."""


class ClaimLost(BicError):
    """Another worker holds the claim now; whatever was in hand must not be published."""


class SiteError(BicError):
    """The site is unreachable, throttles us or refuses our account: nothing of it can be fetched for a while.

    `retry_after` is in seconds, where the appliance named a time.
    """

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Overtaxed(SiteError):
    """The appliance, or a gateway before it, failed over a question (408, 500, 502, 504): a smaller one may succeed."""


class Refused(SiteError):
    """The appliance does not accept our account (`what` = "credentials"), or the account lacks a right ("right")."""

    def __init__(self, message: str, *, what: Literal["credentials", "right"], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.what = what


class DestinationError(BicError):
    """The destination is unreachable, full, or refuses our account: nothing can be delivered to it for a while."""


class NotAdmitted(DestinationError):
    """The destination does not accept our credentials: password, key or connection string."""


class ItemError(BicError):
    """One item failed. `failure` is its row in the retry table (docs/design.md 10)."""

    failure: Failure = Failure.UNEXPECTED


class Interrupted(ItemError):
    """Cut off, timed out, 5xx: the same request may succeed soon. A report window is halved next time."""

    failure = Failure.INTERRUPTED


class Untold(Interrupted):
    """The whole may have come, or not: the answer did not say where it ends."""

    failure = Failure.UNTOLD


class NotReady(ItemError):
    """The appliance is still preparing the recording."""

    failure = Failure.NOT_READY


class Gone(ItemError):
    """The appliance has it no more, or never had it: final, and named. `expired` tells which."""

    failure = Failure.GONE

    def __init__(self, message: str, *, expired: bool, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expired = expired


class TooOften(ItemError):
    """A backup was answered 429: the next schedule tries again (docs/design.md 10). `retry_after`: seconds, if named."""

    failure = Failure.GONE

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unexpected(ItemError):
    """Unknown error text, malformed content, a value that the destination refuses."""


class UnknownText(Unexpected):
    """The appliance answered with an `<error>` of its own that is not known: `text`, in one line, as an error may show it.

    Of a report it may mean that nothing was found (docs/design.md 10).
    """

    def __init__(self, message: str, *, text: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.text = text
