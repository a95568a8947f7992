"""A whole world in a folder: a simulated appliance, `bic.toml`, a ledger whose clock tests move, local folders, and the truth."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from bic_lib import wiring
from bic_lib.actions import running
from bic_lib.appliance import session_documents
from bic_lib.appliance.transport import Timing
from bic_lib.core.model import DAY, Document, Item, Outcome, Site, State, Window
from bic_lib.core.ports.appliance import Appliance
from bic_lib.core.ports.files import FileStore
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine.app import App
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import HELD, Record
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.stores.holder import holder
from bic_lib.ledger.streams import StreamState
from bic_lib.ledger.taking_over import take_over
from bic_lib.settings import loading
from bic_lib.simulator import Simulator
from bic_lib.simulator.population import SessionTruth

ALL_FILES = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings")
HASTE = "requests_per_second = 1000\nrequests_per_hour = 1000000"
"""Rates that let a test be quick."""


class LedgerClock:
    """The ledger's clock: this machine's, moved by tests."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


class World:
    """One installation of the product beside one appliance (or several)."""

    def __init__(self, folder: Path, sims: Simulator | dict[str, Simulator]) -> None:
        self.folder = folder
        self.sims = sims if isinstance(sims, dict) else {"support": sims}
        self.clock = LedgerClock()
        self.outcomes: Counter[tuple[str, str, State]] = Counter()
        self.environ = {f"SECRET_{name}": sim.client_secret for name, sim in self.sims.items()}

    @property
    def sim(self) -> Simulator:
        return next(iter(self.sims.values()))

    # --- settings ---

    def site(self, name: str = "support", extra: str = "", lanes: int = 1) -> str:
        sim = self.sims[name]
        extra += "" if "history" in extra else '\nhistory = "4d"'
        return (
            f'[sites.{name}]\nhost = "{sim.host}"\nclient_id = "{sim.client_id}"\nclient_secret = "env:SECRET_{name}"\n'
            f'ca_file = "{sim.ca_file}"\nmax_concurrency = {lanes}\n{HASTE}\n{extra}\n'
        )

    def configure(
        self,
        *,
        destinations: Iterable[str] = ("archive",),
        data: Iterable[str] = ("sessions",),
        site: str = "",
        destination: str = "",
        transfer: str = "",
        every: str = "1h",
        sites: Iterable[str] = (),
        lanes: int = 1,
        schedules: str = "",
    ) -> None:
        """Write `bic.toml`: each site to each destination; `site`, `destination`, `transfer`, `schedules` are further lines."""
        sites = list(sites) or list(self.sims)
        kinds = ", ".join(f'"{name}"' for name in data)
        lines = [self.site(name, site, lanes) for name in sites]
        lines += [f'[destinations.{name}]\nkind = "local_folder"\ndirectory = "{name}"\n{destination}\n' for name in destinations]
        transfers = [
            f'{{ site = "{name}", destination = "{to}", data = [{kinds}] {transfer} }}' for name in sites for to in destinations
        ]
        lines += [f'[schedules.hourly]\nevery = "{every}"\ntransfers = [{", ".join(transfers)}]\n', schedules]
        (self.folder / "bic.toml").write_text("\n".join(lines))

    def rename(self, before: str, name: str, *, was: bool = True) -> None:
        """Call a site otherwise in `bic.toml`."""
        settings = self.folder / "bic.toml"
        text = settings.read_text().replace('was = "', '# was = "').replace(f'site = "{before}"', f'site = "{name}"')
        settings.write_text(text.replace(f"[sites.{before}]", f"[sites.{name}]" + (f'\nwas = "{before}"' if was else "")))

    def rename_destination(self, before: str, name: str) -> None:
        """Call a destination otherwise in `bic.toml`; its folder stays."""
        settings = self.folder / "bic.toml"
        text = (
            settings.read_text().replace('was = "', '# was = "').replace(f'destination = "{before}"', f'destination = "{name}"')
        )
        settings.write_text(text.replace(f"[destinations.{before}]", f'[destinations.{name}]\nwas = "{before}"'))

    # --- running ---

    def app(self) -> App:
        """A new process's app, but for the process."""
        app = wiring.app(loading.load(self.folder / "bic.toml"), environ=self.environ, observe=self._observe)
        app.ledger.store.close()
        app.ledger = self.ledger()
        make = app.appliance
        make.__self__._ledger = app.ledger  # type: ignore[attr-defined]  # by the clock that tests move

        def appliance(site: Site, lane: int) -> Appliance:
            client = make(site, lane)
            client._timing = Timing(clock=self.clock)  # type: ignore[attr-defined]  # this machine's clock is moved as the ledger's is
            return client

        app.appliance = appliance
        return app

    def ledger(self) -> Ledger:
        store = sqlite.create(self.folder / "bic-ledger.sqlite", clock=self.clock)
        return Ledger(store, holder(), take_over(store, {}))

    def once(self) -> running.Drained:
        """`bic run --once`."""
        return self._ran(running.once)

    def now(self) -> running.Drained:
        """`bic run --now`."""
        return self._ran(running.fire)

    def lose_ledger(self, *filled: str) -> None:
        """The ledger is gone; what lies in the destinations `filled` shall be fetched anew all the same."""
        for path in self.folder.glob("bic-ledger.sqlite*"):
            path.unlink()
        app = self.app()
        running.fill(app, filled)
        app.ledger.store.close()

    def pass_time(self, seconds: float) -> None:
        """Let time pass on all clocks."""
        self.clock.offset += seconds
        for sim in self.sims.values():
            sim.advance(seconds)

    def _ran(self, run: Callable[[App], running.Drained]) -> running.Drained:
        app = self.app()
        try:
            return run(app)
        finally:
            app.ledger.store.close()

    def _observe(self, item: Item, destination: str, outcome: Outcome) -> None:
        self.outcomes[destination, str(item.data), outcome.state] += 1

    # --- what is there ---

    def files(self, destination: str = "archive") -> dict[str, bytes]:
        """Every file below a destination's folder, temporary ones too."""
        root = self.folder / destination
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def delivered(self, destination: str = "archive") -> Counter[str]:
        """How many XML files hold each session."""
        found = (wiring.identify(content) for name, content in self.files(destination).items() if name.endswith(".xml"))
        return Counter(lsid for sessions in found for lsid, _ in sessions)

    def records(self, site: str = "support") -> list[Record]:
        """Every transfer in the ledger."""
        ledger = self.ledger()
        try:
            return list(ledger.proof.records(site))
        finally:
            ledger.store.close()

    def failures(self, site: str = "support") -> list[dict[str, Any]]:
        """The list of what is wrong."""
        ledger = self.ledger()
        try:
            return [{"id": trouble.id, **asdict(trouble)} for trouble in ledger.troubles.open(site)]
        finally:
            ledger.store.close()

    def streams(self, site: str = "support") -> dict[str, StreamState]:
        """The streams in the ledger, by `data>destination`."""
        ledger = self.ledger()
        try:
            states = ledger.streams.read(site).streams.values()
            return {f"{state.stream.data}>{state.stream.destination}": state for state in states}
        finally:
            ledger.store.close()

    # --- what must be so ---

    def demand_whole(
        self,
        destination: str = "archive",
        *,
        recordings: bool = False,
        sim: Simulator | None = None,
        abnormal_after: float = 2 * DAY,
    ) -> None:
        """Every session that ended or broke off is there once as it was served, every recording once, and nothing else."""
        sim = sim or self.sim
        files = self.files(destination)
        expected = {truth.lsid: truth for truth in wanted(sim, abnormal_after)}
        delivered, once = self.delivered(destination), Counter(expected.keys())
        assert delivered == once, f"{destination} lacks {once - delivered}, has too much {delivered - once}"
        served = {lsid: fingerprint(sim, lsid) for lsid in expected}
        for name, content in files.items():
            if name.endswith(".xml"):
                assert dict(wiring.identify(content)).items() <= served.items(), name
        binary = Counter(digest(content) for name, content in files.items() if not name.endswith((".xml", ".nsb")))
        announced = [sum_ for truth in expected.values() for sum_ in recorded(sim, truth)] if recordings else []
        assert binary == Counter(announced)
        assert not [name for name in files if "/.bic-" in f"/{name}"]

    def demand_agreement(self, *destinations: str, site: str = "support", folder: str = "") -> None:
        """Each stored transfer's file is there with its size and SHA-256, and each file has its stored transfer."""
        for destination in destinations:
            files = self.files(folder or destination)
            stored = [
                record.outcome
                for record in self.records(site)
                if record.destination == destination and record.outcome.state in HELD
            ]
            assert Counter(outcome.location for outcome in stored) == Counter(files.keys())
            for outcome in stored:
                content = files[outcome.location]
                assert (outcome.size, outcome.sha256) == (len(content), digest(content)), outcome.location


