"""Site backups: a step per schedule and due time, for all its destinations; older ones are retired by the destination's rules."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial

from bic_lib.core import retention
from bic_lib.core.errors import DestinationError, ItemError
from bic_lib.core.health import Severity
from bic_lib.core.model import DataType, Item, Outcome, Schedule, Site, State, Stream
from bic_lib.core.ports.store import Change, Delete, Insert, Put, Replace
from bic_lib.engine.delivery import FileDestination
from bic_lib.engine.steps import emptied, file_transfer, outcomes
from bic_lib.engine.steps.job import Job
from bic_lib.ledger import Ledger
from bic_lib.ledger.holds import Holds
from bic_lib.ledger.records import HELD, ITEMS, Record, item_key, partition, transfer_body, transfer_key
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from bic_lib.ledger.streams import STATE, site_partition
from bic_lib.ledger.troubles import Trouble

log = logging.getLogger("bic.transfers")


def plan_backups(ledger: Ledger, schedule: Schedule, sites: Sequence[Site], due: int, run: str | None) -> list[Step]:
    """Write a backup step per site of the schedule, with a planned transfer per destination. May be repeated."""
    planned = []
    for site in sites:
        if names := backup_destinations(schedule, site):
            steps, transfers = _planned(ledger, schedule, site, names, due, run)
            ledger.work.plan(steps, transfers)
            planned += steps
    return planned


def backup_destinations(schedule: Schedule, site: Site) -> list[str]:
    """Where the schedule sends this site's backups."""
    chosen = (t for t in schedule.transfers if t.site == site.name and DataType.SITE_BACKUPS in t.data)
    return sorted({transfer.destination for transfer in chosen})


def units(site: str, destinations: Iterable[str]) -> list[str]:
    """What the run calls one site's backup: its streams."""
    return [Stream(site, DataType.SITE_BACKUPS, name).unit for name in destinations]


def _planned(
    ledger: Ledger, schedule: Schedule, site: Site, names: list[str], due: int, run: str | None
) -> tuple[list[Step], dict[str, list[Change]]]:
    item = Item(site.name, DataType.SITE_BACKUPS, f"{schedule.name}@{due}", start=due)
    now = ledger.now()
    records = [Record(item, name, Outcome(State.PLANNED), forgotten_at=float(due + schedule.every), at=now) for name in names]
    step = Step(
        StepKind.BACKUP,
        site.name,
        Queue.FIRST,
        ITEMS,
        partition(item),
        f"step|{item_key(item)}",
        now,
        {"run": run, "schedule": schedule.name, "superseded_at": due + schedule.every},
        tuple(f"{item.data}>{name}" for name in names),
    )
    return [step], {step.key: [Insert(transfer_key(record), transfer_body(record)) for record in records]}


def fetch(job: Job, claimed: ClaimedStep) -> bool:
    """Fetch one backup for its destinations, then retire older ones; whether the appliance answered.

    Raises SiteError, ClaimLost, OutOfTime.
    """
    if job.ledger.now() >= claimed.body["superseded_at"]:
        _units_done(job.ledger, claimed.step, {})
        outcomes.give_up(job, claimed, "the next backup is due: this one was given up", partial(_completed, job, claimed))
        return False
    judge, before_end = partial(judged, job.ledger), partial(_conclude, job, claimed)
    return file_transfer.carry(job, claimed, DataType.SITE_BACKUPS, job.appliance.backup, judge=judge, before_end=before_end)


def _completed(job: Job, claimed: ClaimedStep, record: Record) -> Record | None:
    """A backup that a worker that was lost had staged or published, which is stored as it was meant; None: there is none."""
    done = file_transfer.carry_one(job, claimed, replace(record, next_try=None), file_transfer.nothing)
    if done.outcome.state not in HELD:
        return None
    _retire(job, done)
    return done


def _conclude(job: Job, claimed: ClaimedStep, records: Sequence[Record]) -> None:
    """What follows from a backup: older ones are retired, and its run waits for it no longer."""
    for record in records:
        if record.outcome.state is State.STORED:
            _retire(job, record)
    tried = {record.destination for record in records if record.outcome.state is not State.PLANNED}
    rests = {name: rest.reason for name, rest in job.rests.items() if name not in tried}
    _units_done(job.ledger, claimed.step, rests)


def site_failed(ledger: Ledger, site: str, reason: str) -> None:
    """The whole site failed: its due backups wait, and their runs wait for them no longer."""
    for index in ledger.work.due(site, Queue.FIRST, 0):
        if index.body["kind"] == StepKind.BACKUP and (step := ledger.work.step(index)):
            _units_done(ledger, step, dict.fromkeys(_destinations(step), reason))


def _units_done(ledger: Ledger, step: Step, reasons: Mapping[str, str]) -> None:
    """The step had its outcome in its run; `reasons` by destination, where it failed or waits."""
    if run := step.body.get("run"):
        names = _destinations(step)
        done = {unit: reasons.get(name, "") for name, unit in zip(names, units(step.site, names), strict=True)}
        ledger.history.units_done(run, done, ledger.now())


def _destinations(step: Step) -> list[str]:
    return [served.partition(">")[2] for served in step.served]


# --- what is good ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class _Made:
    """What is remembered of a backup for judging later ones: when it was due, its size, and the doubt about it ("": none)."""

    start: int
    lsid: str
    size: int
    doubt: str = ""

    @property
    def good(self) -> bool:
        """Nobody doubts it (any more)."""
        return not self.doubt


