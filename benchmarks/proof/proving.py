"""A proof from its beginning to its figures."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import structlog

from benchmarks.proof import databases
from benchmarks.proof.asked import Asked
from benchmarks.proof.count import count
from benchmarks.proof.house import House, make_house
from benchmarks.proof.run import Found, Progress, Run, untold


def prove(asked: Asked, database: str, folder: Path, progress: Progress = untold) -> dict[str, Any]:
    """Do everything that is asked, then count.

    Args:
        asked: what is asked.
        database: see `databases.opened`.
        folder: for passwords, logs, and a SQLite file.
        progress: told how it goes.

    Raises:
        ProofError: it could not be carried through.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    told: dict[str, Any] = {}

    def look(house: House, found: Found) -> None:
        told.update(_how_it_went(asked, found))
        told.update(count(house, asked, found))

    with databases.opened(database, folder) as opened:
        make_house(opened.url)
        Run(asked, opened, folder, progress).all(look)
    return told


def broken(told: dict[str, Any]) -> str:
    """What does not hold, in words; empty when all of it holds."""
    return ", ".join(f"{name[2:]}: {n:,}" for name, n in told.items() if name[0] == "!" and n)


def _how_it_went(asked: Asked, found: Found) -> dict[str, Any]:
    return {
        "seed": asked.seed,
        "meters": asked.meters,
        "links": asked.links,
        "dead": len(asked.dead),
        "seconds of an hour": asked.hour_s,
        "seconds until all had ended": round(found.drained_s),
        "workers killed": found.kills,
        "workers begun": found.workers_begun,
        "workers that could not begin yet, and were begun again": found.fell,
        "database": found.database,
        "asked again because the database was away": found.refused,
        "requests that reached meters": found.truth.requests,
        "faults on the lines": sum(found.truth.faults.values()),
        "processor seconds of the street": round(found.truth.cpu_s),
        "processor seconds of the workers that lived to the end": round(found.workers_cpu_s),
    }
