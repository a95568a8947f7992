"""Keys on the curve P-256 and their signatures (ECDSA, SHA-256, DER), as `openssl dgst -sha256 -verify` checks them.

A key is named by the first 16 hex digits of the SHA-256 of its public part in DER; all 64 are its fingerprint.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bic_lib.core.errors import DestinationError, SettingsError, Unexpected, UsageError

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


class Private(Protocol):
    """A private key, wherever it is; what it gives of itself."""

    @property
    def kid(self) -> str:
        """Where it is found again; empty for a file."""
        ...

    @property
    def pem(self) -> bytes: ...

    def sign(self, content: bytes) -> bytes:
        """The signature in DER. Raises DestinationError when it can't be had now."""
        ...


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs statements: a key of this machine, or one of a vault that never leaves it."""

    public: PublicKey
    private: Private

    def sign(self, content: bytes) -> bytes:
        """The signature in DER. Raises DestinationError when it can't be had, or is none of this key."""
        signature = self.private.sign(content)
        if not self.public.verifies(signature, content):
            raise DestinationError(f"[seal] key: what key {self.public.id} signed does not fit its public part.")
        return signature


class Keys(Protocol):
    """Where the keys of a chain are."""

    def first(self) -> tuple[Signer, bool]:
        """The key to begin with, and whether it was made just now. Raises SettingsError, Unexpected."""
        ...

    def another(self, before: str) -> Signer:
        """A key to go on with, other than the one of this id. Raises UsageError, SettingsError."""
        ...

    def of(self, key: str, kid: str) -> Signer:
        """The key of an id, and where it was found. Raises SettingsError."""
        ...


def signer(private: Private) -> Signer:
    """Raises Unexpected for a key that is none on P-256."""
    return Signer(public(private.pem), private)


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


# --- keys of this machine --------------------------------------------------------------------------------------------


class FileKey:
    """A private key from a file."""

    kid = ""

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        self._key = key
        whole = serialization.PublicFormat.SubjectPublicKeyInfo
        self.pem = key.public_key().public_bytes(serialization.Encoding.PEM, whole)

    def sign(self, content: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        return self._key.sign(content, ec.ECDSA(hashes.SHA256()))

    def private_pem(self) -> bytes:
        """The key itself."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        none = serialization.NoEncryption()
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)


@dataclass(frozen=True, slots=True)
class FileKeys:
    """The first key in a file, those that took over beside it: `seal-key.ID.pem`. None is ever written over."""

    path: Path

    def first(self) -> tuple[Signer, bool]:
        if self.path.exists():
            return signer(load(self.path)), False
        made = _made()
        _write(self.path, made)
        return signer(made), True

    def another(self, before: str) -> Signer:  # noqa: ARG002 -- a new key is always another one
        made = _made()
        found = signer(made)
        _write(self._beside(found.public.id), made)
        return found

    def of(self, key: str, kid: str) -> Signer:  # noqa: ARG002 -- a file is found by the key's id
        for path in (self._beside(key), self.path):
            if path.exists() and (found := signer(load(path))).public.id == key:
                return found
        hint = "Put it back; if it is lost, `bic seal rotate --lost` goes on with another."
        raise SettingsError(f"[seal] key: the key {key} is neither {self.path} nor {self._beside(key)}.", hint=hint)

    def _beside(self, key: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{key}{self.path.suffix}")


def load(path: Path) -> FileKey:
    """The key in a file. Raises SettingsError."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SettingsError(f"[seal] key: {path} can't be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise SettingsError(f"[seal] key: {path} is no private key in PEM without a password.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SettingsError(f"[seal] key: {path} is a key, but none on the curve P-256.")
    return FileKey(key)


def _made() -> FileKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    return FileKey(ec.generate_private_key(ec.SECP256R1()))


def _write(path: Path, key: FileKey) -> None:
    """The key in a new file that its user alone can read. Raises UsageError where there is a file already."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} is there already, and a key is never written over.") from None
    except OSError as error:
        raise SettingsError(f"[seal] key: {path} can't be written: {error.strerror}.") from error
    with os.fdopen(file, "wb") as opened:
        opened.write(key.private_pem())
        opened.flush()
        os.fsync(opened.fileno())


# --- keys of a vault -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VaultKeys:
    """Versions of a key in a vault: the newest one begins, and takes over. `read` gives a version by its URL, "": the newest."""

    name: str
    read: Callable[[str], Private]

    def first(self) -> tuple[Signer, bool]:
        return signer(self.read("")), False

    def another(self, before: str) -> Signer:
        newest = signer(self.read(""))
        if newest.public.id == before:
            raise UsageError(
                f"the vault's newest version of {self.name} is in use already", hint="Make a new version of it first."
            )
        return newest

    def of(self, key: str, kid: str) -> Signer:
        found = signer(self.read(kid))
        if found.public.id != key:
            raise SettingsError(f"[seal] key: {kid} is not the key {key} with which the chain is signed.")
        return found
