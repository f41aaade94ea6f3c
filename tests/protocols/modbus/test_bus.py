"""A bad unit costs the others nothing, and nobody gets another one's answer."""

import asyncio
import random
from collections.abc import Iterable

import pytest

from protocols.modbus import (
    Framing,
    GatewayTargetFailedError,
    IllegalDataAddressError,
    ModbusBus,
    ModbusRefusal,
    ModbusValueError,
    Table,
    UnknownRefusal,
    open_bus,
    parse_bus_url,
)
from protocols.modbus.requests import read_request, write_request
from protocols.transport.errors import LinkDown, LinkUrlError, NoAnswer
from protocols.transport.options import LinkOptions
from tests.protocols.modbus.wires import (
    QUICK,
    Behaviour,
    Cells,
    Reply,
    asked,
    bus_to,
    gateway,
    read_answer,
    rtu,
)

LATE_S = 0.2
"""Later than `QUICK` waits."""


def value(unit: int, register: int) -> int:
    """What each register of each unit holds: no two are alike."""
    return unit << 8 | register


def honest(unit: int, body: bytes) -> bytes:
    register, count = asked(body)
    return read_answer(body[0], [value(unit, register + n) for n in range(count)])


def in_frame(framing: Framing, unit: int, body: bytes) -> bytes:
    return rtu(unit, body) if framing is Framing.RTU else body


async def read_one(bus: ModbusBus, unit: int, register: int) -> int:
    (word,) = await bus.read(unit, Table.HOLDING, register, 1)
    return word


@pytest.mark.parametrize("framing", Framing)
def test_one_dead_unit_among_five_costs_the_others_nothing(framing: Framing) -> None:
    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        if unit != 3:
            yield 0, in_frame(framing, unit, honest(unit, body))

    async def scene() -> None:
        async with gateway(framing, behaviour) as (bus, server):
            for round_ in range(9):
                for unit in (1, 2, 3, 4, 5):
                    if unit == 3:
                        with pytest.raises(NoAnswer):
                            await read_one(bus, unit, round_)
                    else:
                        assert await read_one(bus, unit, round_) == value(unit, round_)
            assert server.connections == 1

    asyncio.run(scene())


def test_the_late_answer_of_another_unit_is_passed_over() -> None:
    """It comes alone, and in one packet with the right one (where pymodbus loses both)."""

    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        late = rtu(7, read_answer(3, [0xDEAD]))
        yield 0, late
        yield 0.01, late + rtu(unit, honest(unit, body))

    async def scene() -> None:
        async with gateway(Framing.RTU, behaviour) as (bus, _):
            for register in range(5):
                assert await read_one(bus, 2, register) == value(2, register)

    asyncio.run(scene())


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("late_s", [0.13, 0.2, 0.3])
def test_a_late_answer_of_the_same_unit_is_never_taken_for_another(
    framing: Framing, late_s: float
) -> None:
    """Each answer is late by another time; two reads of equal length look alike on RTU."""
    seeded = random.Random(int(late_s * 100))

    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        late = seeded.random() < 0.4
        yield late_s if late else 0.001, in_frame(framing, unit, honest(unit, body))

    async def scene() -> None:
        right = silent = 0
        async with gateway(framing, in_order(behaviour)) as (bus, _):
            for register in range(25):
                try:
                    word = await read_one(bus, 1, register)
                except NoAnswer:
                    silent += 1
                else:
                    right += 1
                    assert word == value(1, register)
        assert right > 5
        assert silent > 2

    asyncio.run(scene())


def in_order(behaviour: Behaviour) -> Behaviour:
    """A unit answers one request after the other: nothing overtakes."""
    free_at = 0.0

    def ordered(unit: int, body: bytes) -> Iterable[Reply]:
        nonlocal free_at
        now = asyncio.get_running_loop().time()
        for delay_s, out in behaviour(unit, body):
            free_at = max(free_at + 0.005, now + delay_s)
            yield free_at - now, out

    return ordered


def test_a_unit_is_brought_into_step_by_a_read_of_another_length() -> None:
    """The lost answer comes right before the next one's: equal in form, of another register."""

    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        first = len(server_requests) == 1
        yield LATE_S if first else 0.05, rtu(unit, honest(unit, body))

    server_requests: list[tuple[int, bytes]] = []

    async def scene() -> None:
        async with gateway(Framing.RTU, in_order(behaviour)) as (bus, server):
            server.requests = server_requests
            with pytest.raises(NoAnswer):
                await read_one(bus, 1, 10)
            assert await read_one(bus, 1, 11) == value(1, 11)
            assert await read_one(bus, 1, 12) == value(1, 12)
            lengths = [asked(body) for _, body in server_requests]
            assert lengths == [(10, 1), (11, 2), (11, 1), (12, 1)]

    asyncio.run(scene())


