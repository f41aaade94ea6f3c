"""Keys as values that do not leak: `VendingKey` and `DecoderKey`.

Both print as their length only.  A vending key opens every meter of its supply group, a
decoder key one meter (or, of type common, the group): the bytes are reachable by an explicit
name (`secret`), never through ``repr``, ``str`` or an error message.
"""

from __future__ import annotations

import hmac
from typing import Final, Self

from vending.sts.errors import KeyFormatError


class _Secret:
    """A key's bytes, compared in constant time and never printed."""

    __slots__ = ("_bytes",)

    lengths: tuple[int, ...] = ()
    what: str = "Key"

    def __init__(self, secret: bytes) -> None:
        if len(secret) not in self.lengths:
            wanted = " or ".join(f"{length * 8} bits" for length in self.lengths)
            raise KeyFormatError(f"{self.what} has {len(secret) * 8} bits; it needs {wanted}.")
        self._bytes: Final = bytes(secret)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read hexadecimal, most significant byte first; the text is never quoted in errors.

        Raises:
            KeyFormatError: not hexadecimal, or of the wrong length.
        """
        try:
            secret = bytes.fromhex(text)
        except (ValueError, TypeError):
            raise KeyFormatError(f"{cls.what} is not hexadecimal.") from None
        return cls(secret)

    @property
    def secret(self) -> bytes:
        """The key itself, most significant byte first.  Not for logs, errors or screens."""
        return self._bytes

    @property
    def number(self) -> int:
        """The key itself as a number.  Not for logs, errors or screens."""
        return int.from_bytes(self._bytes, "big")

    @property
    def bits(self) -> int:
        """Its length in bits."""
        return len(self._bytes) * 8

    def require_bits(self, bits: int) -> None:
        """Refuse a key that does not fit an algorithm.

        Raises:
            KeyFormatError: another length.
        """
        if self.bits != bits:
            raise KeyFormatError(f"{self.what} has {self.bits} bits; this algorithm needs {bits}.")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and hmac.compare_digest(self._bytes, other._bytes)

    def __hash__(self) -> int:
        return hash((type(self), self._bytes))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bits} bits, secret)"

    def __reduce__(self) -> str:
        raise TypeError(f"{type(self).__name__} is secret and is not pickled.")


class VendingKey(_Secret):
    """A supply group's key: 64 bits for DKGA02, 160 bits for DKGA04."""

    __slots__ = ()
    lengths = (8, 20)
    what = "Vending key"


class DecoderKey(_Secret):
    """One meter's key: 64 bits (STA) or 128 bits (MISTY1)."""

    __slots__ = ()
    lengths = (8, 16)
    what = "Decoder key"
