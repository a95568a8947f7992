"""A settings file with every section that is right in all, its lines, and what tests change in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.core.errors import SettingsError
from bic_lib.settings import loading

GOOD = r"""
[ledger]
kind = "sqlite"
path = "bic-ledger.sqlite"
[key_vault]
url = "https://vault.vault.azure.net"
[sites.support]
host = "support.example.com"
client_id = "id"
client_secret = "env:SECRET"
[destinations.archive]
kind = "local_folder"
directory = "archive"
[destinations.blob]
kind = "azure_blob"
container_url = "https://acct.blob.core.windows.net/sessions"
[destinations.share]
kind = "smb_share"
directory = '\\files.example.com\support\archive'
[destinations.rows]
kind = "sql_database"
connection_string = "sqlite:///sessions.sqlite"
[schedules.hourly]
every = "1h"
transfers = [{ site = "support", destination = "archive", data = ["sessions"] }]
[notifications.smtp]
host = "mail.example.com"
from = "bic@example.com"
to = ["ops@example.com"]
[verify]
share = "5%"
every = "1d"
[logs]
directory = "logs"
"""

HOST = 'host = "support.example.com"'
CLIENT_SECRET = 'client_secret = "env:SECRET"'
FOLDER = 'directory = "archive"'
EVERY = 'every = "1h"'
BLOB = 'container_url = "https://acct.blob.core.windows.net/sessions"'
SHARE = r"directory = '\\files.example.com\support\archive'"
ROWS = 'connection_string = "sqlite:///sessions.sqlite"'
MAIL = 'host = "mail.example.com"'
HOURLY = 'transfers = [{ site = "support", destination = "archive", data = ["sessions"] }]'
SECRET = "hunter2-very-secret"


def problems(text: str, base: Path = Path("/srv/bic")) -> tuple[str, ...]:
    """What is wrong with a settings text."""
    with pytest.raises(SettingsError) as caught:
        loading.parse(text, base, "bic.toml")
    return caught.value.problems


def changed(old: str, new: str) -> str:
    """The good file with one text replaced."""
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


def after(line: str, *more: str) -> str:
    """The good file with more lines after this one."""
    return changed(line, "\n".join((line, *more)))


def line(data: str, destination: str = "archive", site: str = "support", more: str = "") -> str:
    """The hourly schedule's transfers with these data types."""
    return changed(HOURLY, f'transfers = [{{ site = "{site}", destination = "{destination}", data = {data}{more} }}]')