def test_the_same_read_again_needs_no_step() -> None:
    lost = iter([True, False, False])

    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        if not next(lost):
            yield 0, rtu(unit, honest(unit, body))

    async def scene() -> None:
        async with gateway(Framing.RTU, behaviour) as (bus, server):
            with pytest.raises(NoAnswer):
                await read_one(bus, 1, 10)
            assert await read_one(bus, 1, 10) == value(1, 10)
            assert await read_one(bus, 1, 10) == value(1, 10)
            assert len(server.requests) == 3

    asyncio.run(scene())


def test_a_unit_that_refuses_the_step_is_heard_out() -> None:
    answers = iter([None, "refuse", "refuse", "answer"])

    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        kind = next(answers)
        if kind == "refuse":
            yield 0, rtu(unit, bytes((body[0] | 0x80, 2)))
        elif kind:
            yield 0, rtu(unit, honest(unit, body))

    async def scene() -> None:
        async with gateway(Framing.RTU, behaviour) as (bus, _):
            with pytest.raises(NoAnswer):
                await read_one(bus, 1, 10)
            assert await read_one(bus, 1, 11) == value(1, 11)

    asyncio.run(scene())


def test_a_cancelled_caller_leaves_its_unit_in_step() -> None:
    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        yield 0.08, rtu(unit, honest(unit, body))

    async def scene() -> None:
        async with gateway(Framing.RTU, in_order(behaviour)) as (bus, _):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read_one(bus, 1, 10), 0.02)
            assert await read_one(bus, 1, 11) == value(1, 11)

    asyncio.run(scene())


def test_repeated_reads_leave_the_unit_in_step() -> None:
    """The link asks again; both answers come, the second while another register is read."""
    options = LinkOptions(
        delay_ms_first=60, delay_ms_min=60, delay_ms_max=60, margin_ms=60, retries=2
    )

    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        yield 0.15 if asked(body)[0] == 10 else 0.01, rtu(unit, honest(unit, body))

    async def scene() -> None:
        async with gateway(Framing.RTU, in_order(behaviour), options) as (bus, server):
            assert await read_one(bus, 1, 10) == value(1, 10)
            assert len(server.requests) == 2
            for register in (11, 12, 13):
                assert await read_one(bus, 1, register) == value(1, register)

    asyncio.run(scene())


@pytest.mark.parametrize("framing", Framing)
def test_a_write_is_sent_once(framing: Framing) -> None:
    options = LinkOptions(delay_ms_first=60, delay_ms_min=60, margin_ms=60, retries=5)

    async def scene() -> None:
        async with gateway(framing, lambda _unit, _body: (), options) as (bus, server):
            with pytest.raises(NoAnswer):
                await bus.run(write_request(1, 5, (1, 2)))
            await asyncio.sleep(0.3)
            assert len(server.requests) == 1
            with pytest.raises(NoAnswer):
                await read_one(bus, 2, 0)  # a read may be repeated
            assert len(server.requests) == 1 + 6

    asyncio.run(scene())


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize(
    "nonsense",
    [b"\x03\x09", b"\x03", b"\x63\x00\x00", b"\x03\x02\x00", b"\x03\x04\x00\x00\x00\x00", b""],
)
def test_nonsense_is_no_answer_and_costs_no_connection(framing: Framing, nonsense: bytes) -> None:
    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        broken = unit == 1
        yield 0, in_frame(framing, unit, nonsense if broken else honest(unit, body))

    async def scene() -> None:
        async with gateway(framing, behaviour) as (bus, server):
            with pytest.raises(NoAnswer):
                await read_one(bus, 1, 0)
            assert await read_one(bus, 2, 0) == value(2, 0)
            assert server.connections == 1

    asyncio.run(scene())


