"""Acknowledging: a person has seen a loss or a doubt, as it stood. It leaves the list, and stays in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bic_lib.actions.failures import chosen
from bic_lib.core.errors import UsageError
from bic_lib.core.health import Severity
from bic_lib.core.model import DataType
from bic_lib.engine.app import App
from bic_lib.engine.steps import backups
from bic_lib.ledger.journal import Entry, Happened
from bic_lib.ledger.troubles import Trouble

_SEEN = (Severity.LOST, Severity.DOUBTFUL, Severity.UNPROVEN)
"""What stays until a person says that it was seen; whatever else is listed ends by itself."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which troubles: by their ids, or all that fit what is named. `before`: found before this time, Unix seconds."""

    ids: Sequence[str] = ()
    site: str = ""
    destination: str = ""
    data: str = ""
    before: float | None = None

    @property
    def by_rule(self) -> bool:
        return bool(self.site or self.destination or self.data) or self.before is not None

    def fits(self, trouble: Trouble) -> bool:
        named = ((self.site, trouble.site), (self.destination, trouble.destination), (self.data, trouble.data))
        found = trouble.last_failed or trouble.first_failed or 0.0
        return all(wanted in ("", there) for wanted, there in named) and (self.before is None or found < self.before)


@dataclass(slots=True)
class Chosen:
    """What would be acknowledged, and what can't be, by id with the reason."""

    troubles: list[Trouble] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def choose(app: App, choice: Choice) -> Chosen:
    """The open troubles of a choice. Raises UsageError for an id that is none or a choice that names nothing, LedgerError."""
    if bool(choice.ids) == choice.by_rule:
        raise UsageError(
            "acknowledge: name either IDs, or a site, destination, data type or date", hint="`bic failures` lists them."
        )
    found = chosen(app.ledger.troubles.open(), choice.ids) if choice.ids else filter(choice.fits, app.ledger.troubles.open())
    picked = Chosen()
    for trouble in found:
        if trouble.severity in _SEEN:
            picked.troubles.append(trouble)
        elif choice.ids:
            again = "it is tried again by itself" if trouble.next_try else "`bic retry` tries it again"
            picked.refused[trouble.id] = f"it is {trouble.severity}, neither lost nor doubtful: {again}"
    return picked


def acknowledge(app: App, troubles: Iterable[Trouble], by: str) -> Chosen:
    """Note that they were seen, by whom; what has changed since it was read is refused. May be repeated. Raises LedgerError."""
    ledger, now, done = app.ledger, app.ledger.now(), Chosen()
    for trouble in troubles:
        ledger.journal.write([_entry(trouble, by, now)])
        if trouble.severity is Severity.DOUBTFUL:
            ledger.proof.believe(trouble)
            if trouble.data == DataType.SITE_BACKUPS:
                backups.believe(ledger, trouble.site, trouble.destination, trouble.lsid)
        if ledger.troubles.acknowledge(trouble, by, now):
            done.troubles.append(trouble)
        else:
            done.refused[trouble.id] = "it has changed meanwhile: look at it again"
    return done


def _entry(trouble: Trouble, by: str, now: float) -> Entry:
    return Entry(
        Happened.ACKNOWLEDGED,
        now,
        trouble.site,
        DataType(trouble.data) if trouble.data else "",
        trouble.destination,
        trouble.lsid,
        trouble.instance,
        trouble.version,
        location=trouble.place,
        doubt=trouble.doubt,
        start=trouble.start,
        end=trouble.end,
        by=by,
        reason=f"{trouble.severity}: {trouble.reason}"[:1000],
    )
