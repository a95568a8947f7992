"""What a site was found to say where nothing is found: one row a site and report kind (docs/design.md 10)."""

from __future__ import annotations

from collections.abc import Mapping

from bic_lib.core.model import ReportKind
from bic_lib.core.ports.store import Put, Row, Store

_KEY = "texts|"


class SiteLessons:
    """One site's lessons in the ledger (:class:`bic_lib.core.ports.appliance.Lessons`). Methods raise LedgerError."""

    def __init__(self, store: Store, table: str, partition: str, host: str) -> None:
        self._store, self._table, self._partition, self._host = store, table, partition, host

    def learned(self, kind: ReportKind, account: str) -> str:
        row = self._store.get(self._table, self._partition, f"{_KEY}{kind}")
        return str(row.body["text"]) if row and row.body["account"] == account else ""

    def learn(self, kind: ReportKind, account: str, text: str) -> None:
        body = {"text": text, "account": account, "host": self._host}
        self._store.commit(self._table, self._partition, [Put(f"{_KEY}{kind}", body)])


def learned(rows: Mapping[str, Row], host: str) -> dict[str, str]:
    """What stands in a site's rows of its host, by report kind."""
    found = {kind: rows.get(f"{_KEY}{kind}") for kind in ReportKind}
    return {str(kind): str(row.body["text"]) for kind, row in found.items() if row and row.body["host"] == host}
