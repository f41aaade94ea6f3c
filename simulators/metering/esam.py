"""Who checks the MACs and opens the ciphers of prepayment commands.

In a real meter that is an embedded security module (ESAM) whose algorithms and keys are the
utility's; here it is a plug-in.  The one that ships, `PublicTestEsam`, protects nothing and says
so by its name:

* every MAC is the four bytes ``54 45 53 54`` ("TEST");
* a cipher text is the plain text with zeros behind it, and then that MAC;
* an identity authentication succeeds when the cipher is the random number itself.
"""

from __future__ import annotations

from typing import Final, Protocol

PUBLIC_TEST_MAC: Final = b"TEST"
_RANDOM: Final = bytes.fromhex("01020304")
_NUMBER: Final = bytes.fromhex("4D45544552000001")


class Esam(Protocol):
    """The security of one type of meter.  No state: one serves all meters."""

    def authenticate(
        self, cipher: bytes, random: bytes, diversification: bytes
    ) -> tuple[bytes, bytes] | None:
        """The meter's random number (4 bytes) and its module's number (8), or None: refused."""

    def mac(self, data: bytes) -> bytes:
        """The 4 bytes that protect what the meter says, or what it is told."""

    def opened(self, cipher_and_mac: bytes) -> bytes | None:
        """The plain text of a cipher text with its MAC, or None: not authentic."""


class PublicTestEsam:
    """Accepts the documented test MAC, which everybody knows."""

    __slots__ = ()

    def authenticate(
        self, cipher: bytes, random: bytes, diversification: bytes
    ) -> tuple[bytes, bytes] | None:
        """See `Esam`."""
        return (_RANDOM, _NUMBER) if cipher == random else None

    def mac(self, data: bytes) -> bytes:
        """See `Esam`."""
        return PUBLIC_TEST_MAC

    def opened(self, cipher_and_mac: bytes) -> bytes | None:
        """See `Esam`."""
        if cipher_and_mac[-len(PUBLIC_TEST_MAC) :] != PUBLIC_TEST_MAC:
            return None
        return cipher_and_mac[: -len(PUBLIC_TEST_MAC)]


PUBLIC_TEST_ESAM: Final = PublicTestEsam()


def sealed_for_test(plain: bytes, length: int = 16) -> bytes:
    """A cipher text with MAC that `PublicTestEsam` opens: ``length`` bytes and four."""
    return plain.ljust(length, b"\0") + PUBLIC_TEST_MAC
