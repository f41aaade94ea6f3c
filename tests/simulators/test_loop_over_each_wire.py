"""From top-up to light and back, over each wire: token, consumption, cut-off, token."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from protocols.dlt645 import Edition, Password
from protocols.dlt645.master import Master
from protocols.modbus import ModbusMeter, load_profile, load_token, open_bus
from protocols.outcomes import Outcome
from protocols.transport import open_link
from simulators.street import build_street
from simulators.street_clock import HeldClock
from simulators.street_plan import BusPlan, StreetPlan
from vending.sts import Service, TransferCredit, encode

START = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
PASSWORD = Password(2, "000000")
OPERATOR = "00000000"

Load = Callable[[str, int], Awaitable[tuple[Outcome, str | None]]]
"""Load a token under a sequence number: what became of it, and the meter's own word."""
Close = Callable[[], Awaitable[None]]
Connect = Callable[[str, str], Awaitable[tuple[Load, Close]]]


async def by_dlt645(url: str, address: str) -> tuple[Load, Close]:
    link = await open_link(url)
    master = Master(link, Edition.Y2007)

    async def load(token: str, sequence: int) -> tuple[Outcome, str | None]:
        done = await master.load_token(address, token, sequence, PASSWORD, OPERATOR)
        return done.outcome, done.result

    return load, link.aclose


async def by_modbus(url: str, _: str) -> tuple[Load, Close]:
    bus = await open_bus(url)
    meter = ModbusMeter(bus, load_profile("meterhouse-keypad"), unit=1)

    async def load(token: str, sequence: int) -> tuple[Outcome, str | None]:
        done = await load_token(meter, token, sequence)
        return done.outcome, done.result

    return load, bus.aclose


@pytest.mark.parametrize(
    ("protocol", "line", "connect"),
    [
        ("dlt645-2007", {"listen": "127.0.0.1:0"}, by_dlt645),
        ("dlt645-2007", {"pty": True}, by_dlt645),
        ("modbus-rtu", {"listen": "127.0.0.1:0"}, by_modbus),
        ("modbus-rtu", {"pty": True}, by_modbus),
        ("modbus-tcp", {"listen": "127.0.0.1:0"}, by_modbus),
    ],
    ids=["dlt645-tcp", "dlt645-serial", "modbus-rtu-tcp", "modbus-serial", "modbus-tcp"],
)
def test_top_up_consume_cut_off_top_up(
    protocol: str, line: dict[str, object], connect: Connect
) -> None:
    async def loop() -> None:
        plan = BusPlan(protocol=protocol, load=1_000, credit_kwh=0, **line)  # type: ignore[arg-type]
        clock = HeldClock(START)
        street = build_street(StreetPlan(buses=(plan,), seed=7), clock)
        async with street:
            (address,) = street.meters
            load, close = await connect(street.ports[0].url, address)
            try:
                for sequence in (1, 2):  # 1.2 kWh each: light for 72 minutes
                    meter = street.meter(address)
                    assert not meter.keypad.is_lit
                    credit = TransferCredit(Service.ELECTRICITY, 5, 6_000_000 + sequence, 12)
                    token = encode(credit, meter.keypad.state.cipher())
                    assert await load(token, sequence) == (Outcome.DONE, "Accept")
                    assert street.meter(address).keypad.is_lit
                    clock.wait(minutes=71)
                    assert street.meter(address).keypad.is_lit
                    clock.wait(minutes=2)
                    assert not street.meter(address).keypad.is_lit
                    outcome, word = await load(token, sequence + 10)
                    assert (outcome, word) == (Outcome.FAILED, "UsedError")
                registers = street.meter(address).keypad.registers
                assert registers.accepted_wh == registers.consumed_wh == 2_400
            finally:
                await close()

    asyncio.run(loop())
