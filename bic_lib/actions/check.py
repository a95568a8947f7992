"""The preflight: whether the ledger, the sites, the destinations and what the settings refer to are ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bic_lib import wiring
from bic_lib.actions.selection import demand
from bic_lib.core import naming
from bic_lib.core.errors import BicError, LedgerError
from bic_lib.core.health import Trouble
from bic_lib.core.model import DataType, OnConflict
from bic_lib.core.ports.preflight import Check
from bic_lib.credentials.references import References, Unresolved, is_reference
from bic_lib.engine import health, resting
from bic_lib.engine.app import App
from bic_lib.engine.steps import beginnings
from bic_lib.engine.steps.emptied import emptied
from bic_lib.engine.steps.job import unexpected
from bic_lib.ledger import lessons
from bic_lib.settings import access
from bic_lib.settings.loading import Settings
from bic_lib.settings.model import FileDestination as FileSettings
from bic_lib.settings.model import Section, Security

Tell = Callable[[str], None]


def check(
    settings: Settings, sites: Sequence[str] = (), *, environ: Mapping[str, str] | None = None, tell: Tell = lambda _: None
) -> list[Check]:
    """Look at everything that these sites (none named: all) need; `tell` hears what is looked at. Writes and deletes a probe.

    Raises UsageError for a site that the settings don't have; whatever else is wrong is a line in the answer.
    """
    demand("site", sites, settings.sites)
    environ = os.environ if environ is None else environ
    tell("the ledger")
    try:
        app = wiring.app(settings, environ=environ)
    except LedgerError as error:
        return [Check("ledger", "reachable", ok=False, detail=error.message, hint=error.hint)]
    chosen = {name: _data(settings, name) for name in settings.sites if name in sites or not sites}
    destinations = _destinations(settings, chosen) if sites else list(settings.destinations)
    found = [Check("ledger", "reachable", ok=True), *(_full(one) for one in health.room(app.ledger))]
    references = access.references(settings, environ)
    for name, data in chosen.items():
        tell(f"site {name}")
        found += _unknown(f"site {name}", settings.sites[name].was, name in app.ledger.names.sites.unknown)
        found += _referred(f"site {name}", settings.sites[name], references) or _site(app, settings, name, data)
    for name in destinations:
        tell(f"destination {name}")
        was = getattr(settings.destinations[name], "was", None)
        found += _unknown(f"destination {name}", was, name in app.ledger.names.destinations.unknown)
        found += _referred(f"destination {name}", settings.destinations[name], references) or _destination(app, name)
        found += _names(settings, name)
        found += _lies_there(app, name, chosen)
    _end_rests(app, found)
    found += _mail(settings)
    return found


def _full(trouble: Trouble) -> Check:
    return Check("ledger", "free space", ok=False, detail=trouble.text, hint=trouble.hint)


def _unknown(subject: str, was: str | None, unknown: bool) -> list[Check]:
    """What it was, and nobody knows: a name that never ran, a new ledger, or another spelling."""
    detail = f"this ledger knows nothing of {was}: there is nothing to take over"
    return [Check(subject, "was", ok=True, detail=detail)] if unknown else []


def _end_rests(app: App, found: Sequence[Check]) -> None:
    """What is well here is tried at once (docs/design.md 13). Raises LedgerError."""
    red = {line.subject for line in found if not line.ok}
    resting.end(app, {line.subject for line in found} - red)


def _data(settings: Settings, site: str) -> frozenset[DataType]:
    """What the schedules want from a site; sessions when there is no schedule yet."""
    wanted = (t.data for schedule in settings.schedule_values.values() for t in schedule.transfers if t.site == site)
    return frozenset(data for entry in wanted for data in entry) or frozenset({DataType.SESSIONS})


def _destinations(settings: Settings, sites: Mapping[str, object]) -> list[str]:
    transfers = (t for schedule in settings.schedule_values.values() for t in schedule.transfers)
    return sorted({transfer.destination for transfer in transfers if transfer.site in sites})


def _referred(subject: str, section: Section, references: References) -> list[Check]:
    """The references of a section that have no value; all of them, not only the first that is needed."""
    unresolved = []
    for key, value in section:
        if isinstance(value, str) and is_reference(value):
            try:
                references.secret(value)
            except Unresolved as error:
                unresolved.append(Check(subject, f"reference {key}", ok=False, detail=error.message, hint=error.hint))
    return unresolved


def _site(app: App, settings: Settings, name: str, data: frozenset[DataType]) -> list[Check]:
    subject = f"site {name}"
    ca_file = settings.sites[name].ca_file
    if ca_file and not settings.path(ca_file).is_file():
        path = settings.path(ca_file)
        return [
            Check(subject, "ca_file", ok=False, detail=f"there is no file {path}", hint="Name the PEM file of the authority.")
        ]
    found: list[Check] = []
    try:
        with unexpected(subject) as failed:
            found = app.appliance(app.sites[name], 0).checks(data)
    except BicError as error:
        return [Check(subject, "settings", ok=False, detail=error.message, hint=error.hint)]
    found += [Check(subject, "answers", ok=False, detail=error.message) for error in failed]
    found += _learned(app, name)
    return [replace(line, subject=subject) for line in found]


def _learned(app: App, name: str) -> Iterator[Check]:
    """What was learned of the site's own words (docs/design.md 10). Raises LedgerError."""
    rows = app.ledger.streams.read(name).rows
    for kind, text in lessons.learned(rows, app.sites[name].host).items():
        yield Check(name, f"{kind} texts", ok=True, detail=f"learned: “{text}” means that nothing was found")


