"""The database goes away and comes back: workers wait and go on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from headend.station import Station
from headend.work.durable import DurableWork
from tests.headend.service.conftest import Worker, all_ended, count, until
from tests.headend.service.test_workers import in_effect
from tests.headend.work.working import job, queue, rows

Start = Callable[..., Worker]


def cut_off(url: URL, seconds: float) -> None:
    """End every session of a database and let none begin, as a restarting server does."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg", database="postgres"),
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": url.database},
        )
        time.sleep(seconds)
        connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true"))
    engine.dispose()


@pytest.mark.parametrize("away_s", [1, 6])
def test_workers_outlive_a_restart_of_the_database(
    station: Station, work: DurableWork, start: Start, database_url: str, away_s: float
) -> None:
    if station.engine.dialect.name == "sqlite":
        pytest.skip("a file does not restart")
    workers = [start("north", dead_after_s=3.0), start("south", dead_after_s=3.0)]
    for worker in workers:
        worker.started()
    jobs = [job(line=line, ms=50) for line in range(1, 21) for _ in range(5)]
    queue(station, work, *jobs)
    until(lambda: len(in_effect(station)) >= 5, "the first effects")
    cut_off(make_url(database_url), away_s)
    until(lambda: all_ended(station), "all jobs")
    assert sorted(map(str, in_effect(station))) == sorted(each.key for each in jobs)
    assert rows(station, "SELECT DISTINCT state FROM jobs") == [("done",)]
    until(lambda: count(station, "SELECT count(*) FROM workers") == 2, "both workers")
    again = [job(line=line) for line in range(1, 11)]
    queue(station, work, *again)
    until(lambda: all_ended(station), "jobs after it")
    assert [worker.stop() for worker in workers] == [0, 0]
