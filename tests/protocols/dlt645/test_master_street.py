"""The master and the simulated meters: both ends of the wire, and what happens in the house."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from protocols.dlt645 import Edition, MeterTime, Password, RelayCommand
from protocols.dlt645.master import EventKind, FreezeKind, FreezePart, Master, Outcome
from protocols.dlt645.security import IdentityAuthentication, Purchase
from protocols.transport import LinkOptions, open_link
from simulators.metering.smart_meter import SmartMeter
from simulators.street import Street, build_street
from simulators.street_clock import HeldClock
from simulators.street_plan import StreetPlan
from tests.protocols.transport.peers import in_loop

START = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
PASSWORD = Password(2, "000000")
SETTING = Password(4, "000000")
CLIENT = "000000000000"
PATIENT = LinkOptions(delay_ms_first=500, delay_ms_max=1000, retries=1, backoff_ms_first=20)
ZONE = timezone(timedelta(hours=8))
"""What the meters' clocks run in."""


def local(clock: HeldClock) -> datetime:
    """The true time as a meter's clock should show it."""
    return clock.now().astimezone(ZONE)


@asynccontextmanager
async def street_of(**bus: object) -> AsyncIterator[tuple[Street, HeldClock, Master, SmartMeter]]:
    table = {"seed": 7, "start": START, "bus": [{"listen": "127.0.0.1:0", "first": 1} | bus]}
    clock = HeldClock(START)
    street = build_street(StreetPlan.from_table(table), clock)
    async with street:
        edition = Edition(str(bus.get("protocol", "dlt645-2007"))[-4:])
        link = await open_link(street.ports[0].url, options=PATIENT)
        try:
            yield street, clock, Master(link, edition), next(iter(street.meters.values()))
        finally:
            await link.aclose()


def valid_until() -> MeterTime:
    return MeterTime(year=2027, month=1, day=1, hour=0, minute=0, second=0)


@pytest.mark.parametrize("protocol", ["dlt645-2007", "dlt645-1997"])
def test_energies_voltages_and_clocks(protocol: str) -> None:
    @in_loop
    async def run() -> None:
        async with street_of(protocol=protocol, meters=3, load=1000, credit_kwh=500) as (
            street,
            clock,
            master,
            _,
        ):
            clock.wait(hours=30)
            for address in street.meters:
                energy = await master.read(address, 0x00010000)
                assert energy.value is not None
                assert abs(energy.value_as(Decimal) or 0) == pytest.approx(30, abs=1)
                ahead_s = await master.clock_offset_s(address, lambda: local(clock))
                assert abs(ahead_s) <= 5  # they drift

    run()


@in_loop
async def test_trip_allow_close_and_the_button() -> None:
    async with street_of(load=500) as (_, clock, master, meter):
        tripped = await master.relay(meter.address, RelayCommand.TRIP, valid_until(), PASSWORD)
        assert tripped.outcome is Outcome.DONE
        assert tripped.supply_on is False
        allowed = await master.relay(
            meter.address, RelayCommand.ALLOW_CLOSE, valid_until(), PASSWORD
        )
        assert allowed.outcome is Outcome.DONE
        assert allowed.supply_on is False
        assert allowed.awaits_button
        meter.press_button(clock.now())
        word = await master.read_status_word_3(meter.address)
        assert not word.relay_off
        closed = await master.relay(
            meter.address, RelayCommand.DIRECT_CLOSE, valid_until(), PASSWORD
        )
        assert closed.supply_on is True


@in_loop
async def test_an_order_past_its_validity_is_refused() -> None:
    async with street_of() as (_, _clock, master, meter):
        past = MeterTime(year=2026, month=11, day=20, hour=0, minute=0, second=0)
        result = await master.relay(meter.address, RelayCommand.TRIP, past, PASSWORD)
        assert result.outcome is Outcome.FAILED
        assert result.supply_on is True


