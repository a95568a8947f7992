"""Acknowledging: a person has seen a loss or a doubt, as it stood. It leaves the list, and stays in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bic_lib.actions.failures import chosen
from bic_lib.actions.strangers import others_like, strangers
from bic_lib.actions.verify import locations
from bic_lib.core.errors import BicError, LedgerError, UsageError
from bic_lib.core.health import Severity
from bic_lib.core.meant import meant
from bic_lib.core.model import DataType
from bic_lib.engine.app import App
from bic_lib.engine.findings import Findings, like
from bic_lib.engine.steps import backups
from bic_lib.ledger.journal import Entry, Happened
from bic_lib.ledger.troubles import Trouble

_FOREIGN = "foreign:"
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
    named = [one for one in choice.ids if not one.startswith(_FOREIGN)]
    found = chosen(app.ledger.troubles.open(), named) if choice.ids else _fitting(app, choice)
    picked = Chosen([_like(app, one) for one in choice.ids if one.startswith(_FOREIGN)])
    for trouble in found:
        if trouble.severity in _SEEN:
            picked.troubles.append(trouble)
        elif choice.ids:
            again = "it is tried again by itself" if trouble.next_try else "`bic retry` tries it again"
            picked.refused[trouble.id] = f"it is {trouble.severity}, neither lost nor doubtful: {again}"
    return picked


def _fitting(app: App, choice: Choice) -> Iterable[Trouble]:
    """Raises UsageError for a site or destination that neither the settings nor a trouble has."""
    listed = list(app.ledger.troubles.open())
    sites, destinations = {*app.sites, *(one.site for one in listed)}, {*app.destinations, *(one.destination for one in listed)}
    for what, name, known in (("site", choice.site, sites), ("destination", choice.destination, destinations)):
        if name and name not in known:
            raise UsageError(f'acknowledge: there is no {what} "{name}"; {meant(name, sorted(known - {""}))}')
    return filter(choice.fits, listed)


def _like(app: App, text: str) -> Trouble:
    """The foreign files that are named by destination and pattern. Raises UsageError, LedgerError."""
    name, slash, pattern = text.removeprefix(_FOREIGN).partition("/")
    if name not in app.destinations or not pattern:
        raise UsageError(
            f'acknowledge: "{text}" names no destination and pattern'
            if not slash or not pattern
            else f'acknowledge: there is no destination "{name}"; {meant(name, app.destinations)}',
            hint='Such as "foreign:archive/*.txt": what lies there and is neither a session nor a recording.',
        )
    try:
        count = others_like(app.destination(name), locations(app)[name], pattern)
    except LedgerError:
        raise
    except BicError as error:
        raise UsageError(f"acknowledge: destination {name} can't be looked at: {error}") from error
    return like(name, pattern, count, app.ledger.now())


def _acknowledge_like(app: App, trouble: Trouble, by: str, now: float) -> None:
    """It holds for later files too; what is listed of the place is counted anew."""
    app.ledger.troubles.note_seen(trouble, by, now)
    name, findings = trouble.destination, Findings(app.ledger)
    findings.foreign(name, list(strangers(app.destination(name), locations(app)[name], findings.patterns(name))))


def acknowledge(app: App, troubles: Iterable[Trouble], by: str) -> Chosen:
    """Note that they were seen, by whom; what has changed since it was read is refused. May be repeated. Raises LedgerError."""
    ledger, now, done = app.ledger, app.ledger.now(), Chosen()
    for trouble in troubles:
        ledger.journal.write([_entry(trouble, by, now)])
        if "pattern" in trouble.found:
            _acknowledge_like(app, trouble, by, now)
            done.troubles.append(trouble)
            continue
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
