"""A street through real sockets and pseudo-terminals, described in a file."""

import asyncio
import gc
import json
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from protocols.dlt645 import (
    DataAnswer,
    FrameDecoder,
    LongRead,
    ReadData,
    RelayCommand,
    RelayControl,
    Request,
    encode,
    match_answer,
    request_frame,
)
from protocols.dlt645.times import MeterTime
from protocols.modbus import (
    ModbusMeter,
    RelayAction,
    load_profile,
    load_token,
    open_bus,
    order_relay,
)
from protocols.modbus.results import Outcome as Done
from simulators.errors import SimulatorValueError
from simulators.faults import Fault, FaultPlan
from simulators.metering.meter_clock import face
from simulators.metering.smart_meter import SmartMeter
from simulators.ports import Modem, ModemPort, PtyPort, TcpPort
from simulators.street import Street, build_meter, build_street
from simulators.street_clock import HeldClock, RunningClock
from simulators.street_plan import BusPlan, StreetPlan, read_street
from tests.simulators.wire_bench import OPERATOR, PASSWORD, START, WireBench
from vending.sts import Service, TransferCredit
from vending.sts import encode as encode_token

READ = ReadData(0x00010000)
FIRST = "001000000016"


def street(*buses: BusPlan, **kwargs: Any) -> Street:
    return build_street(StreetPlan(buses=buses, **kwargs), HeldClock(START))


