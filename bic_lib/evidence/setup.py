"""What seals are made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bic_lib.core.ports.files import FileStore
from bic_lib.evidence.keys import Keys
from bic_lib.evidence.making import Surroundings
from bic_lib.evidence.time_stamps import Stamper


@dataclass(frozen=True, slots=True)
class Setup:
    """What seals are made with: the `store` that holds them, the keys, and what statements say beside their lists."""

    store: Callable[[], FileStore]
    keys: Keys
    around: Surroundings
    time_stamp: Stamper | None = None
