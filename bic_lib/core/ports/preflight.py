"""One line of what `bic check` looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a preflight: what was looked at, whether it is well, and what to do if not."""

    subject: str
    check: str
    ok: bool
    detail: str = ""
    hint: str = ""
