"""Connections to one share, each used by one thread at a time.

The library counts a connection's credits without regard to other threads: a message for which none are left is an error. So
nothing is shared, and a streamed file has a connection for itself.

A server may end a session or a share while the line stands (a ticket that ran out, an administrator), and each has its own words
for that: so a connection that gave any error but one about a name is closed, and what failed is done once more on a new one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.connection import Connection  # type: ignore[import-untyped]  # has no types
from smbprotocol.exceptions import SMBAuthenticationError, SMBOSError  # type: ignore[import-untyped]  # has no types
from smbprotocol.header import NtStatus  # type: ignore[import-untyped]  # has no types
from smbprotocol.session import Session  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import DestinationError, NotAdmitted
from bic_lib.destinations.smb_errors import FAMILIES, about_a_name

Access = dict[str, Any]
"""What smbclient's functions take as keyword arguments to use one connection."""

Made = TypeVar("Made")

_NO_SHARE = frozenset(
    {
        NtStatus.STATUS_BAD_NETWORK_NAME,
        NtStatus.STATUS_NOT_FOUND,
        NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
        NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
    }
)
_KERBEROS = ("gssapi", "krb5")
"""What the library needs to enter by a ticket, where the system is not Windows; with one of them alone it can't."""
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

    def use(self, act: Callable[[Access], Made]) -> Made:
        """Do these few calls, which may be repeated. Raises DestinationError and what the library and `act` raise."""
        access = self._idle_one() or self._connected()
        try:
            return self._done(access, act)
        except FAMILIES as error:
            if about_a_name(error):
                raise
        return self._done(self._connected(), act)

    def take(self) -> Access:
        """A connection that was seen to work, until it is given back or closed."""
        access = self._idle_one()
        if access is not None:
            try:
                smbclient.lstat(self._share, **access)
            except FAMILIES:
                close(access)
            else:
                return access
        return self._connected()

    @contextlib.contextmanager
    def taken(self) -> Iterator[Access]:
        """One for a while, as for reading a file."""
        access = self.take()
        try:
            yield access
        except FAMILIES as error:
            if not about_a_name(error):
                close(access)
            raise
        finally:
            self.give_back(access)

    def give_back(self, access: Access) -> None:
        """One that is broken or closed, or one too many, is not kept."""
        with self._lock:
            if usable(access) and len(self._idle) < _IDLE:
                self._idle.append(access)
                return
        close(access)

    def _done(self, access: Access, act: Callable[[Access], Made]) -> Made:
        try:
            return act(access)
        except FAMILIES as error:
            if not about_a_name(error):
                close(access)
            raise
        finally:
            self.give_back(access)

    def _idle_one(self) -> Access | None:
        while True:  # each turn takes one of those that are idle
            with self._lock:
                access = self._idle.pop() if self._idle else None
            if access is None or usable(access):
                return access
            close(access)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for access in idle:
            close(access)

    def describe(self) -> str:
        """How the server is spoken to, for people."""
        with self.taken() as access:
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
            close(access)
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
            return DestinationError(text, hint=_own_account())
        return NotAdmitted(f"{self._server} can't be entered as {self._username} ({error}).", hint="Look at name and password.")


def _own_account() -> str:
    """What the process's own account needs to enter, and what of it is not there."""
    missing = [] if sys.platform == "win32" else [name for name in _KERBEROS if importlib.util.find_spec(name) is None]
    lacks = f" Not installed here: {', '.join(missing)}." if missing else ""
    return (
        "Give username and password. The own account works on Windows, and elsewhere by Kerberos: a ticket (kinit), the server"
        f" by its name, and the Python packages {' and '.join(_KERBEROS)} (pip install smbprotocol[kerberos]).{lacks}"
    )


def _connection(access: Access) -> Any:  # the library has no types
    return next(iter(access["connection_cache"].values()))


def usable(access: Access) -> bool:
    """Whether the connection stands and waits for nothing. On one that broke, the library would connect anew by itself."""
    connection = _connection(access)
    return bool(connection.transport.connected and not connection.outstanding_requests)


def close(access: Access) -> None:
    """Give a connection up; it may be closed already."""
    connection = _connection(access)
    with contextlib.suppress(*FAMILIES):  # a session that the server has ended can't be left in good order
        connection.disconnect(close=not connection.outstanding_requests)
    with contextlib.suppress(*FAMILIES):  # and then its line would stay open
        connection.disconnect(close=False)
