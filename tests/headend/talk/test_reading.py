"""Registers of simulated streets, over real sockets: right values, few requests, clear faults."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from headend.station import Station
from headend.talk.device import Device, load_device
from headend.talk.faults import NoLineError
from headend.talk.lines import Lines
from headend.talk.reading import ReadOut, read_device
from protocols.transport.errors import LinkDown, NoAnswer
from simulators.street import Street, build_street
from simulators.street_clock import HeldClock
from simulators.street_plan import BusPlan, StreetPlan
from tests.headend.registered import add_device, add_line
from tests.headend.running import on_a_loop

START = datetime(2026, 11, 1, tzinfo=UTC)
LISTEN = "127.0.0.1:0"


def street_of(*buses: BusPlan) -> tuple[Street, HeldClock]:
    clock = HeldClock(START)
    street = build_street(StreetPlan(buses=buses), clock)
    clock.wait(days=2, hours=5)
    return street, clock


def enter(station: Station, street: Street, protocol: str) -> list[Device]:
    """The meters of the street's first bus, registered on its line."""
    link_id = add_line(station, street.ports[0].url)
    ids = []
    for unit, meter in enumerate(street.buses[0].wire.meters, 1):
        modbus = protocol == "modbus"
        ids.append(
            add_device(
                station,
                meter.address[1:],
                link_id,
                protocol=protocol,
                address=str(unit) if modbus else meter.address,
                profile="meterhouse-keypad" if modbus else None,
            )
        )
    with station.reading() as connection:
        return [load_device(connection, device_id) for device_id in ids]


async def read_first(station: Station, street: Street, protocol: str, *names: str) -> ReadOut:
    async with street:
        devices = await asyncio.to_thread(enter, station, street, protocol)
        lines = Lines(station)
        try:
            return await read_device(lines, devices[0], names)
        finally:
            await lines.aclose()


def told(out: ReadOut) -> dict[str, int]:
    return {reading.quantity: reading.value for reading in out.values}


@on_a_loop
async def test_a_meter_of_2007_answers_tariffs_and_phases_in_one_request_each(
    station: Station,
) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN, phases=3))
    names = [
        "energy_import_total", "energy_import_t1", "energy_import_t2", "energy_import_t3",
        "energy_import_t4", "voltage_l1", "voltage_l2", "voltage_l3",
    ]  # fmt: skip
    out = await read_first(station, street, "dlt645-2007", *names)
    values = told(out)
    assert (out.asked, out.answered, out.faults, out.absent) == (2, 2, {}, [])
    assert list(values) == names
    assert values["energy_import_total"] == pytest.approx(
        sum(values[f"energy_import_t{tariff}"] for tariff in range(1, 5)), abs=40
    )
    assert 200_000 < values["voltage_l1"] < 240_000
    assert {reading.at for reading in out.values} == {station.now()}


@on_a_loop
async def test_what_a_single_phase_meter_lacks_is_absent_and_no_fault(station: Station) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN))
    out = await read_first(
        station, street, "dlt645-2007", "voltage_l1", "voltage_l2", "amount_left", "token_class"
    )
    assert list(told(out)) == ["voltage_l1"]
    assert sorted(out.absent) == ["amount_left", "token_class", "voltage_l2"]
    assert not out.faults


@on_a_loop
async def test_the_old_edition_gives_the_same_energies(station: Station) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN, protocol="dlt645-1997"))
    out = await read_first(
        station, street, "dlt645-1997", "energy_import_total", "energy_import_t1", "voltage_l1",
        "frequency",
    )  # fmt: skip
    values = told(out)
    assert values["energy_import_total"] > values["energy_import_t1"] > 0
    assert values["voltage_l1"] > 200_000
    assert out.absent == ["frequency"]
    assert out.asked == 2


@pytest.mark.parametrize("protocol", ["modbus-rtu", "modbus-tcp"])
@on_a_loop
async def test_a_modbus_meter_gives_energy_credit_and_contact(
    station: Station, protocol: str
) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN, protocol=protocol))
    out = await read_first(
        station, street, "modbus", "energy_import_total", "credit", "contact_state", "voltage_l1",
        "energy_import_t1",
    )  # fmt: skip
    values = told(out)
    assert values["energy_import_total"] > 0
    assert values["contact_state"] == 0
    assert 200_000 < values["voltage_l1"] < 240_000
    assert out.absent == ["energy_import_t1"]


