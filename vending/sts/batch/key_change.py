"""Key change sets for many meters (IEC 62055-41, clauses 6.2.7 and 6.5.2).

The meters of one call come into the same state; only their keys differ.  What the state's
tokens say besides the key is therefore taken from one `KeyChange`, and the sections of the
keys are laid over it: two tokens for 64 bits, four for 128.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vending.sts.batch.arrays import Texts, Words
from vending.sts.batch.keys import DecoderKeys
from vending.sts.batch.token import TokenCiphers, encode_bodies
from vending.sts.content import MANAGEMENT_CLASS
from vending.sts.errors import KeyChangeError
from vending.sts.identity import KeyExpiry, KeyRevision, KeyType, SupplyGroupCode, TariffIndex
from vending.sts.key_change import KeyChange
from vending.sts.keys import DecoderKey

_SECTION_BITS: Final = 32
_SECTION_MASK: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """The state of N meters after a key change.

    The three-token set (3KCT) is not made in batches: no published figure confirms it.

    Raises:
        KeyChangeError: a state that no meter takes, as for `KeyChange`.
    """

    new_keys: DecoderKeys
    """One for each meter, or one for all."""
    key_type: KeyType
    krn: KeyRevision
    tariff_index: TariffIndex
    ken: KeyExpiry
    sgc: SupplyGroupCode | None = None
    """Needed for 128-bit keys; the two-token set does not carry it."""
    rollover: bool = False
    """RO: forget the used TIDs, for a change of base date."""

    def __post_init__(self) -> None:
        self._with_key_of_zeros()

    def _with_key_of_zeros(self) -> KeyChange:
        return KeyChange(
            new_key=DecoderKey(bytes(self.new_keys.bits // 8)),
            key_type=self.key_type,
            krn=self.krn,
            tariff_index=self.tariff_index,
            ken=self.ken,
            sgc=self.sgc,
            rollover=self.rollover,
        )

    def bodies(self) -> Words:
        """Subclass · content of the tokens, in entry order: shape (2, N) or (4, N)."""
        words = self.new_keys.words
        high, low = words[:, 0], words[:, -1]
        key_sections = [high >> _SECTION_BITS, low & _SECTION_MASK]
        if self.new_keys.bits == 128:  # NKHO · NKMO2 · NKMO1 · NKLO; the 3rd carries NKMO2
            key_sections += [high & _SECTION_MASK, low >> _SECTION_BITS]
        return np.stack(
            [
                key_section | np.uint64(section.subclass << 44 | section.content())
                for section, key_section in zip(
                    self._with_key_of_zeros().sections(), key_sections, strict=True
                )
            ]
        )


def key_change_tokens(changes: KeyChanges, old_ciphers: TokenCiphers) -> Texts:
    """The sets' tokens in entry order: type ``S20``, shape (N, 2) or (N, 4).

    Args:
        changes: the state to reach.
        old_ciphers: the ciphers under the keys that are in the meters now.

    Raises:
        KeyChangeError: keys of different length; or roll-over without a change of key, which
            names the meter's index.
        KeyFormatError: there are neither as many old keys as new ones, nor one for all.
    """
    new_keys, old_keys = changes.new_keys, old_ciphers.keys
    if new_keys.bits != old_keys.bits:
        raise KeyChangeError(
            f"The meters' keys have {old_keys.bits} bits, the new ones {new_keys.bits}: "
            "tokens cannot change a meter's encryption algorithm."
        )
    count = len(old_keys) if len(new_keys) == 1 else len(new_keys)
    old_keys.require_for(count)
    if changes.rollover:
        _require_new_keys(old_keys, new_keys)
    bodies = changes.bodies()
    return encode_bodies(
        MANAGEMENT_CLASS, np.broadcast_to(bodies, (len(bodies), count)), old_ciphers
    )


def _require_new_keys(old_keys: DecoderKeys, new_keys: DecoderKeys) -> None:
    same = old_keys.same_as(new_keys)
    if same.any():
        raise KeyChangeError(
            f"Roll-over with the same key (meter at index {int(np.flatnonzero(same)[0])}) would "
            "make every used token valid again: change the base date or the key revision too."
        )
