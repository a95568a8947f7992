"""Real servers that refuse a credential: each is entered again with what the vault has by now."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

import pytest

from bic_lib.core.errors import DestinationError, NotAdmitted
from bic_lib.core.ports.files import FileStore
from bic_lib.credentials.references import References
from bic_lib.credentials.renewing import Renewing
from bic_lib.destinations.sql import sqlserver_errors
from bic_lib.engine import events
from tests.fixtures_servers import ACCOUNT, KEY, Azurite, azurite, run_samba  # noqa: F401  # azurite is a fixture

OTHER_KEY = "AAAA" + KEY[4:]


def test_a_share_whose_password_changes(tmp_path: Path) -> None:
    """The file server's user gets another password between two files: the second arrives without a failure in between."""
    from bic_lib.destinations import smb_share  # noqa: PLC0415  # a large library, which this test alone needs

    with run_samba(tmp_path) as samba:
        values = [samba.password]
        references = References({}, lambda _: samba.password, (lambda _: values[-1],))

        def make(password: str) -> FileStore:
            return smb_share.create(samba.unc, samba.username, password, port=samba.port)

        share = cast(
            "FileStore", Renewing("destination share", references, lambda one: (one.text("keyvault:p"),), make, events.refused)
        )
        assert share.put("a.txt", b"1", replace=False)
        values.append("Another-0ne")
        for what in (["--delete"], ["--create", "--password-from-stdin"]):
            command = ["pdbedit", f"--configfile={tmp_path / 'smb.conf'}", *what, "--user", samba.username]
            subprocess.run(command, input="Another-0ne\nAnother-0ne\n", text=True, check=True, capture_output=True)
        samba.kill()  # what is connected stays connected: the next file needs a new connection
        samba.start()
        assert share.put("b.txt", b"2", replace=False)
        assert {path.name for path in samba.files.iterdir()} == {"a.txt", "b.txt"}


def test_a_storage_account_whose_key_changes(azurite: Azurite) -> None:  # noqa: F811  # the fixture
    """A connection string with a key that was rotated away is replaced by the one in the vault."""
    from bic_lib.destinations import azure_blob  # noqa: PLC0415  # a large library, which this test alone needs

    stale = azurite.connection_string.replace(KEY, OTHER_KEY)
    references = References({}, lambda _: stale, (lambda _: azurite.connection_string,))

    def make(connection: str) -> FileStore:
        return azure_blob.create(connection_string=connection, container="rotation")

    blobs = cast(
        "FileStore", Renewing("destination blob", references, lambda one: (one.text("keyvault:c"),), make, events.refused)
    )
    assert blobs.put("a.txt", b"1", replace=False)
    assert ACCOUNT in azurite.url
    with pytest.raises(NotAdmitted):
        make(stale).put("b.txt", b"1", replace=False)


@pytest.mark.parametrize(("number", "kind"), [(18456, NotAdmitted), (18487, NotAdmitted), (40613, DestinationError)])
def test_a_database_says_whether_it_refuses_the_login(number: int, kind: type[DestinationError]) -> None:
    """A refused login is told apart from a database that sleeps."""
    error = sqlserver_errors.translated(Exception("28000", f"[28000] [Microsoft] Failed. ({number}) (SQLDriverConnect)"), "db")
    assert type(error) is kind
