"""What tests of several rooms share."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from bic_lib.cli.json_docs import shapes
from bic_lib.cli.json_shape import differences
from bic_lib.simulator import Simulator

ROOT = Path(__file__).parents[1]
SECRET = "TEST_SITE_SECRET"
_PATIENCE = 120
_ABNORMAL_AFTER = 2 * 86_400
_NAMESPACE = b"http://www.beyondtrust.com/sra/namespaces/API/reporting"
_CHECK_VALUE = re.compile(r"h%3D[0-9a-f]{40}")


@dataclass(frozen=True)
class Ended:
    """What a call of `bic` left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document."""
        return json.loads(self.out)


@dataclass
class Bic:
    """Runs the real command as a process of its own, in `folder`."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, **environ: str) -> Ended:
        command = [sys.executable, "-m", "bic_lib", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environ(environ), capture_output=True, timeout=_PATIENCE, check=False
        )
        ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
        if "--json" in arguments and ended.out.strip():
            demand_told(arguments, ended.json)
        return ended

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command, running; end it with :func:`end`."""
        command = [sys.executable, "-m", "bic_lib", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self._environ({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )

    def _environ(self, more: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BIC_")}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **self.environ, **more}


def clean_environ(**more: str) -> dict[str, str]:
    """This process's environment without what make, pytest and .ci/run put there for those below them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIC_", "MAKE", "MFLAGS", "PYTEST_"))}
    return {**kept, **more}


def demand_told(arguments: Sequence[str], result: object) -> None:
    """What a command printed with `--json` is what stands beside it, and so in docs/json.md."""
    name = told_name(arguments)
    wrong = sorted(set(differences(shapes()[name], result)))
    assert not wrong, f"bic {name} --json: {wrong}; mend JSON beside the command (bic_lib/cli/commands), then `make docs`"


_RUN_ID = re.compile(r"\d+-.+")


def told_name(arguments: Sequence[str]) -> str:
    """Under which name docs/json.md tells of a call's result."""
    words = {"ID" if _RUN_ID.fullmatch(argument) else argument for argument in arguments}
    names = [name for name in shapes() if set(name.split()) <= words]
    assert names, f"bic {' '.join(arguments)}: the command has no JSON (bic_lib/cli/commands) that tells what it prints"
    return max(names, key=len)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> Ended:
    """Send a signal and wait for the end."""
    process.send_signal(number)
    out, err = process.communicate(timeout=_PATIENCE)
    return Ended(process.returncode, out.decode(), err.decode())


def in_terminal(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> str:
    """What a program writes on a pseudo-terminal, standard output and error together, with its escapes."""
    ours, its = os.openpty()
    with subprocess.Popen(command, cwd=folder, env=environ, stdin=its, stdout=its, stderr=its):
        os.close(its)
        told = b""
        try:
            while block := os.read(ours, 65_536):
                told += block
        except OSError:  # Linux tells so that the other end is closed
            os.close(ours)
    return told.decode().replace("\r\n", "\n")


def symptoms(heading: str) -> list[re.Pattern[str]]:
    """What a section of the page on troubles quotes as seen; … stands for anything."""
    page = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    quoted = [words for cell in cells for words in re.findall(r"`([^`]+)`", cell)]
    return [re.compile(".+".join(map(re.escape, words.split("…")))) for words in quoted]


def site(sim: Simulator, name: str = "support", more: str = "", *, host: str = "") -> str:
    """The settings of a site that is this simulated appliance, as quick as it can be; `host`: under another of its names."""
    return f"""
[sites.{name}]
host = "{host or sim.host}"
client_id = "{sim.client_id}"
client_secret = "env:{SECRET}"
ca_file = '{sim.ca_file.absolute()}'
history = "31d"
requests_per_second = 1000
requests_per_hour = 1000000
{more}
"""


def other_name(sim: Simulator) -> str:
    """Another host name of this simulated appliance, for a second site."""
    return sim.host.replace("localhost", "127.0.0.1")


def archive(name: str = "archive", more: str = "") -> str:
    """The settings of a folder for files."""
    return f"""
[destinations.{name}]
kind = "local_folder"
directory = "{name}"
{more}
"""


def hourly(*transfers: str, name: str = "hourly", site: str = "support", destination: str = "archive") -> str:
    """The settings of a schedule that is due at once; data types of one site to one destination."""
    data = json.dumps(transfers or ("sessions",))
    return f"""
[schedules.{name}]
every = "1h"
transfers = [{{ site = "{site}", destination = "{destination}", data = {data} }}]
"""


def canonical(element: etree._Element) -> str:
    """Canonical XML of one element, without what follows it and without the check values of signed links (they vary)."""
    return _CHECK_VALUE.sub("h%3D", etree.canonicalize(etree.tostring(element, with_tail=False, encoding="unicode")))


def stored_sessions(folder: Path) -> dict[str, str]:
    """The sessions in the XML files of a folder: lsid → canonical XML. Two files with one session are an error."""
    found: dict[str, str] = {}
    for path in folder.rglob("*.xml"):
        for record in etree.parse(path).getroot():
            lsid = record.get("lsid") or ""
            assert lsid not in found, f"{lsid} is stored twice"
            found[lsid] = canonical(record)
    return found


def served_sessions(sim: Simulator) -> dict[str, str]:
    """The sessions that a simulated appliance shows and that have ended, abnormally too: lsid → canonical XML as served."""
    found: dict[str, str] = {}
    for truth in sim.sessions():
        if truth.state == "ended" or (truth.state == "abnormal" and sim.now() - truth.start > _ABNORMAL_AFTER):
            document = b'<session_list xmlns="%s">%s</session_list>' % (_NAMESPACE, sim.session_xml(truth.lsid))
            found[truth.lsid] = canonical(etree.fromstring(document)[0])
    return found
