"""What simulated meters remember: freezes, months, profiles, events, clocks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from headend.collection.gaps import Wanted
from headend.collection.plan import What
from headend.collection.visit import visit
from headend.station import Station
from headend.talk.clocks import read_clock_offset_s
from headend.talk.happenings import Known, read_events
from headend.talk.lines import Lines
from headend.talk.memory import read_freezes, read_months, read_profile
from headend.talk.quantities import event_sources
from headend.talk.reading import ReadOut, read_device
from headend.values import Quality, Source
from protocols.dlt645.master import FreezeKind
from protocols.transport.exchange import Priority
from simulators.metering.smart_meter import Cover
from simulators.street import Street, build_street
from simulators.street_clock import HeldClock
from simulators.street_plan import BusPlan, StreetPlan
from tests.headend.running import on_a_loop
from tests.headend.talk.odd_answers import odd_wire
from tests.headend.talk.streets import LISTEN, register, street_beside
from tests.shop.conftest import Clock

ENERGY = ("energy_import_total", "energy_import_t1")


@on_a_loop
async def test_daily_freezes_are_at_the_utilitys_midnight(station: Station) -> None:
    street, _ = street_beside(station, BusPlan(listen=LISTEN))
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        out = await read_freezes(
            lines, device, FreezeKind.DAILY, (*ENERGY, "voltage_l1"), (1, 2), name="daily"
        )
        await lines.aclose()
    assert out.absent == ["voltage_l1"]
    midnight = datetime(2026, 11, 20, 16, tzinfo=UTC)  # 00:00 in Shanghai
    assert {reading.at for reading in out.values} == {midnight, midnight - timedelta(days=1)}
    assert {reading.source for reading in out.values} == {Source.FREEZE}
    last, before = (r.value for r in out.values if r.quantity == "energy_import_total")
    assert last > before > 0


@on_a_loop
async def test_a_month_is_at_the_moment_that_the_meters_calendar_gives(station: Station) -> None:
    street, _ = street_beside(
        station,
        BusPlan(name="new", listen=LISTEN, credit_kwh=5_000),
        BusPlan(name="old", listen=LISTEN, protocol="dlt645-1997", credit_kwh=5_000),
        BusPlan(name="modbus", listen=LISTEN, protocol="modbus-tcp"),
        days=60,
    )
    async with street:
        devices = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        outs = [await read_months(lines, device, ENERGY, (1,)) for device in devices]
        now = [await read_device(lines, device, ENERGY[:1]) for device in devices[:2]]
        await lines.aclose()
    first_of_november = datetime(2026, 10, 31, 16, tzinfo=UTC)
    for out, present in zip(outs, now, strict=False):
        assert {r.quantity: r.at for r in out.values} == dict.fromkeys(ENERGY, first_of_november)
        assert 0 < out.values[0].value < present.values[0].value
    assert outs[2].absent == ["monthly"]


@on_a_loop
async def test_a_stamp_of_a_wrong_year_is_not_believed(station: Station) -> None:
    street, _ = street_beside(station, BusPlan(listen=LISTEN))
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        what, wanted = What(daily=ENERGY[:1]), Wanted(ENERGY[:1], daily=(1,))
        for stamp in ("0000221126", "0000221135", "0000210108"):
            odd = {(device.address, 0x05060001): bytes.fromhex(stamp)}
            async with odd_wire(station, street, odd):
                lines = Lines(station)
                told = (await visit(lines, device, what, wanted, Priority.ROUTINE)).told
                await lines.aclose()
            sources = {reading.source for reading in told.values}
            if stamp == "0000221126":  # hours ahead: drift
                assert sources == {Source.REGISTER, Source.FREEZE}
                assert not told.faults
                continue
            assert sources == {Source.REGISTER}
            assert [fault.code for fault in told.faults.values()] == ["stamp_not_believed"]
            assert "set it" in str(told.faults["daily"])


class _PassingClock(HeldClock):
    """Stands still until it is let pass: each request then comes a minute after the last.

    So long, because meters' own clocks are some seconds off.
    """

    __slots__ = ("passes",)

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.passes = False

    def now(self) -> datetime:
        if self.passes:
            self.wait(60)
        return super().now()


def _passing(clock: Clock, start: datetime) -> tuple[Street, _PassingClock]:
    clock.now = start
    time = _PassingClock(start - timedelta(days=40))
    plan = StreetPlan(buses=(BusPlan(listen=LISTEN, credit_kwh=5_000),))
    street = build_street(plan, time)
    time.wait(days=40)
    return street, time


@on_a_loop
async def test_values_of_a_freeze_are_of_its_stamp_whenever_the_hour_passes(
    station: Station, clock: Clock
) -> None:
    hour = datetime(2026, 11, 21, 3, tzinfo=UTC)
    street, time = _passing(clock, hour - timedelta(minutes=30))
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        lines = Lines(station)

        async def hourly(*nths: int) -> ReadOut:
            return await read_freezes(
                lines, device, FreezeKind.HOURLY, ENERGY[:1], nths, name="hourly"
            )

        kept: dict[tuple[str, datetime], set[int]] = {}
        reads = 0
        for early_s in range(-120, 600, 60):
            time.wait(int((hour - time.now()).total_seconds()) - early_s)
            time.passes = True
            out = await hourly(1, 2)
            time.passes = False
            assert not out.faults
            reads += len(out.values)
            for reading in (*out.values, *(await hourly(1, 2, 3)).values):
                kept.setdefault((reading.quantity, reading.at), set()).add(reading.value)
            hour += timedelta(hours=1)
        await lines.aclose()
    assert reads == 12 * 2
    assert {len(values) for values in kept.values()} == {1}


@on_a_loop
async def test_values_of_a_settlement_are_of_its_month_whenever_the_month_passes(
    station: Station, clock: Clock
) -> None:
    month = datetime(2026, 10, 31, 16, tzinfo=UTC)
    street, time = _passing(clock, month - timedelta(minutes=30))
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        kept: dict[tuple[str, datetime], set[int]] = {}
        for early_s in range(-120, 720, 60):
            time.wait(int((month - time.now()).total_seconds()) - early_s)
            time.passes = True
            out = await read_months(lines, device, ENERGY, (1,))
            time.passes = False
            assert not out.faults
            assert len(out.values) == len(ENERGY)
            for reading in (
                *out.values,
                *(await read_months(lines, device, ENERGY, (1, 2))).values,
            ):
                kept.setdefault((reading.quantity, reading.at), set()).add(reading.value)
            month = (month + timedelta(days=40)).replace(day=1, hour=0) - timedelta(hours=8)
        await lines.aclose()
    assert {len(values) for values in kept.values()} == {1}


@on_a_loop
async def test_a_profile_has_its_values_and_says_where_the_power_was_off(station: Station) -> None:
    street, clock = street_beside(station, BusPlan(listen=LISTEN))
    (meter,) = street.meters.values()
    start = station.now().replace(minute=0)
    meter.advance(clock.now())
    meter.power_off(clock.now())
    clock.wait(hours=1)
    meter.power_on(clock.now())
    clock.wait(hours=1)
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        out = await read_profile(
            lines, device, ("energy_import_total", "voltage_l1"), start - timedelta(hours=1),
            start + timedelta(hours=2), 15,
        )  # fmt: skip
        await lines.aclose()
    energies = {v.start: v for v in out.intervals if v.quantity == "energy_import_total"}
    assert sorted(energies) == [start + timedelta(minutes=15 * n) for n in range(-4, 8)]
    off = {moment for moment, value in energies.items() if value.quality is Quality.INVALID}
    assert off == {start + timedelta(minutes=m) for m in (30, 45, 60, 75)} | (
        off & {start + timedelta(minutes=90)}
    )
    good = [value.value for _, value in sorted(energies.items()) if not value.quality]
    assert good == sorted(good)
    assert good[0] > 0
    assert not out.faults


@on_a_loop
async def test_only_new_events_are_read_and_an_open_one_is_read_again(station: Station) -> None:
    street, clock = street_beside(station, BusPlan(listen=LISTEN, phases=3, credit_kwh=5_000))
    (meter,) = street.meters.values()
    meter.advance(clock.now())
    meter.power_off(clock.now())
    clock.wait(60)
    meter.power_on(clock.now())
    meter.open_cover(clock.now(), Cover.TERMINAL)
    clock.wait(60)
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        first, known = await read_events(lines, device, {})
        again, nothing = await read_events(lines, device, known)
        meter.advance(clock.now())
        meter.close_cover(clock.now(), Cover.TERMINAL)
        clock.wait(60)
        closed, changed = await read_events(lines, device, known)
        await lines.aclose()
    assert not first.faults
    spans = [event for event in first.events if event.kind != "relay_open"]
    assert {event.kind: event.ended_at is None for event in spans} == {
        "power_off": False,
        "terminal_cover_open": True,
    }
    assert known["terminal_cover_open"] == Known(1, is_open=True)
    assert [event.kind for event in again.events] == ["terminal_cover_open"]
    assert nothing == {}
    (end,) = closed.events
    assert end.ended_at is not None
    assert end.began_at == spans[1].began_at
    assert changed == {"terminal_cover_open": Known(1, is_open=False)}
    assert all(json.loads(event.details) == {} for event in first.events)


class _InterruptedClock(HeldClock):
    """Something happens at the nth request."""

    __slots__ = ("act", "left")

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.left = 0
        self.act: Callable[[], None] | None = None

    def now(self) -> datetime:
        self.left -= 1
        if self.left == 0 and self.act is not None:
            act, self.act = self.act, None
            act()
        return super().now()


@on_a_loop
async def test_an_event_that_happens_during_the_reading_costs_no_other(station: Station) -> None:
    time = _InterruptedClock(station.now() - timedelta(days=1))
    plan = StreetPlan(buses=(BusPlan(listen=LISTEN, phases=3, credit_kwh=5_000),))
    street = build_street(plan, time)
    (meter,) = street.meters.values()
    began: list[datetime] = []

    def happens() -> None:
        for act in (meter.open_cover, meter.close_cover):
            time.wait(60)
            now = HeldClock.now(time)
            meter.advance(now)
            act(now, Cover.TERMINAL)
        began.append(now - timedelta(seconds=60))

    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        known: dict[str, Known] = {}
        for request in range(1, 30):
            began.clear()
            for _ in range(3):
                happens()
            time.left, time.act = request, happens
            events = []
            for _ in range(3):
                out, news = await read_events(lines, device, known)
                assert not out.faults
                known |= news
                events += out.events
            found = {event.began_at for event in events if event.kind == "terminal_cover_open"}
            drift = timedelta(seconds=30)
            assert all(any(abs(at - one) < drift for one in found) for at in began), request
        await lines.aclose()


@on_a_loop
async def test_a_count_that_is_no_number_counts_as_none(station: Station) -> None:
    street, clock = street_beside(station, BusPlan(listen=LISTEN, credit_kwh=5_000))
    (meter,) = street.meters.values()
    meter.advance(clock.now())
    meter.power_off(clock.now())
    clock.wait(60)
    meter.power_on(clock.now())
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        counts = [source.count for source in event_sources() if source.kind != "power_off"]
        for data in (b"\xff" * 3, b"\x0a\x00\x00", b"\x99" * 18, b""):
            odd = {(device.address, di): data for di in counts}
            async with odd_wire(station, street, odd):
                lines = Lines(station)
                out, known = await read_events(lines, device, {})
                await lines.aclose()
            assert not out.faults
            assert [event.kind for event in out.events] == ["power_off"]
            assert known == {"power_off": Known(1, is_open=False)}


@on_a_loop
async def test_reversed_current_names_its_phase(station: Station) -> None:
    street, clock = street_beside(station, BusPlan(listen=LISTEN, phases=3, credit_kwh=5_000))
    (meter,) = street.meters.values()
    meter.advance(clock.now())
    meter.reverse_current(0b010, clock.now())
    clock.wait(120)
    async with street:
        (device,) = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        out, _ = await read_events(lines, device, {})
        await lines.aclose()
    (event,) = out.events
    assert (event.kind, event.details) == ("reverse_current", '{"phase":2}')


@on_a_loop
async def test_a_clocks_offset_is_read_over_every_protocol(station: Station) -> None:
    street, clock = street_beside(
        station,
        BusPlan(name="a", listen=LISTEN),
        BusPlan(name="old", listen=LISTEN, protocol="dlt645-1997"),
        BusPlan(name="c", listen=LISTEN, protocol="modbus-rtu"),
    )
    for meter in street.meters.values():
        meter.advance(clock.now())
        meter.set_clock(meter.local + 90, clock.now())
    async with street:
        devices = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        offsets = [await read_clock_offset_s(lines, device) for device in devices]
        await lines.aclose()
    assert all(offset in range(84, 97) for offset in offsets if offset is not None)
    assert None not in offsets
