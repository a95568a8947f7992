"""A world that is sealed, day by day, by clocks that tests move; and the auditor's script of docs/evidence.md."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bic_lib import wiring
from bic_lib.actions import seals
from bic_lib.actions.seals import Checked
from bic_lib.core.model import DAY
from bic_lib.evidence import sealing
from bic_lib.evidence.sealing import Setup
from bic_lib.evidence.statement import Head
from bic_lib.ledger import Ledger
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
        begun, _ = seals.begin(ledger, setup, self.world.folder / "seal-key.pem")
        self.fingerprint, self.ledger = begun.fingerprint, begun.ledger

    def seal(self) -> list[Head]:
        return list(sealing.seal(*self.parts()))

    def next_day(self) -> list[Head]:
        """What came is fetched, the day ends and is sealed."""
        self.world.once()
        self.world.pass_time(DAY)
        return self.seal()

    def check(self, *, strict: bool = True, head: str = "") -> Checked:
        return seals.check(self.root, [self.fingerprint], strict=strict, head=head)

    def demand_proven(self) -> None:
        """By us, and by the script of docs/evidence.md."""
        checked = self.check()
        assert (checked.state, checked.problems) == ("proven", [])
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


def audit(folder: Path, fingerprint: str) -> subprocess.CompletedProcess[str]:
    """The script as the page has it, in a bare shell."""
    [script] = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/evidence.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    command = ["sh", "-c", script, "check.sh", str(folder), fingerprint]
    return subprocess.run(command, env=BARE, capture_output=True, text=True, check=False)
