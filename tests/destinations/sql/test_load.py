"""Decisions of loading, and what happens when two processes meet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from bic_lib.contracts.documents import HOST, small
from bic_lib.core.errors import BicError, DestinationError, Unexpected
from bic_lib.core.model import Document, State
from bic_lib.core.rows import session_rows
from bic_lib.destinations.sql import load
from bic_lib.destinations.sql.load import Act, Clash, Loader, Loading, act, loadings, tried
from bic_lib.destinations.sql.sqlserver import SqlServerTransaction
from bic_lib.destinations.sql.tables import session_event
from bic_lib.destinations.sql.transaction import Known, Transaction
from tests.destinations.sql.stand_in import stand_in
from tests.destinations.sql.test_sqlite import query

LASTING = DestinationError("busy for good")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.mark.parametrize(
    ("fingerprint", "there_at", "as_of", "expected"),
    [
        ("same", "2025-01-01 00:00:00", 0, Act.KEEP),
        ("same", None, None, Act.KEEP),
        ("other", "2025-01-01 00:00:00", 1_735_689_599, Act.DROP),
        ("other", "2025-01-01 00:00:00", 1_735_689_600, Act.REPLACE),
        ("other", "2025-01-01 00:00:00", None, Act.DROP),
        ("other", None, None, Act.REPLACE),
        (None, None, None, Act.REPLACE),
        (None, None, 1, Act.REPLACE),
    ],
)
def test_what_is_done_with_a_document(fingerprint: str | None, there_at: str | None, as_of: int | None, expected: Act) -> None:
    """The same is kept, an older one dropped, anything else replaced; what another program wrote has neither print nor time."""
    coming = on_its_way(small("a", as_of=as_of))
    print_there = coming.document.fingerprint if fingerprint == "same" else fingerprint
    assert act(coming, Known(1, "a", HOST, print_there, there_at, coming.rows_sha256)) is expected
    assert act(coming, None) is Act.INSERT


@pytest.mark.parametrize(
    ("digest", "force", "expected"), [("same", True, Act.REPLACE), ("x", False, Act.REPLACE), (None, False, Act.REPLACE)]
)
def test_the_same_document_is_written_anew(digest: str | None, force: bool, expected: Act) -> None:
    """Forced; and where its rows came out otherwise, or were written by a program that reckoned no digest."""
    coming = on_its_way(small("a", as_of=1_000))
    there = Known(
        1, "a", HOST, coming.document.fingerprint, "2025-01-01 00:00:00", coming.rows_sha256 if digest == "same" else digest
    )
    assert act(coming, there, force=force) is expected
    assert coming.written(there).record[1] == "2025-01-01 00:00:00"


def on_its_way(document: Document) -> Loading:
    [coming] = loadings([document], [session_rows(document.record, HOST)])
    return coming


def test_a_clash_is_tried_again() -> None:
    """Work that met another process is done again until it is through."""
    answers = iter([Clash(LASTING), Clash(LASTING), "done"])

    def work() -> str:
        answer = next(answers)
        if isinstance(answer, Clash):
            raise answer
        return str(answer)

    assert tried(work) == "done"


def test_a_clash_that_lasts_is_what_it_means() -> None:
    """After the last try the error behind the clash is raised."""
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise Clash(LASTING)

    with pytest.raises(DestinationError, match="busy for good"):
        tried(work)
    assert len(tries) == load.TRIES


def test_a_session_that_another_process_brought_first(tmp_path: Path) -> None:
    """The unique key decides between two that insert one session at once; who lost looks again, and the newer document stays."""
    rival = stand_in(tmp_path / "t.sqlite", [])
    rival.load(HOST, [small("x")])
    met: list[str] = []

    class Late(SqlServerTransaction):
        def known(self, host_name: str, lsids: Sequence[str]) -> dict[str, Known]:
            if not met:
                met.append("the other's session is not seen yet")
                return {}
            return super().known(host_name, lsids)

    @contextmanager
    def opened() -> Iterator[Transaction]:
        with rival.engine.connect() as connection:
            try:
                yield Late(connection)
            except BicError:
                raise
            except Exception as error:
                raise Clash(Unexpected("duplicate")) from error

    loader = Loader(opened, store_system_information=True)
    rival.load(HOST, [small("a", key="theirs", as_of=2_000)])
    outcomes = loader.load(HOST, [small("a", key="ours", as_of=1_000), small("b", key="ours")])
    assert [outcome.state for outcome in outcomes] == [State.SKIPPED, State.STORED]
    assert query(tmp_path / "t.sqlite")("SELECT lsid, external_key FROM session ORDER BY lsid") == [
        ("a", "theirs"),
        ("b", "ours"),
        ("x", "INC1"),
    ]


def test_large_calls_are_cut_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches end before they grow too large, and one document that is larger than that goes alone."""
    monkeypatch.setattr(load, "BATCH_BYTES", 2_000)
    sent: list[str] = []
    destination = stand_in(tmp_path / "t.sqlite", sent)
    documents = [small(f"s{n}", lines=["x" * 900]) for n in range(4)] + [small("large", lines=["x" * 5_000])]
    outcomes = destination.load(HOST, documents)
    assert {outcome.state for outcome in outcomes} == {State.STORED}
    assert sum(statement.startswith("DECLARE @sessions") for statement in sent) == 5


def test_missing_ids_are_noticed() -> None:
    """When the server gives fewer ids than rows, no child is hung below a wrong event."""

    class Forgetful(SqlServerTransaction):
        def __init__(self) -> None: ...

        def run(self, statement: str, *parameters: Any) -> list[tuple[int]]:
            return [(1,)]

    table: Table = session_event
    with pytest.raises(DestinationError, match="took 1 of 2 rows"):
        Forgetful().insert_keyed(table, ("session_id",), [(1,), (2,)])
