"""Against pymodbus's own client and server, over TCP, RTU over TCP and a serial line."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from protocols.modbus import (
    Framing,
    IllegalDataAddressError,
    ModbusBus,
    ModbusMeter,
    Outcome,
    RegisterImage,
    ServerDeviceFailureError,
    Table,
    Unit,
    Value,
    load_profile,
    open_bus,
    serve_tcp,
)
from protocols.transport.errors import NoAnswer
from tests.protocols.modbus.wires import QUICK, Cells, pty_line

FRAMERS = {Framing.TCP: FramerType.SOCKET, Framing.RTU: FramerType.RTU}
SCHEMES = {Framing.TCP: "modbus+tcp", Framing.RTU: "modbus+rtu+tcp"}
KEYPAD = load_profile("meterhouse-keypad")
VALUES: dict[str, Value] = {
    "credit": 123_456,
    "contact_state": "closed",
    "relay_protected": "no",
    "voltage_l1": Decimal("230.4"),
}


@pytest.mark.parametrize("framing", Framing)
def test_their_client_with_our_server(framing: Framing) -> None:
    async def scene() -> None:
        cells = Cells(step=3)
        units: dict[int, Unit] = {5: cells, 6: RegisterImage(KEYPAD, VALUES)}
        listener = await serve_tcp(units, framing)
        port = listener.sockets[0].getsockname()[1]
        client = AsyncModbusTcpClient(
            "127.0.0.1", port=port, framer=FRAMERS[framing], timeout=0.5, retries=0
        )
        await client.connect()
        try:
            answer = await client.read_holding_registers(10, count=100, device_id=5)
            assert answer.registers == [register * 3 for register in range(10, 110)]
            assert (await client.read_input_registers(1, count=2, device_id=5)).registers == [3, 6]
            coils = await client.read_coils(0, count=10, device_id=5)
            assert coils.bits[:10] == [bool(n * 3 & 1) for n in range(10)]
            assert not (await client.write_register(1, 7, device_id=5)).isError()
            assert not (await client.write_registers(2, [8, 9], device_id=5)).isError()
            assert not (await client.write_coil(20, True, device_id=5)).isError()
            assert not (await client.write_coils(30, [True, False], device_id=5)).isError()
            assert cells.read(Table.HOLDING, 1, 3) == [7, 8, 9]
            refused = await client.read_holding_registers(990, count=11, device_id=5)
            assert refused.exception_code == ExcCodes.ILLEGAL_ADDRESS
            refused = await client.write_register(0x100, 1, device_id=6)
            assert refused.exception_code == ExcCodes.ILLEGAL_ADDRESS
            refused = await client.read_exception_status(device_id=5)
            assert refused.exception_code == ExcCodes.ILLEGAL_FUNCTION
            credit = await client.read_holding_registers(0x100, count=4, device_id=6)
            assert client.convert_from_registers(credit.registers, client.DATATYPE.INT64) == 123_456
        finally:
            client.close()
            listener.close()

    asyncio.run(scene())


@contextlib.asynccontextmanager
async def bus_to_their_server(framing: Framing) -> AsyncIterator[tuple[ModbusBus, list[int]]]:
    """A bus to pymodbus's server with units 1 and 2; and the function codes that it got."""
    functions: list[int] = []

    async def action(
        function: int, _start: int, _address: int, _count: int, _registers: object, _values: object
    ) -> None:
        functions.append(function)

    devices = [
        SimDevice(
            unit,
            simdata=[SimData(0, count=200, values=unit * 100, datatype=DataType.REGISTERS)],
            action=action,
        )
        for unit in (1, 2)
    ]
    server = ModbusTcpServer(
        devices, framer=FRAMERS[framing], address=("127.0.0.1", 0), ignore_missing_devices=True
    )
    await server.serve_forever(background=True)
    assert isinstance(server.transport, asyncio.Server)
    port = server.transport.sockets[0].getsockname()[1]
    bus = await open_bus(f"{SCHEMES[framing]}://127.0.0.1:{port}", options=QUICK)
    try:
        yield bus, functions
    finally:
        await bus.aclose()
        await server.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("framing", Framing)
def test_our_client_with_their_server(framing: Framing) -> None:
    async def scene() -> None:
        async with bus_to_their_server(framing) as (bus, functions):
            for unit in (1, 2):
                assert await bus.read(unit, Table.HOLDING, 0, 125) == (unit * 100,) * 125
            with pytest.raises(IllegalDataAddressError):
                await bus.read(1, Table.HOLDING, 190, 20)
            with pytest.raises(ServerDeviceFailureError):
                # pymodbus 3.16 answers for units that it does not have, whatever it is told
                await bus.read(9, Table.HOLDING, 0, 1)
            assert await bus.read(2, Table.INPUT, 3, 2) == (200, 200)
            functions.clear()
            meter = ModbusMeter(bus, KEYPAD, unit=2)
            result = await meter.write("time_utc", 1_800_000_000)
            assert result.outcome is Outcome.DONE
            assert result.value == 1_800_000_000
            assert functions == [16, 3]  # written once, read back

    asyncio.run(scene())


def test_a_serial_line() -> None:
    async def scene() -> None:
        units = {unit: Cells(unit * 1000) for unit in (1, 2)}
        with pty_line(units) as path:
            bus = await open_bus(f"serial://{path}?baud=115200&exclusive=no", options=QUICK)
            for unit in (1, 2, 1):
                words = await bus.read(unit, Table.HOLDING, 3, 100)
                assert words == tuple(range(unit * 1000 + 3, unit * 1000 + 103))
            with pytest.raises(NoAnswer):
                await bus.read(3, Table.HOLDING, 0, 1)
            await bus.aclose()
            client = AsyncModbusSerialClient(path, baudrate=115200, timeout=0.5, retries=0)
            await client.connect()
            answer = await client.read_holding_registers(0, count=2, device_id=2)
            assert answer.registers == [2000, 2001]
            client.close()

    asyncio.run(scene())
