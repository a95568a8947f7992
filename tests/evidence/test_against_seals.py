"""`bic verify` holds the ledger against the seals; health tells what is not sealed; each statement is told to people, once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, State
from bic_lib.core.plan import HOUR
from bic_lib.core.ports.store import Delete
from bic_lib.engine import health
from bic_lib.ledger.records import ITEMS, Record, partition, transfer_key
from bic_lib.notices.notify import notify
from tests.evidence.sealed import Sealed, problems


def unproven(sealed: Sealed) -> list[str]:
    return [one.place for one in sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN)]


def erase(sealed: Sealed, record: Record) -> None:
    """From the ledger and the archive alike, as if it had never been."""
    sealed.world.ledger().store.commit(ITEMS, partition(record.item), [Delete(transfer_key(record))])
    (sealed.root / record.outcome.location).unlink()


def test_what_was_erased_from_ledger_and_archive_is_named(sealed: Sealed) -> None:
    """The ledger alone would be content; the seals are not, until it is there again or somebody has seen it."""
    record = sealed.documents()[0]
    erase(sealed, record)
    assert problems(sealed) == [("erased", record.outcome.location)]
    assert unproven(sealed) == [record.outcome.location]
    assert health.look(sealed.world.app()).ill
    sealed.world.ledger().proof.settle([record])
    (sealed.root / record.outcome.location).write_bytes(b"x" * record.outcome.size)
    assert ("erased", record.outcome.location) not in problems(sealed)
    assert [one for one in sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN) if one.kind == "seal"] == []


def test_what_was_altered_in_ledger_and_archive_is_named(sealed: Sealed) -> None:
    """Both tell the same lie; the seal of the day before tells the truth."""
    record = sealed.documents()[0]
    sealed.world.ledger().store.commit(ITEMS, partition(record.item), [Delete(transfer_key(record))])
    sealed.store_anew(record, b"<lie/>")
    for entry in list(sealed.world.ledger().journal.day(sealed.today())):
        sealed.world.ledger().store.commit("journal", sealed.today().isoformat(), [Delete(entry.key)])
    assert problems(sealed) == [("altered", record.outcome.location)]


def test_what_was_kept_out_of_the_seals_is_named(sealed: Sealed) -> None:
    """Its row of the journal was taken away before its day was sealed, so that nobody would miss it later."""
    [record, *_] = sealed.documents()
    sealed.store_anew(record, b"<kept out/>")
    for entry in list(sealed.world.ledger().journal.day(sealed.today())):
        assert entry.location == record.outcome.location
        sealed.world.ledger().store.commit("journal", sealed.today().isoformat(), [Delete(entry.key)])
    late = replace(record, item=replace(record.item, lsid="late"), outcome=replace(record.outcome, location="late.xml"))
    sealed.store_anew(late, b"<late/>")
    assert problems(sealed) == [("altered", record.outcome.location)], "what was stored since is told by the journal"
    for entry in list(sealed.world.ledger().journal.day(sealed.today())):
        sealed.world.ledger().store.commit("journal", sealed.today().isoformat(), [Delete(entry.key)])
    sealed.next_day()
    assert ("unlisted", "late.xml") in problems(sealed)
    assert "late.xml" in unproven(sealed)


def test_a_ledger_that_forgot_its_chain_is_named(sealed: Sealed) -> None:
    """As if sealing had never begun: what lies there says that it has."""
    record = sealed.documents()[0]
    erase(sealed, record)
    sealed.world.ledger().store.commit("seals", "chain", [Delete("chain")])
    assert problems(sealed) == [("seal", f"seals/{sealed.ledger}")]
    assert health.look(sealed.world.app()).ill


def test_honest_changes_since_the_last_seal_are_no_finding(sealed: Sealed) -> None:
    """What was overwritten, retired or purged today stands in the journal, and in no seal yet."""
    over, retired, purged = sealed.documents()[:3]
    sealed.store_anew(over, b"<newer/>")
    sealed.remove(retired, State.RETIRED)
    sealed.remove(purged, State.PURGED)
    assert problems(sealed) == []
    sealed.next_day()
    assert problems(sealed) == []


def test_a_chain_that_was_cut_or_rolled_back_is_named(sealed: Sealed, tmp_path: Path) -> None:
    """The ledger noted the head: an archive of the day before is told, and so is one without seals."""
    for path in sealed.folder.glob("00001-*"):
        path.unlink()
    [(problem, place)] = problems(sealed)
    assert (problem, place) == ("seal", f"seals/{sealed.ledger}")
    shutil.rmtree(sealed.folder)
    assert problems(sealed)


def test_a_day_that_is_not_sealed_is_unproven(sealed: Sealed) -> None:
    """Six hours after its end at the latest; sealing ends it."""

    def told() -> list[str]:
        return [str(one.severity) for one in health.look(sealed.world.app()).troubles if one.subject.kind == "seal"]

    assert told() == []
    sealed.pass_time(DAY + 7 * HOUR)
    assert told() == ["unproven"]
    sealed.seal()
    assert told() == []


class Way:
    """Keeps what people are told."""

    name = "mail"

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def send(self, subject: str, text: str) -> list[str]:
        self.told.append((subject, text))
        return []


def test_each_statement_is_told_once(sealed: Sealed) -> None:
    """Day, number and SHA-256: the copy that lies elsewhere."""
    way = Way()
    sealed.next_day()
    for _ in range(2):
        notify(sealed.world.app(), [way])
    chain = sealed.check().chain
    assert chain
    [(subject, text)] = [one for one in way.told if chain.heads[-1] in one[1]]
    assert subject.endswith("is sealed")
    assert "Statement 2 of" in text
    assert "localhost" not in text
