"""The servers that destinations are tested against."""

from __future__ import annotations

from tests.fixtures_servers import azurite, samba  # noqa: F401  # fixtures
