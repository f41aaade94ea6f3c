"""Orders to one meter, over either protocol: prepare, send once, look.

Who keeps orders (`headend.orders.job`) calls the three one by one and writes down what is known
between them; `order_device` is all of it for whoever keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headend.faults import HeadEndError
from headend.orders.credentials import Credential
from headend.orders.values import OrderKind
from headend.talk.device import Device
from headend.talk.faults import LineBudgetError, NoLineError, NoModemError
from headend.talk.lines import Lines
from headend.talk.ordering_balance import BalanceWay
from headend.talk.ordering_clock import DltClock, ModbusClock
from headend.talk.ordering_recharge import RechargeWay
from headend.talk.ordering_relay import DltRelay, ModbusKeepPower, ModbusRelay
from headend.talk.ordering_token import TokenWay
from headend.talk.ordering_values import (
    Call,
    Command,
    NotNowError,
    NotReachedError,
    OrderOutcome,
    Ready,
    Way,
    failed,
)
from headend.talk.ordering_writes import DltWrites, ModbusWrites
from headend.talk.reading import line_of
from protocols.dlt645.master import MeterRefusal, PurchaseModule
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.modbus import ModbusRefusal
from protocols.outcomes import Outcome
from protocols.transport.errors import LinkError

__all__ = [
    "Call",
    "Command",
    "NotNowError",
    "NotReachedError",
    "OrderOutcome",
    "Ready",
    "Talk",
    "order_device",
]

_RELAY: Final = (
    OrderKind.RELAY_TRIP,
    OrderKind.RELAY_CLOSE,
    OrderKind.RELAY_ALLOW_CLOSE,
)
_KEEP_POWER: Final = (OrderKind.KEEP_POWER_ON, OrderKind.KEEP_POWER_OFF)


@dataclass(frozen=True, slots=True)
class Talk:
    """One order's exchange with its meter."""

    lines: Lines
    device: Device
    command: Command
    credential: Credential | None
    module: PurchaseModule | None = None

    async def prepare(self) -> Ready | OrderOutcome:
        """Read what is so before; an outcome when there is nothing to send.

        Raises:
            NotReachedError: the meter could not be asked; it may be tried again.
            NotNowError: not at this moment.
            NoModemError: the line's modem has not called in.
        """
        try:
            way = await self._way()
            return await way.prepare()
        except (LinkError, LineBudgetError, NoLineError) as fault:
            raise NotReachedError(str(fault)) from None
        except (MeterRefusal, ModbusRefusal, LocalProtocolError) as fault:
            return failed(f"Nothing was sent: {fault}")
        except RemoteProtocolError as fault:
            raise NotReachedError(f"The meter's answer cannot be used: {fault}") from None

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """Send it, once, and read what came of it."""
        try:
            way = await self._way()
        except (LinkError, LocalProtocolError, HeadEndError) as fault:
            return failed(f"Nothing was sent: {fault}")
        try:
            return await way.send(evidence)
        except LocalProtocolError as fault:
            return failed(f"Nothing was sent: {fault}")
        except (LinkError, RemoteProtocolError) as fault:
            return _unclear(fault)

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """Read what came of it; sends nothing that changes a meter.

        Raises:
            NoModemError: the line's modem has not called in.
        """
        try:
            way = await self._way()
            return await way.look(evidence)
        except NoModemError:
            raise
        except (LinkError, RemoteProtocolError, LocalProtocolError, HeadEndError) as fault:
            return _unclear(fault)

    async def _way(self) -> Way:
        line = await line_of(self.lines, self.device)
        station = self.lines.station
        call = Call(
            line,
            self.device,
            self.command,
            self.credential,
            self.module,
            station.now,
            station.zone,
        )
        kind, is_modbus = self.command.kind, self.device.is_modbus
        if kind in _RELAY:
            return ModbusRelay(call) if is_modbus else DltRelay(call)
        if kind in _KEEP_POWER:
            return ModbusKeepPower(call) if is_modbus else DltRelay(call)
        if kind is OrderKind.TOKEN:
            return TokenWay(call)
        if kind is OrderKind.RECHARGE:
            return RechargeWay(call)
        if kind is OrderKind.SET_CLOCK:
            return ModbusClock(call) if is_modbus else DltClock(call)
        if kind is OrderKind.BALANCE:
            return BalanceWay(call, self.lines)
        return ModbusWrites(call) if is_modbus else DltWrites(call)


async def order_device(
    lines: Lines,
    device: Device,
    order: Command,
    credential: Credential | None,
    module: PurchaseModule | None = None,
) -> OrderOutcome:
    """Give one order to one meter, and read what came of it; nothing of it is kept.

    Raises:
        NotReachedError, NotNowError, NoModemError: see `Talk.prepare`; nothing was sent.
    """
    talk = Talk(lines, device, order, credential, module)
    prepared = await talk.prepare()
    if isinstance(prepared, OrderOutcome):
        return prepared
    return await talk.send(prepared.evidence)


def _unclear(fault: Exception) -> OrderOutcome:
    return OrderOutcome(
        outcome=Outcome.UNKNOWN,
        words=f"The meter's state could not be read: {fault} It is read again later.",
        was_sent=True,
    )
