"""The cloud's services for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import fakes


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fakes.Cloud]:
    """Running services, which this process's HTTP clients trust and find as on the platform."""
    (tmp_path / "cloud").mkdir()
    with fakes.cloud(tmp_path / "cloud") as services:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(services.ca_file))
        for name, value in services.environ().items():
            monkeypatch.setenv(name, value)
        yield services
