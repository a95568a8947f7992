"""Drivers for SQL Server."""

from __future__ import annotations

import pytest

from tests.destinations.sql import drivers


@pytest.fixture(scope="session")
def microsofts() -> str:
    return drivers.microsofts() or pytest.skip("mssql-python-odbc is not installed")
