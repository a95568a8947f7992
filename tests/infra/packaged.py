"""The function app as it is deployed: made of this program once a process, with nothing beside it; gone at the end."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from infra import package
from tests.needs import package_index


@cache
def packaged() -> Path:
    """The folder that is deployed."""
    package_index()
    place = Path(tempfile.mkdtemp(prefix="bic-package-"))
    atexit.register(shutil.rmtree, str(place))
    package.make(place)
    return place / "package"


def deployed_paths() -> tuple[Path, Path]:
    """Where the platform's worker has Python look for modules: the packages, then the app."""
    return packaged() / package.SITE_PACKAGES, packaged()
