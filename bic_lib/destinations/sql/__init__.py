"""Rows in SQLite, SQL Server or Azure SQL: `create()` makes the destination, `ddl()` prints its tables."""

from bic_lib.destinations.sql.database import SqlDatabase, create
from bic_lib.destinations.sql.schema import ddl

__all__ = ["SqlDatabase", "create", "ddl"]
