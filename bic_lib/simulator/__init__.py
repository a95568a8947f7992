"""A simulated Remote Support appliance to try things with: real HTTPS, invented data, switchable faults.

It follows appliance-api.md and imports nothing from the rest of the product, so that neither can repeat the other's error.
"""

from bic_lib.simulator.commands import BackupTruth
from bic_lib.simulator.faults import Backup, Fault, Faults, Recording
from bic_lib.simulator.population import Profile, SessionTruth
from bic_lib.simulator.server import Request
from bic_lib.simulator.simulator import Simulator

__all__ = ["Backup", "BackupTruth", "Fault", "Faults", "Profile", "Recording", "Request", "SessionTruth", "Simulator"]
