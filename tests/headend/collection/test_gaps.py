"""What the store lacks is asked for, and only that: profiles, freezes, events, clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from headend.collection.faults import ManualReadingError
from headend.collection.gaps import Wanted, wanted_of
from headend.collection.manual import enter_reading
from headend.collection.plan import What
from headend.collection.tables import clock_offsets, event_counts, manual_readings
from headend.station import Station
from headend.store import readings as store
from headend.talk.device import load_device
from headend.values import Quality, Reading, Source
from headend.work.port import Urgency
from simulators.street_plan import BusPlan
from tests.headend.collection.collecting import HOURLY, head_end, plan_of
from tests.headend.registered import add_device
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

PROFILE = {
    "what": {"profile": ["energy_import_total"], "clock": False, "profile_back": 2},
    "when": {"every_min": 60},
}


@on_a_loop
async def test_a_gap_of_the_profile_is_filled_after_an_outage_of_the_line(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=2)) as head:
        began = station.now()
        head.collection.add_plan("profiles", PROFILE)
        assert head.collection.plan("profiles").plan.urgency is Urgency.BACKGROUND
        head.wait(minutes=91)
        await head.swept()
        head.wait(hours=9)  # nobody reads meanwhile: the service was down
        await head.swept()
        head.wait(hours=1)
        await head.swept()
        with station.reading() as connection:
            for device in head.devices:
                key = (device.device_id, "energy_import_total")
                until = station.now().replace(minute=0, second=0)
                assert store.missing(connection, *key, began, until, 15) == []
                values = store.intervals(connection, *key, began, until)
                assert {value.quality for value in values} == {Quality.GOOD}
                assert [v.value for v in values] == sorted(v.value for v in values)
                assert len(values) == (until - began) // timedelta(minutes=15)


@on_a_loop
async def test_daily_freezes_are_asked_for_once(station: Station, clock: Clock) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN)) as head:
        daily = {"daily": ["energy_import_total"], "daily_back": 3, "clock": False}
        head.collection.add_plan("daily", {"what": daily, "when": {"every_min": 720}})
        head.wait(days=3)
        await head.swept()
        head.wait(hours=13)
        await head.swept()
        second, first = head.collection.rounds()
        assert first.counts == second.counts == {"read": 1}
        with station.reading() as connection:
            kept = store.readings(
                connection, head.devices[0].device_id, "energy_import_total",
                station.now() - timedelta(days=9), station.now(),
            )  # fmt: skip
        assert {reading.source for reading in kept} == {Source.FREEZE}
        assert [reading.at.hour for reading in kept] == [16] * len(kept)
        assert len(kept) >= 3
        assert second.requests <= first.requests


@on_a_loop
async def test_events_and_the_clock_come_with_a_round_once_a_day(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, credit_kwh=5_000)) as head:
        (meter,) = head.street.meters.values()
        meter.advance(head.street_clock.now())
        meter.power_off(head.street_clock.now())
        head.wait(minutes=1)
        meter.power_on(head.street_clock.now())
        what = {"quantities": ["energy_import_total"], "events": True}
        head.collection.add_plan("hourly", {"what": what, "when": {"every_min": 60}})
        head.wait(minutes=30)
        await head.swept()
        head.wait(hours=1)
        await head.swept()
        device_id = head.devices[0].device_id
        with station.reading() as connection:
            found = store.events(
                connection, device_id, station.now() - timedelta(days=1), station.now()
            )
            offsets = connection.execute(select(clock_offsets)).all()
            known = connection.execute(select(event_counts)).all()
        assert [event.kind for event in found if event.kind == "power_off"] == ["power_off"]
        assert len(offsets) == 1
        assert abs(offsets[0].offset_s) <= 10
        assert {row.source for row in known} >= {"power_off"}
        second, first = head.collection.rounds()
        assert second.requests < first.requests


@on_a_loop
async def test_a_modbus_meter_that_keeps_no_freezes_is_told_as_such(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, protocol="modbus-tcp")) as head:
        daily = {"daily": ["energy_import_total"], "clock": False}
        head.collection.add_plan("daily", {"what": daily, "when": {"every_min": 720}})
        head.wait(days=2)
        await head.swept()
        (lost,) = head.collection.missing(1)
        assert (lost.state, lost.why) == ("failed", "not_offered")


@on_a_loop
async def test_a_person_reads_what_the_line_could_not(
    station: Station, clock: Clock, tmp_path: Path
) -> None:
    photo = tmp_path / "display.jpg"
    photo.write_bytes(b"a picture")
    async with head_end(station, clock, BusPlan(listen=LISTEN, dead_every=1)) as head:
        head.collection.add_plan("hourly", plan_of(HOURLY, within_min=10))
        head.wait(minutes=30)
        await head.swept()
        at = station.now() + timedelta(minutes=2)
        head.wait(minutes=11)
        await head.swept()
        number = head.devices[0].number
        assert len(head.collection.missing(1)) == 1
        wrong = [("12.3456", "decimals"), ("twelve", "no number"), ("-1", "below zero")]
        for shown, words in wrong:
            with pytest.raises(ManualReadingError, match=words):
                enter_reading(station, number, "energy_import_total", shown, at, "on site")
        entered = enter_reading(
            station, number, "energy_import_total", "123.45", at, "on site", photo
        )
        assert entered.reading.value == 123_450
        assert entered.settled == (1,)
        assert head.collection.missing(1) == []
        with pytest.raises(ManualReadingError, match="already"):
            enter_reading(station, number, "energy_import_total", "123.45", at, "again")
        with station.reading() as connection:
            (row,) = connection.execute(select(manual_readings)).all()
        assert (row.photo, len(row.photo_sha256), row.note) == ("display.jpg", 64, "on site")


def test_a_freeze_of_which_a_part_is_missing_is_lacking_and_a_day_is_no_settlement(
    station: Station, clock: Clock
) -> None:
    zone = station.zone
    clock.now = datetime(2026, 11, 1, tzinfo=UTC)
    device_id = add_device(station, "1", None)
    clock.now = datetime(2026, 12, 3, 3, tzinfo=UTC)
    both = ("energy_import_total", "energy_export_total")
    what = What(
        daily=(*both, "energy_import_t4"), daily_back=3, monthly=(*both[:1], "energy_import_t1")
    )

    def keep(quantity: str, *days: int) -> None:
        with station.writing() as connection:
            values = [
                Reading(device_id, quantity, datetime(2026, 12, day, tzinfo=zone), 5, Source.FREEZE)
                for day in days
            ]
            store.add_readings(connection, values)

    def wanted() -> Wanted:
        with station.reading() as connection:
            device = load_device(connection, device_id)
            return wanted_of(connection, station, device, what, ("daily", "monthly"))

    assert (wanted().daily, wanted().monthly) == ((1, 2, 3), (1,))
    keep(both[0], 1, 2, 3)
    keep(both[1], 1, 3)  # that of the second was lost; the fourth tariff never comes
    assert (wanted().daily, wanted().monthly) == ((2,), (1,))
    keep(both[1], 2)
    keep("energy_import_t1", 1)
    assert (wanted().daily, wanted().monthly) == ((), ())
