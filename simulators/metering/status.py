"""Status words 1-8 (spec section 4.5), as numbers; low byte first on the wire."""

from __future__ import annotations

from protocols.dlt645 import StatusWord3, build_status_word_3
from protocols.dlt645.status_words import (
    MeterKind,
    PhaseStatusWord,
    StatusWord1,
    StatusWord2,
    StatusWord7,
)
from simulators.contact import Order
from simulators.metering.smart_meter import SmartMeter


def status_word(meter: SmartMeter, number: int) -> bytes:
    """Status word 1-8 as the wire has it: two bytes, four for word 8."""
    if number == 3:
        return _relay_word(meter)
    if number == 8:
        return bytes(4)
    word = {1: _word_1, 2: _word_2, 7: _word_7}.get(number)
    value = int(word(meter)) if word is not None else _phase_word(meter, number - 4)
    return value.to_bytes(2, "little")


def _word_1(meter: SmartMeter) -> StatusWord1:
    is_reversed = meter.measured().total.active_w < 0
    word = StatusWord1.DEMAND_IS_BLOCK
    return word | StatusWord1.ACTIVE_REVERSE if is_reversed else word


def _word_2(meter: SmartMeter) -> StatusWord2:
    return StatusWord2(meter.flow.reversed | meter.flow.reversed << 4)


def _phase_word(meter: SmartMeter, phase: int) -> PhaseStatusWord:
    word = PhaseStatusWord(0)
    if meter.flow.reversed >> phase & 1:
        word |= PhaseStatusWord.REVERSED
    if meter.flow.supply.overload_until is not None and phase < meter.phases:
        word |= PhaseStatusWord.OVERLOAD
    return word


def _word_7(meter: SmartMeter) -> StatusWord7:
    return StatusWord7(0) if meter.has_power else StatusWord7.POWER_DOWN


def _relay_word(meter: SmartMeter) -> bytes:
    supply = meter.flow.supply
    remote = supply.remote
    return build_status_word_3(
        StatusWord3(
            programming_permitted=meter.second < meter.programming_until,
            relay_off=not supply.is_closed,
            relay_command_off=remote.order is Order.OPEN,
            pre_trip_alarm=remote.trip_at is not None,
            meter_kind=MeterKind.MONEY_PREPAID if meter.counts_money else MeterKind.ENERGY_PREPAID,
            power_protection=remote.is_protected,
            authenticated=meter.second < meter.account.authenticated_until,
            local_account_opened=meter.account.is_open,
        )
    )
