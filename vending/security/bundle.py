"""Key bundles: vending keys on their way from one vault to another, wrapped under a passphrase.

A bundle is one JSON document:

==========  =============================================================================
`format`    ``meterhouse key bundle``
`version`   1
`argon2id`  ``salt`` (base64, 16 bytes), ``passes``, ``memory_kib``, ``lanes``
`sealed`    base64: one byte 1, a nonce of 12 bytes, AES-256-GCM ciphertext and tag.  The
            three fields above are authenticated with it, in their shortest spelling
==========  =============================================================================

Inside, again JSON: ``groups`` (sgc, name, kind, policy) and ``keys`` (sgc, krn, dkga,
base_year, ken, valid_from, issued_until, kcv, and key in hexadecimal).
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from vending.security.faults import KeyBundleError, VaultDamagedError, VaultLockedError
from vending.security.groups import GroupKind, KeyPolicy, RevisionTerms
from vending.security.key_checks import key_check_value
from vending.security.wrapping import DEFAULT_COST, SALT_BYTES, Cost, MasterSecret
from vending.sts import (
    KeyGeneration,
    StsError,
    SupplyGroupCode,
    VendingKey,
    parse_base_date,
    parse_key_expiry,
    parse_key_revision,
    parse_supply_group_code,
)

_FORMAT: Final = "meterhouse key bundle"
_VERSION: Final = 1
_SIZE_MAX: Final = 1 << 20
_MEMORY_KIB_MAX: Final = 1 << 20
_PASSES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class CarriedGroup:
    """A supply group in a bundle."""

    sgc: SupplyGroupCode
    name: str
    kind: GroupKind
    policy: KeyPolicy


@dataclass(frozen=True, slots=True)
class CarriedKey:
    """A vending key in a bundle."""

    terms: RevisionTerms
    key: VendingKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is in a bundle."""

    groups: tuple[CarriedGroup, ...]
    keys: tuple[CarriedKey, ...]


def seal(bundle: Bundle, transport: MasterSecret, cost: Cost = DEFAULT_COST) -> bytes:
    """The bundle's document.

    Raises:
        PassphraseTooShortError: the transport passphrase can be guessed.
    """
    transport.require_strong()
    salt = secrets.token_bytes(SALT_BYTES)
    head = _head(salt, cost)
    inside = {
        "groups": [_group_to_json(group) for group in bundle.groups],
        "keys": [_key_to_json(carried) for carried in bundle.keys],
    }
    sealed = transport.wrapping_key(salt, cost).wrap(_spelled(inside), _spelled(head))
    return _spelled({**head, "sealed": _base64(sealed)}) + b"\n"


def unseal(document: bytes, transport: MasterSecret) -> Bundle:
    """What a bundle's document holds.

    Raises:
        KeyBundleError: no bundle, altered, or another passphrase.
    """
    if len(document) > _SIZE_MAX:
        raise KeyBundleError("This file is too large for a key bundle.")
    try:
        outer = json.loads(document)
        salt, cost = _argon2id(outer)
        sealed = base64.b64decode(outer["sealed"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KeyBundleError("This file is not a key bundle of this program.") from None
    try:
        inside = transport.wrapping_key(salt, cost).unwrap(sealed, _spelled(_head(salt, cost)))
    except (VaultDamagedError, VaultLockedError):
        raise KeyBundleError(
            "The key bundle does not open: another passphrase, or the file was altered."
        ) from None
    try:
        return _inside(json.loads(inside))
    except (ValueError, KeyError, TypeError, RecursionError, StsError):
        raise KeyBundleError("The key bundle holds what this program does not know.") from None


def _argon2id(outer: Any) -> tuple[bytes, Cost]:
    if outer["format"] != _FORMAT or outer["version"] != _VERSION:
        raise ValueError
    numbers = [outer["argon2id"][name] for name in ("passes", "memory_kib", "lanes")]
    if any(type(number) is not int or number < 1 for number in numbers):
        raise ValueError
    cost = Cost(*numbers)
    # a stranger's file must not fill this machine's memory
    if cost.memory_kib > _MEMORY_KIB_MAX or cost.passes > _PASSES_MAX or cost.lanes > _PASSES_MAX:
        raise ValueError
    if cost.memory_kib < 8 * cost.lanes:
        raise ValueError
    salt = base64.b64decode(outer["argon2id"]["salt"], validate=True)
    if len(salt) != SALT_BYTES:
        raise ValueError
    return salt, cost


def _head(salt: bytes, cost: Cost) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "argon2id": {
            "salt": _base64(salt),
            "passes": cost.passes,
            "memory_kib": cost.memory_kib,
            "lanes": cost.lanes,
        },
    }


def _group_to_json(group: CarriedGroup) -> dict[str, Any]:
    return {
        "sgc": group.sgc,
        "name": group.name,
        "kind": group.kind.value,
        "policy": group.policy.value,
    }


def _key_to_json(carried: CarriedKey) -> dict[str, Any]:
    terms = carried.terms
    until = terms.issued_until
    return {
        "sgc": terms.sgc,
        "krn": terms.krn,
        "dkga": int(terms.dkga),
        "base_year": int(terms.base_date),
        "ken": terms.ken,
        "valid_from": terms.valid_from.isoformat(),
        "issued_until": None if until is None else until.isoformat(),
        "kcv": key_check_value(carried.key),
        "key": carried.key.secret.hex(),
    }


def _inside(document: Any) -> Bundle:
    return Bundle(
        tuple(
            CarriedGroup(
                parse_supply_group_code(group["sgc"]),
                str(group["name"]),
                GroupKind(group["kind"]),
                KeyPolicy(group["policy"]),
            )
            for group in document["groups"]
        ),
        tuple(_carried(each) for each in document["keys"]),
    )


def _carried(each: Any) -> CarriedKey:
    until = each["issued_until"]
    key = VendingKey.from_hex(each["key"])
    if key_check_value(key) != each["kcv"]:
        raise ValueError
    terms = RevisionTerms(
        sgc=parse_supply_group_code(each["sgc"]),
        krn=parse_key_revision(each["krn"]),
        dkga=KeyGeneration(each["dkga"]),
        base_date=parse_base_date(each["base_year"]),
        ken=parse_key_expiry(each["ken"]),
        valid_from=datetime.fromisoformat(each["valid_from"]),
        issued_until=None if until is None else datetime.fromisoformat(until),
    )
    return CarriedKey(terms, key)


def _spelled(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
