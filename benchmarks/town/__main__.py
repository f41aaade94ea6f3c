"""``python -m benchmarks.town``; see the package."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

import click

from benchmarks.town.count import TownError, count
from benchmarks.town.founding import TownClock, found, make_database, open_town
from benchmarks.town.people import DAYS, people
from benchmarks.town.year import Progress, Year
from commands.output import counting, error_console

_TOLD_EVERY_S: Final = 10.0


@click.command()
@click.option("--customers", default=5_000, show_default=True, type=click.IntRange(1))
@click.option("--kills", default=12, show_default=True, type=click.IntRange(0, 365))
@click.option("--days", default=DAYS, show_default=True, type=click.IntRange(32, DAYS))
@click.option("--seed", type=int, help="Of an earlier run; a new one if not given.")
@click.option("--database", help="An empty PostgreSQL database; a SQLite file if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document at the end.")
def main(
    customers: int, kills: int, days: int, seed: int | None, database: str | None, as_json: bool
) -> None:
    """Let a town live for a year, then count its money again."""
    chosen = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    click.echo(f"seed {chosen}", err=as_json)
    with tempfile.TemporaryDirectory(prefix="meterhouse-town-") as folder:
        url = database or f"sqlite:///{folder}/town.db"
        try:
            told = live(url, chosen, customers, kills, days, as_json=as_json)
        except TownError as fault:
            click.echo(f"FAILED (seed {chosen}): {fault}", err=True)
            sys.exit(1)
    if as_json:
        click.echo(json.dumps(told))
        return
    for name, number in told.items():
        click.echo(f"{name.removeprefix('! '):52} {number:>14,}")


def live(
    url: str, seed: int, customers: int, kills: int, days: int = DAYS, *, as_json: bool = False
) -> dict[str, int]:
    """A town's year on an empty database; what there is to tell of it.

    Raises:
        TownError: the ledger is not what it must be.
    """
    town, clock = people(seed, customers), TownClock()
    began = perf_counter()
    make_database(url)
    office = open_town(url, clock)
    try:
        found(office, clock, town)
        year = Year(url, office, clock, town, random.Random(seed + 1), kills, days)
        with _telling("Living", days, as_json) as progress:
            year.live(progress)
        lived = perf_counter()
        counted = count(office, town, days)
    finally:
        office.engine.dispose()
    return {
        "seed": seed,
        "customers": customers,
        "meters exchanged": sum(each.exchange is not None for each in town),
        "readings corrected": year.corrected,
        "payments told twice": year.repeated,
        "payments without a name, assigned": year.assigned,
        "payments that bounced": year.undone,
        "settlements killed": year.killed,
        **counted,
        "seconds of the year": round(lived - began),
        "seconds of settling": round(year.settle_s),
        "seconds of counting": round(perf_counter() - lived),
    }


@contextmanager
def _telling(what: str, total: int, as_json: bool) -> Iterator[Progress]:
    """A bar on a terminal; elsewhere a line now and then."""
    if error_console.is_terminal and not as_json:
        with counting(what, as_json=as_json, total=total) as progress:
            yield progress
        return
    began = told = perf_counter()

    def tell(done: int, total: int) -> None:
        nonlocal told
        now = perf_counter()
        if now - told > _TOLD_EVERY_S:
            told = now
            left_s = (now - began) * (total - done) / done
            click.echo(f"{what}: day {done} of {total}, {left_s:,.0f} s left", err=True)

    yield tell


if __name__ == "__main__":
    main()
