"""Files as block blobs of an Azure Storage container (docs/design.md 9.1).

Content goes up in blocks, which nobody sees; the commit of the block list makes the blob, whole and under its name, or is refused
because the name is taken. Block ids begin with epoch and transfer, so that a worker that lost its claim can't spoil its
successor's blocks. Blocks that are never committed disappear by themselves a week later. What the blob is goes along in that very
call (metadata, MD5, content type), since immutable containers refuse changes afterwards.

The SDK's messages may hold a signed URL: they are never quoted, nor chained as a cause.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, BlobProperties, ContainerClient, ContentSettings, LinearRetry

from bic_lib.core.errors import BicError, DestinationError, Interrupted, Unexpected
from bic_lib.core.ports.access import Tokens
from bic_lib.core.ports.files import FileEntry, FileStore, Found, Recovered, Staging, Stamp
from bic_lib.core.ports.preflight import Check
from bic_lib.destinations import listing, temporary
from bic_lib.destinations.blob_errors import about_a_blob, code, demand_own, translated
from bic_lib.destinations.blob_staging import BlobStaging, Uploaded

_CHUNK = 4 << 20
"""Bytes at a read: the library's first read of 32 MiB would be held whole (docs/overridden-defaults.md)."""
_IMMUTABLE = "BlobImmutableDueToPolicy"
"""The service's word for what it keeps from being changed and deleted."""
_CONTENT_TYPES = {"xml": "application/xml"}


def create(
    *,
    container_url: str | None = None,
    tokens: Tokens | None = None,
    connection_string: str | None = None,
    container: str | None = None,
    directory: str = "",
    tags: bool = False,
    removes: bool = False,
) -> BlobContainer:
    """The destination in `directory` of a container: its URL, entered by `tokens`, or a connection string and its name.

    `removes`: files will be removed from it one day, so :meth:`BlobContainer.checks` asks for that right too.

    Nothing is sent before it is used; then the container is made when it is not there. Raises DestinationError when URL or
    connection string can't be read.
    """
    # One more try of a single request, so that a hiccup does not cost the gigabyte before it; all else is for the retry table.
    options: dict[str, Any] = {
        "max_single_get_size": _CHUNK,
        "max_chunk_get_size": _CHUNK,
        "permit_redirects": False,
        "raw_response_hook": demand_own,
        "retry_policy": LinearRetry(backoff=1, retry_total=1, random_jitter_range=0),
    }
    try:
        if connection_string is not None:
            client = ContainerClient.from_connection_string(connection_string, container or "", **options)
        else:
            client = ContainerClient.from_container_url(container_url or "", credential=tokens, **options)  # type: ignore[arg-type]  # our port has the shape that the SDK asks for
    except ValueError:
        raise DestinationError("The blob container can't be addressed.", hint="Look at its URL or connection string.") from None
    return BlobContainer(client, directory.strip("/"), tags=tags, removes=removes)


