"""A world that is sealed, day by day, by clocks that tests move; and the auditor's script of docs/evidence.md."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from bic_lib import wiring
from bic_lib.actions import seals
from bic_lib.actions.seals import Checked
from bic_lib.actions.verify import verify
from bic_lib.core.model import DAY, Outcome, State
from bic_lib.evidence import sealing
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import Head, digest
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import HELD, Record
from bic_lib.settings import loading
from tests.engine.steps.world import World
from tests.support import ROOT

SEAL = '[seal]\ndestination = "archive"\n'
BARE = {"PATH": "/usr/bin:/bin"}


@dataclass
class Sealed:
    """A world that is sealed."""

    world: World
    fingerprint: str = ""
    ledger: str = ""

    def parts(self) -> tuple[Ledger, Setup]:
        app = self.world.app()
        setup = wiring.sealing(loading.load(self.world.folder / "bic.toml"), app)
        assert setup
        return app.ledger, setup

    def begin(self) -> None:
        ledger, setup = self.parts()
        begun, _ = seals.begin(ledger, setup)
        self.fingerprint, self.ledger = begun.fingerprint, begun.ledger

    def seal(self) -> list[Head]:
        return list(sealing.seal(*self.parts()))

    def pass_time(self, seconds: float) -> None:
        """On the ledger's clock; the appliance, which all tests share, keeps its own."""
        self.world.clock.offset += seconds

    def next_day(self) -> list[Head]:
        """The day ends and is sealed."""
        self.pass_time(DAY)
        return self.seal()

    def today(self) -> date:
        return sealing.last_finished(self.world.clock()) + timedelta(days=1)

    def documents(self, site: str = "support") -> list[Record]:
        """Session documents that are stored, in the ledger's order."""
        held = (one for one in self.world.records(site) if one.outcome.state in HELD)
        return [one for one in held if one.outcome.location.endswith(".xml")]

    def store_anew(self, record: Record, content: bytes, state: State = State.STORED) -> None:
        """Another version of it in the same place, as Overwrite does."""
        (self.root / record.outcome.location).write_bytes(content)
        ledger = self.world.ledger()
        outcome = Outcome(state, record.outcome.location, len(content), digest(content))
        newer = replace(record, version=record.version + 1, at=ledger.now(), outcome=outcome)
        ledger.proof.settle([replace(record, outcome=replace(record.outcome, state=State.REPLACED)), newer])

    def remove(self, record: Record, state: State) -> None:
        """It was retired, or purged."""
        (self.root / record.outcome.location).unlink()
        ledger = self.world.ledger()
        if state is State.PURGED:
            ledger.proof.bury([record], "somebody")
        else:
            ledger.proof.settle([replace(record, outcome=replace(record.outcome, state=state))])

    def check(self, *, strict: bool = True, head: str = "") -> Checked:
        return seals.check(self.root, [self.fingerprint], strict=strict, head=head)

    def demand_proven(self) -> None:
        """By us, and by the script of docs/evidence.md."""
        checked = self.check()
        assert checked.state == "proven", checked.problems
        script = self.audit()
        assert (script.returncode, script.stderr) == (0, ""), script.stdout

    def audit(self) -> subprocess.CompletedProcess[str]:
        return audit(self.root, self.fingerprint)

    @property
    def root(self) -> Path:
        return self.world.folder / "archive"

    @property
    def folder(self) -> Path:
        """Where the seals lie."""
        return self.root / "seals" / self.ledger

    def named(self, pattern: str) -> Path:
        """The one file of the seals whose name fits."""
        [found] = [path for path in self.folder.iterdir() if re.fullmatch(pattern, path.name)]
        return found


def problems(sealed: Sealed) -> list[tuple[str, str]]:
    """What `bic verify` names."""
    app = sealed.world.app()
    found = verify(app, seals=wiring.sealing(loading.load(sealed.world.folder / "bic.toml"), app))
    return [(one.problem, one.location) for one in found.problems]


def audit(folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    """The script as the page has it, in a bare shell."""
    [script] = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/evidence.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    command = ["sh", "-c", script, "check.sh", str(folder), *asked]
    return subprocess.run(command, env=BARE, capture_output=True, text=True, check=False)
