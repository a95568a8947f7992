"""The ledger in Azure Tables: the contract of all stores against the emulator, and what a service far away adds."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NoReturn
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.contracts.store import StoreContract
from bic_lib.core.errors import DestinationError, LedgerError, SettingsError
from bic_lib.core.ports.store import Delete, Put, Store
from bic_lib.ledger.stores import azure_table, table_transport
from bic_lib.ledger.stores.table_keys import decoded, encoded
from bic_lib.network import proxies
from tests.fixtures_servers import KEY
from tests.hosts.emulator import Emulator, emulator
from tests.hosts.proxy import Proxy
from tests.ledger import old
from tests.ledger.test_migration import MigrationContract
from tests.ledger.test_names import NamesContract


@pytest.fixture(scope="module")
def azurite() -> Iterator[Emulator]:
    with emulator() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    return "t" + secrets.token_hex(6)


class TestAzureTableStore(StoreContract):
    """The contract on the emulator's tables."""

    @pytest.fixture
    def store(self, azurite: Emulator, prefix: str) -> Iterator[Store]:
        store = azure_table.create(connection=azurite.connection(), prefix=prefix)
        yield store
        store.close()


class TestTablesThatAreThere(MigrationContract):
    """The tables of an older bic."""

    @pytest.fixture
    def store(self, azurite: Emulator, prefix: str) -> Iterator[Store]:
        store = azure_table.create(connection=azurite.connection(), prefix=prefix)
        old.fill(store)
        yield store
        store.close()


class TestNamesInTables(NamesContract):
    """Sites that are renamed, in tables."""

    @pytest.fixture
    def store(self, azurite: Emulator, prefix: str) -> Iterator[Store]:
        store = azure_table.create(connection=azurite.connection(), prefix=prefix)
        yield store
        store.close()


@pytest.fixture
def proxy(azurite: Emulator) -> Iterator[Proxy]:
    with Proxy(azurite.ports["table"]) as running:
        yield running


@pytest.fixture
def store(azurite: Emulator, proxy: Proxy, prefix: str) -> Iterator[azure_table.AzureTableStore]:
    """A store behind a proxy that can be taken down."""
    store = azure_table.create(connection=azurite.connection(table=proxy.port), prefix=prefix)
    yield store
    store.close()


@given(st.lists(st.text(max_size=8), max_size=8))
def test_keys_keep_their_order_and_come_back(keys: list[str]) -> None:
    """Any texts, written as Azure Tables takes them and compared by UTF-16 units, are ordered by code point."""
    written = [encoded(key) for key in keys]
    assert sorted(keys) == [decoded(key) for key in sorted(written, key=lambda key: key.encode("utf-16-be"))]


@given(st.text())
def test_no_key_holds_what_the_service_refuses(key: str) -> None:
    r"""No `/ \ # ? %`, quote, blank or control character, and nothing beyond ASCII, gets into an address."""
    assert not set(encoded(key)) & set("/\\#?%'\" ")
    assert encoded(key).isascii()
    assert encoded(key).isprintable()


def test_a_site_s_day_is_legible() -> None:
    """What administrators look for in a storage explorer is written as it is."""
    assert encoded("support|2026-11-22") == "support|2026-11-22"


