"""The provider with the public test keys, for demonstrations, tests and first steps."""

from __future__ import annotations

from typing import Final

from vending.security.token_maker import DECODER_KEYS_KEPT, TokenMaker
from vending.shop.faults import SupplyGroupNotAuthorisedError
from vending.sts import (
    SAMPLE_TABLES,
    Content,
    DecodedToken,
    DecoderKey,
    KeyAttributes,
    KeyExpiry,
    KeyRevision,
    StaTables,
    SupplyGroupCode,
    derive_decoder_key,
)
from vending.sts.public_test_key import (
    PUBLIC_TEST_VENDING_KEY,
    TEST_KEY_GENERATION,
    TEST_SUPPLY_GROUP,
)

TEST_KEYS_MARK: Final = "public test keys"


class PublicTestKeys:
    """Keys that everybody knows.  NEVER sell real units with them: anyone can make tokens.

    Holds key revisions 1 and 2 of supply group 123457 (DKGA04).  Every result is marked TEST.

    Args:
        tables: STA tables for EA 07; the standard's samples unless the operator's are given.
        kept: how many decoder keys stay in memory.
    """

    def __init__(self, tables: StaTables = SAMPLE_TABLES, kept: int = DECODER_KEYS_KEPT) -> None:
        self._vending_keys: Final = {
            (TEST_SUPPLY_GROUP, KeyRevision(revision)): PUBLIC_TEST_VENDING_KEY
            for revision in (1, 2)
        }
        self._maker: Final = TokenMaker(self._derived, tables, kept)

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        if (sgc, krn) not in self._vending_keys:
            raise SupplyGroupNotAuthorisedError(
                f"No vending key of supply group {sgc}, revision {krn} is loaded here; the "
                f"public test keys are of group {TEST_SUPPLY_GROUP}, revisions 1 and 2."
            )

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        return TEST_KEYS_MARK, *self._maker.table_marks(key)

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        return self._maker.token(content, key)

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        return self._maker.key_change(old, new, ken, rollover=rollover)

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        return self._maker.read(digits, key)

    def _derived(self, key: KeyAttributes) -> DecoderKey:
        self.require(key.sgc, key.krn)
        vending_key = self._vending_keys[key.sgc, key.krn]
        return derive_decoder_key(TEST_KEY_GENERATION, vending_key, key)
