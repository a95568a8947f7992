"""Names of files that are not finished yet, in every place that has folders (docs/design.md 9.1)."""

from __future__ import annotations

import re
import secrets

OURS = ".bic-"
"""Names that begin so are temporary: they are never listed, and no item is called so."""

STALE = 86_400
"""Age in seconds after which the temporary file of a put belongs to nobody."""

_PUT = f"{OURS}put-"
_STAGED = re.compile(r"\.bic-([0-9a-f]{16})-(\d+)\.part")


def of_put() -> str:
    """A new name for a small file, which is written and published in one go."""
    return f"{_PUT}{secrets.token_hex(8)}.part"


def of_staging(transfer: str, epoch: int) -> str:
    """The name of a large file: another worker must be able to find it."""
    return f"{OURS}{transfer}-{epoch}.part"


def stale(name: str, age: float) -> bool:
    """Whether this is what a killed put left. Those of stagings are swept by their own transfer only."""
    return name.startswith(_PUT) and age > STALE


def staged_before(name: str, transfer: str, epoch: int) -> bool:
    """Whether an earlier epoch of this transfer left this file."""
    found = _STAGED.fullmatch(name)
    return found is not None and found[1] == transfer and int(found[2]) < epoch
