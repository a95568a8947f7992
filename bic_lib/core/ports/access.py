"""How Azure is entered, in the shape that its own libraries ask for."""

from __future__ import annotations

from typing import Any, Protocol


class AccessToken(Protocol):
    """A bearer token and when it ends (Unix seconds)."""

    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


class Tokens(Protocol):
    """How Azure is entered; the shape that Azure's own libraries ask of a credential."""

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """A token for one scope (`https://storage.azure.com/.default`). Raises DestinationError when there is none to be had."""
        ...
