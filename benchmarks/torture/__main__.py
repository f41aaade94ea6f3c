"""``python -m benchmarks.torture``; see the package."""

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

from benchmarks.torture.asked import Plan
from benchmarks.torture.count import require_sound
from benchmarks.torture.run import WORKERS, Progress, Run
from benchmarks.torture.shop import make_shop
from benchmarks.torture.witness import TortureError, Witness
from commands.output import counting, error_console

_TOLD_EVERY_S: Final = 10.0


@click.command()
@click.option("--vends", default=100_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", type=int, help="Of an earlier run; a new one if not given.")
@click.option("--database", help="An empty PostgreSQL database; a SQLite file if not given.")
@click.option("--workers", default=WORKERS, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="One JSON document at the end.")
def main(vends: int, seed: int | None, database: str | None, workers: int, as_json: bool) -> None:
    """Torture a shop, then count."""
    plan = Plan(random.SystemRandom().randrange(1 << 32) if seed is None else seed, vends)
    click.echo(f"seed {plan.seed}", err=as_json)
    with tempfile.TemporaryDirectory(prefix="meterhouse-torture-") as folder:
        url = database or f"sqlite:///{folder}/shop.db"
        try:
            told = _torture(url, plan, workers, as_json)
        except TortureError as fault:
            click.echo(f"FAILED (seed {plan.seed}): {fault}", err=True)
            sys.exit(1)
    if as_json:
        click.echo(json.dumps(told))
        return
    for name, number in told.items():
        click.echo(f"{name.removeprefix('! '):46} {number:>14,}")


def _torture(url: str, plan: Plan, workers: int, as_json: bool) -> dict[str, int | float]:
    witness = Witness()
    make_shop(url, plan)
    start = perf_counter()
    with _telling("Selling", plan.vends, as_json) as progress:
        Run(url, plan, witness, workers, progress).all()
    sold = perf_counter()
    with _telling("Counting", plan.vends, as_json) as progress:
        counted = require_sound(url, witness, plan, progress)
    return {
        "seed": plan.seed,
        "seconds to sell": round(sold - start),
        "seconds to count": round(perf_counter() - sold),
        "processes killed": witness.kills,
        "answers told again": witness.told_again,
        "slowest answer, ms": round(witness.slowest_s * 1_000),
        **counted,
    }


@contextmanager
def _telling(what: str, total: int, as_json: bool) -> Iterator[Progress]:
    """A bar on a terminal; elsewhere a line now and then."""
    if error_console.is_terminal and not as_json:
        with counting(what, as_json=as_json, total=total) as progress:
            yield progress
        return
    start = told = perf_counter()

    def tell(done: int) -> None:
        nonlocal told
        now = perf_counter()
        if now - told < _TOLD_EVERY_S or not done:
            return
        told = now
        rate = done / (now - start)
        click.echo(
            f"{what}: {done:,} of {total:,}, {rate:,.0f}/s, {(total - done) / rate:,.0f} s left",
            err=True,
        )

    yield tell


if __name__ == "__main__":
    main()
