"""Work: steps that are due, other than walking windows (streams tell those).

Of a step's two rows (:mod:`bic_lib.ledger.step`) the index is written first on the way in and removed last on the way out; one
without a home is swept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bic_lib.core.errors import Conflict
from bic_lib.core.plan import CLOCK_TOLERANCE
from bic_lib.core.ports.store import BATCH, Change, Delete, Insert, Replace, Row, Store
from bic_lib.ledger import leases
from bic_lib.ledger.step import DUE, INDEX, ClaimedStep, Queue, Step, StepKind, index_key, index_place, index_place_of, step_at
from bic_lib.ledger.streams import SiteState, Standing, site_partition

_SWEEP_AFTER = 600.0
"""An index row without a home is left alone this long (seconds): its home may be about to be written."""


class Work:
    """Planning, finding, claiming and finishing steps."""

    def __init__(self, store: Store, holder: str) -> None:
        self.store = store
        self.holder = holder

    def plan(self, steps: Sequence[Step], companions: dict[str, list[Change]] | None = None) -> None:
        """Write steps that may be there already (then they stay as they are).

        `companions` are rows, by the key of the step, written with its home or not at all: a planned recording's transfers.
        """
        indexes: dict[tuple[str, Queue], dict[str, Change]] = defaultdict(dict)
        homes: dict[tuple[str, str], list[tuple[Step, list[Change]]]] = defaultdict(list)
        for step in _merged(steps):
            put = step.index(step.due_at)
            indexes[step.site, step.queue][put.key] = put
            homes[step.table, step.partition].append((step, (companions or {}).get(step.key, [])))
        for (site, queue), rows in indexes.items():
            self._commit_all(*index_place(site, queue), list(rows.values()))
        for place in homes.values():
            for group in _groups(place):
                self._homes(group)

    def _commit_all(self, table: str, partition: str, changes: Sequence[Change]) -> None:
        for first in range(0, len(changes), BATCH):
            self.store.commit(table, partition, changes[first : first + BATCH])

    def _homes(self, group: Sequence[tuple[Step, list[Change]]]) -> None:
        """Write homes of one partition together; where some of it is there already, each by itself."""
        first, _ = group[0]
        changes = [change for step, companions in group for change in (Insert(step.key, step.home_body()), *companions)]
        try:
            self.store.commit(first.table, first.partition, changes)
        except Conflict:
            for step, companions in group:
                if len(group) > 1:
                    self._homes([(step, companions)])
                else:
                    self._add_to(step, companions)

    def _add_to(self, step: Step, companions: list[Change]) -> None:
        """Part of it is there: the home first, then what is new (a further destination), so that nothing waits without a step."""
        for change in (Insert(step.key, step.home_body()), *companions):
            try:
                self.store.commit(step.table, step.partition, [change])
            except Conflict:
                continue
        self.make_due(step)

    def make_due(self, step: Step) -> None:
        """Bring a step forward to its `due_at`, or write it when it is not there."""
        home = self.store.get(step.table, step.partition, step.key)
        if home is None:
            self.plan([step])
            return
        if home.body["due_at"] <= step.due_at:
            return
        self.store.commit(*index_place(step.site, step.queue), [step.index(step.due_at)])
        try:
            self.store.commit(
                step.table, step.partition, [_changed(home, {"due_at": step.due_at, "body": {**home.body["body"], **step.body}})]
            )
        except Conflict:
            self.make_due(step)

    def due(self, site: str, queue: Queue, limit: int = 10, *, after: str = "") -> Iterator[Row]:
        """Index rows whose time has come, the oldest first; those after a key when one is given."""
        first = after + "\0" if after else INDEX
        return self.store.scan(*index_place(site, queue), first, self._due_before(), limit)

    def has_due(self, site: str, destination: str = "") -> bool:
        """Whether steps of a site are due (that may serve this destination)."""
        rows = (row for queue in Queue for row in self.due(site, queue, 0))
        return any(not destination or _serves(row, destination) for row in rows)

    def first_due(self, state: SiteState, kind: StepKind | None = None) -> int:
        """How many steps of the first queue are due (of one kind), as the site's state tells without a further read."""
        return sum(1 for row in self.first_rows(state) if kind in (None, row.body["kind"]))

    def first_rows(self, state: SiteState) -> list[Row]:
        """Their index rows."""
        before = self._due_before()
        return [row for key, row in state.rows.items() if INDEX <= key < before]

    def _due_before(self) -> str:
        return index_key(self.store.now(), "~")

    def waiting(self, site: str) -> Iterator[Row]:
        """All index rows of a site."""
        for queue in Queue:
            yield from self.store.scan(*index_place(site, queue), INDEX, INDEX + "~")

    def everywhere(self, standing: Standing) -> Iterator[Row]:
        """All index rows of all sites: those of the first queue as `standing` told them, the others by one range read."""
        for site in standing.sites():
            yield from (row for row in standing.rows(site_partition(site)).values() if row.key.startswith(INDEX))
        yield from (row for row in self.store.everything(DUE) if row.key.startswith(INDEX))

    def index_of(self, step: Step) -> Row | None:
        """The index row of a step that is there, as `due` would give it."""
        home = self.store.get(step.table, step.partition, step.key)
        if home is None:
            return None
        put = step.index(home.body["due_at"])
        return Row(index_place(step.site, step.queue)[1], put.key, put.body, "", home.written)

    def step(self, index: Row) -> Step | None:
        """The step that an index row points to; None when it is gone."""
        home = self.store.get(*index.body["home"])
        return step_at(home, index) if home else None

    def claim(self, index: Row) -> ClaimedStep | None:
        """Claim the step that an index row points to; None when it is gone, due at another time, or in other hands."""
        table, partition, key = index.body["home"]
        home = self.store.get(table, partition, key)
        if home is None:
            if self.store.now() - index.written > _SWEEP_AFTER or self.store.now() < index.written - CLOCK_TOLERANCE:
                self.store.commit(*index_place_of(index), [Delete(index.key)])
            return None
        step = step_at(home, index)
        if index_key(step.due_at, key) != index.key:
            self.store.commit(*index_place_of(index), [step.index(step.due_at), Delete(index.key)])
            return None
        lease = leases.take(self.store, table, home, self.holder)
        return ClaimedStep(step, lease, index) if lease else None

    def finish(self, claimed: ClaimedStep, changes: Sequence[Change] = (), again_at: float | None = None) -> None:
        """Write outcomes and the step's end in one act, or its next due time. Raises ClaimLost.

        The index row through which it was found is then to be removed (:meth:`remove`), if `claimed.spent` says so.
        """
        if again_at is None:
            claimed.lease.end(list(changes))
            claimed.spent = True
            return
        again = claimed.step.index(again_at)
        self.store.commit(*index_place_of(claimed.index), [again])
        claimed.lease.body["due_at"] = again_at
        claimed.lease.commit(list(changes), release=True)
        claimed.spent = again.key != claimed.index.key

    def remove(self, spent: Sequence[Row]) -> None:
        """Remove index rows whose steps have ended or moved; one that was written anew meanwhile stays."""
        places: dict[tuple[str, str], list[Delete]] = defaultdict(list)
        for index in spent:
            places[index_place_of(index)].append(Delete(index.key, index.version or None))
        for place, deletes in places.items():
            try:
                self._commit_all(*place, deletes)
            except Conflict:
                self._remove_each(*place, deletes)

    def _remove_each(self, table: str, partition: str, deletes: Sequence[Delete]) -> None:
        for delete in deletes:
            try:
                self.store.commit(table, partition, [delete])
            except Conflict:
                continue

    def clock_went_back(self, site: str) -> None:
        """Make everything due that was to wait for a time reckoned on a clock that has gone back since."""
        for index in list(self.waiting(site)):
            if index.written > self.store.now() + CLOCK_TOLERANCE:
                self._bring_forward(index)

    def rest_ended(self, site: str, destination: str, until: float) -> None:
        """Make the steps due that waited for a destination's rest: until then at the longest."""
        for queue in Queue:
            waiting = self.store.scan(*index_place(site, queue), self._due_before(), index_key(until, "~"))
            for index in [row for row in waiting if _serves(row, destination)]:
                self._bring_forward(index)

    def _bring_forward(self, index: Row) -> None:
        """A step that waits is due now; one that somebody has in hand stays as it is."""
        table, partition, key = index.body["home"]
        home = self.store.get(table, partition, key)
        if home is None:
            return
        now = self.store.now()
        self.store.commit(*index_place_of(index), [step_at(home, index).index(now)])
        try:
            self.store.commit(table, partition, [_changed(home, {"due_at": now})])
        except Conflict:
            return
        self.store.commit(*index_place_of(index), [Delete(index.key)])


def _serves(index: Row, destination: str) -> bool:
    """Of a report's step it is not known what it is for: it may be for this one."""
    served = index.body["for"]
    return not served or any(name.partition(">")[2] == destination for name in served)


def _merged(steps: Sequence[Step]) -> list[Step]:
    """Each step once, for all that it serves."""
    found: dict[tuple[str, str, str], Step] = {}
    for step in steps:
        place = (step.table, step.partition, step.key)
        before = found.get(place)
        found[place] = replace(before, served=(*before.served, *step.served)) if before else step
    return list(found.values())


def _groups(homes: Sequence[tuple[Step, list[Change]]]) -> Iterator[list[tuple[Step, list[Change]]]]:
    """In groups that one commit takes."""
    group: list[tuple[Step, list[Change]]] = []
    size = 0
    for home in homes:
        rows = 1 + len(home[1])
        if group and size + rows > BATCH:
            yield group
            group, size = [], 0
        group.append(home)
        size += rows
    if group:
        yield group


def _changed(home: Row, changed: dict[str, Any]) -> Change:
    """A home row with some fields changed, only if nobody touched it."""
    return Replace(home.key, {**home.body, **changed}, home.version)
