"""The security-module port: where keys live and tokens are made.

The shop names a meter's key by its attributes and gets tokens back; a vending key never
passes through the port, and no key is ever in the database.  Decoder keys are derived when
needed and kept in memory only, a bounded number of them.

One provider is here: `PublicTestKeys`, for demonstrations, tests and first steps.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol

from vending.shop.faults import SupplyGroupNotAuthorisedError
from vending.sts import (
    SAMPLE_TABLES,
    Content,
    DecodedToken,
    DecoderKey,
    EncryptionAlgorithm,
    KeyAttributes,
    KeyChange,
    KeyExpiry,
    KeyRevision,
    StaTables,
    SupplyGroupCode,
    TokenCipher,
    cipher_for,
    decode,
    derive_decoder_key,
    encode,
    key_change_tokens,
)
from vending.sts.public_test_key import (
    PUBLIC_TEST_VENDING_KEY,
    TEST_KEY_GENERATION,
    TEST_SUPPLY_GROUP,
)

_DECODER_KEYS_KEPT: Final = 10_000


class SecurityModule(Protocol):
    """What the shop asks of a security module.

    Implementations may be called from several threads at once.
    """

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        """Check that a supply group's key of this revision is here.

        Raises:
            SupplyGroupNotAuthorisedError: it is not.
        """

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        """Why tokens under this key are tests only; empty when they are not."""

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        """The 20 digits of a token for the meter that holds this key.

        Raises:
            SupplyGroupNotAuthorisedError: the supply group's key is not here.
            StsError: the token cannot be made.
        """

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        """The tokens, in entry order, that move a meter from one key to another.

        Raises:
            SupplyGroupNotAuthorisedError: one of the keys is not here.
            KeyChangeError: no meter would carry out this change.
        """

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        """What a token says to the meter that holds this key.

        Raises:
            SupplyGroupNotAuthorisedError: the supply group's key is not here.
            TokenFormatError: not a token's number.
            InvalidValueError: authentic, but with a value that the standard does not allow.
        """


class PublicTestKeys:
    """Keys that everybody knows.  NEVER sell real units with them: anyone can make tokens.

    Holds key revisions 1 and 2 of supply group 123457 (DKGA04).  Every result is marked TEST.

    Args:
        tables: STA tables for EA 07; the standard's samples unless the operator's are given.
    """

    def __init__(self, tables: StaTables = SAMPLE_TABLES) -> None:
        self._tables: Final = tables
        self._vending_keys: Final = {
            (TEST_SUPPLY_GROUP, KeyRevision(revision)): PUBLIC_TEST_VENDING_KEY
            for revision in (1, 2)
        }
        self._unlocked: Final = lru_cache(maxsize=_DECODER_KEYS_KEPT)(self._unlock)

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        if (sgc, krn) not in self._vending_keys:
            raise SupplyGroupNotAuthorisedError(
                f"No vending key of supply group {sgc}, revision {krn} is loaded here; the "
                f"public test keys are of group {TEST_SUPPLY_GROUP}, revisions 1 and 2."
            )

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        marks = ["public test keys"]
        if key.algorithm is EncryptionAlgorithm.STA and self._tables.is_sample:
            marks.append("sample STA tables")
        return tuple(marks)

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        _, cipher = self._unlocked(key)
        return encode(content, cipher)

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        old_key, old_cipher = self._unlocked(old)
        new_key, _ = self._unlocked(new)
        change = KeyChange(
            new_key=new_key,
            key_type=new.key_type,
            krn=new.krn,
            tariff_index=new.tariff_index,
            ken=ken,
            sgc=new.sgc if new.algorithm.key_bits == 128 else None,
            rollover=rollover,
        )
        return key_change_tokens(change, old_key, old_cipher)

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        _, cipher = self._unlocked(key)
        return decode(digits, cipher)

    def _unlock(self, key: KeyAttributes) -> tuple[DecoderKey, TokenCipher]:
        self.require(key.sgc, key.krn)
        vending_key = self._vending_keys[key.sgc, key.krn]
        decoder_key = derive_decoder_key(TEST_KEY_GENERATION, vending_key, key)
        return decoder_key, cipher_for(key.algorithm, decoder_key, self._tables)
