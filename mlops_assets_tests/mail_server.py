"""A real mail server for tests, and a certificate for it."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlops_assets_tests.servers import free_port


def write_certificate(path: Path) -> Path:
    """Write a self-signed certificate of 127.0.0.1, and its key, to this file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=Test authority")
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    usage |= {"digital_signature": True, "key_encipherment": True, "key_cert_sign": True, "crl_sign": True}
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(x509.KeyUsage(**usage), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(encoding) + secret)
    return path


@dataclass(frozen=True)
class Received:
    """A mail that the server took."""

    to: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    logged_in: bool

    @property
    def text(self) -> str:
        return self.message.get_body(("plain",)).get_content()

    @property
    def html(self) -> str:
        return self.message.get_body(("html",)).get_content()


class SmtpServer:
    """A real mail server on a port of its own. It keeps what it receives, and can be stopped and started again."""

    user, password = "ops", "swordfish-41"

    def __init__(self, security: str, certificate: Path, login: bool) -> None:
        self.received: list[Received] = []
        self.refused: dict[str, str] = {}  # recipient -> the answer that it gets
        self.answer = "250 OK"  # to a mail; None drops the line instead
        self.port = free_port()
        self._options = {}
        if security != "plain":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            kind = {"ssl": {"ssl_context": context}, "starttls": {"tls_context": context, "require_starttls": True}}
            self._options |= kind[security]
        if login:
            # It does not know that it is encrypted where all of the line is.
            self._options |= {"authenticator": self._check, "auth_require_tls": security == "starttls"}
        self._controller = None

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **self._options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def _check(self, server, session, envelope, mechanism, data) -> AuthResult:
        known = (data.login, data.password) == (self.user.encode(), self.password.encode())
        return AuthResult(success=known, handled=False)

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:
        message = BytesParser(policy=default).parsebytes(envelope.content)
        encrypted = session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None
        if self.answer is None or self.answer.startswith("250"):
            self.received.append(Received(tuple(envelope.rcpt_tos), message, encrypted, bool(session.authenticated)))
        if self.answer is None:
            server.transport.abort()
        return self.answer or "250 OK"
