"""Packed days: any order of arrival gives the same store; a sweep may die at any moment."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from headend.station import Station
from headend.store.months import Month, make_ahead, months_between
from headend.store.packed import (
    INT32_MAX,
    INT32_MIN,
    Qualities,
    Values,
    empty,
    merge,
    pack,
    slots_of,
    unpack,
)
from headend.store.packing import pack as pack_days
from headend.store.readings import add_intervals, intervals
from headend.store.tables import interval_arrivals, interval_days
from headend.values import IntervalValue, Quality

DAY = datetime(2026, 10, 24, tzinfo=UTC)
ENERGY = "energy_import_total"
LENGTHS = (1, 5, 10, 15, 30, 60)
ROOT = Path(__file__).parent.parent.parent.parent

measured = st.sampled_from([Quality.GOOD, Quality.SUSPECT, Quality.INVALID])
int32 = st.integers(INT32_MIN, INT32_MAX)
on_databases = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def days(draw: st.DrawFn, interval_min: int = 60) -> tuple[list[int], list[int]]:
    count = slots_of(interval_min)
    values = draw(st.lists(int32, min_size=count, max_size=count))
    qualities = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    return values, qualities


def _arrays(day: tuple[list[int], list[int]]) -> tuple[Values, Qualities]:
    values, qualities = np.array([day[0]], np.int32), np.array([day[1]], np.uint8)
    values[qualities == Quality.MISSING] = 0
    return values, qualities


@given(days())
def test_what_is_packed_comes_back(day: tuple[list[int], list[int]]) -> None:
    values, qualities = _arrays(day)
    packed = pack(values[0], qualities[0])
    again = unpack(*packed)
    assert len(packed[0]) == 96
    assert len(packed[1]) in (0, 24)
    assert (again[0] == values[0]).all()
    assert (again[1] == qualities[0]).all()


def test_values_lie_little_endian() -> None:
    values, qualities = empty(1, 60)
    values[0, 0], qualities[:] = -2, 0
    packed, none = pack(values[0], qualities[0])
    assert packed[:4] == b"\xfe\xff\xff\xff"
    assert none == b""


@given(days(), days())
def test_a_merge_keeps_what_is_there_and_counts_what_comes(
    before: tuple[list[int], list[int]], new: tuple[list[int], list[int]]
) -> None:
    values, qualities = _arrays(before)
    new_values, new_qualities = _arrays(new)
    old_values, old_qualities = values.copy(), qualities.copy()
    merged = merge(values, qualities, new_values, new_qualities)
    firm = ~np.isin(old_qualities, [Quality.MISSING, Quality.ESTIMATED])
    assert (values[firm] == old_values[firm]).all()
    assert (qualities[firm] == old_qualities[firm]).all()
    assert not (merged.taken & merged.differing).any()
    there = (old_qualities != Quality.MISSING) | (new_qualities != Quality.MISSING)
    assert ((qualities != Quality.MISSING) == there).all()
    again = merge(values, qualities, new_values, new_qualities)
    assert not again.taken.any()
    assert (again.differing == merged.differing).all()


@st.composite
def arriving(draw: st.DrawFn) -> list[list[IntervalValue]]:
    """Values of some days and interval lengths, without contradictions, in batches."""
    interval_min = draw(st.sampled_from([15, 30, 60]))
    places = draw(st.sets(st.integers(0, 2 * slots_of(interval_min) - 1), max_size=60))
    if draw(st.booleans()):
        places |= set(range(slots_of(interval_min)))
    values = []
    for place in sorted(places):
        start = DAY + timedelta(minutes=interval_min) * place
        value = IntervalValue(0, ENERGY, start, interval_min, draw(int32), draw(measured))
        values.append(value)
        if draw(st.integers(0, 9)) == 0:
            estimate = IntervalValue(0, ENERGY, start, interval_min, 7, Quality.ESTIMATED)
            values.append(estimate)
        if draw(st.integers(0, 9)) == 0:
            values.append(value)
    shuffled = draw(st.permutations(values))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))
    edges = [0, *cuts, len(shuffled)]
    return [list(shuffled[low:high]) for low, high in itertools.pairwise(edges)]


@on_databases
@given(batches=arriving(), pack_after=st.sets(st.integers(0, 4)))
def test_any_order_of_arrival_gives_the_same_store(
    station: Station,
    new_device: Callable[[], int],
    batches: list[list[IntervalValue]],
    pack_after: set[int],
) -> None:
    device_id = new_device()
    new = 0
    for number, batch in enumerate(batches):
        mine = [
            IntervalValue(device_id, v.quantity, v.start, v.interval_min, v.value, v.quality)
            for v in batch
        ]
        with station.writing() as connection:
            kept = add_intervals(connection, mine)
        assert kept.new + kept.same == len(mine)
        new += kept.new
        if number in pack_after:
            pack_days(station, chunk_values=10)
    wanted = {
        v.start: (v.value, v.quality)
        for batch in batches
        for v in batch
        if v.quality is not Quality.ESTIMATED
    }
    assert new >= len(wanted)
    for _ in range(2):
        with station.reading() as connection:
            found = intervals(connection, device_id, ENERGY, DAY, DAY + timedelta(days=2))
            assert [v.start for v in found] == sorted(wanted)
            assert {v.start: (v.value, v.quality) for v in found} == wanted
        pack_days(station)
    with station.reading() as connection:
        rows = connection.execute(
            select(interval_days).where(interval_days.c.device_id == device_id)
        ).all()
        assert sum(row.present for row in rows) == len(wanted)
        assert sum(row.total for row in rows) == sum(value for value, _ in wanted.values())
        assert _waiting(station, device_id) == 0


def _waiting(station: Station, device_id: int) -> int:
    with station.reading() as connection:
        return (
            connection.scalar(
                select(func.count())
                .select_from(interval_arrivals)
                .where(interval_arrivals.c.device_id == device_id)
            )
            or 0
        )


def test_a_day_that_is_not_over_waits(station: Station, device_id: int) -> None:
    today = station.now().replace(hour=0, minute=0)
    values = [IntervalValue(device_id, ENERGY, today, 15, 4)]
    with station.writing() as connection:
        add_intervals(connection, values)
    pack_days(station)
    assert _waiting(station, device_id) == 1
    pack_days(station, until=today + timedelta(hours=23))
    assert _waiting(station, device_id) == 1
    pack_days(station, until=today + timedelta(days=1))
    assert _waiting(station, device_id) == 0


@pytest.mark.parametrize("interval_min", LENGTHS)
def test_every_interval_length_is_packed(
    station: Station, device_id: int, interval_min: int
) -> None:
    values = [
        IntervalValue(
            device_id, ENERGY, DAY + timedelta(minutes=interval_min) * place, interval_min, -place
        )
        for place in range(slots_of(interval_min) - 1)
    ]
    with station.writing() as connection:
        assert add_intervals(connection, values[::-1]).new == len(values)
    assert pack_days(station).kept.new >= len(values)
    with station.reading() as connection:
        assert intervals(connection, device_id, ENERGY, DAY, DAY + timedelta(days=1)) == values


def test_a_meter_may_change_its_interval_in_the_middle_of_a_day(
    station: Station, device_id: int
) -> None:
    hours = [IntervalValue(device_id, ENERGY, DAY + timedelta(hours=h), 60, h) for h in range(6)]
    quarters = [
        IntervalValue(device_id, ENERGY, DAY + timedelta(hours=6, minutes=15 * q), 15, q)
        for q in range(8)
    ]
    with station.writing() as connection:
        add_intervals(connection, [*quarters, *hours])
    pack_days(station)
    with station.reading() as connection:
        found = intervals(connection, device_id, ENERGY, DAY, DAY + timedelta(days=1))
    assert found == [*hours, *quarters]


def test_months_are_made_ahead_once(station: Station) -> None:
    now = datetime(2031, 12, 15, tzinfo=UTC)
    with station.writing() as connection:
        made = make_ahead(connection, now)
        assert made == (12 if connection.dialect.name == "postgresql" else 0)
        assert make_ahead(connection, now) == 0
        assert make_ahead(connection, now + timedelta(days=31)) == made // 4


def test_months_know_their_days() -> None:
    assert Month.named("2024-02").days == (19754, 19783)
    assert str(Month(2026, 12).plus(1)) == "2027-01"
    spans = months_between(datetime(2026, 11, 30, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert spans == [Month(2026, 11), Month(2026, 12)]
    with pytest.raises(ValueError, match="looks like"):
        Month.named("2026-13")


_PACKER = """
import sys
from datetime import UTC, datetime
from headend.station import Station
from headend.store.packing import pack
from storage.engine import open_engine
engine = open_engine(sys.argv[1])
station = Station(engine, UTC, lambda: datetime(2026, 11, 21, tzinfo=UTC))
print("ready", flush=True)
pack(station, chunk_values=50, told=lambda done, total: print(done, flush=True))
"""


def test_a_sweep_that_is_killed_loses_and_doubles_nothing(
    station: Station, shared_url: str, new_device: Callable[[], int]
) -> None:
    devices = [new_device() for _ in range(30)]
    dice = random.Random(7)
    values = [
        IntervalValue(device_id, ENERGY, DAY + timedelta(minutes=15 * place), 15, place + device_id)
        for device_id in devices
        for place in range(90)
    ]
    dice.shuffle(values)
    with station.writing() as connection:
        add_intervals(connection, values)
    killed = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _PACKER, shared_url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as packer:
            assert packer.stdout is not None
            for _ in range(1 + dice.randrange(6)):
                packer.stdout.readline()
            time.sleep(dice.random() / 100)
            packer.send_signal(signal.SIGKILL)
        killed += packer.returncode == -signal.SIGKILL
        _require_all(station, devices, values)
    assert killed
    pack_days(station)
    _require_all(station, devices, values)
    assert all(_waiting(station, device_id) == 0 for device_id in devices)
    with station.reading() as connection:
        total = connection.execute(
            select(func.sum(interval_days.c.present), func.sum(interval_days.c.total)).where(
                interval_days.c.device_id.in_(devices)
            )
        ).one()
    assert tuple(map(int, total)) == (len(values), sum(value.value for value in values))


def _require_all(station: Station, devices: list[int], values: list[IntervalValue]) -> None:
    with station.reading() as connection:
        found = [
            value
            for device_id in devices
            for value in intervals(connection, device_id, ENERGY, DAY, DAY + timedelta(days=1))
        ]
    assert found == sorted(values, key=lambda value: (value.device_id, value.start))
