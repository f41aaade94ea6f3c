"""A Modbus line: requests to its units, one at a time, and never another one's answer.

Built on our own link discipline (`protocols.transport`) with pymodbus's messages and frames,
not on pymodbus's client.  What that client (3.16.1) does, and what stands here instead:

* After ``retries + 4`` requests in a row without an answer it closes a TCP connection, and
  refuses the other units too until it has reconnected.  Here a silent unit costs its own
  time-out and nothing else; a line is broken only when the line says so.
* It sends everything up to four times, writes too.  Here a write is sent once.
* On RTU, which knows no transaction numbers, it takes any answer of the right unit: a late one,
  one of another function, one with another number of registers.  Here the answer must fit, and
  after a lost answer a unit is first brought back into step (below).
* A frame that it cannot decode closes the connection.  Here it is noise.

Into step
    On RTU two reads of equal length have answers that look alike.  So while an answer of a unit
    is owed (its request timed out, was repeated, or its caller went away), a request whose
    answer could be mistaken for it is preceded by a read of another length.  A unit answers in
    order: once that answer is here, nothing older can come any more.  The same read again
    needs none of this: its late answer is an answer to it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from protocols.modbus.framing import AnswerReader, Framing, build
from protocols.modbus.items import Table
from protocols.modbus.requests import BROADCAST, Answer, Request, read_request
from protocols.transport.errors import LinkBusy
from protocols.transport.exchange import Exchange, Priority

_T = TypeVar("_T")
_TRANSACTIONS: Final = 0x10000
_REFUSALS_MAX: Final = 8


class Line(Protocol):
    """What a bus needs of a link: `protocols.transport.Link`."""

    async def run(self, exchange: Exchange[_T], *, priority: Priority = Priority.ROUTINE) -> _T:
        """Carry out one exchange, in turn."""

    async def aclose(self) -> None:
        """Close for good."""


class ModbusExchange:
    """One request on its way; see `protocols.transport.exchange`."""

    __slots__ = (
        "_reader",
        "_request",
        "answer_bytes_max",
        "answer_expected",
        "meter",
        "repeatable",
        "request",
        "was_doubtful",
    )

    def __init__(self, framing: Framing, request: Request, transaction: int) -> None:
        self._request = request
        self._reader = AnswerReader(framing, request, transaction)
        self.request = build(framing, request.message, transaction)
        self.meter = str(request.unit)
        self.answer_expected = request.unit != BROADCAST
        self.answer_bytes_max = (
            framing.overhead + request.answer_length if self.answer_expected else 0
        )
        self.repeatable = not request.is_write
        self.was_doubtful = False
        """The request may have been sent more than once: an answer may still be owed."""

    def receive(self, data: bytes) -> Answer | None:
        """Take what arrived; the answer once it is there.

        A refusal is an answer: it is returned, not raised, so that the link does not ask again.
        """
        if not data:
            self.was_doubtful = True
        body = self._reader.feed(data)
        return None if body is None else self._request.answer(body)


@dataclass(slots=True)
class _Owed:
    """A request whose answer may still come (RTU only)."""

    request: Request
    times: int = 1
    answered: bool = False
    """It was answered before, and not refused: what may still come is no refusal."""

    def may_be_taken_for(self, request: Request) -> bool:
        """Whether its late answer could pass for the answer to another request."""
        if _same(self.request, request):
            return request.is_write
        if self.request.function != request.function:
            return False
        return not self.answered or _alike(self.request, request)


@dataclass(slots=True)
class _Unit:
    """What is remembered of a unit."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    owed: list[_Owed] = field(default_factory=list)

    def owe(self, request: Request, *, answered: bool) -> None:
        """One more answer to this request may still come."""
        for owed in self.owed:
            if _same(owed.request, request):
                owed.times += 1
                return
        self.owed.append(_Owed(request, answered=answered))

    def settle(self, request: Request) -> None:
        """An answer to this request is here: older ones cannot come any more."""
        if any(_alike(o.request, request) and not _same(o.request, request) for o in self.owed):
            return
        self.owed = [owed for owed in self.owed if _same(owed.request, request)]
        for owed in self.owed:
            owed.answered = True


