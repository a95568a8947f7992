"""Names of files that are not finished yet, in every place that has folders (docs/design.md 9.1)."""

from __future__ import annotations

import hashlib
import re
import secrets

OURS = ".bic-"
"""Names that begin so are temporary: they are never listed, and no item is called so."""

STALE_SECONDS = 86_400
"""Age after which the temporary file of a put belongs to nobody, where nothing else tells whether its worker lives."""

_PUT = f"{OURS}put-"
_STAGED = re.compile(r"\.bic-([0-9a-f]{16})-(\d+)\.part")


def of_put(name: str) -> str:
    """What a small file is called until it gets its name: each try of it finds what an earlier one left."""
    return f"{_PUT}{hashlib.sha256(name.encode()).hexdigest()[:16]}.part"


def of_another_put(name: str) -> str:
    """What it is called while another worker writes a file of the same name."""
    return f"{of_put(name).removesuffix('.part')}-{secrets.token_hex(4)}.part"


def of_staging(transfer: str, epoch: int) -> str:
    """The name of a large file: another worker must be able to find it."""
    return f"{OURS}{transfer}-{epoch}.part"


def is_put(name: str) -> bool:
    """Whether this is the temporary file of a put. Those of stagings are swept by their own transfer only."""
    return name.startswith(_PUT)


def stale(age: float) -> bool:
    """Whether a temporary file of this age (seconds) belongs to nobody."""
    return age > STALE_SECONDS


def staged_before(name: str, transfer: str, epoch: int) -> bool:
    """Whether an earlier epoch of this transfer left this file."""
    found = _STAGED.fullmatch(name)
    return found is not None and found[1] == transfer and int(found[2]) < epoch
