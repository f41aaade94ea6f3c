"""Keys under keys: AES-256-GCM, and wrapping keys from a passphrase or from a secret file.

=================  ========================================================================
a wrapped secret   one byte 1 (the form), 12 random bytes (the nonce), ciphertext and tag.  What
                   the secret is for is authenticated with it, so that a blob that is put in
                   another's place does not open
passphrase         Argon2id (RFC 9106) with a random salt of 16 bytes; its cost is stored beside
secret file        HKDF-SHA-256 with a random salt; the file has 32 bytes or more
=================  ========================================================================
"""

from __future__ import annotations

import os
import secrets
import stat
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vending.security.faults import (
    PassphraseTooShortError,
    SecretFileError,
    VaultDamagedError,
    VaultLockedError,
)

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
PASSPHRASE_LENGTH_MIN: Final = 12
_FORM: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SECRET_BYTES_MIN: Final = 32
_SECRET_BYTES_MAX: Final = 65_536
_MEMORY_KIB_MAX: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess of a passphrase costs (Argon2id)."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


DEFAULT_COST: Final = Cost()
"""RFC 9106's second recommendation: 64 MiB, three passes, four lanes."""


class Method(StrEnum):
    """Where a master key comes from."""

    PASSPHRASE = "passphrase"
    SECRET_FILE = "secret_file"


class WrappingKey:
    """A key that wraps others.  It does not print."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        self._cipher: Final = AESGCM(secret)

    def wrap(self, secret: bytes, purpose: bytes) -> bytes:
        """Wrap a secret for one purpose."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, secret, _FORM + purpose)

    def unwrap(self, blob: bytes, purpose: bytes) -> bytes:
        """What was wrapped for this purpose.

        Raises:
            VaultDamagedError: another key, another purpose, or altered.
        """
        if len(blob) < 1 + _NONCE_BYTES + _TAG_BYTES or blob[:1] != _FORM:
            raise VaultDamagedError("A wrapped key is damaged: restore the database.")
        nonce, sealed = blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, sealed, _FORM + purpose)
        except InvalidTag:
            raise VaultDamagedError(
                "A wrapped key does not open: it was altered or put in another's place. "
                "Restore the database, and find out who touched it."
            ) from None

    def __repr__(self) -> str:
        return "WrappingKey(secret)"

    def __reduce__(self) -> str:
        raise TypeError("A wrapping key is secret and is not pickled.")


class MasterSecret:
    """What somebody knows or keeps that opens a vault.  It does not print.

    Make one with `passphrase`, `passphrase_file` or `secret_file`.
    """

    __slots__ = ("_secret", "method")

    def __init__(self, method: Method, secret: bytes) -> None:
        self.method: Final = method
        self._secret: Final = secret

    @classmethod
    def passphrase(cls, text: str) -> MasterSecret:
        """A passphrase that a person typed."""
        return cls(Method.PASSPHRASE, unicodedata.normalize("NFC", text).encode())

    @classmethod
    def passphrase_file(cls, path: Path) -> MasterSecret:
        """The first line of a file that only its owner may read.

        Raises:
            SecretFileError: missing, open to others, or no text.
        """
        try:
            lines = read_secret_file(path).decode().splitlines()
        except UnicodeDecodeError:
            raise SecretFileError(f"The passphrase in {path} is not text (UTF-8).") from None
        if not lines or not lines[0]:
            raise SecretFileError(f"The file {path} is empty: its first line is the passphrase.")
        return cls.passphrase(lines[0])

    @classmethod
    def secret_file(cls, path: Path) -> MasterSecret:
        """All bytes of a file that only its owner may read.

        Raises:
            SecretFileError: missing, open to others, or shorter than 32 bytes.
        """
        secret = read_secret_file(path)
        if len(secret) < _SECRET_BYTES_MIN:
            raise SecretFileError(
                f"The secret in {path} has {len(secret)} bytes; it needs {_SECRET_BYTES_MIN} "
                "random ones, for instance from `head -c 32 /dev/urandom`."
            )
        return cls(Method.SECRET_FILE, secret)

    def require_strong(self) -> None:
        """Refuse a new passphrase that can be guessed.

        Raises:
            PassphraseTooShortError: fewer than 12 characters.
        """
        if self.method is Method.PASSPHRASE and len(self._secret.decode()) < PASSPHRASE_LENGTH_MIN:
            raise PassphraseTooShortError(
                f"The passphrase needs {PASSPHRASE_LENGTH_MIN} characters or more; five random "
                "words are good."
            )

    def wrapping_key(self, salt: bytes, cost: Cost) -> WrappingKey:
        """The master key that this secret makes with a salt; slow for a passphrase.

        Raises:
            VaultLockedError: the stored cost is beyond what any vault of ours has.
        """
        if self.method is Method.SECRET_FILE:
            kdf = HKDF(SHA256(), KEY_BYTES, salt, b"meterhouse master key")
            return WrappingKey(kdf.derive(self._secret))
        if cost.memory_kib > _MEMORY_KIB_MAX:
            raise VaultLockedError("The vault's stored Argon2id cost is absurd: restore it.")
        argon = Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=cost.passes,
            lanes=cost.lanes,
            memory_cost=cost.memory_kib,
        )
        return WrappingKey(argon.derive(self._secret))

    def __repr__(self) -> str:
        return f"MasterSecret({self.method.value}, secret)"

    def __reduce__(self) -> str:
        raise TypeError("A master secret is not pickled.")


def read_secret_file(path: Path) -> bytes:
    """A file's bytes, if nobody but its owner can read or change it.

    Raises:
        SecretFileError: missing, no ordinary file, another user's, open to others, or huge.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise SecretFileError(f"Cannot read {path}: {fault.strerror}.") from None
    try:
        _require_private(path, os.fstat(descriptor))
        return os.read(descriptor, _SECRET_BYTES_MAX)
    finally:
        os.close(descriptor)


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretFileError(f"{path} is not an ordinary file.")
    if status.st_mode & 0o077:
        raise SecretFileError(
            f"Others on this machine may use {path} (mode {status.st_mode & 0o777:04o}): "
            f"chmod 600 {path}, and change the secret if they did."
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise SecretFileError(f"{path} belongs to another user.")
    if status.st_size > _SECRET_BYTES_MAX:
        raise SecretFileError(f"{path} is too large for a secret.")
