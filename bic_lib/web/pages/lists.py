"""Sites, destinations, schedules, runs and failures: a list of each, as a page and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bic_lib.actions import runs
from bic_lib.actions.failures import failures
from bic_lib.actions.status import status
from bic_lib.core.health import Severity
from bic_lib.settings.loading import Settings
from bic_lib.web.http import Response, answer
from bic_lib.web.pages.asked import Asked
from bic_lib.web.pages.listing import listing

Values = dict[str, Any]
Rows = list[Values]
FLAGS = ("all", "each")
"""Of failures: what was acknowledged as well; those of one cause one by one."""
RUNS_READ = 500
"""The newest, of which a list of runs is made: some weeks of an hourly schedule."""


@dataclass(frozen=True, slots=True)
class List:
    """One kind of list. `columns` are key ("": no order by it), heading, and whether it holds numbers."""

    name: str
    template: str
    rows: Callable[[Asked], Rows]
    columns: tuple[tuple[str, str, bool], ...]
    command: str
    filters: tuple[str, ...] = ()
    order: str = ""
    empty: str = "There is none."
    flags: tuple[str, ...] = ()

    @property
    def headings(self) -> dict[str, str]:
        """How the columns are called."""
        return {key: heading for key, heading, _ in self.columns}

    def show(self, asked: Asked) -> Response:
        """The page."""
        made = listing(asked.request, self.rows(asked), filters=self.filters, order=self.order, flags=self.flags)
        values: Values = {
            "columns": self.columns,
            "command": self.command,
            "empty": self.empty,
            "title": self.name.capitalize(),
            "headings": self.headings,
        }
        return asked.page(self.template, listing=made, **values)

    def show_json(self, asked: Asked) -> Response:
        """All rows that fit, for programs."""
        made = listing(asked.request, self.rows(asked), filters=self.filters, order=self.order, flags=self.flags)
        return answer(200, {self.name: list(made.found)})


# --- rows ------------------------------------------------------------------------------------------------------------


def standing(asked: Asked) -> Values:
    """The value of `bic status --json`."""
    return status(asked.app, asked.host.broken())


def sites(shown: Values) -> Rows:
    """The sites of a status, with the sums of their streams, and how bad the worst of their troubles is ("" without any)."""
    sums = _sums(shown["streams"], "site")
    worst = {
        one["subject"]["site"]: one["severity"] for one in reversed(shown["health"]["troubles"]) if one["severity"] != "note"
    }
    return [
        {**one, **sums[one["name"]], "worst": worst.get(one["name"], ""), "backup_at": (one["backup"] or {}).get("start")}
        for one in shown["sites"]
    ]


def destinations(shown: Values, settings: Settings) -> Rows:
    """The destinations of a status and of the settings, with the sums of their streams."""
    sums = _sums(shown["streams"], "destination")
    known = {one["name"]: one for one in shown["destinations"]}
    configured = settings.destinations
    unused = {"state": "parked", "reason": "", "since": None, "until": None}
    return [
        {"name": name, "kind": configured[name].kind if name in configured else None, **known.get(name, unused), **sums[name]}
        for name in dict.fromkeys([*known, *configured])
    ]


def _sums(streams: Iterable[Values], by: str) -> defaultdict[str, Values]:
    sums: defaultdict[str, Values] = defaultdict(lambda: {"lag_seconds": None, "waiting": 0, "failed": 0})
    for one in streams:
        sum_ = sums[one[by]]
        lags = [lag for lag in (sum_["lag_seconds"], one["lag_seconds"]) if lag is not None and not one["parked"]]
        sum_["lag_seconds"] = max(lags, default=sum_["lag_seconds"])
        sum_["waiting"] += one["waiting"]
        sum_["failed"] += one["failed"]
    return sums


def _schedules(asked: Asked) -> Rows:
    return list(standing(asked)["schedules"])


def _runs(asked: Asked) -> Rows:
    return runs.runs(asked.app.ledger, RUNS_READ)


def _failures(asked: Asked) -> Rows:
    """The worst first."""
    everything, each = (asked.request.args.get(flag) == "1" for flag in FLAGS)
    found = failures(asked.app, everything=everything, each=each)
    return sorted(found, key=lambda one: Severity(one["severity"]).rank)


def _sites(asked: Asked) -> Rows:
    """Those that are ill first, the worst of them at the top."""
    return sorted(sites(standing(asked)), key=lambda one: (not one["worst"], one["worst"] and Severity(one["worst"]).rank))


SITES = List(
    "sites",
    "sites.html",
    _sites,
    (
        ("name", "site", False),
        ("host", "host", False),
        ("state", "state", False),
        ("lag_seconds", "lag", True),
        ("waiting", "waiting", True),
        ("failed", "failed", True),
        ("backup_at", "newest backup", False),
    ),
    "bic status",
    ("state",),
)
DESTINATIONS = List(
    "destinations",
    "destinations.html",
    lambda asked: destinations(standing(asked), asked.host.settings()),
    (
        ("name", "destination", False),
        ("kind", "kind", False),
        ("state", "state", False),
        ("waiting", "waiting", True),
        ("failed", "failed", True),
    ),
    "bic status",
    ("kind", "state"),
)
SCHEDULES = List(
    "schedules",
    "schedules.html",
    _schedules,
    (
        ("name", "schedule", False),
        ("every", "period", False),
        ("last_run", "last run", False),
        ("last_outcome", "outcome", False),
        ("next_due", "next due", False),
        ("", "transfers", True),
    ),
    "bic status",
    empty="There is none: nothing is fetched by itself.",
)
RUNS = List(
    "runs",
    "runs.html",
    _runs,
    (
        ("started", "started", False),
        ("schedule", "schedule", False),
        ("outcome", "outcome", False),
        ("finished", "finished", False),
        ("stored", "stored", True),
        ("skipped", "skipped", True),
        ("failed", "failed", True),
        ("bytes", "size", True),
    ),
    "bic runs",
    ("schedule", "outcome"),
    "-started",
    "There was none yet.",
)
FAILURES = List(
    "failures",
    "failures.html",
    _failures,
    (
        ("severity", "state", False),
        ("data", "what", False),
        ("site", "site", False),
        ("destination", "destination", False),
        ("reason", "reason", False),
        ("attempts", "tries", True),
        ("next_try", "next try", False),
        ("forgotten_at", "forgotten", False),
    ),
    "bic failures",
    ("severity", "site", "destination", "data"),
    empty="Nothing has failed.",
    flags=FLAGS,
)
LISTS = (SITES, DESTINATIONS, SCHEDULES, RUNS, FAILURES)