class ModbusBus:
    """The units behind one link.  Use one bus for one link: it knows what is still owed."""

    def __init__(self, link: Line, framing: Framing) -> None:
        """Speak Modbus over a link.

        Args:
            link: an open link.
            framing: what travels on it.
        """
        self.link = link
        self.framing = framing
        self._units: dict[int, _Unit] = {}
        self._transaction = 0

    async def run(self, request: Request, priority: Priority = Priority.ROUTINE) -> Answer:
        """Carry out one request.

        A write is sent once.  An empty answer comes back for a broadcast.

        Raises:
            ModbusRefusal: the unit refused; by the standard's named exceptions.
            NoAnswer, LinkDown, LinkClosed, LinkBusy: see `protocols.transport.errors`.
        """
        if request.unit == BROADCAST:
            await self._send(request, priority)
            return Answer(())
        unit = self._units.setdefault(request.unit, _Unit())
        async with unit.lock:
            if any(owed.may_be_taken_for(request) for owed in unit.owed):
                await self._into_step(unit, request, priority)
            answer = await self._ask(unit, request, priority)
        if answer.refusal is not None:
            raise answer.refusal
        return answer

    async def read(
        self,
        unit: int,
        table: Table,
        register: int,
        count: int,
        priority: Priority = Priority.ROUTINE,
    ) -> tuple[int, ...]:
        """Registers, or bits as 0 and 1.

        Raises:
            ModbusValueError: see `requests.read_request`.
            ModbusRefusal, LinkError: see `run`.
        """
        return (await self.run(read_request(unit, table, register, count), priority)).words

    async def aclose(self) -> None:
        """Close the link for good."""
        await self.link.aclose()

    async def _ask(self, unit: _Unit, request: Request, priority: Priority) -> Answer:
        try:
            answer, is_doubtful = await self._send(request, priority)
        except LinkBusy:
            raise  # never sent
        except (Exception, asyncio.CancelledError):
            self._owe(unit, request, answered=False)
            raise
        if answer.refusal is None:
            unit.settle(request)
        if is_doubtful:
            self._owe(unit, request, answered=answer.refusal is None)
        return answer

    async def _send(self, request: Request, priority: Priority) -> tuple[Answer, bool]:
        self._transaction = (self._transaction + 1) % _TRANSACTIONS or 1
        exchange = ModbusExchange(self.framing, request, self._transaction)
        answer = await self.link.run(exchange, priority=priority)
        return answer, exchange.was_doubtful

    def _owe(self, unit: _Unit, request: Request, *, answered: bool) -> None:
        if self.framing is Framing.RTU:  # TCP has transaction numbers
            unit.owe(request, answered=answered)

    async def _into_step(self, unit: _Unit, request: Request, priority: Priority) -> None:
        """Read something of another length until its own answer is here.

        A refusal may belong to any older request; so it takes one more than are owed.

        Raises:
            NoAnswer: the unit is silent; the request itself was not sent.
            LinkError: see `run`.
        """
        probe = _probe(unit, request)
        refusals = min(sum(owed.times for owed in unit.owed), _REFUSALS_MAX) + 1
        for _ in range(refusals):
            answer = await self._ask(unit, probe, priority)
            if answer.refusal is None:
                return
        unit.owed.clear()


def _alike(one: Request, other: Request) -> bool:
    """Whether an answer to the one could be taken for an answer to the other."""
    return one.answer_head == other.answer_head and one.answer_length == other.answer_length


def _same(one: Request, other: Request) -> bool:
    """Whether the two ask the very same."""
    return one.message.encode() == other.message.encode() and one.function == other.function


def _probe(unit: _Unit, request: Request) -> Request:
    """A read near the request, whose answer has a length that no owed answer has."""
    table, register = _place(unit, request)
    for count in range(1, 126):
        start = min(register, 0x10000 - count)
        probe = read_request(request.unit, table, start, count)
        owed = (o.request for o in unit.owed)
        if not _alike(probe, request) and not any(
            _alike(probe, other) and not _same(probe, other) for other in owed
        ):
            return probe
    raise AssertionError("fewer lengths can be owed than there are")


def _place(unit: _Unit, request: Request) -> tuple[Table, int]:
    """Where the unit is known to have registers: where it is or was read, or else written."""
    for known in (request, *(owed.request for owed in unit.owed)):
        table = _TABLES.get(known.function)
        if table is not None:
            return table, known.message.address
    return Table.HOLDING, request.message.address


_TABLES: Final = {3: Table.HOLDING, 4: Table.INPUT}
