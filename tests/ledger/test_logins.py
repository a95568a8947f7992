"""Logins that were ended: known at once to whoever asks, and forgotten once they would be over anyway."""

from __future__ import annotations

from bic_lib.core.ports.store import Store
from bic_lib.ledger.logins import Logins


def test_what_would_be_over_is_forgotten(store: Store) -> None:
    """Each logout takes the old ones away, never its own nor those whose cookies still count."""
    logins = Logins(store)
    for began in (1_000, 2_000, 3_000):
        logins.end(f"{began:010d}-a", oldest=0)
    logins.end("0000000500-slow", oldest=2_000)
    known = [name for name in ("0000000500-slow", "0000001000-a", "0000002000-a", "0000003000-a") if logins.has_ended(name)]
    assert known == ["0000000500-slow", "0000002000-a", "0000003000-a"]
    assert not logins.has_ended("0000003000-b")
