"""Tokens and decoder keys for millions of meters: the engine's rules on numpy arrays.

Nothing here adds to the standard.  Each module does for N meters what its namesake in
`vending.sts` does for one, and the tests hold the two equal.

=================  ========================================================================
`arrays`           types, whole-array checks, chunks
`digits`           decimal digits, four at a time
`meters`           `MeterPans`: checked meter numbers
`keys`             `DecoderKeys`: keys that do not print
`decoder_key`      one vending key to N decoder keys
`sta`, `misty1`    the ciphers under N keys
`token`            CRC, encryption, transposition, 20 digits
`credit`           N transfer credit tokens
`key_change`       N key change sets
`campaign`         key change sets as a stream, memory bounded
`workers`          the same on several processes
=================  ========================================================================

A wrong element is refused with an error that names its index.  Everything is computed in
chunks that fit the processor's cache; nothing but the results grows with N, and `campaign`
streams those.
"""

from vending.sts.batch.campaign import KeyChangeCampaign, KeyChangeSets, KeySource
from vending.sts.batch.credit import (
    CodedAmounts,
    TransferCredits,
    encode_amounts,
    transfer_credit_tokens,
)
from vending.sts.batch.decoder_key import KeyGroup, derive_decoder_keys
from vending.sts.batch.key_change import KeyChanges, key_change_tokens
from vending.sts.batch.keys import DecoderKeys
from vending.sts.batch.meters import MeterPans, serial_range
from vending.sts.batch.misty1 import Misty1Ciphers
from vending.sts.batch.sta import StaCiphers
from vending.sts.batch.token import TokenCiphers, ciphers_for, encode_bodies

__all__ = [
    "CodedAmounts",
    "DecoderKeys",
    "KeyChangeCampaign",
    "KeyChangeSets",
    "KeyChanges",
    "KeyGroup",
    "KeySource",
    "MeterPans",
    "Misty1Ciphers",
    "StaCiphers",
    "TokenCiphers",
    "TransferCredits",
    "ciphers_for",
    "derive_decoder_keys",
    "encode_amounts",
    "encode_bodies",
    "key_change_tokens",
    "serial_range",
    "transfer_credit_tokens",
]
