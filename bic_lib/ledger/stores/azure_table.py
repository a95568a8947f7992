"""The ledger in Azure Tables: for any number of instances of an app.

Each ledger table is a storage table named prefix + table, made when it is first written. A commit of several changes is one
entity group transaction, a version is an ETag, the ledger's clock is the service's `Date`. Bodies are JSON in string properties.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
)
from azure.data.tables import TableClient, TableEntity, TableServiceClient, UpdateMode

from bic_lib.core.errors import Conflict, DestinationError, LedgerError, SettingsError
from bic_lib.core.ports.access import Tokens
from bic_lib.core.ports.store import Change, Delete, Insert, Put, Replace, Row
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.stores.damage import PARTITION, DamagedRow
from bic_lib.ledger.stores.limits import body_text, demand_allowed
from bic_lib.ledger.stores.table_keys import decoded, encoded
from bic_lib.ledger.stores.table_transport import Transport, demand_own, party
from bic_lib.network.unanswered import of_environment, unanswered

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_PAGE = 1_000
"""Most entities in one answer (Azure Tables, "Query timeout and pagination")."""
_PIECE = 30_000
"""Characters of JSON in one property; the service takes 64 KB, and counts two bytes a character."""
_MISSING = frozenset({"ResourceNotFound", "EntityNotFound"})
_CONFLICTS = _MISSING | {"EntityAlreadyExists", "UpdateConditionNotSatisfied", "ConditionNotMet"}
"""The service's names for a condition that does not hold."""

_REACH = "Is the storage account reachable from here (network rules, private endpoint, DNS)?"
_RIGHTS = "Give the identity the role Storage Table Data Contributor on the account, or check the connection string's key."
_HINTS = {
    401: _RIGHTS,
    403: f"{_RIGHTS} {_REACH}",
    409: "A table of this name is being deleted: wait a minute.",
    413: "This is a bug: a commit was too large for Azure Tables.",
    429: "The storage account throttles: it is tried again by itself.",
    503: "The storage account is busy: it is tried again by itself.",
}


def create(
    *,
    connection: str | None = None,
    account_url: str | None = None,
    tokens: Tokens | None = None,
    prefix: str = "bic",
    transport: Transport | None = None,
) -> AzureTableStore:
    """The ledger in the account of a connection string, or of `account_url` entered by `tokens`; nothing is asked yet.

    `transport` carries the requests and tells the service's time; tests give one that disturbs. Raises SettingsError when the
    connection string is none.
    """
    carrier = transport or Transport()
    # Retrying has its one place (bic_lib.core.plan); this only bridges a moment. A commit that is repeated after a 5xx, though it
    # had been taken, ends as a conflict with ourselves: the core then reads again, or leaves the work to the next visit.
    options: dict[str, Any] = {"transport": carrier, "retry_total": 2, "retry_backoff_factor": 0.3, "retry_on_methods": ["GET"]}
    options |= {"permit_redirects": False, "raw_response_hook": demand_own}
    try:
        if connection is not None:
            service = TableServiceClient.from_connection_string(connection, **options)
        else:
            credential = cast("TokenCredential | None", tokens)  # the same shape; the SDK's protocol names more options
            service = TableServiceClient(account_url or "", credential=credential, **options)
    except ValueError as error:
        hint = "Copy it from the storage account's page (Access keys), or use account_url with an identity."
        raise SettingsError("The ledger's storage connection can't be used.", hint=hint) from error
    return AzureTableStore(service, carrier, prefix)


