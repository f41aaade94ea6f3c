from dataclasses import replace
from typing import Any

import pytest

from tests.sts.vectors import DECODER_KEYS, name_of
from vending.sts import (
    BaseDate,
    EncryptionAlgorithm,
    InvalidValueError,
    KeyAttributes,
    KeyFormatError,
    KeyGeneration,
    KeyRevision,
    KeyType,
    MeterPan,
    SupplyGroupCode,
    TariffIndex,
    UnconfirmedError,
    VendingKey,
    derive_decoder_key,
)

KEY_64 = VendingKey.from_hex("abababababababab")
KEY_160 = VendingKey.from_hex("abababababababab949494949494949401234567")


def attributes_of(vector: dict[str, Any]) -> KeyAttributes:
    return KeyAttributes(
        MeterPan.parse(vector["meter_pan"]),
        SupplyGroupCode(vector["sgc"]),
        KeyRevision(vector["krn"]),
        KeyType(vector["key_type"]),
        TariffIndex(vector["tariff_index"]),
        BaseDate(vector["base_year"]),
        EncryptionAlgorithm(vector["ea"]),
    )


STA = attributes_of(DECODER_KEYS[0])
MISTY1 = replace(STA, algorithm=EncryptionAlgorithm.MISTY1)


@pytest.mark.parametrize("vector", DECODER_KEYS, ids=name_of)
def test_published_decoder_keys(vector: dict[str, Any]) -> None:
    key = derive_decoder_key(
        KeyGeneration(vector["dkga"]),
        VendingKey.from_hex(vector["vending_key"]),
        attributes_of(vector),
    )
    assert key.secret.hex() == vector["decoder_key"]


@pytest.mark.parametrize(
    ("dkga", "vending_key"), [(KeyGeneration.DKGA02, KEY_64), (KeyGeneration.DKGA04, KEY_160)]
)
@pytest.mark.parametrize(
    "change",
    [
        {"sgc": SupplyGroupCode("654321")},
        {"krn": KeyRevision(2)},
        {"tariff_index": TariffIndex("02")},
        {"key_type": KeyType.DEFAULT},
        {"key_type": KeyType.INITIALISATION},
        {"meter_pan": MeterPan.from_drn("0100000000008")},
    ],
)
def test_every_attribute_changes_the_key(
    dkga: KeyGeneration, vending_key: VendingKey, change: dict[str, Any]
) -> None:
    assert derive_decoder_key(dkga, vending_key, replace(STA, **change)) != derive_decoder_key(
        dkga, vending_key, STA
    )


@pytest.mark.parametrize(
    ("dkga", "vending_key"), [(KeyGeneration.DKGA02, KEY_64), (KeyGeneration.DKGA04, KEY_160)]
)
def test_a_common_key_is_the_same_for_all_meters(
    dkga: KeyGeneration, vending_key: VendingKey
) -> None:
    common = replace(STA, key_type=KeyType.COMMON)
    other = replace(common, meter_pan=MeterPan.from_drn("0100000000008"))
    assert derive_decoder_key(dkga, vending_key, common) == derive_decoder_key(
        dkga, vending_key, other
    )


def test_only_dkga04_knows_base_dates() -> None:
    later = replace(STA, base_date=BaseDate.Y2035)
    assert derive_decoder_key(KeyGeneration.DKGA02, KEY_64, STA) == derive_decoder_key(
        KeyGeneration.DKGA02, KEY_64, later
    )
    assert derive_decoder_key(KeyGeneration.DKGA04, KEY_160, STA) != derive_decoder_key(
        KeyGeneration.DKGA04, KEY_160, later
    )


@pytest.mark.parametrize("wrong", [{"sgc": "xx"}, {"krn": 99}, {"tariff_index": "1"}])
def test_attributes_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        replace(STA, **wrong)


@pytest.mark.parametrize("dkga", [KeyGeneration.DKGA01, KeyGeneration.DKGA03])
def test_unconfirmed_algorithms_are_refused(dkga: KeyGeneration) -> None:
    with pytest.raises(UnconfirmedError, match="no published figure"):
        derive_decoder_key(dkga, KEY_64, STA)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnconfirmedError, match="DEA"):
        derive_decoder_key(
            KeyGeneration.DKGA02, KEY_64, replace(STA, algorithm=EncryptionAlgorithm.DEA)
        )
    with pytest.raises(InvalidValueError, match="needs DKGA04"):
        derive_decoder_key(KeyGeneration.DKGA02, KEY_64, MISTY1)
    with pytest.raises(KeyFormatError, match="160 bits; this algorithm needs 64"):
        derive_decoder_key(KeyGeneration.DKGA02, KEY_160, STA)
    with pytest.raises(KeyFormatError, match="64 bits; this algorithm needs 160"):
        derive_decoder_key(KeyGeneration.DKGA04, KEY_64, STA)