@on_a_loop
async def test_both_protocols_agree_on_the_same_kind_of_meter(station: Station) -> None:
    """A register of 0.01 kWh against one of 1 Wh: the difference is less than its step."""
    street, clock = street_of(BusPlan(listen=LISTEN), BusPlan(listen=LISTEN, first=1_000))
    meter = street.meter(next(iter(street.meters)))
    out = await read_first(station, street, "dlt645-2007", "energy_import_total", "credit")
    assert clock.now() == street.clock.now()
    left = meter.flow.supply.registers.remaining_wh
    assert told(out)["credit"] == left - left % 10


@on_a_loop
async def test_transformers_multiply_energies_and_powers_but_no_voltages(
    station: Station,
) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN))
    async with street:
        (device,) = await asyncio.to_thread(enter, station, street, "dlt645-2007")
        behind = Device(**{name: getattr(device, name) for name in Device.__dataclass_fields__}
                        | {"ratio": 200})  # fmt: skip
        names = ("energy_import_total", "power_active_total", "voltage_l1", "credit")
        lines = Lines(station)
        plain = told(await read_device(lines, device, names))
        multiplied = told(await read_device(lines, behind, names))
        await lines.aclose()
    assert multiplied["energy_import_total"] == 200 * plain["energy_import_total"]
    assert multiplied["power_active_total"] == 200 * plain["power_active_total"]
    assert (multiplied["voltage_l1"], multiplied["credit"]) == (
        plain["voltage_l1"],
        plain["credit"],
    )


@on_a_loop
async def test_a_silent_meter_is_told_from_a_broken_line_and_from_no_line(
    station: Station,
) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN, dead_every=1))
    async with street:
        (device,) = await asyncio.to_thread(enter, station, street, "dlt645-2007")
        lines = Lines(station)
        silent = await read_device(lines, device, ("energy_import_total", "voltage_l1"))
        await lines.aclose()
    assert silent.is_meter_silent
    assert (silent.asked, silent.answered) == (1, 0)
    assert {type(fault) for fault in silent.faults.values()} == {NoAnswer}
    lines = Lines(station)
    broken = await read_device(lines, device, ("energy_import_total",))
    await lines.aclose()
    assert isinstance(broken.silence, LinkDown)
    assert not broken.is_meter_silent
    nowhere = Device(**{name: getattr(device, name) for name in Device.__dataclass_fields__}
                     | {"link_id": None})  # fmt: skip
    lost = await read_device(Lines(station), nowhere, ("energy_import_total",))
    assert isinstance(lost.silence, NoLineError)


@on_a_loop
async def test_a_line_is_opened_once_and_closed_when_nobody_uses_it(station: Station) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN, meters=3))
    async with street:
        devices = await asyncio.to_thread(enter, station, street, "dlt645-2007")
        lines = Lines(station, idle_s=0.2)
        outs = await asyncio.gather(
            *(read_device(lines, device, ("energy_import_total",)) for device in devices)
        )
        assert all(told(out) for out in outs)
        line = await lines.line(devices[0].link_id or 0)
        assert line.link.statistics.connects == 1
        await asyncio.sleep(0.6)
        assert lines.open == ()
        assert line.link.closed
        again = await read_device(lines, devices[0], ("energy_import_total",))
        assert told(again)
        await lines.aclose()


@on_a_loop
async def test_a_meter_without_a_block_is_asked_item_by_item(station: Station) -> None:
    street, _ = street_of(BusPlan(listen=LISTEN))
    async with street:
        (device,) = await asyncio.to_thread(enter, station, street, "dlt645-2007")
        lines = Lines(station)
        line = await lines.line(device.link_id or 0)
        line.refused_blocks.add((device.address, 0x0001FF00))
        out = await read_device(lines, device, ("energy_import_total", "energy_import_t1"))
        await lines.aclose()
    assert out.asked == 2
    assert told(out).keys() == {"energy_import_total", "energy_import_t1"}
