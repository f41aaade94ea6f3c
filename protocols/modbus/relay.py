"""Opening and closing a meter's contact, and knowing that it has moved.

An order is never given blindly: the state is read first, and if the contact is as wanted nothing
is sent.  The order is sent once.  Then the state is read until it is as wanted or the contact
has had its time; that, and not the meter's confirmation, decides the outcome.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from protocols.errors import RemoteProtocolError
from protocols.modbus.errors import ModbusRefusal, ModbusValueError
from protocols.modbus.meter import Delivery, ModbusMeter, Sent
from protocols.modbus.profile import RelayAction, RelaySpec
from protocols.modbus.results import Outcome, RelayResult
from protocols.transport.errors import LinkError

_STATE_ITEMS: Final = ("contact_state", "relay_control", "contact_open_reasons")
_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class _State:
    contact: str | None
    control: str | None
    reasons: tuple[str, ...]

    def is_as(self, action: RelayAction) -> bool:
        if action is RelayAction.OPEN:
            return self.contact == "open" and self.control in (None, "open")
        if action is RelayAction.CLOSE:
            return self.contact == "closed" and self.control != "open"
        return self.control in ("close_allowed", "closed")

    @property
    def words(self) -> str:
        """For a person."""
        why = f" ({', '.join(self.reasons)})" if self.reasons else ""
        return f"the contact is {self.contact}{why}"


async def order_relay(meter: ModbusMeter, action: RelayAction) -> RelayResult:
    """Give one order to a meter's contact.

    Raises:
        ModbusValueError: the meter has no contact to move, or does not know this order.
    """
    spec = meter.profile.relay
    if spec is None or action not in spec.commands:
        raise ModbusValueError(
            f"{meter.profile.maker} {meter.profile.model} takes no order {action.value!r}."
        )
    state = await _read(meter)
    if isinstance(state, str):
        text = f"Nothing was sent, since the contact's state could not be read first: {state}"
        return RelayResult(outcome=Outcome.FAILED, text=text, was_sent=False)
    if state.is_as(action):
        return _result(Outcome.DONE, f"Nothing to do: {state.words}.", state, was_sent=False)
    request = meter.write_request(spec.table, spec.register, (spec.commands[action],))
    sent = await meter.send(request)
    if sent.delivery is Delivery.REFUSED:
        return _result(Outcome.FAILED, str(sent.refusal), state, refusal=sent.refusal)
    return await _settle(meter, spec, action, sent)


async def _settle(
    meter: ModbusMeter, spec: RelaySpec, action: RelayAction, sent: Sent
) -> RelayResult:
    """Read the state until it is as wanted, or the contact has had its time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + spec.settle_ms / 1000
    while True:
        is_late = clock() >= deadline
        state = await _read(meter)
        if isinstance(state, _State) and state.is_as(action):
            return _result(Outcome.DONE, f"Done: {state.words}.", state)
        if is_late:
            break
        await asyncio.sleep(min(_POLL_S, spec.settle_ms / 1000))
    if isinstance(state, str):
        text = f"The order was sent, but the contact's state cannot be read: {state}"
        return RelayResult(outcome=Outcome.UNKNOWN, text=text, was_sent=True, refusal=sent.refusal)
    return _result(Outcome.FAILED, _why_not(state, sent), state, refusal=sent.refusal)


def _why_not(state: _State, sent: Sent) -> str:
    if sent.delivery is Delivery.CONFIRMED:
        return f"The meter took the order, but {state.words}."
    return f"The order was not carried out: {state.words}. {sent.trouble}".strip()


async def _read(meter: ModbusMeter) -> _State | str:
    """The state, or why there is none."""
    names = [name for name in _STATE_ITEMS if name in meter.profile.items]
    try:
        readings = await meter.read(names)
    except (LinkError, RemoteProtocolError) as error:
        return str(error)
    if fault := readings.faults.get("contact_state"):
        return str(fault)
    contact = readings.values.get("contact_state")
    control = readings.values.get("relay_control")
    reasons = readings.values.get("contact_open_reasons")
    return _State(
        contact=contact if isinstance(contact, str) else None,
        control=control if isinstance(control, str) else None,
        reasons=reasons if isinstance(reasons, tuple) else (),
    )


def _result(
    outcome: Outcome,
    text: str,
    state: _State,
    *,
    was_sent: bool = True,
    refusal: ModbusRefusal | None = None,
) -> RelayResult:
    return RelayResult(
        outcome=outcome,
        text=text,
        was_sent=was_sent,
        contact_state=state.contact,
        relay_control=state.control,
        open_reasons=state.reasons,
        refusal=refusal,
    )
