"""A folder whose files are sealed as soon as they are published: an example of a destination from another package.

The entry point names an object with two attributes: `Settings`, the keys of the kind, and `create`, which makes the adapter.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from bic_lib.plug_in import FileDestination, LocalFolder, Stamp

READ_ONLY = stat.S_IRUSR | stat.S_IRGRP


class SealedFolder(LocalFolder):
    """A local folder that takes the right to write away from what it has published."""

    def __init__(self, root: Path, mode: int) -> None:
        super().__init__(root)
        self._sealed_root = root
        self._mode = mode

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        return self._sealed(location, super().put(location, content, replace=replace))

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:
        return self._sealed(location, super().publish(token, location, stamp, replace=replace))

    def _sealed(self, location: str, published: bool) -> bool:
        if published:
            (self._sealed_root / location).chmod(self._mode)
        return published


class Settings(FileDestination):
    """What stands in `[destinations.NAME]`, beside what all places for files share; `kind` is added by bic."""

    directory: str = Field(description="An absolute path.")
    world_readable: bool = Field(default=False, description="Everybody may read the files.")


class SealedFolderPlugIn:
    """What the entry point names."""

    Settings = Settings

    @staticmethod
    def create(settings: Settings, reveal: Callable[[str], str]) -> SealedFolder:
        """The adapter. `reveal` resolves a reference (`env:…`, `keyvault:…`) when a kind needs secrets; this one has none."""
        del reveal
        root = Path(settings.directory)
        root.mkdir(parents=True, exist_ok=True)
        return SealedFolder(root.resolve(), READ_ONLY | (stat.S_IROTH if settings.world_readable else 0))
