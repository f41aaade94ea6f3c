"""Personal fields at rest: AES-256-GCM under a key that is not in the database.

A sealed field is ``version (1 byte, 1) || key id (4) || nonce (12) || ciphertext and tag``.  What
the field is (``contact.phone``) is authenticated with it, so that one field cannot be put in the
place of another kind.  `digest` finds equal values without opening any: HMAC-SHA-256 under a key
that is derived from the same one.  While there are several keys, what is kept may have been made
under any of them: whoever looks for a digest looks for all of `digests`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from billing.privacy.faults import SealBrokenError, SealKeyError

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12


class Seal:
    """Seals with the first key, opens with any of them.

    Args:
        keys: of 32 random bytes each; the newest first, older ones until all is sealed anew.

    Raises:
        SealKeyError: no key, or one of another length.
    """

    def __init__(self, *keys: bytes) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise SealKeyError("A key for personal fields has 32 bytes; make one with openssl.")
        self._aead: Final = {_key_id(key): AESGCM(_derived(key, b"fields")) for key in keys}
        self._newest: Final = _key_id(keys[0])
        self._digest_keys: Final = [_derived(key, b"digest") for key in keys]

    def seal(self, field: str, text: str) -> bytes:
        """A text for the database.

        Args:
            field: what it is: ``customer.name``.
            text: any.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return (
            self.newest_head
            + nonce
            + self._aead[self._newest].encrypt(nonce, text.encode(), _about(field))
        )

    def open(self, field: str, sealed: bytes) -> str:
        """The text again.

        Raises:
            SealBrokenError: it was sealed under a key that is not given here, as another field,
                or changed since.
        """
        head = len(_VERSION) + _ID_BYTES
        aead = self._aead.get(sealed[len(_VERSION) : head])
        if sealed[: len(_VERSION)] != _VERSION or aead is None:
            raise SealBrokenError(f"The field {field} was sealed under a key that is not here.")
        nonce, rest = sealed[head : head + _NONCE_BYTES], sealed[head + _NONCE_BYTES :]
        try:
            return aead.decrypt(nonce, rest, _about(field)).decode()
        except InvalidTag:
            raise SealBrokenError(
                f"The field {field} was changed in the database, or belongs elsewhere."
            ) from None

    def digest(self, field: str, text: str) -> bytes:
        """32 bytes that equal texts of a field have in common, by the newest key.

        Letters' case does not count, nor how many spaces there are between words.
        """
        return self.digests(field, text)[0]

    def digests(self, field: str, text: str) -> list[bytes]:
        """The digests of a text by all keys, the newest first: look for any of them."""
        plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        message = _about(field) + b"\0" + plain.encode()
        return [hmac.digest(key, message, "sha256") for key in self._digest_keys]

    def is_newest(self, sealed: bytes) -> bool:
        """Whether a field is sealed under the newest key."""
        return sealed.startswith(self.newest_head)

    @property
    def newest_head(self) -> bytes:
        """How all fields begin that are sealed under the newest key."""
        return _VERSION + self._newest

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return len(self._aead)

    def __repr__(self) -> str:
        return f"Seal({len(self._aead)} keys)"


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"meterhouse personal " + purpose).derive(key)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"meterhouse personal key id" + key).digest()[:_ID_BYTES]


def _about(field: str) -> bytes:
    return b"meterhouse personal field " + field.encode()
