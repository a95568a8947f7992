"""`bic backfill`: history on demand."""

from __future__ import annotations

import rich_click as click

from bic_lib.actions.backfill import backfill
from bic_lib.actions.results import Results
from bic_lib.actions.stopping import watched
from bic_lib.actions.time_arguments import moment
from bic_lib.actions.watching import Watch
from bic_lib.cli.call import Call
from bic_lib.cli.outcome import JSON as OUTCOME
from bic_lib.cli.outcome import conclude, progress

JSON = {"backfill": OUTCOME}


@click.command(name="backfill")
@click.option("--site", required=True, metavar="S", help="The site's name.")
@click.option("--since", required=True, metavar="DATE", help="A date or ISO time (UTC).")
@click.option("--until", metavar="DATE", help="The end, not included; left out: now.")
@click.pass_obj
def command(call: Call, site: str, since: str, until: str | None) -> int:
    """Fill in a site's history for all its destinations, in windows of a day at most. Interrupted, it goes on where it stood."""
    begin, end = moment(since, "--since"), moment(until, "--until") if until else None
    with Results() as results:
        watch = Watch()
        app = watched(results.watching(call.app()), watch)
        with progress("backfill", app, results, watch):
            drained = backfill(app, site, begin, end)
        return conclude(call, results, drained.troubles, nothing="nothing ended or began at the site in that time")
