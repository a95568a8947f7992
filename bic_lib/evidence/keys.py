"""Keys on the curve P-256 and their signatures (ECDSA, SHA-256, DER), as `openssl dgst -sha256 -verify` checks them.

A key is named by the first 16 hex digits of the SHA-256 of its public part in DER; all 64 are its fingerprint.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bic_lib.core.errors import SettingsError, Unexpected, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

_ID = 16
"""Hex digits of a key's name: enough to tell keys apart; what proves a key is its whole fingerprint."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as PEM."""

    pem: bytes
    fingerprint: str

    @property
    def id(self) -> str:
        return self.fingerprint[:_ID]

    def verifies(self, signature: bytes, content: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- half a second, only where there are seals
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        try:
            _loaded(self.pem).verify(signature, content, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """Who signs statements: a key of this machine, or one of a vault that never leaves it."""

    @property
    def public(self) -> PublicKey: ...

    def sign(self, content: bytes) -> bytes:
        """The signature in DER. Raises DestinationError when it can't be had now."""
        ...


def public(pem: bytes) -> PublicKey:
    """Raises Unexpected for what is no public key on P-256."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    key = _loaded(pem)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    told = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(told, hashlib.sha256(der).hexdigest())


def _loaded(pem: bytes) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise Unexpected("this is no public key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Unexpected("this is a public key, but none on the curve P-256")
    return key


# --- a key of this machine -------------------------------------------------------------------------------------------


class FileSigner:
    """A private key in a file."""

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        self._key = key
        whole = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = public(key.public_key().public_bytes(serialization.Encoding.PEM, whole))

    def sign(self, content: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        return self._key.sign(content, ec.ECDSA(hashes.SHA256()))


def of_id(path: Path, key: str) -> FileSigner:
    """The key of this id: in the file, or beside it where another took its place; "": the file's. Raises SettingsError."""
    signer = load(path)
    if key in ("", signer.public.id):
        return signer
    return load(beside(path, key))


def beside(path: Path, key: str) -> Path:
    """Where a key lies that takes over, or was taken over from."""
    return path.with_name(f"{path.stem}.{key}{path.suffix}")


def load(path: Path) -> FileSigner:
    """The key in a file. Raises SettingsError."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        hint = "`bic seal init` makes it; if it is lost, `bic seal rotate --lost` goes on with another."
        raise SettingsError(f"[seal] key: {path} is not there.", hint=hint) from None
    except OSError as error:
        raise SettingsError(f"[seal] key: {path} can't be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise SettingsError(f"[seal] key: {path} is no private key in PEM without a password.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SettingsError(f"[seal] key: {path} is a key, but none on the curve P-256.")
    return FileSigner(key)


def make(path: Path) -> FileSigner:
    """A new key in a file that its user alone can read. Raises UsageError where there is a file already."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} is there already, and a key is never written over.") from None
    except OSError as error:
        raise SettingsError(f"[seal] key: {path} can't be written: {error.strerror}.") from error
    with os.fdopen(file, "wb") as opened:
        opened.write(pem)
        opened.flush()
        os.fsync(opened.fileno())
    return FileSigner(key)
