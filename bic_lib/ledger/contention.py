"""Changing a row that others change too: read it, decide, write it if it is still the same, else again."""

from __future__ import annotations

from collections.abc import Iterator

from bic_lib.core.errors import LedgerError

MOST_ATTEMPTS = 100
"""Each conflict is somebody's success, of which a row has one or two a second."""


def attempts(what: str) -> Iterator[int]:
    """As many turns as it may take. Raises LedgerError after the last one: then somebody writes it without end."""
    yield from range(MOST_ATTEMPTS)
    raise LedgerError(f"the ledger's row of {what} changes faster than it can be written", hint="It is tried again later.")
