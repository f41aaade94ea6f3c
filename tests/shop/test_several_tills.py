"""Several tills on one database, in threads and in processes; some of them are killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from storage.engine import open_engine
from tests.shop.databases import PostgresqlDatabases
from tests.shop.till import AMOUNT_MINOR
from vending import (
    KeyChangeRequest,
    Meter,
    NewMeter,
    Outcome,
    PublicTestKeys,
    Shop,
    VendRequest,
)
from vending.shop.faults import DatabaseUnavailableError
from vending.sts import TransferCredit, make_drn

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 120


class Till:
    """`tests.shop.till` in a process of its own."""

    def __init__(self, url: str, client: str, meter: str, count: int, prefix: str = "") -> None:
        arguments = [url, client, meter, str(count), prefix]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.shop.till", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == b"ready\n", self.process.communicate()[1].decode()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def answers(self) -> list[bytes]:
        """Let it finish; its answers."""
        out, errors = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, errors.decode()
        return out.splitlines()

    def killed_after(self, seconds: float) -> list[bytes]:
        """Kill it (SIGKILL); the answers that it had printed."""
        time.sleep(seconds)
        self.process.kill()
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        return [line for line in out.splitlines() if line.endswith(b"}")]


def run_tills(tills: Iterable[Till]) -> list[list[bytes]]:
    """Start all of them at the same moment; their answers."""
    tills = list(tills)
    for till in tills:
        till.wait_ready()
    for till in tills:
        till.go()
    return [till.answers() for till in tills]


def tids_of(answers: Iterable[bytes]) -> list[int]:
    return [token["tid"] for token in tokens_of(answers)]


def tokens_of(answers: Iterable[bytes]) -> list[dict[str, Any]]:
    return [token for answer in answers for token in json.loads(answer)["receipt"]["tokens"]]


def require_sound(shop: Shop, url: str, sales: int, meters: Iterable[Meter]) -> None:
    """What must hold whatever happened: each sale whole, none lost, none twice."""
    statement = shop.statement()
    assert statement.agrees
    assert statement.sales == sales
    assert statement.tendered_minor == sales * AMOUNT_MINOR
    engine = open_engine(url)
    with engine.connect() as connection:
        stored = connection.execute(
            text("SELECT meter_id, tid, digits, units FROM tokens ORDER BY receipt_no")
        ).all()
        unanswered = connection.scalar(text("SELECT count(*) FROM requests WHERE outcome IS NULL"))
    engine.dispose()
    assert unanswered == 0
    assert len(stored) == sales
    assert len({row.digits for row in stored}) == sales
    keys = PublicTestKeys()
    for meter in meters:
        own = [row for row in stored if row.meter_id == meter.meter_id]
        tids = [row.tid for row in own]
        assert len(set(tids)) == len(tids)
        for row in own:
            content = keys.read_token(row.digits, meter.attributes()).content
            assert isinstance(content, TransferCredit)
            assert (content.tid, content.amount) == (row.tid, row.units)


def test_duplicates_from_several_threads_sell_once(
    shop: Shop, database_url: str, meter: Meter
) -> None:
    threads = 8
    barrier = threading.Barrier(threads)
    request = VendRequest("kiosk", "m1", meter.number, AMOUNT_MINOR)

    def ask(_: int) -> bytes:
        barrier.wait()
        return shop.vend(request).response

    with ThreadPoolExecutor(threads) as pool:
        answers = set(pool.map(ask, range(threads)))
    assert len(answers) == 1
    require_sound(shop, database_url, 1, [meter])


def test_duplicates_from_several_processes_sell_once_each(
    shop: Shop, database_url: str, meter: Meter
) -> None:
    answers = run_tills(Till(database_url, "kiosk", meter.number, 10) for _ in range(3))
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0]) == 10
    require_sound(shop, database_url, 10, [meter])


def test_sales_to_one_meter_from_several_processes_never_share_an_identifier(
    shop: Shop, database_url: str, meter: Meter
) -> None:
    answers = run_tills(Till(database_url, f"till-{n}", meter.number, 15) for n in range(3))
    tids = [tid for till in answers for tid in tids_of(till)]
    assert len(set(tids)) == 45
    require_sound(shop, database_url, 45, [meter])


def test_sales_and_key_changes_from_several_threads_stay_in_step(shop: Shop, meter: Meter) -> None:
    """Each token decodes under the key that its receipt names."""

    def act(number: int) -> Any:
        if number % 5 == 0:
            krn = 1 + (number // 5 + 1) % 2
            return shop.key_change(KeyChangeRequest("k", str(number), meter.number, krn=krn))
        return shop.vend(VendRequest("kiosk", str(number), meter.number, AMOUNT_MINOR))

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(act, range(40)))
    by_revision = {}
    for krn in (1, 2):
        if shop.meter(meter.number).key.krn != krn:
            shop.key_change(KeyChangeRequest("end", str(krn), meter.number, krn=krn))
        by_revision[krn] = shop.meter(meter.number).attributes()
    receipts = [result.receipt for result in results if result.outcome is Outcome.DONE]
    assert len([receipt for receipt in receipts if receipt.units]) == 32
    for receipt in receipts:
        key = by_revision[receipt.meter.key.krn]
        for token in receipt.tokens:
            assert PublicTestKeys().read_token(token.digits, key).crc_ok
    assert shop.statement().agrees


def test_a_till_that_is_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    shop: Shop, database_url: str, meter: Meter
) -> None:
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    count, rounds = 25, 4
    seen: dict[str, bytes] = {}
    for _ in range(rounds):
        till = Till(database_url, "kiosk", meter.number, count)
        till.wait_ready()
        till.go()
        for answer in till.killed_after(moments.uniform(0.0, 0.3)):
            remember(seen, answer, seed)
    (answers,) = run_tills([Till(database_url, "kiosk", meter.number, count)])
    for answer in answers:
        remember(seen, answer, seed)
    assert len(seen) == count, f"seed {seed}"
    require_sound(shop, database_url, count, [meter])


def remember(seen: dict[str, bytes], answer: bytes, seed: int) -> None:
    """An answer that was given once is the same for ever."""
    message_id = json.loads(answer)["message_id"]
    assert seen.setdefault(message_id, answer) == answer, f"seed {seed}"


@pytest.mark.parametrize(
    "step",
    ["requests", "ledger_transactions", "transfers", "receipts", "tokens", "UPDATE", "COMMIT"],
)
def test_a_till_that_dies_within_a_sale_leaves_nothing_of_it(
    shop: Shop, database_url: str, meter: Meter, step: str
) -> None:
    """Killed by itself (SIGKILL) just before the statement that the parameter names."""
    program = f"""
