"""`bic demo`: everything here and now. A simulated appliance, real HTTPS, the real code path, files and rows."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import rich_click as click

from bic_lib.actions import running
from bic_lib.actions.formatting import count
from bic_lib.actions.results import Results
from bic_lib.actions.stopping import stoppable
from bic_lib.actions.watching import Watch
from bic_lib.cli.call import Call
from bic_lib.cli.demo_folder import comes_up_by, program
from bic_lib.cli.demonstration import SCHEDULE, Demonstration
from bic_lib.cli.outcome import JSON as OUTCOME
from bic_lib.cli.outcome import conclude, progress
from bic_lib.cli.output import line
from bic_lib.cli.stopping import Stop, Terminated, stopping
from bic_lib.cli.tables import table
from bic_lib.core.errors import UsageError
from bic_lib.hosts.page_key import serve_keys
from bic_lib.hosts.serve import Address, serve
from bic_lib.simulator import MOST_SESSIONS

_QUESTIONS = {
    "Who handled the most sessions?": """
        SELECT representative, COUNT(*) AS sessions, SUM(files_moved) AS files_moved
        FROM bic_session_overview WHERE representative IS NOT NULL
        GROUP BY representative ORDER BY sessions DESC LIMIT 5""",
    "Which files were moved last, and by whom?": """
        SELECT event_time, performed_by, type, file_name, file_size
        FROM bic_file_transfer ORDER BY event_time DESC LIMIT 5""",
    "What was said in the newest session with a chat?": """
        SELECT event_time, author, line FROM bic_chat
        WHERE lsid = (SELECT lsid FROM bic_chat ORDER BY event_time DESC LIMIT 1) ORDER BY event_id LIMIT 5""",
}

JSON = {"demo": OUTCOME}


@click.command(name="demo")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Where to put it.",
)
@click.option(
    "--sessions",
    type=click.IntRange(1, MOST_SESSIONS),
    default=300,
    show_default=True,
    help="Sessions that the appliance has had.",
)
@click.option("--serve", "serves", is_flag=True, help="Then keep the appliance, schedules and pages alive until Ctrl-C.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="With --serve: where the pages are."
)
@click.pass_obj
def command(call: Call, directory: Path, sessions: int, serves: bool, port: int) -> int:
    """Start a simulated appliance, pull every data type into files and SQLite, and show what is where.

    Called again in the same directory it goes on: only what is new is pulled. With --serve there are a few troubles to look at: a
    site that is down, a recording that has expired, and one that is none.
    """
    if serves and call.json:
        raise UsageError("demo: --serve goes with no --json, which is one document")
    with stopping() as stop, Results() as results, Demonstration(directory, sessions) as demonstration:
        os.environ.update(demonstration.environ)
        call.settings_file = str(demonstration.settings)
        watch = Watch()
        app = stoppable(results.watching(call.app()), stop, watch)
        with progress("demo", app, results, watch):
            drained = running.once(app) if demonstration.is_new else running.fire(app, [SCHEDULE])
        status = conclude(call, results, drained.troubles)
        if not call.json:
            _explain(demonstration)
        if serves:
            return _serve(call, demonstration, stop, port)
    return status


def _serve(call: Call, demonstration: Demonstration, stop: Stop, port: int) -> int:
    """The pages of `bic serve`, with something to see, until somebody ends it."""
    demonstration.make_trouble()
    keys, _ = serve_keys(call.settings(), os.environ)
    there = Address("127.0.0.1", port if _is_free(port) else 0)
    try:
        serve(call.current(stop), there, keys, lambda address: _tell(address, keys.operator))
    except Terminated:
        line()
        line(f"{comes_up_by(demonstration.directory)} brings it up again.")
    return 0


def _tell(address: str, key: str) -> None:
    line()
    line(f"The pages are at {address}/api/ui/?code={key}")
    line("The first minute makes trouble: a site that is down, a recording that has expired, one that is none. Ctrl-C ends it.")
    sys.stdout.flush()


def _is_free(port: int) -> bool:
    """Whether nobody listens there yet: somebody with another trial gets any other port."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


def _explain(demonstration: Demonstration) -> None:
    table("What is where", ("path", "holds"), _places(demonstration))
    for question, query in _QUESTIONS.items():
        columns, rows = _answer(demonstration, query)
        line(question)
        line(" ".join(query.split()))
        table("", columns, rows)
    settings = shlex.quote(str(demonstration.settings))
    line("Look around:")
    line(f"  {comes_up_by(demonstration.directory)}")
    line(f"  {program()} health --settings {settings}")
    line(f"  {program()} status --settings {settings}")
    line()
    line(f"For a real appliance change [sites.demo] in {demonstration.settings}: host, client_id,")
    line("client_secret (env:NAME), no ca_file. Then")
    line(f"  {program()} check --settings {settings}")
    line(f"tells what is missing, and `{program()} run` goes on.")


def _places(demonstration: Demonstration) -> Iterator[tuple[str, str]]:
    directory = demonstration.directory
    yield str(demonstration.settings), "the settings"
    for folder in sorted(path for path in (directory / "archive").iterdir() if path.is_dir()):
        files = sum(1 for path in folder.rglob("*") if path.is_file())
        yield str(folder), count(files, "file")
    with closing(demonstration.rows()) as rows:
        (sessions,) = rows.execute("SELECT COUNT(*) FROM session").fetchone()
    yield str(demonstration.database), f"{count(sessions, 'session')} as rows"
    yield str(directory / "bic-ledger.sqlite"), "the ledger: what is due, done and proven"
    yield str(directory / "logs"), "a file a day"


def _answer(demonstration: Demonstration, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    with closing(demonstration.rows()) as rows:
        found = rows.execute(query)
        return [column[0] for column in found.description], found.fetchall()
