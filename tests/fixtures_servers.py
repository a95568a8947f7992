"""Real servers on loopback for tests: Azurite (Azure Storage's emulator, from npm) and Samba. Imported by conftest modules."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.needs import lacking, program

AZURITE = Path(__file__).parent.parent / "node_modules/azurite/dist/src/blob/main.js"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's own, public
PASSWORD = "Pa55-of-a-test"
SHARE = "archive"


@dataclass
class Azurite:
    """An emulator of blob storage; `url` is the account's."""

    port: int
    scheme: str
    process: psutil.Popen

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        return f"DefaultEndpointsProtocol={self.scheme};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"


@dataclass
class Samba:
    """A file server with one share and one user; it can be killed and started again under the same port."""

    folder: Path
    options: tuple[str, ...] = ()
    more: str = ""
    username: str = field(default_factory=getpass.getuser)
    password: str = PASSWORD
    process: psutil.Popen | None = None
    port: int = 0

    @property
    def files(self) -> Path:
        """What the share shows."""
        return self.folder / SHARE

    @property
    def unc(self) -> str:
        return rf"\\127.0.0.1\{SHARE}"

    def start(self) -> None:
        self.port = self.port or free_port()
        configuration = self.folder / "smb.conf"
        if not configuration.exists():
            self.files.mkdir()
            configuration.write_text(self._configuration())
            subprocess.run(
                [
                    program("pdbedit"),
                    f"--configfile={configuration}",
                    "--create",
                    "--password-from-stdin",
                    "--user",
                    self.username,
                ],
                input=f"{self.password}\n{self.password}\n",
                text=True,
                check=True,
                capture_output=True,
            )
        command = [program("smbd"), "--foreground", "--no-process-group", f"--configfile={configuration}"]
        self.process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.port, self.process)

    def control(self, *words: str) -> None:
        """Tell the running server something, as an administrator does."""
        command = [program("smbcontrol"), f"--configfile={self.folder / 'smb.conf'}", "smbd", *words]
        subprocess.run(command, check=True, capture_output=True)

    def kill(self) -> None:
        """The server and what it forked are gone at once, as after a power cut."""
        if self.process is not None:
            end(self.process)
            self.process = None

    def _configuration(self) -> str:
        private = "".join(
            f"  {name} = {self.folder}\n"
            for name in ("lock directory", "state directory", "cache directory", "pid directory", "private dir", "ncalrpc dir")
        )
        options = "".join(f"  {option}\n" for option in self.options)
        return (
            "[global]\n"
            f"  smb ports = {self.port}\n  interfaces = 127.0.0.1\n  bind interfaces only = yes\n  server role = standalone\n"
            f"  disable spoolss = yes\n  load printers = no\n  log file = {self.folder}/log\n  log level = 0\n"
            f"  passdb backend = tdbsam:{self.folder}/passdb.tdb\n{private}{options}"
            f"[{SHARE}]\n  path = {self.files}\n  read only = no\n{self.more}"
        )


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One emulator for the session."""
    with run_azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """One file server for the session; nobody kills it."""
    with run_samba(tmp_path_factory.mktemp("samba")) as server:
        yield server


@contextlib.contextmanager
def run_azurite(folder: Path, *options: str, scheme: str = "http") -> Iterator[Azurite]:
    """An emulator with its data in this folder."""
    node = shutil.which("node")
    if node is None or not AZURITE.exists():
        lacking("Azurite", "npm ci")
    port = free_port()
    command = [node, str(AZURITE), "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", str(folder)]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), *options]
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield Azurite(port, scheme, process)
    finally:
        end(process)


@contextlib.contextmanager
def run_samba(folder: Path, *options: str, more: str = "") -> Iterator[Samba]:
    """A file server with these additional lines for its [global] section, and `more` behind its share."""
    server = Samba(folder, options, more)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: psutil.Popen, seconds: float = 30) -> None:
    """Until somebody listens there."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{process.args} did not listen on port {port}")


def end(process: Any) -> None:  # psutil.Popen, whose stub hides the methods of Process
    """Kill a process and its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait()
