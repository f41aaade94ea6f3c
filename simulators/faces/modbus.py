"""The Modbus side of a meter: registers as a profile lays them out, computed when asked for.

Any profile can be shown whose values this meter has (``eastron-sdm630``, for example).  With
``meterhouse-keypad`` the meter also takes tokens and orders; see docs/token-block.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from protocols.modbus import (
    IllegalDataAddressError,
    IllegalDataValueError,
    Item,
    Kind,
    Profile,
    RelayAction,
    ServerDeviceFailureError,
    Table,
    Value,
)
from protocols.token_block import TokenBlockError
from protocols.token_block.modbus import TOKEN_REGISTER, TOKEN_REGISTERS, decode_token
from simulators.contact import Order
from simulators.faces.items.token_items import token_values
from simulators.metering.electricity import Moment
from simulators.metering.registers import (
    apparent_ws,
    forward_ws,
    phase_ws,
    reactive_ws,
    reverse_ws,
)
from simulators.metering.smart_meter import SmartMeter
from simulators.metering.tariff_plan import TARIFFS
from simulators.supply import WS_PER_WH

_FIRMWARE: Final = "sim-1"
_ORDERS: Final = {
    RelayAction.OPEN: Order.OPEN,
    RelayAction.ALLOW_CLOSE: Order.CLOSE_ALLOWED,
    RelayAction.CLOSE: Order.CLOSED,
}


class ModbusFace:
    """A meter as a unit of `protocols.modbus.server`."""

    __slots__ = ("_now", "_profile", "meter")

    def __init__(self, meter: SmartMeter, profile: Profile, now: Callable[[], datetime]) -> None:
        """A unit.

        Args:
            meter: the meter.
            profile: how its registers lie; share one among like meters.
            now: the clock of whoever runs the meter.
        """
        self.meter = meter
        self._profile = profile
        self._now = now

    def read(self, table: Table, register: int, count: int) -> list[int]:
        """See `protocols.modbus.server.Unit`."""
        self._wake(self._now())
        places = _places(self._profile)
        words: list[int] = []
        end = register + count
        values: dict[str, Value] = {}
        while register < end:
            item = places.get((table, register))
            if item is None:
                raise IllegalDataAddressError("no such register")
            if not values:
                values = readings(self.meter)
                if self._profile.token is not None:
                    values |= token_values(self.meter)
            start = register - item.register
            encoded = item.encode(self._fit(item, values))
            words += encoded[start : start + end - register]
            register = item.end
        return words

    def _wake(self, now: datetime) -> None:
        self.meter.advance(now)
        if not self.meter.has_power:
            raise ServerDeviceFailureError("no mains: whoever runs the line must not answer")

    def _fit(self, item: Item, values: dict[str, Value]) -> Value:
        """A reading in the steps of its item; what the meter does not have is zero or empty."""
        value = values.get(item.name)
        if item.name not in values:
            return _nothing(item)
        is_number = isinstance(value, Decimal | int) and not isinstance(value, bool)
        if is_number and item.quantity.kind in (Kind.DECIMAL, Kind.ENERGY):
            assert isinstance(value, Decimal | int)
            return _stepped(Decimal(value), item)
        return value

    def write(self, table: Table, register: int, words: Sequence[int]) -> None:
        """See `protocols.modbus.server.Unit`."""
        now = self._now()
        self._wake(now)
        if table is not Table.HOLDING:
            raise IllegalDataAddressError("not to be written")
        profile = self._profile
        if profile.token is not None and register == TOKEN_REGISTER:
            self._take_token(words, now)
            return
        if profile.relay is not None and register == profile.relay.register and len(words) == 1:
            self._order(words[0], now)
            return
        item = _places(profile).get((table, register))
        if item is None or not item.writable or item.register != register:
            raise IllegalDataAddressError("no such register, or not to be written")
        if len(words) != item.layout.registers:
            raise IllegalDataAddressError("not the whole value")
        self._set(item, words, now)

    def _take_token(self, words: Sequence[int], now: datetime) -> None:
        if len(words) != TOKEN_REGISTERS:
            raise IllegalDataAddressError("a token is one write")
        if self.meter.counts_money:
            raise IllegalDataAddressError("a money meter takes no tokens")
        try:
            sequence, digits = decode_token(words)
        except TokenBlockError:
            raise IllegalDataValueError("no token") from None
        if not self.meter.take_token(sequence, digits, now):
            raise IllegalDataValueError("the number was used for another token")

    def _order(self, command: int, now: datetime) -> None:
        assert self._profile.relay is not None
        commands = {number: action for action, number in self._profile.relay.commands.items()}
        action = commands.get(command)
        if action is None:
            raise IllegalDataValueError("no such order")
        remote = self.meter.flow.supply.remote
        if remote.is_protected:
            raise ServerDeviceFailureError("protected")
        order = _ORDERS[action]
        if order is Order.CLOSE_ALLOWED and remote.order is Order.CLOSED:
            order = Order.CLOSED
        ordered = replace(remote, order=order, trip_at=None, after_top_up=None)
        self.meter.order(ordered, now)

    def _set(self, item: Item, words: Sequence[int], now: datetime) -> None:
        value = item.decode(words)
        if item.name == "time_utc" and isinstance(value, int):
            self.meter.set_clock(value + self.meter.type.utc_offset_min * 60, now, "00000000")
        elif item.name == "relay_protected" and value in ("yes", "no"):
            remote = self.meter.flow.supply.remote
            is_protected = value == "yes"
            order = Order.CLOSED if is_protected else remote.order
            trip_at = None if is_protected else remote.trip_at
            ordered = replace(remote, is_protected=is_protected, order=order, trip_at=trip_at)
            self.meter.order(ordered, now)
        else:
            raise IllegalDataValueError("not a value of this register")


@lru_cache(maxsize=32)
def _places(profile: Profile) -> dict[tuple[Table, int], Item]:
    """Every register of a profile's items."""
    return {
        (item.table, register): item
        for item in profile.items.values()
        for register in range(item.register, item.end)
    }


