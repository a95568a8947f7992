"""docs/overridden-defaults.md: what it says of libraries and of us is what the installed library and the code say."""

from __future__ import annotations

import inspect
import json
import sqlite3
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
import requests
import smbclient  # type: ignore[import-untyped]  # has no types
from azure.core.configuration import ConnectionConfiguration
from azure.data.tables import _policies as table_policies
from azure.storage.blob import ContainerClient, ExponentialRetry
from lxml import etree
from pydantic import BaseModel
from smbclient import _io as smb_io
from sqlalchemy import create_engine
from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc
from sqlalchemy.engine import make_url
from waitress.adjustments import Adjustments

from bic_lib.appliance import client
from bic_lib.destinations import azure_blob, blob_staging, smb_staging
from bic_lib.destinations.sql import sqlite as sqlite_database
from bic_lib.hosts import serve
from bic_lib.ledger.stores import sqlite as sqlite_ledger
from bic_lib.settings.model import Section
from bic_lib.web import application
from bic_lib.web.http import LARGEST_BODY
from tests.support import ROOT

PAGE = ROOT / "docs/overridden-defaults.md"
ACCOUNT = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=YQ==;EndpointSuffix=core.windows.net"
FLASK = ("MAX_CONTENT_LENGTH", "PROVIDE_AUTOMATIC_OPTIONS")
QUEUES = ("batchSize", "newBatchThreshold", "visibilityTimeout", "maxPollingInterval")
INTERNAL = b'<!DOCTYPE a [<!ENTITY e "resolved">]><a>&e;</a>'


def _rows() -> dict[str, tuple[str, str]]:
    """Each row of the page's tables: its library's section and its option → the library's default and ours."""
    found, section = {}, ""
    for line in PAGE.read_text("utf-8").splitlines():
        section = line.removeprefix("## ") if line.startswith("## ") else section
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if section and len(cells) == 5 and cells[0] not in {"option", "---"}:
            found[f"{section}: {cells[0]}"] = cells[1], cells[2]
    return found


ROWS = _rows()