def _destination(app: App, name: str) -> list[Check]:
    subject = f"destination {name}"
    try:
        destination = app.destination(name)
        found = destination.checks()
        if all(line.ok for line in found) and (why := emptied(app.ledger, destination, app.ledger.streams.places().notes)):
            told, _, hint = why.partition(". ")
            found.append(Check(subject, "what it held", ok=False, detail=f"{told}.", hint=hint))
    except LedgerError:
        raise
    except BicError as error:
        return [Check(subject, "reachable", ok=False, detail=error.message, hint=error.hint)]
    return [replace(line, subject=subject) for line in found]


def _lies_there(app: App, name: str, sites: Iterable[str]) -> Iterator[Check]:
    """Files of a site's that the ledger should know, where the site's first pull has not begun: it would not begin."""
    wanted = [site for site in sites if app.sites[site].enabled and any(one.destination == name for one in app.streams(site))]
    for site in wanted:
        state, notes = app.ledger.streams.read(site), app.ledger.streams.places().notes
        if beginnings.is_begun(state.streams, notes, site, name):
            continue
        try:
            found = beginnings.unknown_file(app.ledger, app.sites[site], app.destination(name), app.sites)
        except BicError:  # the line of its reachability says why
            continue
        if found:
            why, _, hint = beginnings.adopt_first(name, found).partition(". ")
            yield Check(f"destination {name}", f"what lies there of {site}", ok=False, detail=f"{why}.", hint=hint)


def _mail(settings: Settings) -> Iterator[Check]:
    """A login that everybody on the way to the mail server could read."""
    smtp = settings.notifications.smtp
    if smtp and smtp.password and smtp.security is Security.NONE and smtp.host not in {"localhost", "127.0.0.1"}:
        detail = f"the password goes to {smtp.host} in the clear"
        hint = 'Write security = "starttls" or "tls", or leave out username and password where the server asks for none.'
        yield Check("mail", "security", ok=False, detail=detail, hint=hint)


def _names(settings: Settings, name: str) -> Iterator[Check]:
    """Formats that can give two items one name, where the second would then be lost (docs/design.md 9)."""
    configured = settings.destinations[name]
    if not isinstance(configured, FileSettings) or configured.on_conflict == OnConflict.APPEND_NUMBER:
        return
    schedules = settings.schedule_values.values()
    wanted = {data for s in schedules for t in s.transfers if t.destination == name for data in t.data}
    formats = {data: text for data, text in {**naming.DEFAULT_FORMATS, **configured.formats()}.items() if data in wanted}
    reasons = [naming.colliding(text, data) for data, text in formats.items()] + naming.clashing(formats)
    for reason in filter(None, reasons):
        hint = f"{configured.on_conflict} would keep one of them: use AppendNumber, or make the format tell them apart."
        yield Check(f"destination {name}", "file names", ok=False, detail=reason, hint=hint)
