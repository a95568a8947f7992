"""Times as everybody is shown them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(moment: float | None) -> str | None:
    """Unix seconds as `2026-08-01T02:30:00Z`; None stays None."""
    return None if moment is None else f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%SZ}"


def minute(text: str | None) -> str:
    """Such a time as a column has it: `2026-08-01 02:30`; None is empty."""
    return text[:16].replace("T", " ") if text else ""


def utc(text: str | None) -> str:
    """Such a time as a sentence has it where nothing else says the zone: `2026-08-01 02:30 UTC`; None is empty."""
    return f"{minute(text)} UTC" if text else ""


def at(text: str, now: float) -> str:
    """Such a time as a sentence has it: `02:30` on the day of `now`, else with its date."""
    return text[11:16] if text[:10] == (iso(now) or "")[:10] else minute(text)
