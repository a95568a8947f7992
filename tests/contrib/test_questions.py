"""The questions of docs/sql.md, and the dashboards made of them: each is asked on what a demo stores, and has an answer."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bic_lib.actions import running
from bic_lib.contracts.documents import HOST, document
from bic_lib.destinations.sql import create
from bic_lib.simulator import Profile, Simulator
from contrib.questions import HERE, NUMBERS, Question, files, questions
from tests.engine.steps.world import ALL_FILES, World
from tests.needs import program

ASKED = questions()
OF_TYPE: dict[str, set[type]] = {"int64": {int}, "double": {int, float}, "": {str}}
WAREHOUSE = """
[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///sessions.sqlite"

[schedules.rows]
every = "1h"
transfers = [{ site = "support", destination = "warehouse", data = ["sessions"] }]
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a run that stored files and rows."""
    folder = tmp_path_factory.mktemp("demo")
    with Simulator(Profile(sessions=40, days=3, presentations=0, seed=2026)) as sim:
        world = World(folder, sim)
        world.configure(data=ALL_FILES, lanes=2, schedules=WAREHOUSE)
        running.once(world.app())
    return folder / "sessions.sqlite"


def rows(database: Path, query: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


def test_there_are_twenty() -> None:
    """Each has a title of its own, and every query on the page that selects belongs to one."""
    assert len({question.title for question in ASKED}) == len(ASKED) >= 20
    page = (HERE.parent / "docs/sql.md").read_text("utf-8")
    assert len(re.findall(r"```sql\nSELECT", page)) == len(ASKED)


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.title)
def test_each_question_has_an_answer(demo: Path, question: Question) -> None:
    """It gives rows, under the names that the dashboards expect, numbers where these expect numbers."""
    answer = rows(demo, question.query)
    assert answer, question.title
    assert list(answer[0].keys()) == question.columns
    for column in question.columns:
        held = {type(row[column]) for row in answer} - {type(None)}
        wanted = OF_TYPE[NUMBERS.get(column, "")]
        assert held <= wanted, column


ODD = """<session lsid="odd"><start_time timestamp="1741701737"/><end_time timestamp="1741709000"/>
<external_key>"1"; '--</external_key>
<customer_list><customer gsnumber="1"><hostname>PC-O'Brien</hostname><os>« Ω »</os></customer>
<customer gsnumber="2"><hostname>東京</hostname><os>« Ω »</os></customer></customer_list>
<rep_list><representative gsnumber="7"><username>zoë</username><seconds_involved>3600</seconds_involved></representative>
<representative gsnumber="8"><username>zoë</username><seconds_involved>1800</seconds_involved></representative></rep_list>
<session_details>
<event timestamp="1741701740" event_type="File Upload"><performed_by type="representative" gsnumber="7">Zoë "Z"</performed_by>
<filename>a';--.txt</filename><filesize>10</filesize></event>
<event timestamp="1741701741" event_type="File Upload Failed">
<performed_by type="representative" gsnumber="7">Zoë "Z"</performed_by>
<filename>b.txt</filename><filesize>5000</filesize></event></session_details></session>"""
"""No team, nobody named; a representative who came twice, two machines of one system, a file that came, one that did not."""


def test_the_questions_give_sense_on_anything(tmp_path: Path) -> None:
    """On an empty database nothing is told; with a session as none of the demo's, it is counted once, and only what was moved."""
    destination = create(connection_string=f"sqlite:///{tmp_path / 'odd.sqlite'}")
    destination.load(HOST, [])
    assert not any(rows(tmp_path / "odd.sqlite", question.query) for question in ASKED)
    destination.load(HOST, [document(ODD), document('<session lsid="nothing"/>')])
    told = {question.title: [tuple(row) for row in rows(tmp_path / "odd.sqlite", question.query)] for question in ASKED}
    assert told["Who worked how long, from 2025 on?"] == [("zoë", 1, 1.5)]
    assert [row[3] for row in told["From which addresses did representatives work?"]] == [1]
    assert told["Which operating systems do customers have?"] == [("« Ω »", 1, 2)]
    assert told["Who moved how many files, and on how many machines?"] == [('Zoë "Z"', "File Upload", 1, 1, 10)]
    assert [row[4] for row in told["Which file transfers failed?"]] == ["b.txt"]
    assert [row[0] for row in told["Which sessions have no end, or nobody who joined?"]] == ["nothing"]
    assert told["How long does a session take, by team?"] == [(None, 1, 121.05)]


def test_the_dashboards_are_written_by_the_code() -> None:
    """Whoever changes the page runs `make docs`: each file is what its questions make, and no other lies beside them."""
    made = dict(files())
    assert {name: (HERE / name).read_text("utf-8") for name in made} == made
    folders = ("grafana", "power-bi", "datasette")
    lying = {str(path.relative_to(HERE)) for folder in folders for path in (HERE / folder).rglob("*") if path.is_file()}
    assert lying == set(made)


def in_grafana() -> list[str]:
    panels = json.loads((HERE / "grafana/bic.json").read_text("utf-8"))["panels"]
    return [target[key] for panel in panels for target in panel["targets"] for key in ("rawSql", "queryText")]


def in_datasette() -> list[str]:
    [database] = json.loads((HERE / "datasette/metadata.json").read_text("utf-8"))["databases"].values()
    return [query["sql"] for query in database["queries"].values()]


def in_power_bi() -> list[str]:
    tables = (HERE / "power-bi/bic.SemanticModel/definition/tables").glob("*.tmdl")
    found = [re.findall(r'\[Query = "((?:[^"]|"")*)"\]', path.read_text("utf-8")) for path in tables]
    return [query.replace("#(lf)", "\n").replace('""', '"') for queries in found for query in queries]


@pytest.mark.parametrize("dashboard", [in_grafana, in_datasette, in_power_bi])
def test_what_a_dashboard_asks_has_an_answer(demo: Path, dashboard: object) -> None:
    """Every query that stands in a dashboard's own file gives rows, and none of the page's is left out."""
    assert callable(dashboard)
    asked = dashboard()
    assert set(asked) == {question.query for question in ASKED}
    assert all(rows(demo, query) for query in asked)


@pytest.fixture
def datasette(demo: Path) -> Iterator[str]:
    """The address of a Datasette that serves the demo's database."""
    command = program("datasette")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = [
        command,
        "serve",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "--metadata",
        str(HERE / "datasette/metadata.json"),
        str(demo),
    ]
    with subprocess.Popen(served, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_datasette_answers(datasette: str) -> None:
    """Datasette starts on the demo's database and answers each question by its page."""
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{datasette}/-/metadata.json") as answer:
                queries = json.load(answer)["databases"]["sessions"]["queries"]
            break
        except urllib.error.URLError:
            assert time.monotonic() < end, "it did not start"
            time.sleep(0.2)
    assert len(queries) == len(ASKED)
    for name in queries:
        with urllib.request.urlopen(f"{datasette}/sessions/{urllib.parse.quote(name)}.json?_shape=array") as answer:
            assert json.load(answer), name
