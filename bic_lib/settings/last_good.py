"""The last good settings, kept in the ledger; and settings that lie in a blob.

So a broken file stops nothing, not even on an instance that starts while it is broken: that one needs only the file's `[ledger]`
and `[identity]`, or else finds the ledger in the app's own storage account.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bic_lib.core import azure_hosts
from bic_lib.core.errors import BicError, Conflict, DestinationError, SettingsError
from bic_lib.core.ports.store import Insert, Replace
from bic_lib.ledger import Ledger
from bic_lib.ledger.streams import STATE
from bic_lib.masking import masked
from bic_lib.settings import including, loading
from bic_lib.settings.access import environment_tokens
from bic_lib.settings.including import Texts
from bic_lib.settings.loading import Settings

if TYPE_CHECKING:
    from bic_lib.network.unanswered import Party

_PARTITION, _KEY = "settings", "last"
_LONGEST_WHY = 4_000
"""Characters of what is wrong with broken settings; the log has all of it."""
_HEADER = re.compile(r"\s*\[+\s*[\"']?([A-Za-z_]+)")
_NEEDED = ("ledger", "identity")
_NO_SITES = """
[sites.none]
host = "none.invalid"
client_id = "none"
client_secret = "env:NONE"
"""


def read(source: str, environ: Mapping[str, str]) -> Texts:
    """The texts of the settings, of blobs too. Raises SettingsError."""
    return including.read(source, lambda url: _blob(url, environ))


def keep(ledger: Ledger, texts: Texts, broken: SettingsError | None) -> None:
    """Keep good settings, and note since when and how the file is broken now. Raises LedgerError."""
    row = ledger.store.get(STATE, _PARTITION, _KEY)
    body = {
        "text": _packed(texts.main),
        "included": [[name, _packed(text)] for name, text in texts.included],
        "broken": bool(broken),
    }
    if broken:
        since = row.body.get("since") if row and row.body["broken"] else None
        body |= {"why": masked(str(broken))[:_LONGEST_WHY], "since": since or ledger.now()}
    if row and row.body == body:
        return
    with suppress(Conflict):  # another tick's write is as good
        ledger.store.commit(STATE, _PARTITION, [Replace(_KEY, body, row.version) if row else Insert(_KEY, body)])


def recall(
    now: Texts | None, source: str, environ: Mapping[str, str], open_ledger: Callable[[Settings], Ledger], error: SettingsError
) -> Texts:
    """The last good settings, where those that are there now are broken (None: can't be read). Raises `error` without any."""
    try:
        ledger = open_ledger(_least(now.main if now else None, source, environ))
        row = ledger.store.get(STATE, _PARTITION, _KEY)
        ledger.store.close()
    except BicError as failure:
        raise error from failure
    if row is None:
        raise error
    included = row.body.get("included", [])  # rows from before files could be included have none
    return Texts(_unpacked(row.body["text"]), tuple((name, _unpacked(text)) for name, text in included))


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _unpacked(packed: str) -> str:
    return zlib.decompress(base64.b64decode(packed)).decode()


def _least(text: str | None, source: str, environ: Mapping[str, str]) -> Settings:
    """As much of the settings as leads to the ledger. Raises SettingsError."""
    found = _own_storage(environ) if text is None else _tables(text)
    return loading.parse(found + _NO_SITES, loading.base(source), "the settings")


def _tables(text: str) -> str:
    """The lines of the tables that lead to the ledger; the others may be broken."""
    kept, wanted = [], False
    for line in text.splitlines():
        if header := _HEADER.match(line):
            wanted = header[1] in _NEEDED
        if wanted:
            kept.append(line)
    return "\n".join(kept)


def _own_storage(environ: Mapping[str, str]) -> str:
    """The ledger in the storage account of the function app itself, by connection string or by identity."""
    url = environ.get("AzureWebJobsStorage__tableServiceUri")
    where = f'account_url = "{url}"' if url else 'connection = "env:AzureWebJobsStorage"'
    return f'[ledger]\nkind = "azure_table"\n{where}\n'


# --- settings in a blob ----------------------------------------------------------------------------------------------


def _blob(url: str, environ: Mapping[str, str]) -> str:
    from azure.core.exceptions import AzureError  # noqa: PLC0415  # only where settings are in a blob
    from azure.storage.blob import BlobClient  # noqa: PLC0415

    signed = "sig=" in url
    if not signed and not azure_hosts.takes_tokens(azure_hosts.host(url), azure_hosts.BLOB):
        hint = f"BIC_SETTINGS names a blob at a host that ends in {azure_hosts.BLOB[0]}, or holds a signed URL."
        raise SettingsError(f"The settings at {masked(url)} are at no host of Azure; a token is sent to no other.", hint=hint)
    # Tokens have the SDK's shape; its protocol names more options.
    credential: Any = None if signed else environment_tokens(environ)
    options: dict[str, Any] = {"retry_total": 2, "permit_redirects": False, "raw_response_hook": _demand_own}
    try:
        with BlobClient.from_blob_url(url, credential=credential, **options) as blob:
            return blob.download_blob().readall().decode("utf-8-sig")
    except DestinationError as error:
        raise SettingsError(f"The settings at {masked(url)} can't be read: {error.message}", hint=error.hint) from error
    except (AzureError, OSError, ValueError) as error:
        told, hint = _why(url, error)
        raise SettingsError(f"The settings at {masked(url)} can't be read: {told}", hint=hint) from error


def _why(url: str, error: Exception) -> tuple[str, str]:
    """What is so and what to do, when the blob could not be read."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415

    from bic_lib.network.unanswered import unanswered  # noqa: PLC0415

    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 (byte {error.start})", "Save it as UTF-8."
    if not isinstance(error, HttpResponseError) or error.response is None:
        found = unanswered(_party(url), error)
        return found.what, found.hint
    hint = "BIC_SETTINGS names the blob; the identity in BIC_IDENTITY needs the role Storage Blob Data Reader on it."
    return f"HTTP {error.status_code} {getattr(error, 'error_code', None) or ''}".rstrip(), hint


def _demand_own(answered: Any) -> None:
    """A hook of the SDK's, for each answer: raises DestinationError for one that is not the service's."""
    from bic_lib.network.gateways import stepped_in  # noqa: PLC0415

    if found := stepped_in(_party(answered.http_request.url), answered.http_response):
        answered.http_response.internal_response.close()
        raise DestinationError(found.what, hint=found.hint)


def _party(url: str) -> Party:
    from bic_lib.network.unanswered import Party  # noqa: PLC0415

    return Party("the storage account", url, "BIC_SETTINGS")
