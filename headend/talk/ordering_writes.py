"""Parameters and tariff tables: written once, item by item, each read back before the next.

Values stand in orders as people write them and as readings show them; `item_bytes` and
`modbus_value` are the one place where they become what a meter takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from headend.orders.values import OrderKind
from headend.talk.ordering_values import (
    Call,
    OrderOutcome,
    Ready,
    done,
    not_done,
)
from protocols.dlt645 import catalogue
from protocols.dlt645.controls import Edition
from protocols.dlt645.master import MeterRefusal
from protocols.modbus import Item, Kind, ModbusValueError, Value
from protocols.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class DltWrites:
    """14H (04H in 1997)."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        if await self._is_all_held():
            return done("Nothing to do: the meter holds it already.", was_sent=False)
        return Ready({})

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        call, words = self.call, ""
        for number, part in enumerate(self._parts, 1):
            result = await call.master.write(
                call.device.address,
                int(part["item"], 16),
                self._wanted(part),
                call.key.password,
                call.key.operator,
            )
            if result.outcome is not Outcome.DONE:
                return OrderOutcome(
                    outcome=result.outcome,
                    words=f"{part['item']}: {result.text}{_so_far(number - 1, self._parts)}",
                    was_sent=result.was_sent or number > 1,
                    details={"written": number - 1},
                )
            words = result.text
        if len(self._parts) > 1:
            words = f"All {len(self._parts)} items were written and read back."
        return done(words, written=len(self._parts))

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        missing = [part["item"] for part in self._parts if await self._held(part) is None]
        if missing:
            return OrderOutcome(
                outcome=Outcome.UNKNOWN,
                words=f"The meter does not tell what it holds in {', '.join(missing)}.",
                was_sent=True,
            )
        other = [
            part["item"] for part in self._parts if not self._is_same(part, await self._held(part))
        ]
        if other:
            return not_done(
                f"The meter holds something else in {', '.join(other)}.", different=other
            )
        return done("The meter holds it.", written=len(self._parts))

    @property
    def _parts(self) -> Sequence[Mapping[str, Any]]:
        return parts_of(self.call.command.kind, self.call.command.says)

    def _wanted(self, part: Mapping[str, Any]) -> bytes:
        return item_bytes(part, self.call.device.edition)

    async def _held(self, part: Mapping[str, Any]) -> bytes | None:
        """The item's bytes; None where the meter refuses to tell."""
        try:
            answer = await self.call.master.read(self.call.device.address, int(part["item"], 16))
        except MeterRefusal:
            return None
        return answer.data

    def _is_same(self, part: Mapping[str, Any], held: bytes | None) -> bool:
        wanted = self._wanted(part)
        return held is not None and (
            held == wanted or (held[:-1] == wanted and held[-1] in (0xAA, 0xDD))
        )

    async def _is_all_held(self) -> bool:
        for part in self._parts:
            if not self._is_same(part, await self._held(part)):
                return False
        return True


@dataclass(frozen=True, slots=True)
class ModbusWrites:
    """Writable items of a profile, by name."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        if await self._others():
            return Ready({})
        return done("Nothing to do: the meter holds it already.", was_sent=False)

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        parts = self._parts
        for number, part in enumerate(parts, 1):
            item = self.call.meter.profile.item(part["item"])
            result = await self.call.meter.write(item.name, modbus_value(item, part["values"]))
            if result.outcome is not Outcome.DONE:
                return OrderOutcome(
                    outcome=result.outcome,
                    words=f"{result.text}{_so_far(number - 1, parts)}",
                    was_sent=True,
                    details={"written": number - 1},
                )
        return done("Written and read back.", written=len(parts))

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        if other := await self._others():
            return not_done(
                f"The meter holds something else in {', '.join(other)}.", different=other
            )
        return done("The meter holds it.", written=len(self._parts))

    @property
    def _parts(self) -> Sequence[Mapping[str, Any]]:
        return parts_of(self.call.command.kind, self.call.command.says)

    async def _others(self) -> list[str]:
        """Items that hold something else than is wanted."""
        meter = self.call.meter
        wanted = {
            part["item"]: modbus_value(meter.profile.item(part["item"]), part["values"])
            for part in self._parts
        }
        readings = await meter.read(list(wanted))
        for fault in readings.faults.values():
            raise fault
        return [name for name, value in wanted.items() if readings.values[name] != value]


def parts_of(kind: OrderKind, says: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The items of an order, each with ``item`` and ``values`` or ``raw``."""
    parts: Sequence[Mapping[str, Any]] = (
        says["items"] if kind is OrderKind.TARIFF_TABLE else (says,)
    )
    return parts


def item_bytes(part: Mapping[str, Any], edition: Edition) -> bytes:
    """What one item of a DL/T 645 meter is to hold, in wire order.

    Raises:
        LocalProtocolError: the catalogue does not know it, or a value is not of its format.
        ValueError: ``raw`` is not hexadecimal.
    """
    if "raw" in part:
        return bytes.fromhex(part["raw"])
    di = int(part["item"], 16)
    return catalogue.encode(di, catalogue.parse_values(di, part["values"], edition), edition)


def modbus_value(item: Item, texts: Sequence[str]) -> Value:
    """What one item of a profile is to hold.

    Raises:
        ModbusValueError: the text is no such value.
    """
    text = " ".join(texts)
    if item.quantity.kind is Kind.TEXT:
        return text
    if item.quantity.kind is Kind.FLAGS:
        return tuple(part.strip() for part in text.split(",") if part.strip() != "none")
    try:
        number = Decimal(text)
        if item.quantity.kind is Kind.DECIMAL and number.is_finite():
            return number
        if number == int(number):
            return int(number)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise ModbusValueError(f"{item.name} cannot be {text!r}.")


def _so_far(count: int, parts: Sequence[Mapping[str, Any]]) -> str:
    if len(parts) == 1:
        return ""
    return f" Before it {count} of {len(parts)} items were written; nothing after it was."