def _argument(function: Callable[..., Any], name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _on_disk(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "default.sqlite")


def _ledger(folder: Path) -> sqlite3.Connection:
    return sqlite_ledger.create(folder / "ledger.sqlite")._take()


def _database(folder: Path) -> Any:
    return sqlite_database.engine(make_url(f"sqlite:///{folder / 'rows.sqlite'}"), wait=1)


def _host_json() -> Any:
    return json.loads((ROOT / "host.json").read_text("utf-8"))


def _queues(name: str) -> Callable[[Path], Any]:
    return lambda _: _host_json()["extensions"]["queues"][name]


def _section(name: str) -> Callable[[Path], Any]:
    return lambda _: dict(Section.model_config)[name]


def _flask(app: Callable[[], flask.Flask], name: str) -> Callable[[Path], Any]:
    return lambda _: app().config[name]


def _entities() -> str:
    return "internal" if b"resolved" in etree.tostring(etree.fromstring(INTERNAL)) else "no"


def _tables() -> Any:
    made: Callable[[], Any] = table_policies.TablesRetryPolicy
    return made()


LIBRARY: dict[str, Callable[[Path], Any]] = {
    "requests, urllib3: allow_redirects": lambda _: _argument(requests.Session.request, "allow_redirects"),
    "requests, urllib3: Connection": lambda _: requests.Session().headers["Connection"],
    "requests, urllib3: bytes at a read": lambda _: requests.models.CONTENT_CHUNK_SIZE,
    "lxml: resolve_entities": lambda _: _entities(),
    "sqlite3: journal_mode": lambda folder: _pragma(_on_disk(folder), "journal_mode"),
    "sqlite3: synchronous": lambda folder: _pragma(_on_disk(folder), "synchronous"),
    "sqlite3: timeout": lambda folder: f"{_pragma(_on_disk(folder), 'busy_timeout') // 1000} s",
    "sqlite3: isolation_level": lambda folder: repr(_on_disk(folder).isolation_level),
    "SQLAlchemy, pyodbc: poolclass (SQLite)": lambda _: type(create_engine("sqlite:///x.db").pool).__name__,
    "SQLAlchemy, pyodbc: hide_parameters": lambda _: create_engine("sqlite:///x.db").hide_parameters,
    "SQLAlchemy, pyodbc: use_setinputsizes": lambda _: _argument(MSDialect_pyodbc.__init__, "use_setinputsizes"),
    "SQLAlchemy, pyodbc: max_overflow": lambda _: _argument(type(create_engine("sqlite:///x.db").pool).__init__, "max_overflow"),
    "azure-storage-blob: max_single_get_size": lambda _: (
        ContainerClient.from_connection_string(ACCOUNT, "c")._config.max_single_get_size
    ),
    "azure-storage-blob: tries": lambda _: "{retry_total}, after {initial_backoff} s and more".format(
        **{name: one.default for name, one in inspect.signature(ExponentialRetry.__init__).parameters.items()}
    ),
    "azure-data-tables: retry_total": lambda _: _tables().total_retries,
    "azure-data-tables: retry_backoff_factor": lambda _: _tables().backoff_factor,
    "azure-data-tables: methods tried again": lambda _: ", ".join(sorted(_tables()._method_whitelist)),
    "azure-data-tables: time to connect": lambda _: f"{ConnectionConfiguration().timeout} s",
    "azure-data-tables: silence": lambda _: f"{ConnectionConfiguration().read_timeout} s",
    "smbprotocol: bytes at a write": lambda _: smb_io.MAX_PAYLOAD_SIZE,
    "smbprotocol: share_access": lambda _: _argument(smbclient.open_file, "share_access"),
    "pydantic: extra": lambda _: BaseModel.model_config.get("extra", "ignore"),
    "waitress: threads": lambda _: Adjustments.threads,
    "waitress: max_request_body_size": lambda _: Adjustments.max_request_body_size,
    "waitress: ident": lambda _: Adjustments.ident,
    **{f"Flask: {name}": _flask(lambda: flask.Flask("bare"), name) for name in FLASK},
}
"""What the installed libraries do by themselves; a row that is not here can't be asked without a server."""

OURS: dict[str, Callable[[Path], Any]] = {
    "requests, urllib3: bytes at a read": lambda _: f"{client.REPORT_CHUNK} (reports), {client.BINARY_CHUNK} (files)",
    "sqlite3: journal_mode": lambda folder: _pragma(_ledger(folder), "journal_mode"),
    "sqlite3: synchronous": lambda folder: f"{_pragma(_ledger(folder), 'synchronous')} (FULL), written down",
    "sqlite3: timeout": lambda folder: f"{_pragma(_ledger(folder), 'busy_timeout') // 1000} s",
    "sqlite3: isolation_level": lambda folder: _ledger(folder).isolation_level,
    "SQLAlchemy, pyodbc: poolclass (SQLite)": lambda folder: type(_database(folder).pool).__name__,
    "SQLAlchemy, pyodbc: hide_parameters": lambda folder: _database(folder).hide_parameters,
    "azure-storage-blob: blocks in flight": lambda _: blob_staging.IN_FLIGHT,
    "azure-storage-blob: max_single_get_size": lambda _: (
        azure_blob.create(connection_string=ACCOUNT, container="c")._client._config.max_single_get_size
    ),
    "smbprotocol: bytes at a write": lambda _: smb_staging.BLOCK,
    "smbprotocol: writes in flight": lambda _: smb_staging.IN_FLIGHT,
    **{f"pydantic: {name}": _section(name) for name in ("extra", "strict", "allow_inf_nan", "frozen", "defer_build")},
    "waitress: threads": lambda _: serve._THREADS,
    "waitress: max_request_body_size": lambda _: LARGEST_BODY,
    **{f"Flask: {name}": _flask(application.flask_app, name) for name in FLASK},
    "Azure Functions: functionTimeout": lambda _: _host_json()["functionTimeout"],
    **{f"Azure Functions: {name}": _queues(name) for name in QUEUES},
}
"""What the code does instead."""


@pytest.mark.parametrize("row", LIBRARY)
def test_the_librarys_default_is_the_one_told(row: str, tmp_path: Path) -> None:
    """A library whose default has changed is looked at again: is ours still needed?"""
    assert ROWS[row][0] == str(LIBRARY[row](tmp_path))


@pytest.mark.parametrize("row", OURS)
def test_ours_is_the_one_told(row: str, tmp_path: Path) -> None:
    """What the page says of us is what the code does."""
    assert ROWS[row][1] == str(OURS[row](tmp_path))


def test_each_row_is_whole() -> None:
    """Each row says what the library does and what we do, and these differ or the page says why they are written down."""
    assert [row for row, (library, ours) in ROWS.items() if not library or not ours or library == ours] == []


def test_pytest_is_as_strict_as_told() -> None:
    """What the page says of pytest stands in pyproject.toml."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    assert {"--strict-markers", "--strict-config", "--import-mode=importlib"} <= set(options["addopts"])
    assert (options["filterwarnings"], options["xfail_strict"]) == (["error"], True)
