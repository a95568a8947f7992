"""Names of files that are not finished yet, in every place that has folders (docs/design.md 9.1)."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator

from bic_lib.core.ports.files import FileEntry

OURS = ".bic-"
"""Names that begin so are temporary: they are never listed, and no item is called so."""

STALE_SECONDS = 86_400
"""Age after which the temporary file of a put belongs to nobody, where nothing else tells whether its worker lives."""

_PUT = f"{OURS}put-"
_STAGED = re.compile(r"\.bic-([0-9a-f]{16})-(\d+)\.part")
_SHORT_LIVED = re.compile(r"\.bic-put-[0-9a-f]{16}(?:-[0-9a-f]{8})?\.part")


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


def is_hidden(location: str) -> bool:
    """Whether it has such a name, or one of the folders that it lies in."""
    return any(name.startswith(OURS) for name in location.split("/"))


def left(entries: Iterable[FileEntry]) -> Iterator[FileEntry]:
    """Those of all files that are hidden, and that no worker may have in hand."""
    now = time.time()
    return (entry for entry in entries if is_hidden(entry.location) and not _in_hand(entry.location, now - entry.modified))


def _in_hand(location: str, age: float) -> bool:
    folder, _, name = location.rpartition("/")
    return not is_hidden(folder) and not stale(age) and bool(_STAGED.fullmatch(name) or _SHORT_LIVED.fullmatch(name))


def staged_before(name: str, transfer: str, epoch: int) -> bool:
    """Whether an earlier epoch of this transfer left this file."""
    found = _STAGED.fullmatch(name)
    return found is not None and found[1] == transfer and int(found[2]) < epoch
