"""A connection that dies: at any statement, before or after it took effect, with the errors that the drivers have for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile

import pytest

from bic_lib.contracts.documents import FULL, HOST, document, small
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import Document, State
from bic_lib.destinations.sql import SqlDatabase
from bic_lib.destinations.sql.load import TRIES
from tests.destinations.sql.stand_in import pyodbc, stand_in

MICROSOFTS = "[{0}] [Microsoft][ODBC Driver 18 for SQL Server]{1} (SQLExecDirectW)"
FREETDS = "[{0}] [FreeTDS][SQL Server]{1} (SQLExecDirectW)"
ENDS: dict[str, tuple[type[Exception], str, str]] = {
    "reset": (pyodbc.OperationalError, "08S01", MICROSOFTS.format("08S01", "TCP Provider: Error code 0x68 (104)")),
    "link": (pyodbc.OperationalError, "08S01", MICROSOFTS.format("08S01", "Communication link failure (0)")),
    "closed by the server": (pyodbc.OperationalError, "08S01", MICROSOFTS.format("08S01", "TCP Provider: closed (10054)")),
    "time-out": (pyodbc.OperationalError, "HYT00", MICROSOFTS.format("HYT00", "Query timeout expired (0)")),
    "no recovery": (
        pyodbc.Error,
        "IMC06",
        MICROSOFTS.format("IMC06", "The connection is broken and recovery is not possible (0)"),
    ),
    "end of file": (pyodbc.Error, "01000", FREETDS.format("01000", "Unexpected EOF from the server (20017)")),
    "can't write": (pyodbc.Error, "HY000", FREETDS.format("HY000", "Write to the server failed (20006)")),
    "a value's number": (pyodbc.OperationalError, "08S01", MICROSOFTS.format("08S01", "TCP Provider: Error code (245)")),
    "killed": (pyodbc.ProgrammingError, "42000", MICROSOFTS.format("42000", "[SQL Server]The session was killed (596)")),
    "closed": (pyodbc.ProgrammingError, "The cursor's connection has been closed.", ""),
    "sequence": (pyodbc.Error, "HY010", MICROSOFTS.format("HY010", "Function sequence error (0)")),
    "moved": (pyodbc.OperationalError, "08001", MICROSOFTS.format("08001", "[SQL Server]Database is not available (40613)")),
}
"""How a connection ends: class, SQLSTATE and text, as pyodbc gives them."""


@dataclass
class Line:
    """The way to the server: `dies_at` is the number of the statement at which it breaks; it stays broken until it is mended."""

    file: Path
    end: str
    dies_at: int = -1
    late: bool = False
    dead: bool = False
    met: int = 0
    sent: list[str] = field(default_factory=list)

    def database(self) -> SqlDatabase:
        return stand_in(self.file, self.sent, meet=self._meet, met=self._met)

    def _meet(self, statement: str) -> None:
        self.met += self._counts(statement)
        if self.dead or (not self.late and self._now(statement)):
            self._die()

    def _met(self, statement: str) -> None:
        if self.late and self._now(statement):
            self._die()

    def _now(self, statement: str) -> bool:
        return self.met - 1 == self.dies_at and self._counts(statement)

    @staticmethod
    def _counts(statement: str) -> bool:
        return statement.startswith(("SET NOCOUNT", "DECLARE", "SELECT j", "INSERT", "UPDATE", "DELETE", "COMMIT"))

    def _die(self) -> None:
        self.dead = True
        kind, *arguments = ENDS[self.end]
        raise kind(*filter(None, arguments))


_EACH = 4
"""Every so many statements is one at which an end is tried: every statement meets several of them."""

BEFORE = [document(FULL), small("changed", key="1"), small("same")]
COMING = [document(FULL), small("changed", key="2", as_of=1_800_000_000), small("same"), small("new", lines=["One", "Two"])]


def statements(tmp_path: Path) -> int:
    """How many statements the load of what comes has."""
    line = Line(tmp_path / "count.sqlite", "reset")
    destination = line.database()
    destination.load(HOST, BEFORE)
    line.met = 0
    destination.load(HOST, COMING)
    return line.met


@pytest.mark.parametrize("late", [False, True], ids=["before it took effect", "after it took effect"])
@pytest.mark.parametrize("end", ENDS)
def test_a_connection_that_dies_rests_the_destination(tmp_path: Path, end: str, late: bool) -> None:
    """Wherever a load breaks off, the destination fails and no session; all of it is there or nothing; later all is loaded."""
    count = statements(tmp_path)
    assert count > 25
    old = digests_after(stand_in(tmp_path / "before.sqlite", []), BEFORE)
    begin = list(ENDS).index(end) % _EACH
    for place in {0, *range(begin, count, _EACH), count - 1}:
        line = Line(tmp_path / f"{place}.sqlite", end, late=late)
        copyfile(tmp_path / "before.sqlite", line.file)
        destination = line.database()
        assert len(destination.loaded(HOST, ["same"])) == 1
        line.met, line.dies_at = 0, place
        with pytest.raises(DestinationError, match="the stand-in can't be"):
            destination.load(HOST, COMING)
        assert line.dead
        with pytest.raises(DestinationError):
            destination.load(HOST, COMING)
        with pytest.raises(DestinationError):
            destination.digests(HOST, ["same"])
        line.dead, line.dies_at = False, -1
        found = destination.digests(HOST, [one.lsid for one in COMING])
        wanted = digests_of(destination, COMING)
        assert found in (old, wanted), f"half a load, broken at {place}"
        assert digests_after(destination, COMING) == wanted
        destination.engine.dispose()


def digests_after(destination: SqlDatabase, documents: list[Document]) -> dict[str, str]:
    outcomes = destination.load(HOST, documents)
    assert {outcome.state for outcome in outcomes} == {State.STORED}
    return dict(destination.digests(HOST, [one.lsid for one in documents]))


def digests_of(destination: SqlDatabase, documents: list[Document]) -> dict[str, str]:
    return {one.lsid: outcome.sha256 for one, outcome in zip(documents, destination.load(HOST, documents), strict=True)}


DEADLOCK = MICROSOFTS.format("40001", "[SQL Server]Transaction was deadlocked. Rerun the transaction. (1205)")


@pytest.mark.parametrize("text", [DEADLOCK, MICROSOFTS.format("40001", "Serialization failure")])
@pytest.mark.parametrize(("times", "well"), [(1, True), (TRIES - 1, True), (TRIES, False)])
def test_a_deadlock_is_tried_again(tmp_path: Path, text: str, times: int, well: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The victim of a deadlock begins anew; when it is one again and again, the destination rests and no session fails."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    left = itertools.count(times, -1)

    def meet(statement: str) -> None:
        if statement.startswith("INSERT INTO session_event (") and next(left) > 0:
            raise pyodbc.Error("40001", text)

    destination = stand_in(tmp_path / "t.sqlite", [], meet=meet)
    if well:
        assert {outcome.state for outcome in destination.load(HOST, BEFORE)} == {State.STORED}
    else:
        with pytest.raises(DestinationError, match="deadlock"):
            destination.load(HOST, BEFORE)
    assert {outcome.state for outcome in destination.load(HOST, BEFORE)} == {State.STORED}


def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    """What could not be committed is rolled back before the connection goes to the next: nobody waits for its locks."""
    failing = [False]

    def meet(statement: str) -> None:
        if statement.startswith("COMMIT") and failing[0]:
            raise pyodbc.Error("HY000", MICROSOFTS.format("HY000", "it could not be done (0)"))

    destination = stand_in(tmp_path / "t.sqlite", [], meet=meet, keeps=True)
    destination.load(HOST, [small("a", key="1")])
    failing[0] = True
    with pytest.raises(DestinationError):
        destination.load(HOST, [small("a", key="2", as_of=1_800_000_000)])
    failing[0] = False
    assert stand_in(tmp_path / "t.sqlite", []).load(HOST, [small("b")])[0].state is State.STORED
    assert destination.load(HOST, [small("a", key="2", as_of=1_800_000_000)])[0].state is State.STORED
