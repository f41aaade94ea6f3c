"""A modem's line whose turn lies in a queue that nobody reads any more gets another one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, text, update

from headend.registry.tables import links
from headend.station import Station
from headend.work import turns, upkeep
from headend.work.durable import DurableWork
from headend.work.port import Urgency
from headend.work.presence import Presence
from headend.work.queues import queue_of_worker
from headend.work.tables import line_owners, workers
from storage.engine import at_the_end, open_engine
from tests.headend.work.working import job, queue, rows

QUEUES = "SELECT queue FROM line_turns"
NORTH, SOUTH = [(queue_of_worker("north"),)], [(queue_of_worker("south"),)]


@pytest.fixture
def station(database_url: str) -> Iterator[Station]:
    """A head-end with the true time."""
    engine = open_engine(database_url)
    yield Station(engine, ZoneInfo("UTC"), lambda: datetime.now(UTC))
    engine.dispose()


@pytest.fixture
def work(station: Station) -> DurableWork:
    """The queue."""
    return DurableWork(station.engine)


@pytest.fixture
def north(station: Station, work: DurableWork) -> Iterator[Presence]:
    """A worker."""
    presence = Presence(station, work)
    presence.enter("north")
    yield presence
    presence._locks.close()


@pytest.fixture
def hill(station: Station, north: Presence) -> int:
    """The line of a modem that has called north."""
    with station.writing() as connection:
        link_id = connection.execute(
            insert(links)
            .values(
                name="hill", kind="modem", caller="hill-1", state="active", added_at=station.now()
            )
            .returning(links.c.link_id)
        ).scalar_one()
        connection.execute(
            insert(line_owners).values(link_id=link_id, worker=north.name, since=station.now())
        )
    return int(link_id)


def calls_south(station: Station, work: DurableWork, line: int, *, looks: bool = True) -> None:
    """The modem calls another worker."""
    with station.writing() as connection:
        changed = connection.execute(
            update(line_owners).where(line_owners.c.link_id == line).values(worker="south")
        )
        if not changed.rowcount:
            connection.execute(
                insert(line_owners).values(link_id=line, worker="south", since=station.now())
            )
        if looks:
            work.hand_out_at_the_end(connection, line)


def test_a_worker_that_leaves_gives_back_the_turns_that_it_has_not_begun(
    station: Station, work: DurableWork, north: Presence, hill: int
) -> None:
    queue(station, work, job(Urgency.ORDER, line=hill, kind="order"))
    assert rows(station, QUEUES) == NORTH

    asyncio.run(north.leave())

    assert rows(station, QUEUES) == []
    assert rows(station, "SELECT name FROM workers") == []
    calls_south(station, work, hill)
    assert rows(station, QUEUES) == SOUTH


def test_a_turn_in_hand_stays_with_a_worker_that_leaves_and_counts_as_dead(
    station: Station, work: DurableWork, north: Presence, hill: int
) -> None:
    queue(station, work, job(line=hill))
    ((turn,),) = rows(station, "SELECT turn FROM line_turns")
    with station.writing() as connection:
        in_hand = turns.Turn(hill, str(turn), "north")
        assert turns.begin(connection, work.asking, in_hand, station.now()) is not None

    asyncio.run(north.leave())

    assert rows(station, "SELECT worker FROM line_turns") == [("north",)]
    assert rows(station, "SELECT name FROM workers") == [("north",)]


@pytest.mark.parametrize("urgency", [Urgency.ORDER, Urgency.ROUTINE])
def test_where_the_modem_calls_there_is_a_turn_though_the_old_one_was_as_urgent(
    station: Station, work: DurableWork, hill: int, urgency: Urgency
) -> None:
    queue(station, work, job(urgency, line=hill))

    calls_south(station, work, hill)
    assert rows(station, QUEUES) == SOUTH

    queue(station, work, job(urgency, line=hill))
    assert rows(station, QUEUES) == SOUTH


def test_a_modem_that_is_gone_leaves_no_turn_behind(
    station: Station, work: DurableWork, hill: int
) -> None:
    queue(station, work, job(line=hill))
    with station.writing() as connection:
        connection.execute(delete(line_owners))
        work.hand_out_at_the_end(connection, hill)
    assert rows(station, QUEUES) == []


def test_turns_in_the_queue_of_a_worker_that_is_no_more_are_taken_back(
    station: Station, work: DurableWork, hill: int
) -> None:
    queue(station, work, job(line=hill))
    with station.writing() as connection:
        connection.execute(
            insert(workers).values(
                name="south", since=station.now(), seen_at=station.now(), process=1
            )
        )
    assert upkeep.look_after_lines(station, work) == 0
    assert rows(station, QUEUES) == NORTH

    calls_south(station, work, hill, looks=False)
    with station.writing() as connection:
        connection.execute(delete(workers).where(workers.c.name == "north"))

    assert upkeep.look_after_lines(station, work) == 1
    assert rows(station, QUEUES) == SOUTH
    assert upkeep.look_after_lines(station, work) == 0


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_an_order_that_is_queued_while_its_worker_leaves_is_found_where_the_modem_calls_next(
    station: Station, work: DurableWork, north: Presence, hill: int
) -> None:
    with station.writing() as connection:
        work.enqueue(connection, job(Urgency.ORDER, line=hill, kind="order"))
        # it leaves between the turn and the commit, and sees nothing of it
        at_the_end(connection, lambda _: asyncio.run(north.leave()))

    assert rows(station, QUEUES) == NORTH
    assert upkeep.look_after_lines(station, work) == 1
    assert rows(station, QUEUES) == []
    calls_south(station, work, hill)
    assert rows(station, QUEUES) == SOUTH


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_worker_that_was_held_for_dead_is_known_again(station: Station, north: Presence) -> None:
    with station.writing() as connection:
        connection.execute(text("DELETE FROM workers"))
    north._locks.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(north, "_look_for_the_dead", lambda _: None)
        north._beat()
        north._look()

    assert rows(station, "SELECT name FROM workers") == [("north",)]
