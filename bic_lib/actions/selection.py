"""What somebody names: sites, destinations and schedules of the settings. A wrong name is told with what was meant."""

from __future__ import annotations

from collections.abc import Iterable

from bic_lib.core.errors import UsageError
from bic_lib.core.meant import meant
from bic_lib.engine.app import App


def demand(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises UsageError for the first name that is none of the known ones. `what`: `site`, `destination`, `schedule`."""
    known = list(known)
    for name in names:
        if name not in known:
            hint = meant(name, known)
            raise UsageError(f'There is no {what} "{name}".', hint=hint[0].upper() + hint[1:] + "." * (not hint.endswith("?")))


def unusable_sites(app: App, names: Iterable[str]) -> list[str]:
    """Why sites can't be used, a line each: nobody would ever do the work of one that is disabled."""
    return [
        f"the site {name} is disabled" if name in app.sites else _unknown("site", name, app.sites)
        for name in names
        if name not in app.sites or not app.sites[name].enabled
    ]


def unknown_destinations(app: App, names: Iterable[str]) -> list[str]:
    """A line for each that the settings don't have."""
    return [_unknown("destination", name, app.destinations) for name in names if name not in app.destinations]


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f'there is no {what} "{name}" ({meant(name, known)})'
