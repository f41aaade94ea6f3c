"""Asking meters over one link: single answers, long answers, orders sent once.

* A read may be repeated by the link; everything else goes out once.
* Exchanges with one meter do not mix: a long answer in parts is read to its end before the next
  question, since the meter keeps only one position.
* A value is given out whole or not at all: a lost part begins the read anew, then is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, TypeVar, cast

from protocols.dlt645.addresses import Address
from protocols.dlt645.answers import Answer, DataAnswer, Refused
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import FollowUpError, LayoutError
from protocols.dlt645.follow_up import LongRead
from protocols.dlt645.master.errors import MeterRefusal
from protocols.dlt645.master.exchange import (
    Make,
    PreparedRead,
    ReadExchange,
    RequestExchange,
    plain_read,
    prepare,
    prepare_read,
)
from protocols.dlt645.master.turns import Turn, Turns
from protocols.dlt645.request import Request
from protocols.dlt645.requests import ReadData
from protocols.dlt645.requests_1997 import ReadData1997
from protocols.errors import RemoteProtocolError
from protocols.transport.errors import LinkError, NoAnswer
from protocols.transport.exchange import Priority
from protocols.transport.link import Link

T = TypeVar("T")

_LONG_READ_ATTEMPTS: Final = 2


class Delivery(Enum):
    """What is known of an order right after it was sent."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    IN_DOUBT = "in doubt"
    """No answer, or a broken one: nobody knows whether the meter got it."""
    NOT_SENT = "not sent"
    """It never left: no meter has seen it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How sending an order, once, ended."""

    delivery: Delivery
    answer: Answer | None = None
    """What the meter said when it accepted."""
    refusal: MeterRefusal | None = None
    trouble: str = ""
    """Why it is in doubt or was not sent, for a person."""


class RawAnswer(NamedTuple):
    """The bytes of an item, all parts together."""

    meter: Address
    """Whose they are: a full number, also where a wildcard was asked."""
    di: int
    data: bytes
    """Without identifiers and SEQs; wire order."""


class Conversation:
    """All exchanges of one edition over one link.  Make one per link and edition, not more."""

    def __init__(self, link: Link, edition: Edition, priority: Priority) -> None:
        self.link = link
        self.edition = edition
        self.priority = priority
        self._exchanges = Turns()
        self._orders = Turns()

    def order_turn(self, meter: Address) -> Turn:
        """Held while an order to this meter is given and settled; reads go on meanwhile."""
        return self._orders.turn(meter)

    async def ask(self, address: str, request: Request) -> Answer:
        """Carry out one request; gives the meter's normal answer.

        Raises:
            MeterRefusal: an abnormal answer.
            NoAnswer, LinkDown, LinkClosed, LinkBusy: see `Link.run`.
            LayoutError: the answer is broken.
            AddressError: the request must not go to this address.
        """
        exchange = RequestExchange(prepare(request, address))
        async with self._exchanges.turn(exchange.meter):
            return await self._run(exchange)

    async def tell(self, address: str, make: Callable[[], Request]) -> None:
        """Send what nobody answers; the request is made when the line is free for it.

        Raises:
            LinkDown, LinkClosed, LinkBusy: it was not sent, or the line broke.
        """
        exchange = RequestExchange(prepare(make(), address), make)
        await self.link.run(exchange, priority=self.priority)

    async def send(self, address: str, request: Request) -> Sent:
        """Send an order, once, and say what is known of it; raises for local misuse only."""
        exchange = RequestExchange(prepare(request, address))
        try:
            async with self._exchanges.turn(exchange.meter):
                answer = await self._run(exchange)
        except MeterRefusal as refusal:
            return Sent(Delivery.REFUSED, refusal=refusal, trouble=str(refusal))
        except (LinkError, RemoteProtocolError) as error:
            delivery = Delivery.IN_DOUBT if exchange.was_fetched else Delivery.NOT_SENT
            return Sent(delivery, trouble=str(error))
        return Sent(Delivery.ACCEPTED, answer)

    def read_di(self, address: str, di: int) -> Coroutine[Any, Any, RawAnswer]:
        """Read an item with all its following parts.

        Raises:
            FollowUpError: the parts do not fit together, also when read anew.
            MeterRefusal, NoAnswer, LinkDown, LinkClosed, LinkBusy, LayoutError: see `ask`.
            AddressError, FieldRangeError: at once; nothing was asked.
        """
        return self._read(plain_read(di, address, self.edition), RawAnswer)

    def read_as(self, make: Make[T], address: str, di: int) -> Coroutine[Any, Any, T]:
        """`read_di`, the answer made into something else; ``make`` is quick and does not raise."""
        return self._read(plain_read(di, address, self.edition), make)

    def read(self, address: str, first: ReadData | ReadData1997) -> Coroutine[Any, Any, RawAnswer]:
        """`read_di` for a read that says more than its identifier."""
        return self._read(prepare_read(first, address), RawAnswer)

    async def _read(self, prepared: PreparedRead, make: Make[T]) -> T:
        exchange = ReadExchange(prepared, make)
        turns, asked = self._exchanges, exchange.meter
        if not turns.take(asked):
            await turns.wait(asked)
        try:
            answer = await self.link.run(exchange, priority=self.priority)
            meter = exchange.answered_by
            if meter is None:
                return cast("T", answer)
            first = prepared.first
            part = _data(_accepted(meter, cast("Answer", answer)))
            data = await self._whole(meter, first, part) if part.more else part.data
            return make(meter, first.di, data)
        finally:
            turns.give(asked)

    async def _whole(
        self, meter: Address, first: ReadData | ReadData1997, answer: DataAnswer
    ) -> bytes:
        """A long answer whose first part is there."""
        for attempts_left in reversed(range(_LONG_READ_ATTEMPTS)):
            try:
                return await self._parts(meter, first, answer)
            except (FollowUpError, NoAnswer):
                if not attempts_left:
                    raise
            answer = _data(await self._run(RequestExchange(prepare(first, meter))))
        raise AssertionError("the last attempt returns or raises")

    async def _parts(
        self, meter: Address, first: ReadData | ReadData1997, part: DataAnswer | Refused
    ) -> bytes:
        long = LongRead(first)
        while (whole := long.receive(part)) is None:
            exchange = RequestExchange(prepare(long.request, meter))
            answer: Answer = await self.link.run(exchange, priority=self.priority)
            part = answer if isinstance(answer, Refused) else _data(answer)
        return whole

    async def _run(self, exchange: RequestExchange) -> Answer:
        answer: Answer = await self.link.run(exchange, priority=self.priority)
        meter = exchange.answered_by
        assert meter is not None, "an answer comes from somebody"
        return _accepted(meter, answer)


def _accepted(meter: Address, answer: Answer) -> Answer:
    if isinstance(answer, Refused):
        raise MeterRefusal(meter, answer)
    return answer


def _data(answer: Answer) -> DataAnswer:
    if not isinstance(answer, DataAnswer):
        raise LayoutError("The answer to a read holds no data.")
    return answer
