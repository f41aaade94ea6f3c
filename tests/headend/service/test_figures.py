"""Figures are read from indexes of what has not ended: jobs that have are never walked through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from headend.service.figures import Figures, Now
from headend.station import Station
from headend.work.durable import DurableWork
from tests.headend.work.working import job, queue

NOTHING = Now(
    lines_open=0,
    lines_in_hand=0,
    jobs_in_hand=0,
    modems=0,
    unknown_calls=0,
    step_s=0.0,
    is_ready=True,
)


@pytest.fixture
def asked(station: Station) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of the jobs."""
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _k: object, sql: str, values: Any, *_: object) -> None:
        if "FROM jobs" in sql:
            asked.append((sql, values))

    event.listen(station.engine, "before_cursor_execute", note)
    yield asked
    event.remove(station.engine, "before_cursor_execute", note)


def test_what_waits_is_counted_by_kind(station: Station, work: DurableWork) -> None:
    queue(station, work, job(), job(line=2), job(line=3, kind="order"))
    text = Figures(station, lambda: NOTHING, ()).text().decode()
    assert 'meterhouse_jobs{kind="round",state="waiting"} 2.0' in text
    assert 'meterhouse_jobs{kind="order",state="waiting"} 1.0' in text
    assert "meterhouse_queue_age_seconds{" in text


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_no_look_walks_through_the_jobs_that_ended(
    station: Station, work: DurableWork, asked: list[tuple[str, Any]]
) -> None:
    queue(station, work, job())
    asked.clear()
    Figures(station, lambda: NOTHING, ()).text()
    questions = list(asked)
    assert len(questions) == 3
    with station.reading() as connection:
        for sql, values in questions:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
            walks = [row[3] for row in plan if "jobs" in row[3] and "INDEX" not in row[3]]
            assert walks == [], sql
