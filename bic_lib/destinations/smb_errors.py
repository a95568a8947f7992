"""smbprotocol's errors as ours: it raises four families of them (OSError, SMBException, SMBOSError which is both, ValueError)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBOSError, SMBResponseException  # type: ignore[import-untyped]  # has no types
from smbprotocol.header import NtStatus  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import BicError, DestinationError, Interrupted, NotAdmitted, Unexpected

FAMILIES = (OSError, SMBException, ValueError)
"""Everything that a call of the library raises; ValueError is a closed port."""

_IN_USE = frozenset({NtStatus.STATUS_SHARING_VIOLATION, NtStatus.STATUS_DELETE_PENDING})
_NAME_REFUSED = frozenset(
    {
        NtStatus.STATUS_OBJECT_NAME_INVALID,
        NtStatus.STATUS_OBJECT_PATH_INVALID,
        NtStatus.STATUS_OBJECT_PATH_SYNTAX_BAD,
        NtStatus.STATUS_OBJECT_NAME_COLLISION,
        NtStatus.STATUS_FILE_IS_A_DIRECTORY,
        NtStatus.STATUS_NOT_A_DIRECTORY,
        NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
        NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
    }
)
_LOGIN = "Look at user name and password in the settings: is the account locked, or its password expired?"
_RIGHTS = "Give the account the right to write here, both on the share and on the folder."
_HINTS = {
    NtStatus.STATUS_LOGON_FAILURE: _LOGIN,
    NtStatus.STATUS_WRONG_PASSWORD: _LOGIN,
    NtStatus.STATUS_PASSWORD_EXPIRED: _LOGIN,
    NtStatus.STATUS_ACCESS_DENIED: _RIGHTS,
    NtStatus.STATUS_PRIVILEGE_NOT_HELD: _RIGHTS,
    NtStatus.STATUS_BAD_NETWORK_NAME: "Is the share still there? Its name stands after the server's in the settings.",
    NtStatus.STATUS_DISK_FULL: "Free space on the share, or raise the account's quota.",
}
_HINT = "Look at the file server and the network (TCP port 445); bic tries again by itself."
_WORDS = {status: name.removeprefix("STATUS_") for name, status in vars(NtStatus).items() if name.startswith("STATUS_")}


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """`path` is the UNC path of what is being worked on."""
    try:
        yield
    except FAMILIES as error:
        raise failed(path, error) from error


def status(error: Exception) -> int | None:
    """The server's answer (MS-ERREF 2.3), None where it gave none. errno would be 0 for most of them."""
    if isinstance(error, SMBOSError):
        return int(error.ntstatus)
    return int(error.status) if isinstance(error, SMBResponseException) else None


def failed(path: str, error: Exception) -> BicError:
    """What a failure of the library means."""
    found = status(error)
    if found is None:
        kind, hint = (NotAdmitted, _LOGIN) if isinstance(error, SMBAuthenticationError) else (DestinationError, _HINT)
        return kind(f"{path}: {error or type(error).__name__}.", hint=hint)
    text = f"{path}: {_WORDS.get(found, f'0x{found:08X}')}."
    if found in _NAME_REFUSED:
        return Unexpected(text, hint="The server refuses the name, or something else has it: look at the file name format.")
    if found in _IN_USE:
        return Interrupted(text, hint="Somebody has this file open; bic tries again by itself.")
    kind = NotAdmitted if _HINTS.get(found) is _LOGIN else DestinationError
    return kind(text, hint=_HINTS.get(found, _HINT))