@in_loop
async def test_protection_keeps_the_supply_on() -> None:
    async with street_of() as (_, _clock, master, meter):
        on = await master.relay(meter.address, RelayCommand.PROTECTION_ON, valid_until(), PASSWORD)
        assert on.outcome is Outcome.DONE
        trip = await master.relay(
            meter.address, RelayCommand.TRIP, valid_until(), PASSWORD, settle_s=0.1
        )
        assert trip.outcome is Outcome.FAILED
        assert trip.supply_on is True


@in_loop
async def test_money_goes_in_once() -> None:
    async with street_of(kind="money", amount_minor=1_000) as (_, _clock, master, meter):
        order = Purchase(5_000, 2, b"TEST", CLIENT, b"TEST")
        paid = await master.recharge(meter.address, order, "00000001")
        assert paid.outcome is Outcome.DONE
        assert paid.before is not None
        assert paid.after is not None
        assert paid.after.remaining_cents == (paid.before.remaining_cents or 0) + 5_000
        again = await master.recharge(meter.address, order, "00000001")
        assert again.outcome is Outcome.DONE
        assert not again.was_sent
        held = await master.prepayment(meter.address)
        assert held.remaining_cents == paid.after.remaining_cents
        (record, *_) = [record async for record in master.purchases(meter.address)]
        assert (record.count, record.bought) == (2, 5_000)
        session = await master.authenticate(
            meter.address, IdentityAuthentication(bytes(8), bytes(8), bytes(8)), "00000001"
        )
        assert len(session.esam_number) == 8


@in_loop
async def test_a_forged_payment_is_refused() -> None:
    async with street_of(kind="money", amount_minor=1_000) as (_, _clock, master, meter):
        order = Purchase(5_000, 2, b"evil", CLIENT, b"evil")
        refused = await master.recharge(meter.address, order, "00000001")
        assert refused.outcome is Outcome.FAILED
        assert refused.after is not None
        assert refused.after.count == 1


@in_loop
async def test_a_clock_is_corrected_and_a_parameter_written() -> None:
    async with street_of() as (_, clock, master, meter):
        result = await master.set_clock(meter.address, lambda: local(clock))
        assert result.outcome is Outcome.DONE
        written = await master.write(meter.address, 0x04000103, Decimal(30), SETTING)
        assert written.outcome is Outcome.DONE
        wrong = await master.write(meter.address, 0x04000103, Decimal(15), Password(4, "999999"))
        assert wrong.outcome is Outcome.FAILED


@in_loop
async def test_freezes_load_profile_and_events_of_some_days() -> None:
    async with street_of(load=400, credit_kwh=500) as (_, clock, master, meter):
        clock.wait(days=3)
        meter.power_off(clock.now())
        clock.wait(hours=1)
        meter.power_on(clock.now())
        clock.wait(minutes=1)
        address = meter.address
        freezes = [
            entry
            async for entry in master.freezes(address, FreezeKind.DAILY, FreezePart.FORWARD_ACTIVE)
        ]
        assert len(freezes) >= 3
        first, second = (entry.part.readings[0].value for entry in freezes[:2])
        assert isinstance(first, Decimal)
        assert isinstance(second, Decimal)
        assert first - second == pytest.approx(Decimal("9.6"), abs=Decimal("0.1"))
        since = MeterTime(year=2026, month=11, day=22, hour=0, minute=0)
        until = MeterTime(year=2026, month=11, day=22, hour=6, minute=0)
        records = [entry async for entry in master.load_profile(address, since, until, blocks=4)]
        assert len(records) == 24
        assert records[0].time == since
        assert await master.event_count(address, EventKind.POWER_DOWN) == 1
        events = [entry async for entry in master.events(address, EventKind.POWER_DOWN)]
        assert len(events) == 1


@in_loop
async def test_a_dead_meter_among_others() -> None:
    async with street_of(meters=4, dead_every=2) as (street, _clock, master, _):
        answered = []
        for address in street.meters:
            many = await master.read_many(address, [0x00010000, 0x02010100])
            answered.append(len(many.answers))
        assert answered == [2, 0, 2, 0]
