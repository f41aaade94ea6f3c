"""Sockets and ptys for the tests, and servers that misbehave on demand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

from pymodbus.framer import FramerRTU

from protocols.modbus import (
    Framing,
    ModbusBus,
    ModbusMeter,
    ServerSession,
    Table,
    Unit,
    serve_tcp,
)
from protocols.modbus.errors import IllegalDataAddressError
from protocols.modbus.requests import Request
from protocols.transport.errors import NoAnswer
from protocols.transport.exchange import Priority
from protocols.transport.opening import open_link
from protocols.transport.options import LinkOptions

QUICK = LinkOptions(delay_ms_first=60, delay_ms_min=60, delay_ms_max=60, margin_ms=60, retries=0)
"""A silent meter costs 0.12 s."""

Reply = tuple[float, bytes]
"""Seconds after the request, and what then comes."""
Behaviour = Callable[[int, bytes], Iterable[Reply]]
"""Unit and body of a request → what comes back."""


class Cells:
    """A unit whose registers and bits are ``step`` times their address, plus ``base``."""

    def __init__(self, base: int = 0, step: int = 1) -> None:
        self.base = base
        self.step = step
        self.written: dict[int, int] = {}
        self.writes = 0

    def read(self, table: Table, register: int, count: int) -> list[int]:
        if register + count > 1000:
            raise IllegalDataAddressError("past the last one")
        if table.is_bits:
            return [self.value(place) & 1 for place in range(register, register + count)]
        places = range(register, register + count)
        return [self.written.get(place, self.value(place)) for place in places]

    def value(self, place: int) -> int:
        return self.base + self.step * place

    def write(self, table: Table, register: int, words: Sequence[int]) -> None:
        self.writes += 1
        self.written.update({register + n: word for n, word in enumerate(words)})


def rtu(unit: int, body: bytes) -> bytes:
    """An RTU frame."""
    frame = bytes((unit,)) + body
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


class Misbehaving:
    """A gateway whose answers come when and how a function says; counts what it got."""

    def __init__(self, framing: Framing, behaviour: Behaviour) -> None:
        self.framing = framing
        self.behaviour = behaviour
        self.requests: list[tuple[int, bytes]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        session = ServerSession(_All(), self.framing)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                for request in session.feed(data):
                    self.requests.append((request.unit, request.body))
                    for delay_s, out in self.behaviour(request.unit, request.body):
                        frame = self._framed(request.transaction, request.unit, out)
                        loop.call_later(delay_s, self._write, writer, frame)
        writer.close()

    def _framed(self, transaction: int, unit: int, out: bytes) -> bytes:
        if self.framing is Framing.RTU:
            return out
        head = transaction.to_bytes(2, "big") + b"\0\0" + (len(out) + 1).to_bytes(2, "big")
        return head + bytes((unit,)) + out

    @staticmethod
    def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
        if not writer.is_closing():
            writer.write(data)


class _All(Mapping[int, Unit]):
    """Every address there can be; never asked to answer."""

    def __getitem__(self, unit: int) -> Unit:
        raise KeyError(unit)

    def __contains__(self, unit: object) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError

    def __len__(self) -> int:
        return 256


@contextlib.asynccontextmanager
async def gateway(
    framing: Framing, behaviour: Behaviour, options: LinkOptions = QUICK
) -> AsyncIterator[tuple[ModbusBus, Misbehaving]]:
    """A bus to a misbehaving gateway."""
    server = Misbehaving(framing, behaviour)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    link = await open_link(f"tcp://127.0.0.1:{port}", options=options)
    try:
        yield ModbusBus(link, framing), server
    finally:
        await link.aclose()
        listener.close()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def bus_to(
    units: Mapping[int, Unit], framing: Framing = Framing.TCP, options: LinkOptions = QUICK
) -> AsyncIterator[ModbusBus]:
    """A bus to our own server."""
    listener = await serve_tcp(units, framing)
    port = listener.sockets[0].getsockname()[1]
    link = await open_link(f"tcp://127.0.0.1:{port}", options=options)
    try:
        yield ModbusBus(link, framing)
    finally:
        await link.aclose()
        listener.close()
        await asyncio.sleep(0.01)


@contextlib.contextmanager
def pty_line(units: Mapping[int, Unit]) -> Iterator[str]:
    """A pty whose far side answers for units; gives its path.  Needs a running loop."""
    near, far = os.openpty()
    tty.setraw(near)
    tty.setraw(far)
    os.set_blocking(near, False)
    session = ServerSession(units, Framing.RTU)
    loop = asyncio.get_running_loop()

    def answer() -> None:
        for request in session.feed(os.read(near, 4096)):
            os.write(near, session.respond(request))

    loop.add_reader(near, answer)
    try:
        yield os.ttyname(far)
    finally:
        loop.remove_reader(near)
        os.close(near)
        os.close(far)


def read_answer(function: int, words: Sequence[int]) -> bytes:
    """The body of an answer to a read of registers."""
    data = b"".join(word.to_bytes(2, "big") for word in words)
    return bytes((function, len(data))) + data


def asked(body: bytes) -> tuple[int, int]:
    """Register and count of a request."""
    return int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")


def losing(meter: ModbusMeter, *, before: bool, reads: int = 0) -> None:
    """Lose the next write (before or after the meter took it), and some reads after it."""
    bus, run = meter.bus, meter.bus.run
    lost_reads = 0

    async def lossy(request: Request, _priority: Priority) -> object:
        nonlocal lost_reads
        if request.is_write:
            if not before:
                await run(request)
            lost_reads = reads
            raise NoAnswer("lost")
        if lost_reads:
            lost_reads -= 1
            raise NoAnswer("lost too")
        return await run(request)

    bus.run = lossy  # type: ignore[method-assign,assignment]
