"""DL/T 645: frames made and read, round trips through the master, serial lines kept busy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Final

from dlt645 import DLT645Protocol
from dlt645.aio import AsyncMeterClientService

from benchmarks.line import Line, Scale, Target, Yardstick
from benchmarks.measure import rates
from protocols.dlt645 import Frame, FrameDecoder, encode
from protocols.dlt645.master import Master
from protocols.transport import LineSettings, open_link
from simulators.line import SerialLine

_PAIRS: Final = 40_000
_TRIP_TURNS: Final = 30
_TRIP_TURNS_MANY: Final = 200
"""A turn of many connections takes a few milliseconds: more of them find a quiet moment."""
_TURN_TRIPS: Final = 300
_CONNECTIONS: Final = 50
_LINE_S: Final = 3
_PERCENT: Final = 100

_METER: Final = "123456789012"
_ENERGY: Final = 0x00010000
_REQUEST: Final = Frame(_METER, 0x11, _ENERGY.to_bytes(4, "little"))
_ANSWER: Final = Frame(_METER, 0x91, _REQUEST.data + bytes.fromhex("78563412"))
_LONG_ANSWER: Final = Frame(_METER, 0x91, bytes.fromhex("00ff0100") + bytes(196))
"""A block (total and 48 tariffs), as long as the standard lets one frame be."""
_REQUEST_WIRE: Final = encode(_REQUEST)
_ANSWER_WIRE: Final = encode(_ANSWER)


def lines(scale: Scale) -> Iterator[Line]:
    """Measure everything."""
    yield from _codec(scale)
    with _answering_port() as port:
        yield from _round_trips(scale, port)
    yield from _serial_lines(scale)


# Frames


def _codec(scale: Scale) -> Iterator[Line]:
    ours, bare, peer = rates([frame_pairs, bare_pairs, peer_pairs], scale(_PAIRS))
    limit = "the interpreter: two shifts and two sums are most of what C does"
    yield Line(
        "a frame made and read, PyPI dlt645",
        peer,
        "pairs/s",
        "the interpreter",
        yardstick=Yardstick("ours", ours),
    )
    yield Line(
        "a frame made and read",
        ours,
        "pairs/s",
        limit,
        Target(200_000),
        Yardstick("its translate() and sum() alone", bare),
    )


def frame_pairs(count: int) -> Callable[[], object]:
    """An answer of eight bytes of data, made and found again."""
    frames = [Frame(_METER, 0x91, number.to_bytes(8, "little")) for number in range(count)]
    decoder = FrameDecoder()

    def work() -> None:
        for frame in frames:
            decoder.feed(encode(frame))

    return work


def bare_pairs(count: int) -> Callable[[], object]:
    """What no implementation can leave out: both directions' shift and checksum."""
    shift = bytes((byte + 0x33) & 0xFF for byte in range(256))
    unshift = bytes((byte - 0x33) & 0xFF for byte in range(256))
    body = _ANSWER_WIRE[4:-2]

    def work() -> None:
        for number in range(count):
            data = number.to_bytes(8, "little").translate(shift)
            sum(body)
            data.translate(unshift)
            sum(body)

    return work


def peer_pairs(count: int) -> Callable[[], object]:
    """The same by the package `dlt645`."""
    address = bytes.fromhex(_METER)[::-1]

    def work() -> None:
        for number in range(count):
            wire = DLT645Protocol.build_frame(address, 0x91, number.to_bytes(8, "little"))
            DLT645Protocol.deserialize(bytes(wire))

    return work


# Round trips

Ask = Callable[[], Awaitable[object]]
Connect = Callable[[int], Awaitable[Ask]]
"""Connects to a port; gives what asks once."""


def _round_trips(scale: Scale, port: int) -> Iterator[Line]:
    """The same dumb answerer, in a process of its own, behind each kind of client."""
    for connections, turns, target in (
        (1, _TRIP_TURNS, 70),
        (_CONNECTIONS, _TRIP_TURNS_MANY, 50),
    ):
        kinds = [_master, _plain, _streams]
        if connections == 1:
            kinds.append(_peer)  # each of its clients takes seconds to make
        ours, plain, streams, *peers = asyncio.run(
            _trip_rates(kinds, port, connections, scale(turns))
        )
        name = f"{connections} connection{'s' if connections > 1 else ''}"
        yield Line(f"plain asyncio protocol, {name}", plain, "trips/s", "the event loop")
        yield Line(f"plain asyncio streams, {name}", streams, "trips/s", "the event loop")
        beside = Yardstick("plain asyncio protocol", plain)
        limit = "the interpreter, beside the event loop"
        for peer in peers:
            yield Line(f"PyPI dlt645's client, {name}", peer, "reads/s", limit, yardstick=beside)
        yield Line(f"Master.read, {name}", ours, "reads/s", limit, yardstick=beside)
        share = _PERCENT * ours / plain
        yield Line(f"Master.read, {name}: of plain asyncio", share, "%", limit, Target(target))


