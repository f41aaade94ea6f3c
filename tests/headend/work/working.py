"""Jobs for tests, and what their handlers leave behind.

What a handler does is written to a table of the test's own: a row when it begins, and one when
it is done, the second at most once for each key, as an order's sending mark would see to.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from headend.station import Station
from headend.work.durable import DurableWork
from headend.work.keys import new_key
from headend.work.port import Handler, Job, Urgency


def job(
    urgency: Urgency = Urgency.ROUTINE,
    *,
    line: int = 1,
    kind: str = "round",
    **payload: int | str,
) -> Job:
    """A job with a new key."""
    return Job(new_key(datetime.now(UTC)), kind, line, urgency, payload)


def make_effects(station: Station) -> None:
    """The test's own tables."""
    with station.writing() as connection:
        connection.execute(
            text("CREATE TABLE begun (key TEXT, line INTEGER, worker TEXT, at_ms BIGINT)")
        )
        connection.execute(
            text(
                "CREATE TABLE effects "
                "(key TEXT PRIMARY KEY, line INTEGER, worker TEXT, at_ms BIGINT)"
            )
        )


def marking(station: Station, worker: str) -> Handler:
    """A handler that takes ``ms`` and has an effect once."""

    async def handle(job: Job) -> None:
        await asyncio.to_thread(_write, station, "begun", job, worker)
        await asyncio.sleep(int(job.payload.get("ms", 0)) / 1000)
        await asyncio.to_thread(_write, station, "effects", job, worker)

    return handle


def _write(station: Station, table: str, job: Job, worker: str) -> None:
    with station.writing() as connection:
        connection.execute(
            text(
                f"INSERT INTO {table} VALUES (:key, :line, :worker, :at) "
                + ("ON CONFLICT DO NOTHING" if table == "effects" else "")
            ),
            {"key": job.key, "line": job.line, "worker": worker, "at": time.time_ns() // 10**6},
        )


def rows(station: Station, query: str) -> list[tuple[object, ...]]:
    """What a query gives."""
    with station.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def queue(station: Station, work: DurableWork, *jobs: Job) -> None:
    """Queue jobs in one transaction."""
    with station.writing() as connection:
        queue_in(connection, work, *jobs)


def queue_in(connection: Connection, work: DurableWork, *jobs: Job) -> None:
    """Queue jobs in a transaction."""
    for each in jobs:
        work.enqueue(connection, each)
