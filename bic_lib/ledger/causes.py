"""Troubles that have one cause are told as one, with their number (docs/design.md 10, 13).

* what the appliance says it has no more, or never had: one a stream; nobody can do anything about it
* what the account may not have: one a stream
* what lies in a destination and nobody knows: one a destination
* what can't be told to be whole, since the answers do not say where they end: one a site

Each stands in a row of its own, so that each can be tried again by itself. Only what the appliance had not to give is counted
together after a week (:func:`gather`), or the list would grow with all that was ever delivered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from bic_lib.core.errors import Conflict
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, Failure, State
from bic_lib.core.ports.store import BATCH, Delete, Insert, Replace
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.troubles import FOREIGN, OPEN, Trouble, Troubles, body

GONE = "gone"
UNTOLD = str(Failure.UNTOLD)
ASKED_AGAIN = 7 * DAY
"""Seconds for which what is gone can be tried again by its id: time enough to have looked, and few enough rows to be read."""
_AT_ONCE = BATCH - 1
"""Beside the row that counts them, in one commit."""
_GONE = (State.EXPIRED, State.NONE)
_WORDS: dict[str, str] = {
    State.EXPIRED: "{:,} had expired on the appliance when first asked for",
    State.NONE: "of {:,} the appliance says that there is none",
    State.REFUSED: "{:,} wait for the right that the account lacks",
    State.FAILED: "{:,} can't be told to be whole",
    FOREIGN: "{:,} that the ledger does not know",
}


def cause(one: Trouble) -> Trouble | None:
    """The trouble as which it is told together with others of its cause; None: it stands for itself."""
    shared = partial(Trouble, one.severity, one.site)
    if one.state == FOREIGN and "pattern" not in one.found:
        return shared("", one.destination, FOREIGN, kind="destination", place=FOREIGN)
    if one.kind != "item":
        return one if one.place == GONE else None
    if one.state in _GONE and one.severity is Severity.NOTE:
        return shared(one.data, one.destination, GONE, kind="stream", place=GONE)
    if one.state == State.REFUSED:
        return shared(one.data, one.destination, one.state, kind="stream", place=one.state)
    if one.failure == UNTOLD and one.state == State.FAILED:
        return shared("", "", one.state, kind="site", place=UNTOLD)
    return None


def names(one: Trouble) -> set[str]:
    """The ids by which it can be meant: its own, and that of its cause."""
    shared = cause(one)
    return {one.id, shared.id} if shared else {one.id}


def told(troubles: Iterable[Trouble]) -> Iterator[Trouble]:
    """The troubles, those of one cause as one where they are several, in the place of the first of them."""
    groups: dict[str, list[Trouble]] = {}
    for one in troubles:
        shared = cause(one)
        groups.setdefault(f"{one.site}|{(shared or one).key}", []).append(one)
    for members in groups.values():
        yield members[0] if sum(map(count, members)) == 1 else _as_one(members)


def count(one: Trouble) -> int:
    """How many items it stands for."""
    return sum(_counted(one).values())


def gather(troubles: Troubles, site: str) -> None:
    """Count together what has been gone for a week: into one row a stream, from which each goes in the same commit.

    What changes meanwhile stays as it is until the next time. Raises LedgerError.
    """
    before = troubles.store.now() - ASKED_AGAIN
    rows: dict[str, Trouble] = {}
    old: dict[str, list[Trouble]] = defaultdict(list)
    for one in troubles.open(site, Severity.NOTE):
        shared = cause(one)
        if shared and one.kind != "item":
            rows[one.key] = one
        elif shared and (one.last_failed or 0.0) < before:
            old[shared.key].append(one)
    with suppress(Conflict):
        for key, members in old.items():
            for first in range(0, len(members), _AT_ONCE):
                rows[key] = _gathered(troubles, rows.get(key), members[first : first + _AT_ONCE])


def _gathered(troubles: Troubles, row: Trouble | None, members: Sequence[Trouble]) -> Trouble:
    """The stream's row with these counted too. Raises Conflict, LedgerError."""
    made = _as_one([row, *members] if row else members)
    change = Replace(row.key, body(made), row.row) if row else Insert(made.key, body(made))
    gone = [Delete(one.key, one.row) for one in members]
    return replace(made, row=troubles.store.commit(RUNS, OPEN + made.site, [change, *gone])[0])


def _counted(one: Trouble) -> Counter[str]:
    return Counter(one.found["counted"]) if "counted" in one.found else Counter({one.state: 1})


def _as_one(members: Sequence[Trouble]) -> Trouble:
    """Several of one cause as one: how many of which state, from the first of them to the last."""
    shared = cause(members[0]) or members[0]
    counted = sum(map(_counted, members), Counter[str]())
    numbers = ", ".join(_WORDS[state].format(number) for state, number in sorted(counted.items()))
    why = "" if shared.place == GONE else f": {members[0].reason}"
    return replace(
        shared,
        reason=f"{numbers}{why}",
        attempts=max(one.attempts for one in members),
        first_failed=min((one.first_failed for one in members if one.first_failed is not None), default=None),
        last_failed=max((one.last_failed for one in members if one.last_failed is not None), default=None),
        next_try=min((one.next_try for one in members if one.next_try is not None), default=None),
        forgotten_at=min((one.forgotten_at for one in members if one.forgotten_at), default=None),
        found={"counted": dict(counted)},
    )
