"""A world without appliances and destinations whose causes of notices the tests make, and a mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bic_lib.core.model import DAY, DataType, Failure, Item, Outcome, Schedule, Site, State, Transfer
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import Uploads
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores import sqlite
from bic_lib.notices.notify import Unsent, notify

HOUR = 3_600
_START = 1_790_000_000.0


@dataclass
class Mailbox:
    """Keeps what it is sent; `broken` refuses all, as an unreachable server does."""

    name: str = "mail"
    mails: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False
    refused: int = 0

    def send(self, subject: str, text: str) -> Sequence[str]:
        if self.broken:
            self.refused += 1
            raise Unsent("mail server: connection refused.")
        self.mails.append((subject, text))
        return ()

    def subjects(self) -> list[str]:
        """What came since the last call."""
        found, self.mails = [subject for subject, _ in self.mails], []
        return found


class World:
    """An app with a real ledger whose clock the test moves, one site and one destination."""

    def __init__(self, folder: Path) -> None:
        self.now = _START
        transfer = Transfer("support", "archive", (DataType.SESSIONS, DataType.SESSION_RECORDINGS))
        self.ledger = Ledger(sqlite.create(folder / "ledger.sqlite", clock=lambda: self.now), "test")
        self.app = App(
            {"support": Site("support", "support.example.com")},
            [Schedule("hourly", HOUR, (transfer,))],
            self.ledger,
            _not_asked,
            _not_asked,
            Uploads(_not_asked, _not_asked),
            ("archive",),
        )
        self.box = Mailbox()

    def tick(self, hours: float = 0.0) -> list[str]:
        """Notices after these hours; the subjects of the mails."""
        self.now += hours * HOUR
        notify(self.app, [self.box])
        return self.box.subjects()

    def fails(
        self, state: State, lsid: str = "a1", *, next_try: float | None = None, forgotten: float = 30 * DAY, doubt: str = ""
    ) -> Record:
        """A recording that was not delivered; `forgotten` seconds from now the appliance forgets it."""
        item = Item("support", DataType.SESSION_RECORDINGS, lsid, start=int(self.now - DAY))
        reason = "the file of Zoë O'Neil is broken"
        outcome = Outcome(state, reason=reason, failure=None if doubt else Failure.UNEXPECTED, doubt=doubt)
        record = Record(item, "archive", outcome, attempts=6, first_failed=self.now, last_failed=self.now, next_try=next_try)
        record = replace(record, forgotten_at=self.now + forgotten)
        self.ledger.proof.settle([record])
        return record


def _not_asked(*_names: object) -> Any:
    raise AssertionError("notices ask neither appliances nor destinations")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Everything is well."""
    return World(tmp_path)
