"""Writing parameters, and knowing what the meter holds afterwards.

Each write goes out once.  What can be read is read back, whatever the meter answered: meters were
seen to apply a write and answer abnormally, and a lost answer says nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocols.dlt645 import catalogue
from protocols.dlt645.addresses import Address
from protocols.dlt645.controls import Edition
from protocols.dlt645.fields import Password
from protocols.dlt645.master.conversation import Conversation, Delivery, Sent
from protocols.dlt645.master.errors import MeterRefusal
from protocols.dlt645.master.orders import READ_FAULTS, one_meter
from protocols.dlt645.master.readings import ItemAnswer, decoded
from protocols.dlt645.requests import WriteData
from protocols.dlt645.requests_1997 import WriteData1997
from protocols.dlt645.times import MeterTime
from protocols.dlt645.values import Value
from protocols.outcomes import Outcome

Values = bytes | Value | None | Sequence[Value | None]
"""A value, one for each element, or the item's bytes in wire order."""

_TIMES_OF_DAY: Final = {(Edition.Y2007, 0x04000102), (Edition.Y1997, 0xC011)}
_CLOCK_RUN_S_MAX: Final = 30
"""How far a clock may have gone on between write and read-back."""
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What came of a write."""

    outcome: Outcome
    text: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    held: ItemAnswer | None = None
    """What the meter holds now; None: it could not be read, or not be asked."""
    refusal: MeterRefusal | None = None


async def write_item(
    talk: Conversation,
    address: str,
    di: int,
    values: Values,
    password: Password,
    operator: str,
    *,
    read_back: bool = True,
) -> WriteResult:
    """Write one item; see `Master.write`."""
    meter = one_meter(address, talk.edition)
    data = item_bytes(di, values, talk.edition)
    request: WriteData | WriteData1997
    if talk.edition is Edition.Y2007:
        request = WriteData(di, password, operator, data)
    else:
        request = WriteData1997(di, password, data)
    item = catalogue.find(di, talk.edition)
    is_readable = read_back and (item is None or "r" in item.access)
    async with talk.order_turn(meter):
        sent = await talk.send(meter, request)
        if sent.delivery is Delivery.NOT_SENT:
            return WriteResult(outcome=Outcome.FAILED, text=sent.trouble, was_sent=False)
        if not is_readable:
            return _unread(sent, "It cannot be read back.")
        try:
            held = await _held(talk, meter, di)
        except READ_FAULTS as error:
            return _unread(sent, f"It could not be read back: {error}")
    return _compared(sent, di, data, held)


def item_bytes(di: int, values: Values, edition: Edition) -> bytes:
    """The bytes of an item's values.

    Raises:
        UnknownItemError, ValueFormatError: the catalogue does not know it, or they do not fit.
    """
    if isinstance(values, bytes):
        return values
    if isinstance(values, Sequence) and not isinstance(values, str):
        return catalogue.encode(di, values, edition)
    return catalogue.encode(di, (values,), edition)


async def _held(talk: Conversation, meter: Address, di: int) -> ItemAnswer:
    return decoded(await talk.read_di(meter, di), talk.edition)


def _unread(sent: Sent, why: str) -> WriteResult:
    """The meter's answer has to do."""
    if sent.delivery is Delivery.ACCEPTED:
        return WriteResult(outcome=Outcome.DONE, text=f"Written. {why}", was_sent=True)
    if sent.delivery is Delivery.REFUSED:
        return WriteResult(
            outcome=Outcome.FAILED, text=sent.trouble, was_sent=True, refusal=sent.refusal
        )
    text = f"Whether it was written is not known: {sent.trouble} {why}"
    return WriteResult(outcome=Outcome.UNKNOWN, text=text, was_sent=True)


def _compared(sent: Sent, di: int, data: bytes, held: ItemAnswer) -> WriteResult:
    shown = ", ".join(reading.text or "no value" for reading in held.readings)
    if not _is_same(di, data, held):
        said = "although the meter accepted" if sent.delivery is Delivery.ACCEPTED else ""
        text = f"The meter holds {shown} {said or sent.trouble}".strip()
        outcome = Outcome.FAILED
    elif sent.delivery is Delivery.REFUSED:
        text = f"{sent.trouble} Yet the meter holds {shown}, as it was to be written."
        outcome = Outcome.FAILED
    else:
        text = f"Written and read back: {shown}."
        outcome = Outcome.DONE
    return WriteResult(outcome=outcome, text=text, was_sent=True, held=held, refusal=sent.refusal)


def _is_same(di: int, data: bytes, held: ItemAnswer) -> bool:
    if held.data == data or (held.data[:-1] == data and held.data[-1] in (0xAA, 0xDD)):
        return True
    if (held.edition, di) not in _TIMES_OF_DAY or len(held.readings) != 1:
        return False
    now = held.readings[0].value
    (written,) = catalogue.decode(di, data, held.edition).readings
    if not isinstance(now, MeterTime) or not isinstance(written.value, MeterTime):
        return False
    return (_second_of_day(now) - _second_of_day(written.value)) % _DAY_S <= _CLOCK_RUN_S_MAX


def _second_of_day(time: MeterTime) -> int:
    return ((time.hour or 0) * 60 + (time.minute or 0)) * 60 + (time.second or 0)