class AzureTableStore:
    """The Store port on Azure Tables. Threads may share it."""

    def __init__(self, service: TableServiceClient, transport: Transport, prefix: str) -> None:
        self._service = service
        self._transport = transport
        self._prefix = prefix

    @property
    def operations(self) -> int:
        """How many requests were made so far."""
        return self._transport.operations

    def now(self) -> float:
        now = self._transport.now()
        while now is None:
            self.get("state", "scheduler", "tick")
            now = self._transport.now()
        return now

    def get(self, table: str, partition: str, key: str) -> Row | None:
        return next(self._query(table, [_in(partition), f"RowKey eq '{encoded(key)}'"], 1), None)

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        """As the port says; read in pages, so that rows written meanwhile may or may not be seen."""
        wanted = [_in(partition)]
        wanted += [f"RowKey ge '{encoded(first)}'"] if first else []
        wanted += [f"RowKey lt '{encoded(last)}'"] if last else []
        return self._query(table, wanted, limit)

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        """As the port says; the service cuts its answers at a thousand rows, and sometimes between partitions."""
        wanted = [f"PartitionKey ge '{encoded(first)}'"] if first else []
        wanted += [f"PartitionKey lt '{encoded(last)}'"] if last else []
        return self._query(table, wanted, 0)

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """As the port says. ValueError for more than the port allows: rows, length of keys, size of bodies, a key twice."""
        demand_allowed(partition, changes)
        _demand_versions(table, partition, changes)
        left = list(changes)
        while left:
            try:
                etags = dict(zip((change.key for change in left), self._write(table, partition, left), strict=True))
                return [etags.get(change.key, "") for change in changes]
            except _NotThere as missing:
                left.remove(missing.change)
        return [""] * len(changes)

    def together(self) -> AbstractContextManager[None]:
        """Commit by commit: no transaction there has rows of two partitions."""
        return nullcontext()

    def gone(self, holder: str) -> bool:  # noqa: ARG002  # another instance's process is nothing that we can look at
        return False

    def problems(self) -> list[str]:
        return []  # the service keeps its own checksums

    def room(self) -> int | None:
        return None

    def close(self) -> None:
        self._service.close()

    def _query(self, table: str, wanted: Sequence[str], limit: int) -> Iterator[Row]:
        size = min(limit, _PAGE) if limit else _PAGE
        client = self._table(table)
        there = (
            client.query_entities(" and ".join(wanted), results_per_page=size)
            if wanted
            else client.list_entities(results_per_page=size)
        )
        pages = there.by_page()
        found = 0
        while (page := self._page(pages)) is not None:
            for entity in page:
                found += 1
                if row := self._readable(table, entity):
                    yield row
                if found == limit:
                    return

    def _readable(self, table: str, entity: TableEntity) -> Row | None:
        """The row; None for one that somebody damaged, which is set aside."""
        try:
            return _row(entity)
        except (KeyError, TypeError, ValueError):
            partition, key = decoded(entity["PartitionKey"]), decoded(entity["RowKey"])
            etag = str(entity.metadata["etag"])
            self.commit(RUNS, PARTITION, [DamagedRow(table, partition, key, etag, str(entity.get("Body0"))).put(self.now())])
            with suppress(Conflict):  # somebody has written it anew
                self.commit(table, partition, [Delete(key, etag)])
            return None

    def _page(self, pages: Iterator[Iterator[TableEntity]]) -> list[TableEntity] | None:
        """The next page; None at the end, also where there is no such table yet."""
        with self._translated():
            try:
                page = next(pages, None)
                return None if page is None else list(page)
            except HttpResponseError as error:
                if _code(error) == "TableNotFound":
                    return None
                raise

    def _write(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """The new version of each row. Raises Conflict, or _NotThere for deleting nothing, which makes the service refuse all."""
        operations = [_operation(encoded(partition), change) for change in changes]
        with self._translated():
            try:
                answers = self._submit(self._table(table), operations)
            except HttpResponseError as error:
                if (code := _code(error)) not in _CONFLICTS:
                    raise
                change = changes[getattr(error, "index", 0)]
                if code in _MISSING and isinstance(change, Delete) and change.version is None:
                    raise _NotThere(change) from error
                raise Conflict(f"Ledger row {table} / {partition} / {change.key} was changed by somebody else.") from error
        return ["" if isinstance(change, Delete) else str(told["etag"]) for change, told in zip(changes, answers, strict=True)]

    def _submit(self, client: TableClient, operations: list[Any]) -> Sequence[Any]:
        """Submit; a table that is not there yet is made first."""
        try:
            return _submitted(client, operations)
        except HttpResponseError as error:
            if _code(error) != "TableNotFound":
                raise
        try:
            client.create_table()
        except ResourceExistsError as error:
            if _code(error) != "TableAlreadyExists":
                raise
        return _submitted(client, operations)

    def _table(self, table: str) -> TableClient:
        return self._service.get_table_client(f"{self._prefix}{table}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ClientAuthenticationError as error:
            raise LedgerError(f"The ledger's storage account refuses us ({_code(error)}).", hint=_RIGHTS) from error
        except HttpResponseError as error:
            status = error.status_code or 0
            raise LedgerError(f"The ledger answered {status} {_code(error)}.", hint=_HINTS.get(status, "")) from error
        except DestinationError as error:  # from the tokens
            raise LedgerError(f"The ledger can't be entered: {error.message}", hint=error.hint) from error
        except (AzureError, OSError, ValueError) as error:
            if isinstance(error, ValueError) and not of_environment(error, self._service.url):
                raise
            found = unanswered(party(self._service.url), error)
            raise LedgerError(f"The ledger can't be reached: {found.what}", hint=found.hint) from error


class _NotThere(Exception):
    """A row that was to be deleted whatever it is, is not there."""

    def __init__(self, change: Delete) -> None:
        super().__init__(change.key)
        self.change = change


def _submitted(client: TableClient, operations: list[Any]) -> Sequence[Any]:
    """A single operation goes alone: a transaction costs three times as much time."""
    name, entity, conditions = operations[0]
    if len(operations) > 1 or (name == "delete" and conditions):  # deleted alone, a row that is missing is no error
        return client.submit_transaction(operations)
    return [getattr(client, f"{name}_entity")(entity, **conditions)]


def _code(error: AzureError) -> str:
    """The service's name of an error; its texts may hold addresses and are not told."""
    code = getattr(error, "error_code", None)
    response = getattr(error, "response", None)
    return str(getattr(code, "value", code) or (response.headers.get("x-ms-error-code", "") if response is not None else ""))


# --- rows ------------------------------------------------------------------------------------------------------------


def _in(partition: str) -> str:
    return f"PartitionKey eq '{encoded(partition)}'"


def _demand_versions(table: str, partition: str, changes: Sequence[Change]) -> None:
    """A version that is no ETag is none that a row has; the service would call it invalid input."""
    for change in changes:
        version = change.version if isinstance(change, Replace | Delete) else None
        if version is not None and not version.startswith('W/"'):
            raise Conflict(f"Ledger row {table} / {partition} / {change.key} has another version.")


def _operation(partition: str, change: Change) -> tuple[Any, ...]:
    """A change as one operation of a transaction."""
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": encoded(change.key)}
    if not isinstance(change, Delete):
        text = body_text(change.body)
        entity |= {f"Body{first // _PIECE}": text[first : first + _PIECE] for first in range(0, len(text), _PIECE)}
    match change:
        case Insert():
            return "create", entity, {}
        case Put():
            return "upsert", entity, {"mode": UpdateMode.REPLACE}
        case Replace(version=version):
            condition = {"etag": version, "match_condition": MatchConditions.IfNotModified}
            return "update", entity, {"mode": UpdateMode.REPLACE, **condition}
        case Delete(version=None):
            return "delete", entity, {}
        case Delete(version=version):
            return "delete", entity, {"etag": version, "match_condition": MatchConditions.IfNotModified}


def _row(entity: TableEntity) -> Row:
    text, piece = "", 0
    while f"Body{piece}" in entity:
        text += entity[f"Body{piece}"]
        piece += 1
    written = entity.metadata["timestamp"]
    return Row(
        decoded(entity["PartitionKey"]),
        decoded(entity["RowKey"]),
        dict(json.loads(text)),
        str(entity.metadata["etag"]),
        written.timestamp() if written else 0.0,
    )
