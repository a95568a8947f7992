"""The Azure SDK's errors as ours. Its messages may hold a signed URL: they are never quoted, nor chained as a cause."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from bic_lib.core.errors import BicError, DestinationError, Interrupted, NotAdmitted, Unexpected
from bic_lib.core.moments import utc
from bic_lib.network.gateways import stepped_in
from bic_lib.network.unanswered import Party, of_environment, unanswered

_OF_A_BLOB = frozenset({409, 412})
"""Answers about the state of a blob, whatever their code; but for those below."""
_OF_A_PLACE = ("Container", "Account")
"""How codes begin that are about more than a blob: ContainerNotFound, ContainerBeingDeleted, AccountIsDisabled …"""
_NAME_REFUSED = frozenset(
    {
        "BlobNotFound",
        "BlockListTooLong",
        "InvalidBlobOrBlock",
        "InvalidBlobType",
        "InvalidBlockId",
        "InvalidBlockList",
        "InvalidResourceName",
        "InvalidUri",
        "OutOfRangeInput",
        "RequestBodyTooLarge",
        "UnauthorizedBlobOverwrite",
    }
)
"""What other statuses say of one blob: its name, its blocks, that it may not be replaced."""
_PASSES = frozenset(
    {"BlobBeingRehydrated", "BlobOverwritten", "Md5Mismatch", "PendingCopyOperation", "SnapshotOperationRateExceeded"}
)
"""What is over by itself, as a lease is: the same again, as long as it takes."""
_KEY_REFUSED = frozenset({"AuthenticationFailed", "InvalidAuthenticationInfo", "AuthorizationFailure"})
"""The last is what Azurite says to a wrong key; Azure says it for its firewall, too."""
_RIGHTS = (
    "Give the identity a role on this container, such as Storage Blob Data Contributor (with a connection string: look at its"
    " key), and see that the account's firewall lets bic in."
)
_SIGNATURE = "A signature (SAS) needs service blob, types container and object, and the rights r, a, c, w, l (d for retention)."
_BY_CODE = {
    "AccountIsDisabled": "The account is disabled, mostly with its subscription: look at both in the portal.",
    "InsufficientAccountPermissions": "The account may only be read, mostly with its subscription: look at both in the portal.",
    "KeyBasedAuthenticationNotPermitted": "The account takes no keys: use container_url, entered by [identity].",
    "AuthenticationFailed": "The key is another, a signature (SAS) has ended, or this machine's clock is wrong: it shows {now}.",
    "AuthorizationFailure": "The account's firewall or private endpoint keeps this address out; or the key is another.",
    "AuthorizationPermissionMismatch": f"{_RIGHTS} {_SIGNATURE}",
    "AuthorizationSourceIPMismatch": "The signature (SAS) is for other addresses than this machine's.",
    "AuthorizationProtocolMismatch": "The signature (SAS) is for https only: so must the address be.",
    **dict.fromkeys(("AuthorizationResourceTypeMismatch", "AuthorizationServiceMismatch"), _SIGNATURE),
}
"""What to do by the service's own word, where it says more than the status."""
_HINTS = {
    401: _RIGHTS,
    403: _RIGHTS,
    404: "Is the container still there? Its name and the account's are in the settings.",
    429: "The storage account is busy; bic tries again by itself.",
    503: "The storage account is busy; bic tries again by itself.",
}
_HINT = "Look at the storage account; bic tries again by itself."


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """`place` is the URL of what is being worked on, without its query."""
    try:
        yield
    except AzureError as error:
        raise _failed(place, error) from None
    except (OSError, ValueError) as error:
        if not of_environment(error, place):
            raise
        raise _failed(place, error) from None


def demand_own(answered: Any) -> None:
    """A hook of the SDK's, for each answer: raises DestinationError for one that is not the service's.

    The SDK would take a login page with status 200 for a blob.
    """
    place = str(answered.http_request.url).partition("?")[0]
    if found := stepped_in(_party(place), answered.http_response):
        answered.http_response.internal_response.close()
        raise DestinationError(f"{place}: {found.what}", hint=found.hint)


def _party(place: str) -> Party:
    return Party("the storage account", place, "container_url")


def code(error: HttpResponseError) -> str:
    """The service's own word for what was wrong, such as `BlobAlreadyExists`; empty where it gave none."""
    found = getattr(error, "error_code", None)
    return str(getattr(found, "value", found) or "")


def about_a_blob(error: HttpResponseError) -> bool:
    """Whether the service refuses this one blob, and would take others."""
    found = code(error)
    return found in _NAME_REFUSED or (error.status_code in _OF_A_BLOB and not found.startswith(_OF_A_PLACE))


def _failed(place: str, error: AzureError | OSError | ValueError) -> BicError:
    if isinstance(error, ClientAuthenticationError) and error.status_code is None:
        return DestinationError(f"{place}: the storage account wants a credential that there is none of.", hint=_RIGHTS)
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        found = unanswered(_party(place), error)
        return DestinationError(f"{place}: {found.what}", hint=found.hint)
    text = f"{place}: {error.status_code} {code(error)}".rstrip() + "."
    if code(error).startswith("Lease") or code(error) in _PASSES:
        return Interrupted(text, hint="Somebody works on this blob; the others go on, and bic tries again by itself.")
    if about_a_blob(error):
        return Unexpected(
            text,
            hint="The service refuses this one blob: look at the file name format, at who else writes here, and at policies.",
        )
    kind = NotAdmitted if code(error) in _KEY_REFUSED else DestinationError
    hint = _BY_CODE.get(code(error)) or _HINTS.get(error.status_code, _HINT)
    return kind(text, hint=hint.replace("{now}", utc(time.time())))