class Client:
    """A master on a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.decoder = FrameDecoder()

    @classmethod
    async def to(cls, port: TcpPort) -> "Client":
        return cls(*await asyncio.open_connection(port.host, port.port))

    async def ask(self, request: Request, address: str, timeout_s: float = 5) -> Any:
        self.writer.write(encode(request_frame(request, address)))
        async with asyncio.timeout(timeout_s):
            while True:
                data = await self.reader.read(1000)
                if not data:
                    raise ConnectionError
                for frame in self.decoder.feed(data):
                    answer = match_answer(request, address, frame)
                    if answer is not None:
                        return answer


def is_lit(meter: SmartMeter) -> bool:
    return meter.keypad.is_lit


def run(test: Callable[[], Awaitable[None]]) -> None:
    """A test in its own loop, which must not leave a task behind."""

    async def body() -> None:
        await test()
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(body())


def test_a_bus_behind_a_tcp_port() -> None:
    async def test() -> None:
        homes = street(BusPlan(meters=30, load=1_000, listen="127.0.0.1:0"))
        async with homes:
            (named,) = homes.ports
            assert isinstance(named.port, TcpPort)
            assert named.url == f"tcp://127.0.0.1:{named.port.port}"
            assert isinstance(homes.clock, HeldClock)
            homes.clock.wait(hours=2)
            client = await Client.to(named.port)
            for address in homes.meters:
                answer = await client.ask(READ, address)
                assert answer.data.hex() == "00020000"
            client.writer.close()
            other = await Client.to(named.port)
            assert isinstance(await other.ask(READ, FIRST), DataAnswer)
            other.writer.close()

    run(test)


def test_several_clients_and_a_long_answer_in_pieces() -> None:
    async def test() -> None:
        homes = street(BusPlan(meters=3, listen="127.0.0.1:0"))
        async with homes:
            port = homes.ports[0].port
            assert isinstance(port, TcpPort)
            assert isinstance(homes.clock, HeldClock)
            homes.clock.wait(hours=5)
            clients = [await Client.to(port) for _ in range(3)]

            async def read(client: Client, address: str) -> int:
                read = LongRead(ReadData(0x06000000, 10))
                while True:
                    data = read.receive(await client.ask(read.request, address))
                    if data is not None:
                        return len(data)

            addresses = list(homes.meters)
            lengths = await asyncio.gather(*map(read, clients, addresses))
            assert lengths == [1_030] * 3
            for client in clients:
                client.writer.close()

    run(test)


def test_an_order_over_a_socket_reaches_the_home() -> None:
    async def test() -> None:
        homes = street(BusPlan(meters=2, listen="127.0.0.1:0"))
        async with homes:
            port = homes.ports[0].port
            assert isinstance(port, TcpPort)
            client = await Client.to(port)
            meter = homes.meter(FIRST)
            until = MeterTime.of(face(meter.local + 60))
            await client.ask(RelayControl(PASSWORD, OPERATOR, RelayCommand.TRIP, until), FIRST)
            assert not homes.meter(FIRST).keypad.is_lit
            client.writer.close()

    run(test)


def test_our_own_modbus_client_tops_a_meter_up() -> None:
    async def test() -> None:
        for protocol in ("modbus-tcp", "modbus-rtu"):
            homes = street(
                BusPlan(protocol=protocol, meters=5, load=1_000, credit_kwh=1, listen="127.0.0.1:0")
            )
            async with homes:
                bus = await open_bus(homes.ports[0].url)
                meter = ModbusMeter(bus, load_profile("meterhouse-keypad"), unit=3)
                simulated = list(homes.meters.values())[2]
                assert isinstance(homes.clock, HeldClock)
                homes.clock.wait(hours=1)
                readings = await meter.read(["credit", "contact_state"])
                assert readings.values == {"credit": 0, "contact_state": "open"}
                token = encode_token(
                    TransferCredit(Service.ELECTRICITY, 1, 6_000_000, 25),
                    simulated.keypad.state.cipher(),
                )
                loaded = await load_token(meter, token, 1)
                assert (loaded.outcome, loaded.result) == (Done.DONE, "Accept")
                assert loaded.credit_wh == 2_500
                assert is_lit(simulated)
                again = await load_token(meter, token, 1)
                assert (again.outcome, again.was_sent) == (Done.DONE, False)
                assert (await order_relay(meter, RelayAction.OPEN)).outcome is Done.DONE
                assert not is_lit(simulated)
                await bus.aclose()

    run(test)


def test_a_bus_behind_a_pseudo_terminal() -> None:
    async def test() -> None:
        homes = street(BusPlan(meters=4, pty=True))
        async with homes:
            port = homes.ports[0].port
            assert isinstance(port, PtyPort)
            assert port.url == f"serial://{port.path}?baud=2400&parity=E"
            for _ in range(2):  # opened, closed, and opened again
                line = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                for address in homes.meters:
                    os.write(line, encode(request_frame(READ, address)))
                    found = await _read_frame(line)
                    assert found.address == address
                os.close(line)

    run(test)


async def _read_frame(line: int) -> Any:
    decoder = FrameDecoder()
    async with asyncio.timeout(5):
        while True:
            await asyncio.sleep(0.005)
            try:
                frames = decoder.feed(os.read(line, 1000))
            except BlockingIOError:
                continue
            if frames:
                return frames[0]


def test_a_paced_line_keeps_real_time() -> None:
    async def test() -> None:
        homes = street(BusPlan(listen="127.0.0.1:0", baud=9_600, delay_ms=30))
        async with homes:
            port = homes.ports[0].port
            assert isinstance(port, TcpPort)
            client = await Client.to(port)
            loop = asyncio.get_running_loop()
            begin = loop.time()
            await client.ask(READ, FIRST)
            lasted = loop.time() - begin
            line = (20 + 24) * 11 / 9_600 + 0.03
            assert line <= lasted < line + 0.1
            client.writer.close()

    run(test)


def test_a_modem_calls_registers_beats_and_calls_again() -> None:
    async def test() -> None:
        calls: asyncio.Queue[Client] = asyncio.Queue()

        async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await calls.put(Client(reader, writer))

        head_end = await asyncio.start_server(called, "127.0.0.1", 0)
        number = head_end.sockets[0].getsockname()[1]
        modem = Modem(
            registration=b"MH{number}", heart_beat=b"HB", heart_beat_s=0.05, redial_s=0.02
        )
        homes = street(BusPlan(meters=2, repeat=2, dial=f"127.0.0.1:{number}", modem=modem))
        async with homes:
            names = set()
            clients = []
            for _ in range(2):
                client = await asyncio.wait_for(calls.get(), 5)
                names.add(await client.reader.readexactly(10))
                clients.append(client)
            assert names == {b"MH00000001", b"MH00000002"}
            assert await clients[0].reader.readexactly(4) == b"HBHB"
            port = homes.ports[0].port
            assert isinstance(port, ModemPort)
            port.hang_up()
            again = await asyncio.wait_for(calls.get(), 5)
            assert await again.reader.readexactly(10) == b"MH00000001"
            assert isinstance(await again.ask(READ, FIRST), DataAnswer)
            assert port.calls == 2
        for client in (*clients, again):
            client.writer.close()
        head_end.close()
        await head_end.wait_closed()

    run(test)


def test_a_modem_that_nobody_answers_goes_on_and_stops_at_once() -> None:
    async def test() -> None:
        modem = Modem(redial_s=0.01)
        homes = street(BusPlan(dial="127.0.0.1:1", modem=modem))
        async with homes:
            await asyncio.sleep(0.1)

    run(test)


def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    async def test() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        taken = server.sockets[0].getsockname()[1]
        homes = street(
            BusPlan(name="a", listen="127.0.0.1:0"), BusPlan(name="b", listen=f"127.0.0.1:{taken}")
        )
        with pytest.raises(OSError, match="in use"):
            await homes.start()
        port = homes.ports[0].port
        assert isinstance(port, TcpPort)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(port.host, port.port)
        server.close()
        await server.wait_closed()

    run(test)


def test_a_fault_can_cut_the_connection_and_a_late_answer_still_comes() -> None:
    async def test() -> None:
        homes = street(BusPlan(listen="127.0.0.1:0"))
        plan = FaultPlan(script={0: (Fault.LATE,), 1: (Fault.DISCONNECT,)}, late_ms=(150, 150))
        homes.buses[0].set_faults(plan)
        async with homes:
            port = homes.ports[0].port
            assert isinstance(port, TcpPort)
            client = await Client.to(port)
            with pytest.raises(TimeoutError):
                await client.ask(READ, FIRST, timeout_s=0.05)
            (frame,) = client.decoder.feed(await client.reader.read(1000))
            assert frame.address == FIRST
            with pytest.raises(ConnectionError):
                await client.ask(READ, FIRST)
            again = await Client.to(port)
            assert isinstance(await again.ask(READ, FIRST), DataAnswer)
            client.writer.close()
            again.writer.close()

    run(test)


def test_a_client_that_does_not_read_costs_no_memory() -> None:
    async def test() -> None:
        homes = street(BusPlan(listen="127.0.0.1:0"))
        async with homes:
            port = homes.ports[0].port
            assert isinstance(port, TcpPort)
            client = await Client.to(port)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            request = encode(request_frame(ReadData(0x06000000, 99), FIRST)) * 200
            for _ in range(100):
                client.writer.write(request)
                await client.writer.drain()
            await asyncio.sleep(0.05)
            (talk,) = port._talks
            assert talk._transport is not None
            assert talk._transport.get_write_buffer_size() < 100_000
            client.writer.transport.abort()

    run(test)


# --- descriptions ---------------------------------------------------------------------------------

DESCRIPTION = """
seed = 7
start = 2026-11-21T08:00:00Z
speed = 60

