"""Of how everything stands (:mod:`bic_lib.actions.status`), what concerns some sites, or only what is wrong."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from bic_lib.core.health import Severity

Shown = dict[str, Any]
"""The value of `bic status --json`. Its `health` is never narrowed: what is wrong elsewhere stays said."""


def of_sites(shown: Shown, sites: Collection[str]) -> Shown:
    """These sites, their streams, and the schedules and destinations that they use."""
    streams = [one for one in shown["streams"] if one["site"] in sites]
    used = {one["destination"] for one in streams}
    schedules = [one for one in shown["schedules"] if any(transfer["site"] in sites for transfer in one["transfers"])]
    return {
        **shown,
        "schedules": schedules,
        "streams": streams,
        "sites": [one for one in shown["sites"] if one["name"] in sites],
        "destinations": [one for one in shown["destinations"] if one["name"] in used],
    }


def of_problems(shown: Shown) -> Shown:
    """What troubles name, and schedules whose last run was not well. A destination's trouble does not name all its streams."""
    subjects = [one["subject"] for one in shown["health"]["troubles"] if Severity(one["severity"]).is_ill]
    of_a_site = [one for one in subjects if one["site"]]
    places = {one["destination"] for one in subjects if one["destination"]}
    return {
        **shown,
        "schedules": [one for one in shown["schedules"] if one["last_outcome"] in ("failed", "partly")],
        "streams": [stream for stream in shown["streams"] if any(_is_of(stream, subject) for subject in of_a_site)],
        "sites": [one for one in shown["sites"] if one["name"] in {subject["site"] for subject in of_a_site}],
        "destinations": [one for one in shown["destinations"] if one["name"] in places],
    }


def _is_of(stream: Shown, subject: Shown) -> bool:
    """What a subject does not name it is about all of."""
    return stream["site"] == subject["site"] and all(subject[name] in ("", stream[name]) for name in ("data", "destination"))
