"""Whether all is well, as everybody is told it: the same value for the command, the route, the pages and exit statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

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
    ill = [one for one in told["troubles"] if Severity(one["severity"]).is_ill]
    if not ill:
        return "All is well."
    counted = f"{len(ill)} trouble{'s' * (len(ill) != 1)}"
    loses = f"; the appliance forgets the first of it on {told['loses_from'][:10]}" if told["loses_from"] else ""
    return f"Ill: {counted}, the worst: {ill[0]['severity']}{loses}."
