"""Months go to Parquet files and are still there for whoever asks; a crash loses nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from headend.faults import EntryError, NotAllowedError
from headend.person import Person, Right
from headend.station import Station
from headend.store.archive import archive_month, drop_month, set_folder, write_month
from headend.store.faults import ArchiveExtraMissingError, ArchiveFileError, ArchiveMismatchError
from headend.store.held import Figures, held, months_held
from headend.store.months import Kind, Month, partitions
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
)
from headend.store.retention import Policy, carry_out, due, give_up, policies, set_policy
from headend.store.tables import archive_files, differing_values, store_months
from headend.values import IntervalValue, MeterEvent, Quality, Reading, Source

ENERGY = "energy_import_total"
POWER = "power_active_total"
ROOT = Path(__file__).parent.parent.parent.parent
_months = iter(Month(2015, 1).plus(2 * number) for number in range(100))


@pytest.fixture(scope="module")
def folder(station: Station, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "it's here"
    set_folder(station, folder)
    return folder


@pytest.fixture
def month(folder: Path) -> Month:  # noqa: ARG001 - a month of the test's own, and its archive
    return next(_months)


@pytest.fixture
def devices(new_device: Callable[[], int]) -> list[int]:
    return [new_device() for _ in range(3)]


def _readings(devices: list[int], month: Month) -> list[Reading]:
    return [
        Reading(
            device_id,
            quantity,
            month.start + timedelta(days=day, microseconds=device_id),
            -(10**15) + day * device_id,
            source,
            Quality.SUSPECT if day % 7 == 0 else Quality.GOOD,
        )
        for device_id in devices
        for quantity in (ENERGY, POWER)
        for source in (Source.REGISTER, Source.FREEZE)
        for day in range(20)
    ]


def _values(devices: list[int], month: Month) -> list[IntervalValue]:
    return [
        IntervalValue(
            device_id,
            POWER,
            month.start + timedelta(minutes=minutes * place),
            minutes,
            (place - 100) * device_id,
            Quality.INVALID if place % 31 == 0 else Quality.GOOD,
        )
        for device_id in devices
        for minutes in (15, 60)
        for place in range(24 * 60 // minutes * 3)
        if place % 50 != 3
    ]


def _events(devices: list[int], month: Month) -> list[MeterEvent]:
    return [
        MeterEvent(device_id, kind, month.start + timedelta(hours=hour), end, '{"n": "é"}')
        for device_id in devices
        for kind, end in (("cover_open", None), ("power_off", month.end))
        for hour in range(5)
    ]


def _fill(station: Station, devices: list[int], month: Month) -> None:
    with station.writing() as connection:
        add_readings(connection, _readings(devices, month))
        add_intervals(connection, _values(devices, month))
        add_events(connection, _events(devices, month))
    from headend.store.packing import pack

    pack(station)


def _everything(station: Station, devices: list[int], month: Month) -> list[object]:
    since, until = month.start - timedelta(days=400), month.end + timedelta(days=400)
    with station.reading() as connection:
        return [
            found
            for device_id in devices
            for found in (
                readings(connection, device_id, ENERGY, since, until),
                readings(connection, device_id, POWER, since, until),
                intervals(connection, device_id, POWER, since, until),
                intervals(connection, device_id, POWER, month.start + timedelta(1), until),
                events(connection, device_id, since, until),
                missing(connection, device_id, POWER, month.start, month.end, 15),
            )
        ]


def _rows(station: Station, kind: Kind, month: Month) -> Figures:
    with station.reading() as connection:
        return held(connection, kind, month)


def _files(folder: Path, kind: Kind, month: Month) -> list[Path]:
    return sorted((folder / kind / str(month)).glob("*"))


def test_what_is_archived_is_still_read(
    station: Station, folder: Path, devices: list[int], month: Month
) -> None:
    _fill(station, devices, month)
    before = _everything(station, devices, month)
    rows = {kind: _rows(station, kind, month).rows for kind in Kind}
    told: list[tuple[int, int]] = []
    for kind in Kind:
        done = archive_month(
            station, kind, month, devices_per_file=2, told=lambda *n: told.append(n)
        )
        assert done.rows == rows[kind] > 0
        assert _rows(station, kind, month) == Figures()
        files = _files(folder, kind, month)
        assert len(files) == done.files >= 2
        assert sum(file.stat().st_size for file in files) == done.bytes
        assert all(file.suffix == ".parquet" for file in files)
    assert told[-1][0] == told[-1][1]
    assert _everything(station, devices, month) == before
    with station.reading() as connection:
        if connection.dialect.name == "postgresql":
            assert all(month not in partitions(connection, kind) for kind in Kind)
        assert latest(connection, devices[0], [ENERGY]) == {}


def test_any_tool_reads_the_files(
    station: Station, folder: Path, devices: list[int], month: Month
) -> None:
    import duckdb

    _fill(station, devices, month)
    archive_month(station, Kind.READINGS, month)
    [file] = _files(folder, Kind.READINGS, month)
    rows = duckdb.execute(
        'SELECT device_id, quantity, "at", source, value, quality FROM read_parquet(?) '
        'WHERE device_id = ? ORDER BY quantity, "at", source LIMIT 1',
        [str(file), devices[0]],
    ).fetchall()
    first = month.start.replace(tzinfo=None) + timedelta(microseconds=devices[0])
    assert rows == [(devices[0], ENERGY, first, "freeze", -(10**15), 2)]


def test_late_values_of_an_archived_month_join_it(
    station: Station, folder: Path, devices: list[int], month: Month
) -> None:
    _fill(station, devices, month)
    given = _readings(devices, month)
    for kind in Kind:
        archive_month(station, kind, month)
    new = replace(given[0], at=month.end - timedelta(seconds=1))
    other = replace(given[1], value=5)
    late_value = IntervalValue(devices[0], POWER, month.end - timedelta(hours=1), 60, 9)
    with station.writing() as connection:
        assert add_readings(connection, [given[0], new, other]) == Kept(new=3)
        add_intervals(connection, [late_value, _values(devices, month)[0]])
        add_events(connection, _events(devices, month)[:1])
    from headend.store.packing import pack

    pack(station)
    span = devices[0], ENERGY, month.start, month.end
    for _ in range(2):
        with station.reading() as connection:
            found = readings(connection, *span)
            hours = intervals(connection, devices[0], POWER, late_value.start, month.end)
            happened = events(connection, devices[0], month.start, month.end)
        wanted = [r for r in given if (r.device_id, r.quantity) == span[:2]]
        key = lambda r: (r.at, r.source is not Source.REGISTER)  # noqa: E731
        assert found == sorted([*wanted, new], key=key)
        assert hours == [late_value]
        assert len(happened) == 10
        for kind in Kind:
            archive_month(station, kind, month)
            assert _rows(station, kind, month) == Figures()
    assert len(_files(folder, Kind.READINGS, month)) == 2
    assert len(_files(folder, Kind.EVENTS, month)) == 1
    with station.reading() as connection:
        [apart] = connection.execute(
            select(differing_values).where(differing_values.c.device_id.in_(devices))
        )
    assert (apart.value, apart.kept_value, apart.state) == (5, given[1].value, "open")


def test_what_changes_between_the_steps_is_not_dropped(
    station: Station, devices: list[int], month: Month
) -> None:
    _fill(station, devices, month)
    write_month(station, Kind.INTERVALS, month)
    late = IntervalValue(devices[0], POWER, month.start + timedelta(minutes=45), 15, 123)
    with station.writing() as connection:
        assert add_intervals(connection, [late]) == Kept(new=1)
    with pytest.raises(ArchiveMismatchError, match="Nothing was dropped"):
        drop_month(station, Kind.INTERVALS, month)
    with pytest.raises(ArchiveMismatchError, match="not written"):
        drop_month(station, Kind.INTERVALS, month)
    before = _everything(station, devices, month)
    archive_month(station, Kind.INTERVALS, month)
    assert _everything(station, devices, month) == before


def test_a_file_that_is_gone_keeps_the_month_in_the_database(
    station: Station, folder: Path, devices: list[int], month: Month
) -> None:
    _fill(station, devices, month)
    before = _everything(station, devices, month)
    write_month(station, Kind.READINGS, month)
    [file] = _files(folder, Kind.READINGS, month)
    file.unlink()
    with pytest.raises(ArchiveFileError, match="archive the month again"):
        drop_month(station, Kind.READINGS, month)
    assert _everything(station, devices, month) == before
    archive_month(station, Kind.READINGS, month)
    [file] = _files(folder, Kind.READINGS, month)
    hidden = file.rename(file.with_suffix(".hidden"))
    with pytest.raises(ArchiveFileError, match="Bring its folder back"):
        _everything(station, devices, month)
    hidden.rename(file)
    assert _everything(station, devices, month) == before


def test_without_duckdb_it_is_said_what_to_install(
    station: Station, devices: list[int], month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(station, devices, month)
    archive_month(station, Kind.READINGS, month)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ArchiveExtraMissingError, match=r"meterhouse\[archive\]"):
        archive_month(station, Kind.INTERVALS, month)
    with pytest.raises(ArchiveExtraMissingError), station.reading() as connection:
        readings(connection, devices[0], ENERGY, month.start, month.end)
    with station.reading() as connection:
        assert readings(connection, devices[0], ENERGY, month.end, month.plus(1).end) == []
        assert intervals(connection, devices[0], POWER, month.start, month.end)


def test_young_months_and_clerks_archive_nothing(station: Station) -> None:
    with pytest.raises(EntryError, match="too young"):
        archive_month(station, Kind.READINGS, Month.of(station.now()).plus(-2))
    clerk = replace(station, person=Person("ann", frozenset({Right.LOOK})))
    with pytest.raises(NotAllowedError):
        archive_month(clerk, Kind.READINGS, Month(2020, 1))


def test_rows_of_a_month_are_not_deleted_before_it_is_archived(
    station: Station, devices: list[int], month: Month
) -> None:
    _fill(station, devices, month)
    for table in ("readings", "interval_days", "meter_events"):
        with pytest.raises(Exception, match="delete"), station.writing() as connection:
            connection.execute(text(f"DELETE FROM {table} WHERE device_id = {devices[0]}"))


def test_retention_is_data_and_never_below_what_billing_may_need(
    station: Station, folder: Path, devices: list[int], month: Month
) -> None:
    with pytest.raises(EntryError, match="at least 36 months"):
        set_policy(station, Kind.READINGS, Policy(None, 35))
    with pytest.raises(EntryError, match="at the earliest"):
        set_policy(station, Kind.READINGS, Policy(2, None))
    with pytest.raises(Exception, match="billing"), station.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO store_retention (kind, keep_months, set_by, set_at) "
                "VALUES ('intervals', 35, 'x', '2026-01-01T00:00:00.000000Z')"
            )
        )
    _fill(station, devices, month)
    recent = Month.of(station.now()).plus(-4)
    _fill(station, devices[:1], recent)
    assert due(station).give_up == ()
    with pytest.raises(EntryError, match="is kept"):
        give_up(station, Kind.EVENTS, month)
    archive_month(station, Kind.EVENTS, month)
    set_policy(station, Kind.EVENTS, Policy(3, 12))
    now = due(station)
    assert (Kind.EVENTS, month) in now.give_up
    assert now.archive == ((Kind.EVENTS, recent),)
    before = _everything(station, devices[:1], recent)
    done = carry_out(station)
    assert [(each.kind, each.month) for each in done] == [(Kind.EVENTS, recent)]
    assert _everything(station, devices[:1], recent) == before
    assert _files(folder, Kind.EVENTS, month) == []
    with station.reading() as connection:
        assert events(connection, devices[0], month.start, month.end) == []
        assert readings(connection, devices[0], ENERGY, month.start, month.end)
        assert policies(connection)[Kind.READINGS] == Policy()
        assert recent not in months_held(connection, Kind.EVENTS)
    with pytest.raises(EntryError, match="is kept"):
        give_up(station, Kind.EVENTS, recent)
    set_policy(station, Kind.EVENTS, Policy())


_ARCHIVER = """
import sys
from datetime import UTC, datetime
from headend.station import Station
from headend.store.archive import archive_month
from headend.store.months import Kind, Month
from storage.engine import open_engine
station = Station(open_engine(sys.argv[1]), UTC, lambda: datetime(2026, 11, 21, tzinfo=UTC))
print("ready", flush=True)
for kind in Kind:
    archive_month(
        station, kind, Month.named(sys.argv[2]), devices_per_file=1,
        told=lambda done, of: print(done, flush=True),
    )
