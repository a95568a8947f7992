"""Which program this is; a deployed bundle has no package metadata to ask."""

VERSION = "0.1.0"
"""As in pyproject.toml, which a test holds it to."""