def judged(ledger: Ledger, record: Record, size: int) -> str:
    """Why a backup of so many bytes is doubtful at this destination, "" where it is not. Raises LedgerError."""
    before = [made for made in _lately(ledger, record.item.site, record.destination) if made.lsid != record.item.lsid]
    return retention.too_small(size, [made.size for made in sorted(before) if made.good])


def _made(record: Record) -> _Made:
    return _Made(record.item.start, record.item.lsid, record.outcome.size, record.outcome.doubt)


def _lately(ledger: Ledger, site: str, destination: str) -> list[_Made]:
    """The last good backups and the last doubtful ones; of what was stored before there was a note of them, all."""
    row = ledger.store.get(STATE, site_partition(site), f"backups|{destination}")
    if row is None:
        return [_made(record) for record in _stored(ledger, site, destination)]
    return [_Made(*values) for values in row.body["lately"]]


def note(ledger: Ledger, newest: Record) -> None:
    """Rows that tell which backups there are at this destination, how large they were, and from when the newest good one is.

    May be repeated. Raises LedgerError.
    """
    item, made = newest.item, _made(newest)
    before = sorted(one for one in _lately(ledger, item.site, newest.destination) if one.lsid != item.lsid)
    lately = [*before, made]
    kept = [one for good in (True, False) for one in sorted(one for one in lately if one.good is good)[-retention.LATELY :]]
    place = _place(item.site, newest.destination)
    ledger.store.commit(ITEMS, place, [Put(_key(item), {"lsid": item.lsid, "start": item.start})])
    changes = [Put(f"backups|{newest.destination}", {"lately": [astuple(one) for one in kept]})]
    if made.good and all(one.start <= made.start for one in before if one.good):
        changes.append(Put("backup", {"start": item.start}))
    ledger.store.commit(STATE, site_partition(item.site), changes)


def believe(ledger: Ledger, site: str, destination: str, lsid: str) -> None:
    """Somebody has looked at a doubtful backup: it counts as good when later ones are judged. Raises LedgerError."""
    key = f"backups|{destination}"
    row = ledger.store.get(STATE, site_partition(site), key)
    made = [_Made(*values) for values in row.body["lately"]] if row else []
    lately = [astuple(replace(one, doubt="") if one.lsid == lsid else one) for one in made]
    ledger.store.commit(STATE, site_partition(site), [Replace(key, {"lately": lately}, row.version)] if row else [])


# --- retention -------------------------------------------------------------------------------------------------------


def _retire(job: Job, record: Record) -> None:
    """Keep as many good backups as the destination's rules say, and what lies between them; by the ledger's own records only."""
    destination = job.connect(record.destination)
    if not isinstance(destination, FileDestination):
        return
    note(job.ledger, record)
    emptied.note_use(job, record.destination)
    prior = destination.rules.retention_count
    if prior is None:
        return
    others = [other for other in _stored(job.ledger, job.site.name, record.destination) if other.item.lsid != record.item.lsid]
    newest_first = sorted([record, *others], key=_made, reverse=True)
    leaving = newest_first[retention.staying([_made(one).good for one in newest_first], prior) :]
    held = Holds(job.ledger.store).all() if leaving else {}
    for old in leaving:
        if old.item.lsid in held:
            continue
        if old is record:  # a late one: its outcome is not written yet, so the next one takes it away
            continue
        try:
            _remove(job, destination, old)
        except ItemError as error:
            job.ledger.troubles.note([_stays(old, str(error), job.ledger.now())])
            log.warning("%s: backup %s could not be retired: %s", job.site.name, old.outcome.location, error)
        except DestinationError as error:
            log.warning("%s: no backup can be retired: %s", job.site.name, error)
            return


def _stays(record: Record, reason: str, now: float) -> Trouble:
    """What a person is told of a backup that can't be removed; the next retention tries it again."""
    location = record.outcome.location
    return Trouble(
        Severity.NOTE,
        record.item.site,
        record.item.data,
        record.destination,
        "kept",
        record.item.lsid,
        reason=f"retention can't remove it: {reason}",
        start=record.item.start,
        last_failed=now,
        place=location,
    )


def _remove(job: Job, destination: FileDestination, record: Record) -> None:
    found = destination.store.look(record.outcome.location)
    if found is not None and found.size != record.outcome.size:
        log.warning("%s is not the file that was stored: it is left alone", record.outcome.location)
    elif found is not None:
        job.check()
        destination.store.remove(record.outcome.location)
    job.ledger.proof.settle([replace(record, outcome=replace(record.outcome, state=State.RETIRED))])
    job.ledger.store.commit(ITEMS, _place(job.site.name, destination.name), [Delete(_key(record.item))])
    job.ledger.troubles.clear([_stays(record, "", 0.0)])


def _stored(ledger: Ledger, site: str, destination: str) -> list[Record]:
    """The site's stored backups at this destination, the oldest first."""
    rows = list(ledger.store.scan(ITEMS, _place(site, destination)))
    items = [Item(site, DataType.SITE_BACKUPS, row.body["lsid"], start=row.body["start"]) for row in rows]
    records = [ledger.proof.latest(item, destination) for item in items]
    return [record for record in records if record and record.outcome.state is State.STORED]


def _place(site: str, destination: str) -> str:
    return f"{site}|backups|{destination}"


def _key(item: Item) -> str:
    return f"{item.start:012d}|{item.lsid}"