def puts(monkeypatch: pytest.MonkeyPatch, put: Callable[..., object]) -> None:
    """Local folders put small files by this, one by one, as those of a plug-in do."""
    monkeypatch.setattr(LocalFolder, "put_all", FileStore.put_all)
    monkeypatch.setattr(LocalFolder, "put", put)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fingerprint(sim: Simulator, lsid: str) -> str:
    """The fingerprint of a session as it is served now."""
    return _fingerprint(sim, sim.session(lsid))


@lru_cache(4096)
def _fingerprint(sim: Simulator, truth: SessionTruth) -> str:
    [found] = session_documents.documents(iter([b"<session_list>", sim.session_xml(truth.lsid), b"</session_list>"]), as_of=None)
    assert isinstance(found, Document)
    return found.fingerprint


def wanted(sim: Simulator, abnormal_after: float = 2 * DAY) -> list[SessionTruth]:
    """The sessions that have to be delivered by now: ended, or without an end for 48 hours."""
    late = sim.now() - abnormal_after
    return [truth for truth in sim.sessions() if truth.state == "ended" or (truth.end is None and truth.start <= late)]


@lru_cache(4096)
def recorded(sim: Simulator, truth: SessionTruth) -> list[str]:
    """The SHA-256 of each recording that a session announces."""
    announced = [("session_recordings", 0)] if truth.recordings else []
    announced += [("command_shell_recordings", number) for number in range(truth.shells)]
    announced += [("show_my_screen_recordings", number) for number in range(truth.screens)]
    return [sim.recording_bytes_digest(data, truth.lsid, number)[1] for data, number in announced]


def windows(sim: Simulator, report: str = "SupportSession", by: str = "end_time") -> list[Window]:
    """The windows that were asked for, in order of their requests."""
    asked = (request.params for request in sim.requests if request.params.get("generate_report") == report)
    return [Window(int(p[by]), int(p[by]) + int(p["duration"])) for p in asked if by in p]


def asked(sim: Simulator) -> Counter[str]:
    """How many requests there were by report, or by path."""
    return Counter(request.params.get("generate_report", request.path) for request in sim.requests)
