"""What was not delivered, and trying it again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bic_lib.actions import failing
from bic_lib.actions.running import paused
from bic_lib.actions.selection import unknown_destinations, unusable_sites
from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DAY, DOCUMENTS, REPORT_OF, DataType, ReportKind, Schedule, State, Stream
from bic_lib.engine import resting
from bic_lib.engine.app import App
from bic_lib.engine.health import Known, read
from bic_lib.engine.steps.by_lsid import LSIDS_PER_CALL
from bic_lib.engine.steps.lsids import lsids_step
from bic_lib.engine.steps.recordings import recording_step
from bic_lib.ledger import causes, rests
from bic_lib.ledger.records import FAILING, SETTLED, Record
from bic_lib.ledger.step import Queue, Step, StepKind
from bic_lib.ledger.troubles import Trouble

_NAMED = ("id", "kind", "severity", "site", "data", "destination", "lsid", "instance", "state", "attempts", "reason")
_TIMES = ("start", "end", "first_failed", "last_failed", "next_try", "forgotten_at")
_UNNAMED = "unreadable@"
"""How the lsid begins of a session whose own lsid could not be read."""


def failures(app: App, *, everything: bool = False, each: bool = False) -> Iterator[dict[str, Any]]:
    """The rows of `bic failures --json` (docs/design.md 6): sites, destinations and streams, then items, of parked sites too.

    `everything`: what was acknowledged as well; `each`: items of one cause one by one. Raises LedgerError.
    """
    yield from of_known(app, read(app), each=each)
    if everything:
        yield from map(shown, app.ledger.troubles.seen())


def of_known(app: App, known: Known, *, each: bool = False) -> Iterator[dict[str, Any]]:
    """The same, of what was just read."""
    yield from failing.listed(app, known)
    yield from map(shown, known.listed if each else causes.told(known.listed))


def shown(trouble: Trouble) -> dict[str, Any]:
    """A trouble as `bic failures --json` has it."""
    return {
        **{name: getattr(trouble, name) for name in _NAMED},
        "count": causes.count(trouble),
        "waiting": 0,
        **{name: iso(getattr(trouble, name) or None) for name in _TIMES},
        "acknowledged": iso(trouble.seen_at),
        "acknowledged_by": trouble.seen_by,
    }


# --- trying again ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Retried:
    """What the next run tries again: ids of transfers, and sites and destinations (`subjects`) whose rest was ended.

    `refused` are the ids that can't be tried, with the reason; `paused` a line for each site that wants to be left alone.
    """

    due: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    subjects: list[str] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Again:
    """What somebody wants tried again: transfers by their ids, or all that failed and rests (of a site, of a destination)."""

    ids: Sequence[str] = ()
    everything: bool = False
    site: str = ""
    destination: str = ""

    def problems(self, app: App) -> list[str]:
        """What is wrong with it, a line each."""
        if sum((bool(self.ids), self.everything, bool(self.site or self.destination))) != 1:
            return ["name either ids, or a site or destination, or all"]
        sites, destinations = [*filter(None, [self.site])], [*filter(None, [self.destination])]
        places = [told for one in self.ids if (told := failing.named(one))]
        sites, destinations = (
            [*sites, *(site for site, _ in places if site)],
            [*destinations, *(name for _, name in places if name)],
        )
        return [*unusable_sites(app, sites), *unknown_destinations(app, destinations)]

    def fits(self, trouble: Trouble) -> bool:
        return self.site in ("", trouble.site) and self.destination in ("", trouble.destination)


def retry(app: App, again: Again) -> Retried:
    """Make failed transfers due again, as if they had not been tried, and end the rests that are in their way. May be repeated.

    Raises UsageError when it names nothing that is there, LedgerError.
    """
    if problems := again.problems(app):
        raise UsageError(f"retry: {'; '.join(problems)}", hint="`bic failures` and `bic status` tell what there is.")
    retried = Retried()
    records: list[Record] = []
    subjects = {one: told for one in again.ids if (told := failing.named(one))}
    items = [one for one in again.ids if one not in subjects]
    for trouble in chosen(app.ledger.troubles.open(), items) if again.ids else filter(again.fits, _failed(app)):
        record = app.ledger.proof.of_trouble(trouble)
        if reason := _nothing_to_try(trouble) or _not_possible(app, trouble, record):
            retried.refused[trouble.id] = reason
        elif record:
            retried.due.append(trouble.id)
            records.append(record)
    _make_due(app, records)
    named = None if again.everything else _subjects(again, records) | _rests_of(subjects.values())
    retried.subjects = resting.end(app, named)
    retried.paused = paused(app, None if named is None else {name.removeprefix("site ") for name in named})
    return retried


def _subjects(again: Again, records: Sequence[Record]) -> set[str]:
    sites = {again.site, *(record.item.site for record in records)}
    destinations = {again.destination, *(record.destination for record in records)}
    return {*map(rests.site, sites - {""}), *map(rests.destination, destinations - {""})}


def _rests_of(places: Iterable[tuple[str, str]]) -> set[str]:
    found = [(rests.site(site) if site else "", rests.destination(name) if name else "") for site, name in places]
    return {subject for both in found for subject in both} - {""}


def _failed(app: App) -> Iterator[Trouble]:
    """The items that were not delivered."""
    return (one for one in app.ledger.troubles.open() if one.kind == "item" and one.state in FAILING)


def chosen(troubles: Iterable[Trouble], ids: Sequence[str]) -> list[Trouble]:
    """Those of these ids; that of a cause means all that have it. Raises UsageError when one is not there."""
    wanted = set(ids)
    found = [trouble for trouble in troubles if wanted & causes.names(trouble)]
    if unknown := sorted(wanted.difference(*map(causes.names, found))):
        raise UsageError(f"no failure has the id {', '.join(unknown)}", hint="`bic failures` lists them.")
    return found


def _nothing_to_try(trouble: Trouble) -> str:
    if trouble.place == causes.GONE:
        return "the appliance said so over a week ago; `bic download --lsid` asks it once more"
    failed = trouble.kind == "item" and trouble.state in FAILING
    return "" if failed else "it is no transfer that failed; `bic acknowledge` tells that it was seen"


def _not_possible(app: App, trouble: Trouble, record: Record | None) -> str:
    if Stream(trouble.site, DataType(trouble.data), trouble.destination) not in app.streams(trouble.site):
        return "no enabled schedule has this transfer: `bic download` tries it again"
    if record is None:
        return "the ledger knows nothing of it"
    if record.outcome.state in SETTLED:
        return "it was delivered in the meantime"
    if trouble.lsid.startswith(_UNNAMED):
        return "its id could not be read, so the appliance can't be asked for it alone"
    if _is_backup(record) and not _still_wanted(app, record):
        return "a newer backup is due in its place"
    return ""


def _make_due(app: App, records: Sequence[Record]) -> None:
    """Records first: a step that runs at once must find that it may try."""
    now = app.ledger.now()
    app.ledger.proof.settle([_reset(record, now) for record in records])
    by_day: dict[tuple[str, ReportKind, int], set[str]] = defaultdict(set)
    for record in records:
        if _comes_by_report(record):
            item = record.item
            by_day[item.site, REPORT_OF[item.data], item.start - item.start % DAY].add(item.lsid)
        else:
            app.ledger.work.make_due(_step_of_item(app, record, now))
    for (site, kind, day), lsids in by_day.items():
        ordered = sorted(lsids)
        for first in range(0, len(ordered), LSIDS_PER_CALL):
            some = ordered[first : first + LSIDS_PER_CALL]
            # The key is this retry's own: a step that waits already may hold other ids.
            app.ledger.work.make_due(lsids_step(site, kind, f"retry {int(now * 1000)} {some[0]}", now, some, day))


def _reset(record: Record, now: float) -> Record:
    """One attempt stays counted: by it the ledger knows to take the transfer off the list when it succeeds."""
    return replace(record, outcome=replace(record.outcome, state=State.FAILED), attempts=1, next_try=now)


def _comes_by_report(record: Record) -> bool:
    """Documents do, and so do recordings of sessions that could not be read (their version is 0)."""
    return record.item.data in DOCUMENTS or record.version == 0


def _step_of_item(app: App, record: Record, now: float) -> Step:
    """The step of a recording or backup, which may wait already or be gone because it was given up."""
    queue = Queue.FIRST if _is_backup(record) else Queue.FRESH
    step = recording_step(record, queue, now)
    home = app.ledger.store.get(step.table, step.partition, step.key)
    if home:
        return replace(step, queue=Queue(home.body["queue"]), kind=StepKind(home.body["kind"]), body={})
    if schedule := _schedule_of(app, record):
        body = {"run": None, "schedule": schedule.name, "superseded_at": record.item.start + schedule.every}
        return replace(step, kind=StepKind.BACKUP, body=body)
    return step


def _schedule_of(app: App, record: Record) -> Schedule | None:
    """The schedule that wanted this backup; its lsid names it (:mod:`bic_lib.engine.steps.backups`)."""
    name, _, _ = record.item.lsid.rpartition("@")
    return next((schedule for schedule in app.schedules if schedule.name == name), None) if _is_backup(record) else None


def _still_wanted(app: App, record: Record) -> bool:
    schedule = _schedule_of(app, record)
    return schedule is not None and app.ledger.now() < record.item.start + schedule.every


def _is_backup(record: Record) -> bool:
    return record.item.data is DataType.SITE_BACKUPS
