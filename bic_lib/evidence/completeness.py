"""Completeness: what the appliance listed of a day against what became of it, destination by destination (docs/design.md 14).

A day is told when it is sealed, again whenever its figures have changed, and a last time when the appliance forgets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from bic_lib.core.model import DAY, DOCUMENTS, REPORT_OF, DataType, ReportKind, State
from bic_lib.core.ports.store import Put, Row
from bic_lib.evidence.statement import canonical, digest
from bic_lib.ledger import Ledger
from bic_lib.ledger.listings import Listing, Listings
from bic_lib.ledger.records import HELD, ITEMS, is_transfer, key_text
from bic_lib.ledger.seals import SEALS

LOOKED_BACK = 7
"""Days before the sealed one that are looked at each time: as long as the daily pass lists them by default."""
_FIGURES = ("delivered", "open", "waiting", "failed", "lost")
_UNDELIVERED = frozenset({"open", "waiting", "failed", "lost"})
_WORDS = {
    State.FAILED: "failed",
    State.REFUSED: "failed",
    State.PLANNED: "waiting",
    State.WAITING: "waiting",
    State.LOST: "lost",
    State.GIVEN_UP: "lost",
    State.EXPIRED: "lost",
    State.NONE: "lost",
    State.SKIPPED: "skipped",
    State.PURGED: "purged",
    State.PURGING: "purged",
    State.RETIRED: "retired",
    State.REPLACED: "replaced",
}
_NOT_ASKED = "no listing of this day has been had yet"


@dataclass(frozen=True, slots=True)
class Reports:
    """Which report kinds of a site go to which destinations; how long its appliance keeps things, in seconds.

    `why`: for what reason the appliance is not asked; empty where it is.
    """

    kinds: Mapping[ReportKind, Sequence[str]]
    keeps: int
    why: str = ""


@dataclass(slots=True)
class _Counted:
    """What a day's rows tell of one report kind. Sessions are kept by their ids only where something of them is amiss.

    `unknown`: those that were listed when the ledger did not know them, and knows none of them yet; `open`: of each destination
    those that have not ended, and are not there.
    """

    unknown: set[str]
    documents: dict[str, Counter[str]]
    recordings: dict[str, Counter[str]]
    open: dict[str, set[str]]
    missing: set[str] = field(default_factory=set)


def days(ledger: Ledger, site: str, reports: Reports, day: date, touched: Iterable[str]) -> list[dict[str, Any]]:
    """What a seal of `day` says of a site: that day, days whose figures have changed, and the one that is forgotten.

    `touched`: further days on which something changed. Raises LedgerError.
    """
    looked_at = {day - timedelta(days=back) for back in range(LOOKED_BACK + 1)} | {date.fromisoformat(one) for one in touched}
    last = day - timedelta(days=reports.keeps // DAY)
    wanted = sorted({one for one in looked_at if last <= one <= day} | {last})
    listings = {
        (one.day, one.kind): one for one in Listings(ledger.store).between(site, wanted[0].isoformat(), wanted[-1].isoformat())
    }
    stated = {row.key: row.body for row in ledger.store.scan(SEALS, _stated(site), wanted[0].isoformat())}
    found = []
    for one in wanted:
        for kind, destinations in reports.kinds.items():
            listing = listings.get((one.isoformat(), str(kind)))
            before = stated.get(f"{one.isoformat()}|{kind}")
            final = one == last
            if final and before is None and listing is None:
                continue  # it was over before sealing began
            if before and not final and one.isoformat() not in touched and _is_settled(before, listing):
                continue
            told = _told(ledger, site, one, kind, destinations, listing, reports.why)
            if final:
                told["final"] = True
            if one == day or final or before is None or before["sha256"] != _sum(told):
                found.append(told)
    return found


def note(ledger: Ledger, site: str, told: Iterable[Mapping[str, Any]]) -> None:
    """What was stated is known from now on. May be repeated. Raises LedgerError."""
    for one in told:
        settled = not one["missing"] and one["listed"] is not None
        body = {"sha256": _sum(one), "listed": one["listed"], "settled": settled, "asked_at": one["asked_at"]}
        ledger.store.commit(SEALS, _stated(site), [Put(f"{one['day']}|{one['kind']}", body)])


def _stated(site: str) -> str:
    return f"stated|{site}"


def _is_settled(before: Mapping[str, Any], listing: Listing | None) -> bool:
    return bool(before["settled"]) and listing is not None and (listing.listed, listing.unknown) == (before["listed"], ())


def _sum(told: Mapping[str, Any]) -> str:
    """The figures in one digest, whenever they were asked for."""
    return digest(canonical({name: value for name, value in told.items() if name not in ("asked_at", "final")}))


def _told(
    ledger: Ledger, site: str, day: date, kind: ReportKind, destinations: Sequence[str], listing: Listing | None, why: str
) -> dict[str, Any]:
    counted = _Counted(
        set(listing.unknown if listing else ()),
        {name: Counter() for name in destinations},
        {name: Counter() for name in destinations},
        {name: set() for name in destinations},
    )
    _count(ledger.store.scan(ITEMS, f"{site}|{day.isoformat()}"), kind, counted)
    told = {
        "day": day.isoformat(),
        "kind": str(kind),
        "listed": listing.listed if listing else None,
        "asked_at": _iso(listing.asked_at) if listing else None,
        "final": False,
        "destinations": {
            name: {**dict.fromkeys(_FIGURES, 0), **counted.documents[name], "recordings": _recordings(counted.recordings[name])}
            for name in destinations
        },
        "missing": sorted(counted.missing | counted.unknown),
    }
    return told if listing else {**told, "listing": "none", "why": why or _NOT_ASKED}


def _recordings(states: Counter[str]) -> dict[str, int]:
    return {"announced": sum(states.values()), "delivered": states["delivered"]}


def _count(rows: Iterable[Row], kind: ReportKind, counted: _Counted) -> None:
    """Take a day's rows in: in their order documents come before sessions' and presentations' transfers."""
    for _, versions in groupby((row for row in rows if is_transfer(row) or row.key.startswith("document|")), _without_version):
        *_, newest = versions
        parts = newest.key.split("|")
        if parts[0] == "document":
            _take_document(key_text(parts[1]), newest, kind, counted)
        elif REPORT_OF.get(DataType(parts[0])) is kind and parts[3] in counted.documents:
            _take_transfer(DataType(parts[0]), parts[3], newest, counted)
    for name, waiting in counted.open.items():
        counted.documents[name]["open"] += len(waiting)
        counted.missing |= waiting


