"""The queue in memory keeps the port's promises."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from headend.station import Station
from headend.work.inline import InlineWork
from headend.work.keys import new_key
from headend.work.port import Job, Urgency
from storage.engine import attempt

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def job(urgency: Urgency = Urgency.ROUTINE, *, line: int = 1, kind: str = "round") -> Job:
    """A job with a new key."""
    return Job(key=new_key(NOW), kind=kind, line=line, urgency=urgency)


def test_keys_grow_though_the_clock_does_not() -> None:
    keys = [new_key(NOW) for _ in range(70_000)]
    assert keys == sorted(set(keys))
    with pytest.raises(ValueError, match="zone"):
        new_key(NOW.replace(tzinfo=None))


def test_a_job_is_queued_with_the_commit_and_not_with_a_rollback(station: Station) -> None:
    work = InlineWork()
    first, undone, partly = job(), job(), job()
    with station.writing() as connection:
        work.enqueue(connection, first)
        with suppress(ZeroDivisionError), attempt(connection):
            work.enqueue(connection, partly)
            raise ZeroDivisionError
        assert work.waiting == []
    assert work.waiting == [first]
    with suppress(ZeroDivisionError), station.writing() as connection:
        work.enqueue(connection, undone)
        raise ZeroDivisionError
    assert work.waiting == [first]
    with station.writing():
        pass
    assert work.waiting == [first]


def test_a_key_is_queued_once_and_a_waiting_job_can_be_taken_out(station: Station) -> None:
    work = InlineWork()
    first, second = job(), job()
    for _ in range(2):
        with station.writing() as connection:
            work.enqueue(connection, first)
            work.enqueue(connection, second)
    with station.writing() as connection:
        work.cancel(connection, first.key)
    assert work.waiting == [second]


def test_the_more_urgent_goes_first_and_rounds_can_see_it(station: Station) -> None:
    work = InlineWork()
    done: list[Job] = []
    late, order, routine = job(Urgency.RETRY_LATE), job(Urgency.ORDER), job()

    async def handle(job: Job) -> None:
        done.append(job)
        if job is routine:
            with station.writing() as connection:
                assert work.most_urgent(connection) == {1: Urgency.RETRY_LATE}
                work.enqueue(connection, order)
            with station.reading() as connection:
                assert work.most_urgent(connection) == {1: Urgency.ORDER}

    with station.writing() as connection:
        work.enqueue(connection, late)
        work.enqueue(connection, routine)
    assert asyncio.run(work.run({"round": handle})) == 3
    assert done == [routine, order, late]
