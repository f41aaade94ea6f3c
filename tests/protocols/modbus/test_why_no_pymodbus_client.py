"""What pymodbus's own client does on a line of several meters: why we do not use it.

Each of these is measured against pymodbus as locked.  If one fails after an upgrade, that reason
has gone, and `protocols.modbus.bus` should be looked at again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException

from protocols.modbus import Framing
from tests.protocols.modbus.wires import (
    Behaviour,
    Misbehaving,
    Reply,
    asked,
    read_answer,
    rtu,
)

FRAMERS = {Framing.TCP: FramerType.SOCKET, Framing.RTU: FramerType.RTU}


@contextlib.asynccontextmanager
async def their_client(
    framing: Framing, behaviour: Behaviour, retries: int = 3
) -> AsyncIterator[tuple[AsyncModbusTcpClient, Misbehaving]]:
    server = Misbehaving(framing, behaviour)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    client = AsyncModbusTcpClient(
        "127.0.0.1", port=port, framer=FRAMERS[framing], timeout=0.05, retries=retries
    )
    await client.connect()
    try:
        yield client, server
    finally:
        client.close()
        listener.close()
        await asyncio.sleep(0.01)


def test_a_few_silent_units_in_a_row_close_the_line_for_all() -> None:
    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        if unit == 1:
            yield 0, read_answer(body[0], [7])

    async def scene() -> None:
        async with their_client(Framing.TCP, behaviour, retries=0) as (client, _):
            for unit in range(10, 15):
                with pytest.raises(ModbusIOException):
                    await client.read_holding_registers(0, count=1, device_id=unit)
            with pytest.raises(ConnectionException, match="Not connected"):
                await client.read_holding_registers(0, count=1, device_id=1)

    asyncio.run(scene())


def test_a_write_is_sent_four_times() -> None:
    async def scene() -> None:
        async with their_client(Framing.TCP, lambda _unit, _body: ()) as (client, server):
            with pytest.raises(ModbusIOException):
                await client.write_register(0, 1, device_id=1)
            assert len(server.requests) == 4

    asyncio.run(scene())


def test_a_late_answer_gives_a_wrong_value() -> None:
    """Register 1 is asked and answers late; then register 2 is asked."""

    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        register, _ = asked(body)
        yield 0.07, rtu(unit, read_answer(3, [register]))

    async def scene() -> None:
        async with their_client(Framing.RTU, behaviour, retries=0) as (client, _):
            with pytest.raises(ModbusIOException):
                await client.read_holding_registers(1, count=1, device_id=1)
            answer = await client.read_holding_registers(2, count=1, device_id=1)
            assert answer.registers == [1]

    asyncio.run(scene())


def test_an_answer_is_lost_that_comes_with_a_late_one() -> None:
    def behaviour(unit: int, body: bytes) -> Iterable[Reply]:
        yield 0, rtu(7, read_answer(3, [9])) + rtu(unit, read_answer(body[0], [1]))

    async def scene() -> None:
        async with their_client(Framing.RTU, behaviour, retries=0) as (client, _):
            with pytest.raises(ModbusIOException):
                await client.read_holding_registers(0, count=1, device_id=1)

    asyncio.run(scene())


def test_answers_of_another_function_and_length_pass() -> None:
    answers = iter([read_answer(4, [55]), read_answer(3, [1, 2, 3, 4])])

    def behaviour(unit: int, _body: bytes) -> Iterable[Reply]:
        yield 0, rtu(unit, next(answers))

    async def scene() -> None:
        async with their_client(Framing.RTU, behaviour, retries=0) as (client, _):
            other = await client.read_holding_registers(0, count=1, device_id=1)
            assert other.registers == [55]
            longer = await client.read_holding_registers(0, count=2, device_id=1)
            assert longer.registers == [1, 2, 3, 4]

    asyncio.run(scene())
