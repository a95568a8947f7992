"""Where drivers for SQL Server lie."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def microsofts() -> str:
    """The library of Microsoft's driver, of the package `mssql-python-odbc`; "" where it is not there."""
    package = find_spec("mssql_python_odbc")
    if package is None or package.origin is None or sys.platform != "linux":
        return ""
    [library] = Path(package.origin).parent.glob("libs/linux/debian_ubuntu/x86_64/lib/libmsodbcsql-18*")
    return str(library)
