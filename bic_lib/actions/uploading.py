"""Import of uploaded session XML: kept among the uploads, then taken in by whoever visits the site next."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bic_lib.actions.importing import SCHEDULE, demand_known, owner
from bic_lib.errors import BicError
from bic_lib.ledger.history import RunId
from bic_lib.model import BrokenDocument, ReportKind
from bic_lib.run import App
from bic_lib.steps import imports


@dataclass(slots=True)
class PlannedImport:
    """The run of an import, and what was refused: a file's name and why."""

    run: str
    refused: list[tuple[str, str]] = field(default_factory=list)


def plan_import(app: App, files: Sequence[tuple[str, bytes]], destinations: Sequence[str], *, site: str | None) -> PlannedImport:
    """Keep the usable files and write the steps that take them in. Raises UsageError, DestinationError, LedgerError."""
    demand_known(app, destinations, site)
    run = RunId(int(app.ledger.now()), f"{SCHEDULE}-{time.time_ns() % 10**9:09d}")
    planned = PlannedImport(str(run))
    kept: dict[tuple[str, ReportKind], list[str]] = defaultdict(list)
    for number, (name, content) in enumerate(files):
        belongs = site or owner(app, name)
        if belongs is None:
            planned.refused.append((name, "its name begins with no configured host; name the site"))
            continue
        for kind in _kinds(app, name, content, planned):
            location = f"{run}-{number}-{kind}.xml"
            app.uploads.store().put(location, content, replace=True)
            kept[belongs, kind].append(location)
    app.ledger.history.begin(run, SCHEDULE, [imports.unit(*place) for place in kept])
    now = app.ledger.now()
    for (name, kind), locations in kept.items():
        step = imports.import_step(name, kind, planned.run, now, files=locations, destinations=destinations)
        app.ledger.work.plan([step])
    return planned


def _kinds(app: App, name: str, content: bytes, planned: PlannedImport) -> list[ReportKind]:
    """Of which reports a file holds documents; what can't be read is refused by name."""
    try:
        documents = list(app.uploads.read(content))
    except BicError as error:
        planned.refused.append((name, str(error)))
        return []
    if not documents:
        planned.refused.append((name, "holds no session"))
    kinds = set()
    for document in documents:
        if isinstance(document, BrokenDocument):
            planned.refused.append((name, f"session {document.lsid or '?'}: {document.reason}"))
        else:
            kinds.add(imports.kind_of(document))
    return sorted(kinds)
