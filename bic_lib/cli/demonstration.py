"""The folder of `bic demo`: a simulated appliance that keeps its data from one call to the next, and settings that reach it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from bic_lib.cli.demo_folder import SECRET, comes_up_by, memory
from bic_lib.core.errors import UsageError
from bic_lib.core.model import REPORT_OF, DataType
from bic_lib.core.naming import INSTANCED
from bic_lib.simulator import Profile, Recording, Simulator

SCHEDULE = "hourly"
_SEED = 2026
"""The same data at each call: a demonstration that goes on finds what it left."""

_SETTINGS = """# Written by `bic demo`. Its appliance is simulated: `{comes_up_by}` brings it up again, with the pages.

include = ["troubles/*.toml"]

[sites.demo]
host = "{host}"
client_id = "{client_id}"
client_secret = "env:{secret}"
ca_file = "appliance/ca.pem"        # a real appliance needs none
history = "31d"                     # leave these four out for a real appliance
max_concurrency = 4
requests_per_second = 500
requests_per_hour = 1_000_000

[destinations.archive]
kind = "local_folder"
directory = "archive"

[destinations.archive.file_name_format]
{formats}

[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///sessions.sqlite"

[schedules.{schedule}]
every = "1h"
transfers = [
  {{ site = "demo", destination = "archive", data = {data} }},
  {{ site = "demo", destination = "warehouse", data = ["sessions"] }},
]

[schedules.backup]
every = "1d"
transfers = [{{ site = "demo", destination = "archive", data = ["site_backups"] }}]

[logs]
directory = "logs"
"""


_TROUBLES = """# Written by `bic demo --serve`: a few troubles to look at. Remove this file to be rid of them.

[sites.branch]
host = "localhost:{closed}"              # nobody answers there
client_id = "{client_id}"
client_secret = "env:{secret}"

[destinations.copy]
kind = "local_folder"
directory = "copy"

[schedules.branch]
every = "1h"
transfers = [{{ site = "branch", destination = "archive", data = ["sessions", "site_backups"] }}]

[schedules.copy]
every = "1h"
transfers = [{{ site = "demo", destination = "copy", data = ["session_recordings"] }}]
"""
_CLOSED = 1
"""A port at which nobody listens."""


class Demonstration:
    """A running simulated appliance and the settings for it. Raises UsageError when the folder can't be used."""

    def __init__(self, directory: Path, sessions: int) -> None:
        self.directory = directory
        self.settings = directory / "bic.toml"
        self.database = directory / "sessions.sqlite"
        self.is_new = not self.settings.exists()
        self._memory = memory(directory)
        if self.is_new:
            self._remember(sessions, int(time.time()), port=0)
            (directory / "troubles").mkdir()
        kept = self._recalled()
        self._sim = self._start(kept)
        self._remember(kept["sessions"], kept["end"], int(self._sim.host.rpartition(":")[2]))
        self._write_settings(self._sim)

    @property
    def environ(self) -> dict[str, str]:
        """What the settings refer to."""
        return {SECRET: self._sim.client_secret}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sim.stop()

    def make_trouble(self) -> None:
        """From now on a site is down, and of the recordings one has expired and one is no recording."""
        recorded = [truth.lsid for truth in self._sim.sessions() if truth.state == "ended" and truth.recordings]
        self._sim.faults.recordings = dict(zip(recorded[-2:], (Recording(expired=True), Recording(odd="png")), strict=False))
        file = self.directory / "troubles" / "troubles.toml"
        if file.parent.is_dir() and not file.exists():
            text = _TROUBLES.format(closed=_CLOSED, client_id=self._sim.client_id, secret=SECRET)
            file.write_text(text, encoding="utf-8")

    def rows(self) -> sqlite3.Connection:
        """The database of the rows, for reading."""
        return sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=ro", uri=True)

    def _remember(self, sessions: int, end: int, port: int) -> None:
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        kept = {"sessions": sessions, "end": end, "port": port, "secret": self._sim.client_secret if port else ""}
        self._memory.write_text(json.dumps(kept), encoding="utf-8")

    def _recalled(self) -> dict[str, Any]:
        """What the appliance was last time. Raises UsageError."""
        try:
            return dict(json.loads(self._memory.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            hint = "Name another --directory, or remove this one."
            raise UsageError(f"demo: {self.directory} holds a bic.toml, but is no folder of `bic demo`", hint=hint) from error

    def _start(self, kept: Mapping[str, Any]) -> Simulator:
        """The same appliance as last time: its past must not change. The port too, unless somebody has it now."""
        profile = Profile(sessions=kept["sessions"], seed=_SEED, end=kept["end"], open_sessions=0, abnormal_every=0)
        try:
            sim = Simulator(profile, directory=self._memory.parent, port=kept["port"])
            sim.start()
        except OSError:
            sim = Simulator(profile, directory=self._memory.parent)
            sim.start()
        return sim

    def _write_settings(self, sim: Simulator) -> None:
        """Written anew only when there are none, or the host has changed."""
        if not self.is_new and f'"{sim.host}"' in self.settings.read_text(encoding="utf-8"):
            return
        text = _SETTINGS.format(
            host=sim.host,
            client_id=sim.client_id,
            secret=SECRET,
            comes_up_by=comes_up_by(self.directory),
            formats="\n".join(f'{data} = "{_format(data)}"' for data in DataType),
            schedule=SCHEDULE,
            data=json.dumps([str(data) for data in REPORT_OF]),
        )
        self.settings.write_text(text, encoding="utf-8")


def _format(data: DataType) -> str:
    if data is DataType.SITE_BACKUPS:
        return "%DATA_TYPE%/%YEAR%%MONTH%%DAY%-%TIME%.%EXTENSION%"
    instance = "-%INSTANCE%" if data in INSTANCED else ""
    return f"%DATA_TYPE%/%YEAR%-%MONTH%-%DAY%-%LSID%{instance}.%EXTENSION%"
