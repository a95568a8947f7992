"""What verify finds stays in the ledger as a trouble, until a later verify finds it well, a repair, or somebody has seen it."""

from __future__ import annotations

from dataclasses import replace

from bic_lib.core.health import Severity
from bic_lib.engine.proving import Problem
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import Record
from bic_lib.ledger.troubles import DAMAGED, FOREIGN, Trouble, finding

KEPT = frozenset({"missing", "altered", "size", "unreadable", FOREIGN})
"""Problems that are kept. Rows that are newer are proof of something else."""


class Findings:
    """The findings that are open or were seen, and those of this verify."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open = {_place(one): one for one in ledger.troubles.open() if _found_by_verify(one)}
        self._seen = {_place(one): one for one in ledger.troubles.seen() if _found_by_verify(one)}

    def damaged(self) -> list[Problem]:
        """Each damaged row of the ledger that nobody has seen yet. Raises LedgerError."""
        troubles = (one for one in self._ledger.troubles.open() if one.state == DAMAGED)
        return [Problem("", one.place.encode("ascii", "backslashreplace").decode(), "", DAMAGED, one.reason) for one in troubles]

    def looked_at(self, found: list[tuple[Record, Problem | None]]) -> None:
        """Keep what is wrong with these transfers, and take off what is well again. Raises LedgerError."""
        well = [finding(record) for record, problem in found if problem is None]
        self._ledger.troubles.clear(one for trouble in well if (one := self._open.pop(_place(trouble), None)))
        now = self._ledger.now()
        self._note([_about(record, problem, now) for record, problem in found if problem])

    def patterns(self, destination: str) -> list[str]:
        """The names of foreign files there that somebody has seen, those to come too."""
        seen = (one for one in self._seen.values() if _is_foreign(one, destination))
        return [str(one.found["pattern"]) for one in seen if "pattern" in one.found]

    def foreign(self, destination: str, found: list[Problem]) -> list[Problem]:
        """Keep what of a destination is foreign now; returns what nobody has seen yet. Raises LedgerError."""
        now = self._ledger.now()
        troubles = {_place(one): (one, problem) for problem in found for one in [_stranger(problem, now)]}
        gone = [one for place, one in self._open.items() if _is_foreign(one, destination) and place not in troubles]
        self._ledger.troubles.clear(gone)
        unseen = {place: told for place, told in troubles.items() if not self._was_seen(told[0])}
        self._note([trouble for trouble, _ in unseen.values()])
        return [problem for _, problem in unseen.values()]

    def _note(self, troubles: list[Trouble]) -> None:
        """What was seen as it is now is not told again; what is open keeps the time when it was found first."""
        fresh = [one for one in troubles if one.state in KEPT and not self._was_seen(one)]
        self._ledger.troubles.note(_since(one, self._open.get(_place(one))) for one in fresh)
        self._open |= {_place(one): one for one in fresh}

    def _was_seen(self, trouble: Trouble) -> bool:
        seen = self._seen.get(_place(trouble))
        return seen is not None and (seen.state, seen.reason) == (trouble.state, trouble.reason)


def _found_by_verify(trouble: Trouble) -> bool:
    return trouble.severity is Severity.UNPROVEN and trouble.state in KEPT


def _place(trouble: Trouble) -> tuple[str, str]:
    return trouble.site, trouble.key


def _is_foreign(trouble: Trouble, destination: str) -> bool:
    return trouble.state == FOREIGN and trouble.destination == destination


def _since(trouble: Trouble, before: Trouble | None) -> Trouble:
    return replace(trouble, first_failed=before.first_failed if before else trouble.last_failed)


def _about(record: Record, problem: Problem, now: float) -> Trouble:
    words = f"verify found it {_WORDS.get(problem.problem, problem.problem)}"
    return finding(record, problem.problem, f"{words}: {problem.detail}" if problem.detail else words, now)


def like(destination: str, pattern: str, count: int, now: float) -> Trouble:
    """Foreign files of a destination by their names, for somebody who has seen them."""
    return Trouble(
        Severity.UNPROVEN,
        site="",
        data="",
        destination=destination,
        state=FOREIGN,
        kind="destination",
        reason=f"files like {pattern} ({count:,} by then)"[:1000],
        first_failed=now,
        last_failed=now,
        place=f"foreign:{pattern}",
        found={"pattern": pattern},
    )


_WORDS = {"size": "of another size"}


def _stranger(problem: Problem, now: float) -> Trouble:
    return Trouble(
        Severity.UNPROVEN,
        site="",
        data="",
        destination=problem.destination,
        state=FOREIGN,
        lsid=problem.lsid,
        kind="destination",
        reason=f"{problem.location}: {problem.detail}"[:1000],
        last_failed=now,
        place=problem.location,
    )
