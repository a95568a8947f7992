"""Connections to one share, each used by one thread at a time.

The library counts a connection's credits without regard to other threads: a message for which none are left is an error. So
nothing is shared, and a streamed file has a connection for itself.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.connection import Connection  # type: ignore[import-untyped]  # has no types
from smbprotocol.exceptions import SMBAuthenticationError, SMBOSError  # type: ignore[import-untyped]  # has no types
from smbprotocol.header import NtStatus  # type: ignore[import-untyped]  # has no types
from smbprotocol.session import Session  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import DestinationError, NotAdmitted
from bic_lib.destinations.smb_errors import FAMILIES

Access = dict[str, Any]
"""What smbclient's functions take as keyword arguments to use one connection."""

_NO_SHARE = frozenset(
    {
        NtStatus.STATUS_BAD_NETWORK_NAME,
        NtStatus.STATUS_NOT_FOUND,
        NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
        NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
    }
)
_TIMEOUT = 60
"""Seconds of silence after which a server counts as gone; the library would wait for ever (docs/overridden-defaults.md)."""
_IDLE = 4
"""Connections that are kept for the next file; making one costs a login."""


class Connections:
    """Signed, and encrypted when the server offers it. Without a user name the process's own account enters (Kerberos, SSPI)."""

    def __init__(self, share: str, port: int, username: str | None, password: str | None) -> None:
        self._share = share
        self._server = share.split("\\")[2]
        self._port = port
        self._username = username
        self._password = password
        self._idle: list[Access] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Access]:
        """A connection for these few calls. Raises DestinationError and what the library raises."""
        access = self.take()
        try:
            yield access
        finally:
            self.give_back(access)

    def take(self) -> Access:
        """A connection until it is given back."""
        while True:
            with self._lock:
                access = self._idle.pop() if self._idle else None
            if access is None:
                return self._connected()
            if usable(access):
                return access
            _close(access)

    def give_back(self, access: Access) -> None:
        """A connection that is broken, or one too many, is closed."""
        with self._lock:
            if usable(access) and len(self._idle) < _IDLE:
                self._idle.append(access)
                return
        _close(access)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for access in idle:
            _close(access)

    def describe(self) -> str:
        """How the server is spoken to, for people."""
        with self.borrowed() as access:
            dialect = _connection(access).dialect
            return f"SMB {dialect >> 8}.{dialect >> 4 & 15}.{dialect & 15}, {'encrypted' if access['encrypt'] else 'signed'}"

    def _connected(self) -> Access:
        connection = Connection(uuid.uuid4(), self._server, self._port, require_signing=True)
        connection.connect(timeout=_TIMEOUT)
        # Without these a server that falls silent holds a thread for 20 minutes, or for ever once the send buffer is full.
        connection._receive_timeout = _TIMEOUT  # noqa: SLF001  # the library has no other way
        connection.transport._sock.settimeout(_TIMEOUT)  # noqa: SLF001  # the library has no other way
        access = {
            "connection_cache": {f"{self._server.lower()}:{self._port}": connection},
            "port": self._port,
            "username": self._username,
            "password": self._password,
            "encrypt": True if connection.supports_encryption else None,
        }
        try:
            self._enter(connection, access)
        except (*FAMILIES, DestinationError):
            _close(access)
            raise
        return access

    def _enter(self, connection: Connection, access: Access) -> None:
        try:
            Session(connection, self._username, self._password, require_encryption=bool(access["encrypt"])).connect()
        except SMBAuthenticationError as error:
            raise self._not_entered(error) from error
        try:
            smbclient.lstat(self._share, **access)
        except SMBOSError as error:
            if error.ntstatus in _NO_SHARE:  # else every file of a share that is gone would seem to be missing
                raise DestinationError(
                    f"{self._share} is not there.", hint="Look at the share's name in the settings."
                ) from error

    def _not_entered(self, error: Exception) -> DestinationError:
        if self._username is None:
            text = f"{self._server} can't be entered as the account that bic runs as ({error})."
            hint = (
                "Give username and password. The own account works on Windows, and with Kerberos (a ticket, the package gssapi)."
            )
            return DestinationError(text, hint=hint)
        return NotAdmitted(f"{self._server} can't be entered as {self._username} ({error}).", hint="Look at name and password.")


def _connection(access: Access) -> Any:  # the library has no types
    return next(iter(access["connection_cache"].values()))


def usable(access: Access) -> bool:
    """Whether the connection stands and waits for nothing. On one that broke, the library would connect anew by itself."""
    connection = _connection(access)
    return bool(connection.transport.connected and not connection.outstanding_requests)


def _close(access: Access) -> None:
    connection = _connection(access)
    with contextlib.suppress(*FAMILIES):  # it is given up in any case
        connection.disconnect(close=not connection.outstanding_requests)