"""


def test_an_archiver_that_is_killed_loses_nothing(
    station: Station, shared_url: str, folder: Path, devices: list[int], month: Month
) -> None:
    _fill(station, devices, month)
    before = _everything(station, devices, month)
    dice = random.Random(3)
    killed = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _ARCHIVER, shared_url, str(month)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as archiver:
            assert archiver.stdout is not None
            for _ in range(1 + dice.randrange(40)):
                archiver.stdout.readline()
            time.sleep(dice.random() / 30)
            archiver.send_signal(signal.SIGKILL)
        killed += archiver.returncode == -signal.SIGKILL
        assert _everything(station, devices, month) == before
    assert killed
    for kind in Kind:
        archive_month(station, kind, month)
    assert _everything(station, devices, month) == before
    for kind in Kind:
        with station.reading() as connection:
            in_use = connection.scalar(
                select(func.count())
                .select_from(archive_files)
                .where(
                    archive_files.c.state == "in_use",
                    archive_files.c.kind == kind.value,
                    archive_files.c.month == str(month),
                )
            )
            states = connection.execute(
                select(store_months.c.state).where(store_months.c.month == str(month))
            ).scalars()
            assert set(states) == {"archived"}
        assert len(_files(folder, kind, month)) == in_use


def test_the_archive_needs_a_folder_that_can_be_written_to(station: Station) -> None:
    with pytest.raises(EntryError, match="cannot be written to"):
        set_folder(station, Path("/proc/archive"))


def test_months_are_those_of_utc() -> None:
    assert Month.of(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)) == Month(2026, 11)