async def _trip_rates(
    kinds: Sequence[Connect], port: int, connections: int, turns: int
) -> list[float]:
    """Round trips per second of each kind, the best of many short turns."""
    asks = [[await kind(port) for _ in range(connections)] for kind in kinds]
    each = max(1, _TURN_TRIPS // connections)
    best = [0.0] * len(kinds)
    for _ in range(turns):
        for place, some in enumerate(asks):
            start = perf_counter()
            await asyncio.gather(*(_times(ask, each) for ask in some))
            seconds = perf_counter() - start
            best[place] = max(best[place], each * connections / seconds)
    return best


async def _times(ask: Ask, count: int) -> None:
    for _ in range(count):
        await ask()


async def _master(port: int) -> Ask:
    """What an application calls: a value with its unit, over a link with all its discipline."""
    master = Master(await open_link(f"tcp://127.0.0.1:{port}"))
    return lambda: master.read(_METER, _ENERGY)


class _PlainClient(asyncio.Protocol):
    """Nothing but the event loop's own work."""

    _transport: asyncio.WriteTransport
    _answer: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._answer.set_result(data)

    async def ask(self) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(_REQUEST_WIRE)
        return await self._answer


async def _plain(port: int) -> Ask:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(_PlainClient, "127.0.0.1", port)
    return client.ask


async def _streams(port: int) -> Ask:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask() -> bytes:
        writer.write(_REQUEST_WIRE)
        await writer.drain()
        return await reader.readexactly(len(_ANSWER_WIRE))

    return ask


async def _peer(port: int) -> Ask:
    client = AsyncMeterClientService.new_tcp_client("127.0.0.1", port)
    client.set_address(bytes.fromhex(_METER)[::-1].hex())
    await client.connect()
    return lambda: client.read_00(_ENERGY)


class _Answerer(asyncio.Protocol):
    """The same answer to whatever comes."""

    _transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER_WIRE)


def _serve(tell: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Answerer, "127.0.0.1", 0)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@contextmanager
def _answering_port() -> Iterator[int]:
    """A port whose answerer runs in another process."""
    context = get_context("spawn")
    hear, tell = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(tell,), daemon=True)
    process.start()
    try:
        yield hear.recv()
    finally:
        process.kill()
        process.join()


# Serial lines


def _serial_lines(scale: Scale) -> Iterator[Line]:
    for baud in (2400, 9600):
        for name, frame in (("one value", _ANSWER), ("blocks of 196 bytes", _LONG_ANSWER)):
            trips = scale(_LINE_S * baud // (11 * _trip_bytes(frame)))
            share = asyncio.run(_line_share(baud, frame, max(2, trips)))
            yield Line(
                f"serial line at {baud} 8E1 kept, {name}",
                _PERCENT * share,
                "%",
                "the timers of the event loop, twice a round trip",
                Target(95),
            )


def _trip_bytes(answer: Frame) -> int:
    return len(_REQUEST_WIRE) + len(encode(answer))


async def _line_share(baud: int, answer: Frame, trips: int) -> float:
    """How much of what the line's speed allows was used; the meter answers at once."""
    settings = LineSettings(baud=baud)
    decoder = FrameDecoder()
    wire = encode(answer)

    def heard(data: bytes) -> None:
        for _ in decoder.feed(data):
            line.send(wire)

    line = SerialLine(settings, heard)
    link = await open_link(f"serial://{line.path}?baud={baud}&parity=E")
    master = Master(link)
    di = int.from_bytes(answer.data[:4], "little")
    try:
        await master.read(_METER, di)
        start = perf_counter()
        for _ in range(trips):
            await master.read(_METER, di)
        seconds = perf_counter() - start
    finally:
        await link.aclose()
        line.close()
    return trips * settings.duration_s(_trip_bytes(answer)) / seconds
