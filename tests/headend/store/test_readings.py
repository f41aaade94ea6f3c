"""Readings, interval values and events are kept once, and contradictions apart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select, text

from headend.faults import EntryError, NotRegisteredError, StoreRefusedError
from headend.station import Station
from headend.store.packed import INT32_MAX, INT32_MIN
from headend.store.readings import (
    Kept,
    add_events,
    add_intervals,
    add_readings,
    events,
    intervals,
    latest,
    missing,
    readings,
    series,
)
from headend.store.tables import differing_values, interval_arrivals, interval_days
from headend.values import IntervalValue, MeterEvent, Quality, Reading, Source

DAY = datetime(2026, 11, 20, tzinfo=UTC)
ENERGY = "energy_import_total"
SIZES = (3, 500)
"""One row at a time, and by COPY."""


def _hours(device_id: int, count: int, first: int = 0) -> list[Reading]:
    return [
        Reading(device_id, ENERGY, DAY + timedelta(hours=hour), 1000 * hour)
        for hour in range(first, first + count)
    ]


def _quarters(
    device_id: int, count: int, first: int = 0, *, minutes: int = 15, of: datetime = DAY
) -> list[IntervalValue]:
    return [
        IntervalValue(device_id, ENERGY, of + timedelta(minutes=minutes * place), minutes, place)
        for place in range(first, first + count)
    ]


def _apart(connection: Connection, device_id: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(differing_values).where(differing_values.c.device_id == device_id)
    ).all()


@pytest.mark.parametrize("count", SIZES)
def test_a_reading_is_stored_once(station: Station, device_id: int, count: int) -> None:
    given = _hours(device_id, count)
    with station.writing() as connection:
        assert add_readings(connection, given) == Kept(new=count)
        assert add_readings(connection, [*given, *given]) == Kept(same=2 * count)
        assert add_readings(connection, _hours(device_id, count, 1)) == Kept(1, count - 1)
    with station.reading() as connection:
        end = DAY + timedelta(hours=count)
        assert readings(connection, device_id, ENERGY, DAY, end) == given
        assert readings(connection, device_id, ENERGY, DAY, DAY) == []
        assert readings(connection, device_id, "voltage_l1", DAY, end) == []


@pytest.mark.parametrize("count", SIZES)
def test_another_value_is_kept_apart(station: Station, device_id: int, count: int) -> None:
    given = _hours(device_id, count)
    other = [Reading(device_id, ENERGY, given[1].at, 77)] * 2
    with station.writing() as connection:
        add_readings(connection, given)
        assert add_readings(connection, [*given[:1], *other]) == Kept(same=1, differing=2)
    with station.reading() as connection:
        assert readings(connection, device_id, ENERGY, DAY, given[-1].at)[1] == given[1]
        [apart] = _apart(connection, device_id)
    assert (apart.value, apart.kept_value, apart.at) == (77, 1000, given[1].at)
    assert apart.state == "open"


def test_two_sources_of_one_moment_are_two_readings(station: Station, device_id: int) -> None:
    read = Reading(device_id, ENERGY, DAY, 5)
    frozen = Reading(device_id, ENERGY, DAY, 6, Source.FREEZE, Quality.SUSPECT)
    with station.writing() as connection:
        assert add_readings(connection, [frozen, read]) == Kept(new=2)
        assert readings(connection, device_id, ENERGY, DAY, DAY + timedelta(1)) == [read, frozen]


def test_the_latest_reading_of_each_quantity(station: Station, device_id: int) -> None:
    voltage = Reading(device_id, "voltage_l1", DAY - timedelta(days=400), -3)
    with station.writing() as connection:
        add_readings(connection, [*_hours(device_id, 5), voltage])
    with station.reading() as connection:
        found = latest(connection, device_id, [ENERGY, "voltage_l1", "credit"])
        earlier = latest(connection, device_id, [ENERGY], until=DAY + timedelta(minutes=90))
    assert found == {ENERGY: _hours(device_id, 5)[-1], "voltage_l1": voltage}
    assert earlier == {ENERGY: _hours(device_id, 2)[-1]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the point
        {"value": 2**63},
        {"value": 1.5},
        {"quality": Quality.MISSING},
    ],
)
def test_a_reading_that_cannot_be_is_refused(
    station: Station, device_id: int, wrong: dict[str, object]
) -> None:
    fields = {"device_id": device_id, "quantity": ENERGY, "at": DAY, "value": 1, **wrong}
    with pytest.raises(EntryError, match="nothing was kept"), station.writing() as connection:
        add_readings(connection, [Reading(**fields)])  # type: ignore[arg-type]


def test_values_of_a_device_that_nobody_knows_are_refused(station: Station) -> None:
    with (
        pytest.raises(NotRegisteredError, match="no device 99999"),
        station.writing() as connection,
    ):
        add_readings(connection, _hours(99_999, 1))
    with (
        pytest.raises(NotRegisteredError, match="no device 99999"),
        station.writing() as connection,
    ):
        add_intervals(connection, _quarters(99_999, 1))


def test_a_stored_reading_is_never_changed_or_deleted(station: Station, device_id: int) -> None:
    with station.writing() as connection:
        add_readings(connection, _hours(device_id, 1))
    for statement in ("UPDATE readings SET value = 1", "DELETE FROM readings"):
        with pytest.raises(StoreRefusedError, match="readings"), station.writing() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize("count", [3, 96, 300])
def test_an_interval_value_is_stored_once(station: Station, device_id: int, count: int) -> None:
    given = _quarters(device_id, count)
    with station.writing() as connection:
        assert add_intervals(connection, given) == Kept(new=count)
        assert add_intervals(connection, given[::-1]) == Kept(same=count)
        later = _quarters(device_id, count, 2)
        assert add_intervals(connection, [*later, *later]) == Kept(2, 2 * count - 2)
    with station.reading() as connection:
        end = given[-1].start + timedelta(minutes=1)
        assert intervals(connection, device_id, ENERGY, DAY, end) == given
        assert (
            intervals(connection, device_id, ENERGY, DAY + timedelta(minutes=1), end) == given[1:]
        )


def test_a_whole_day_is_packed_at_once(station: Station, device_id: int) -> None:
    with station.writing() as connection:
        add_intervals(connection, _quarters(device_id, 40))
        assert add_intervals(connection, _quarters(device_id, 97)) == Kept(57, 40)
        rows = connection.execute(
            select(interval_days).where(interval_days.c.device_id == device_id)
        ).all()
        waiting = (
            connection.execute(
                select(interval_arrivals.c.slot).where(interval_arrivals.c.device_id == device_id)
            )
            .scalars()
            .all()
        )
    [row] = rows
    assert (row.present, row.total, len(row.packed), row.qualities) == (
        96,
        sum(range(96)),
        384,
        b"",
    )
    assert waiting == [0]


@pytest.mark.parametrize("count", [3, 96])
def test_another_interval_value_is_kept_apart(station: Station, device_id: int, count: int) -> None:
    given = _quarters(device_id, count)
    other = IntervalValue(device_id, ENERGY, given[2].start, 15, -7)
    with station.writing() as connection:
        add_intervals(connection, given)
        assert add_intervals(connection, [other]) == Kept(differing=1)
        assert add_intervals(connection, [other, given[2]]) == Kept(same=1, differing=1)
        end = DAY + timedelta(days=1)
        assert intervals(connection, device_id, ENERGY, DAY, end) == given
        [apart] = _apart(connection, device_id)
    assert (apart.value, apart.kept_value, apart.interval_min) == (-7, 2, 15)
    assert (apart.at, apart.state) == (given[2].start, "open")


@pytest.mark.parametrize("count", [3, 96])
@pytest.mark.parametrize("first", ["estimate", "measured"])
def test_an_estimate_gives_way_to_what_was_measured(
    station: Station, device_id: int, count: int, first: str
) -> None:
    measured = _quarters(device_id, count)
    estimate = IntervalValue(device_id, ENERGY, DAY, 15, 50, Quality.ESTIMATED)
    with station.writing() as connection:
        if first == "estimate":
            assert add_intervals(connection, [estimate, *measured[1:]]) == Kept(new=count)
            assert add_intervals(connection, measured) == Kept(1, count - 1)
        else:
            assert add_intervals(connection, measured) == Kept(new=count)
            assert add_intervals(connection, [estimate]) == Kept(same=1)
        end = DAY + timedelta(days=1)
        assert intervals(connection, device_id, ENERGY, DAY, end) == measured
        [apart] = _apart(connection, device_id)
    assert (apart.value, apart.kept_value, apart.state) == (50, 0, "superseded")


@pytest.mark.parametrize("value", [INT32_MIN, -1, 0, INT32_MAX])
@pytest.mark.parametrize("count", [1, 24])
def test_all_of_32_bits_are_kept(station: Station, device_id: int, value: int, count: int) -> None:
    hours = [
        IntervalValue(device_id, ENERGY, DAY + timedelta(hours=hour), 60, value, Quality.SUSPECT)
        for hour in range(count)
    ]
    with station.writing() as connection:
        add_intervals(connection, hours)
        assert intervals(connection, device_id, ENERGY, DAY, DAY + timedelta(days=1)) == hours


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"start": DAY + timedelta(minutes=7)}, "is not where an interval"),
        ({"start": DAY.replace(tzinfo=None)}, "no zone"),
        ({"interval_min": 7}, "does not divide an hour"),
        ({"interval_min": 90}, "does not divide an hour"),
        ({"value": 2**31}, "32 bits"),
        ({"value": -(2**31) - 1}, "32 bits"),
        ({"quality": Quality.MISSING}, "leave it out"),
    ],
)
def test_an_interval_value_that_cannot_be_is_refused(
    station: Station, device_id: int, wrong: dict[str, object], message: str
) -> None:
    fields: dict[str, object] = {
        "device_id": device_id,
        "quantity": ENERGY,
        "start": DAY,
        "interval_min": 15,
        "value": 1,
    }
    with pytest.raises(EntryError, match=message), station.writing() as connection:
        add_intervals(connection, [IntervalValue(**{**fields, **wrong})])  # type: ignore[arg-type]


def test_gaps_are_found_over_several_days(station: Station, device_id: int) -> None:
    end = DAY + timedelta(days=3)
    quarter = timedelta(minutes=15)
    with station.writing() as connection:
        assert missing(connection, device_id, ENERGY, DAY, end, 15) == [(DAY, end)]
        add_intervals(connection, _quarters(device_id, 96))
        add_intervals(connection, _quarters(device_id, 10, 100))
        add_intervals(connection, _quarters(device_id, 3, 8, minutes=60, of=DAY + timedelta(2)))
        gaps = missing(connection, device_id, ENERGY, DAY, end, 15)
        assert gaps == [(DAY + 96 * quarter, DAY + 100 * quarter), (DAY + 110 * quarter, end)]
        inside = missing(
            connection, device_id, ENERGY, DAY + timedelta(minutes=1), DAY + 98 * quarter, 15
        )
        assert inside == [(DAY + 96 * quarter, DAY + 98 * quarter)]
        assert missing(connection, device_id, ENERGY, DAY, DAY + 96 * quarter, 15) == []
        assert missing(connection, device_id, ENERGY, DAY, DAY, 15) == []


def test_a_span_comes_as_arrays(station: Station, device_id: int) -> None:
    with station.writing() as connection:
        add_intervals(connection, _quarters(device_id, 99))
        since = DAY + timedelta(hours=23)
        [found] = series(connection, device_id, ENERGY, since, DAY + timedelta(hours=25))
    assert (found.start, found.interval_min) == (since, 15)
    assert found.values.tolist() == [*range(92, 99), 0]
    assert found.qualities.tolist() == [0] * 7 + [Quality.MISSING]
    assert found.times()[0] == since


def test_an_event_is_kept_once_and_gets_its_end(station: Station, device_id: int) -> None:
    opened = MeterEvent(device_id, "cover_open", DAY)
    closed = MeterEvent(device_id, "cover_open", DAY, DAY + timedelta(minutes=5))
    other = MeterEvent(device_id, "cover_open", DAY, DAY + timedelta(minutes=6))
    with station.writing() as connection:
        assert add_events(connection, [opened, opened]) == Kept(1, 1)
        assert add_events(connection, [closed]) == Kept(new=1)
        assert add_events(connection, [opened, closed]) == Kept(same=2)
        assert add_events(connection, [other]) == Kept(differing=1)
        assert add_events(connection, [other]) == Kept(same=1)
        assert set(events(connection, device_id, DAY, DAY + timedelta(1))) == {closed, other}
    with pytest.raises(EntryError, match="before it begins"), station.writing() as connection:
        add_events(connection, [MeterEvent(device_id, "x", DAY, DAY - timedelta(1))])
