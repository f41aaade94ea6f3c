"""The security-module port: where keys live and tokens are made.

The shop names a meter's key by its attributes and gets tokens back; a vending key never
passes through the port, and no key is in the database in clear.  Decoder keys are derived when
needed and kept in memory only, a bounded number of them.

==================================  ========================================================
`vending.security.public_test_keys`  keys that everybody knows: every result is marked TEST
`vending.security.recorded`          keys on record: in the vault, in a PKCS#11 token
`vending.security.remote`            a licensed STS module, by plug-in
==================================  ========================================================
"""

from __future__ import annotations

from typing import Protocol

from vending.security.public_test_keys import PublicTestKeys
from vending.sts import (
    Content,
    DecodedToken,
    KeyAttributes,
    KeyExpiry,
    KeyRevision,
    SupplyGroupCode,
)

__all__ = ["PublicTestKeys", "SecurityModule"]


class SecurityModule(Protocol):
    """What the shop asks of a security module.

    Implementations may be called from several threads at once.
    """

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        """Check that tokens may be made now under a supply group's key of this revision.

        Raises:
            SupplyGroupNotAuthorisedError: the key is not here.
            KeyRevisionExpiredError, KeyRevisionNotYetValidError, KeyRevisionWithdrawnError: it
                is here, and not to be used now.
        """

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        """Why tokens under this key are tests only; empty when they are not."""

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        """The 20 digits of a token for the meter that holds this key.

        Raises:
            SupplyGroupNotAuthorisedError: the supply group's key is not here.
            KeyRevisionExpiredError, KeyRevisionNotYetValidError, KeyRevisionWithdrawnError,
                KeyBaseDateError: not to be used now, or not for this meter.
            StsError: the token cannot be made.
        """

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        """The tokens, in entry order, that move a meter from one key to another.

        The old key may be past its issued-until: this is the way out.

        Raises:
            SupplyGroupNotAuthorisedError: one of the keys is not here.
            KeyRevisionExpiredError, KeyRevisionNotYetValidError, KeyRevisionWithdrawnError,
                KeyBaseDateError: the new key is not to be used now, or not for this meter.
            KeyChangeError: no meter would carry out this change.
        """

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        """What a token says to the meter that holds this key.

        Raises:
            SupplyGroupNotAuthorisedError: the supply group's key is not here.
            TokenFormatError: not a token's number.
            InvalidValueError: authentic, but with a value that the standard does not allow.
        """
