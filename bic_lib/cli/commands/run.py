"""`bic run`: the scheduler in the foreground, or one time."""

from __future__ import annotations

import signal
import sys

import rich_click as click

from bic_lib.actions import health, running
from bic_lib.actions.results import Results
from bic_lib.actions.status import failing, status
from bic_lib.actions.stopping import stoppable
from bic_lib.actions.timestamps import minute
from bic_lib.actions.watching import Watch
from bic_lib.cli.call import Call
from bic_lib.cli.demo_folder import tell_if_down
from bic_lib.cli.outcome import JSON as OUTCOME
from bic_lib.cli.outcome import conclude, progress
from bic_lib.cli.output import note
from bic_lib.cli.stopping import Stop, Terminated, stopping
from bic_lib.core.errors import UsageError
from bic_lib.engine.app import App
from bic_lib.hosts.scheduler import forever, scheduling
from bic_lib.logs import scheduler as log
from bic_lib.notices import telling

JSON = {"run --once": OUTCOME, "run --now": OUTCOME, "run --fill": OUTCOME}


@click.command(name="run")
@click.option("--once", is_flag=True, help="One tick: do what is due, then exit.")
@click.option("--now", is_flag=True, help="Fire the SCHEDULEs (none named: all) whether due or not, then exit.")
@click.option("--fill", "fills", multiple=True, metavar="D", help="Fetch into D anew, whatever lies there, then as --once.")
@click.argument("schedules", metavar="[SCHEDULE]...", nargs=-1)
@click.pass_obj
def command(call: Call, once: bool, now: bool, fills: tuple[str, ...], schedules: tuple[str, ...]) -> int:
    """Run the schedules: in the foreground with a tick each minute, until it is stopped, or once.

    When it is stopped (Ctrl-C, SIGTERM), what is in hand goes back to the ledger and is done by the next run.
    """
    if schedules and not now:
        raise UsageError("run: schedules are named with --now only", hint=f"Such as `bic run --now {' '.join(schedules)}`.")
    tell_if_down(call.settings())
    with stopping() as stop:
        return _one_time(call, stop, now, fills, schedules) if once or now or fills else _foreground(call, stop)


def _one_time(call: Call, stop: Stop, now: bool, fills: tuple[str, ...], schedules: tuple[str, ...]) -> int:
    with Results() as results:
        watch = Watch()
        app = stoppable(results.watching(call.app()), stop, watch)
        running.fill(app, fills)
        with progress("run", app, results, watch):
            drained = running.fire(app, schedules) if now else running.once(app)
            telling.tell(app, call.settings())
        nothing = "nothing new at the sites: all that they show is delivered" if drained.steps else _nothing_due(app)
        if drained.joined:
            nothing = "another process was at work there, and did what was due meanwhile; `bic runs` lists what it did"
        return conclude(call, results, drained.troubles or failing(health.look(app)), nothing=nothing)


def _nothing_due(app: App) -> str:
    """When something is due again."""
    due = [(shown["next_due"], shown["name"]) for shown in status(app)["schedules"] if shown["next_due"]]
    if not due:
        return "nothing was due; no schedule is enabled"
    at, name = min(due)
    return f"nothing was due; {name} is next, at {minute(at)} UTC (`bic run --now {name}` fires it now)"


def _foreground(call: Call, stop: Stop) -> int:
    call.settings()
    if not call.verbose:
        call.log_to_stderr()
    if sys.stderr.isatty():
        note("bic: running; Ctrl-C stops it.")
    try:
        current = call.current(stop)
        with scheduling() as scheduler:
            forever(lambda: scheduler.tick_with(current))
    except Terminated as signalled:
        log.info("stopped by %s", signalled)
        if signalled.number == signal.SIGTERM:
            return 0
        raise
    return 0
