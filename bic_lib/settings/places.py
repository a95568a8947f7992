"""Where destinations lie, kept in the ledger without secrets: what lies in one that left the settings can still be verified."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from bic_lib.core.errors import UsageError
from bic_lib.core.ports.store import BATCH, Put
from bic_lib.ledger import Ledger
from bic_lib.ledger.streams import STATE
from bic_lib.masking import masked
from bic_lib.settings.model import AzureBlobSettings, Destination, LocalFolderSettings, SmbShareSettings

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

_PARTITION = "places"


def keep(ledger: Ledger, settings: Settings) -> None:
    """Note the destinations as they are now, where that is news. Raises LedgerError."""
    known = {row.key: row.body for row in ledger.store.scan(STATE, _PARTITION)}
    bodies = {name: _body(configured) for name, configured in settings.destinations.items()}
    news = [Put(name, body) for name, body in bodies.items() if known.get(name) != body]
    for first in range(0, len(news), BATCH):
        ledger.store.commit(STATE, _PARTITION, news[first : first + BATCH])


def recall(ledger: Ledger, name: str, settings: Settings) -> Destination | None:
    """The last settings of a destination, None where none are kept or they can't be used any more. Raises LedgerError."""
    row = ledger.store.get(STATE, _PARTITION, name)
    if row is None:
        return None
    adapter: TypeAdapter[Destination] = TypeAdapter(Destination)
    try:
        return adapter.validate_python(dict(row.body), context={"base": settings.base})
    except ValidationError:
        return None


def root(configured: BaseModel) -> str:
    """Where a destination's files lie, as it was set; empty for databases and kinds that tell no such place."""
    match configured:
        case LocalFolderSettings(directory=directory) | SmbShareSettings(directory=directory):
            return directory
        case AzureBlobSettings(directory=directory):
            return "/".join(part for part in (configured.container_url or configured.container, directory) if part)
    return ""


def address(configured: BaseModel) -> str:
    """By what two settings of a destination are known to be of one place."""
    return root(configured) or masked(str(getattr(configured, "connection_string", "")))


def below(settings: Settings, name: str, folder: str) -> str:
    """A folder as a destination's locations begin: told as a path, as the destination's own address goes on, or below its root.

    Raises UsageError for one that lies elsewhere.
    """
    configured = settings.destinations.get(name)
    if isinstance(configured, LocalFolderSettings):
        top = settings.path(configured.directory).resolve()
        path = Path(folder) if Path(folder).exists() else top / folder
        if not path.resolve().is_relative_to(top):
            raise UsageError(f"{folder} lies outside of {top}, the root of the destination {name}.", hint=_INSIDE)
        return path.resolve().relative_to(top).as_posix().removeprefix(".")
    told = folder.replace("\\", "/")
    begins = root(configured).replace("\\", "/").rstrip("/") if configured else ""
    if begins and f"{told}/".casefold().startswith(f"{begins}/".casefold()):
        told = told[len(begins) :]
    if "://" in told or told.startswith("//") or ".." in told.split("/"):
        raise UsageError(f"{folder} lies outside of the root of the destination {name}.", hint=_INSIDE)
    return told.strip("/").removeprefix("./").removeprefix(".")


_INSIDE = "Only what lies in a destination can be adopted; `bic import` without --adopt brings session XML into it."


def _body(configured: BaseModel) -> Mapping[str, Any]:
    """What was set, as it was written; a value that holds a secret is none that settings may hold, and is left out."""
    told = configured.model_dump(mode="json", exclude_unset=True)
    return {name: value for name, value in told.items() if masked(str(value)) == str(value)}
