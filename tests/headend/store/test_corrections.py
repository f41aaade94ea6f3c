"""Corrections, contradictions that a person settles, sums, days of a zone, query plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, insert, text

from headend.faults import EntryError, NotAllowedError, NotRegisteredError, StoreRefusedError
from headend.person import Person, Right
from headend.station import Station
from headend.store.corrections import contradictions, correct_reading, settle
from headend.store.energy import Sum, interval_sums
from headend.store.packing import pack
from headend.store.quantities import quantity_ids
from headend.store.readings import (
    add_intervals,
    add_readings,
    intervals,
    latest,
    missing,
    readings,
    series,
)
from headend.store.tables import interval_days
from headend.values import IntervalValue, Quality, Reading, Source

DAY = datetime(2026, 9, 1, tzinfo=UTC)
ENERGY = "energy_import_total"


def _span(connection: Connection, device_id: int) -> list[Reading]:
    return readings(connection, device_id, ENERGY, DAY, DAY + timedelta(days=1))


def test_a_correction_stands_in_the_place_of_what_was_read(
    station: Station, device_id: int
) -> None:
    read = Reading(device_id, ENERGY, DAY, 90_000_000)
    frozen = replace(read, source=Source.FREEZE)
    with station.writing() as connection:
        add_readings(connection, [read, frozen])
    correct_reading(station, read, value=900, reason="a digit too many")
    correct_reading(station, read, value=901, reason="read again", quality=Quality.ESTIMATED)
    with station.reading() as connection:
        corrected = replace(read, value=901, quality=Quality.ESTIMATED)
        assert _span(connection, device_id) == [corrected, frozen]
        assert latest(connection, device_id, [ENERGY]) == {ENERGY: corrected}
        as_read = readings(connection, device_id, ENERGY, DAY, DAY + timedelta(1), corrected=False)
        assert as_read == [read, frozen]
    with pytest.raises(StoreRefusedError, match="never changed"), station.writing() as connection:
        connection.execute(text("UPDATE reading_corrections SET value = 1"))


def test_a_correction_needs_a_reading_a_reason_and_a_right(
    station: Station, device_id: int
) -> None:
    read = Reading(device_id, ENERGY, DAY, 1)
    with pytest.raises(EntryError, match="no reading"):
        correct_reading(station, read, value=2, reason="why not")
    with station.writing() as connection:
        add_readings(connection, [read])
    with pytest.raises(EntryError, match="Say why"):
        correct_reading(station, read, value=2, reason=" ")
    clerk = replace(station, person=Person("ann", frozenset({Right.LOOK})))
    with pytest.raises(NotAllowedError):
        correct_reading(clerk, read, value=2, reason="x")


@pytest.mark.parametrize("take_other", [True, False])
@pytest.mark.parametrize("kind", ["reading", "interval"])
def test_a_person_settles_a_contradiction(
    station: Station, device_id: int, kind: str, take_other: bool
) -> None:
    day = [IntervalValue(device_id, ENERGY, DAY + timedelta(hours=h), 60, h) for h in range(24)]
    with station.writing() as connection:
        if kind == "reading":
            add_readings(connection, [Reading(device_id, ENERGY, DAY, 1)])
            add_readings(connection, [Reading(device_id, ENERGY, DAY, 2)])
        else:
            add_intervals(connection, day)
            add_intervals(connection, [replace(day[1], value=2)])
    with station.reading() as connection:
        [open_] = contradictions(connection, device_id=device_id)
    assert (open_.kept_value, open_.other_value, open_.quantity) == (1, 2, ENERGY)
    settle(station, open_.number, take_other=take_other, reason="the till slip says so")
    with pytest.raises(NotRegisteredError, match="No contradiction"):
        settle(station, open_.number, take_other=True, reason="again")
    with station.reading() as connection:
        assert contradictions(connection, device_id=device_id) == []
        if kind == "reading":
            found = _span(connection, device_id)[0].value
        else:
            found = intervals(connection, device_id, ENERGY, DAY, DAY + timedelta(1))[1].value
    assert found == (2 if take_other else 1)


def test_what_waits_is_settled_after_it_is_packed(station: Station, device_id: int) -> None:
    value = IntervalValue(device_id, ENERGY, DAY, 60, 1)
    with station.writing() as connection:
        add_intervals(connection, [value])
        add_intervals(connection, [replace(value, value=2)])
        [open_] = contradictions(connection, device_id=device_id)
    with pytest.raises(EntryError, match="waits to be packed"):
        settle(station, open_.number, take_other=True, reason="x")
    pack(station)
    settle(station, open_.number, take_other=True, reason="x")
    with station.reading() as connection:
        [found] = intervals(connection, device_id, ENERGY, DAY, DAY + timedelta(1))
    assert found.value == 2


def test_sums_of_whole_and_cut_days(station: Station, new_device: Callable[[], int]) -> None:
    devices = [new_device() for _ in range(3)]
    with station.writing() as connection:
        for device_id in devices[:2]:
            add_intervals(
                connection,
                [
                    IntervalValue(device_id, ENERGY, DAY + timedelta(hours=h), 60, device_id + h)
                    for h in range(24 * 3 + 10)
                ],
            )
    for since, until in ((0, 72), (0, 82), (5, 30), (24, 48), (3, 5), (70, 80), (90, 99)):
        begin, end = DAY + timedelta(hours=since), DAY + timedelta(hours=until)
        with station.reading() as connection:
            found = interval_sums(connection, devices, ENERGY, begin, end)
        hours = range(since, min(until, 82))
        wanted = {
            device_id: Sum(sum(device_id + h for h in hours), 60 * len(hours))
            for device_id in devices[:2]
            if len(hours)
        }
        assert found == wanted
    pack(station)
    with station.reading() as connection:
        assert interval_sums(connection, devices, ENERGY, DAY, DAY + timedelta(days=4)) == {
            device_id: Sum(sum(device_id + h for h in range(82)), 60 * 82)
            for device_id in devices[:2]
        }


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25), (7, 1, 24)])
def test_a_day_of_the_zone_may_have_23_or_25_hours(
    station: Station, device_id: int, month: int, day: int, hours: int
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    since = datetime(2026, month, day, tzinfo=zone)
    until = datetime(2026, month, day, tzinfo=zone) + timedelta(days=1)  # the wall's next midnight
    begin, end = since.astimezone(UTC), until.astimezone(UTC)
    values = [
        IntervalValue(device_id, ENERGY, begin + timedelta(minutes=15 * place), 15, place)
        for place in range(hours * 4)
    ]
    with station.writing() as connection:
        add_intervals(connection, values)
    pack(station, until=end + timedelta(days=2))
    with station.reading() as connection:
        assert intervals(connection, device_id, ENERGY, since, until) == values
        assert missing(connection, device_id, ENERGY, since, until, 15) == []
        [found] = series(connection, device_id, ENERGY, since, until)
        assert found.values.tolist() == list(range(hours * 4))
        assert interval_sums(connection, [device_id], ENERGY, since, until) == {
            device_id: Sum(sum(range(hours * 4)), hours * 60)
        }


@pytest.fixture(scope="module")
def million(station: Station, new_device: Callable[[], int]) -> tuple[int, int]:
    """A million readings, and packed days of many meters: a device and a quantity among them."""
    if station.engine.dialect.name == "sqlite":
        at = "strftime('%Y-%m-%dT%H:%M:%f000Z', 1600000000 + 600 * n, 'unixepoch')"
        rows = (
            "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 999999) "
            f"SELECT 1000000 + n % 500, {at}, n, {{q}}, 1, 0 FROM r"
        )
    else:
        at = "to_timestamp(1600000000 + 60 * mod(n, 43200))"
        rows = f"SELECT 1000000 + n / 43200, {at}, n, {{q}}, 1, 0 FROM generate_series(0, 999999) n"
    device_id = new_device()
    with station.writing() as connection:
        number = quantity_ids(connection, ["power_active_total"])["power_active_total"]
        add_readings(connection, [Reading(device_id, ENERGY, datetime(2020, 9, 13, tzinfo=UTC), 1)])
        add_readings(
            connection, [Reading(device_id, ENERGY, datetime(2020, 10, 13, tzinfo=UTC), 1)]
        )
        connection.exec_driver_sql(
            "INSERT INTO readings (device_id, at, value, quantity_id, source, quality) "
            + rows.format(q=number)
        )
        add_intervals(
            connection,
            [
                IntervalValue(device_id, ENERGY, DAY + timedelta(hours=h), 60, h)
                for h in range(24 * 20)
            ],
        )
        days = (DAY - datetime(1970, 1, 1, tzinfo=UTC)).days
        connection.execute(
            insert(interval_days),
            [
                {
                    "total": 0,
                    "device_id": 2_000_000 + device,
                    "day": days + day,
                    "quantity_id": number,
                    "interval_min": 60,
                    "present": 24,
                    "packed": bytes(96),
                    "qualities": b"",
                }
                for day in range(20)
                for device in range(1000)
            ],
        )
    if station.engine.dialect.name == "postgresql":
        with station.writing() as connection:
            connection.exec_driver_sql("ANALYZE readings, interval_days")
    return device_id, number


_QUESTIONS = {
    "latest": "SELECT value FROM readings WHERE device_id = {d} AND quantity_id = {q} "
    "ORDER BY at DESC LIMIT 5",
    "span": "SELECT value FROM readings WHERE device_id = {d} AND quantity_id = {q} "
    "AND at >= '2020-09-20' AND at < '2020-09-21' ORDER BY at, source",
    "days": "SELECT packed FROM interval_days WHERE day IN (20697, 20698, 20699) "
    "AND device_id = {d} AND quantity_id = {q}",
    "all of a day": "SELECT sum(total) FROM interval_days WHERE day = 20698 AND quantity_id = {q} "
    "AND device_id IN ({d}, 2000001)",
    "first of a month": "SELECT min(day) FROM interval_days WHERE day > 20690",
    "waiting": "SELECT min(day) FROM interval_arrivals WHERE day > 20690",
}


@pytest.mark.parametrize("name", _QUESTIONS)
def test_no_question_reads_a_whole_table_of_a_million_rows(
    station: Station, million: tuple[int, int], name: str
) -> None:
    device_id, quantity_id = million
    question = _QUESTIONS[name].format(d=device_id, q=quantity_id)
    is_sqlite = station.engine.dialect.name == "sqlite"
    with station.reading() as connection:
        plan = "\n".join(
            str(row[3] if is_sqlite else row[0])
            for row in connection.execute(
                text(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{question}")
            )
        )
    if is_sqlite:
        assert "SEARCH" in plan, plan
        assert "SCAN" not in plan, plan
        return
    assert "Index" in plan, plan
    large = ("readings_2020_09", "interval_days")  # the others hold a handful of rows
    whole = [line for line in plan.splitlines() if "Seq Scan" in line]
    assert not any(word in line for line in whole for word in large), plan


def test_the_latest_of_a_million_is_found_at_once(
    station: Station, million: tuple[int, int]
) -> None:
    device_id, _ = million
    with station.reading() as connection:
        found = latest(connection, device_id, [ENERGY, "power_active_total"])
    assert set(found) == {ENERGY}
