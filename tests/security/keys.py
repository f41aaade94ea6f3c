"""Values and helpers that the tests of keys share."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.shop.databases import START
from vending import RevisionTerms, Shop
from vending.security.groups import RevisionRecord
from vending.security.wrapping import Cost
from vending.sts import (
    BaseDate,
    EncryptionAlgorithm,
    KeyAttributes,
    KeyExpiry,
    KeyGeneration,
    KeyRevision,
    KeyType,
    MeterPan,
    Service,
    SupplyGroupCode,
    TariffIndex,
    TransferCredit,
    VendingKey,
    make_drn,
    tid_at,
)

PASSPHRASE = "correct horse battery staple"
COST = Cost(passes=1, memory_kib=64, lanes=1)
"""Cheap to guess, and quick to test."""
SECRET_160 = "00112233445566778899aabbccddeeff01234567"
SECRET_64 = "1c6d2ae95b840f73"
VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "sts.json").read_text(encoding="utf-8")
)
CREDIT = TransferCredit(Service.ELECTRICITY, 5, tid_at(START, BaseDate.Y2014), 256)
_LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def softhsm_library() -> Path | None:
    """SoftHSM's PKCS#11 library, where there is one."""
    return next((Path(name) for name in _LIBRARIES if Path(name).exists()), None)


def terms(
    sgc: str = "600001",
    krn: int = 1,
    *,
    dkga: int = 4,
    base_year: int = 2014,
    ken: int = 255,
    valid_from: datetime = START,
    issued_until: datetime | None = None,
) -> RevisionTerms:
    return RevisionTerms(
        SupplyGroupCode(sgc),
        KeyRevision(krn),
        KeyGeneration(dkga),
        BaseDate(base_year),
        KeyExpiry(ken),
        valid_from,
        issued_until,
    )


def components_of(secret: str, count: int = 2) -> list[VendingKey]:
    """Components whose exclusive or is the key."""
    whole, length = int(secret, 16), len(secret) // 2
    parts = [int.from_bytes(bytes((17 * n + i) % 256 for i in range(length)), "big")
             for n in range(1, count)]  # fmt: skip
    last = whole
    for part in parts:
        last ^= part
    return [VendingKey(part.to_bytes(length, "big")) for part in (*parts, last)]


def import_key(
    shop: Shop, of: RevisionTerms, secret: str = SECRET_160, **finish: Any
) -> RevisionRecord:
    """A key in two components, by Anna and Ben."""
    begun = shop.keys.begin_ceremony(of, operator="Anna")
    for person, component in zip(("Anna", "Ben"), components_of(secret), strict=True):
        shop.keys.enter_component(begun.ceremony_id, component, operator=person)
    finish.setdefault("parity", "keep")
    return shop.keys.finish_ceremony(begun.ceremony_id, operator="Anna", **finish)


def attributes(sgc: str = "600001", krn: int = 1, **other: Any) -> KeyAttributes:
    values: dict[str, Any] = {
        "meter_pan": MeterPan.from_drn(make_drn("07", "00000001")),
        "sgc": SupplyGroupCode(sgc),
        "krn": KeyRevision(krn),
        "key_type": KeyType.UNIQUE,
        "tariff_index": TariffIndex("01"),
        "base_date": BaseDate.Y2014,
        "algorithm": EncryptionAlgorithm.MISTY1,
    }
    return KeyAttributes(**{**values, **other})


def vector_attributes(vector: dict[str, Any]) -> KeyAttributes:
    """The key of a published vector.  Those of DKGA02 name no base date: it does not matter."""
    return attributes(
        vector["sgc"],
        vector["krn"],
        meter_pan=MeterPan.parse(vector["meter_pan"]),
        key_type=KeyType(vector["key_type"]),
        tariff_index=TariffIndex(vector["tariff_index"]),
        base_date=BaseDate(vector.get("base_year") or 2014),
        algorithm=EncryptionAlgorithm(vector["ea"]),
    )


def vector_terms(vector: dict[str, Any]) -> RevisionTerms:
    return terms(
        vector["sgc"],
        vector["krn"],
        dkga=vector["dkga"],
        base_year=vector.get("base_year") or 2014,
    )
