"""`/api/command` and `/api/backup` (docs/appliance.md 6, 7)."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bic_lib.simulator.accounts import PERMISSIONS
from bic_lib.simulator.answers import Answer, Refusal, error_document, json_answer, odd_answer
from bic_lib.simulator.faults import Faults
from bic_lib.simulator.recordings import MEDIA_TYPES, blocks, digest
from bic_lib.simulator.register import Moment
from bic_lib.simulator.spellings import Spelling


def command(parameters: Mapping[str, str], moment: Moment, faults: Faults) -> Answer:
    """The answer to `get_api_info` or `check_health`; an `<error>` to anything else."""
    match parameters.get("action"):
        case "get_api_info":
            root, content = "api_information", _api_information(moment, faults)
        case "check_health":
            root, content = "health_check", _HEALTH
        case other:
            return error_document(f"Unknown action: {other or '(none)'}.", faults, api="command")
    return Answer(body=[Spelling(faults).document(root, content, "command")])


_HEALTH = """
	<appliance id="50000000f0f04163b09b7591af190000">support.example.com</appliance>
	<version>24.1.2 (37380-0000000000000000000000000000000000000000)</version>
	<success>1</success>
	<failover_role>none</failover_role>
"""


def _api_information(moment: Moment, faults: Faults) -> str:
    permissions = "".join(f'\t\t<permission name="{name}">{_granted(name, faults)}</permission>\n' for name in PERMISSIONS)
    return (
        f"\n\t<api_version>1.24.1</api_version>\n\t<timestamp>{int(moment.shown)}</timestamp>\n"
        f"\t<permissions>\n{permissions}\t</permissions>\n"
    )


def _granted(name: str, faults: Faults) -> str:
    if name == "perm_command":
        return "deny" if name in faults.denied else "read_only"
    return "0" if name in faults.denied else "1"


@dataclass(frozen=True)
class BackupTruth:
    """One backup that was made: its running number from 0, when (appliance's clock), its size and the password asked for."""

    number: int
    time: float
    size: int
    password: str | None

    def digest(self) -> tuple[int, str]:
        """Size and SHA-256 (hexadecimal) of what was served."""
        return digest(f"backup/{self.number}", "nsb", self.size)


class Backups:
    """Makes backups, each with other bytes, and remembers them."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self._made: list[BackupTruth] = []
        self._times: list[float] = []

    @property
    def made(self) -> list[BackupTruth]:
        """All backups made so far, a copy."""
        with self._lock:
            return list(self._made)

    def answer(self, body: bytes, moment: Moment) -> Answer:
        """A new backup; 429 when there were `per_hour` in the last hour (6.9)."""
        how = self._faults.backup
        password = self._password(body)
        with self._lock:
            recent = sum(1 for time in self._times if time > moment.true - 3600)
            if how.per_hour is not None and recent >= how.per_hour:
                return json_answer(429, {"error": "too_many_requests", "message": "Too many backups."})
            self._times.append(moment.true)
            if how.error is not None:
                return Answer(body=[how.error.encode()], content_type="text/plain; charset=UTF-8")
            if how.odd is not None:
                return replace(odd_answer(how.odd), framing=how.framing, coding=how.coding)
            backup = BackupTruth(len(self._made), moment.shown, how.size, password)
            self._made.append(backup)
        headers = {"Content-Disposition": 'attachment; filename="backup.nsb"'}
        return Answer(
            body=blocks(f"backup/{backup.number}", "nsb", how.size),
            content_type=MEDIA_TYPES["nsb"],
            headers=headers,
            framing=how.framing,
            coding=how.coding,
        )

    def _password(self, body: bytes) -> str | None:
        if not body:
            return None
        try:
            given = json.loads(body)
        except ValueError:
            raise Refusal(error_document("The request body is not a JSON object.", self._faults)) from None
        password = given.get("password") if isinstance(given, dict) else None
        return str(password) if password is not None else None