def test_the_clock_is_the_service_s(store: azure_table.AzureTableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger's now comes from the service, whatever this machine's clock shows, and does not jump about."""
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() - 1e6)
    told = [store.now()]
    for _ in range(30):
        store.get("t", "p", "k")
        told.append(store.now())
    assert told == sorted(told)
    assert abs(told[-1] - true()) < 1.5


def test_many_may_ask_at_once(store: azure_table.AzureTableStore, caplog: pytest.LogCaptureFixture) -> None:
    """Fifty callers and the visits beside them have a connection each, and nothing warns of a pool that is full."""
    store.get("t", "p", "k")
    began = threading.Barrier(table_transport.AT_ONCE)

    def ask(number: int) -> None:
        began.wait()
        store.get("t", "p", str(number))

    with ThreadPoolExecutor(table_transport.AT_ONCE) as pool, caplog.at_level(logging.WARNING):
        list(pool.map(ask, range(table_transport.AT_ONCE)))
    assert [record.getMessage() for record in caplog.records] == []


def test_the_environment_is_asked_once(azurite: Emulator, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its proxies count, what it excepts from them, and its authorities; but they are not looked for at each request."""
    look = mock.Mock(wraps=proxies.of_environment)
    monkeypatch.setattr(proxies, "of_environment", look)
    monkeypatch.setattr("requests.sessions.get_environ_proxies", lambda *_, **__: pytest.fail("asked by the library"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    monkeypatch.setenv("no_proxy", "")
    behind = azure_table.create(connection=azurite.connection(), prefix=prefix)
    with pytest.raises(LedgerError):
        behind.get("t", "p", "k")
    behind.close()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    store = azure_table.create(connection=azurite.connection(), prefix=prefix)
    store.commit("t", "p", [Put("k", {"told": 1})])
    assert store.get("t", "p", "k")
    store.close()
    assert look.call_count == 2
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "private.pem")
    assert table_transport.Transport().connection_config.verify == "private.pem"


def test_no_answer_makes_it_sleep(azurite: Emulator) -> None:
    """Neither the service nor a proxy before it: what failed is told at once, and tried again when the core says so."""

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            for name, value in (("Retry-After", "3600"), ("x-ms-retry-after-ms", "3600000"), ("Content-Length", "0")):
                self.send_header(name, value)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = azure_table.create(connection=azurite.connection(table=server.server_port))
        with mock.patch("time.sleep") as slept, pytest.raises(LedgerError, match="503"):
            store.get("t", "p", "k")
        store.close()
        server.shutdown()
    assert sum(call.args[0] for call in slept.call_args_list) < 5


def test_two_clocks_agree(azurite: Emulator, store: azure_table.AzureTableStore) -> None:
    """Two processes that begin at different moments of a second tell the same time, but for a second at most."""
    other = azure_table.create(connection=azurite.connection())
    assert abs(store.now() - other.now()) < 1.1
    other.close()


def test_a_ledger_that_is_down_is_told_and_comes_back(store: azure_table.AzureTableStore, proxy: Proxy) -> None:
    """Without the service every call is a LedgerError with advice; afterwards the same store goes on with what was there."""
    store.commit("t", "p", [Put("k", {"n": 1})])
    with proxy.down():
        with pytest.raises(LedgerError, match="Look at what stands in between"):
            store.get("t", "p", "k")
        with pytest.raises(LedgerError, match="can't be reached"):
            store.commit("t", "p", [Put("k", {"n": 2})])
        with pytest.raises(LedgerError, match="can't be reached"):
            list(store.scan("t", "p"))
        assert store.now() > 0
    row = store.get("t", "p", "k")
    assert row is not None
    assert row.body == {"n": 1}


def test_a_wrong_key_is_told_without_it(azurite: Emulator) -> None:
    """A refused login names the right that is needed, and never the key."""
    wrong = KEY.replace("Eby8", "Eby9")
    store = azure_table.create(connection=azurite.connection().replace(KEY, wrong))
    with pytest.raises(LedgerError, match="Storage Table Data Contributor") as refused:
        store.commit("t", "p", [Put("k", {})])
    assert wrong not in str(refused.value)
    store.close()


def test_nonsense_is_no_connection() -> None:
    """A connection string that is none is a matter of the settings."""
    with pytest.raises(SettingsError, match="storage connection"):
        azure_table.create(connection="nonsense")


def test_a_failing_token_is_a_failing_ledger() -> None:
    """Where the identity gives no token the ledger can't be entered, with the identity's own advice."""

    class Nobody:
        def get_token(self, *_scopes: str, **_options: object) -> NoReturn:
            raise DestinationError("Azure gave no token.", hint="Run `az login`.")

    store = azure_table.create(account_url="https://nobody.table.core.windows.net", tokens=Nobody())
    with pytest.raises(LedgerError, match="az login"):
        store.get("t", "p", "k")
    store.close()


def test_rows_that_are_gone_do_not_spoil_a_batch(store: azure_table.AzureTableStore) -> None:
    """The service refuses a transaction that deletes what is not there; the rest is written all the same."""
    store.commit("t", "p", [Put("a", {}), Put("b", {})])
    versions = store.commit("t", "p", [Delete("gone"), Put("c", {}), Delete("a"), Delete("gone too")])
    assert [bool(version) for version in versions] == [False, True, False, False]
    assert [row.key for row in store.scan("t", "p")] == ["b", "c"]


def test_many_that_begin_together_make_the_tables(azurite: Emulator, prefix: str) -> None:
    """Several first writers of a new table all succeed."""
    stores = [azure_table.create(connection=azurite.connection(), prefix=prefix) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: stores[n].commit("t", "p", [Put(str(n), {})]), range(4)))
    assert [row.key for row in stores[0].scan("t", "p")] == ["0", "1", "2", "3"]
    for store in stores:
        store.close()
