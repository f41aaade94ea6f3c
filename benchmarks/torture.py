"""``python -m benchmarks.torture``: sell with kill -9, duplicates and clocks that jump; then count.

Several processes sell the same requests at the same time, each in an order of its own, and ask
again for some; their clocks jump back and ahead; they are killed (SIGKILL) at random moments and
begun anew.  In the end every request is asked once more, and what is in the database is held
against what was answered: no TID twice, no token lost or doubled, every entry balanced, every
answer the same for ever, a vendor's credit exactly what was paid in less what was sold.

What is asked follows from the seed, which is printed; when the processes are killed depends on
the machine, too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import structlog
from sqlalchemy import Engine, text

from storage.engine import open_engine, reading, writing
from vending import Currency, NewMeter, Price, PublicTestKeys, Shop, Utility, VendRequest
from vending.cash.credit import available_minor, credit_vendor
from vending.shop.requests import Outcome
from vending.sts import TransferCredit, make_drn

_METERS: Final = 60
_TERMINALS: Final = 6
_CREDIT_MINOR: Final = 10**11
_PIECE: Final = 2_000
_WORKERS: Final = 4
_LIVES_S: Final = (0.3, 4.0)
_JUMPS_MIN: Final = (0, 0, 0, -1, -90, -3_000, 1, 45, 2_000)
_REFUSED_EVERY: Final = 97
_ROOT: Final = Path(__file__).parent.parent


class TortureError(Exception):
    """Something does not hold."""


@dataclass
class Witness:
    """What was answered, as the workers told it before they died."""

    seed: int
    answers: dict[int, str] = field(default_factory=dict)
    """The hash of each request's answer."""
    kills: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self, number: int, sha256: str) -> None:
        """An answer that was given once is the same for ever."""
        with self._lock:
            if self.answers.setdefault(number, sha256) != sha256:
                raise TortureError(f"Request {number} was answered in two ways (seed {self.seed}).")


def request_of(seed: int, number: int) -> VendRequest:
    """The request of a number; one in many is below the smallest sale."""
    chance = random.Random(f"{seed} {number}")
    amount = 1 if number % _REFUSED_EVERY == 0 else chance.randrange(500, 50_000)
    return VendRequest(
        f"client-{number % 3}",
        f"m{number}",
        meter_number(chance.randrange(_METERS)),
        amount,
        terminal=chance.choice(["", *(f"terminal-{n}" for n in range(_TERMINALS))]),
        confirmed_second=True,
    )


def meter_number(serial: int) -> str:
    """The number of a meter."""
    return make_drn("07", f"{serial + 1:08d}")


def make_shop(url: str) -> int:
    """A shop with meters, and a vendor with terminals and credit; gives the vendor."""
    utility = Utility(name="Torture", currency=Currency.named("ZAR"), minimum_minor=500)
    begin = datetime.now(UTC) - timedelta(days=30)
    with Shop.create(
        url, utility, Price(250_000, 1_500), security=PublicTestKeys(), now=lambda: begin
    ) as shop:
        for serial in range(_METERS):
            shop.add_meter(NewMeter(meter_number(serial)))
        with writing(shop._house.engine) as connection:
            connection.execute(
                text(
                    "INSERT INTO vendors (vendor_id, name, prepaid, added_at) "
                    "SELECT 1, 'Spaza', 1, set_at FROM prices"
                )
            )
            for number in range(_TERMINALS):
                connection.execute(
                    text(
                        "INSERT INTO terminals (name, vendor_id, added_at) "
                        f"SELECT 'terminal-{number}', 1, set_at FROM prices"
                    )
                )
            credit_vendor(connection, 1, _CREDIT_MINOR)
    return 1


# --- a worker -------------------------------------------------------------------------------


def work(url: str, seed: int, order: int, first: int, end: int) -> None:
    """Sell the requests of a piece in an order of its own, telling each answer at once."""
    _quiet()
    chance = random.Random(f"{seed} {order} {os.getpid()}")
    numbers = list(range(first, end))
    chance.shuffle(numbers)

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=chance.choice(_JUMPS_MIN))

    with Shop.open(url, now=clock, security=PublicTestKeys()) as shop:
        for number in numbers:
            for _ in range(chance.choice((1, 1, 1, 2))):
                response = shop.vend(request_of(seed, number)).response
                told = f"{number} {hashlib.sha256(response).hexdigest()}\n"
                os.write(1, told.encode())


# --- the run --------------------------------------------------------------------------------


def run(url: str, vends: int, seed: int, workers: int = _WORKERS) -> Witness:
    """Sell so many requests; gives what was told."""
    witness = Witness(seed)
    for first in range(0, vends, _PIECE):
        end = min(first + _PIECE, vends)
        faults: list[Exception] = []
        threads = [
            threading.Thread(target=_keep_alive, args=(url, witness, order, first, end, faults))
            for order in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]
    return witness


def _keep_alive(
    url: str, witness: Witness, order: int, first: int, end: int, faults: list[Exception]
) -> None:
    """Begin a worker, kill it after a while, begin it anew, until all is answered."""
    chance = random.Random(f"{witness.seed} {order} {first}")
    try:
        while any(number not in witness.answers for number in range(first, end)):
            _live_once(url, witness, order, first, end, chance.uniform(*_LIVES_S))
    except (TortureError, OSError, ValueError) as fault:  # the run raises it
        faults.append(fault)


