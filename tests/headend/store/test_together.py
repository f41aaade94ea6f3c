"""Several writers at once, readings in any order, and writers while months are archived."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from headend.faults import EntryError, StoreUnavailableError
from headend.station import Station
from headend.store.archive import archive_month, set_folder
from headend.store.faults import ArchiveMismatchError
from headend.store.kept import INT64_MAX
from headend.store.months import Kind, Month
from headend.store.packing import pack
from headend.store.readings import Kept, add_intervals, add_readings, intervals, latest, readings
from headend.store.tables import differing_values, interval_days
from headend.values import IntervalValue, Quality, Reading, Source

DAY = datetime(2026, 8, 1, tzinfo=UTC)
ENERGY = "energy_import_total"


def test_writers_at_once_lose_and_double_nothing(
    station: Station, new_device: Callable[[], int]
) -> None:
    devices = [new_device() for _ in range(4)]
    values = [
        IntervalValue(device_id, ENERGY, DAY + timedelta(minutes=30 * place), 30, place)
        for device_id in devices
        for place in range(48 * 3)
    ]
    read = [Reading(value.device_id, ENERGY, value.start, value.value) for value in values]

    def write(seed: int) -> tuple[Kept, Kept]:
        dice = random.Random(seed)
        kept = Kept(), Kept()
        for turn in range(6):
            day = dice.randrange(3)
            mine = [value for value in values if (value.start - DAY).days == day]
            if turn % 2:
                mine = dice.sample(mine, 40)
            mine.sort(key=lambda value: (value.start, value.device_id))
            some = sorted(
                dice.sample(read, 300 if turn % 2 else 20), key=lambda r: (r.device_id, r.at)
            )
            with station.writing() as connection:
                kept = kept[0] + add_readings(connection, some), kept[1]
            with station.writing() as connection:
                kept = kept[0], kept[1] + add_intervals(connection, mine)
            if turn == seed:
                pack(station, chunk_values=30)
        return kept

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(write, range(4)))
    with station.writing() as connection:
        last = add_readings(connection, read), add_intervals(connection, values)
    assert sum((each[0].new for each in done), last[0].new) == len(read)
    assert all(kept.differing == 0 for each in (*done, last) for kept in each)
    pack(station)
    with station.reading() as connection:
        for device_id in devices:
            mine = [value for value in values if value.device_id == device_id]
            span = device_id, ENERGY, DAY, DAY + timedelta(days=3)
            assert intervals(connection, *span) == mine
            assert [each.at for each in readings(connection, *span)] == [v.start for v in mine]
        present = connection.scalar(
            select(func.sum(interval_days.c.present)).where(interval_days.c.device_id.in_(devices))
        )
    assert present == len(values)


batches = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from([Source.REGISTER, Source.FREEZE, Source.MANUAL]),
        ),
        max_size=6,
    ),
    max_size=4,
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batches=batches, factor=st.sampled_from([1, -1, INT64_MAX // 8]))
def test_readings_in_any_order_give_the_same_store(
    station: Station,
    new_device: Callable[[], int],
    batches: list[list[tuple[int, Source]]],
    factor: int,
) -> None:
    device_id = new_device()

    def reading(hour: int, source: Source) -> Reading:
        quality = Quality.GOOD if hour % 2 else Quality.SUSPECT
        at = DAY + timedelta(hours=hour)
        return Reading(device_id, ENERGY, at, (hour + 1) * factor, source, quality)

    new = 0
    for batch in batches:
        with station.writing() as connection:
            kept = add_readings(connection, [reading(*each) for each in batch])
        new += kept.new
        assert kept.differing == 0
    wanted = {reading(*each) for batch in batches for each in batch}
    assert new == len(wanted)
    with station.reading() as connection:
        found = readings(connection, device_id, ENERGY, DAY, DAY + timedelta(days=1))
        last = latest(connection, device_id, [ENERGY])
        apart = connection.scalar(
            select(func.count())
            .select_from(differing_values)
            .where(differing_values.c.device_id == device_id)
        )
    assert set(found) == wanted
    assert len(found) == len(wanted)
    assert found == sorted(found, key=lambda each: each.at)
    assert apart == 0
    if wanted:
        newest = max(each.at for each in wanted)
        order = list(Source)
        assert last[ENERGY] == min(
            (each for each in wanted if each.at == newest), key=lambda r: order.index(r.source)
        )


def test_late_values_while_a_month_is_archived_are_not_lost(
    station: Station, new_device: Callable[[], int], tmp_path: Path
) -> None:
    set_folder(station, tmp_path)
    devices = [new_device() for _ in range(3)]
    month = Month(2019, 5)
    read = [
        Reading(device_id, ENERGY, month.start + timedelta(hours=hour), hour)
        for device_id in devices
        for hour in range(200)
    ]
    with station.writing() as connection:
        add_readings(connection, read[::2])
    late = read[1::2]

    def write() -> None:
        for place in range(0, len(late), 20):
            with station.writing() as connection:
                add_readings(connection, late[place : place + 20])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while True:
            finished = writing.done()
            try:
                archive_month(station, Kind.READINGS, month, devices_per_file=1)
            except (ArchiveMismatchError, StoreUnavailableError):
                continue
            if finished:
                break
        writing.result()
    with station.reading() as connection:
        found = [
            each
            for device_id in devices
            for each in readings(connection, device_id, ENERGY, month.start, month.end)
        ]
    assert found == read


@pytest.mark.parametrize("count", [1, 300])
def test_a_batch_with_a_wrong_value_leaves_nothing(
    station: Station, device_id: int, count: int
) -> None:
    read = [
        Reading(device_id, "frequency", DAY + timedelta(seconds=each), 1) for each in range(count)
    ]
    wrong = Reading(device_id, "frequency", DAY, 2**70)
    with pytest.raises(EntryError), station.writing() as connection:
        add_readings(connection, [*read, wrong])
    with station.writing() as connection:
        assert readings(connection, device_id, "frequency", DAY, DAY + timedelta(days=1)) == []
        assert add_readings(connection, read) == Kept(new=count)