def _nothing(item: Item) -> Value:
    kind = item.quantity.kind
    if kind is Kind.FLAGS:
        return ()
    if kind is Kind.TEXT:
        return next(iter(item.values.values()), "0" if not item.layout.type.width else "")
    return Decimal(0)


def _stepped(value: Decimal, item: Item) -> Decimal:
    """Cut to what the registers can tell; a binary32 rounds by itself."""
    if item.layout.type.value == "f32":
        return value
    steps = int(value / item.scale)
    return steps * item.scale


# --- readings ------------------------------------------------------------------------------------


def readings(meter: SmartMeter) -> dict[str, Value]:
    """Everything that is measured, by the names of `protocols.modbus.vocabulary`."""
    measured = meter.measured()
    return {
        **_electrical(measured),
        **_energies(meter),
        "frequency": Decimal(measured.frequency_chz).scaleb(-2),
        "temperature": Decimal(measured.temperature_dc).scaleb(-1),
        "serial_number": meter.address.lstrip("0") or "0",
        "model_number": meter.type.model,
        "firmware_version": _FIRMWARE,
        "time_utc": meter.local - meter.type.utc_offset_min * 60,
    }


def _electrical(measured: Moment) -> dict[str, Value]:
    values: dict[str, Value] = {}
    named = [("total", measured.total)]
    named += [(f"l{place}", phase) for place, phase in enumerate(measured.phases, 1)]
    for name, phase in named:
        values[f"power_active_{name}"] = Decimal(phase.active_w)
        values[f"power_reactive_{name}"] = Decimal(phase.reactive_var)
        values[f"power_apparent_{name}"] = Decimal(phase.apparent_va)
        values[f"power_factor_{name}"] = Decimal(phase.factor_permille).scaleb(-3)
        if name != "total":
            values[f"voltage_{name}"] = Decimal(phase.voltage_dv).scaleb(-1)
            values[f"current_{name}"] = Decimal(phase.current_ma).scaleb(-3)
    currents = sum(phase.current_ma for phase in measured.phases)
    volts = sum(phase.voltage_dv for phase in measured.phases) // len(measured.phases)
    values["current_total"] = Decimal(currents).scaleb(-3)
    values["voltage_average"] = Decimal(volts).scaleb(-1)
    return values


def _energies(meter: SmartMeter) -> dict[str, Value]:
    flow = meter.flow
    values: dict[str, Value] = {}
    for tariff in range(TARIFFS + 1):
        name = f"t{tariff}" if tariff else "total"
        forward, reverse = forward_ws(meter, flow, tariff), reverse_ws(meter, flow, tariff)
        _name_energies(meter, values, name, forward, reverse)
    forward, reverse = forward_ws(meter, flow, 0), reverse_ws(meter, flow, 0)
    for phase in range(meter.phases):
        _name_energies(
            meter,
            values,
            f"l{phase + 1}",
            phase_ws(meter, forward, phase),
            phase_ws(meter, reverse, phase),
        )
    return values


def _name_energies(
    meter: SmartMeter, values: dict[str, Value], name: str, forward: int, reverse: int
) -> None:
    both = forward + reverse
    wanted = {
        "energy_import": forward,
        "energy_export": reverse,
        "energy_sum": both,
        "energy_net": forward - reverse,
        "reactive_energy_import": reactive_ws(meter, forward),
        "reactive_energy_export": reactive_ws(meter, reverse),
        "reactive_energy_sum": reactive_ws(meter, both),
        "reactive_energy_inductive": reactive_ws(meter, both),
        "apparent_energy": apparent_ws(meter, both),
    }
    values |= {f"{stem}_{name}": ws // WS_PER_WH for stem, ws in wanted.items()}