def _live_once(
    url: str, witness: Witness, order: int, first: int, end: int, seconds: float
) -> None:
    arguments = [url, str(witness.seed), str(order), str(first), str(end)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.torture", "worker", *arguments],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()  # it sells: from here on it may die
    killer = threading.Timer(seconds, process.kill)
    killer.start()
    while line.endswith("\n"):
        number, sha256 = line.split()
        witness.told(int(number), sha256)
        line = process.stdout.readline()
    errors = process.stderr.read()
    code = process.wait()
    killer.cancel()
    process.stdout.close()
    process.stderr.close()
    if code == -9:
        witness.kills += 1
    elif code:
        raise TortureError(f"A worker failed (seed {witness.seed}):\n{errors}")


# --- the count ------------------------------------------------------------------------------


def require_sound(url: str, witness: Witness, vends: int, vendor_id: int) -> dict[str, int]:
    """Hold the database against what was told; gives what was counted.

    Raises:
        TortureError: names what does not hold, and the seed.
    """
    _ask_all_again(url, witness, vends)
    engine = open_engine(url)
    try:
        counted = _counted(engine, url, vends, vendor_id)
    finally:
        engine.dispose()
    broken = {name: number for name, number in counted.items() if name.startswith("!") and number}
    if broken:
        raise TortureError(f"Seed {witness.seed}: {broken}.")
    return counted


def _ask_all_again(url: str, witness: Witness, vends: int) -> None:
    with Shop.open(url, security=PublicTestKeys()) as shop:
        for number in range(vends):
            result = shop.vend(request_of(witness.seed, number))
            if result.outcome is Outcome.UNKNOWN or not result.replayed:
                raise TortureError(f"Request {number} was lost (seed {witness.seed}).")
            witness.told(number, hashlib.sha256(result.response).hexdigest())


def _counted(engine: Engine, url: str, vends: int, vendor_id: int) -> dict[str, int]:
    with reading(engine) as connection:
        answers = connection.execute(text("SELECT outcome, response FROM requests")).all()
        tokens = connection.execute(
            text("SELECT meter_id, tid, digits, units, receipt_no FROM tokens ORDER BY receipt_no")
        ).all()
        unbalanced = connection.scalar(
            text(
                "SELECT count(*) FROM receipts WHERE tendered_minor <> (SELECT "
                "coalesce(sum(amount_minor), 0) FROM transfers WHERE transfers.transaction_id = "
                "receipts.transaction_id AND (debit_account LIKE 'tender.%' "
                "OR debit_account LIKE 'vendor.%'))"
            )
        )
        entries = connection.scalar(
            text(
                "SELECT count(*) FROM ledger_transactions WHERE NOT EXISTS (SELECT 1 FROM receipts "
                "WHERE receipts.transaction_id = ledger_transactions.transaction_id)"
            )
        )
        sold = connection.scalar(
            text(
                "SELECT coalesce(sum(tendered_minor - change_minor), 0) FROM receipts "
                f"WHERE vendor_id = {int(vendor_id)}"
            )
        )
    with writing(engine) as connection:
        left = available_minor(connection, vendor_id)
    done = [json.loads(bytes(row.response)) for row in answers if row.outcome == "done"]
    given = Counter(token["digits"] for answer in done for token in answer["receipt"]["tokens"])
    stored = Counter(row.digits for row in tokens)
    with Shop.open(url, security=PublicTestKeys()) as shop:
        agrees = shop.statement().agrees
        unreadable = sum(1 for row in _unreadable(shop, tokens))
    return {
        "requests": len(answers),
        "tokens": len(tokens),
        "! requests lost": vends - len(answers),
        "! repeated TIDs": len(tokens) - len({(row.meter_id, row.tid) for row in tokens}),
        "! tokens lost": sum((given - stored).values()),
        "! tokens nobody got": sum((stored - given).values()),
        "! tokens doubled": len(tokens) - len(done),
        "! tokens that no meter reads": unreadable,
        "! receipts whose entries do not balance": int(unbalanced or 0),
        "! entries without a receipt": int(entries or 0),
        "! credit lost or won": left + int(sold or 0) - _CREDIT_MINOR,
        "! statement does not agree": int(not agrees),
    }


def _unreadable(shop: Shop, tokens: Any) -> Iterator[Any]:
    keys = PublicTestKeys()
    of = {
        meter.meter_id: meter.attributes()
        for meter in (shop.meter(meter_number(serial)) for serial in range(_METERS))
    }
    for row in tokens:
        content = keys.read_token(row.digits, of[row.meter_id]).content
        same = isinstance(content, TransferCredit) and (content.tid, content.amount) == (
            row.tid,
            row.units,
        )
        if not same:
            yield row


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


@click.group(invoke_without_command=True)
@click.option("--vends", default=100_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", type=int, help="Of an earlier run; a new one if not given.")
@click.option("--database", help="An empty PostgreSQL database; a SQLite file if not given.")
@click.option("--workers", default=_WORKERS, show_default=True, type=click.IntRange(1))
@click.pass_context
def main(
    context: click.Context, vends: int, seed: int | None, database: str | None, workers: int
) -> None:
    """Torture a shop, then count."""
    if context.invoked_subcommand is not None:
        return
    _quiet()
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    click.echo(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="meterhouse-torture-") as folder:
        url = database or f"sqlite:///{folder}/shop.db"
        vendor_id = make_shop(url)
        start = time.perf_counter()
        witness = run(url, vends, seed, workers)
        seconds = time.perf_counter() - start
        counted = require_sound(url, witness, vends, vendor_id)
    click.echo(f"{vends:,} requests in {seconds:,.0f} s, {witness.kills} processes killed")
    for name, number in counted.items():
        click.echo(f"{name.removeprefix('! '):42} {number:>10,}")


@main.command("worker", hidden=True)
@click.argument("url")
@click.argument("seed", type=int)
@click.argument("order", type=int)
@click.argument("first", type=int)
@click.argument("end", type=int)
def _worker(url: str, seed: int, order: int, first: int, end: int) -> None:
    work(url, seed, order, first, end)


if __name__ == "__main__":
    main()
