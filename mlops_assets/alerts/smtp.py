"""Mail over SMTP: verified certificates, bounded time, and one clear error for whatever goes wrong."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TypeVar

from mlops_assets.errors import DeliveryError, DeliveryRefused, DeliveryUnconfirmed
from mlops_assets.settings import Settings

# Any server takes a message of plain ASCII lines, however old it is.
_SEVEN_BIT = SMTP.clone(cte_type="7bit")
_LONGEST_REPLY = 200
T = TypeVar("T")


@dataclass(frozen=True)
class Mail:
    """A mail to one person; mails with the same `key` are the same mail, sent again."""

    to: str
    subject: str
    text: str
    html: str
    key: str


class Mailer:
    """Sends mail through the server of the settings, each mail over a connection of its own.

    Certificates are checked against the system's authorities, or those of the file in `SSL_CERT_FILE`.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.smtp_host:
            raise DeliveryError("no mail server is set: set MLOPS_SMTP_HOST")
        if settings.smtp_user and not settings.smtp_password:
            raise DeliveryError("MLOPS_SMTP_USER is set without MLOPS_SMTP_PASSWORD")
        self._settings = settings
        self._address = settings.smtp_host, settings.smtp_port
        user, password = settings.smtp_user, settings.smtp_password
        self._login = (user, password) if user and password else None
        self.server = f"{settings.smtp_host}:{settings.smtp_port}"

    def check(self) -> str:
        """Connect and log in, without sending anything; one line for people. Raises DeliveryError."""
        with self._session(self._settings.smtp_timeout) as session:
            session.ask(lambda smtp: smtp.noop())
        user = self._settings.smtp_user
        login = f"logged in as {user}" if user else "without login"
        return f"{self.server}, {self._settings.smtp_security}, {login}"

    def send(self, mail: Mail, seconds: float | None = None) -> None:
        """Send a mail, within `seconds` from connection to confirmation, by default those of the settings.

        Raises DeliveryRefused where the server does not take this very mail, DeliveryUnconfirmed where it may have
        taken it, and any other DeliveryError where it took nothing.
        """
        message = self._message(mail).as_bytes(policy=_SEVEN_BIT)
        with self._session(seconds or self._settings.smtp_timeout) as session:
            self._expect(session.ask(lambda smtp: smtp.mail(self._settings.mail_sender)), "the sender", DeliveryError)
            self._expect(session.ask(lambda smtp: smtp.rcpt(mail.to)), f"the recipient {mail.to}", DeliveryRefused)
            try:
                reply: tuple[int, bytes | str] = session.ask(lambda smtp: smtp.data(message))
            except smtplib.SMTPDataError as error:
                reply = error.smtp_code, error.smtp_error
            except OSError:
                raise DeliveryUnconfirmed(
                    f"{self.server} did not confirm the mail to {mail.to}: it may be sent"
                ) from None
            self._expect(reply, f"the mail to {mail.to}", DeliveryRefused)

    def _message(self, mail: Mail) -> EmailMessage:
        sender = self._settings.mail_sender
        digest = hashlib.sha256(f"{mail.key}\n{mail.to}".encode()).hexdigest()[:40]
        message = EmailMessage(policy=_SEVEN_BIT)
        message["From"], message["To"], message["Subject"] = sender, mail.to, mail.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{digest}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # so that no absence note answers
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        return message

    @contextmanager
    def _session(self, seconds: float) -> Iterator[_Session]:
        """A connection that is encrypted and logged in as the settings ask; it ends within `seconds`."""
        settings = self._settings
        session: _Session | None = None
        try:
            session = _Session.open(self._address, settings.smtp_security == "ssl", time.monotonic() + seconds)
            session.ask(lambda smtp: smtp.ehlo_or_helo_if_needed())
            if settings.smtp_security == "starttls":
                if not session.offers("starttls"):
                    advice = "set MLOPS_SMTP_SECURITY to ssl or plain, or another MLOPS_SMTP_PORT"
                    raise DeliveryError(f"{self.server} does not offer STARTTLS: {advice}")
                session.ask(lambda smtp: smtp.starttls(context=ssl.create_default_context()))
                session.ask(lambda smtp: smtp.ehlo())
            if self._login:
                user, password = self._login
                if not session.offers("auth"):
                    raise DeliveryError(
                        f"{self.server} takes no login: unset MLOPS_SMTP_USER, or correct MLOPS_SMTP_PORT"
                    )
                session.ask(lambda smtp: smtp.login(user, password.get_secret_value()))
            yield session
        except (OSError, UnicodeError) as error:  # those of smtplib, of ssl, and of host names that are none
            raise DeliveryError(f"{self.server} {self._what(error, seconds)}") from None
        finally:
            if session is not None:
                session.close()

    def _what(self, error: Exception, seconds: float) -> str:
        """What a failure of the connection means, and what to do about it."""
        if isinstance(error, ssl.SSLCertVerificationError):
            advice = "correct MLOPS_SMTP_HOST, or name its authority's file in SSL_CERT_FILE"
            return f"has a certificate that is not trusted ({error.verify_message.rstrip('.')}): {advice}"
        if isinstance(error, ssl.SSLError):
            return "does not speak TLS at this port: correct MLOPS_SMTP_SECURITY or MLOPS_SMTP_PORT"
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return f"did not answer within {seconds:g} s"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            user = self._settings.smtp_user
            return f"refuses the login of {user} ({error.smtp_code}): check MLOPS_SMTP_USER and MLOPS_SMTP_PASSWORD"
        if isinstance(error, smtplib.SMTPResponseException):
            return f"refuses to talk: {self._reply(error.smtp_code, error.smtp_error)}"
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return "closed the connection: check MLOPS_SMTP_SECURITY and MLOPS_SMTP_PORT"
        if isinstance(error, smtplib.SMTPException):
            return f"cannot be used: {error}"
        reason = getattr(error, "strerror", None) or error
        return f"cannot be reached ({reason}): check MLOPS_SMTP_HOST and MLOPS_SMTP_PORT"

    def _expect(self, reply: tuple[int, bytes | str], what: str, kind: type[DeliveryError]) -> None:
        if reply[0] // 100 != 2:
            raise kind(f"{self.server} refuses {what}: {self._reply(*reply)}")

    def _reply(self, code: int, said: bytes | str) -> str:
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        return f"{code} {' '.join(text.split())[:_LONGEST_REPLY]}"


