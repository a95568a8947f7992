"""Known vulnerabilities of what runs: each version in requirements.txt is looked up by pip-audit.

Exit status: 0 none is known of any; 1 one is; 3 the data can't be had here, so nothing is known (pip-audit alone calls
that well).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.txt"
NOT_HERE = "audit: not to be had here: the data of known vulnerabilities"


def rounds(lock: str) -> list[list[str]]:
    """Every pin, in lists that name a package once: the lock has two versions where Pythons part, pip-audit takes one."""
    found: list[dict[str, str]] = []
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE):
        if all(name in pins for pins in found):
            found.append({})
        next(pins for pins in found if name not in pins)[name] = version
    return [[f"{name}=={version}" for name, version in pins.items()] for pins in found]


def audited(pins: list[str]) -> list[dict[str, Any]]:
    """What pip-audit says of each package: `name`, and `version` and `vulns`, or `skip_reason`.

    Raises ValueError, in pip-audit's words, when it can't ask at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "pins.txt")
        asked.write_text("\n".join(pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
        done = subprocess.run([*command, "--format", "json", "-r", str(asked)], capture_output=True, text=True, check=False)
    if not done.stdout:
        raise ValueError(done.stderr.strip().rpartition("\n")[2])
    packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    return packages


def main() -> int:
    """Say what is known, and of how much nothing could be known."""
    try:
        packages = [package for pins in rounds(LOCK.read_text(encoding="utf-8")) for package in audited(pins)]
    except ValueError as error:
        print(f"{NOT_HERE}: {error}")
        return 3
    known = [(package, vulnerability) for package in packages for vulnerability in package.get("vulns", ())]
    for package, vulnerability in known:
        mended = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"audit: {package['name']} {package['version']} has {vulnerability['id']}, mended in {mended}")
    unasked = sum("skip_reason" in package for package in packages)
    if unasked:
        print(f"{NOT_HERE} of {unasked} of {len(packages)} packages")
    elif not known:
        print(f"audit: no vulnerability of {len(packages)} packages is known")
    return 1 if known else 3 if unasked else 0


if __name__ == "__main__":
    sys.exit(main())