import os, signal
import psycopg
from sqlalchemy import Engine, event
import storage.flight, storage.prepared
from vending import Shop, VendRequest
shop = Shop.open({database_url!r})
step = {step!r}
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def watch(run, place):
    def watched(*values, **named):
        if values[place].startswith(("INSERT INTO " + step, step + " ")): die()
        return run(*values, **named)
    return watched
storage.prepared._driver_execute = watch(storage.prepared._driver_execute, 1)
psycopg.Connection.execute = watch(psycopg.Connection.execute, 1)
storage.flight.checked_in = watch(storage.flight.checked_in, 1)
if step == "COMMIT": event.listen(Engine, "commit", die)
shop.vend(VendRequest("kiosk", "m1", {meter.number!r}, {AMOUNT_MINOR}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == -9
    require_sound(shop, database_url, 0, [meter])
    again = shop.vend(VendRequest("kiosk", "m1", meter.number, AMOUNT_MINOR))
    assert (again.outcome, again.replayed) == (Outcome.DONE, False)
    require_sound(shop, database_url, 1, [meter])


def test_a_connection_that_ends_at_its_commit_promises_nothing_and_asking_again_settles_it(
    postgresql_databases: PostgresqlDatabases, new_number: Callable[[], str]
) -> None:
    """The server ends the connection while the commit is on its way.

    Seen before it was sent, nothing is written; seen after, the outcome is unknown.  Which of them
    it is hangs on the moment; `test_flights` has each for itself.
    """
    url = postgresql_databases.shop()
    with Shop.open(url) as shop:
        meter = shop.add_meter(NewMeter(new_number()))
        request = VendRequest("kiosk", "m1", meter.number, AMOUNT_MINOR)
        engine = shop._house.engine
        broken: list[bool] = []

        def break_off(connection: Connection) -> None:
            if broken or connection.engine is not engine:
                return
            broken.append(True)
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            other = open_engine(url)
            with other.connect() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            other.dispose()

        event.listen(Engine, "commit", break_off)  # the class's come before the engine's own
        try:
            try:
                outcome = shop.vend(request).outcome
            except DatabaseUnavailableError as fault:
                assert "nothing was written" in str(fault)  # noqa: PT017 - one of two ways
                outcome = Outcome.UNKNOWN
        finally:
            event.remove(Engine, "commit", break_off)
        assert outcome is Outcome.UNKNOWN
        settled = shop.vend(request)
        assert settled.outcome is Outcome.DONE
        assert shop.statement().sales == 1
    postgresql_databases.discard(url)


def test_tills_of_many_meters_do_not_wait_for_one_another_for_ever(
    shop: Shop, database_url: str
) -> None:
    meters = [shop.add_meter(NewMeter(make_drn("08", f"{n:08d}"))) for n in range(6)]

    def sell(number: int) -> Outcome:
        meter = meters[number % len(meters)]
        request = VendRequest("kiosk", str(number), meter.number, AMOUNT_MINOR)
        return shop.vend(request).outcome

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(sell, range(60)))
    assert outcomes == [Outcome.DONE] * 60
    require_sound(shop, database_url, 60, meters)
