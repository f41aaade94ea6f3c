"""The token block in the makers' range 04 F0 (docs/token-block.md), as names and values.

The Modbus face shows the same values under the same names.
"""

from __future__ import annotations

from protocols.token_block.dlt645 import TOKEN_DI, Value, keypad_items
from simulators.metering.smart_meter import SmartMeter


def read_token_item(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item of the token block, or None where it has none such.

    A money meter takes no tokens and has no token block.
    """
    item = keypad_items().get(di)
    if item is None or di == TOKEN_DI or meter.counts_money:
        return None
    values = token_values(meter)
    return item.encode({field.name: values[field.name] for field in item.fields})


def token_values(meter: SmartMeter) -> dict[str, Value]:
    """Everything that the token block tells; energies in Wh."""
    report, keypad = meter.token_report, meter.keypad
    supply, key = keypad.supply, keypad.state.key
    registers, remote = supply.registers, supply.remote
    return {
        "token_sequence": report.sequence,
        "token_status": report.status.word,
        "token_result": report.result.word,
        "token_class": report.token_class,
        "token_fingerprint": report.fingerprint,
        "token_credit_added": report.credit_added_wh,
        "token_credit_after": report.credit_after_wh,
        "token_locked_s": report.locked_for_s,
        "credit": registers.remaining_wh,
        "credit_accepted_total": registers.accepted_wh,
        "energy_import_total": registers.consumed_wh,
        "credit_cleared_total": registers.cleared_wh,
        "contact_state": "closed" if supply.is_closed else "open",
        "contact_open_reasons": tuple(reason.value for reason in supply.open_reasons),
        "relay_control": remote.order.value,
        "relay_protected": "yes" if remote.is_protected else "no",
        "power_limit": supply.power_limit_w,
        "low_credit_limit": keypad.nameplate.low_credit_wh,
        "keypad_locked_s": keypad.locked_for_s,
        "tokens_accepted": meter.tokens_accepted,
        "supply_group_code": str(key.sgc),
        "key_revision": int(key.krn),
        "key_type": key.key_type.value,
        "key_expiry": int(key.ken),
        "tariff_index": int(key.tariff_index),
        "meter_number": keypad.nameplate.meter_pan.drn,
    }
