"""`bic download`: the test download of the guide's API tester."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from bic_lib.actions.download import Download, look, perform_download, plan_download
from bic_lib.actions.from_files import download_from_files
from bic_lib.actions.left_alone import explain
from bic_lib.actions.results import Results
from bic_lib.actions.stopping import watched
from bic_lib.actions.time_arguments import length, moment
from bic_lib.actions.watching import Watch
from bic_lib.cli.call import Call
from bic_lib.cli.outcome import AGAIN, conclude, progress, show_planned
from bic_lib.cli.outcome import JSON as OUTCOME
from bic_lib.cli.output import line
from bic_lib.cli.wrong_usage import OneOf
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DataType, Window
from bic_lib.settings.model import SqlDatabaseSettings
from bic_lib.wiring import read_document

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
    type=OneOf([str(one) for one in DataType]),
    help=f"A data type; repeatable: {', '.join(DataType)}.",
)
@click.option("--start", metavar="TIME", help="Sessions that began then: a date or ISO time (UTC).")
@click.option("--duration", metavar="1d", help="How much from --start on, such as 1d or 90m.")
@click.option("--lsid", "lsids", multiple=True, metavar="ID", help="A session's id; repeatable.")
@click.option(
    "--xml",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Parse stored session XML, a file or folder; repeatable.",
)
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
                chosen = _chosen(sites, wanted)
                troubles = download_from_files(
                    app, files, destinations, wanted, read_document, rows_only=_rows_only(call), site=chosen, force=force
                )
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


def _chosen(sites: tuple[str, ...], data: tuple[DataType, ...]) -> str | None:
    """The site that files are from, where one is named."""
    if len(sites) > 1:
        raise UsageError("download: with --xml name one --site at most: the one that the files came from")
    if not data:
        raise UsageError("download: no data type is named", hint="Such as --data sessions.")
    return sites[0] if sites else None
