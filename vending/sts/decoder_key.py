"""Decoder key generation: from a supply group's vending key to one meter's key.

IEC 62055-41, clause 6.5.3.  Notation: hexadecimal, most significant byte first.

DKGA02 (64-bit vending key, 64-bit decoder key)
    ``block = PANBlock xor ControlBlock``; ``key = DES(vending key, block) xor block xor
    vending key``.

    * PANBlock, 16 digits: the last 5 digits of the IIN and the 11 of the IAIN, or the last 3
      and the 13; for common keys (KT 3) ``0072700000000000``.
    * ControlBlock, 16 digits: KT (1) · SGC (6) · TI (2) · KRN (1) · ``FFFFFF``.

DKGA04 (160-bit vending key, 64- or 128-bit decoder key)
    The first bits of one block of the key derivation function of NIST SP 800-108 (counter
    mode left out) with HMAC-SHA-256, over ``04`` · LV("04") · LV(base year) · LV(EA) · LV(TI)
    · ``00 04`` · LV(SGC) · LV(KT) · LV(KRN) · LV(MeterPAN) · length in bits (4 bytes), where
    LV is one length byte and the ASCII text.

DKGA01 and DKGA03 are refused: no published figure confirms them.  For common keys one public
source gives the PAN used here; no published figure does.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from vending.sts.errors import InvalidValueError, UnconfirmedError
from vending.sts.identity import (
    EncryptionAlgorithm,
    KeyGeneration,
    KeyRevision,
    KeyType,
    MeterPan,
    SupplyGroupCode,
    TariffIndex,
    parse_key_revision,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.keys import DecoderKey, VendingKey
from vending.sts.tid import BaseDate

_COMMON_PAN_BLOCK: Final = "0072700000000000"
_COMMON_PAN: Final = "600727000000000000"


@dataclass(frozen=True, slots=True)
class KeyAttributes:
    """All that a decoder key depends on besides the vending key.

    Raises:
        InvalidValueError: a value out of its range.
    """

    meter_pan: MeterPan
    sgc: SupplyGroupCode
    krn: KeyRevision
    key_type: KeyType
    tariff_index: TariffIndex
    base_date: BaseDate
    algorithm: EncryptionAlgorithm

    def __post_init__(self) -> None:
        parse_supply_group_code(self.sgc)
        parse_key_revision(self.krn)
        parse_tariff_index(self.tariff_index)


def derive_decoder_key(
    dkga: KeyGeneration, vending_key: VendingKey, attributes: KeyAttributes
) -> DecoderKey:
    """Derive a meter's decoder key.

    Raises:
        KeyFormatError: the vending key has not the length that the algorithm needs.
        InvalidValueError: DKGA02 was asked for a 128-bit key.
        UnconfirmedError: DKGA01, DKGA03, or the DEA (EA 09).
    """
    if attributes.algorithm is EncryptionAlgorithm.DEA:
        raise UnconfirmedError(
            "Encryption algorithm 09 (DEA) is deprecated and not supported; use 07 or 11."
        )
    if dkga is KeyGeneration.DKGA02:
        return _dkga02(vending_key, attributes)
    if dkga is KeyGeneration.DKGA04:
        return _dkga04(vending_key, attributes)
    raise UnconfirmedError(
        f"DKGA{dkga.value:02d} is refused: no published figure confirms it. Use DKGA02 or DKGA04."
    )


def des_ecb(vending_key: VendingKey, blocks: bytes) -> bytes:
    """Single DES over 8-byte blocks, as triple DES with three equal keys."""
    cipher = Cipher(TripleDES(vending_key.secret * 3), modes.ECB())
    return cipher.encryptor().update(blocks)


def pan_block(meter_pan: MeterPan, key_type: KeyType) -> int:
    """DKGA02's PANBlock as a 64-bit number."""
    if key_type is KeyType.COMMON:
        return int(_COMMON_PAN_BLOCK, 16)
    return int((meter_pan.iin + meter_pan.iain)[-16:], 16)


def control_block(
    key_type: KeyType, sgc: SupplyGroupCode, tariff_index: TariffIndex, krn: KeyRevision
) -> int:
    """DKGA02's ControlBlock as a 64-bit number."""
    return int(f"{key_type.value}{sgc}{tariff_index}{krn}FFFFFF", 16)


def require_dkga02(vending_key: VendingKey, algorithm: EncryptionAlgorithm) -> None:
    """Refuse what DKGA02 cannot derive: it makes 64-bit keys from 64-bit keys."""
    vending_key.require_bits(64)
    if algorithm.key_bits != 64:
        raise InvalidValueError(
            "DKGA02 makes 64-bit keys only; encryption algorithm 11 needs DKGA04."
        )


def _dkga02(vending_key: VendingKey, attributes: KeyAttributes) -> DecoderKey:
    require_dkga02(vending_key, attributes.algorithm)
    block = pan_block(attributes.meter_pan, attributes.key_type) ^ control_block(
        attributes.key_type, attributes.sgc, attributes.tariff_index, attributes.krn
    )
    encrypted = int.from_bytes(des_ecb(vending_key, block.to_bytes(8, "big")), "big")
    return DecoderKey((encrypted ^ block ^ vending_key.number).to_bytes(8, "big"))


def kdf_message(attributes: KeyAttributes) -> bytes:
    """The bytes over which DKGA04 takes its HMAC; always 49."""
    common = attributes.key_type is KeyType.COMMON
    pan = _COMMON_PAN if common else str(attributes.meter_pan)
    return b"".join(
        (
            b"\x04",
            _lv("04"),
            _lv(attributes.base_date.code),
            _lv(f"{attributes.algorithm.value:02d}"),
            _lv(attributes.tariff_index),
            b"\x00\x04",
            _lv(attributes.sgc),
            _lv(str(attributes.key_type.value)),
            _lv(str(attributes.krn)),
            _lv(pan),
            attributes.algorithm.key_bits.to_bytes(4, "big"),
        )
    )


def _lv(text: str) -> bytes:
    return bytes((len(text),)) + text.encode("ascii")


def _dkga04(vending_key: VendingKey, attributes: KeyAttributes) -> DecoderKey:
    vending_key.require_bits(160)
    derived = hmac.digest(vending_key.secret, kdf_message(attributes), hashlib.sha256)
    return DecoderKey(derived[: attributes.algorithm.key_bits // 8])
