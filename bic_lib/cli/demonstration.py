"""The folder of `bic demo`: a simulated appliance that keeps its data from one call to the next, and settings that reach it."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Self

from bic_lib.core.errors import UsageError
from bic_lib.core.model import REPORT_OF, DataType
from bic_lib.core.naming import INSTANCED
from bic_lib.simulator import Profile, Simulator

SCHEDULE = "hourly"
SECRET = "BIC_DEMO_SECRET"  # noqa: S105 -- the variable's name
_SEED = 2026
"""The same data at each call: a demonstration that goes on finds what it left."""

_SETTINGS = """# Written by `bic demo`.

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


class Demonstration:
    """A running simulated appliance and the settings for it. Raises UsageError when the folder can't be used."""

    def __init__(self, directory: Path, sessions: int) -> None:
        self.directory = directory
        self.settings = directory / "bic.toml"
        self.database = directory / "sessions.sqlite"
        self.is_new = not self.settings.exists()
        self._memory = directory / "appliance" / "appliance.json"
        if self.is_new:
            self._remember(sessions, int(time.time()), port=0)
        self._sim = self._start()

    @property
    def environ(self) -> dict[str, str]:
        """What the settings refer to."""
        return {SECRET: self._sim.client_secret}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sim.stop()

    def rows(self) -> sqlite3.Connection:
        """The database of the rows, for reading."""
        return sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=ro", uri=True)

    def _remember(self, sessions: int, end: int, port: int) -> None:
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        self._memory.write_text(json.dumps({"sessions": sessions, "end": end, "port": port}), encoding="utf-8")

    def _start(self) -> Simulator:
        """The same appliance as last time: its past must not change. The port too, unless somebody has it now."""
        try:
            memory = json.loads(self._memory.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            hint = "Name another --directory, or remove this one."
            raise UsageError(f"demo: {self.directory} holds a bic.toml, but is no folder of `bic demo`", hint=hint) from error
        profile = Profile(sessions=memory["sessions"], seed=_SEED, end=memory["end"], open_sessions=0, abnormal_every=0)
        try:
            sim = Simulator(profile, directory=self._memory.parent, port=memory["port"])
            sim.start()
        except OSError:
            sim = Simulator(profile, directory=self._memory.parent)
            sim.start()
        self._remember(memory["sessions"], memory["end"], int(sim.host.rpartition(":")[2]))
        self._write_settings(sim)
        return sim

    def _write_settings(self, sim: Simulator) -> None:
        """Written anew only when there are none, or the host has changed."""
        if not self.is_new and f'"{sim.host}"' in self.settings.read_text(encoding="utf-8"):
            return
        text = _SETTINGS.format(
            host=sim.host,
            client_id=sim.client_id,
            secret=SECRET,
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
