"""A meter's own affairs: clears, freeze, address, speed, password, test output.

Clears are settled by the meter's own count of them, freezes and the rest by its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

from protocols.dlt645.addresses import ANY_METER, BROADCAST, Address, parse_address
from protocols.dlt645.answers import AddressAnswer
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.fields import MultiFunctionOutput, Password
from protocols.dlt645.master.conversation import Conversation, Delivery
from protocols.dlt645.master.errors import MeterRefusal
from protocols.dlt645.master.orders import (
    READ_FAULTS,
    OrderResult,
    one_meter,
    plain_result,
    read_until,
    require_2007,
)
from protocols.dlt645.master.readings import decoded
from protocols.dlt645.request import Request
from protocols.dlt645.requests import (
    ALL_EVENTS,
    ChangeBaud,
    ChangePassword,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    Freeze,
    ReadAddress,
    SetMultiFunctionOutput,
    WriteAddress,
    freeze_time,
)
from protocols.dlt645.requests_1997 import (
    ChangeBaud1997,
    ChangePassword1997,
    ClearDemand1997,
    WriteAddress1997,
)
from protocols.dlt645.times import MeterTime
from protocols.outcomes import Outcome

SwitchSpeed = Callable[[int], Awaitable[None]]
"""Sets our end of the line to a speed in bit/s."""

_METER_CLEARS: Final = 0x03300100
_DEMAND_CLEARS: Final = 0x03300200
_DEMAND_CLEARS_1997: Final = 0xB213
_EVENT_CLEARS: Final = 0x03300300
_FIRST_ITEM: Final = {Edition.Y2007: 0x00010000, Edition.Y1997: 0x9010}
"""What every meter has: forward active energy."""
_SETTLE_S: Final = 2.0


async def read_address(talk: Conversation, asked: str | None = None) -> Address:
    """Who is on this line, or who answers to a shortened address; see `Master.read_address`."""
    if talk.edition is Edition.Y1997:
        to = BROADCAST if asked is None else asked
        return (await talk.read_di(to, _FIRST_ITEM[talk.edition])).meter
    if asked is not None:
        return (await talk.read_di(asked, _FIRST_ITEM[talk.edition])).meter
    answer = await talk.ask(ANY_METER, ReadAddress())
    if not isinstance(answer, AddressAnswer):
        raise LayoutError("The answer holds no address.")
    return answer.address


async def write_address(talk: Conversation, new: str) -> OrderResult:
    """Give the one meter on this line a number; see `Master.write_address`."""
    address = one_meter(new, talk.edition)
    request: Request
    if talk.edition is Edition.Y2007:
        to, request = ANY_METER, WriteAddress(address)
    else:
        to, request = BROADCAST, WriteAddress1997(address)
    async with talk.order_turn(to):
        sent = await talk.send(to, request)
        if sent.delivery is Delivery.NOT_SENT:
            return plain_result(sent)
        try:
            held = await read_address(talk)
        except READ_FAULTS as error:
            result = plain_result(sent)
            return OrderResult(
                outcome=result.outcome,
                text=f"{result.text} The address could not be read back: {error}",
                was_sent=True,
                refusal=sent.refusal,
            )
    outcome = Outcome.DONE if held == address else Outcome.FAILED
    text = f"The meter on this line has the address {held}. {sent.trouble}".strip()
    return OrderResult(outcome=outcome, text=text, was_sent=True, refusal=sent.refusal)


async def freeze(talk: Conversation, address: str, when: MeterTime | None) -> OrderResult:
    """Keep the registers; see `Master.freeze`."""
    require_2007(talk.edition, "Freeze")
    request = Freeze(freeze_time() if when is None else when)
    if parse_address(address) == BROADCAST:
        await talk.tell(BROADCAST, lambda: request)
        text = "Sent to all meters; none of them answers."
        return OrderResult(outcome=Outcome.UNKNOWN, text=text, was_sent=True)
    meter = one_meter(address, talk.edition)
    async with talk.order_turn(meter):
        return plain_result(await talk.send(meter, request))


async def clear_demand(
    talk: Conversation, address: str, password: Password, operator: str
) -> OrderResult:
    """Maximum demands to zero; see `Master.clear_demand`."""
    if talk.edition is Edition.Y1997:
        return await _counted(talk, address, ClearDemand1997(password), _DEMAND_CLEARS_1997)
    return await _counted(talk, address, ClearDemand(password, operator), _DEMAND_CLEARS)


async def clear_meter(
    talk: Conversation, address: str, password: Password, operator: str
) -> OrderResult:
    """Energies, demands and records to zero; see `Master.clear_meter`."""
    require_2007(talk.edition, "Clearing the meter")
    return await _counted(talk, address, ClearMeter(password, operator), _METER_CLEARS)


async def clear_events(
    talk: Conversation, address: str, password: Password, operator: str, di: int = ALL_EVENTS
) -> OrderResult:
    """Forget events of one kind or all; see `Master.clear_events`."""
    require_2007(talk.edition, "Clearing events")
    return await _counted(talk, address, ClearEvents(password, operator, di), _EVENT_CLEARS)


async def _counted(talk: Conversation, address: str, request: Request, counter: int) -> OrderResult:
    """An order that the meter counts: the count before and after settles a lost answer."""
    meter = one_meter(address, talk.edition)

    async def count() -> Decimal | None:
        return decoded(await talk.read_di(meter, counter), talk.edition).value_as(Decimal)

    async with talk.order_turn(meter):
        try:
            before = await count()
        except READ_FAULTS:
            before = None  # not every meter counts; its answer then has to do
        sent = await talk.send(meter, request)
        if sent.delivery is not Delivery.IN_DOUBT or before is None:
            return plain_result(sent)
        try:
            after = await read_until(count, lambda now: now != before, _SETTLE_S)
        except READ_FAULTS as error:
            text = f"{sent.trouble} The meter's count could not be read either: {error}"
            return OrderResult(outcome=Outcome.UNKNOWN, text=text, was_sent=True)
    if after == before + 1:
        text = "The answer was lost; the meter's count shows that it was done."
        return OrderResult(outcome=Outcome.DONE, text=text, was_sent=True)
    if after == before:
        text = f"It was not done: the meter's count is still {before}. {sent.trouble}"
        return OrderResult(outcome=Outcome.FAILED, text=text, was_sent=True)
    text = f"The meter's count went from {before} to {after}. {sent.trouble}"
    return OrderResult(outcome=Outcome.UNKNOWN, text=text, was_sent=True)


async def set_output(talk: Conversation, address: str, output: MultiFunctionOutput) -> OrderResult:
    """What the test output gives out; see `Master.set_output`."""
    require_2007(talk.edition, "The multi-function output")
    meter = one_meter(address, talk.edition)
    async with talk.order_turn(meter):
        return plain_result(await talk.send(meter, SetMultiFunctionOutput(output)))


async def change_password(
    talk: Conversation, address: str, level: int, old: Password, new: Password
) -> OrderResult:
    """The password of a level; see `Master.change_password`."""
    meter = one_meter(address, talk.edition)
    request: Request
    if talk.edition is Edition.Y2007:
        request = ChangePassword(0x04000C01 + level, old, new)
    else:
        request = ChangePassword1997(old, new)
    async with talk.order_turn(meter):
        return plain_result(await talk.send(meter, request))


async def change_speed(
    talk: Conversation,
    address: str,
    request: ChangeBaud | ChangeBaud1997,
    new_baud: int,
    old_baud: int,
    switch: SwitchSpeed | None,
) -> OrderResult:
    """Another speed: asked for and answered at the old one; see `Master.change_speed`."""
    meter = one_meter(address, talk.edition)
    async with talk.order_turn(meter):
        sent = await talk.send(meter, request)
        if sent.delivery in (Delivery.REFUSED, Delivery.NOT_SENT):
            return plain_result(sent)
        if switch is None:
            result = plain_result(sent)
            text = f"{result.text} Set the line to {new_baud} bit/s to reach the meter."
            return OrderResult(outcome=result.outcome, text=text, was_sent=True)
        await switch(new_baud)
        if await _answers(talk, meter):
            text = f"The meter answers at {new_baud} bit/s."
            return OrderResult(outcome=Outcome.DONE, text=text, was_sent=True)
        await switch(old_baud)
        if await _answers(talk, meter):
            text = f"The meter still answers at {old_baud} bit/s. {sent.trouble}"
            return OrderResult(outcome=Outcome.FAILED, text=text.strip(), was_sent=True)
    text = f"The meter answers at neither speed; the line is at {old_baud} bit/s. {sent.trouble}"
    return OrderResult(outcome=Outcome.UNKNOWN, text=text.strip(), was_sent=True)


async def _answers(talk: Conversation, meter: Address) -> bool:
    """Whether the meter says anything at all, a refusal included."""
    try:
        await talk.read_di(meter, _FIRST_ITEM[talk.edition])
    except MeterRefusal:
        return True
    except READ_FAULTS:
        return False
    return True
