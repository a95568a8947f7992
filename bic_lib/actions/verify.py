"""Verifying: what is stored is read again and compared with the ledger, the ledger with itself, and nothing is passed over."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from bic_lib.actions.findings import Findings
from bic_lib.actions.proving import Problem, compare, has_digest, problem
from bic_lib.actions.selection import demand
from bic_lib.actions.strangers import holds_ours, strangers
from bic_lib.core.errors import BicError, LedgerError, Unsupported
from bic_lib.core.model import State
from bic_lib.core.ports import Put
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination, RowDestination
from bic_lib.ledger.records import HELD, Record, partition, transfer_key
from bic_lib.ledger.stores import damage
from bic_lib.ledger.streams import STATE

_AT_ONCE = 500
"""Transfers of one destination that are looked at together: for rows, one question to the database."""
UNKNOWN = "this ledger does not know what lies there: import it, or restore the ledger"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be verified: everything, or what fits all that is named.

    `since`: sessions and backups that began then or later, Unix seconds. `share`: that part of all (0 to 1), where the last such
    verify ended. `quick`: sizes only. `strict`: also what lies there and the ledger does not know.
    """

    destination: str | None = None
    site: str | None = None
    lsid: str | None = None
    since: int | None = None
    share: float | None = None
    quick: bool = False
    strict: bool = False

    def fits(self, record: Record) -> bool:
        named = ((self.site, record.item.site), (self.destination, record.destination), (self.lsid, record.item.lsid))
        return all(wanted in (None, there) for wanted, there in named) and record.item.start >= (self.since or 0)

    @property
    def by_item(self) -> bool:
        """Only some items of a destination are asked for, so that what else is there says nothing."""
        return self.site is not None or self.lsid is not None or self.since is not None

    @property
    def cursor(self) -> str:
        """The key of the row that tells how far a share of just this came."""
        return f"{self.site or ''}|{self.destination or ''}|{self.since or ''}"


@dataclass(slots=True)
class Verified:
    """How many transfers were looked at, how many of them the appliance did not send (by origin), and what is wrong.

    `unproven` counts those whose rows were loaded before rows had a digest, and are as far as can be told what was loaded.
    """

    checked: int = 0
    unproven: int = 0
    brought: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


Seen = Callable[[Record, Problem | None], None]


def verify(app: App, asked: Asked | None = None, *, seen: Seen = lambda _record, _problem: None) -> Verified:
    """Compare size and SHA-256 of every stored file, and the digest of all rows, with the ledger, and the ledger with itself.

    What is found is kept in the ledger. `seen` is told of each transfer, as it is looked at. Raises UsageError, LedgerError.
    """
    asked = asked or Asked()
    whole = damage.look_over(app.ledger.store)
    _demand_known(app, asked)
    run = _Run(app, asked, seen, Findings(app.ledger))
    if asked.share is None:
        run.look_at_all(run.stored())
        run.look_for_strangers()
    else:
        run.look_at_share(asked.share)
    run.verified.problems += [Problem("", "ledger", "", "damaged", told) for told in whole]
    run.verified.problems += [one for one in run.findings.damaged() if one.detail not in whole]
    return run.verified


def _demand_known(app: App, asked: Asked) -> None:
    """Raises UsageError for a name that neither the settings nor the ledger know."""
    for kind, wanted, configured in (("site", asked.site, app.sites), ("destination", asked.destination, app.destinations)):
        if wanted is not None and wanted not in configured:
            left = {one.item.site if kind == "site" else one.destination for one in app.ledger.proof.records()}
            demand(kind, [wanted], [*configured, *sorted(left.difference(configured))])


