"""Import of the past: session XML that the vendor's program (or ours) stored, into any destination, without duplicates."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bic_lib.actions.belonging import anothers, owner
from bic_lib.actions.old_folders import Source, look
from bic_lib.actions.selection import unknown_destinations, unusable_sites
from bic_lib.core.errors import BicError, DestinationError, UsageError
from bic_lib.core.model import DAY, DOCUMENT_OF, DOCUMENTS, BrokenDocument, DataType, Document, Item, Outcome, ReportKind, State
from bic_lib.core.plan import HOUR
from bic_lib.engine import runs
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination, RowDestination
from bic_lib.engine.steps.imports import Unconnected, kind_of, taking
from bic_lib.engine.visit import holding_reports
from bic_lib.ledger.history import RunId

SCHEDULE = "import"
LONGEST = DAY + HOUR
"""Seconds after which the run of an import has ended; it has no period."""
_NAMED = 5
"""Refused files that a run names; the command and the HTTP answer name all."""
LARGEST_FILE = 1024**3
"""Bytes; a file is read whole."""
_FILES_AT_ONCE = 200
"""Files that are held with their content between two looks at the ledger."""

ReadDocument = Callable[[bytes], Iterable[Document | BrokenDocument]]


@dataclass(slots=True)
class Imported:
    """What was taken (the outcomes were told to the app's observer), and which files or sessions were refused, and why."""

    files: int = 0
    sessions: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def import_files(
    app: App,
    paths: Sequence[Path],
    destinations: Sequence[str],
    read: ReadDocument,
    *,
    site: str | None = None,
    data: Collection[DataType] = DOCUMENTS,
    force: bool = False,
    seen: Callable[[Path], None] = lambda _path: None,
    wait: Callable[[], None] = lambda: time.sleep(1.0),
) -> Imported:
    """Import session XML from files and folders (searched for `*.xml`) into these destinations.

    A session that the ledger knows for a destination, in any version, is left alone; so an interrupted import goes on where it
    stood when it is called again. What fails is given up, since nobody keeps the files: another import tries it again. Without
    `site` a file belongs to the site whose host its name begins with, or to the only site; one that begins with another host is
    refused. What is packed in a folder is named. Of `data` are the documents that are
    wanted; others are refused by name, and so is one for a destination that takes none such.
    Raises UsageError, LedgerError.
    """
    demand_known(app, destinations, site, [f"there is no file or folder {path}" for path in paths if not path.exists()])
    imported = Imported()
    found = look(paths)
    imported.refused += found.refused
    run = RunId(int(app.ledger.now()), f"{SCHEDULE}-{time.time_ns() % 10**9:09d}")
    app.ledger.history.begin(run, SCHEDULE, [SCHEDULE], seconds=LONGEST, asks=False, holder=app.ledger.holder)
    batch: dict[tuple[str, ReportKind], list[Document]] = defaultdict(list)
    for number, file in enumerate(found.xml, 1):
        _read(app, file, site, read, data, batch, imported)
        seen(file.path)
        if number % _FILES_AT_ONCE == 0:
            _take(app, batch, destinations, str(run), imported, force=force, wait=wait)
    _take(app, batch, destinations, str(run), imported, force=force, wait=wait)
    reasons = [*imported.troubles, *filter(None, [refusal(imported.refused)])]
    app.ledger.history.unit_done(str(run), SCHEDULE, app.ledger.now(), "; ".join(reasons))
    runs.end_those_over(app, only=str(run))
    return imported


def refusal(refused: Sequence[tuple[str, str]]) -> str:
    """What an import's run says of files that were refused; "" where none was."""
    named = "; ".join(f"{name}: {reason}" for name, reason in refused[:_NAMED])
    return f"refused: {named}{f' and {len(refused) - _NAMED} more' if len(refused) > _NAMED else ''}" if refused else ""


def demand_known(app: App, destinations: Sequence[str], site: str | None, problems: Sequence[str] = ()) -> None:
    """Raises UsageError when the settings have no such destination or no such enabled site, or for other problems found."""
    found = [*unknown_destinations(app, destinations), *problems, *unusable_sites(app, [site] if site is not None else [])]
    if not destinations:
        found.append("no destination is named")
    if found:
        raise UsageError("The import can't be done: " + "; ".join(found) + ".")


def taking_kind(app: App, kind: ReportKind, destinations: Sequence[str]) -> list[str]:
    """Those of the destinations that take documents of this report; a database takes rows of sessions only."""
    if kind is ReportKind.SUPPORT:
        return list(destinations)
    return [name for name in destinations if not isinstance(_made(app, name), RowDestination)]


def _made(app: App, name: str) -> Destination | None:
    """The destination; None where it can't be made now, which is told when something is delivered to it."""
    try:
        return app.destination(name)
    except DestinationError:
        return None


def not_taken(kind: ReportKind, destination: str) -> str:
    return f"{DOCUMENT_OF[kind]} can't be stored in the database {destination}, which takes rows of sessions only"


def _read(
    app: App,
    file: Source,
    site: str | None,
    read: ReadDocument,
    data: Collection[DataType],
    batch: dict[tuple[str, ReportKind], list[Document]],
    imported: Imported,
) -> None:
    """Read one file into the batch; what can't be used is refused with its reason."""
    imported.files += 1
    path = file.path
    try:
        belongs = owner(app, file.called, site)
        if path.stat().st_size > LARGEST_FILE:
            imported.refused.append((str(path), "larger than 1 GB"))
            return
        documents = list(read(path.read_bytes()))
    except (OSError, BicError) as error:
        imported.refused.append((str(path), str(error)))
        return
    if not documents:
        imported.refused.append((str(path), "holds no session"))
    for document in documents:
        if isinstance(document, BrokenDocument):
            imported.refused.append((str(path), f"session {document.lsid or '?'}: {document.reason}"))
        elif (kind := DOCUMENT_OF[kind_of(document)]) not in data:
            imported.refused.append((str(path), f"{document.lsid} is of {kind}, which were not asked for"))
        elif why := anothers(app, document, belongs):
            imported.refused.append((str(path), why))
        else:
            batch[belongs, kind_of(document)].append(document)
            imported.sessions += 1


def _take(
    app: App,
    batch: dict[tuple[str, ReportKind], list[Document]],
    destinations: Sequence[str],
    run: str,
    imported: Imported,
    *,
    force: bool,
    wait: Callable[[], None],
) -> None:
    for (name, kind), documents in batch.items():
        site = app.sites[name]
        takers = taking_kind(app, kind, destinations)
        refusing = [other for other in destinations if other not in takers]
        imported.refused += [(one.lsid, not_taken(kind, other)) for other in refusing for one in documents]
        if not takers:
            continue
        with holding_reports(app, site, kind, Unconnected(), wait) as job:
            intake = taking(job, kind, takers, run, origin="import", force=force, last_try=True)
            intake.take(documents)
        for stream, error in intake.dropped.items():
            imported.troubles.append(f"destination {stream.destination}: {error}")
            for document in documents:
                app.observe(
                    Item(name, DOCUMENT_OF[kind], document.lsid), stream.destination, Outcome(State.FAILED, reason=str(error))
                )
    batch.clear()
