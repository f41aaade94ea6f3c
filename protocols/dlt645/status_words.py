"""The words of flags that a meter answers with (spec section 4.5, "Status words" and below it).

Two bytes each, low byte first, bits numbered from 0; grade B, the later filings' bits C.
Word 3 is the one of the relay: bit 4 is the contact itself, bit 6 what was last asked of it.
After "allow close" bit 6 goes first and bit 4 when the customer presses the button (D).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final

import construct as c

from protocols.dlt645.errors import LayoutError


class StatusWord1(IntFlag):
    """04000501: supply of the meter, batteries, directions."""

    EXTERNAL_CONTROL_IS_PULSE = 1 << 0
    DEMAND_IS_BLOCK = 1 << 1
    CLOCK_BATTERY_LOW = 1 << 2
    READING_BATTERY_LOW = 1 << 3
    ACTIVE_REVERSE = 1 << 4
    REACTIVE_REVERSE = 1 << 5


class StatusWord2(IntFlag):
    """04000502: directions of each phase, 1 = reverse."""

    ACTIVE_REVERSE_A = 1 << 0
    ACTIVE_REVERSE_B = 1 << 1
    ACTIVE_REVERSE_C = 1 << 2
    REACTIVE_REVERSE_A = 1 << 4
    REACTIVE_REVERSE_B = 1 << 5
    REACTIVE_REVERSE_C = 1 << 6


class PhaseStatusWord(IntFlag):
    """04000504, 05, 06: faults of phase A, B, C."""

    LOSS_OF_VOLTAGE = 1 << 0
    UNDER_VOLTAGE = 1 << 1
    OVER_VOLTAGE = 1 << 2
    LOSS_OF_CURRENT = 1 << 3
    OVER_CURRENT = 1 << 4
    OVERLOAD = 1 << 5
    REVERSED = 1 << 6
    PHASE_BREAK = 1 << 7
    CURRENT_BREAK = 1 << 8


class StatusWord7(IntFlag):
    """04000507: faults of all phases together."""

    VOLTAGE_REVERSE_SEQUENCE = 1 << 0
    CURRENT_REVERSE_SEQUENCE = 1 << 1
    VOLTAGE_UNBALANCE = 1 << 2
    CURRENT_UNBALANCE = 1 << 3
    AUXILIARY_SUPPLY_LOSS = 1 << 4
    POWER_DOWN = 1 << 5
    DEMAND_OVER_LIMIT = 1 << 6
    POWER_FACTOR_LOW = 1 << 7
    SEVERE_CURRENT_UNBALANCE = 1 << 8


class ActiveCombination(IntFlag):
    """04000601: what combined active energy is made of."""

    PLUS_FORWARD = 1 << 0
    MINUS_FORWARD = 1 << 1
    PLUS_REVERSE = 1 << 2
    MINUS_REVERSE = 1 << 3


class ReactiveCombination(IntFlag):
    """04000602, 03: what combined reactive energy is made of."""

    PLUS_I = 1 << 0
    MINUS_I = 1 << 1
    PLUS_II = 1 << 2
    MINUS_II = 1 << 3
    PLUS_III = 1 << 4
    MINUS_III = 1 << 5
    PLUS_IV = 1 << 6
    MINUS_IV = 1 << 7


class Weekend(IntFlag):
    """04000801: a bit is set for each working day."""

    SUNDAY = 1 << 0
    MONDAY = 1 << 1
    TUESDAY = 1 << 2
    WEDNESDAY = 1 << 3
    THURSDAY = 1 << 4
    FRIDAY = 1 << 5
    SATURDAY = 1 << 6


class LoadMode(IntFlag):
    """04000901: which classes of the load profile are recorded."""

    CLASS_1 = 1 << 0
    CLASS_2 = 1 << 1
    CLASS_3 = 1 << 2
    CLASS_4 = 1 << 3
    CLASS_5 = 1 << 4
    CLASS_6 = 1 << 5


class FreezeContent(IntFlag):
    """04000902-07: what a freeze holds."""

    FORWARD_ACTIVE = 1 << 0
    REVERSE_ACTIVE = 1 << 1
    COMBINED_REACTIVE_1 = 1 << 2
    COMBINED_REACTIVE_2 = 1 << 3
    QUADRANTS = 1 << 4
    FORWARD_DEMAND = 1 << 5
    REVERSE_DEMAND = 1 << 6
    VARIABLES = 1 << 7


class Supply(IntEnum):
    """What feeds the meter itself (word 3, bits 1-2)."""

    MAIN = 0
    AUXILIARY = 1
    BATTERY = 2
    RESERVED = 3


class MeterKind(IntEnum):
    """Who counts the money (word 3, bits 8-9)."""

    NOT_PREPAID = 0
    ENERGY_PREPAID = 1
    MONEY_PREPAID = 2
    RESERVED = 3


@dataclass(frozen=True, slots=True)
class StatusWord3:
    """04000503: relay, tables in use, kind of meter.  Field names give what a set bit says."""

    second_slot_table: bool = False
    supply: Supply = Supply.MAIN
    programming_permitted: bool = False
    relay_off: bool = False
    """The contact is open: no supply to the customer."""
    second_zone_table: bool = False
    relay_command_off: bool = False
    """The last command was to open; allow close clears it before the contact closes."""
    pre_trip_alarm: bool = False
    meter_kind: MeterKind = MeterKind.NOT_PREPAID
    second_price_set: bool = False
    second_step_set: bool = False
    power_protection: bool = False
    """Bits 12-15: later filings (C); reserved in 2007."""
    authenticated: bool = False
    local_account_opened: bool = False
    remote_account_opened: bool = False


# Bits from the highest down, as the two bytes stand when the high one is put first.
_WORD_3: Final = c.ByteSwapped(
    c.BitStruct(
        "remote_account_opened" / c.Flag,
        "local_account_opened" / c.Flag,
        "authenticated" / c.Flag,
        "power_protection" / c.Flag,
        "second_step_set" / c.Flag,
        "second_price_set" / c.Flag,
        "meter_kind" / c.BitsInteger(2),
        "pre_trip_alarm" / c.Flag,
        "relay_command_off" / c.Flag,
        "second_zone_table" / c.Flag,
        "relay_off" / c.Flag,
        "programming_permitted" / c.Flag,
        "supply" / c.BitsInteger(2),
        "second_slot_table" / c.Flag,
    )
)
WORD_BYTES: Final = 2


def parse_status_word_3(raw: bytes) -> StatusWord3:
    """The relay's word from its two bytes, low byte first.

    Raises:
        LayoutError: not two bytes, or all FF, which says that the meter has no such word.
    """
    if len(raw) != WORD_BYTES or raw == b"\xff\xff":
        raise LayoutError(f"Status word 3 is two bytes, not {raw.hex() or 'none'}.")
    bits: Any = _WORD_3.parse(raw)
    fields = {name: bits[name] for name in StatusWord3.__dataclass_fields__}
    fields["supply"] = Supply(fields["supply"])
    fields["meter_kind"] = MeterKind(fields["meter_kind"])
    return StatusWord3(**fields)


def build_status_word_3(word: StatusWord3) -> bytes:
    """Its two bytes, low byte first."""
    fields = {name: getattr(word, name) for name in StatusWord3.__dataclass_fields__}
    return bytes(_WORD_3.build(fields))


_FLAGS: Final[dict[int, type[IntFlag]]] = {
    0x04000501: StatusWord1,
    0x04000502: StatusWord2,
    0x04000504: PhaseStatusWord,
    0x04000505: PhaseStatusWord,
    0x04000506: PhaseStatusWord,
    0x04000507: StatusWord7,
    0x04000601: ActiveCombination,
    0x04000602: ReactiveCombination,
    0x04000603: ReactiveCombination,
    0x04000801: Weekend,
    0x04000901: LoadMode,
    **dict.fromkeys(range(0x04000902, 0x04000908), FreezeContent),
}
_RELAY_WORD: Final = 0x04000503
_NO_WORD: Final = 0xFFFF
"""All FF: the meter has no such word."""


def flag_names(di: int, word: int) -> list[str]:
    """What a word of flags of the 2007 catalogue says, in words; empty where nothing is known."""
    if word == _NO_WORD:
        return []
    if di == _RELAY_WORD:
        return _word_3_names(parse_status_word_3(word.to_bytes(WORD_BYTES, "little")))
    flags = _FLAGS.get(di)
    if flags is None:
        return []
    return [flag.name.lower().replace("_", " ") for flag in flags if flag & word and flag.name]


def _word_3_names(word: StatusWord3) -> list[str]:
    names = [
        f"supply {word.supply.name.lower()}",
        word.meter_kind.name.lower().replace("_", " "),
    ]
    set_bits = (name for name in StatusWord3.__dataclass_fields__ if getattr(word, name) is True)
    return names + [name.replace("_", " ") for name in set_bits]