class _Run:
    """One verify."""

    def __init__(self, app: App, asked: Asked, seen: Seen, findings: Findings) -> None:
        self.app = app
        self.asked = asked
        self.seen = seen
        self.findings = findings
        self.verified = Verified()

    def stored(self) -> Iterator[Record]:
        """What is held somewhere and asked for, in the ledger's order: of names that left the settings too."""
        return (one for one in self.app.ledger.proof.records() if one.outcome.state in HELD and self.asked.fits(one))

    def look_at_all(self, records: Iterator[Record]) -> None:
        waiting: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in records:
            place = (record.item.site, record.destination)
            waiting[place].append(record)
            if len(waiting[place]) >= _AT_ONCE:
                self._look(waiting.pop(place))
        for some in waiting.values():
            self._look(some)

    def look_at_share(self, share: float) -> None:
        """As many as the share is of all, from where the last one ended; the cursor is written once a few hundred."""
        ledger, key = self.app.ledger, self.asked.cursor
        row = ledger.store.get(STATE, "verify", key)
        last = row.body.get("after", "") if row else ""
        total = before = 0
        for record in self.stored():
            total += 1
            before += _order(record) <= last
        left = math.ceil(total * share)
        start = before if before < total else 0
        while left:
            some = list(islice(self.stored(), start, start + min(left, _AT_ONCE)))
            if not some:
                start = 0
                continue
            self.look_at_all(iter(some))
            ledger.store.commit(STATE, "verify", [Put(key, {"after": _order(some[-1])})])
            start, left = start + len(some), left - len(some)

    def _look(self, records: list[Record]) -> None:
        """Look at some transfers of one site and destination."""
        first = records[0]
        try:
            destination = self.app.destination(first.destination)
            found = compare(destination, self._host(first), records, quick=self.asked.quick)
            if isinstance(destination, RowDestination):
                pairs = zip(records, found, strict=True)
                self.verified.unproven += sum(not (problem or has_digest(record)) for record, problem in pairs)
        except LedgerError:
            raise
        except BicError as error:
            found = [problem(record, "unreadable", str(error)) for record in records]
        told = list(zip(records, found, strict=True))
        self.findings.looked_at([pair for pair in told if pair[1] is None or pair[1].problem != "unreadable"])
        for record, wrong in told:
            self.verified.checked += 1
            if record.origin:
                self.verified.brought[record.origin] += 1
            if wrong:
                self.verified.problems.append(wrong)
            self.seen(record, wrong)

    def _host(self, record: Record) -> str:
        """The host under which the site's rows were stored; a site that left the settings is known by its rows' location."""
        if site := self.app.sites.get(record.item.site):
            return site.host
        return record.outcome.location.removeprefix("session/").partition("/")[0]

    # --- what the ledger does not know ---

    def look_for_strangers(self) -> None:
        """A destination of which nothing is known must not hold anything of ours; strictly, none must hold what is not known."""
        if self.asked.by_item:
            return
        places = [name for name in self.app.destinations if self.asked.destination in (None, name)]
        known = self._locations()
        for name in places:
            try:
                destination = self.app.destination(name)
                if self.asked.strict:
                    self._name_strangers(destination, known[name])
                elif not known[name] and self._holds_ours(destination):
                    self.verified.problems.append(Problem(name, "", "", "unknown", UNKNOWN))
            except LedgerError:
                raise
            except BicError as error:
                self.verified.problems.append(Problem(name, "", "", "unreadable", str(error)))

    def _holds_ours(self, destination: Destination) -> bool:
        try:
            return holds_ours(destination, {site.host for site in self.app.sites.values()})
        except Unsupported:  # a plug-in's kind that can't list what it holds has nothing to say
            return False

    def _name_strangers(self, destination: Destination, known: set[str]) -> None:
        found = list(strangers(destination, known))
        if found:  # what was published meanwhile is written by now
            later = self._locations()[destination.name]
            found = [one for one in found if one.location not in later]
        if not known and found:
            self.verified.problems.append(Problem(destination.name, "", "", "unknown", UNKNOWN))
        self.verified.problems += self.findings.foreign(destination.name, found)

    def _locations(self) -> dict[str, set[str]]:
        """By destination, every location that the ledger knows, those of publications under way too."""
        known: dict[str, set[str]] = defaultdict(set)
        for record in self.app.ledger.proof.records():
            if record.outcome.state in (*HELD, State.PURGING) and record.outcome.location:
                known[record.destination].add(record.outcome.location)
            if record.intent:
                known[record.destination].add(str(record.intent.get("location", "")))
        return known


def _order(record: Record) -> str:
    """Where a transfer stands in the order of the ledger."""
    return f"{partition(record.item)}\n{transfer_key(record)}"
