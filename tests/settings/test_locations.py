"""Places in settings, as Windows has them."""

from __future__ import annotations

import sys

import pytest

from bic_lib.settings import locations


@pytest.mark.parametrize("drive", ["C:", "C:data", "c:archive\\2026"])
def test_a_drive_without_its_root_is_no_place_on_windows(monkeypatch: pytest.MonkeyPatch, drive: str) -> None:
    """It begins wherever that drive's current folder is, which a service's is not."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ValueError, match="the whole path"):
        locations.local_directory(drive)
    for whole in ("D:\\archive", "D:/archive", "archive"):
        assert locations.local_directory(whole) == whole
