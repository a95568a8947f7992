"""Notes of destinations, by their keys in the partition where the rests of destinations stand.

A site's first pull into a destination begins only where nothing lies that this ledger should know: :func:`begun` says that it was
looked at, :func:`stopped` that something lies there, :func:`filled` that somebody wants it fetched all the same. One that has
any of these notes (:func:`used` is for nothing else) and is empty, though the ledger knows what is stored there, was emptied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def adopted(destination: str) -> str:
    """Files that lay there were taken into the ledger."""
    return f"adopted|{destination}"


def begun(site: str, destination: str) -> str:
    """Whatever of the site lay there was looked at: the site's first pull into it may begin, or has."""
    return f"begun|{site}|{destination}"


def stopped(site: str, destination: str) -> str:
    """Files of the site lie there that the ledger does not know. Its body tells `since` when and `why`."""
    return f"stopped|{site}|{destination}"


def filled(destination: str) -> str:
    """Somebody wants it filled, whatever lies there."""
    return f"filled|{destination}"


def used(destination: str) -> str:
    """Something was stored there before any first pull into it began: backups alone."""
    return f"used|{destination}"


def refilled(destination: str) -> str:
    """Somebody knows that it was emptied, and wants it filled anew; so until it holds something."""
    return f"refilled|{destination}"


def all_stopped(notes: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Key, site and destination of each note of :func:`stopped` among these keys."""
    for key in notes:
        match key.split("|"):
            case ["stopped", site, destination]:
                yield key, site, destination


def of_destination(note: str) -> str:
    """The destination that a note is about, "" for what is none."""
    match note.split("|"):
        case ["begun" | "stopped", _, destination] | ["adopted" | "filled" | "used" | "refilled", destination]:
            return destination
    return ""


def of_site(note: str) -> str:
    """The site that a note is about besides its destination, "" for one that is of the destination alone."""
    match note.split("|"):
        case ["begun" | "stopped", site, _]:
            return site
    return ""
