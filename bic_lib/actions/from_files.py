"""The test download from stored session XML: documents from the files, recordings from the sites that these belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bic_lib.actions.belonging import anothers, owner
from bic_lib.actions.download import MOST_LSIDS, Download, perform_download, plan_download, problems
from bic_lib.actions.importing import ReadDocument, demand_known, import_files
from bic_lib.actions.old_folders import look
from bic_lib.core.errors import BicError
from bic_lib.core.model import DOCUMENTS, REPORT_OF, BrokenDocument, DataType, ReportKind
from bic_lib.engine.app import App
from bic_lib.engine.steps.imports import kind_of


@dataclass(slots=True)
class _Held:
    """The sessions that files hold, by the site and report that they came from; and what could not be used, and why."""

    lsids: dict[tuple[str, ReportKind], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    refused: list[str] = field(default_factory=list)


def download_from_files(
    app: App,
    paths: Sequence[Path],
    destinations: Sequence[str],
    data: Sequence[DataType],
    read: ReadDocument,
    *,
    rows_only: frozenset[str],
    site: str | None,
    force: bool,
) -> list[str]:
    """Deliver `data` of the sessions in files and folders; what failed beyond single items. Everything is checked first.

    Raises UsageError with every problem, LedgerError.
    """
    recordings = tuple(one for one in data if one not in DOCUMENTS)
    held = _held(app, paths, site, read) if recordings else _Held()
    asked = list(_downloads(held, destinations, recordings, force=force))
    _demand(app, paths, destinations, recordings, asked, rows_only, site)
    troubles = held.refused
    if any(one in DOCUMENTS for one in data):
        imported = import_files(app, paths, destinations, read, site=site, data=data, force=force)
        troubles = imported.troubles + [f"{path}: {reason}" for path, reason in imported.refused]
    for one in asked:
        troubles += perform_download(app, plan_download(app, one, rows_only)).troubles
    return troubles


def _demand(
    app: App,
    paths: Sequence[Path],
    destinations: Sequence[str],
    recordings: Sequence[DataType],
    asked: Sequence[Download],
    rows_only: frozenset[str],
    site: str | None,
) -> None:
    """Raises UsageError when anything of it can't be done."""
    found = [f"there is no file or folder {path}" for path in paths if not path.exists()]
    if DataType.SITE_BACKUPS in recordings:
        found.append(f"{DataType.SITE_BACKUPS} come from no session's XML")
    for one in rows_only.intersection(destinations):
        found += [f"{data} can't be stored in the database {one}" for data in recordings]
    found += [problem for one in asked for problem in problems(app, one, frozenset())]
    demand_known(app, destinations, site, list(dict.fromkeys(found)))


def _held(app: App, paths: Sequence[Path], site: str | None, read: ReadDocument) -> _Held:
    found = look(paths)
    held = _Held(refused=[f"{path}: {why}" for path, why in found.refused])
    for path, called in found.xml:
        try:
            belongs = owner(app, called, site)
            for one in read(path.read_bytes()):
                if isinstance(one, BrokenDocument):
                    continue
                if why := anothers(app, one, belongs):
                    held.refused.append(f"{path}: {why}")
                else:
                    held.lsids[belongs, kind_of(one)][one.lsid] = None
        except (OSError, BicError) as error:
            held.refused.append(f"{path}: {error}")
    return held


def _downloads(held: _Held, destinations: Sequence[str], data: Sequence[DataType], *, force: bool) -> Iterator[Download]:
    """Of each site and report what was asked for, a thousand sessions at a time."""
    for (site, kind), lsids in held.lsids.items():
        some = tuple(one for one in data if REPORT_OF.get(one) is kind)
        ids = tuple(lsids)
        for first in range(0, len(ids) if some else 0, MOST_LSIDS):
            yield Download((site,), tuple(destinations), some, lsids=ids[first : first + MOST_LSIDS], force=force)
