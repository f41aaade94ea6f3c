"""A wire to a street on which some items are answered as no simulated meter would answer them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from sqlalchemy import update

from headend.registry.tables import links
from headend.station import Station
from simulators.street import Street

_START: Final = 0x68
_END: Final = 0x16
_READ: Final = 0x11
_SHIFT: Final = 0x33
_ANSWER: Final = 0x80
Item = tuple[str, int]
"""A meter's address and an identifier."""


@asynccontextmanager
async def odd_wire(
    station: Station,
    street: Street,
    odd: Mapping[Item, bytes],
    at: Callable[[Item], None] = lambda _item: None,
) -> AsyncIterator[None]:
    """All links lead through this wire to the street's first port.

    Args:
        station: whose links.
        street: that is reachable.
        odd: what is answered, instead of what the meter would.
        at: called before a read reaches its meter.
    """
    host, _, port = street.ports[0].url.partition("://")[2].rpartition(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meter_reader, meter_writer = await asyncio.open_connection(host, int(port))

        async def pass_back() -> None:
            while answer := await meter_reader.read(4096):
                writer.write(answer)

        back = asyncio.create_task(pass_back())
        try:
            while request := await reader.read(4096):
                item = _item(request)
                if item is not None:
                    at(item)
                if item is not None and item in odd:
                    writer.write(_answer(item, odd[item]))
                else:
                    meter_writer.write(request)
        except ConnectionError:
            pass
        finally:
            back.cancel()
            meter_writer.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    through = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def reroute() -> None:
        with station.writing() as connection:
            connection.execute(update(links).values(url=through))

    await asyncio.to_thread(reroute)
    try:
        yield
    finally:
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await server.wait_closed()


def _item(request: bytes) -> Item | None:
    start = request.index(_START)
    if request[start + 8] != _READ:
        return None
    di = bytes((byte - _SHIFT) & 0xFF for byte in request[start + 10 : start + 14])
    return request[start + 1 : start + 7][::-1].hex(), int.from_bytes(di, "little")


def _answer(item: Item, data: bytes) -> bytes:
    address, di = item
    shifted = bytes((byte + _SHIFT) & 0xFF for byte in di.to_bytes(4, "little") + data)
    head = bytes([_START]) + bytes.fromhex(address)[::-1]
    frame = head + bytes([_START, _READ | _ANSWER, len(shifted)]) + shifted
    return frame + bytes([sum(frame) & 0xFF, _END])
