"""The head-end: rounds against the bare wire, orders, memory of links, the cost of being large.

Bare is the master alone on the same street in the same run: no database, no queue, no rounds.
Workers are `meterhouse serve`, processes of their own; the street is one, too, and so is
PostgreSQL, with its files on the disk and fsync on: all of them share the machine.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from benchmarks.line import Line, Scale, Target, Yardstick
from benchmarks.measure import in_fresh_process
from benchmarks.proof import databases
from benchmarks.proof.house import make_house, write_credentials
from benchmarks.proof.worker import Worker
from benchmarks.registered import LinkRow, MeterRow, register
from benchmarks.suites.street import Door, read_all, street_process
from headend.collection.desk import Collection
from headend.collection.sweep import sweep
from headend.collection.tables import rounds
from headend.orders.calendar import CalendarDesk
from headend.orders.desk import Orders
from headend.orders.policy import set_policy
from headend.orders.rules import Rules
from headend.orders.tables import orders
from headend.orders.values import OrderKind, OrderRequest
from headend.orders.windows import DAY_MIN, Window
from headend.person import Person
from headend.service.overview import look
from headend.station import Station
from headend.talk.device import load_devices
from headend.talk.lines import Lines
from headend.talk.reading import read_device
from headend.work.durable import DurableWork
from protocols.transport import LinkOptions
from simulators.street_plan import BusPlan, StreetPlan
from storage.engine import open_engine

_LINKS: Final = 300
_METERS_PER_LINK: Final = 34
_ORDERS_PER_LINK: Final = 4
_ORDERS_TOGETHER: Final = 100
_IDLE_LINKS: Final = 1_000
_LARGE: Final = (1_000, 10_000, 100_000)
_ITEMS: Final = (0x00010000,)
_DOCUMENT: Final = {"what": {"quantities": ["energy_import_total"], "clock": False},
                    "when": {"every_min": 1440}}  # fmt: skip
_PLAN: Final = "bench"
_PUBLIC_COMMANDS_S: Final = 133
"""Commands per second that have been published for a system of eight servers."""
_NAMES: Final = ("north", "south")
_PATIENCE_S: Final = 600
_BYTES_PER_KB: Final = 1_000
_MS: Final = 1_000


def lines(scale: Scale) -> Iterator[Line]:
    """Measure everything."""
    plan = BusPlan(meters=_METERS_PER_LINK, repeat=scale(_LINKS), listen="127.0.0.1:0", load=100)
    with street_process(StreetPlan(buses=(plan,), seed=7)) as (doors, _):
        bare = asyncio.run(read_all(doors, _ITEMS, LinkOptions()))
        bare_rate = bare.read / bare.wall_s
        yield Line(
            f"the wire alone: {bare.read:,} meters behind {len(doors)} links",
            bare_rate,
            "meters/s",
            f"{bare.cpu_s / bare.read * 1e6:.0f} us of a processor for each",
        )
        for named, workers in (("sqlite", 1), ("postgresql", 1), ("postgresql", 2)):
            yield from _served(named, workers, doors, bare_rate)
    yield from _idle_links(scale)
    yield from _large(scale)


# Workers on a street


@dataclass(frozen=True, slots=True)
class _House:
    station: Station
    work: DurableWork
    ids: dict[str, int]


def _served(named: str, workers: int, doors: Sequence[Door], bare_rate: float) -> Iterator[Line]:
    title = f"{'SQLite' if named == 'sqlite' else 'PostgreSQL'}, {workers} worker" + (
        "s" if workers > 1 else ""
    )
    with _house(named, doors) as (house, url, folder), ExitStack() as stack:
        at_work = []
        for name in _NAMES[:workers]:
            worker = Worker(name, url, 0, write_credentials(folder), folder)
            stack.callback(worker.close)
            worker.begin()
            at_work.append(worker)
        _until(lambda: all('"serving"' in each.log.read_text("utf-8") for each in at_work))
        meters = len(house.ids)
        _round(house)  # connections, statements and links are made
        cpu = sum(map(_cpu_s, at_work))
        took_s = _round(house)
        cpu = sum(map(_cpu_s, at_work)) - cpu
        yield Line(
            f"{title}: a round of {meters:,} meters",
            meters / took_s,
            "meters/s",
            f"{cpu / meters * 1e6:.0f} us of the workers' processors for each",
            yardstick=Yardstick("the wire alone", bare_rate),
        )
        chosen = [m for door in doors for m in door.meters[:_ORDERS_PER_LINK]]
        cpu = sum(map(_cpu_s, at_work))
        took_s = _commands(house, [house.ids[address[1:]] for address in chosen])
        cpu = sum(map(_cpu_s, at_work)) - cpu
        yield Line(
            f"{title}: {len(chosen):,} trips, ordered, sent and read back",
            len(chosen) / took_s,
            "orders/s",
            f"{cpu / len(chosen) * _MS:.1f} ms of the workers' processors for each",
            target=Target(_PUBLIC_COMMANDS_S) if workers > 1 else None,
            yardstick=Yardstick("a published figure of eight servers", _PUBLIC_COMMANDS_S),
        )
        for worker in at_work:
            worker.stop()


def _round(house: _House) -> float:
    """Seconds from asking for a round to its end."""
    began = time.perf_counter()
    made = Collection(house.station).run_now(_PLAN, house.work)

    def is_over() -> bool:
        with house.station.reading() as connection:
            query = select(rounds.c.ended_at).where(rounds.c.round_id == made)
            return connection.scalar(query) is not None

    _until(is_over)
    return time.perf_counter() - began


def _commands(house: _House, device_ids: Sequence[int]) -> float:
    """Seconds from giving the first order to the end of the last one."""
    began = time.perf_counter()
    for first in range(0, len(device_ids), _ORDERS_TOGETHER):
        _order(house, device_ids[first : first + _ORDERS_TOGETHER])

    def are_over() -> bool:
        with house.station.reading() as connection:
            query = select(func.count()).where(orders.c.ended_at.is_(None))
            return not connection.scalar(query.select_from(orders))

    _until(are_over)
    took_s = time.perf_counter() - began
    with house.station.reading() as connection:
        done = connection.scalar(
            select(func.count()).select_from(orders).where(orders.c.state == "done")
        )
    assert done == len(device_ids), f"{done} of {len(device_ids)} orders were done"
    return took_s


def _order(house: _House, device_ids: Sequence[int]) -> None:
    """A batch, in one transaction as `meterhouse order batch` gives it."""
    desk = Orders(house.station, house.work)
    with house.station.writing() as connection:
        rules = Rules(house.station, connection)
        for device_id in device_ids:
            request = OrderRequest(
                client="bench",
                message_id=str(device_id),
                kind=OrderKind.RELAY_TRIP,
                device_id=device_id,
                why="a measurement",
            )
            desk.place_in(connection, request, rules=rules)


@contextmanager
def _house(named: str, doors: Sequence[Door]) -> Iterator[tuple[_House, str, Path]]:
    street = [
        LinkRow(
            f"link {number}",
            door.url,
            tuple(MeterRow(address[1:], "dlt645-2007", address) for address in door.meters),
        )
        for number, door in enumerate(doors)
    ]
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-") as text:
        folder = Path(text)
        with databases.opened(named, folder) as database:
            make_house(database.url)
            engine = open_engine(database.url)
            try:
                yield _furnished(Station(
                    engine, ZoneInfo("Asia/Shanghai"), lambda: datetime.now(UTC), Person("bench")
                ), street), database.url, folder  # fmt: skip
            finally:
                engine.dispose()


def _furnished(station: Station, street: Sequence[LinkRow]) -> _House:
    CalendarDesk(station).set_windows(Window(day, 0, DAY_MIN) for day in range(1, 8))
    set_policy(station, {"trips_at_once_max": 1_000_000})
    with station.writing() as connection:
        ids = register(connection, street, station.now())
    Collection(station).add_plan(_PLAN, _DOCUMENT)
    return _House(station, DurableWork(station.engine), ids)


def _cpu_s(worker: Worker) -> float:
    text = Path(f"/proc/{worker.process_id}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("The head-end did not get through in time.")
        time.sleep(0.1)


# Idle links


def _idle_links(scale: Scale) -> Iterator[Line]:
    plan = BusPlan(meters=1, repeat=scale(_IDLE_LINKS), listen="127.0.0.1:0", load=100)
    with street_process(StreetPlan(buses=(plan,), seed=7)) as (doors, _):
        bytes_each = in_fresh_process(_memory_of_links, doors)
    yield Line(
        f"memory of a link that was used and is idle, of {len(doors):,}",
        bytes_each / _BYTES_PER_KB,
        "kB",
        "a socket's buffers, the link, its master and meter",
    )


def _memory_of_links(doors: list[Door]) -> float:
    """Bytes for each link that is open and has read a meter once."""
    with _house("sqlite", doors) as (house, _, _):
        return asyncio.run(_open_all(house))


async def _open_all(house: _House) -> float:
    with house.station.reading() as connection:
        devices = list(load_devices(connection, house.ids.values()).values())
    lines = Lines(house.station, idle_s=3_600)
    first, *others = devices
    try:
        await read_device(lines, first, ["energy_import_total"])  # what all of them share
        before = _memory_bytes()
        for device in others:
            told = await read_device(lines, device, ["energy_import_total"])
            assert told.values, told.faults
        return (_memory_bytes() - before) / len(others)
    finally:
        await lines.aclose()


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# Being large


def _large(scale: Scale) -> Iterator[Line]:
    for meters in _LARGE:
        yield from _of_size(scale(meters))


def _of_size(meters: int) -> Iterator[Line]:
    each = _METERS_PER_LINK
    doors = [
        Door(f"tcp://10.0.0.1:{first + 1}", tuple(
            f"{number:012}" for number in range(first, min(first + each, meters))
        ))
        for first in range(0, meters, each)
    ]  # fmt: skip
    with _house("postgresql", doors) as (house, _, _):
        title = f"{meters:,} meters registered: "
        began = time.perf_counter()
        Collection(house.station).run_now(_PLAN, house.work)
        yield Line(
            f"{title}a round made and its {len(doors):,} links queued",
            (time.perf_counter() - began) * _MS,
            "ms",
            "one transaction; a job and a turn for each link",
        )
        yield Line(
            f"{title}a sweep that finds nothing due",
            _best_ms(lambda: sweep(house.station, house.work)),
            "ms",
            "every second, on one worker",
        )
        yield Line(
            f"{title}one look of top, a round under way",
            _best_ms(lambda: look(house.station)),
            "ms",
            "the standing of the open round",
        )


def _best_ms(act: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - began)
    return best * _MS
