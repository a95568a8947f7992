"""What every ledger takes in one commit, whatever it is built on: the most restrictive one decides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bic_lib.core.ports.store import BATCH, Change

MOST_BODY = 60_000
MOST_KEY = 400
"""Characters. A property of Azure Tables has 64 KB, a key 1 KiB (512 characters with its escapes); a body takes two
properties (docs/design.md 12)."""


def demand_allowed(partition: str, changes: Sequence[Change]) -> None:
    """Raises ValueError for too many changes, a key twice, or a key that is too long."""
    keys = [change.key for change in changes]
    if len(keys) > BATCH or len(set(keys)) < len(keys):
        raise ValueError(f"a commit takes at most {BATCH} changes and each key once, not {keys}")
    if too_long := [key for key in (partition, *keys) if len(key) > MOST_KEY]:
        raise ValueError(f"keys have at most {MOST_KEY} characters: {too_long}")


def body_text(body: Mapping[str, Any]) -> str:
    """The body as JSON in ASCII. Raises ValueError when it is too large or no JSON."""
    text = _JSON.encode(body)
    if len(text) >= MOST_BODY:
        raise ValueError(f"a ledger row takes less than {MOST_BODY} bytes, not {len(text)}")
    return text


_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
