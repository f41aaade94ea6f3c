"""From a decoder key to tokens: what every provider does that has vending keys within reach.

The vending key stays with the provider; this module gets decoder keys from it, one at a time,
and keeps them in memory only, a bounded number of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from vending.sts import (
    SAMPLE_TABLES,
    Content,
    DecodedToken,
    DecoderKey,
    EncryptionAlgorithm,
    KeyAttributes,
    KeyChange,
    KeyExpiry,
    StaTables,
    TokenCipher,
    cipher_for,
    decode,
    encode,
    key_change_tokens,
)

DECODER_KEYS_KEPT: Final = 10_000


class TokenMaker:
    """Makes and reads tokens under derived decoder keys.

    Args:
        derive: gives a meter's decoder key; may raise, and is asked again then.
        tables: STA tables for EA 07.
        kept: how many decoder keys stay in memory.
    """

    def __init__(
        self,
        derive: Callable[[KeyAttributes], DecoderKey],
        tables: StaTables = SAMPLE_TABLES,
        kept: int = DECODER_KEYS_KEPT,
    ) -> None:
        self._derive: Final = derive
        self.tables: Final = tables
        self._unlocked: Final = lru_cache(maxsize=kept)(self._unlock)

    def token(self, content: Content, key: KeyAttributes) -> str:
        """The 20 digits of a token."""
        _, cipher = self._unlocked(key)
        return encode(content, cipher)

    def key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        """The tokens, in entry order, that move a meter from one key to another."""
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

    def read(self, digits: str, key: KeyAttributes) -> DecodedToken:
        """What a token says to the meter that holds this key."""
        _, cipher = self._unlocked(key)
        return decode(digits, cipher)

    def table_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        """The TEST mark of the sample tables, where they are used."""
        sample = key.algorithm is EncryptionAlgorithm.STA and self.tables.is_sample
        return ("sample STA tables",) if sample else ()

    @property
    def kept(self) -> int:
        """How many decoder keys are in memory."""
        return self._unlocked.cache_info().currsize

    def forget(self) -> None:
        """Let go of all decoder keys."""
        self._unlocked.cache_clear()

    def _unlock(self, key: KeyAttributes) -> tuple[DecoderKey, TokenCipher]:
        decoder_key = self._derive(key)
        return decoder_key, cipher_for(key.algorithm, decoder_key, self.tables)
