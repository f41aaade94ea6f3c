"""The token engine: IEC 62055-41 (STS), edition 3.

Pure: bytes and values in, bytes and values out.  No clock, no I/O, no database; the caller
passes time and randomness in.  One module per concept of the standard:

===============  ======================================================================
`identity`       MeterPAN, DRN, SGC, KRN, TI, KEN, KT, EA and their check digits
`tid`            token identifiers, base dates, the 00:01 rule, key expiry
`amount`         16-bit transfer amounts and their rounding
`content`        what each token says, 44 bits
`crc`            the token's checksum
`sta`, `misty1`  the ciphers
`keys`           keys that do not print
`decoder_key`    from vending key to decoder key
`token`          20 digits and back
`key_change`     sets of two, three and four tokens
`batch`          the same for millions of meters (numpy; imported by name only)
===============  ======================================================================
"""

from vending.sts.amount import AMOUNT_MAX, CodedAmount, decode_amount, encode_amount, floor_amount
from vending.sts.content import (
    TEST_NAMES,
    ClearCredit,
    ClearTamperCondition,
    Content,
    CreditRegister,
    CurrencyCredit,
    InitiateMeterTest,
    KeySection,
    Proprietary,
    Reserved,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    TransferCredit,
)
from vending.sts.decoder_key import KeyAttributes, derive_decoder_key
from vending.sts.errors import (
    CheckDigitError,
    CipherTablesError,
    InvalidValueError,
    KeyChangeError,
    KeyExpiredError,
    KeyFormatError,
    NotIssuableError,
    StsError,
    TidRangeError,
    TokenFormatError,
    UnconfirmedError,
)
from vending.sts.identity import (
    EncryptionAlgorithm,
    KeyExpiry,
    KeyGeneration,
    KeyRevision,
    KeyType,
    MeterPan,
    SupplyGroupCode,
    TariffIndex,
    make_drn,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.key_change import KeyChange, assemble, expected_sections, key_change_tokens
from vending.sts.keys import DecoderKey, VendingKey
from vending.sts.misty1 import Misty1
from vending.sts.sta import SAMPLE_TABLES, Sta, StaTables
from vending.sts.tid import (
    TID_MAX,
    BaseDate,
    Tid,
    following,
    is_reserved,
    next_tid,
    parse_base_date,
    require_not_expired,
    tid_at,
    time_of,
)
from vending.sts.token import DecodedToken, TokenCipher, decode, encode, grouped

__all__ = [
    "AMOUNT_MAX",
    "SAMPLE_TABLES",
    "TEST_NAMES",
    "TID_MAX",
    "BaseDate",
    "CheckDigitError",
    "CipherTablesError",
    "ClearCredit",
    "ClearTamperCondition",
    "CodedAmount",
    "Content",
    "CreditRegister",
    "CurrencyCredit",
    "DecodedToken",
    "DecoderKey",
    "EncryptionAlgorithm",
    "InitiateMeterTest",
    "InvalidValueError",
    "KeyAttributes",
    "KeyChange",
    "KeyChangeError",
    "KeyExpiredError",
    "KeyExpiry",
    "KeyFormatError",
    "KeyGeneration",
    "KeyRevision",
    "KeySection",
    "KeyType",
    "MeterPan",
    "Misty1",
    "NotIssuableError",
    "Proprietary",
    "Reserved",
    "Service",
    "Set1stSectionDecoderKey",
    "Set2ndSectionDecoderKey",
    "Set3rdSectionDecoderKey",
    "Set4thSectionDecoderKey",
    "SetMaximumPhasePowerUnbalanceLimit",
    "SetMaximumPowerLimit",
    "SetTariffRate",
    "SetWaterMeterFactor",
    "Sta",
    "StaTables",
    "StsError",
    "SupplyGroupCode",
    "TariffIndex",
    "Tid",
    "TidRangeError",
    "TokenCipher",
    "TokenFormatError",
    "TransferCredit",
    "UnconfirmedError",
    "VendingKey",
    "assemble",
    "cipher_for",
    "decode",
    "decode_amount",
    "derive_decoder_key",
    "encode",
    "encode_amount",
    "expected_sections",
    "floor_amount",
    "following",
    "grouped",
    "is_reserved",
    "key_change_tokens",
    "make_drn",
    "next_tid",
    "parse_base_date",
    "parse_key_expiry",
    "parse_key_revision",
    "parse_key_type",
    "parse_supply_group_code",
    "parse_tariff_index",
    "require_not_expired",
    "tid_at",
    "time_of",
]


def cipher_for(
    algorithm: EncryptionAlgorithm, decoder_key: DecoderKey, tables: StaTables = SAMPLE_TABLES
) -> TokenCipher:
    """The cipher of a meter.

    Args:
        algorithm: 07 (STA) or 11 (MISTY1).
        decoder_key: 64 or 128 bits accordingly.
        tables: for STA only; the standard's samples unless the operator's are given.

    Raises:
        UnconfirmedError: 09 (DEA), which the standard deprecates.
        KeyFormatError: the key's length does not fit the algorithm.
    """
    if algorithm is EncryptionAlgorithm.STA:
        return Sta(decoder_key, tables)
    if algorithm is EncryptionAlgorithm.MISTY1:
        return Misty1(decoder_key)
    raise UnconfirmedError(
        "Encryption algorithm 09 (DEA) is deprecated and not supported; use 07 or 11."
    )
