"""One meter on a bus: its items read and written by name.

`relay` moves its contact, `token_load` gives it tokens.  Writes are sent once; whether they
were done is read back, and how a lost answer ends is settled by what is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from protocols.errors import RemoteProtocolError
from protocols.modbus.bus import ModbusBus
from protocols.modbus.errors import (
    IllegalDataAddressError,
    IllegalDataValueError,
    ModbusRefusal,
    ModbusValueError,
    RegisterContentError,
)
from protocols.modbus.items import DIRECT, Item, Table, Transformers, Value
from protocols.modbus.plan import Span, plan
from protocols.modbus.profile import Profile
from protocols.modbus.requests import Request, coil_request, write_request
from protocols.modbus.results import Outcome, Readings, WriteResult
from protocols.transport.errors import LinkError
from protocols.transport.exchange import Priority

_SPLIT_ON = (IllegalDataAddressError, IllegalDataValueError)
"""A refused stretch may hold one item that this meter does not have."""


class Delivery(Enum):
    """What is known of a write right after it was sent."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """It was not carried out."""
    IN_DOUBT = "in doubt"
    """No answer, or one that leaves open how far the meter got."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How sending a write ended."""

    delivery: Delivery
    refusal: ModbusRefusal | None = None
    trouble: str = ""
    """Why it is in doubt, for a person."""


class ModbusMeter:
    """One unit on a bus, and what its registers mean."""

    def __init__(
        self,
        bus: ModbusBus,
        profile: Profile,
        unit: int | None = None,
        transformers: Transformers = DIRECT,
        priority: Priority = Priority.ROUTINE,
    ) -> None:
        """A meter.

        Args:
            bus: the line that it hangs on.
            profile: what its registers mean.
            unit: its address; None: the factory's.
            transformers: ratios of the installation, for meters that do not multiply.
            priority: in which queue of the link its requests wait.
        """
        self.bus = bus
        self.profile = profile
        self.unit = profile.unit if unit is None else unit
        self.transformers = transformers
        self.priority = priority
        self._plans: dict[tuple[str, ...] | None, tuple[Span, ...]] = {}

    async def read(self, names: Iterable[str] | None = None) -> Readings:
        """Read items by name, all of them unless told otherwise, in the fewest requests.

        A stretch that the meter refuses is read again item by item, so that one missing
        register does not cost the others.

        Raises:
            ModbusValueError: the profile has no such item.
            NoAnswer, LinkDown, LinkClosed, LinkBusy: the meter or the line is silent; what was
                read until then is dropped.
        """
        key = None if names is None else tuple(names)
        spans = self._plans.get(key)
        if spans is None:
            spans = self._plans[key] = plan(self.profile, key)
        values: dict[str, Value] = {}
        faults: dict[str, RemoteProtocolError] = {}
        for span in spans:
            await self._read_span(span, values, faults)
        return Readings(values, faults)

    async def _read_span(
        self, span: Span, values: dict[str, Value], faults: dict[str, RemoteProtocolError]
    ) -> None:
        try:
            words = await self._words(span.table, span.register, span.count)
        except ModbusRefusal as refusal:
            if len(span.items) == 1 or not isinstance(refusal, _SPLIT_ON):
                faults.update({item.name: refusal for item in span.items})
                return
            for item in span.items:
                alone = Span(item.table, item.register, item.layout.registers, (item,))
                await self._read_span(alone, values, faults)
            return
        for item in span.items:
            start = item.register - span.register
            try:
                values[item.name] = item.decode(
                    words[start : start + item.layout.registers], self.transformers
                )
            except RegisterContentError as error:
                faults[item.name] = error

    async def write(self, name: str, value: Value) -> WriteResult:
        """Write one item, and read it back.

        Raises:
            ModbusValueError: no such item, not writable, or a value that it cannot hold.
        """
        item = self.profile.item(name)
        if not item.writable:
            raise ModbusValueError(f"{name} of {self.profile.name} cannot be written.")
        words = item.encode(value, self.transformers)
        sent = await self.send(self.write_request(item.table, item.register, words))
        if sent.delivery is Delivery.REFUSED:
            return WriteResult(outcome=Outcome.FAILED, text=str(sent.refusal), refusal=sent.refusal)
        return await self._written(item, words, sent)

    async def _written(self, item: Item, words: tuple[int, ...], sent: Sent) -> WriteResult:
        try:
            held = await self._words(item.table, item.register, item.layout.registers)
            value = item.decode(held, self.transformers)
        except (LinkError, RemoteProtocolError) as error:
            if sent.delivery is Delivery.CONFIRMED:
                text = f"Written; it could not be read back: {error}"
                return WriteResult(outcome=Outcome.DONE, text=text)
            text = f"{sent.trouble} Reading it back failed too: {error}"
            return WriteResult(outcome=Outcome.UNKNOWN, text=text, refusal=sent.refusal)
        if held == words:
            return WriteResult(outcome=Outcome.DONE, text="Written and read back.", value=value)
        text = f"{item.name} is still {value}. {sent.trouble}".strip()
        return WriteResult(outcome=Outcome.FAILED, text=text, value=value, refusal=sent.refusal)

    def write_request(self, table: Table, register: int, words: tuple[int, ...]) -> Request:
        """The request that writes here, with the function that this meter knows.

        Raises:
            ModbusValueError: see `requests`.
        """
        if table is Table.COIL:
            return coil_request(self.unit, register, words[0])
        return write_request(self.unit, register, words, self.profile.write_function)

    async def send(self, request: Request) -> Sent:
        """Send a write, once, and say what is known of it."""
        try:
            await self.bus.run(request, self.priority)
        except ModbusRefusal as refusal:
            if refusal.leaves_doubt:
                return Sent(Delivery.IN_DOUBT, refusal, str(refusal))
            return Sent(Delivery.REFUSED, refusal)
        except (LinkError, RemoteProtocolError) as error:
            return Sent(Delivery.IN_DOUBT, None, str(error))
        return Sent(Delivery.CONFIRMED)

    async def _words(self, table: Table, register: int, count: int) -> tuple[int, ...]:
        return await self.bus.read(self.unit, table, register, count, self.priority)
