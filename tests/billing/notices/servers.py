"""Mail servers for tests: a real one (aiosmtpd), and one that misbehaves by script."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Inbox:
    """What a real server has taken."""

    taken: list[tuple[str, bytes]] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802 - its name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.taken.append((envelope.rcpt_tos[0], envelope.content))
        return "250 OK"


class _Users:
    def __call__(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> Any:
        return AuthResult(success=(data.login, data.password) == (b"meterhouse", b"secret words"))


@contextmanager
def real_server(folder: Path, *, secure: bool = True) -> Iterator[tuple[Inbox, dict[str, str]]]:
    """aiosmtpd with STARTTLS and a password; gives its inbox and the settings for a channel."""
    inbox = Inbox()
    options: dict[str, Any] = {}
    settings = {"host": "127.0.0.1", "sender": "bills@power.example", "tls": "none"}
    if secure:
        certificate, context = _certificate(folder)
        secret = folder / "secret"
        secret.write_text("secret words\n")
        secret.chmod(0o600)
        options = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": _Users(),
        }
        settings |= {
            "tls": "starttls",
            "user": "meterhouse",
            "secret_file": str(secret),
            "ca_file": str(certificate),
        }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield inbox, {**settings, "port": str(port)}
    finally:
        controller.stop()


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "server.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    return path, context


@dataclass
class Script:
    """How a server answers; what it was told."""

    greeting: str = "220 here"
    extensions: tuple[str, ...] = ("8BITMIME",)
    mail: str = "250 ok"
    rcpt: str = "250 ok"
    data: str = "354 go on"
    end: str = "250 taken"
    cut_within: int | None = None
    """Reset the connection after so many bytes of the message."""
    cut_at_end: bool = False
    """Take the message, and close without a word."""
    slow_s: float = 0
    """Answer the message letter by letter, with so many seconds between."""
    commands: list[str] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)


@contextmanager
def scripted_server(script: Script) -> Iterator[dict[str, str]]:
    """A server that follows a script; gives the settings for a channel."""
    listening = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def serve() -> None:
        while not closing.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    _converse(connection, script)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    try:
        yield {
            "host": "127.0.0.1",
            "port": str(port),
            "tls": "none",
            "sender": "bills@power.example",
            "timeout_s": "2",
            "send_s_max": "2",
        }
    finally:
        closing.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def _converse(connection: socket.socket, script: Script) -> None:
    connection.settimeout(5)
    lines = connection.makefile("rb")
    with lines:
        _say(connection, script.greeting)
        while line := lines.readline():
            command = line.decode().strip()
            script.commands.append(command)
            verb = command[:4].upper()
            if verb == "EHLO":
                offers = ["power.example", *script.extensions]
                for offer in offers[:-1]:
                    _say(connection, f"250-{offer}")
                _say(connection, f"250 {offers[-1]}")
            elif verb == "MAIL":
                _say(connection, script.mail)
            elif verb == "RCPT":
                _say(connection, script.rcpt)
            elif verb == "DATA":
                _say(connection, script.data)
                if script.data.startswith("354") and not _take(connection, lines, script):
                    return
            elif verb == "QUIT":
                _say(connection, "221 bye")
                return
            else:
                _say(connection, "250 ok")


def _take(connection: socket.socket, lines: Any, script: Script) -> bool:
    if script.cut_within is not None:
        lines.read(script.cut_within)
        # a reset, not an orderly end
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    content = b""
    while (line := lines.readline()) not in (b".\r\n", b""):
        content += line
    script.taken.append(content)
    if script.cut_at_end:
        return False
    if script.slow_s:
        for letter in script.end:
            connection.sendall(letter.encode())
            time.sleep(script.slow_s)
    _say(connection, script.end)
    return True


def _say(connection: socket.socket, line: str) -> None:
    connection.sendall(f"{line}\r\n".encode())
