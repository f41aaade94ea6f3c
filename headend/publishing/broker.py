"""Where a broker is, and how it is entered: an address, a password that is never shown, TLS."""

from __future__ import annotations

import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from headend.publishing.faults import BrokerEntryError

PASSWORD_VARIABLE: Final = "METERHOUSE_MQTT_PASSWORD"
PREFIX: Final = "meterhouse"
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_PREFIX_FORM: Final = re.compile(r"[^\s/+#$][^\s+#]*(?<!/)")


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker, and what is published there."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    prefix: str = PREFIX
    discovery: str | None = None
    """Prefix of the discovery topics of Home Assistant; None: none are sent."""

    @property
    def channel(self) -> str:
        """By this the database knows what was published here."""
        return f"{self.host}:{self.port}/{self.prefix}"


def broker_at(
    url: str,
    *,
    password_file: Path | None = None,
    ca_file: Path | None = None,
    prefix: str = PREFIX,
    discovery: str | None = None,
) -> Broker:
    """A broker by its URL; the password comes from a file, or from the environment.

    Args:
        url: ``mqtt://[user@]host[:port]``, or ``mqtts://`` for TLS.
        password_file: its first line; nobody but its owner may read it.
        ca_file: certificates to trust instead of the system's.
        prefix: of all topics.
        discovery: Home Assistant's prefix.

    Raises:
        BrokerEntryError: something of it cannot be used; the message says what.
    """
    parts = urlsplit(url)
    if parts.password is not None:
        raise BrokerEntryError(
            "A password on a command line is seen by other users: leave it out of the URL, put it "
            f"into a file (--mqtt-password-file) or into {PASSWORD_VARIABLE}."
        )
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or parts.path.strip("/"):
        raise BrokerEntryError("A broker is mqtt://[user@]host[:1883], or mqtts:// for TLS.")
    for text in (prefix, *([discovery] if discovery is not None else [])):
        if _PREFIX_FORM.fullmatch(text) is None:
            raise BrokerEntryError(
                f"{text!r} cannot begin a topic: leave out blanks, + and #, and a / at its ends."
            )
    if ca_file is not None and parts.scheme != "mqtts":
        raise BrokerEntryError("Certificates are for mqtts://, this URL has no TLS.")
    return Broker(
        parts.hostname,
        port or _PORTS[parts.scheme],
        None if parts.username is None else unquote(parts.username),
        _password(password_file),
        _trust(ca_file) if parts.scheme == "mqtts" else None,
        prefix,
        discovery,
    )


def _password(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(PASSWORD_VARIABLE) or None
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BrokerEntryError(
                f"Others may read the broker's password in {path}: run chmod 600 {path}."
            )
        return path.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except OSError as fault:
        raise BrokerEntryError(f"{path} cannot be read: {fault.strerror}.") from None
    except UnicodeDecodeError:
        raise BrokerEntryError(f"{path} is no text.") from None


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError):
        raise BrokerEntryError(f"{ca_file} holds no certificates (PEM) that can be read.") from None
