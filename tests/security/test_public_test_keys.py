"""The provider with the public test keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vending import PublicTestKeys
from vending.shop.faults import SupplyGroupNotAuthorisedError
from vending.sts import (
    BaseDate,
    EncryptionAlgorithm,
    KeyAttributes,
    KeyRevision,
    KeyType,
    MeterPan,
    Service,
    StaTables,
    SupplyGroupCode,
    TariffIndex,
    TransferCredit,
    cipher_for,
    encode,
    make_drn,
    tid_at,
)
from vending.sts.keys import DecoderKey

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "sts.json").read_text(encoding="utf-8")
)
CREDIT = TransferCredit(
    Service.ELECTRICITY, 5, tid_at(datetime(2026, 11, 21, tzinfo=UTC), BaseDate.Y2014), 256
)


def attributes(**other: Any) -> KeyAttributes:
    values: dict[str, Any] = {
        "meter_pan": MeterPan.from_drn(make_drn("07", "00000001")),
        "sgc": SupplyGroupCode("123457"),
        "krn": KeyRevision(1),
        "key_type": KeyType.UNIQUE,
        "tariff_index": TariffIndex("01"),
        "base_date": BaseDate.Y2014,
        "algorithm": EncryptionAlgorithm.MISTY1,
    }
    return KeyAttributes(**{**values, **other})


def published_keys() -> list[dict[str, Any]]:
    return [
        vector
        for vector in VECTORS["decoder_keys"]
        if vector["dkga"] == 4 and vector["sgc"] == "123457" and vector["krn"] in (1, 2)
    ]


@pytest.mark.parametrize("vector", published_keys())
def test_tokens_are_made_under_the_published_decoder_keys(vector: dict[str, Any]) -> None:
    algorithm = EncryptionAlgorithm(vector["ea"])
    key = attributes(
        meter_pan=MeterPan.parse(vector["meter_pan"]),
        krn=KeyRevision(vector["krn"]),
        key_type=KeyType(vector["key_type"]),
        tariff_index=TariffIndex(vector["tariff_index"]),
        base_date=BaseDate(vector["base_year"]),
        algorithm=algorithm,
    )
    cipher = cipher_for(algorithm, DecoderKey.from_hex(vector["decoder_key"]))
    assert PublicTestKeys().make_token(CREDIT, key) == encode(CREDIT, cipher)


def test_there_are_published_keys_to_compare_with() -> None:
    assert len(published_keys()) >= 2


@pytest.mark.parametrize(("sgc", "krn"), [("123457", 3), ("123456", 1), ("000000", 1)])
def test_other_supply_groups_and_revisions_are_not_here(sgc: str, krn: int) -> None:
    keys = PublicTestKeys()
    with pytest.raises(SupplyGroupNotAuthorisedError, match="revisions 1 and 2"):
        keys.require(SupplyGroupCode(sgc), KeyRevision(krn))
    with pytest.raises(SupplyGroupNotAuthorisedError):
        keys.make_token(CREDIT, attributes(sgc=SupplyGroupCode(sgc), krn=KeyRevision(krn)))


def test_operators_tables_take_only_the_mark_of_the_sample_tables_away() -> None:
    own = StaTables((tuple(range(16)), tuple(range(16))), tuple(range(64)))
    sta = attributes(algorithm=EncryptionAlgorithm.STA)
    assert PublicTestKeys(own).test_marks(sta) == ("public test keys",)
    assert PublicTestKeys().test_marks(sta) == ("public test keys", "sample STA tables")


def test_only_so_many_decoder_keys_are_kept() -> None:
    keys = PublicTestKeys(kept=3)
    for serial in range(10):
        pan = MeterPan.from_drn(make_drn("07", f"{serial:08d}"))
        keys.make_token(CREDIT, attributes(meter_pan=pan))
    assert keys._maker.kept == 3


def test_a_provider_shows_no_key() -> None:
    keys = PublicTestKeys()
    keys.make_token(CREDIT, attributes())
    assert "abab" not in repr(keys) + repr(vars(keys)).lower()
