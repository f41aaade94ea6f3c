"""Days of points and losses of places: exchanged meters, gaps, sub-meters, feeders, bands."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from headend.registry.tables import installations
from headend.station import Station
from headend.store.registers import add_readings
from headend.values import Quality, Reading
from headend.watching.calendar import date_of, day_of, midnight, number_of
from headend.watching.days import compute_days, recompute
from headend.watching.findings import FindingDesk, Hold, hold_of
from headend.watching.limits import set_limit
from headend.watching.losses import Balance, compute_losses, judge, losses
from headend.watching.tables import point_days, watch_marks
from headend.watching.thresholds import Limits
from tests.headend.watching.town import add_meter, add_place, freeze, put_meter, running

TODAY = number_of(date(2026, 11, 21))
"""Of the tests' clock, in the station's zone."""
FIRST = TODAY - 10
LONG_AGO = timedelta(days=400)


def _days(station: Station, point_id: int) -> dict[int, tuple[int, int]]:
    with station.reading() as connection:
        rows = connection.execute(select(point_days).where(point_days.c.point_id == point_id))
        return {row.day: (row.wh, row.state) for row in rows}


def _meter(station: Station, number: str, place: int | None, **more: object) -> tuple[int, int]:
    more.setdefault("since", station.now() - LONG_AGO)
    return add_meter(station, number, place, **more)  # type: ignore[arg-type]


def test_days_are_the_differences_of_registers_at_the_zones_midnights(station: Station) -> None:
    device, point = _meter(station, "1", None)
    used = [1000 + 10 * number for number in range(10)]
    freeze(station, device, FIRST, running(5_000, used))
    assert day_of(station.zone, station.now()) == TODAY
    assert compute_days(station) == 10
    assert _days(station, point) == {FIRST + n: (wh, 0) for n, wh in enumerate(used)}


def test_a_second_run_writes_nothing(station: Station) -> None:
    device, _ = _meter(station, "1", None)
    gone, _ = _meter(station, "2", None)
    freeze(station, device, FIRST, running(0, [1000] * 10))
    freeze(station, gone, FIRST, [*running(0, [1000] * 5), None, None])
    assert compute_days(station) > 0
    assert compute_losses(station)
    assert compute_days(station) == 0
    assert compute_losses(station) == []


def test_a_gap_is_estimated_and_made_good_when_readings_come_late(station: Station) -> None:
    device, point = _meter(station, "1", None)
    registers: list[int | None] = [*running(0, [1000] * 10)]
    late = registers[5]
    registers[5] = None
    freeze(station, device, FIRST, registers)
    compute_days(station)
    assert [_days(station, point)[FIRST + n] for n in (3, 4, 5, 6)] == [
        (1000, 0), (1000, 1), (1000, 1), (1000, 0),
    ]  # fmt: skip
    assert late is not None
    freeze(station, device, FIRST + 5, [late + 200])
    assert compute_days(station) == 2
    assert [_days(station, point)[FIRST + n] for n in (4, 5)] == [(1200, 0), (800, 0)]


def test_hourly_readings_on_both_sides_of_midnight_are_no_estimate(station: Station) -> None:
    device, point = _meter(station, "1", None)
    given = [
        Reading(device, "energy_import_total", midnight(station.zone, day) + off, wh)
        for day, registers in ((TODAY - 1, (900, 1_100)), (TODAY, (9_700, 10_300)))
        for off, wh in zip((-timedelta(minutes=15), timedelta(minutes=45)), registers, strict=True)
    ]
    with station.writing() as connection:
        add_readings(connection, given)
    compute_days(station)
    assert _days(station, point)[TODAY - 1] == (9_850 - 950, 0)


def test_a_silent_meters_days_are_its_usual_ones_or_missing(station: Station) -> None:
    device, point = _meter(station, "1", None)
    never, other = _meter(station, "2", None)
    freeze(station, device, FIRST, running(0, [1000, 3000, 2000, 1000, 9000]))
    compute_days(station)
    assert _days(station, point)[TODAY - 1] == (2000, 1)
    assert _days(station, other)[TODAY - 1] == (0, 2)
    assert never


@pytest.mark.parametrize("quality", [Quality.SUSPECT, Quality.INVALID])
def test_values_that_are_not_believed_are_not_used(station: Station, quality: Quality) -> None:
    device, point = _meter(station, "1", None)
    freeze(station, device, TODAY - 1, [0, 5000], quality=quality)
    compute_days(station)
    assert _days(station, point)[TODAY - 1] == (0, 2)


def test_an_exchanged_meter_loses_no_energy_and_its_registers_are_not_subtracted(
    station: Station,
) -> None:
    old, point = _meter(station, "1", None, ratio=10)
    freeze(station, old, TODAY - 3, [900_000, 910_000])
    noon = midnight(station.zone, TODAY - 2) + timedelta(hours=12)
    with station.writing() as connection:
        connection.execute(
            update(installations)
            .where(installations.c.device_id == old)
            .values(until=noon, last_wh=91_400)
        )
    new = put_meter(station, "2", point, ratio=10, since=noon, first_wh=100, reason="exchanged")
    freeze(station, new, TODAY - 1, [7_000, 17_000])
    compute_days(station)
    days = _days(station, point)
    assert days[TODAY - 3] == (10_000, 0)
    assert days[TODAY - 2] == (4_000 + 6_000, 0)
    assert days[TODAY - 1] == (10_000, 0)
    (first,) = FindingDesk(station).list(check="first_reading")
    assert "6.00 kWh" in first.reason
    with station.reading() as connection:
        assert hold_of(connection, new, noon, noon + timedelta(days=1)) is Hold.HELD
        assert hold_of(connection, old, noon, noon + timedelta(days=1)) is not Hold.HELD


def test_a_full_register_begins_again_and_a_person_confirms_it(station: Station) -> None:
    device, point = _meter(station, "1", None)
    freeze(station, device, TODAY - 2, [999_995_000, 4_000, 9_000])
    compute_days(station)
    assert _days(station, point)[TODAY - 2] == (9_000, 0)
    (finding,) = FindingDesk(station).list(check="rollover")
    assert finding.holds


def test_a_register_that_goes_back_gives_no_energy_but_a_finding(station: Station) -> None:
    device, point = _meter(station, "1", None)
    freeze(station, device, TODAY - 3, [500_000, 510_000, 100, 5_100])
    compute_days(station)
    assert [_days(station, point)[TODAY - n] for n in (3, 2, 1)] == [
        (10_000, 0), (0, 2), (5_000, 0),
    ]  # fmt: skip
    (finding,) = FindingDesk(station).list(check="register")
    assert finding.cause == "register_backward"


def _town(station: Station) -> tuple[int, int, int]:
    substation = add_place(station, "substation", "S")
    feeder = add_place(station, "feeder", "F", substation)
    return feeder, add_place(station, "area", "A", feeder), add_place(station, "area", "B", feeder)


def _loss(station: Station, place: int, day: int = TODAY - 1) -> tuple[int, int, str, int | None]:
    with station.reading() as connection:
        (found,) = losses(connection, day, day, place_id=place)
    return found.supplied_wh, found.sold_wh, found.state, found.loss_bp


def test_req27_areas_and_their_feeder_are_balanced_by_day(station: Station) -> None:
    feeder, one, two = _town(station)
    for place, number, supplied in (
        (feeder, "90", 24_000),
        (one, "91", 10_500),
        (two, "92", 13_000),
    ):
        device, _ = _meter(station, number, place, role="supply")
        freeze(station, device, TODAY - 1, [1_000, 1_000 + supplied])
    for place, number in ((one, "1"), (one, "2"), (two, "3"), (two, "4")):
        device, _ = _meter(station, number, place)
        freeze(station, device, TODAY - 1, [7_000, 12_000])
    compute_days(station)
    compute_losses(station)
    assert _loss(station, one) == (10_500, 10_000, "good", 476)
    assert _loss(station, two) == (13_000, 10_000, "high", 2307)
    assert _loss(station, feeder) == (24_000, 20_000, "high", 1666)


def test_sub_meters_and_check_meters_are_not_sold_twice_and_feeding_in_is_supply(
    station: Station,
) -> None:
    _, area, _ = _town(station)
    supply, _ = _meter(station, "90", area, role="supply")
    freeze(station, supply, TODAY - 1, [0, 9_000])
    device, point = _meter(station, "1", area)
    freeze(station, device, TODAY - 1, [0, 9_000])
    for number, role in (("2", "customer"), ("3", "check")):
        below, _ = _meter(station, number, area, role=role, parent_id=point)
        freeze(station, below, TODAY - 1, [0, 4_000])
    sun, _ = _meter(station, "4", area)
    freeze(station, sun, TODAY - 1, [0, 500])
    freeze(station, sun, TODAY - 1, [0, 1_000], quantity="energy_export_total")
    compute_days(station)
    compute_losses(station)
    assert _loss(station, area) == (10_000, 9_500, "good", 500)


def test_a_place_of_which_too_little_is_known_is_not_judged(station: Station) -> None:
    _, area, _ = _town(station)
    supply, _ = _meter(station, "90", area, role="supply")
    freeze(station, supply, TODAY - 2, [0, 9_000, None])
    known, _ = _meter(station, "1", area)
    silent, _ = _meter(station, "2", area)
    freeze(station, known, TODAY - 2, [0, 4_000, 8_000])
    compute_days(station)
    compute_losses(station)
    assert _loss(station, area, TODAY - 2)[2:] == ("uncovered", None)
    assert _loss(station, area, TODAY - 1)[2:] == ("unsupplied", None)
    assert silent


def test_a_place_with_a_supply_without_a_meter_is_not_judged(station: Station) -> None:
    _, area, _ = _town(station)
    for number in ("90", "91"):
        supply, point = _meter(station, number, area, role="supply")
        if number == "90":
            freeze(station, supply, TODAY - 2, [0, 9_000, 18_000])
        else:  # there is a point that feeds the area, but no meter yet
            with station.writing() as connection:
                connection.execute(
                    update(installations)
                    .where(installations.c.point_id == point)
                    .values(until=installations.c.since)
                )
    customer, _ = _meter(station, "1", area)
    freeze(station, customer, TODAY - 2, [0, 8_800, 17_600])
    compute_days(station)
    compute_losses(station)
    assert _loss(station, area, TODAY - 1)[2:] == ("unsupplied", None)


def test_a_supply_that_came_later_says_nothing_of_the_days_before(station: Station) -> None:
    _, area, _ = _town(station)
    supply, _ = _meter(station, "90", area, role="supply")
    customer, _ = _meter(station, "1", area)
    freeze(station, supply, TODAY - 1, [0, 9_000])
    freeze(station, customer, TODAY - 1, [0, 8_800])
    _meter(station, "91", area, role="supply", since=station.now())
    compute_days(station)
    compute_losses(station)
    assert _loss(station, area, TODAY - 1)[2] == "good"


def test_losses_follow_corrections_when_they_are_computed_again(station: Station) -> None:
    set_limit(station, "loss_days_back", 2)
    _, area, _ = _town(station)
    supply, _ = _meter(station, "90", area, role="supply")
    customer, _ = _meter(station, "1", area)
    freeze(station, supply, FIRST, running(0, [10_000] * 10))
    freeze(station, customer, FIRST, running(0, [9_500] * 10))
    assert compute_days(station) == 4, "only the days that lie within the limit"
    compute_losses(station)
    assert recompute(station, FIRST, TODAY + 5) == 20
    assert compute_losses(station) == list(range(FIRST, TODAY))
    assert _loss(station, area, FIRST) == (10_000, 9_500, "good", 500)
    with station.reading() as connection:
        marks = [row[0] for row in connection.execute(select(watch_marks))]
    assert [mark for mark in marks if not mark.startswith("judge")] == []


def test_days_of_23_and_25_hours_are_whole_days() -> None:
    zone = ZoneInfo("Europe/Berlin")
    spring, autumn = number_of(date(2026, 3, 29)), number_of(date(2026, 10, 25))
    for day, hours in ((spring, 23), (autumn, 25), (spring + 1, 24)):
        assert midnight(zone, day + 1) - midnight(zone, day) == timedelta(hours=hours)
        assert day_of(zone, midnight(zone, day)) == day
    assert date_of(spring) == date(2026, 3, 29)


@given(
    came=st.integers(0, 10**9),
    used=st.integers(0, 10**9),
    meters=st.integers(0, 500),
    known=st.integers(0, 500),
    kind=st.sampled_from(["area", "feeder"]),
)
def test_a_judged_loss_is_the_share_that_is_missing(
    came: int, used: int, meters: int, known: int, kind: str
) -> None:
    balance = Balance(
        came_wh=came, used_wh=used, meters=meters, known=min(known, meters), supplies=1,
        supplies_known=1,
    )  # fmt: skip
    state, loss = judge(balance, kind, Limits())
    if loss is None:
        assert state in ("uncovered", "unsupplied")
        assert came == 0 or 100 * balance.known < 90 * meters or not meters
    else:
        assert loss * came <= 10_000 * (came - used) < (loss + 1) * came
        assert (state == "low") == (loss < -100)