def _take_document(lsid: str, row: Row, kind: ReportKind, counted: _Counted) -> None:
    counted.unknown.discard(lsid)
    if row.body.get("open") and kind is ReportKind.SUPPORT:
        for waiting in counted.open.values():
            waiting.add(lsid)


def _take_transfer(data: DataType, destination: str, row: Row, counted: _Counted) -> None:
    state = _state(row)
    if data not in DOCUMENTS:
        counted.recordings[destination][state] += 1
        return
    lsid = str(row.body.get("lsid", ""))
    counted.documents[destination][state] += 1
    counted.open[destination].discard(lsid)
    if state in _UNDELIVERED:
        counted.missing.add(lsid)


def _without_version(row: Row) -> str:
    return row.key if row.key.startswith("document|") else row.key.rpartition("|")[0]


def _state(row: Row) -> str:
    state = State(row.body["state"])
    if state in HELD:
        return "open" if row.body.get("open") else "delivered"
    return _WORDS.get(state, "waiting")


def _iso(moment: float) -> str:
    return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%SZ}"


def written(site: str, files: Mapping[str, str], told: Sequence[Mapping[str, Any]], was: str = "") -> bytes:
    """A site's completeness as it is published: its files by number, and the days; what it was called until now, if otherwise."""
    return canonical({"site": site, **({"was": was} if was else {}), "files": dict(files), "days": list(told)})