@pytest.mark.parametrize("framing", Framing)
def test_refusals_have_names(framing: Framing) -> None:
    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        yield 0, in_frame(framing, unit, bytes((body[0] | 0x80, asked(body)[0])))

    async def scene() -> None:
        async with gateway(framing, behaviour) as (bus, _):
            for refusal in ModbusRefusal.__subclasses__():
                if refusal is not UnknownRefusal:
                    with pytest.raises(refusal, match="Unit 1") as caught:
                        await read_one(bus, 1, refusal.exception_code)
                    assert caught.value.code.startswith("modbus_")
            with pytest.raises(UnknownRefusal, match="exception 63"):
                await read_one(bus, 1, 0x63)
            with pytest.raises(IllegalDataAddressError, match="read 1 holding registers at 0x0002"):
                await read_one(bus, 1, 2)
            with pytest.raises(GatewayTargetFailedError, match="did not answer the gateway"):
                await read_one(bus, 1, 0x0B)

    asyncio.run(scene())


@pytest.mark.parametrize("framing", Framing)
def test_every_table_is_read_and_broadcasts_reach_all(framing: Framing) -> None:
    cells = {unit: Cells(unit << 8) for unit in (1, 2)}

    async def scene() -> None:
        async with bus_to(cells, framing) as bus:
            assert await bus.read(2, Table.HOLDING, 5, 125) == tuple(
                value(2, register) for register in range(5, 130)
            )
            assert await bus.read(1, Table.INPUT, 7, 1) == (value(1, 7),)
            assert await bus.read(1, Table.COIL, 0, 9) == (0, 1, 0, 1, 0, 1, 0, 1, 0)
            assert await bus.read(1, Table.DISCRETE, 1, 2) == (1, 0)
            if framing is Framing.RTU:
                assert (await bus.run(write_request(0, 5, (9,)))).words == ()
                assert await read_one(bus, 1, 5) == await read_one(bus, 2, 5) == 9

    asyncio.run(scene())


def test_many_callers_share_the_line() -> None:
    cells = {unit: Cells(unit << 8) for unit in range(1, 9)}

    async def scene() -> None:
        async with bus_to(cells, Framing.RTU) as bus:
            jobs = [(unit, register) for register in range(20) for unit in cells]
            words = await asyncio.gather(*(read_one(bus, *job) for job in jobs))
            assert words == [value(*job) for job in jobs]

    asyncio.run(scene())


def test_a_broken_line_is_another_fault_than_a_silent_unit() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    async def scene() -> None:
        listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        bus = await open_bus(f"modbus+tcp://127.0.0.1:{port}", options=QUICK)
        with pytest.raises(LinkDown):
            await read_one(bus, 1, 0)
        await bus.aclose()
        listener.close()
        async with bus_to({}) as bus:
            with pytest.raises(NoAnswer):
                await read_one(bus, 1, 0)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("url", "link_url", "framing"),
    [
        ("modbus+tcp://10.0.0.7", "tcp://10.0.0.7:502", Framing.TCP),
        ("modbus+tcp://[fd00::7]?baud=9600", "tcp://[fd00::7]:502?baud=9600", Framing.TCP),
        ("modbus+tcp://10.0.0.7:5020/", "tcp://10.0.0.7:5020/", Framing.TCP),
        ("modbus+rtu+tcp://10.0.0.7:4001", "tcp://10.0.0.7:4001", Framing.RTU),
        ("tcp://10.0.0.7:4001", "tcp://10.0.0.7:4001", Framing.RTU),
        ("modbus+serial:///dev/ttyS0", "serial:///dev/ttyS0", Framing.RTU),
        ("serial:///dev/ttyS0?baud=2400", "serial:///dev/ttyS0?baud=2400", Framing.RTU),
    ],
)
def test_urls(url: str, link_url: str, framing: Framing) -> None:
    assert parse_bus_url(url) == (link_url, framing)
    with pytest.raises(LinkUrlError, match="is no Modbus link"):
        parse_bus_url("modbus://10.0.0.7")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: read_request(256, Table.INPUT, 0, 1), "unit is 1-247"),
        (lambda: read_request(0, Table.INPUT, 0, 1), "nobody answers"),
        (lambda: read_request(1, Table.INPUT, 0, 126), "one request takes 1-125"),
        (lambda: read_request(1, Table.COIL, 0, 2001), "one request takes 1-2000"),
        (lambda: read_request(1, Table.INPUT, 65535, 2), "registers are 0x0000-0xFFFF"),
        (lambda: write_request(1, 0, ()), "one request takes 1-123"),
        (lambda: write_request(1, 0, (65536,)), "a register holds 0-65535"),
        (lambda: write_request(1, 0, (1, 2), function=6), "with function 6; use 16"),
    ],
)
def test_misuse_is_refused_before_anything_is_sent(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ModbusValueError, match=message):
        make()
