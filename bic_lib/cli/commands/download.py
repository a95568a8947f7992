"""`bic download`: the test download of the guide's API tester."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from bic_lib.actions.download import Download, documents_only, look, perform_download, plan_download
from bic_lib.actions.importing import import_files
from bic_lib.actions.left_alone import explain
from bic_lib.actions.results import Results
from bic_lib.actions.stopping import watched
from bic_lib.actions.time_arguments import length, moment
from bic_lib.actions.watching import Watch
from bic_lib.appliance.session_documents import read_document
from bic_lib.cli.call import Call
from bic_lib.cli.outcome import AGAIN, conclude, progress, show_planned
from bic_lib.cli.outcome import JSON as OUTCOME
from bic_lib.cli.output import line
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DOCUMENTS, DataType, Document, Window
from bic_lib.engine.app import App
from bic_lib.settings.model import SqlDatabaseSettings

_EXPLAINED = 20
"""Transfers that were asked for by id and left alone, of which each is explained: as many as fit on a screen."""

JSON = {"download": OUTCOME}


@click.command(name="download")
@click.option("--site", "sites", multiple=True, metavar="S", help="A site's name; repeatable.")
@click.option("--destination", "destinations", multiple=True, metavar="D", help="A destination's name; repeatable.")
@click.option(
    "--data",
    multiple=True,
    metavar="TYPE",
    type=click.Choice([str(one) for one in DataType]),
    help=f"A data type; repeatable: {', '.join(DataType)}.",
)
@click.option("--start", metavar="TIME", help="Sessions that began then: a date or ISO time (UTC).")
@click.option("--duration", metavar="1d", help="How much from --start on, such as 1d or 90m.")
@click.option("--lsid", "lsids", multiple=True, metavar="ID", help="A session's id; repeatable.")
@click.option("--xml", "files", multiple=True, type=click.Path(path_type=Path), help="Parse stored session XML; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only show what would be transferred.")
@click.option("--force", is_flag=True, help="Deliver again what is there already, by the conflict rule.")
@click.pass_obj
def command(
    call: Call,
    sites: tuple[str, ...],
    destinations: tuple[str, ...],
    data: tuple[str, ...],
    start: str | None,
    duration: str | None,
    lsids: tuple[str, ...],
    files: tuple[Path, ...],
    dry_run: bool,
    force: bool,
) -> int:
    """Transfer chosen data now: by start and duration, by session, or from XML files. Nothing is doubled by it."""
    wanted = tuple(DataType(one) for one in data)
    if files and (start or duration or lsids or dry_run):
        raise UsageError("download: --xml goes with neither --start, --duration, --lsid nor --dry-run")
    with Results() as results:
        watch = Watch()
        app = watched(results.watching(call.app()), watch)
        asked = Download(sites, destinations, wanted, _began(start, duration), lsids, force, dry_run)
        with progress("download", app, results, watch):
            if files:
                troubles = _from_files(call, app, sites, destinations, wanted, files, force=force)
            elif dry_run:
                troubles = look(app, asked, _rows_only(call)).troubles
            else:
                troubles = perform_download(app, plan_download(app, asked, _rows_only(call))).troubles
        if dry_run:
            return show_planned(call, results, troubles)
        left = explain(app, results.left(_EXPLAINED) if lsids else ())
        status = conclude(call, results, troubles + left.gone, nothing=_nothing(lsids), again=AGAIN)
        for why in left.why if not call.json else ():
            line(why)
        return status


def _nothing(lsids: tuple[str, ...]) -> str:
    return "nothing found for these ids" if lsids else "nothing found: no session began in that time"


def _began(start: str | None, duration: str | None) -> Window | None:
    if (start is None) != (duration is None):
        raise UsageError("download: --start and --duration go together", hint="Such as --start 2026-08-01 --duration 1d.")
    if start is None or duration is None:
        return None
    begin = moment(start, "--start")
    return Window(begin, begin + length(duration, "--duration"))


def _rows_only(call: Call) -> frozenset[str]:
    configured = call.settings().destinations.items()
    return frozenset(name for name, one in configured if isinstance(one, SqlDatabaseSettings))


def _from_files(
    call: Call,
    app: App,
    sites: tuple[str, ...],
    destinations: tuple[str, ...],
    data: tuple[DataType, ...],
    files: tuple[Path, ...],
    *,
    force: bool,
) -> list[str]:
    """Documents from the files; their recordings, where wanted, from the site that they belong to."""
    if len(sites) > 1:
        raise UsageError("download: with --xml name one --site at most: the one that the files came from")
    troubles: list[str] = []
    if not data:
        raise UsageError("download: no data type is named", hint="Such as --data sessions.")
    if any(one in DOCUMENTS for one in data):
        site = sites[0] if sites else None
        imported = import_files(app, files, destinations, read_document, site=site, data=data, force=force)
        troubles += imported.troubles + [f"{path}: {reason}" for path, reason in imported.refused]
    if not documents_only(data):
        rest = tuple(one for one in data if one not in DOCUMENTS)
        asked = Download(sites, destinations, rest, lsids=_lsids(files), force=force)
        troubles += perform_download(app, plan_download(app, asked, _rows_only(call))).troubles
    return troubles


def _lsids(files: tuple[Path, ...]) -> tuple[str, ...]:
    found = []
    for path in files:
        try:
            found += [one.lsid for one in read_document(path.read_bytes()) if isinstance(one, Document)]
        except OSError as error:
            raise UsageError(f"download: {path} can't be read: {error.strerror}") from error
    return tuple(dict.fromkeys(found))
