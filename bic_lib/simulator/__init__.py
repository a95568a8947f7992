"""A simulated Remote Support appliance to try things with: real HTTPS, invented data, switchable faults.

It follows docs/appliance.md and imports nothing from the rest of the product, so that neither can repeat the other's error.

* `simulator` all of it, started and stopped · `server` HTTPS · `certificates` · `accounts` tokens and limits · `reporting`,
  `recordings`, `commands` its APIs
* `population` who had which session, from a seed · `cast`, `events`, `documents` what happened in it · `markup`,
  `spellings` how that reads
* `framing` how an answer tells its end, or fails to · `odd_answers` what comes in place of a file
* `faults` what shall go wrong · `answers` errors as an appliance words them · `languages` how each language says so
* `register` what was asked · `clock` its own time
"""

from bic_lib.simulator.commands import BackupTruth
from bic_lib.simulator.faults import Backup, Fault, Faults, Recording
from bic_lib.simulator.population import MOST_SESSIONS, Profile, SessionTruth
from bic_lib.simulator.server import Request
from bic_lib.simulator.simulator import Simulator

__all__ = [
    "MOST_SESSIONS",
    "Backup",
    "BackupTruth",
    "Fault",
    "Faults",
    "Profile",
    "Recording",
    "Request",
    "SessionTruth",
    "Simulator",
]
