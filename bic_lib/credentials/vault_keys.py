"""Keys of an Azure Key Vault that never leave it: the vault signs (REST API 7.4, Get Key and Sign; ES256).

The vault's answer holds two numbers side by side; `openssl` and everybody else expects them in DER.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from bic_lib.core.errors import DestinationError
from bic_lib.credentials.key_vault import Vault
from bic_lib.credentials.references import Unresolved

_KINDS = ("EC", "EC-HSM")
_HALF = 32
"""Bytes of each of the two numbers of a signature on P-256."""


@dataclass(frozen=True, slots=True)
class VaultKey:
    """One version of a key. `kid` is its URL with the version, `pem` its public part."""

    vault: Vault
    kid: str
    pem: bytes

    def sign(self, content: bytes) -> bytes:
        """ECDSA with SHA-256, in DER. Raises DestinationError when the vault does not sign now."""
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415

        asked = {"alg": "ES256", "value": _encoded(hashlib.sha256(content).digest())}
        try:
            answer = self.vault.ask(f"{self.kid}/sign", (str,), asked)
        except Unresolved as error:
            raise DestinationError(error.message, hint=error.hint) from error
        both = _decoded(answer["value"])
        if answer.get("kid") != self.kid or len(both) != 2 * _HALF:
            raise DestinationError(f"{self.kid}: the vault's answer is no signature of this key.")
        return encode_dss_signature(int.from_bytes(both[:_HALF], "big"), int.from_bytes(both[_HALF:], "big"))


def read(vault: Vault, key: str) -> VaultKey:
    """A key by its name (its newest version) or URL, which may name a version. Raises Unresolved."""
    address = vault.key_address(key)
    told = vault.ask(address, (dict,))["key"]
    kid = str(told.get("kid", ""))
    if not kid.startswith(f"{address}/") and kid != address:
        raise Unresolved(f"{address}: the vault answers with another key, {kid}.")
    return VaultKey(vault, kid, _pem(address, told))


def _pem(address: str, told: dict[str, Any]) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    if told.get("kty") not in _KINDS or told.get("crv") != "P-256":
        raise Unresolved(f"{address}: is no key on P-256.", hint="Make one of type EC, curve P-256, allowed to sign.")
    x, y = (int.from_bytes(_decoded(str(told[name])), "big") for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
