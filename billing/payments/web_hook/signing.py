"""Whether the provider has signed what was posted, and lately.

Signed is ``timestamp LF nonce LF body LF``, as the large wallets do it:

``hmac-sha256``  HMAC (RFC 2104) with a secret that both sides have, in hexadecimal digits or base64
``rsa-sha256``   RSASSA-PKCS1-v1_5 (RFC 8017, 8.2) with the provider's key, in base64; here lies
                 only the public one

The timestamp counts seconds since 1970.  Within the window the same message may come again, as
honest providers send it until they are answered: the door takes it once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stat
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from cryptography.x509 import load_pem_x509_certificate

from billing.payments.faults import ChannelKeyError, HookSignatureError, HookTimeError

WINDOW_S: Final = 300
"""How far the clock of the provider may be from ours, transport included."""
_SECRET_BYTES_MIN: Final = 16
_SALT: Final = b"meterhouse channel key"
_KEY_FILE_BYTES_MAX: Final = 65_536
_RSA_BITS_MIN: Final = 2048
_SIGNATURE_LENGTH_MAX: Final = 2_048
_NONCE_LENGTH_MAX: Final = 128


class Scheme(StrEnum):
    """How a provider signs."""

    HMAC_SHA256 = "hmac-sha256"
    RSA_SHA256 = "rsa-sha256"


@dataclass(frozen=True, slots=True)
class Signed:
    """What was posted, with the headers that matter."""

    timestamp: str
    nonce: str
    signature: str
    body: bytes

    @property
    def text(self) -> bytes:
        """What is signed."""
        return b"\n".join((self.timestamp.encode(), self.nonce.encode(), self.body, b""))


class Key(Protocol):
    """The key of a provider."""

    def signs(self, signed: Signed) -> bool:
        """Whether the signature is right."""

    @property
    def identity(self) -> bytes:
        """32 bytes, equal for equal keys; may be kept: the key is not found from them."""


class SharedSecret:
    """HMAC-SHA256.

    Args:
        secret: at least 16 bytes.

    Raises:
        ChannelKeyError: it is shorter.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _SECRET_BYTES_MIN:
            raise ChannelKeyError(
                f"A channel's secret has at least {_SECRET_BYTES_MIN} characters; this is shorter."
            )
        self._secret: Final = secret

    def signs(self, signed: Signed) -> bool:
        """Compared in constant time."""
        wanted = hmac.digest(self._secret, signed.text, "sha256")
        return hmac.compare_digest(wanted, _decoded(signed.signature))

    @property
    def identity(self) -> bytes:
        """Equal for equal secrets; dear to try, as a secret may be words of a person."""
        return hashlib.scrypt(self._secret, salt=_SALT, n=2**14, r=8, p=1, dklen=32)

    def sign(self, timestamp: str, nonce: str, body: bytes) -> str:
        """As the provider signs; for tests of a channel."""
        text = Signed(timestamp, nonce, "", body).text
        return hmac.digest(self._secret, text, "sha256").hex()

    def __repr__(self) -> str:
        return "SharedSecret(****)"


class ProviderKey:
    """RSA-SHA256 with the provider's public key.

    Raises:
        ChannelKeyError: fewer than 2048 bits.
    """

    __slots__ = ("_key",)

    def __init__(self, key: RSAPublicKey) -> None:
        if key.key_size < _RSA_BITS_MIN:
            raise ChannelKeyError(
                f"The provider's key has {key.key_size} bits; at least {_RSA_BITS_MIN} are taken."
            )
        self._key: Final = key

    def signs(self, signed: Signed) -> bool:
        """Whether the private half of the key has signed it."""
        try:
            self._key.verify(_decoded(signed.signature), signed.text, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    @property
    def identity(self) -> bytes:
        """Equal for equal keys."""
        public = self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(public).digest()

    def __repr__(self) -> str:
        return f"ProviderKey({self._key.key_size} bits)"


def load_key(scheme: Scheme, path: Path) -> Key:
    """The key from the file that the operator has named.

    Args:
        scheme: how the provider signs.
        path: of a shared secret, a line that nobody else may read; or of a public key or
            certificate (PEM).

    Raises:
        ChannelKeyError: says what is wrong, never what is in it.
    """
    content = _content(path, secret=scheme is Scheme.HMAC_SHA256)
    if scheme is Scheme.HMAC_SHA256:
        return SharedSecret(content.strip())
    key: object
    try:
        if b"BEGIN CERTIFICATE" in content:
            key = load_pem_x509_certificate(content).public_key()
        else:
            key = load_pem_public_key(content)
    except ValueError:
        raise ChannelKeyError(f"{path} holds no public key in PEM.") from None
    if not isinstance(key, RSAPublicKey):
        raise ChannelKeyError(f"The key in {path} is no RSA key.")
    return ProviderKey(key)


def require_signed(key: Key, signed: Signed, now: datetime, *, window_s: int = WINDOW_S) -> None:
    """Refuse what the provider has not signed, or has signed long ago.

    Raises:
        HookSignatureError: it is not the provider's; says no more than a stranger may know.
        HookTimeError: it is, of another time.
    """
    fits = len(signed.signature) <= _SIGNATURE_LENGTH_MAX and len(signed.nonce) <= _NONCE_LENGTH_MAX
    at = signed.timestamp
    if not fits or not (at.isascii() and at.isdigit() and len(at) <= 12):
        raise HookSignatureError("The message is not signed as agreed.")
    if not key.signs(signed):
        raise HookSignatureError("The signature is wrong.")
    if abs(now.timestamp() - int(at)) > window_s:
        raise HookTimeError(
            f"The message was signed more than {window_s} seconds from now: look at both clocks."
        )


def _content(path: Path, *, secret: bool) -> bytes:
    try:
        if secret and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ChannelKeyError(f"Others can read the secret in {path}: chmod 600 it.")
        with path.open("rb") as file:
            return file.read(_KEY_FILE_BYTES_MAX)
    except OSError as fault:
        raise ChannelKeyError(
            f"The key of the channel, {path}, cannot be read: {fault.strerror}."
        ) from None


def _decoded(signature: str) -> bytes:
    """Hexadecimal digits or base64; nothing for what is neither."""
    try:
        if len(signature) == 64:
            return bytes.fromhex(signature)
        return base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error):
        return b""
