"""Who is on a line: simulated buses over real sockets."""

from __future__ import annotations

import asyncio

from headend.registry.discovery import Found, discover_dlt645, discover_modbus
from simulators.street import build_street
from simulators.street_plan import StreetPlan


def _street(protocol: str, meters: int) -> StreetPlan:
    bus = {"protocol": protocol, "meters": meters, "listen": "127.0.0.1:0", "delay_ms": 0}
    return StreetPlan.from_table({"bus": [bus]})


def test_the_one_dlt645_meter_of_a_line_is_found() -> None:
    async def run() -> tuple[list[Found], bool]:
        async with build_street(_street("dlt645-2007", 1)) as street:
            return await discover_dlt645(street.ports[0].url, limit_s=30)

    found, complete = asyncio.run(run())
    assert complete
    assert [(each.protocol, each.address[:3]) for each in found] == [("dlt645-2007", "001")]


def test_modbus_units_that_answer_are_found() -> None:
    async def run() -> list[Found]:
        async with build_street(_street("modbus-rtu", 3)) as street:
            return await discover_modbus(
                street.ports[0].url, "meterhouse-keypad", units=range(1, 6)
            )

    assert [each.address for each in asyncio.run(run())] == ["1", "2", "3"]
