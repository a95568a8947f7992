"""Sites, destinations and streams that fail or lag, as `bic failures` lists them: with what waits behind each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bic_lib.actions.timestamps import iso
from bic_lib.core.health import Facts, Subject, Trouble, health
from bic_lib.core.model import Stream
from bic_lib.engine.app import App
from bic_lib.engine.health import Known, facts
from bic_lib.ledger import rests
from bic_lib.ledger.streams import Standing

KINDS = ("site", "destination", "stream")


def listed(app: App, known: Known) -> Iterator[dict[str, Any]]:
    """A row for each, the worst first; what is parked or only noted is none."""
    found = facts(app, known)
    failed_at = _last_failures(known.standing)
    for one in _worst(replace(found, items=[], others=[])):
        named = {name: getattr(one.subject, name) for name in ("site", "data", "destination")}
        times = (("first_failed", one.since), ("last_failed", failed_at.get(one.subject)), ("next_try", one.next_try))
        yield {
            "id": identity(one.subject),
            "kind": one.subject.kind,
            "severity": str(one.severity),
            **{name: str(value) for name, value in named.items()},
            "lsid": "",
            "instance": None,
            "state": str(one.severity),
            "count": 1,
            "attempts": one.times,
            "reason": one.text,
            "waiting": sum(stream.waiting for stream in found.streams if _behind(one.subject, stream.stream)),
            "start": None,
            "end": None,
            **{name: iso(value) for name, value in times},
            "forgotten_at": iso(one.loses_from),
            "acknowledged": None,
            "acknowledged_by": "",
        }


def identity(subject: Subject) -> str:
    """Its name for `bic retry`, the same for its whole life: `site:NAME`, `destination:NAME`, `stream:SITE/DATA/DESTINATION`."""
    parts = (subject.site, subject.data, subject.destination)
    return f"{subject.kind}:{'/'.join(part for part in parts if part)}"


def named(identity_: str) -> tuple[str, str] | None:
    """The site and the destination that such a name means ("" for none); None for what is no such name."""
    kind, _, name = identity_.partition(":")
    match kind, name.split("/"):
        case "site", [site] if site:
            return site, ""
        case "destination", [destination] if destination:
            return "", destination
        case "stream", [site, _, destination]:
            return site, destination
    return None


def _worst(found: Facts) -> list[Trouble]:
    """Of each subject its worst trouble, with the reasons of all."""
    troubles: dict[Subject, Trouble] = {}
    for one in health(found).troubles:
        if one.severity.is_ill and one.subject.kind in KINDS:
            first = troubles.setdefault(one.subject, one)
            if first is not one:
                troubles[one.subject] = replace(first, text=f"{first.text} {one.text}")
    return list(troubles.values())


def _behind(subject: Subject, stream: Stream) -> bool:
    """Whether what waits for this stream waits behind the subject."""
    wanted = (subject.site, subject.data, subject.destination)
    return all(name in ("", its) for name, its in zip(wanted, (stream.site, stream.data, stream.destination), strict=True))


def _last_failures(standing: Standing) -> dict[Subject, float]:
    found: dict[Subject, float] = {}
    for one in rests.failing(standing):
        subject = Subject("site", one.name) if one.is_site else Subject("destination", destination=one.name)
        found[subject] = max(found.get(subject, 0.0), one.rest.failed_at)
    return found
