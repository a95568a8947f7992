"""What an appliance must be able to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bic_lib.core.model import BrokenDocument, DataType, Document, Listed, ReportKind, Selection, Window
from bic_lib.core.ports.preflight import Check
from bic_lib.core.recognition import Recognised


class Report(Protocol):
    """One report answer on its way: documents come as the body arrives; it is never held whole.

    Iterating raises :class:`~bic_lib.core.errors.Interrupted` when the body ends before the root's end tag, and
    :class:`~bic_lib.core.errors.Unexpected` when it is no report. Only an iteration that ends by itself has seen everything.
    """

    @property
    def as_of(self) -> int | None:
        """The appliance's clock when it answered (`Date`), None where it told none."""
        ...

    def __iter__(self) -> Iterator[Document | BrokenDocument]: ...


class Payload(Protocol):
    """A file on its way (recording, backup), and what it was recognised as. `content_type` as received."""

    @property
    def recognised(self) -> Recognised: ...

    @property
    def content_type(self) -> str: ...

    @property
    def doubt(self) -> str:
        """Why it may not be what was asked for, although it came whole; "" for no doubt."""
        ...

    @property
    def as_of(self) -> int | None: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Pause(Protocol):
    """For how long an appliance wants to be left alone: all lanes of its site, in all processes. May raise LedgerError."""

    def left(self) -> float:
        """Seconds from now; 0 and less: none."""
        ...

    def begin(self, seconds: float) -> None:
        """It asked for so many seconds; a pause that ends later stays."""
        ...


class Lessons(Protocol):
    """What a site was found to say, for each report kind, where nothing is found. May raise LedgerError."""

    def learned(self, kind: ReportKind, account: str) -> str:
        """Its text to this account, "" for none."""
        ...

    def learn(self, kind: ReportKind, account: str, text: str) -> None: ...


class Appliance(Protocol):
    """One site's appliance. Every call may raise SiteError (whole site) or ItemError (this request)."""

    def now(self) -> tuple[float, bool]:
        """The appliance's clock, Unix seconds, and whether the appliance itself told it (else: ours)."""
        ...

    def report(self, kind: ReportKind, selection: Selection) -> AbstractContextManager[Report]: ...

    def listing(self, kind: ReportKind, began: Window) -> Sequence[Listed]:
        """Sessions that began in the window, running ones too (docs/appliance.md 2.4). Nothing found: empty."""
        ...

    def recording(self, data: DataType, lsid: str, instance: int | None) -> AbstractContextManager[Payload]:
        """Raises NotReady, Gone or Unexpected for an `<error>` answer (docs/appliance.md 5.3)."""
        ...

    def backup(self) -> AbstractContextManager[Payload]: ...

    def spent(self, now: float) -> dict[str, int]:
        """Requests of the last hour by minutes (as text) of the ledger's clock, which shows `now`."""
        ...

    def take_over(self, spent: Mapping[str, int], now: float) -> None:
        """Reckon with the requests that were sent in this lane, by others too, as `spent` told them."""
        ...

    def checks(self, data: frozenset[DataType]) -> list[Check]:
        """Preflight: token, the rights that these data types need, clock skew (docs/appliance.md 7.4). Never raises."""
        ...
