"""A file of a share on its way: several writes in flight, so that a slow link is full (bic_lib.core.ports.files.Staging)."""

from __future__ import annotations

import contextlib
import ntpath
from collections import deque
from collections.abc import Callable
from typing import Any

import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.exceptions import SMBOSError, SMBResponseException  # type: ignore[import-untyped]  # has no types
from smbprotocol.file_info import FileInformationClass, FileRenameInformation, InfoType  # type: ignore[import-untyped]  # has no types
from smbprotocol.open import FilePipePrinterAccessMask, SMB2SetInfoRequest  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import DestinationError
from bic_lib.destinations.blocks import Blocks
from bic_lib.destinations.smb_connections import Access, Connections, close, usable
from bic_lib.destinations.smb_errors import FAMILIES, translated

BLOCK = 1 << 20
IN_FLIGHT = 4
"""Bytes of a write, and writes on their way: 0.88 of a 10 ms line, one at a time 0.39 (docs/performance.md 1)."""
_RIGHTS = (
    FilePipePrinterAccessMask.FILE_WRITE_DATA
    | FilePipePrinterAccessMask.FILE_WRITE_ATTRIBUTES
    | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
    | FilePipePrinterAccessMask.DELETE
)
"""To write a file, and to rename it while it is open."""
_PER_CREDIT = 65_536
_CREDITS = 2 * IN_FLIGHT * BLOCK // _PER_CREDIT
"""A credit pays for 64 KiB (MS-SMB2 3.1.5.2); twice what is in flight, so that an answer that is late stops nothing."""


class ShareFile:
    """A new file, open for writing, of one connection. Blocks may be as large as they like."""

    def __init__(self, path: str, access: Access, *, exclusive: bool = False) -> None:
        """`exclusive`: nobody else can open or delete it, and what is there stays; else that is emptied, and may be deleted.

        A worker whose line just fell silent can hold a file open at the server for minutes.
        """
        mode, shared = ("xb", "") if exclusive else ("wb", "d")
        self._raw = smbclient.open_file(path, mode, buffering=0, share_access=shared, desired_access=_RIGHTS, **access)
        self._open = self._raw.fd
        self._size = min(BLOCK, self._open.connection.max_write_size)
        self._blocks = Blocks(self._size)
        self._end = 0
        self._sent: deque[tuple[Any, Callable[[Any], int], int, bytes]] = deque()

    def write(self, piece: bytes) -> None:
        for block in self._blocks.add(piece):
            self._append(block)

    def finish(self) -> None:
        """Everything is on the server's disk, and the file closed."""
        self.flush()
        self._raw.close()

    def flush(self) -> None:
        """Everything is on the server's disk."""
        if rest := self._blocks.rest():
            self._append(rest)
        while self._sent:
            self._wait()
        self._open.flush()

    def rename(self, name: str, *, replace: bool) -> None:
        """Give it another name in its folder while it is open. Raises SMBOSError when that is taken."""
        tree, connection = self._open.tree_connect, self._open.connection
        path = ntpath.join(ntpath.dirname(self._open.file_name), name)
        if tree.is_dfs_share and path.startswith(tree.share_name[2:]):  # as smbclient.rename does it
            path = path[len(tree.share_name) - 1 :]
        new = FileRenameInformation()
        new["replace_if_exists"], new["file_name"] = replace, path
        message = SMB2SetInfoRequest()
        message["info_type"], message["file_info_class"] = InfoType.SMB2_0_INFO_FILE, FileInformationClass.FILE_RENAME_INFORMATION
        message["file_id"], message["buffer"] = self._open.file_id, new
        try:
            connection.receive(connection.send(message, sid=tree.session.session_id, tid=tree.tree_connect_id))
        except SMBResponseException as error:
            raise SMBOSError(error.status, self._raw.name) from error

    def abandon(self) -> None:
        """Close it as it is."""
        try:
            while self._sent:
                request, receive, *_ = self._sent.popleft()
                receive(request)
            self._raw.close()
        except FAMILIES:
            self._open._connected = False  # noqa: SLF001  # it went with its connection; the library would warn of it for ever

    def _append(self, block: bytes) -> None:
        while len(self._sent) >= IN_FLIGHT:
            self._wait()
        self._send(self._end, block)
        self._end += len(block)

    def _send(self, offset: int, data: bytes) -> None:
        connection, tree = self._open.connection, self._open.tree_connect
        needed = -(-len(data) // _PER_CREDIT)
        while (free := _credits(connection)) < needed and self._sent:
            self._wait()
        first, rest = data[: free * _PER_CREDIT], data[free * _PER_CREDIT :]
        message, receive = self._open.write(first, offset, send=False)
        wanted = needed if free >= _CREDITS else needed + _CREDITS
        request = connection.send(message, sid=tree.session.session_id, tid=tree.tree_connect_id, credit_request=wanted)
        self._sent.append((request, receive, offset, first))
        if rest:
            self._wait()
            self._send(offset + len(first), rest)

    def _wait(self) -> None:
        request, receive, offset, data = self._sent.popleft()
        count = receive(request)
        if count == 0:
            raise DestinationError(f"{self._raw.name}: the server wrote nothing.", hint="Look at its free space.")
        if count < len(data):  # servers may, and then expect the rest to be sent again
            self._send(offset + count, data[count:])


class ShareStaging:
    """A large file under its temporary name, with a connection for itself, which goes back to `connections`."""

    def __init__(self, path: str, token: str, access: Access, file: ShareFile, connections: Connections) -> None:
        self._path = path
        self._token = token
        self._access: Access | None = access
        self._file = file
        self._connections = connections

    def write(self, block: bytes) -> None:
        with translated(self._path):
            self._file.write(block)

    def finish(self) -> str:
        with translated(self._path):
            self._file.finish()
        if self._access is not None:
            self._connections.give_back(self._access)
            self._access = None
        return self._token

    def discard(self) -> None:
        """What failed may have left the connection in any state, so it is closed."""
        if self._access is not None:
            self._file.abandon()
            tidy(self._path, self._access)
            close(self._access)
            self._access = None


def tidy(path: str, access: Access) -> None:
    """Remove a temporary file. One that stays is not worth an error: a sweep finds it."""
    if usable(access):
        with contextlib.suppress(*FAMILIES):
            smbclient.remove(path, **access)


def _credits(connection: Any) -> int:  # the library has no types
    window = connection.sequence_window
    return int(window["high"] - window["low"])
