"""`make start`: the function app on this machine with all that it needs, until Ctrl-C: `python -m tests.hosts.start [--port N]`
(`make start PORT=N`).

App settings are those of local.settings.json; a variable of the environment wins over its line there, as in Core Tools. What is
not here is stood in for, and said so: storage by the emulator, an appliance and bic.toml by a simulated one, Core Tools by the
tests' own host.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bic_lib.simulator import Profile, Simulator
from tests.hosts.emulator import emulator
from tests.support import ROOT, SECRET, archive, hourly, site

DEVELOPMENT_STORAGE = "UseDevelopmentStorage=true"
STANDARD_PORTS = {"blob": 10_000, "queue": 10_001, "table": 10_002}
"""Where that means, and every tool for the emulator looks."""
DATA = ("sessions", "session_recordings")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=7071)  # that of Core Tools
    port = parser.parse_args().port
    if listens(port):
        sys.exit(f"start: port {port} is in use: end what listens there, or take another, `make start PORT={port + 1}`")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        settings = app_settings(ROOT)
        start_storage(settings, stack)
        environ = {**os.environ, **bic_settings(settings, ROOT, stack)}
        command = host(port, environ)  # in a group of its own: a Ctrl-C is ours, and ends it before its storage
        process = subprocess.Popen(command, cwd=ROOT, env=as_host(settings, environ), stdin=subprocess.PIPE, process_group=0)
        try:
            ended = process.wait()
        except KeyboardInterrupt:
            say("ending")
            ended = 0
        finally:
            process.terminate()
            process.wait()
    sys.exit(ended)


def say(text: str) -> None:
    print(f"start: {text}", flush=True)


def app_settings(folder: Path) -> dict[str, str]:
    """Those of local.settings.json, made of the example where there is none; the environment wins."""
    local = folder / "local.settings.json"
    if not local.exists():
        shutil.copy(folder / "local.settings.example.json", local)
        say("local.settings.json was made of the example")
    told: dict[str, str] = json.loads(local.read_text("utf-8"))["Values"]
    return {name: os.environ.get(name, value) for name, value in told.items() if os.environ.get(name, value)}


def start_storage(settings: Mapping[str, str], stack: ExitStack) -> None:
    """The emulator, where the settings mean it and it does not run yet."""
    if settings.get("AzureWebJobsStorage") != DEVELOPMENT_STORAGE:
        return
    taken = [port for port in STANDARD_PORTS.values() if listens(port)]
    if taken and len(taken) < len(STANDARD_PORTS):
        sys.exit(f"start: port {taken[0]} is in use, but not by a whole emulator of Azure Storage: end what listens there")
    if not taken:
        stack.enter_context(emulator(STANDARD_PORTS))
        say("the emulator of Azure Storage runs, and forgets everything at the end")


def bic_settings(settings: Mapping[str, str], folder: Path, stack: ExitStack) -> dict[str, str]:
    """A simulated appliance and settings for it, where there is no bic.toml."""
    named = settings.get("BIC_SETTINGS", "bic.toml")
    if "://" in named or (folder / named).exists():
        return {}
    appliance = stack.enter_context(Simulator(Profile(sessions=60, days=3, presentations=0)))
    place = folder / "build/start"
    shutil.rmtree(place, ignore_errors=True)  # of an appliance that is no more, and a ledger that forgot it
    place.mkdir(parents=True)
    ledger = '[ledger]\nkind = "azure_table"\nconnection = "env:AzureWebJobsStorage"\n'
    (place / "bic.toml").write_text(ledger + site(appliance) + archive() + hourly(*DATA), encoding="utf-8")
    say(f"there is no {named}: a simulated appliance at {appliance.host} is delivered to {place / 'archive'}")
    return {"BIC_SETTINGS": str(place / "bic.toml"), SECRET: appliance.client_secret}


def host(port: int, environ: Mapping[str, str]) -> list[str]:
    """The command that runs the app."""
    func = shutil.which("func", path=environ.get("PATH"))
    say(f"http://localhost:{port}/api/health")
    if func:
        return [func, "start", "--port", str(port)]
    say("Core Tools (func) are not on PATH: the tests' own host runs the app, with the same settings")
    return [sys.executable, "-m", "tests.hosts", "--port", str(port)]


def as_host(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of an activated .venv, whose Python Core Tools take; and the app settings, which they alone read."""
    venv = Path(sys.prefix)
    return {**settings, **environ, "VIRTUAL_ENV": str(venv), "PATH": f"{venv / 'bin'}{os.pathsep}{environ.get('PATH', '')}"}


def listens(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