class _Session:
    """An SMTP connection whose every step has the time that is left until `ends`, by time.monotonic()."""

    def __init__(self, smtp: smtplib.SMTP, ends: float) -> None:
        self._smtp, self._ends = smtp, ends

    @classmethod
    def open(cls, address: tuple[str, int], encrypted: bool, ends: float) -> _Session:
        if encrypted:
            # Without a context of ours any certificate would do.
            context = ssl.create_default_context()
            return cls(smtplib.SMTP_SSL(*address, timeout=_left(ends), context=context), ends)
        return cls(smtplib.SMTP(*address, timeout=_left(ends)), ends)

    def ask(self, command: Callable[[smtplib.SMTP], T]) -> T:
        """What `command(smtp)` gives; TimeoutError where its time is up."""
        if self._smtp.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        self._smtp.sock.settimeout(_left(self._ends))
        return command(self._smtp)

    def offers(self, extension: str) -> bool:
        return self._smtp.has_extn(extension)

    def close(self) -> None:
        if self._smtp.sock:
            with suppress(OSError):  # the mail is with the server by now, or there is a better error to tell
                self.ask(lambda smtp: smtp.quit())
            self._smtp.close()


def _left(ends: float) -> float:
    """Seconds until a time by time.monotonic(); raises TimeoutError where it is over."""
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
