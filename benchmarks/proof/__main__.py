"""``python -m benchmarks.proof``; see the package."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from benchmarks.proof import proving
from benchmarks.proof.asked import Asked
from benchmarks.proof.run import Progress, ProofError
from commands.output import counting, error_console

_TOLD_EVERY_S: Final = 10.0
_HOUR_S: Final = 180
_AWAY_S: Final = 3.0


@click.command()
@click.option("--meters", default=10_000, show_default=True, type=click.IntRange(20))
@click.option("--links", default=300, show_default=True, type=click.IntRange(1))
@click.option("--workers", type=click.IntRange(1, 4), help="[default: 2; on SQLite 1]")
@click.option("--hours", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--hour-s",
    default=_HOUR_S,
    show_default=True,
    type=click.IntRange(5),
    help="How long an hour lasts; of whole minutes, the plan's interval.",
)
@click.option("--kills", default=6, show_default=True, type=click.IntRange(0))
@click.option(
    "--database-away-s",
    default=_AWAY_S,
    show_default=True,
    type=click.FloatRange(0),
    help="How long the database is away in the middle; 0: never.",
)
@click.option("--seed", type=int, help="Of an earlier run; a new one if not given.")
@click.option(
    "--database",
    default="postgresql",
    show_default=True,
    help="postgresql (a server of its own), sqlite, or the URL of an empty database.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document at the end.")
def main(
    meters: int,
    links: int,
    workers: int | None,
    hours: int,
    hour_s: int,
    kills: int,
    database_away_s: float,
    seed: int | None,
    database: str,
    as_json: bool,
) -> None:
    """Read and command a street while things break, then count."""
    on_sqlite = database.startswith("sqlite")
    if on_sqlite and workers not in (None, 1):
        raise click.UsageError("A SQLite file is served by one worker.")
    if links > meters:
        raise click.UsageError("Each link has a meter.")
    asked = Asked(
        seed=random.SystemRandom().randrange(1 << 32) if seed is None else seed,
        meters=meters,
        links=links,
        workers=workers or (1 if on_sqlite else 2),
        hours=hours,
        hour_s=hour_s,
        kills=kills,
        database_away_s=database_away_s,
    )
    click.echo(f"seed {asked.seed}", err=as_json)
    folder = Path(tempfile.mkdtemp(prefix="meterhouse-proof-"))
    try:
        with _telling(as_json) as progress:
            told = proving.prove(asked, database, folder, progress)
    except ProofError as fault:
        click.echo(f"FAILED (seed {asked.seed}; logs in {folder}): {fault}", err=True)
        sys.exit(1)
    told["programs that wanted a processor, last minute"] = round(os.getloadavg()[0], 1)
    _tell(told, as_json)
    broken = proving.broken(told)
    if broken:
        click.echo(f"FAILED (seed {asked.seed}; logs in {folder}): {broken}", err=True)
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told))
        return
    for name, value in told.items():
        shown = value if isinstance(value, str | list) else f"{value:,}"
        click.echo(f"{name.removeprefix('! '):56} {shown!s:>14}")


@contextmanager
def _telling(as_json: bool) -> Iterator[Progress]:
    """A bar on a terminal; elsewhere a line now and then."""
    if error_console.is_terminal and not as_json:
        with counting("The proof", as_json=as_json) as progress:
            yield lambda _what, done_s, of_s: progress(done_s, of_s)
        return
    last, told_at = "", -_TOLD_EVERY_S

    def tell(what: str, done_s: float, of_s: float) -> None:
        nonlocal last, told_at
        now = time.monotonic()
        if what == last and now - told_at < _TOLD_EVERY_S:
            return
        last, told_at = what, now
        click.echo(f"{what}: {max(0.0, of_s - done_s):,.0f} of {of_s:,.0f} s left", err=True)

    yield tell


if __name__ == "__main__":
    main()
