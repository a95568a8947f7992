"""A load through a driver as it is in the field, to the stand-in behind a port: what goes over the line, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bic_lib.contracts.documents import FULL, HOST, document, small
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import Document, State
from tests.destinations.sql import tds
from tests.destinations.sql.listener import Gone
from tests.destinations.sql.stand_in import A_MESSAGE, pyodbc
from tests.destinations.sql.test_sqlite import query
from tests.needs import FREETDS, lacking

Opened: TypeAlias = partial[Any]
""":func:`tds.through` with a driver and a file."""

MANY = [small(f"s{n}", lines=[f"\U0001f600 {n}", "'; -- ?", "x" * 9_000]) for n in range(20)]
READING = 12
"""Statements of reading those rows back: eight tables, the pool's look, lock, look-up and commit."""


@pytest.fixture(params=["Microsoft's", FREETDS])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """A destination behind the driver, with what it sent; what a `trigger` tells comes before the answer of a batch."""
    if request.param == FREETDS and FREETDS not in pyodbc.drivers():
        lacking(FREETDS, "apt-get install tdsodbc")
    name = FREETDS if request.param == FREETDS else request.getfixturevalue("microsofts")

    return partial(tds.through, name, tmp_path / "t.sqlite")


def test_round_trips_are_few(opened: Opened) -> None:
    """Six for a load, however many rows: nothing is prepared by itself, no parameter waits; and rows come back as they were."""
    with opened() as (destination, front):
        outcomes = destination.load(HOST, MANY)
        kinds = [request.kind for request in front.requests]
        assert len([kind for kind in kinds if kind != "sp_unprepare"]) == 5, kinds
        assert len(kinds) <= 7
        front.requests.clear()
        digests = destination.digests(HOST, [one.lsid for one in MANY])
        kinds = [request.kind for request in front.requests]
        assert len([kind for kind in kinds if kind != "sp_unprepare"]) == READING
        assert len(kinds) <= (2 * READING if opened.args[0] == "FreeTDS" else READING + 1), kinds
    assert {one.lsid: outcome.sha256 for one, outcome in zip(MANY, outcomes, strict=True)} == digests


def test_a_batch_is_one_statement_to_the_server(opened: Opened) -> None:
    """Rows have the same type however short or long they are: the server has one plan for all loads."""
    with opened() as (destination, front):
        for documents in ([small("a")], [document(FULL), *(small(f"s{n}", lines=["x" * 1_500] * n) for n in range(9))]):
            destination.load(HOST, documents)
        batches = [(request.text, request.types) for request in front.requests if "DECLARE @sessions" in request.text]
    assert len(batches) == 2
    assert batches[0] == batches[1]
    assert set(batches[0][1][3:]) == {"nvarchar(max)"}


def test_an_error_behind_a_message_is_met(opened: Opened, tmp_path: Path) -> None:
    """What a driver tells of an error only when it is asked for the next answer fails the load."""
    failed = pyodbc.IntegrityError("23000", "[23000] a trigger refuses this (547)")
    with opened(trigger=[A_MESSAGE, ((("n", None),), [(1,)]), failed]) as (destination, _):
        [outcome] = destination.load(HOST, [small("a")])
    assert outcome.state is State.FAILED
    assert "a trigger refuses this" in outcome.reason
    assert query(tmp_path / "t.sqlite")("SELECT lsid FROM session") == []


A_LOOK = "SELECT 1"
"""The pool's, whether a connection lives; where it does not, there will be another."""


@dataclass
class Trouble:
    """What happens at the statement number `at`, before or after it took effect; -1: nothing."""

    error: Callable[[], Exception]
    late: bool = False
    at: int = -1
    seen: int = 0

    def meet(self, statement: str) -> None:
        self.seen += statement != A_LOOK
        if not self.late and self._now(statement):
            raise self.error()

    def met(self, statement: str) -> None:
        if self.late and self._now(statement):
            raise self.error()

    def _now(self, statement: str) -> bool:
        return self.seen - 1 == self.at and statement != A_LOOK


def told(number: int) -> Callable[[], Exception]:
    """An error of the server's by its number."""
    return lambda: pyodbc.ProgrammingError("42000", f"[42000] [SQL Server]not now ({number}) (SQLExecDirectW)")


def coming(number: int, *, later: bool) -> list[Document]:
    """A session that is there by then and changes, and one that is new."""
    changed = small(f"changed{number}", key=f"{later}", lines=["One", "Two"], as_of=1_741_710_000 + later)
    return [changed, small(f"new{number}", lines=["x" * 5_000])] if later else [changed]


@pytest.mark.parametrize(
    ("error", "late", "rests", "every"),
    [
        pytest.param(Gone, False, True, 2, id="gone before it took effect"),
        pytest.param(Gone, True, True, 2, id="gone after it took effect"),
        pytest.param(told(40613), True, True, 5, id="moved"),
        pytest.param(told(1205), False, False, 5, id="a deadlock's victim"),
        pytest.param(told(41302), True, False, 5, id="a conflict of rows in memory"),
    ],
)
def test_trouble_at_any_statement_costs_no_session(
    opened: Opened, error: Callable[[], Exception], late: bool, rests: bool, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it comes, and whatever the driver calls it: the destination rests or tries again, and nothing is half or twice."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    trouble = Trouble(error, late)
    with opened(meet=trouble.meet, met=trouble.met) as (destination, _):
        destination.load(HOST, coming(0, later=False))
        trouble.seen = 0
        destination.load(HOST, coming(0, later=True))
        count = trouble.seen
        assert count > STATEMENTS
        for place in {0, *range(late, count, every), count - 1}:
            [before] = destination.load(HOST, coming(place + 1, later=False))
            after = coming(place + 1, later=True)
            trouble.seen, trouble.at = 0, place
            if rests:
                with pytest.raises(DestinationError, match="the front can't be used"):
                    destination.load(HOST, after)
            else:
                assert {one.state for one in destination.load(HOST, after)} == {State.STORED}
            trouble.at = -1
            found = destination.digests(HOST, [one.lsid for one in after])
            outcomes = destination.load(HOST, after)
            wanted = {one.lsid: outcome.sha256 for one, outcome in zip(after, outcomes, strict=True)}
            assert {outcome.state for outcome in outcomes} == {State.STORED}
            assert found in (({after[0].lsid: before.sha256}, wanted) if rests else (wanted,)), f"half a load, at {place}"


STATEMENTS = 15
"""More than a load has at least: lock, look-up, a statement or two a table, commit."""
