"""A load through a driver as it is in the field, to the stand-in behind a port: what goes over the line, and what comes back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bic_lib.contracts.documents import FULL, HOST, document, small
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import State
from tests.destinations.sql import tds
from tests.destinations.sql.listener import Gone
from tests.destinations.sql.stand_in import A_MESSAGE, pyodbc
from tests.destinations.sql.test_sqlite import query

Opened: TypeAlias = partial[Any]
""":func:`tds.through` with a driver and a file."""

MANY = [small(f"s{n}", lines=[f"\U0001f600 {n}", "'; -- ?", "x" * 9_000]) for n in range(20)]
READING = 12
"""Statements of reading those rows back: eight tables, the pool's look, lock, look-up and commit."""


@pytest.fixture(params=["Microsoft's", "FreeTDS"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """A destination behind the driver, with what it sent; what a `trigger` tells comes before the answer of a batch."""
    if request.param == "FreeTDS" and "FreeTDS" not in pyodbc.drivers():
        pytest.skip("FreeTDS is not installed")
    name = "FreeTDS" if request.param == "FreeTDS" else request.getfixturevalue("microsofts")

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


@pytest.mark.parametrize("where", ["SET NOCOUNT ON", "INSERT INTO session_event_data", "COMMIT"])
def test_a_server_that_goes_away_rests_the_destination(opened: Opened, where: str) -> None:
    """Whatever words a driver has for it: no session fails, nothing of the load is there, and the next one goes on."""
    gone = [True]

    def meet(statement: str) -> None:
        if gone[0] and statement.startswith(where):
            raise Gone

    with opened(meet=meet) as (destination, _):
        with pytest.raises(DestinationError, match="the front can't be used"):
            destination.load(HOST, MANY[:2])
        gone[0] = False
        assert destination.loaded(HOST, ["s0", "s1"]) == []
        assert {outcome.state for outcome in destination.load(HOST, MANY[:2])} == {State.STORED}
