"""Where the suites of file stores run: on this machine's own servers, or on those that variables name (CONTRIBUTING.md)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import smbclient.shutil  # type: ignore[import-untyped]  # has no types
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from bic_lib.contracts.place import Place
from tests.fixtures_servers import ACCOUNT, KEY, Azurite, Samba

BLOB_URL = "BIC_TEST_BLOB_URL"
"""A container's URL with a shared access signature that may read, create, write, delete and list."""
SMB_URL = "BIC_TEST_SMB_URL"
"""`smb://user:password@server[:port]/share[/folder]`, a domain as `DOMAIN;user`; percent-encoded."""


def url_of_azurite(server: Azurite) -> str:
    """A new container of the emulator, in the form of BIC_TEST_BLOB_URL."""
    name = f"c-{uuid.uuid4()}"
    with ContainerClient.from_connection_string(server.connection_string, name) as client:
        client.create_container()
    may = ContainerSasPermissions(read=True, create=True, write=True, delete=True, list=True)
    signature = generate_container_sas(ACCOUNT, name, KEY, permission=may, expiry=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    return f"{server.url}/{name}?{signature}"


def url_of_samba(server: Samba) -> str:
    """The share, in the form of BIC_TEST_SMB_URL."""
    return f"smb://{quote(server.username)}:{quote(server.password)}@127.0.0.1:{server.port}/{server.files.name}"


@contextmanager
def blobs(url: str) -> Iterator[Place]:
    """A directory of its own in that container, emptied at the end."""
    directory = f"bic-test-{uuid.uuid4()}/files"
    yield Place("bic_lib.destinations.azure_blob", {"container_url": url, "directory": directory})
    with ContainerClient.from_container_url(url, retry_total=1) as client:
        for name in list(client.list_blob_names(name_starts_with=directory)):
            client.delete_blob(name)


@contextmanager
def share(url: str) -> Iterator[Place]:
    """A folder of its own on that share, removed at the end."""
    directory, entry = unc(url)
    directory = rf"{directory}\bic-test-{uuid.uuid4()}"
    yield Place("bic_lib.destinations.smb_share", {"directory": directory, **entry})
    connections: dict[str, object] = {}
    smbclient.shutil.rmtree(directory, ignore_errors=True, connection_cache=connections, **entry)
    smbclient.reset_connection_cache(connection_cache=connections)


def unc(url: str) -> tuple[str, dict[str, Any]]:
    """The folder, and how it is entered: without a user by the process's own account."""
    found = urlsplit(url)
    domain, _, user = unquote(found.username or "").rpartition(";")
    path = unquote(found.path).strip("/").replace("/", "\\")
    return rf"\\{found.hostname}\{path}", {
        "username": f"{domain}\\{user}" if domain else user or None,
        "password": unquote(found.password or "") or None,
        "port": found.port or 445,
    }
