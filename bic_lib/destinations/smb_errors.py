"""smbprotocol's errors as ours: it raises four families of them (OSError, SMBException, SMBOSError which is both, ValueError)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBOSError, SMBResponseException  # type: ignore[import-untyped]  # has no types
from smbprotocol.header import NtStatus  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import BicError, DestinationError, Interrupted, NotAdmitted, Unexpected

FAMILIES = (OSError, SMBException, ValueError)
"""Everything that a call of the library raises; ValueError is a closed port."""

IN_USE = frozenset({NtStatus.STATUS_SHARING_VIOLATION, NtStatus.STATUS_DELETE_PENDING, 0xC0000054})  # the last: a lock
DENIED = frozenset({NtStatus.STATUS_ACCESS_DENIED, NtStatus.STATUS_CANNOT_DELETE})
MISSING = frozenset(
    {
        NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
        NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
        NtStatus.STATUS_NO_SUCH_FILE,
        NtStatus.STATUS_NOT_A_DIRECTORY,
    }
)
NAME_REFUSED = MISSING | {
    NtStatus.STATUS_OBJECT_NAME_INVALID,
    NtStatus.STATUS_OBJECT_PATH_INVALID,
    NtStatus.STATUS_OBJECT_PATH_SYNTAX_BAD,
    NtStatus.STATUS_OBJECT_NAME_COLLISION,
    0xC0000106,  # NAME_TOO_LONG
    NtStatus.STATUS_FILE_IS_A_DIRECTORY,
    NtStatus.STATUS_STOPPED_ON_SYMLINK,
}
_CONTENT_REFUSED = {
    0xC0000904: "FILE_TOO_LARGE",
    0xC0000906: "VIRUS_INFECTED",
    0xC0000907: "VIRUS_DELETED",
    0xC0000804: "CONTENT_BLOCKED",
}
"""What a server says of one file's size or content: a file system's limit, a scanner's find, a file screen."""
_ABOUT_A_NAME = IN_USE | NAME_REFUSED | _CONTENT_REFUSED.keys()
"""All answers that can be about a file or folder only. Any other may be about the connection, the session or the share."""
_LOGIN = "Look at user name and password in the settings: is the account locked, or its password expired?"
_RIGHTS = "Give the account the right to write here, both on the share and on the folder."
_HINTS = {
    NtStatus.STATUS_LOGON_FAILURE: _LOGIN,
    NtStatus.STATUS_WRONG_PASSWORD: _LOGIN,
    NtStatus.STATUS_PASSWORD_EXPIRED: _LOGIN,
    **dict.fromkeys((0xC000006E, 0xC000006F, 0xC0000070, 0xC0000072, 0xC000015B, 0xC0000193, 0xC0000224, 0xC0000234), _LOGIN),
    NtStatus.STATUS_ACCESS_DENIED: _RIGHTS,
    NtStatus.STATUS_PRIVILEGE_NOT_HELD: _RIGHTS,
    NtStatus.STATUS_BAD_NETWORK_NAME: "Is the share still there? Its name stands after the server's in the settings.",
    **dict.fromkeys(
        (NtStatus.STATUS_DISK_FULL, 0xC0000044, 0xC0000802), "Free space on the share, or raise the account's quota."
    ),
    0xC00000A2: "The share's disk is write-protected: look at it.",
    0xC00000D0: "The share takes no more users at a time: raise its limit, or wait.",
    0xC0000133: "The server's and the domain's clocks differ by more than five minutes, or this machine's does: set them.",
    0xC000005E: "The server reaches no domain controller: look at its network.",
    0xC0000257: "The folder lies elsewhere (DFS): name the server and share that hold it, or see that this machine reaches them.",
}
_HINT = "Look at the file server and the network (TCP port 445); bic tries again by itself."
_WORDS = {
    0xC0000054: "FILE_LOCK_CONFLICT",
    0xC0000044: "QUOTA_EXCEEDED",
    0xC000005E: "NO_LOGON_SERVERS",
    0xC000006E: "ACCOUNT_RESTRICTION",
    0xC000006F: "INVALID_LOGON_HOURS",
    0xC0000070: "INVALID_WORKSTATION",
    0xC0000072: "ACCOUNT_DISABLED",
    0xC00000A2: "MEDIA_WRITE_PROTECTED",
    0xC00000D0: "REQUEST_NOT_ACCEPTED",
    0xC0000106: "NAME_TOO_LONG",
    0xC0000133: "TIME_DIFFERENCE_AT_DC",
    0xC000015B: "LOGON_TYPE_NOT_GRANTED",
    0xC0000193: "ACCOUNT_EXPIRED",
    0xC000020C: "CONNECTION_DISCONNECTED",
    0xC000020D: "CONNECTION_RESET",
    0xC0000224: "PASSWORD_MUST_CHANGE",
    0xC0000234: "ACCOUNT_LOCKED_OUT",
    0xC0000257: "PATH_NOT_COVERED",
    0xC000035C: "NETWORK_SESSION_EXPIRED",
    0xC0000802: "QUOTA_EXCEEDED",
    **_CONTENT_REFUSED,
    **{status: name.removeprefix("STATUS_") for name, status in vars(NtStatus).items() if name.startswith("STATUS_")},
}
"""The library knows no names of the first ones."""


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


def about_a_name(error: Exception) -> bool:
    """Whether the server said something of a file or folder, so that the connection is as good as it was."""
    return status(error) in _ABOUT_A_NAME


def refuses_us(error: BaseException | None) -> bool:
    """It is about a right that the account lacks."""
    return isinstance(error, Exception) and status(error) in DENIED


def words(found: int) -> str:
    """The name of a server's answer."""
    return str(_WORDS.get(found, f"0x{found:08X}"))


def failed(path: str, error: Exception) -> BicError:
    """What a failure of the library means."""
    found = status(error)
    if found is None:
        kind, hint = (NotAdmitted, _LOGIN) if isinstance(error, SMBAuthenticationError) else (DestinationError, _HINT)
        return kind(f"{path}: {error or type(error).__name__}.", hint=hint)
    text = f"{path}: {words(found)}."
    if found in NAME_REFUSED:
        return Unexpected(text, hint="The server refuses the name, or something else has it: look at the file name format.")
    if found in _CONTENT_REFUSED:
        return Unexpected(
            text, hint="The server takes other files: look at its limits of size, its file screens and its virus scanner."
        )
    if found in IN_USE:
        return Interrupted(text, hint="Somebody has this file open; bic tries again by itself.")
    kind = NotAdmitted if _HINTS.get(found) is _LOGIN else DestinationError
    return kind(text, hint=_HINTS.get(found, _HINT))
