"""A seeded run that does to a shop what a bad year does: ``make torture``.

Several tills sell at once.  Each request may be given to two of them at the same time, or again
much later; tills are killed with SIGKILL in the middle of whatever they do, and what they had not
answered is asked again.  Then everything is counted, from the database and not from what tills
said:

* every request has one answer, and all who asked were given the same bytes;
* a request that was done has one receipt with one token, one that was refused has none;
* no TID and no token twice; the TIDs of a meter only grow;
* every transaction's transfers add up to its receipt's money, and the statement agrees.

The seed is printed first; the same seed asks the same requests in the same order.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn
from sqlalchemy import text

from storage.engine import open_engine
from vending import Currency, NewMeter, Price, Shop, Utility
from vending.sts import make_drn

_ROOT: Final = Path(__file__).parent.parent
_AT_ONCE: Final = 8
"""Requests that a till has been given and has not answered."""
_TWICE: Final = 0.05
"""How many requests are given to two tills at the same time."""
_AGAIN: Final = 0.05
"""How many are asked again later."""
_REFUSED: Final = 0.03
"""How many ask for more than is sold."""
_TOO_MUCH: Final = 10**9 + 1
_STALLED_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    client: str
    message_id: str
    meter: str
    amount_minor: int

    def line(self) -> str:
        """As a till reads it."""
        return f"{self.client} {self.message_id} {self.meter} {self.amount_minor}\n"


@dataclass(slots=True)
class Found:
    """What a run did, and what is wrong with it: nothing, one hopes."""

    seed: int
    requests: int = 0
    done: int = 0
    refused: int = 0
    kills: int = 0
    repeats: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class _Till:
    """A process, and what it was given."""

    def __init__(self, url: str, answered: Callable[[str, str, str], None]) -> None:
        self.open: dict[str, Ask] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture_till", url],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answered = answered
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def give(self, ask: Ask) -> bool:
        """Hand a request over; False when the till is dead."""
        assert self._process.stdin is not None
        self.open[ask.message_id] = ask
        try:
            self._process.stdin.write(ask.line())
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def kill(self) -> Iterable[Ask]:
        """SIGKILL; gives what was not answered."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        return list(self.open.values())

    def end(self) -> None:
        """Let it finish."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = line.split()
            if len(words) == 3 and line.endswith("\n"):
                self._answered(words[0], words[1], words[2])
                self.open.pop(words[0], None)


class Torture:
    """One run.

    Args:
        url: an empty database.
        vends: how many different requests.
        seed: of everything that is drawn.
        tills: how many processes.
        kill_every: a till is killed after about so many requests.
        meters: how many meters they are for.
    """

    def __init__(
        self, url: str, *, vends: int, seed: int, tills: int, kill_every: int, meters: int
    ) -> None:
        self._url = url
        self._random = random.Random(seed)
        self._vends, self._tills_wanted, self._kill_every = vends, tills, kill_every
        self._answers: dict[str, set[tuple[str, str]]] = {}
        self._lock = threading.Lock()
        self._numbers = [make_drn("07", f"{serial:08d}") for serial in range(meters)]
        self.found = Found(seed)

    def run(self, progress: Callable[[int], None]) -> Found:
        """Sell, kill, count."""
        self._make_shop()
        began = time.monotonic()
        tills = [self._till() for _ in range(self._tills_wanted)]
        try:
            self._sell(tills, progress)
        finally:
            for till in tills:
                till.kill()
        self.found.seconds = time.monotonic() - began
        self._count()
        return self.found

    def _make_shop(self) -> None:
        utility = Utility("Torture", Currency.named("USD"))
        with Shop.create(self._url, utility, Price(per_kwh=25_000, tax_bp=1_600)) as shop:
            for number in self._numbers:
                shop.add_meter(NewMeter(number))

    def _till(self) -> _Till:
        return _Till(self._url, self._answered)

    def _answered(self, message_id: str, digest: str, outcome: str) -> None:
        with self._lock:
            self._answers.setdefault(message_id, set()).add((digest, outcome))

    def _asks(self) -> Iterable[Ask]:
        for number in range(self._vends):
            refused = self._random.random() < _REFUSED
            amount = _TOO_MUCH if refused else self._random.randrange(500, 50_000)
            meter = self._random.choice(self._numbers)
            yield Ask(f"client-{number % 7}", f"m{number}", meter, amount)

    def _sell(self, tills: list[_Till], progress: Callable[[int], None]) -> None:
        waiting = deque(self._asks())
        later: deque[Ask] = deque()
        given, last_change = 0, time.monotonic()
        known = 0
        while waiting or later or any(till.open for till in tills):
            if not waiting and later:
                waiting, later = later, waiting
            place = self._free(tills)
            if place is None or not waiting:
                time.sleep(0.0005)
            else:
                ask = waiting.popleft()
                given += 1
                if not tills[place].give(ask):
                    self._replace(tills, place, waiting)
                if ask.message_id not in self._answers:
                    self._maybe_repeat(ask, tills, place, later)
                if self._random.randrange(self._kill_every) == 0:
                    self.found.kills += 1
                    self._replace(tills, self._random.randrange(len(tills)), waiting)
            if len(self._answers) != known:
                known, last_change = len(self._answers), time.monotonic()
                progress(known)
            elif time.monotonic() - last_change > _STALLED_S and not waiting:
                self.found.faults.append(f"no answer for {_STALLED_S:.0f} s")
                return

    def _free(self, tills: list[_Till]) -> int | None:
        place = min(range(len(tills)), key=lambda place: len(tills[place].open))
        return place if len(tills[place].open) < _AT_ONCE else None

    def _maybe_repeat(self, ask: Ask, tills: list[_Till], place: int, later: deque[Ask]) -> None:
        drawn = self._random.random()
        if drawn < _TWICE:
            self.found.repeats += 1
            tills[(place + 1) % len(tills)].give(ask)
        elif drawn < _TWICE + _AGAIN:
            self.found.repeats += 1
            later.append(ask)

    def _replace(self, tills: list[_Till], place: int, waiting: deque[Ask]) -> None:
        waiting.extendleft(tills[place].kill())
        tills[place] = self._till()

    def _count(self) -> None:
        found = self.found
        found.requests = len(self._answers)
        outcomes = Counter(outcome for each in self._answers.values() for _, outcome in each)
        found.done, found.refused = outcomes["done"], outcomes["failed"]
        self._check(len(self._answers) == self._vends, "requests without an answer")
        torn = [name for name, each in self._answers.items() if len(each) != 1]
        self._check(not torn, f"different answers under one id: {torn[:5]}")
        self._check(not outcomes["unknown"], "unknown outcomes")
        engine = open_engine(self._url)
        with engine.connect() as connection:
            for name, query, wanted in (
                ("requests", "SELECT count(*) FROM requests", self._vends),
                ("open requests", "SELECT count(*) FROM requests WHERE outcome IS NULL", 0),
                ("receipts", "SELECT count(*) FROM receipts", found.done),
                ("tokens", "SELECT count(*) FROM tokens", found.done),
                ("different tokens", "SELECT count(DISTINCT digits) FROM tokens", found.done),
                (
                    "different TIDs",
                    "SELECT count(*) FROM (SELECT DISTINCT meter_id, base_year, tid FROM tokens) t",
                    found.done,
                ),
                (
                    "TIDs that went back",
                    (
                        "SELECT count(*) FROM tokens a JOIN tokens b ON a.meter_id = b.meter_id "
                        "AND a.receipt_no < b.receipt_no AND a.tid >= b.tid"
                    ),
                    0,
                ),
                (
                    "receipts whose money is not in the ledger",
                    (
                        "SELECT count(*) FROM receipts r WHERE r.tendered_minor <> (SELECT "
                        "coalesce(sum(t.amount_minor), 0) FROM transfers t "
                        "WHERE t.transaction_id = r.transaction_id AND t.debit_account = 'tender.cash')"
                    ),
                    0,
                ),
                (
                    "transactions without a receipt",
                    (
                        "SELECT count(*) FROM ledger_transactions WHERE transaction_id NOT IN "
                        "(SELECT transaction_id FROM receipts WHERE transaction_id IS NOT NULL)"
                    ),
                    0,
                ),
            ):
                counted = connection.scalar(text(query))
                self._check(counted == wanted, f"{name}: {counted}, not {wanted}")
        engine.dispose()
        with Shop.open(self._url) as shop:
            self._check(shop.statement().agrees, "receipts, tokens and ledger disagree")
            self._check(shop.audit.verify().broken is None, "the audit trail is broken")

    def _check(self, good: bool, fault: str) -> None:
        if not good:
            self.found.faults.append(fault)


@click.command()
@click.option("--vends", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--seed", type=int, help="Of an earlier run. [default: drawn]")
@click.option("--tills", type=click.IntRange(2, 64), default=4, show_default=True)
@click.option("--kill-every", type=click.IntRange(2), default=2_000, show_default=True)
@click.option("--meters", type=click.IntRange(1), default=500, show_default=True)
@click.option("--database", metavar="URL", help="An empty one. [default: a temporary SQLite file]")
def main(
    vends: int, seed: int | None, tills: int, kill_every: int, meters: int, database: str | None
) -> None:
    """Sell under kills, repeats and races, and count; exit status 1 when anything is wrong."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    console = Console(highlight=False)
    console.print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="meterhouse-torture-") as folder:
        run = Torture(
            database or f"sqlite:///{folder}/shop.db",
            vends=vends,
            seed=seed,
            tills=tills,
            kill_every=kill_every,
            meters=meters,
        )
        columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("Vends", total=vends)
            found = run.run(lambda known: bar.update(task, completed=known))
    console.print(
        f"{found.requests:,} requests in {found.seconds:,.0f} s: {found.done:,} sold, "
        f"{found.refused:,} refused; {found.repeats:,} asked twice, {found.kills} tills killed"
    )
    for fault in found.faults:
        console.print(f"WRONG  {fault}  (seed {seed})", style="red")
    if found.faults:
        raise SystemExit(1)
    console.print("No TID twice, no token lost or doubled, every entry balanced.")


if __name__ == "__main__":
    main()
