"""Against the PyPI package ``dlt645``: its client with our meter, our master with its server.

Where it does not follow the standard (shared specification in brackets) nothing is compared:

* its server answers a wildcard with the wildcard, not with its own number [1];
* it sends and takes broadcast time with the year first [1, v104];
* its speed feature bytes from 4800 on are decimal, 16 for 10H [2.1];
* the time of a demand has its year first on its wire [4.2];
* its meter clear takes an identifier where PA and operator stand, and 1AH has none [2];
* its ``change_password`` uses an identifier that does not exist (40000C0x) [2];
* its addresses and passwords are strings in the order of the wire.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from dlt645 import Demand
from dlt645.aio import AsyncMeterClientService, AsyncMeterServerService

from protocols.dlt645 import ErrorByte, Password, encode
from protocols.dlt645.answers import Refused
from protocols.dlt645.codec import Frame, FrameDecoder
from protocols.dlt645.master import Master, MeterRefusal, Outcome
from protocols.transport import open_link
from tests.protocols.dlt645.meters import METER, PASSWORD, QUICK, LineMeter, bcd, line_of
from tests.protocols.transport.peers import in_loop

WIRE_ADDRESS = "129078563412"
"""`METER` as they write it."""


# Their client


@asynccontextmanager
async def their_client(meter: LineMeter) -> AsyncIterator[AsyncMeterClientService]:
    async with line_of(meter) as (_, line):
        port = int(line.url.rpartition(":")[2])
        client = AsyncMeterClientService.new_tcp_client("127.0.0.1", port, timeout=1.0)
        client.set_address(WIRE_ADDRESS)
        assert await client.connect()
        try:
            yield client
        finally:
            await client.disconnect()


@in_loop
async def test_their_client_reads_our_meter() -> None:
    items = {
        0x00010000: bcd(12345678, 4),
        0x02010100: bcd(2301, 2),
        0x02030000: bcd(12345, 3),
        0x01010000: bcd(12345, 3) + bytes.fromhex("3012211126"),
        0x04000401: bytes.fromhex("129078563412"),
    }
    async with their_client(LineMeter(items=items)) as client:
        assert (await client.read_00(0x00010000)).value == pytest.approx(123456.78)
        assert (await client.read_02(0x02010100)).value == pytest.approx(230.1)
        assert (await client.read_02(0x02030000)).value == pytest.approx(1.2345)
        demand = await client.read_01(0x01010000)
        assert demand.value.value == pytest.approx(1.2345)
        assert (await client.read_04(0x04000401)).value == METER
        assert (await client.read_address()).value == WIRE_ADDRESS
        assert await client.read_00(0x00020000) is None  # refused


@in_loop
async def test_their_client_orders_our_meter() -> None:
    meter = LineMeter()
    async with their_client(meter) as client:
        await client.write_04(0x04001001, "00001050", "02563412")
        assert meter.items[0x04001001] == bcd(1050, 4)
        assert await client.freeze(99, 99, 99, 99) is not None
        assert await client.change_baud_rate(2400) is not None
        assert await client.clear_meter("02563412") is not None
        assert await client.clear_event("02563412") is not None
        meter.refusal = Refused.of(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        assert await client.clear_meter("02563412") is None


# Their server


@asynccontextmanager
async def their_server() -> AsyncIterator[tuple[AsyncMeterServerService, Master]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = AsyncMeterServerService.new_tcp_server("127.0.0.1", port)
    server.set_address(WIRE_ADDRESS)
    await server.start()
    link = await open_link(f"tcp://127.0.0.1:{port}", options=QUICK)
    try:
        yield server, Master(link)
    finally:
        await link.aclose()
        await server.stop()


@in_loop
async def test_our_master_reads_their_server() -> None:
    async with their_server() as (server, master):
        assert server.set_00(0x00010000, 123456.78)
        assert server.set_02(0x02010100, 230.1)
        assert server.set_02(0x02030000, -1.2345) is not None
        assert server.set_01(0x01010000, Demand(1.2345, datetime.now(UTC)))
        assert (await master.read(METER, 0x00010000)).value == Decimal("123456.78")
        assert (await master.read(METER, 0x02010100)).value == Decimal("230.1")
        demand = await master.read(METER, 0x01010000)
        assert demand.readings[0].value == Decimal("1.2345")
        assert await master.read_address() == METER
        with pytest.raises(MeterRefusal) as refusal:
            await master.read(METER, 0x00FE0000)
        assert refusal.value.word == ErrorByte.NO_REQUESTED_DATA


@in_loop
async def test_our_master_orders_their_server() -> None:
    async with their_server() as (server, master):
        assert server.set_password("02563412")
        wrong = await master.write(METER, 0x04000103, Decimal(30), Password(2, "999999"))
        assert wrong.outcome is Outcome.FAILED
        assert wrong.refusal is not None
        assert wrong.refusal.word == ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED
        right = await master.write(METER, 0x04000103, Decimal(30), PASSWORD)
        assert right.outcome is Outcome.DONE
        assert (await master.read(METER, 0x04000103)).value == Decimal(30)
        assert (await master.freeze(METER)).outcome is Outcome.DONE
        assert bytes(server.last_freeze_time) == b"\x99" * 4
        cleared = await master.clear_events(METER, PASSWORD)
        assert cleared.outcome is Outcome.DONE


def test_the_two_codecs_make_and_read_the_same_frames() -> None:
    from dlt645 import DLT645Protocol

    for data in (b"", bytes(range(200)), b"\xcd\x16\x68\xfe"):
        theirs = bytes(DLT645Protocol.build_frame(bytes.fromhex(WIRE_ADDRESS), 0x91, data))
        assert theirs == encode(Frame(METER, 0x91, data))
        assert FrameDecoder().feed(theirs) == [Frame(METER, 0x91, data)]
