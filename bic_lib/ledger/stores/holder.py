"""Who holds a lease, so that on one machine the lease of a process that is gone is free at once (docs/design.md 2)."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

import psutil

_ENDED = frozenset({"Z", "X", "x"})


def holder() -> str:
    """This process as a lease holder, unique per call: `host|boot|pid|start|random`."""
    pid = os.getpid()
    return "|".join((socket.gethostname(), _boot(), str(pid), _start(pid) or "", secrets.token_hex(4)))


def gone(holder: str) -> bool:
    """Whether the process behind a holder has ended for certain. False for another machine, another boot, or an unknown form."""
    match holder.split("|"):
        case [host, boot, pid, start, _] if host == socket.gethostname() and boot == _boot() and pid.isdecimal() and start:
            return _start(int(pid)) != start
        case _:
            return False


def _boot() -> str:
    """This run of the system, and in it this world of process ids (containers of one machine each have their own)."""
    if sys.platform != "linux":
        return str(int(psutil.boot_time()))
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + Path("/proc/self/ns/pid").readlink().name


def _start(pid: int) -> str | None:
    """When the process began, in a form that no change of the clock alters; None when there is no such process."""
    if sys.platform != "linux":
        try:
            return str(psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None
    try:
        # psutil adds the boot time, which moves with the clock; the kernel's own ticks don't. The name in () may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in _ENDED else fields[19]
