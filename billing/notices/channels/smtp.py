"""E-mail by SMTP (RFC 5321), with proof of delivery where the server offers it (RFC 3461).

What is known after a broken connection depends on where it broke: before the last byte of the
message had left, the server cannot have taken it, and it may be sent again; after it, nobody knows.
One message, one recipient: so an answer to it is an answer about one address.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Literal

from billing.notices.channels.port import Fate, Outcome, Parcel, Sender
from billing.notices.channels.secret import read_secret
from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError

_ADDRESS: Final = re.compile(r"[^\s<>()\[\],;:\\\"@\x00-\x1f]+@[^\s<>()\[\],;:\\\"@\x00-\x1f]+")
_DOT: Final = re.compile(rb"(?m)^\.")
_TOO_BIG: Final = 552
_ANSWER_MAX: Final = 160


@dataclass(frozen=True, slots=True)
class SmtpChannel:
    """An SMTP server that takes our e-mails.

    Raises:
        NoticeChannelSettingsError: a setting cannot be used.
    """

    host: str
    sender: str
    """The address in ``From``."""
    sender_name: str = ""
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    secret_file: str = ""
    """Holds the user's password; its owner alone may read it."""
    ca_file: str = ""
    """Certificates to trust instead of the system's; empty: the system's."""
    bounces_to: str = ""
    """The address to which bounces go; empty: the sender's."""
    reply_to: str = ""
    maildir: str = ""
    """The folder in which bounces and proofs arrive; see `billing.notices.bounces`."""
    timeout_s: int = 30
    """For each answer of the server."""
    send_s_max: int = 120
    """For one message, whatever the server does."""

    def __post_init__(self) -> None:
        addresses = (self.sender, self.bounces_to or self.sender, self.reply_to or self.sender)
        if not all(is_address(each) and each.isascii() for each in addresses):
            raise NoticeChannelSettingsError(
                "sender, bounces_to, reply_to: addresses like a@example.org."
            )
        if not self.host or not 1 <= self.port <= 65535:
            raise NoticeChannelSettingsError("Name the server: host, port (587, 465 or 25).")
        if self.tls not in ("starttls", "tls", "none"):
            raise NoticeChannelSettingsError("tls is one of starttls, tls, none.")
        if self.user and self.tls == "none":
            raise NoticeChannelSettingsError(
                "A password does not travel in the clear: use starttls."
            )
        if bool(self.user) != bool(self.secret_file):
            raise NoticeChannelSettingsError("user and secret_file go together.")
        if not (0 < self.timeout_s <= 600 and self.timeout_s <= self.send_s_max <= 3600):
            raise NoticeChannelSettingsError("timeout_s is 1 to 600, and no more than send_s_max.")
        if not self.sender_name.isprintable():
            raise NoticeChannelSettingsError("sender_name is one line.")

    @property
    def domain(self) -> str:
        """In Message-IDs."""
        return self.sender.rpartition("@")[2]

    @contextmanager
    def open(self) -> Iterator[Sender]:
        """A session with the server."""
        session = _Session(self)
        try:
            session.connect()
            yield session
        finally:
            session.close()

    def check(self) -> str:
        """Sign in, and say what the server offers."""
        session = _Session(self)
        try:
            session.connect()
            proof = session.is_proof_offered
        finally:
            session.close()
        return (
            "The server takes our e-mails and reports their delivery."
            if proof
            else "The server takes our e-mails; it offers no proof of delivery (DSN), so that "
            "bills and formal notices are not asked after."
        )


