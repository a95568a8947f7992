"""Time stamps (RFC 3161): an authority of somebody else's says that a statement was there at a time.

What is kept is the whole response, as `openssl ts -verify -in` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bic_lib.core.errors import DestinationError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = (10.0, 30.0)
"""Seconds to connect, and to wait for an answer: authorities answer within one."""
_LARGEST = 1 << 20
"""Bytes of a response: with its certificates it has some kilobytes."""


class Stamper(Protocol):
    """Who gives time stamps. `roots`: the certificates that its own lead to, in PEM."""

    @property
    def roots(self) -> bytes: ...

    def token(self, content: bytes) -> bytes:
        """The response to a request for this content, checked. Raises DestinationError."""
        ...


@dataclass(frozen=True, slots=True)
class Authority:
    """A time-stamping authority, asked by HTTP."""

    url: str
    roots: bytes

    def token(self, content: bytes) -> bytes:
        """Imprint, nonce and chain are checked. Raises DestinationError when there is none to be had, or it does not fit."""
        import requests  # noqa: PLC0415 -- only where time stamps are wanted
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415

        from bic_lib.network.gateways import stepped_in  # noqa: PLC0415
        from bic_lib.network.unanswered import Party, unanswered  # noqa: PLC0415

        party = Party("the time-stamping authority", self.url, "time_stamp")
        asked = (
            TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).cert_request(cert_request=True).build()
        )
        headers = {"Content-Type": "application/timestamp-query"}
        try:
            answer = requests.post(self.url, asked.as_bytes(), headers=headers, timeout=_TIMEOUT, allow_redirects=False)
        except (requests.RequestException, OSError, ValueError) as error:
            found = unanswered(party, error)
            raise DestinationError(f"[seal] time_stamp: {self.url}: {found.what}", hint=found.hint) from error
        if between := stepped_in(party, answer):
            raise DestinationError(f"[seal] time_stamp: {self.url}: {between.what}", hint=between.hint)
        if answer.status_code != 200 or len(answer.content) > _LARGEST:
            raise DestinationError(f"[seal] time_stamp: {self.url} answers HTTP {answer.status_code}, without a time stamp.")
        if wrong := _wrong(answer.content, content, self.roots, asked.nonce):
            raise DestinationError(f"[seal] time_stamp: what {self.url} answers is no time stamp that fits: {wrong}.")
        return answer.content


def authority(url: str, ca_file: Path) -> Authority:
    """Raises SettingsError for a file that can't be read."""
    try:
        return Authority(url, ca_file.read_bytes())
    except OSError as error:
        raise SettingsError(f"[seal] time_stamp_ca: {ca_file} can't be read: {error.strerror}.") from error


def fits(response: bytes, content: bytes, roots: bytes) -> bool:
    """Whether a response is a time stamp of this content, by an authority that leads to one of these certificates."""
    return not _wrong(response, content, roots, None)


def _wrong(response: bytes, content: bytes, roots: bytes, nonce: int | None) -> str:
    from cryptography import x509  # noqa: PLC0415
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response  # noqa: PLC0415

    try:
        decoded = decode_timestamp_response(response)
        builder = VerifierBuilder(nonce=nonce, roots=list(x509.load_pem_x509_certificates(roots)))
        builder.build().verify_message(decoded, content)
    except (VerificationError, ValueError) as error:
        return " ".join(str(error).split()) or "it can't be read"
    return ""
