"""Import of uploaded session XML: kept among the uploads, then taken in by whoever visits the site next."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from bic_lib.actions.belonging import anothers, owner
from bic_lib.actions.importing import LONGEST, SCHEDULE, demand_known, not_taken, refusal, taking_kind
from bic_lib.core.errors import BicError, UsageError
from bic_lib.core.model import DAY, DOCUMENT_OF, DOCUMENTS, BrokenDocument, DataType, ReportKind
from bic_lib.engine.app import App
from bic_lib.engine.steps import imports
from bic_lib.ledger.history import RunId

_CUT_OFF_AFTER = DAY
"""An upload that is not whole by then never will be: its sender was told so, or this process was killed."""


@dataclass(slots=True)
class PlannedImport:
    """The run of an import, and what was refused: a file's name and why."""

    run: str
    refused: list[tuple[str, str]] = field(default_factory=list)


def plan_import(
    app: App,
    files: Sequence[tuple[str, bytes]],
    destinations: Sequence[str],
    *,
    site: str | None,
    data: Collection[DataType] = DOCUMENTS,
) -> PlannedImport:
    """Keep the usable files and write the steps that take in what of `data` they hold.

    Raises UsageError, DestinationError, LedgerError.
    """
    demand_known(app, destinations, site)
    run = RunId(int(app.ledger.now()), f"{SCHEDULE}-{time.time_ns() % 10**9:09d}")
    planned = PlannedImport(str(run))
    kept = _usable(app, files, destinations, site, data, planned)

    now = app.ledger.now()
    steps = {
        place: imports.import_step(*place, str(run), now, files=len(held), destinations=taking_kind(app, place[1], destinations))
        for place, held in kept.items()
    }
    # First of all the steps, so that whatever is kept from here on goes again even if this process is killed.
    app.ledger.work.plan([replace(step, due_at=now + _CUT_OFF_AFTER) for step in steps.values()])
    units = [unit for step in steps.values() for unit in imports.units(step)]
    app.ledger.history.begin(run, SCHEDULE, [SCHEDULE, *units], seconds=LONGEST, asks=False)
    app.ledger.history.unit_done(str(run), SCHEDULE, now, refusal(planned.refused))
    for place, held in kept.items():
        for number, content in enumerate(held):
            app.uploads.store().put(imports.upload(str(run), *place, number), content, replace=True)
    for step in steps.values():
        app.ledger.work.make_due(imports.whole(step))
    return planned


def _usable(
    app: App,
    files: Sequence[tuple[str, bytes]],
    destinations: Sequence[str],
    site: str | None,
    data: Collection[DataType],
    planned: PlannedImport,
) -> dict[tuple[str, ReportKind], list[bytes]]:
    """The contents to be kept, by the site that they belong to and the report that they came from."""
    kept: dict[tuple[str, ReportKind], list[bytes]] = defaultdict(list)
    for name, content in files:
        try:
            belongs = owner(app, PurePath(name), site)
        except UsageError as error:
            planned.refused.append((name, str(error)))
            continue
        for kind in _kinds(app, name, content, belongs, planned):
            if DOCUMENT_OF[kind] not in data:
                planned.refused.append((name, f"it holds {DOCUMENT_OF[kind]}, which were not asked for"))
                continue
            takers = taking_kind(app, kind, destinations)
            planned.refused += [(name, not_taken(kind, other)) for other in destinations if other not in takers]
            if takers:
                kept[belongs, kind].append(content)
    return kept


def _kinds(app: App, name: str, content: bytes, belongs: str, planned: PlannedImport) -> list[ReportKind]:
    """Of which reports a file holds documents; what can't be read is refused by name. None of them is kept in memory."""
    kinds, count = set(), 0
    try:
        for count, document in enumerate(app.uploads.read(content), 1):  # noqa: B007  # how many there were
            if isinstance(document, BrokenDocument):
                planned.refused.append((name, f"session {document.lsid or '?'}: {document.reason}"))
            elif why := anothers(app, document, belongs):
                planned.refused.append((name, why))
                return []
            else:
                kinds.add(imports.kind_of(document))
    except BicError as error:
        planned.refused.append((name, str(error)))
        return []
    if not count:
        planned.refused.append((name, "holds no session"))
    return sorted(kinds)
