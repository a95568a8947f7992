"""A time as texts have it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(seconds: float) -> str:
    """Unix seconds in UTC, down to the minute: `2026-08-01 02:30`."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M}"
