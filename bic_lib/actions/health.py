"""Whether all is well, as everybody is told it: the same value for the command, the route, the pages and exit statuses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bic_lib.actions.formatting import count
from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import SettingsError
from bic_lib.core.health import Facts, Health, Severity, Trouble, health
from bic_lib.engine.app import App
from bic_lib.engine.health import broken_settings, facts, read


def look(app: App, broken: SettingsError | None = None) -> Health:
    """How everything stands now. `broken`: what is wrong with the settings, where `app` is made of the last good ones.

    Raises LedgerError.
    """
    return reckon(facts(app, read(app)), broken)


def reckon(found: Facts, broken: SettingsError | None = None) -> Health:
    """What these facts amount to."""
    return health(_with_settings(found, broken) if broken else found)


def _with_settings(found: Facts, broken: SettingsError) -> Facts:
    """The ledger may not know yet that the settings are broken; what it knew is told once."""
    known = next((one.since for one in found.others if one.subject.kind == "settings"), None)
    others = [one for one in found.others if one.subject.kind != "settings"]
    return Facts(found.sites, found.destinations, found.streams, found.items, [*others, broken_settings(str(broken), known)])


def shown(found: Health) -> dict[str, Any]:
    """The value of `bic health --json` (docs/design.md 6)."""
    return {"state": found.state, "loses_from": iso(found.loses_from), "troubles": [_trouble(one) for one in found.troubles]}


def _trouble(one: Trouble) -> dict[str, Any]:
    return {
        "severity": str(one.severity),
        "subject": {**asdict(one.subject), "text": str(one.subject)},
        "since": iso(one.since),
        "times": one.times,
        "text": one.text,
        "hint": one.hint,
        "next_try": iso(one.next_try),
        "loses_from": iso(one.loses_from),
    }


def headline(found: Health) -> str:
    """One line that says it."""
    return headline_of(shown(found))


def headline_of(told: Mapping[str, Any]) -> str:
    """The same, of what `bic health --json` says."""
    counted, loses = counted_of(told), told["loses_from"]
    if counted is None:
        return "All is well."
    return f"Ill: {counted}{f'; {forgetting(loses)}' if loses else ''}."


def counted_of(told: Mapping[str, Any]) -> str | None:
    """How many troubles there are, and how bad; None where there is none."""
    ill = [one for one in told["troubles"] if Severity(one["severity"]).is_ill]
    return f"{count(len(ill), 'trouble')}, the worst: {ill[0]['severity']}" if ill else None


def forgetting(loses_from: str, what: str = "it", now: float | None = None) -> str:
    """A sentence without its capital: on which day the appliance forgets the first of `what`, or since when it does.

    `now` in Unix seconds, else this machine's.
    """
    if is_over(loses_from, now):
        return f"the appliance has been forgetting {what} since {loses_from[:10]}"
    return f"the appliance forgets the first of {what} on {loses_from[:10]}"


def forgetting_one(forgotten_at: str) -> str:
    """The same of a single item."""
    return f"the appliance {'forgot' if is_over(forgotten_at) else 'forgets'} it on {forgotten_at[:10]}"


def is_over(moment: str, now: float | None = None) -> bool:
    """Whether this ISO time is not ahead any more."""
    return moment <= (iso(time.time() if now is None else now) or "")