def is_address(text: str) -> bool:
    """Whether an e-mail could be sent there at all."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


class _Session:
    """A connection that is made anew when it broke."""

    def __init__(self, channel: SmtpChannel) -> None:
        self._channel: Final = channel
        self._smtp: smtplib.SMTP | None = None

    @property
    def is_proof_offered(self) -> bool:
        return self._smtp is not None and self._smtp.has_extn("dsn")

    def connect(self) -> None:
        channel = self._channel
        try:
            self._smtp = _connected(channel)
            if channel.user:
                _sign_in(self._smtp, channel)
        except smtplib.SMTPAuthenticationError as fault:
            raise NoticeChannelDownError(
                f"The mail server refused our user: {_answer(fault.smtp_code, fault.smtp_error)}"
            ) from None
        except smtplib.SMTPResponseException as fault:
            raise NoticeChannelDownError(
                f"The mail server refused us: {_answer(fault.smtp_code, fault.smtp_error)}"
            ) from None
        except (smtplib.SMTPException, OSError) as fault:
            raise NoticeChannelDownError(
                f"The mail server gave no answer: {_why(fault)}."
            ) from None

    def send(self, parcel: Parcel) -> Outcome:
        if not is_address(parcel.address):
            return Outcome(Fate.FAILED, "The address is no e-mail address.")
        if self._smtp is None:
            self.connect()
        smtp = self._smtp
        assert smtp is not None
        local, _, _ = parcel.address.rpartition("@")
        is_utf8 = not local.isascii()
        if is_utf8 and not smtp.has_extn("smtputf8"):
            return Outcome(Fate.FAILED, "The server takes no address with such letters.")
        content = _content(self._channel, parcel, is_utf8=is_utf8)
        handed = _Handed()
        with self._no_longer_than(smtp):
            try:
                return self._transact(smtp, parcel, content, handed, is_utf8=is_utf8)
            except (smtplib.SMTPException, OSError) as fault:
                self.close()
                if handed.is_whole:
                    return Outcome(
                        Fate.UNKNOWN, f"The connection broke after the message: {_why(fault)}."
                    )
                return Outcome(
                    Fate.AGAIN, f"The connection broke before the message's end: {_why(fault)}."
                )

    def close(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            with suppress(smtplib.SMTPException, OSError), self._no_longer_than(smtp, 5):
                smtp.quit()
            smtp.close()

    def _transact(
        self, smtp: smtplib.SMTP, parcel: Parcel, content: bytes, handed: _Handed, *, is_utf8: bool
    ) -> Outcome:
        channel, proof = self._channel, smtp.has_extn("dsn")
        if smtp.has_extn("size"):
            most = smtp.esmtp_features["size"]
            if most.isdigit() and 0 < int(most) < len(content):
                return Outcome(Fate.FAILED, f"It is too big: the server takes {most} bytes.")
        options = ["SMTPUTF8"] if is_utf8 else []
        options += ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else []
        options += ["RET=HDRS", f"ENVID={parcel.reference}"] if proof else []
        code, answer = smtp.mail(channel.bounces_to or channel.sender, options)
        if code == 250:
            notify = ["NOTIFY=SUCCESS,FAILURE,DELAY"] if proof else []
            code, answer = smtp.rcpt(_ascii_domain(parcel.address), notify)
            refused_by = "the recipient"
        else:
            refused_by = "the sender"
        if code not in (250, 251):
            smtp.rset()
            return _refused(code, answer, refused_by, parcel)
        code, answer = smtp.docmd("DATA")
        if code != 354:
            smtp.rset()
            return _refused(code, answer, "the message", parcel)
        smtp.send(content)
        handed.is_whole = True
        code, answer = smtp.getreply()
        if not 200 <= code <= 599:
            raise smtplib.SMTPServerDisconnected("an answer that was cut short")
        if code == 250:
            return Outcome(Fate.SENT, "The mail server took it.", is_asked_for_proof=proof)
        return _refused(code, answer, "the message", parcel)

    @contextmanager
    def _no_longer_than(self, smtp: smtplib.SMTP, most_s: int | None = None) -> Iterator[None]:
        """Cut the connection of a server that answers letter by letter."""
        timer = threading.Timer(most_s or self._channel.send_s_max, _cut, [smtp])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@dataclass(slots=True)
class _Handed:
    is_whole: bool = False


def _connected(channel: SmtpChannel) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=channel.ca_file or None)
    if channel.tls == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            channel.host, channel.port, timeout=channel.timeout_s, context=context
        )
    else:
        smtp = smtplib.SMTP(channel.host, channel.port, timeout=channel.timeout_s)
    try:
        smtp.ehlo_or_helo_if_needed()
        if channel.tls == "starttls":
            smtp.starttls(context=context)
            smtp.ehlo()
    except BaseException:
        smtp.close()
        raise
    return smtp


def _sign_in(smtp: smtplib.SMTP, channel: SmtpChannel) -> None:
    secret = read_secret(Path(channel.secret_file))
    try:
        smtp.login(channel.user, secret)
    except smtplib.SMTPServerDisconnected:
        raise NoticeChannelDownError(
            "The mail server refused our user: it closed the connection as we signed in."
        ) from None


def _cut(smtp: smtplib.SMTP) -> None:
    if smtp.sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(smtp.sock, socket.SHUT_RDWR)


def _content(channel: SmtpChannel, parcel: Parcel, *, is_utf8: bool) -> bytes:
    message = EmailMessage(policy=SMTPUTF8 if is_utf8 else SMTP)
    message["From"] = Address(channel.sender_name, addr_spec=channel.sender)
    message["To"] = _ascii_domain(parcel.address)
    if channel.reply_to:
        message["Reply-To"] = channel.reply_to
    message["Subject"] = " ".join(parcel.subject.split())
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{parcel.reference}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notes in answer
    message.set_content(parcel.text, cte="quoted-printable")
    for file in parcel.attachments:
        main, _, sub = file.media_type.partition("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    stuffed = _DOT.sub(b"..", message.as_bytes())
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    return f"{local}@{domain}"


def _refused(code: int, answer: bytes, what: str, parcel: Parcel) -> Outcome:
    words = f"The server refused {what}: {_answer(code, answer, parcel.address)}"
    if what == "the sender" and code != _TOO_BIG:
        raise NoticeChannelDownError(words)
    return Outcome(Fate.AGAIN if 400 <= code < 500 else Fate.FAILED, words)


def _answer(code: int, answer: bytes | str, address: str = "") -> str:
    """A server's answer without the address that it often quotes."""
    text = answer.decode("ascii", "replace") if isinstance(answer, bytes) else answer
    text = re.sub(r"\S+@\S+", "(address)", text)
    local = address.rpartition("@")[0]
    if len(local) > 2:
        text = text.replace(local, "(address)")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"{code} {' '.join(printable.split())[:_ANSWER_MAX]}".strip()


def _why(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "it took too long"
    if isinstance(fault, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(fault, ssl.SSLError):
        return "no secure connection could be made"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return type(fault).__name__