class BlobContainer(FileStore):
    """A FileStore in one directory of a container. Threads may share it."""

    def __init__(self, client: ContainerClient, directory: str, *, tags: bool, removes: bool) -> None:
        self._client = client
        self._prefix = f"{directory}/" if directory else ""
        self._tags = tags
        self._removes = removes
        self._place = client.url.partition("?")[0]
        self._there = threading.Event()

    def names(self, folder: str) -> frozenset[str]:
        prefix = self._folder(folder)
        with self._translated(folder):
            found = self._container().walk_blobs(name_starts_with=prefix, delimiter="/")
            names = (entry.name.removeprefix(prefix) for entry in found if isinstance(entry, BlobProperties))
            return frozenset(name for name in names if name and not name.startswith(temporary.OURS))

    def look(self, location: str) -> Found | None:
        with self._translated(location):
            try:
                properties = self._blob(location).get_blob_properties()
            except ResourceNotFoundError as error:
                _demand_container(error)
                return None
        about = {key.lower(): value for key, value in (properties.metadata or {}).items()}
        transfer, version = about.get("bic_transfer"), about.get("bic_version")
        owner = f"{transfer}.{version}" if transfer and version else ""
        return Found(properties.size, about.get("bic_sha256", ""), owner)

    def read(self, location: str) -> Iterator[bytes]:
        """The blob in chunks of 4 MiB, of one version. A FileNotFoundError comes with the first chunk."""
        return self.read_from(location, 0)

    def read_from(self, location: str, begin: int) -> Iterator[bytes]:
        with self._translated(location):
            try:
                content = self._blob(location).download_blob(offset=begin or None)  # an empty blob has no byte 0 to begin at
            except ResourceNotFoundError as error:
                _demand_container(error)
                raise FileNotFoundError(location) from None
            yield from content.chunks()

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        stamp = Stamp(secrets.token_hex(8), 0, len(content), hashlib.sha256(content).hexdigest(), _content_type(location))
        uploaded = self._upload(location, stamp.transfer, content)
        return self._commit(uploaded, stamp, {"bic_sha256": stamp.sha256}, replace=replace)

    @property
    def movable(self) -> bool:
        return False

    def stage(self, location: str, transfer: str, epoch: int) -> Staging:
        with self._translated(location):
            return BlobStaging(self._blob(location), self._url(location), Uploaded.begin(location, transfer, epoch))

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:
        """Raises Unexpected for another location than the blocks were staged for, Interrupted when the blocks are gone."""
        uploaded = Uploaded.of(token)
        if uploaded.location != location:
            raise Unexpected(f"Blocks of {uploaded.location} can't become {location}.")
        about = {"bic_transfer": stamp.transfer, "bic_sha256": stamp.sha256, "bic_version": str(stamp.version)}
        return self._commit(uploaded, stamp, about, replace=replace)

    def recover(self, token: str, location: str, stamp: Stamp) -> Recovered:
        found = self.look(location)
        if found is not None and (found.owner, found.sha256, found.size) == (stamp.owner, stamp.sha256, stamp.size):
            return Recovered.PUBLISHED
        try:
            uploaded = Uploaded.of(token)
        except Unexpected:  # of another kind of destination, which had this name before
            return Recovered.LOST
        return Recovered.STAGED if uploaded.location == location and self._waits(uploaded) else Recovered.LOST

    def sweep(self, location: str, transfer: str, epoch: int) -> None:
        """Nothing to do: blocks without a commit are never seen, and the service removes them after a week."""

    def remove(self, location: str) -> None:
        with self._translated(location):
            try:
                self._blob(location).delete_blob(delete_snapshots="include")
            except ResourceNotFoundError as error:
                _demand_container(error)
            except HttpResponseError as error:
                if code(error) != _IMMUTABLE:
                    raise
                text = f"{self._url(location)}: {error.status_code} {_IMMUTABLE}: {self._kept(location)}."
                raise Unexpected(text, hint="It can be deleted when that has ended.") from None

    def _kept(self, location: str) -> str:
        """For how long the service keeps a blob from being deleted, as far as the blob itself tells."""
        properties = self._blob(location).get_blob_properties()
        if properties.has_legal_hold:
            return "a legal hold keeps it"
        expires = properties.immutability_policy and properties.immutability_policy.expiry_time
        return f"it is kept until {expires:%Y-%m-%d %H:%M} UTC" if expires else "the container's policy keeps it"

    def pages(self, folder: str = "") -> Iterator[Sequence[FileEntry]]:
        return listing.pages(self._below(folder))

    def checks(self) -> list[Check]:
        """Tries what will be needed and leaves nothing: a block without a commit is never seen, and no blob is deleted."""
        probe = f"{temporary.OURS}probe-{secrets.token_hex(8)}"
        tried = [self._tried("write", lambda: self._upload(probe, "probe", b"bic"))]
        if self._removes:  # who may not delete is refused before it is looked whether the blob is there
            tried.append(self._tried("delete", lambda: self.remove(probe)))
        return tried

    def _tried(self, what: str, act: Callable[[], object]) -> Check:
        try:
            act()
        except BicError as error:
            return Check(self._place, what, ok=False, detail=error.message, hint=error.hint)
        return Check(self._place, what, ok=True)

    def _upload(self, location: str, transfer: str, content: bytes) -> Uploaded:
        """Blocks that nobody sees yet."""
        staging = self.stage(location, transfer, 0)
        try:
            staging.write(content)
            return Uploaded.of(staging.finish())
        except BicError:
            staging.discard()
            raise

    def leftovers(self) -> Iterator[FileEntry]:
        return temporary.left(self._all_below(""))

    def is_empty(self) -> bool:
        return next(self._below("", at_once=1), None) is None

    def _below(self, folder: str, at_once: int | None = None) -> Iterator[FileEntry]:
        return (entry for entry in self._all_below(folder, at_once) if not temporary.is_hidden(entry.location))

    def _all_below(self, folder: str, at_once: int | None = None) -> Iterator[FileEntry]:
        with self._translated(folder):
            found = self._container().list_blobs(self._folder(folder), ["metadata"], results_per_page=at_once)
            for blob in found:
                location = blob.name.removeprefix(self._prefix)
                if _is_file(blob):
                    yield FileEntry(location, blob.size, blob.last_modified.timestamp())

    def _folder(self, folder: str) -> str:
        return f"{self._prefix}{folder}/" if folder else self._prefix

    def _commit(self, uploaded: Uploaded, stamp: Stamp, about: dict[str, str], *, replace: bool) -> bool:
        """Make the blob of its blocks. False: the name is taken, by somebody else's content."""
        settings = ContentSettings(content_type=stamp.content_type, content_md5=bytearray.fromhex(uploaded.md5))
        with self._translated(uploaded.location):
            try:
                self._blob(uploaded.location).commit_block_list(
                    [BlobBlock(block_id) for block_id in uploaded.ids()],
                    content_settings=settings,
                    metadata=about,
                    match_condition=None if replace else MatchConditions.IfMissing,
                    tags={"bic_transfer": stamp.transfer, "bic_version": str(stamp.version)} if self._tags else None,
                )
            except HttpResponseError as error:
                if code(error) == "InvalidBlockList":
                    return self._without_blocks(uploaded.location, stamp, replace=replace)
                # Of a blob that is leased, archived or kept the service may say that first; its name is taken all the same.
                if not replace and about_a_blob(error) and (found := self.look(uploaded.location)) is not None:
                    return found.owner == stamp.owner
                raise
        return True

    def _is(self, location: str, stamp: Stamp) -> bool:
        found = self.look(location)
        return found is not None and found.owner == stamp.owner

    def _without_blocks(self, location: str, stamp: Stamp, *, replace: bool) -> bool:
        """Somebody's commit took our blocks away: our own whose answer was lost, or that of another item with this name."""
        if self._is(location, stamp):
            return True
        if not replace and self.look(location) is not None:
            return False
        raise Interrupted(f"{self._url(location)}: its blocks are gone before they were committed.", hint="It is fetched again.")

    def _waits(self, uploaded: Uploaded) -> bool:
        """Whether all blocks are still there, uncommitted."""
        with self._translated(uploaded.location):
            try:
                _, uncommitted = self._blob(uploaded.location).get_block_list("uncommitted")
            except ResourceNotFoundError as error:
                _demand_container(error)
                return False
        return {block.id for block in uncommitted} >= set(uploaded.ids())

    def _container(self) -> ContainerClient:
        """The container, made at the first use when it is not there and that is allowed."""
        if not self._there.is_set():
            try:
                self._client.create_container()
            except ResourceExistsError:
                pass  # as it mostly is
            except HttpResponseError as error:
                if error.status_code not in {401, 403}:
                    raise
            self._there.set()
        return self._client

    def _blob(self, location: str) -> BlobClient:
        return self._container().get_blob_client(self._prefix + location)

    def _url(self, location: str) -> str:
        return f"{self._place}/{self._prefix}{location}"

    def _translated(self, location: str) -> AbstractContextManager[None]:
        return translated(self._url(location))


def _demand_container(error: ResourceNotFoundError) -> None:
    """A blob may be missing, its container not."""
    if code(error) != "BlobNotFound":
        raise error


def _is_file(blob: BlobProperties) -> bool:
    """Accounts with a hierarchical namespace list their folders as empty blobs, too."""
    return (blob.metadata or {}).get("hdi_isfolder") != "true"


def _content_type(location: str) -> str:
    return _CONTENT_TYPES.get(location.rpartition(".")[2], "application/octet-stream")
