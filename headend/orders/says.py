"""What an order says, per kind: checked against its meter, canonical, and without secrets.

==================  ==========================================================================
relay, keep-power   nothing
``token``           ``token``: where it lives; the fingerprint is added
``recharge``        ``amount_minor``, ``client_number`` (12 digits), ``first`` (opens the account)
``set_clock``       ``step_max_s``: how far the clock may be moved; above 300 it is written with
                    a password, and takes two people
``write_parameter``  ``item``; ``values`` (as readings show them) or ``raw`` (hexadecimal)
``tariff_table``    ``items``: a list of those, written in their order
``balance``         nothing
==================  ==========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from headend.orders.faults import OrderFormatError
from headend.orders.values import OrderKind
from headend.talk.device import Device
from headend.talk.lines import find_profile
from headend.talk.ordering_clock import SOFT_STEP_S
from headend.talk.ordering_relay import ACTIONS
from headend.talk.ordering_writes import item_bytes, modbus_value, parts_of
from protocols.dlt645.catalogue import in_2007
from protocols.dlt645.controls import Edition
from protocols.errors import LocalProtocolError

STEP_MAX_S: Final = 366 * 86_400
_AMOUNT_MAX: Final = 99_999_999
"""XXXXXX.XX."""
_PARTS_MAX: Final = 64
_NOTHING: Final = frozenset(
    {
        OrderKind.RELAY_TRIP,
        OrderKind.RELAY_CLOSE,
        OrderKind.RELAY_ALLOW_CLOSE,
        OrderKind.KEEP_POWER_ON,
        OrderKind.KEEP_POWER_OFF,
        OrderKind.BALANCE,
    }
)
_ONLY_2007: Final = _NOTHING - {OrderKind.BALANCE} | {OrderKind.TOKEN, OrderKind.RECHARGE}
_NOT_AS_PARAMETERS: Final = (
    (0x04000C01, 0x04000C0A, "a password has no place in an order: change it at the meter"),
    (0x04F00101, 0x04F00101, "a token is delivered by a token order"),
    (0x04000101, 0x04000102, "clocks are set by a clock order"),
    (0x0400010C, 0x0400010C, "clocks are set by a clock order"),
    (0x04000401, 0x04000401, "a meter with another address would be lost to its order"),
)
_TARIFF_FROM: Final = 0x04010000
_TARIFF_UNTIL: Final = 0x0406FFFF
"""Zone and slot tables, holidays, prices, steps."""
_TARIFF_OF_1997: Final = range(0xC310, 0xC400)
"""Numbers of zones and slots, year zones, day tables; some have no counterpart in 2007."""
_NUMBER_OF_1997: Final = 0xC032
"""1997 keeps the address here."""
_NOT_AS_ITEMS: Final = {
    "relay_protected": "protection is ordered by keep-power on and off",
    "time_utc": "clocks are set by a clock order",
}


def canonical(says: Mapping[str, Any]) -> str:
    """One text for one content."""
    return json.dumps(says, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def checked(kind: OrderKind, says: Mapping[str, Any], device: Device) -> dict[str, Any]:
    """What the order says, complete, if this meter can be told so.

    Raises:
        OrderFormatError: says what is wrong, or what this meter does not know.
    """
    _require_fit(kind, device)
    if kind in _NOTHING:
        _require_fields(says, frozenset())
        return {}
    return _CHECKS[kind](says, device)


def _require_fit(kind: OrderKind, device: Device) -> None:
    what = kind.value.replace("_", " ")
    if device.is_modbus:
        _require_modbus_fit(kind, device)
    elif device.edition is Edition.Y1997 and kind in _ONLY_2007:
        raise OrderFormatError(f"DL/T 645-1997 has no {what}; meter {device.number} speaks it.")
    if kind is OrderKind.TOKEN and device.kind != "keypad":
        raise OrderFormatError(f"Meter {device.number} takes no tokens: it is no keypad meter.")
    if kind is OrderKind.RECHARGE and device.kind != "money":
        raise OrderFormatError(f"Meter {device.number} holds no money: it cannot be recharged.")


def _require_modbus_fit(kind: OrderKind, device: Device) -> None:
    assert device.profile is not None, "a Modbus device has a profile"
    profile = find_profile(device.profile)
    knows = True
    if kind in ACTIONS:
        knows = profile.relay is not None and ACTIONS[kind] in profile.relay.commands
    elif kind in (OrderKind.KEEP_POWER_ON, OrderKind.KEEP_POWER_OFF):
        knows = "relay_protected" in profile.items
    elif kind is OrderKind.TOKEN:
        knows = profile.token is not None
    elif kind is OrderKind.SET_CLOCK:
        knows = "time_utc" in profile.items and profile.items["time_utc"].writable
    elif kind in (OrderKind.RECHARGE, OrderKind.TARIFF_TABLE):
        knows = False
    if not knows:
        raise OrderFormatError(
            f"Meter {device.number} ({profile.maker} {profile.model}) knows no "
            f"{kind.value.replace('_', ' ')}."
        )


def _token(says: Mapping[str, Any], _device: Device) -> dict[str, Any]:
    _require_fields(says, frozenset({"token", "fingerprint"}))
    if not isinstance(says["token"], str) or type(says["fingerprint"]) is not int:
        raise OrderFormatError("A token order has a reference and a fingerprint.")
    return dict(says)


def _recharge(says: Mapping[str, Any], _device: Device) -> dict[str, Any]:
    _require_fields(says, frozenset({"amount_minor", "client_number"}), frozenset({"first"}))
    amount, client = says["amount_minor"], says["client_number"]
    if type(amount) is not int or not 1 <= amount <= _AMOUNT_MAX:
        raise OrderFormatError(f"A recharge is of 1-{_AMOUNT_MAX} minor units.")
    if not isinstance(client, str) or len(client) != 12 or not client.isdecimal():
        raise OrderFormatError("A client number has 12 digits.")
    return {
        "amount_minor": amount,
        "client_number": client,
        "first": bool(says.get("first", False)),
    }


def _set_clock(says: Mapping[str, Any], _device: Device) -> dict[str, Any]:
    _require_fields(says, frozenset(), frozenset({"step_max_s"}))
    step = says.get("step_max_s", SOFT_STEP_S)
    if type(step) is not int or not 1 <= step <= STEP_MAX_S:
        raise OrderFormatError(f"A clock is moved by 1-{STEP_MAX_S} s at most.")
    return {"step_max_s": step}


def _parameter(says: Mapping[str, Any], device: Device) -> dict[str, Any]:
    part = _part(says, device)
    if not device.is_modbus and _is_tariff(part["item"]):
        raise OrderFormatError(
            f"{part['item']} belongs to a tariff: write it with an order of kind tariff_table."
        )
    return part


def _tariff(says: Mapping[str, Any], device: Device) -> dict[str, Any]:
    _require_fields(says, frozenset({"items"}))
    items = says["items"]
    if not isinstance(items, list) or not 1 <= len(items) <= _PARTS_MAX:
        raise OrderFormatError(f"A tariff table is a list of 1-{_PARTS_MAX} items.")
    parts = [_part(each, device) for each in items]
    for part in parts:
        if not _is_tariff(part["item"]) and not part["item"].startswith("040001"):
            raise OrderFormatError(f"{part['item']} is no part of a tariff.")
    return {"items": parts}


def _part(given: Any, device: Device) -> dict[str, Any]:
    """One item and what it is to hold."""
    if not isinstance(given, Mapping):
        raise OrderFormatError("Each item is an object with item, and values or raw.")
    wants = frozenset({"item", "raw"} if "raw" in given else {"item", "values"})
    _require_fields(given, wants)
    values = given.get("values", [])
    texts = isinstance(values, list) and all(isinstance(each, str) for each in values)
    if not isinstance(given["item"], str) or not texts:
        raise OrderFormatError("An item is named by a text, and its values are texts.")
    part = {name: given[name] for name in sorted(wants)}
    try:
        if device.is_modbus:
            _check_modbus_part(part, device)
        else:
            _check_dlt_part(part, device)
    except (LocalProtocolError, ValueError) as fault:
        raise OrderFormatError(f"{part['item']}: {fault}") from None
    return part


def _check_modbus_part(part: dict[str, Any], device: Device) -> None:
    assert device.profile is not None, "a Modbus device has a profile"
    item = find_profile(device.profile).item(part["item"])
    if item.name in _NOT_AS_ITEMS:
        raise ValueError(_NOT_AS_ITEMS[item.name])
    if not item.writable or "raw" in part:
        raise ValueError("it cannot be written by name and value")
    modbus_value(item, part["values"])


def _check_dlt_part(part: dict[str, Any], device: Device) -> None:
    di = int(part["item"], 16)
    part["item"] = f"{di:04X}" if di <= 0xFFFF else f"{di:08X}"
    meant = _meaning(di, device.edition)
    for first, last, why in _NOT_AS_PARAMETERS:
        if first <= meant <= last:
            raise ValueError(why)
    item_bytes(part, device.edition)


def _meaning(di: int, edition: Edition) -> int:
    """What an identifier is in 2007, by whose numbers the rules are written.

    Raises:
        ValueError: it cannot be ordered, since nobody can say what the rules make of it.
    """
    if edition is Edition.Y2007:
        return di
    if di == _NUMBER_OF_1997:
        raise ValueError("a meter with another address would be lost to its order")
    if di in _TARIFF_OF_1997:
        return _TARIFF_FROM
    meant = in_2007(di)
    if meant is None:
        raise ValueError("what it is in 1997 is not known well enough: write it at the meter")
    return meant


def _is_tariff(item: str) -> bool:
    di = int(item, 16)
    return _TARIFF_FROM <= di <= _TARIFF_UNTIL or di in _TARIFF_OF_1997


def _require_fields(
    given: Mapping[str, Any], wants: frozenset[str], may: frozenset[str] = frozenset()
) -> None:
    if not wants <= given.keys() <= wants | may:
        known = ", ".join(sorted(wants | may)) or "nothing"
        raise OrderFormatError(f"This kind of order says {known}; not {', '.join(sorted(given))}.")


_CHECKS: Final[dict[OrderKind, Callable[[Mapping[str, Any], Device], dict[str, Any]]]] = {
    OrderKind.TOKEN: _token,
    OrderKind.RECHARGE: _recharge,
    OrderKind.SET_CLOCK: _set_clock,
    OrderKind.WRITE_PARAMETER: _parameter,
    OrderKind.TARIFF_TABLE: _tariff,
}

__all__ = ["canonical", "checked", "parts_of"]
