"""What can stand where somebody should answer: certificates, listeners and proxies, each wrong in its own way, on loopback."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Serve = Callable[[socket.socket], None]
"""What happens to one connection."""


class Authority:
    """A private certificate authority, as administrators make them. `marked`: with key identifiers and usage, as in RFC 5280."""

    def __init__(self, folder: Path, *, marked: bool = True, above: Authority | None = None) -> None:
        self.folder = folder
        self.marked = marked
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(f"Example's authority ({marked}, {above is not None})")
        builder = _builder(self.name, above.name if above else self.name, self.key, -1, 365)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        if marked:
            usage = x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            )
            builder = builder.add_extension(usage, critical=True)
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        self.file = folder / f"ca-{marked}-{above is not None}.pem"
        self.file.write_bytes(
            builder.sign(above.key if above else self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )

    def issue(
        self,
        host: str = "localhost",
        first: int = -1,
        last: int = 30,
        *,
        own: bool = False,
        named: bool = True,
        short: bool = False,
    ) -> Path:
        """Certificate and key in one file, valid from and until so many days from now.

        `own`: signed by itself; `named`: not in the subject only; `short`: of a short key.
        """
        key = rsa.generate_private_key(65_537, 1024) if short else ec.generate_private_key(ec.SECP256R1())
        subject = _name(host)
        builder = _builder(subject, subject if own else self.name, key, first, last)
        if named:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if self.marked and not own:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        certificate = builder.sign(key if own else self.key, hashes.SHA256())
        file = self.folder / f"{self.file.stem}-{host}-{first}-{last}-{own}-{named}-{short}.pem"
        plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + plain)
        return file


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, first: int, last: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=first))
        .not_valid_after(now + timedelta(days=last))
    )


@dataclass
class Field:
    """Certificates by name, and the files that trust them."""

    folder: Path

    def __post_init__(self) -> None:
        good, unmarked = Authority(self.folder), Authority(self.folder, marked=False)
        self.certificates = {
            "good": good.issue(),
            "unmarked": unmarked.issue(),
            "expired": good.issue(first=-9, last=-2),
            "early": good.issue(first=3),
            "other": good.issue("other.example.com"),
            "own": good.issue(own=True),
            "nameless": good.issue(named=False),
            "short": good.issue(short=True),
            "chained": Authority(self.folder, above=good).issue(),
        }
        prose = self.folder / "prose.pem"
        prose.write_text("This is no certificate.\n")
        self.trusted = {"good": good.file, "unmarked": unmarked.file, "nowhere": self.folder / "nowhere.pem", "prose": prose}
        self.trusted["leaf"] = self.certificates["good"]

    @contextmanager
    def standing(self, certificate: str, answer: bytes, how: str = "", proxy: Serve | str = "") -> Iterator[tuple[str, str]]:
        """A server with TLS as it is asked for, and its answer; its host, and the proxy's URL."""
        with ExitStack() as stack:
            serve = tls(self.certificates[certificate], partial(self._configured, how), answer)
            yield f"localhost:{stack.enter_context(listening(serve))}", stack.enter_context(between(proxy))

    def _configured(self, how: str, context: ssl.SSLContext) -> None:
        if how == "old":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        elif how == "ciphers":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE-ECDSA-CAMELLIA256-SHA384:NULL:@SECLEVEL=0")
        elif how == "client":
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.trusted["good"])


# --- listeners -------------------------------------------------------------------------------------------------------


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A port of loopback where each connection is served so, in a thread; ended with the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=_served, args=(serve, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _served(serve: Serve, connection: socket.socket) -> None:
    with suppress(OSError), connection:
        connection.settimeout(10)
        serve(connection)


def tls(certificate: Path, configure: Callable[[ssl.SSLContext], None] = lambda _: None, answer: bytes = b"") -> Serve:
    """TLS with this certificate; then this answer to whatever is asked, and the end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    usual = [cipher["name"] for cipher in context.get_ciphers()]
    context.set_ciphers("ALL:@SECLEVEL=0")  # a weak certificate is the other side's to refuse
    context.load_cert_chain(certificate)
    context.set_ciphers(":".join(usual) + ":@SECLEVEL=0")
    configure(context)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            try:
                secured.do_handshake()
            except ssl.SSLError:
                while socket.socket.recv(secured, 65_536):  # so that the alert arrives
                    continue
                return
            secured.recv(65_536)
            secured.sendall(answer)
            while answer and secured.recv(65_536):  # until the other side has read it: closing at once may reset
                continue

    return serve


def says(answer: bytes) -> Serve:
    """This, whatever it is asked."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    return serve


def resets(connection: socket.socket) -> None:
    """The connection is reset in the middle of the handshake."""
    connection.recv(5)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closes(connection: socket.socket) -> None:
    """The connection ends without an answer."""
    connection.recv(65_536)


def hangs(connection: socket.socket) -> None:
    """Nothing is ever said."""
    with suppress(OSError):
        while connection.recv(65_536):
            continue


@contextmanager
def between(proxy: Serve | str) -> Iterator[str]:
    """The URL of a proxy that does so with each connection; an URL stands for itself."""
    if isinstance(proxy, str):
        yield proxy
        return
    with listening(proxy) as port:
        yield f"http://127.0.0.1:{port}"


def tunnels(connection: socket.socket) -> None:
    """An HTTP proxy that connects to whatever port of loopback it is asked for."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(4096)
    port = int(head.split()[1].rpartition(b":")[2])
    with socket.create_connection(("127.0.0.1", port)) as onward:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_relay, args=(onward, connection), daemon=True)
        back.start()
        _relay(connection, onward)
        back.join(10)


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