[meter]
drift_ppm_max = 0
utc_offset_min = 120

[[bus]]
name = "north"
meters = 3
repeat = 2
listen = "127.0.0.1:0"
baud = 2400
faults = { silence = 10, late_ms = [5, 10] }
dead_every = 3

[[bus]]
name = "modem"
protocol = "dlt645-1997"
first = 500
kind = "money"
amount_minor = 1234
dial = "127.0.0.1:7000"
[bus.modem]
registration = "ID{number}"
heart_beat_hex = "FE00"

[[bus]]
name = "plc"
protocol = "modbus-tcp"
profile = "eastron-sdm630"
phases = 3
meters = 2
load = 500
listen = "127.0.0.1:0"
"""


def test_a_street_from_toml_and_from_json(tmp_path: Path) -> None:
    path = tmp_path / "street.toml"
    path.write_text(DESCRIPTION)
    plan = read_street(path)
    homes = build_street(plan)
    assert [bus.name for bus in homes.buses] == ["north-1", "north-2", "modem", "plc"]
    assert [len(bus.wire.meters) for bus in homes.buses] == [3, 3, 1, 2]
    assert len(homes.meters) == 9
    north = homes.bus("north-1")
    assert north.pace is not None
    assert north.pace.baud == 2_400
    assert not north.drawn((north.wire.meters[2],)).is_heard
    (rich,) = homes.bus("modem").wire.meters
    assert rich.flow.supply.purse is not None
    assert rich.flow.supply.purse.balance_minor == 1_234
    assert rich.address == build_meter(500, START).address
    assert isinstance(homes.clock, RunningClock)
    assert homes.clock.now() - START < timedelta(minutes=5)
    as_json = tmp_path / "street.json"
    as_json.write_text(json.dumps({"bus": [{"name": "x", "pty": True}], "seed": 3}))
    assert read_street(as_json).buses == (BusPlan(name="x", pty=True),)


@pytest.mark.parametrize(
    "text",
    [
        "speeed = 3",
        "[[bus]]\nmeter = 3",
        '[[bus]]\nmeters = "3"',
        "[[bus]]\nmeters = 0",
        '[[bus]]\nprotocol = "iec"',
        '[[bus]]\nprotocol = "modbus-tcp"\nmeters = 300',
        '[[bus]]\nkind = "water"',
        '[[bus]]\npty = true\nlisten = "x:1"',
        '[[bus]]\nload = "factory"',
        "[[bus]]\nfaults = { silent = 3 }",
        "[[bus]]\n[bus.modem]\nheart_beat_s = 0",
        "[meter]\nwheels = 3",
        '[meter]\ndemand_period_min = "x"',
        "start = 2026-11-21T08:00:00",
        "[[bus",
    ],
)
def test_a_wrong_description_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "street.toml"
    path.write_text(text)
    with pytest.raises(SimulatorValueError):
        read_street(path)


def test_a_street_has_each_meter_once() -> None:
    with pytest.raises(SimulatorValueError, match="two buses"):
        street(BusPlan(first=1, meters=3), BusPlan(first=3))
    with pytest.raises(SimulatorValueError, match="host:port"):
        street(BusPlan(listen="somewhere"))
    with pytest.raises(SimulatorValueError, match="no meter"):
        street(BusPlan()).meter("5")


def test_the_same_seed_builds_the_same_street() -> None:
    streets = [street(BusPlan(meters=5), seed=seed) for seed in (1, 1, 2)]
    for homes in streets:
        assert isinstance(homes.clock, HeldClock)
        homes.clock.wait(days=1)
    totals = [
        [homes.meter(address).keypad.registers.consumed_ws for address in homes.meters]
        for homes in streets
    ]
    assert totals[0] == totals[1] != totals[2]
    assert len(set(totals[0])) == 5


def test_a_meter_weighs_three_kilobytes() -> None:
    build_street(StreetPlan(buses=(BusPlan(meters=3),)), HeldClock(START))
    gc.collect()
    tracemalloc.start()
    homes = build_street(StreetPlan(buses=(BusPlan(meters=500),)), HeldClock(START))
    gc.collect()
    weight = tracemalloc.get_traced_memory()[0] / 500
    tracemalloc.stop()
    assert len(homes.meters) == 500
    assert weight < 3_000, "3.1 kB after a while, 3.9 kB after its first midnight"


def test_a_running_clock_runs_as_fast_as_it_is_told() -> None:
    clock = RunningClock(START, 3_600)
    first = clock.now()
    while clock.now() == first:
        pass
    assert START <= first < clock.now()
    with pytest.raises(SimulatorValueError):
        RunningClock(START, 0)


def test_the_bench_is_the_first_meter_of_a_street() -> None:
    assert WireBench().meter.address == FIRST
