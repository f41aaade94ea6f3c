"""One question to a provider's web interface, and what is known when there is no answer.

No redirection is followed, nothing is asked twice, and the question ends in time whatever the other
side does.  Plain HTTP goes to this machine alone.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError

_BYTES_MAX: Final = 1_000_000
_HERE: Final = ("127.0.0.1", "::1", "localhost")


class NoAnswerError(Exception):
    """The question may have arrived; there is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered."""

    status: int
    content: bytes

    def at(self, path: str) -> str:
        """What its JSON has at ``data.0.id``; empty when there is nothing."""
        try:
            found: Any = json.loads(self.content)
            for step in path.split("."):
                found = found[int(step)] if isinstance(found, list) else found[step]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            return ""
        return "" if found is None or isinstance(found, dict | list) else str(found)


def require_url(url: str) -> None:
    """Refuse what is no address of a provider.

    Raises:
        NoticeChannelSettingsError: says what is wrong.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_here = parts.hostname in _HERE
    if not (parts.scheme == "https" or (parts.scheme == "http" and is_here)) or port == 0:
        raise NoticeChannelSettingsError("A provider is asked by https://...")
    if parts.username or parts.password:
        raise NoticeChannelSettingsError("Passwords stand in secret_file, not in an address.")


def exchange(
    url: str,
    *,
    method: str = "POST",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    ca_file: str = "",
    timeout_s: int = 20,
    most_s: int = 60,
) -> Answer:
    """Ask once.

    Raises:
        NoticeChannelDownError: no connection; nothing has left.
        NoAnswerError: it may have arrived.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file or None)
        connection: HTTPConnection = HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=context
        )
    else:
        connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    try:
        try:
            connection.connect()
        except (OSError, HTTPException) as fault:
            raise NoticeChannelDownError(
                f"The provider cannot be reached: {_why(fault)}."
            ) from None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with _no_longer_than(connection, most_s):
            try:
                connection.request(method, target, body, dict(headers or {}))
                response = connection.getresponse()
                return Answer(response.status, response.read(_BYTES_MAX))
            except (OSError, HTTPException) as fault:
                raise NoAnswerError(_why(fault)) from None
    finally:
        connection.close()


@contextmanager
def _no_longer_than(connection: HTTPConnection, most_s: int) -> Iterator[None]:
    def cut() -> None:
        if connection.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(most_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _why(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "it took too long"
    if isinstance(fault, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return type(fault).__name__
