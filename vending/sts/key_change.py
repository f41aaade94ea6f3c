"""Key change token sets (IEC 62055-41, clauses 6.2.7 and 6.5.2).

A set moves a meter from its present decoder key to a new one; each token of it is encrypted
under the **old** key and carries a section of the new key:

=========================  ================================================================
new key                    tokens
=========================  ================================================================
64 bits                    1st (NKHO), 2nd (NKLO)
64 bits with 3KCT          1st, 2nd, and a 3rd that carries the supply group code; no
                           published figure confirms it, so it has to be asked for by name
128 bits                   1st (NKHO), 2nd (NKLO), 3rd (NKMO2, SGC low), 4th (NKMO1, SGC
                           high); the key is NKHO · NKMO2 · NKMO1 · NKLO
=========================  ================================================================

The tokens carry no TID and may be entered in any order; the meter switches when the set is
complete.  Roll-over (RO) makes it forget its used TIDs: only with a change of base date, and
never with the same key again, or every old token would open it anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vending.sts.content import (
    KeySection,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
)
from vending.sts.errors import KeyChangeError, UnconfirmedError
from vending.sts.identity import (
    KeyExpiry,
    KeyRevision,
    KeyType,
    SupplyGroupCode,
    TariffIndex,
    parse_key_expiry,
    parse_key_revision,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.keys import DecoderKey
from vending.sts.token import TokenCipher, encode

_MASK32: Final = 0xFFFFFFFF
_SGC_BITS: Final = 12
_SGC_MASK: Final = (1 << _SGC_BITS) - 1
# 3KCT with a 64-bit key: NKMO2 holds no key, so the SGC's high bits lead it, zeros follow.
_SGC_HIGH_PLACE_IN_SECTION: Final = 20


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The meter's state after a key change.

    Raises:
        InvalidValueError: a value out of its range.
        KeyChangeError: a change that no tokens can make.
    """

    new_key: DecoderKey
    key_type: KeyType
    krn: KeyRevision
    tariff_index: TariffIndex
    ken: KeyExpiry
    sgc: SupplyGroupCode | None = None
    """Needed for 128-bit keys and for 3KCT; the two-token set does not carry it."""
    rollover: bool = False
    """RO: forget the used TIDs, for a change of base date."""
    three_tokens: bool = False
    """3KCT for a 64-bit key."""

    def __post_init__(self) -> None:
        parse_key_revision(self.krn)
        parse_tariff_index(self.tariff_index)
        parse_key_expiry(self.ken)
        if self.sgc is not None:
            parse_supply_group_code(self.sgc)
        if self.key_type is KeyType.INITIALISATION:
            raise KeyChangeError("No key change leads back to an initialisation key (KT 0).")
        if self.three_tokens and self.new_key.bits != 64:
            raise KeyChangeError("3KCT is for 64-bit keys; a 128-bit key takes four tokens.")
        if self.sgc is None and (self.three_tokens or self.new_key.bits == 128):
            raise KeyChangeError("This key change carries the supply group code: give its SGC.")

    def sections(self) -> tuple[KeySection, ...]:
        """The tokens' contents, in entry order."""
        key, bits = self.new_key.number, self.new_key.bits
        sgc = int(self.sgc) if self.sgc is not None else 0
        first = Set1stSectionDecoderKey(
            ken_high=self.ken >> 4,
            krn=self.krn,
            rollover=self.rollover,
            three_tokens=self.three_tokens,
            key_type=self.key_type,
            key_section=key >> bits - 32,
        )
        second = Set2ndSectionDecoderKey(self.ken & 0xF, int(self.tariff_index), key & _MASK32)
        if bits == 128:
            return (
                first,
                second,
                Set3rdSectionDecoderKey(sgc & _SGC_MASK, key >> 64 & _MASK32),
                Set4thSectionDecoderKey(sgc >> _SGC_BITS, key >> 32 & _MASK32),
            )
        if self.three_tokens:
            section = sgc >> _SGC_BITS << _SGC_HIGH_PLACE_IN_SECTION
            return first, second, Set3rdSectionDecoderKey(sgc & _SGC_MASK, section)
        return first, second


def key_change_tokens(
    change: KeyChange,
    old_key: DecoderKey,
    old_cipher: TokenCipher,
    *,
    allow_unconfirmed_3kct: bool = False,
) -> tuple[str, ...]:
    """The set's tokens, in entry order ("enter 1st ... last").

    Args:
        change: the state to reach.
        old_key: the key in the meter now.
        old_cipher: the cipher under ``old_key``.
        allow_unconfirmed_3kct: make the three-token set although no published figure
            confirms its third token.

    Raises:
        KeyChangeError: roll-over without a change of key, or keys of different length.
        UnconfirmedError: a three-token set without ``allow_unconfirmed_3kct``.
    """
    if change.new_key.bits != old_key.bits:
        raise KeyChangeError(
            f"The meter's key has {old_key.bits} bits, the new one {change.new_key.bits}: "
            "tokens cannot change a meter's encryption algorithm."
        )
    if change.rollover and change.new_key == old_key:
        raise KeyChangeError(
            "Roll-over with the same key would make every used token valid again: "
            "change the base date or the key revision too."
        )
    if change.three_tokens and not allow_unconfirmed_3kct:
        raise UnconfirmedError(
            "The three-token set (3KCT) is confirmed by no published figure; ask for it "
            "explicitly if your meters' maker confirms it."
        )
    return tuple(encode(section, old_cipher) for section in change.sections())


def expected_sections(first: Set1stSectionDecoderKey | None, key_bits: int) -> tuple[int, ...]:
    """Which subclasses a meter waits for: known for sure once the 1st section is there."""
    if key_bits == 128:
        return 3, 4, 8, 9
    if first is not None and first.three_tokens:
        return 3, 4, 8
    return 3, 4


def assemble(sections: Mapping[int, KeySection], key_bits: int) -> KeyChange | None:
    """Put entered sections (by subclass) together, or None while one is missing.

    Raises:
        KeyChangeError: the sections make a state that no meter takes.
    """
    first, second = sections.get(3), sections.get(4)
    if not isinstance(first, Set1stSectionDecoderKey):
        return None
    if not isinstance(second, Set2ndSectionDecoderKey):
        return None
    if any(subclass not in sections for subclass in expected_sections(first, key_bits)):
        return None
    third, fourth = sections.get(8), sections.get(9)
    sgc: int | None = None
    key = first.key_section << key_bits - 32 | second.key_section
    if isinstance(third, Set3rdSectionDecoderKey):
        if isinstance(fourth, Set4thSectionDecoderKey) and key_bits == 128:
            key |= third.key_section << 64 | fourth.key_section << 32
            sgc = fourth.sgc_high << _SGC_BITS | third.sgc_low
        elif first.three_tokens:
            high = third.key_section >> _SGC_HIGH_PLACE_IN_SECTION
            sgc = high << _SGC_BITS | third.sgc_low
    if sgc is not None and sgc > 999_999:
        raise KeyChangeError("The supply group code of the set is not a 6-digit number.")
    return KeyChange(
        new_key=DecoderKey(key.to_bytes(key_bits // 8, "big")),
        key_type=first.key_type,
        krn=KeyRevision(first.krn),
        tariff_index=TariffIndex(f"{second.tariff_index:02d}"),
        ken=KeyExpiry(first.ken_high << 4 | second.ken_low),
        sgc=None if sgc is None else SupplyGroupCode(f"{sgc:06d}"),
        rollover=first.rollover,
        three_tokens=first.three_tokens,
    )
