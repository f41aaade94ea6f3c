"""Decoder keys of many meters from one vending key (IEC 62055-41, clause 6.5.3).

The rules are those of `vending.sts.decoder_key`.  Within a group only the meter number differs
from key to key, and everything else is prepared once:

DKGA02
    One DES call over the blocks of a whole chunk.
DKGA04
    HMAC-SHA-256 hashes ``key xor ipad · message``, then ``key xor opad · first digest``.  The
    states after both pads, and after the 27 bytes before the MeterPAN, are kept and copied, so
    each meter costs two compressions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from vending.sts.batch.arrays import Words, slices
from vending.sts.batch.digits import bcd_16
from vending.sts.batch.keys import DecoderKeys
from vending.sts.batch.meters import MeterPans
from vending.sts.decoder_key import (
    KeyAttributes,
    control_block,
    derive_decoder_key,
    des_ecb,
    kdf_message,
)
from vending.sts.identity import (
    EncryptionAlgorithm,
    KeyGeneration,
    KeyRevision,
    KeyType,
    MeterPan,
    SupplyGroupCode,
    TariffIndex,
)
from vending.sts.keys import VendingKey
from vending.sts.tid import BaseDate

_ANY_METER: Final = MeterPan("600727", "00000000000")
_SHA256_BLOCK_BYTES: Final = 64
_PAN_IN_KDF_MESSAGE: Final = slice(27, 45)


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """What the decoder keys of a group of meters have in common besides the vending key."""

    sgc: SupplyGroupCode
    krn: KeyRevision
    key_type: KeyType
    tariff_index: TariffIndex
    base_date: BaseDate
    algorithm: EncryptionAlgorithm

    def attributes(self, meter_pan: MeterPan) -> KeyAttributes:
        """The same for one meter."""
        return KeyAttributes(
            meter_pan=meter_pan,
            sgc=self.sgc,
            krn=self.krn,
            key_type=self.key_type,
            tariff_index=self.tariff_index,
            base_date=self.base_date,
            algorithm=self.algorithm,
        )


def derive_decoder_keys(
    dkga: KeyGeneration, vending_key: VendingKey, group: KeyGroup, pans: MeterPans
) -> DecoderKeys:
    """Derive the decoder keys of N meters, in their order.

    Raises:
        KeyFormatError, InvalidValueError, UnconfirmedError: as `derive_decoder_key`.
    """
    # One key by the rules for one: refuses all that they refuse, and is the common key.
    key = derive_decoder_key(dkga, vending_key, group.attributes(_ANY_METER))
    width = key.bits // 64
    if group.key_type is KeyType.COMMON:
        common = DecoderKeys.of([key]).words
        return DecoderKeys(np.broadcast_to(common, (len(pans), width)).copy())
    words = np.empty((len(pans), width), np.uint64)
    derive = _dkga02 if dkga is KeyGeneration.DKGA02 else _dkga04
    for part in slices(len(pans)):
        words[part] = derive(vending_key, group, pans[part])
    return DecoderKeys(words)


def _dkga02(vending_key: VendingKey, group: KeyGroup, pans: MeterPans) -> Words:
    # PANBlock: whichever the form, the 16 digits before the MeterPAN's check digit.
    blocks = bcd_16(pans.numbers // 10)
    blocks ^= control_block(group.key_type, group.sgc, group.tariff_index, group.krn)
    encrypted = des_ecb(vending_key, blocks.astype(">u8").tobytes())
    keys = np.frombuffer(encrypted, ">u8").astype(np.uint64)
    return (keys ^ blocks ^ np.uint64(vending_key.number))[:, np.newaxis]


def _dkga04(vending_key: VendingKey, group: KeyGroup, pans: MeterPans) -> Words:
    message = kdf_message(group.attributes(_ANY_METER))
    padded_key = vending_key.secret.ljust(_SHA256_BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded_key))
    inner.update(message[: _PAN_IN_KDF_MESSAGE.start])
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded_key))
    rest = message[_PAN_IN_KDF_MESSAGE.stop :]

    digests = []
    # numpy drops zero bytes at the end of a text; the message ends with the key's length.
    for pan_and_rest in np.strings.add(pans.texts(), rest).tolist():
        inside = inner.copy()
        inside.update(pan_and_rest)
        outside = outer.copy()
        outside.update(inside.digest())
        digests.append(outside.digest())
    derived = np.frombuffer(b"".join(digests), ">u8").reshape(len(pans), -1)
    return derived[:, : group.algorithm.key_bits // 64].astype(np.uint64)
