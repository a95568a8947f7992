"""Asking for sessions by their ids: one bad id costs the others nothing (docs/design.md 10).

A call that the appliance refuses as a whole is made again in halves, until the bad id stands alone. One that is cut off, or that
a gateway gives up, was too big: the next try is about half as many, and what fails alone then is to blame for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from bic_lib.core.errors import BicError, Interrupted, ItemError, Overtaxed
from bic_lib.core.model import ReportKind, Selection, Window
from bic_lib.engine.steps.documents import DocumentIntake
from bic_lib.engine.steps.job import Job

LSIDS_PER_CALL = 50
"""No limit is documented; docs/appliance.md 8.3.4."""


class Questions:
    """Calls by ids, at most `most` in one, whose sessions go to an intake. `bad` are ids that failed alone, and why."""

    def __init__(self, job: Job, kind: ReportKind, intake: DocumentIntake, most: int = LSIDS_PER_CALL) -> None:
        self.most = most
        self.bad: dict[str, BicError] = {}
        self._job, self._kind, self._intake = job, kind, intake

    def ask(self, lsids: Sequence[str]) -> None:
        """Take in what comes. Raises Interrupted and Overtaxed after lowering `most`, and SiteError.

        Raises ItemError when the site refuses a question without ids as well: then no id is to blame.
        """
        apart = [lsid for lsid in lsids if "," in lsid]  # one of these would be taken for two
        rest = [lsid for lsid in lsids if "," not in lsid]
        for some in (*(rest[at : at + self.most] for at in range(0, len(rest), self.most)), *([lsid] for lsid in apart)):
            self._call(some)
        if self.bad:
            self._demand_answer()

    def _call(self, lsids: Sequence[str]) -> None:
        try:
            with self._job.appliance.report(self._kind, Selection(lsids=tuple(lsids))) as report:
                self._intake.take(report)
        except (ItemError, Overtaxed) as error:
            if self._job.overdue:
                raise
            half = len(lsids) // 2
            if half == 0:
                self.bad[lsids[0]] = error
            elif isinstance(error, Interrupted | Overtaxed):
                self.most = half
                raise
            else:
                self._call(lsids[:half])
                self._call(lsids[half:])

    def _demand_answer(self) -> None:
        """Raises what the site says to a question about one second, if it refuses that too."""
        now = int(self._job.appliance.now()[0])
        with self._job.appliance.report(self._kind, Selection(ended=Window(now - 1, now))) as report:
            for _ in report:
                return
