"""Blob containers: the contract of all file stores, and what only they can do, against Azurite."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import os
import time
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from azure.storage.blob import BlobProperties, ContainerClient, ContainerSasPermissions, generate_container_sas

from bic_lib.contracts.file_store import FileStoreContract
from bic_lib.contracts.place import AGAIN, OTHER, TRANSFER, VIDEO, Place, held, staged, stamp
from bic_lib.core.errors import DestinationError, Interrupted, Unexpected
from bic_lib.core.ports.files import Recovered, Staging
from bic_lib.destinations import azure_blob, temporary
from bic_lib.destinations.blob_staging import Uploaded
from bic_lib.simulator.certificates import make_certificates
from tests.destinations import places
from tests.fixtures_servers import ACCOUNT, KEY, Azurite, free_port, run_azurite


class TestAzureBlob(FileStoreContract):
    """The contract in a directory of a container: of the emulator, or where BIC_TEST_BLOB_URL says."""

    @pytest.fixture
    def place(self, request: pytest.FixtureRequest) -> Iterator[Place]:
        url = os.environ.get(places.BLOB_URL) or places.url_of_azurite(request.getfixturevalue("azurite"))
        with places.blobs(url) as place:
            yield place


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    """The SDK's view of a container that is not there yet."""
    with ContainerClient.from_connection_string(azurite.connection_string, f"c-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture
def store(azurite: Azurite, container: ContainerClient) -> azure_blob.BlobContainer:
    return _store(azurite, container)


def _store(azurite: Azurite, container: ContainerClient, *, tags: bool = False) -> azure_blob.BlobContainer:
    return azure_blob.create(
        connection_string=azurite.connection_string, container=container.container_name, directory="support/", tags=tags
    )


def _properties(container: ContainerClient, name: str) -> BlobProperties:
    return container.get_blob_client(name).get_blob_properties()


def test_a_published_blob_says_what_it_is(store: azure_blob.BlobContainer, container: ContainerClient) -> None:
    """Owner, version, SHA-256, MD5 and content type are set by the call that makes the blob; no tags unless wanted."""
    token = staged(store, "a/v.mp4", VIDEO)
    store.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
    found = _properties(container, "support/a/v.mp4")
    expected = {"bic_transfer": TRANSFER, "bic_version": "1", "bic_sha256": stamp(VIDEO).sha256}
    assert found.metadata == expected
    assert found.content_settings.content_type == "video/mp4"
    assert bytes(found.content_settings.content_md5 or b"") == hashlib.md5(VIDEO).digest()
    assert found.tag_count is None
    held_there = store.look("a/v.mp4")
    assert held_there is not None
    assert (held_there.sha256, held_there.owner) == (stamp(VIDEO).sha256, stamp(VIDEO).owner)


def test_a_small_file_says_what_it_is(store: azure_blob.BlobContainer, container: ContainerClient) -> None:
    """Documents carry their SHA-256, MD5 and content type too."""
    store.put("a.xml", b"<a/>", replace=False)
    found = _properties(container, "support/a.xml")
    assert found.metadata == {"bic_sha256": hashlib.sha256(b"<a/>").hexdigest()}
    assert found.content_settings.content_type == "application/xml"
    assert bytes(found.content_settings.content_md5 or b"") == hashlib.md5(b"<a/>").digest()


def test_tags_only_when_wanted(azurite: Azurite, container: ContainerClient) -> None:
    """Tags need a further right, so they are written only when the settings say so."""
    store = _store(azurite, container, tags=True)
    token = staged(store, "v.mp4", VIDEO)
    store.publish(token, "v.mp4", stamp(VIDEO), replace=False)
    assert container.get_blob_client("support/v.mp4").get_blob_tags() == {"bic_transfer": TRANSFER, "bic_version": "1"}


def test_a_commit_that_was_sent_twice_is_ours(store: azure_blob.BlobContainer) -> None:
    """When the answer to our commit was lost, the name is taken by ourselves: that is no conflict."""
    token = staged(store, "v.mp4", VIDEO)
    assert store.publish(token, "v.mp4", stamp(VIDEO), replace=False)
    assert store.publish(token, "v.mp4", stamp(VIDEO), replace=False)
    again = staged(store, "v.mp4", AGAIN, epoch=2)
    assert store.publish(again, "v.mp4", stamp(AGAIN), replace=False)
    assert held(store, "v.mp4") == VIDEO


def test_two_items_with_one_name_at_once(store: azure_blob.BlobContainer) -> None:
    """Blocks of two transfers in the same epoch don't mix: the first to commit has the name, the other goes on."""
    first, second = store.stage("v.mp4", TRANSFER, 1), store.stage("v.mp4", OTHER, 1)
    for start in range(0, len(VIDEO), 1_000_000):
        first.write(VIDEO[start : start + 1_000_000])
        second.write(AGAIN[start : start + 1_000_000])
    tokens = first.finish(), second.finish()
    assert store.publish(tokens[0], "v.mp4", stamp(VIDEO), replace=False)
    assert not store.publish(tokens[1], "v.mp4", stamp(AGAIN, OTHER), replace=False)
    assert held(store, "v.mp4") == VIDEO


def test_blocks_that_are_gone_are_fetched_again(store: azure_blob.BlobContainer) -> None:
    """Another commit to the same name takes uncommitted blocks away: lost, not half a file."""
    token = staged(store, "v.mp4", VIDEO)
    store.put("v.mp4", b"other", replace=True)
    assert store.recover(token, "v.mp4", stamp(VIDEO)) is Recovered.LOST
    with pytest.raises(Interrupted):
        store.publish(token, "v.mp4", stamp(VIDEO), replace=True)
    assert held(store, "v.mp4") == b"other"


def test_dead_blocks_do_not_take_a_name(store: azure_blob.BlobContainer) -> None:
    """What a killed worker uploaded and never committed stands in nobody's way."""
    staged(store, "a.xml", VIDEO)
    assert store.look("a.xml") is None
    assert store.put("a.xml", b"<a/>", replace=False)


@pytest.mark.parametrize("token", ["", "1/2", "x/y/z/m/v.mp4"])
def test_only_our_tokens_are_taken(store: azure_blob.BlobContainer, token: str) -> None:
    """What is no token (another kind of destination had this name before) is refused, and what it stood for is fetched again."""
    with pytest.raises(Unexpected):
        store.publish(token, "v.mp4", stamp(VIDEO), replace=False)
    assert store.recover(token, "v.mp4", stamp(VIDEO)) is Recovered.LOST


def test_blocks_cannot_move(store: azure_blob.BlobContainer) -> None:
    """Blocks belong to the blob that they were uploaded for."""
    assert not store.movable
    token = staged(store, "v.mp4", VIDEO)
    with pytest.raises(Unexpected):
        store.publish(token, "w.mp4", stamp(VIDEO), replace=False)


def test_a_container_that_went_away_is_told(store: azure_blob.BlobContainer, container: ContainerClient) -> None:
    """A missing container is the destination's failure: its files are not missing."""
    store.put("a.xml", b"<a/>", replace=False)
    container.delete_container()
    for act in (
        lambda: store.look("a.xml"),
        lambda: store.names(""),
        lambda: list(store.read("a.xml")),
        lambda: store.remove("a.xml"),
        lambda: store.put("a.xml", b"<a/>", replace=False),
    ):
        with pytest.raises(DestinationError, match="404 ContainerNotFound"):
            act()
    assert not store.checks()[0].ok


def test_an_emulator_killed_in_mid_write(tmp_path: Path) -> None:
    """The destination fails, and a later try goes through as if nothing had been."""
    with run_azurite(tmp_path) as server:
        store = azure_blob.create(connection_string=server.connection_string, container="files")
        staging = store.stage("v.mp4", TRANSFER, 1)
        staging.write(VIDEO)
        server.process.kill()
        server.process.wait()
        with pytest.raises(DestinationError):
            _write_on(staging)
        staging.discard()
        with pytest.raises(DestinationError):
            store.look("v.mp4")


def _write_on(staging: Staging) -> None:
    for _ in range(10):
        staging.write(VIDEO)


def test_a_wrong_key_is_told_without_the_key(azurite: Azurite) -> None:
    """The service's refusal says what to look at."""
    wrong = base64.b64encode(b"wr0ng" * 12).decode()
    store = azure_blob.create(connection_string=azurite.connection_string.replace(KEY, wrong), container="files")
    with pytest.raises(DestinationError, match="403") as caught:
        store.put("a.xml", b"<a/>", replace=False)
    assert wrong not in "".join(traceback.format_exception(caught.value))
    assert "the key is another" in caught.value.hint


def _limited(azurite: Azurite, container: ContainerClient, permissions: str, *, removes: bool) -> azure_blob.BlobContainer:
    """A store that may do just that in the container."""
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    allowed = ContainerSasPermissions.from_string(permissions)
    signature = generate_container_sas(ACCOUNT, container.container_name, KEY, permission=allowed, expiry=until)
    return azure_blob.create(container_url=f"{container.url}?{signature}", directory="support/", removes=removes)


def test_a_check_needs_no_right_to_delete_and_leaves_nothing(azurite: Azurite, container: ContainerClient) -> None:
    """An archive whose role can't delete is well, and holds no blob afterwards."""
    container.create_container()
    checks = _limited(azurite, container, "rcwl", removes=False).checks()
    assert [(check.check, check.ok) for check in checks] == [("write", True)]
    assert list(container.list_blob_names()) == []
    [refused] = _limited(azurite, container, "rl", removes=False).checks()
    assert (refused.check, refused.ok) == ("write", False)
    assert "403" in refused.detail


def test_a_check_tries_to_delete_where_old_backups_are_removed(azurite: Azurite, container: ContainerClient) -> None:
    """A right that only shows when the first backup is to go would be missed for days; nothing is deleted for that."""
    container.create_container()
    able = _limited(azurite, container, "rcwdl", removes=True).checks()
    assert [(check.check, check.ok) for check in able] == [("write", True), ("delete", True)]
    unable = _limited(azurite, container, "rcwl", removes=True).checks()
    assert [(check.check, check.ok) for check in unable] == [("write", True), ("delete", False)]
    assert list(container.list_blob_names()) == []


def test_no_signed_url_reaches_a_text() -> None:
    """When the account can't be reached, neither the message nor the traceback shows the signature."""
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    signature = generate_container_sas(ACCOUNT, "files", KEY, permission=ContainerSasPermissions(read=True), expiry=until)
    url = f"http://127.0.0.1:{free_port()}/{ACCOUNT}/files"
    store = azure_blob.create(container_url=f"{url}?{signature}")
    began = time.monotonic()
    with pytest.raises(DestinationError, match=url) as caught:
        store.look("a.xml")
    assert "sig=" not in "".join(traceback.format_exception(caught.value))
    assert time.monotonic() - began < 10
    assert "sig=" not in repr(store.checks())


@pytest.mark.parametrize("text", ["", "nonsense", "AccountKey=s3cret"])
def test_a_connection_string_that_is_none_is_told(text: str) -> None:
    """It is refused at once, and not shown."""
    with pytest.raises(DestinationError) as caught:
        azure_blob.create(connection_string=text, container="files")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


class _Token(NamedTuple):
    token: str
    expires_on: int


class _Tokens:
    """Gives tokens as Entra does, as far as the emulator looks at them; `audience` is whom they are for."""

    def __init__(self, audience: str) -> None:
        self.audience = audience
        self.asked: list[str] = []

    def get_token(self, *scopes: str, **kwargs: object) -> _Token:
        self.asked += scopes
        now = int(time.time())
        claims = {"aud": self.audience, "iss": "https://sts.windows.net/t/", "iat": now, "nbf": now, "exp": now + 3600}
        head, body = (_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        signature = _base64(hmac.new(b"key", f"{head}.{body}".encode(), "sha256").digest())
        return _Token(f"{head}.{body}.{signature}", now + 3600)


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def test_a_container_url_is_entered_by_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a container URL the identity's tokens open the container; a refused token is the destination's failure."""
    files = make_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.ca))
    with run_azurite(
        tmp_path, "--oauth", "basic", "--cert", str(files.server), "--key", str(files.server), scheme="https"
    ) as server:
        tokens = _Tokens("https://storage.azure.com")
        store = azure_blob.create(container_url=f"{server.url}/files", tokens=tokens)
        assert store.put("a.xml", b"<a/>", replace=False)
        assert held(store, "a.xml") == b"<a/>"
        assert set(tokens.asked) == {"https://storage.azure.com/.default"}
        refused = azure_blob.create(container_url=f"{server.url}/files", tokens=_Tokens("https://example.com"))
        with pytest.raises(DestinationError, match="403"):
            refused.look("a.xml")


def test_temporary_names_are_not_listed(store: azure_blob.BlobContainer) -> None:
    """A probe that could not be deleted is nobody's file."""
    store.put(f"{temporary.OURS}probe", b"", replace=False)
    assert store.names("") == frozenset()


def test_blocks_of_a_staging_that_was_given_up_are_none_of_the_next_one() -> None:
    """Two stagings of one item and epoch share no block id; ids are as long as those of 0.1.0, whose tokens are understood."""
    first, second = (Uploaded.begin("a/v.mp4", TRANSFER, 3) for _ in range(2))
    assert first.begun != second.begun
    assert first.id(0) != second.id(0)
    assert Uploaded.of(first.token) == first
    old = Uploaded.of(f"3/{TRANSFER}/2/abc/a/v.mp4")
    assert (old.location, old.blocks, old.id(1)) == ("a/v.mp4", 2, f"0000000003-{TRANSFER}-000001")
    assert len(old.id(0)) == len(first.id(0))
