"""What somebody names for a download or an import: sites and destinations of the settings."""

from __future__ import annotations

from collections.abc import Iterable

from bic_lib.engine.app import App


def unusable_sites(app: App, names: Iterable[str]) -> list[str]:
    """Why sites can't be used, a line each: nobody would ever do the work of one that is disabled."""
    return [
        f"the site {name} is disabled" if name in app.sites else f"there is no site {name}"
        for name in names
        if name not in app.sites or not app.sites[name].enabled
    ]


def unknown_destinations(app: App, names: Iterable[str]) -> list[str]:
    """A line for each that the settings don't have."""
    return [f"there is no destination {name}" for name in names if name not in app.destinations]
