"""What one worker at a time looks after: the dead, lines that were forgotten, what is old."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import and_, delete, func, literal, or_, select

from headend.registry.tables import links
from headend.station import Station
from headend.work import engine, turns
from headend.work.durable import DurableWork
from headend.work.queues import LINES, OF_WORKER, queue_of_worker
from headend.work.tables import jobs, line_owners, line_turns, workers

log = structlog.get_logger("headend.work")
_LINES_AT_A_TIME: Final = 500
_OLD_AT_A_TIME: Final = 2000
_TURN_GRACE: Final = timedelta(seconds=30)
"""A turn younger than this may not be known to everybody yet."""


def take_over(station: Station, work: DurableWork, name: str) -> int:
    """Give what a dead worker had in hand to those who live; the number of its turns.

    The caller holds the dead worker's lock: it cannot rise meanwhile.  May be repeated.
    """
    begun = engine.turns_begun_by(name)
    with station.writing() as connection:
        connection.execute(delete(line_owners).where(line_owners.c.worker == name))
        # Its own queue is read by nobody now; a modem's line waits until the modem calls again.
        rows = connection.execute(
            select(line_turns.c.line, line_turns.c.turn)
            .where(line_turns.c.queue == queue_of_worker(name))
            .order_by(line_turns.c.line)
        ).all()
        for row in rows:
            turns.take_from(connection, work.asking, row.line, row.turn, station.now())
    engine.resume(begun)
    with station.writing() as connection:
        connection.execute(delete(workers).where(workers.c.name == name))
    log.warning("worker.taken_over", worker=name, turns=len(begun), lines_of_its_own=len(rows))
    return len(begun)


def look_after_lines(station: Station, work: DurableWork) -> int:
    """Give turns to lines that wait without one, and to those whose turn nobody will begin.

    None of it happens as long as all goes well; it is what makes a fault of ours, or of the
    engine, cost a minute instead of a line.
    """
    now = station.now()
    with station.reading() as connection:
        waiting = connection.execute(
            select(jobs.c.line)
            .distinct()
            .select_from(
                jobs.outerjoin(links, links.c.link_id == jobs.c.line)
                .outerjoin(line_owners, line_owners.c.link_id == jobs.c.line)
                .outerjoin(line_turns, line_turns.c.line == jobs.c.line)
            )
            .where(
                jobs.c.state == "waiting",
                line_turns.c.line.is_(None),
                or_(
                    links.c.kind.is_(None),
                    links.c.kind != "modem",
                    line_owners.c.worker.is_not(None),
                ),
            )
            .limit(_LINES_AT_A_TIME)
        ).scalars()
        forgotten = list(waiting)
        given = connection.execute(
            select(line_turns.c.line, line_turns.c.turn)
            .where(line_turns.c.handed_at < now - _TURN_GRACE)
            .order_by(func.random())
            .limit(_LINES_AT_A_TIME)
        ).all()
    over = engine.turns_over([row.turn for row in given])
    for line in forgotten:
        with station.writing() as connection:
            turns.hand_out(connection, work.asking, line, now)
    vanished = [row for row in given if row.turn in over]
    for row in vanished:
        with station.writing() as connection:
            turns.take_from(connection, work.asking, row.line, row.turn, now)
    strayed = _take_back_strayed(station, work)
    if forgotten or vanished or strayed:
        log.warning(
            "lines.looked_after", forgotten=len(forgotten), vanished=len(vanished), strayed=strayed
        )
    return len(forgotten) + len(vanished) + strayed


def _take_back_strayed(station: Station, work: DurableWork) -> int:
    """Turns of queues whose worker is no more: queued while it left; their number."""
    read = select(literal(OF_WORKER) + workers.c.name)
    strayed = and_(line_turns.c.queue != LINES, line_turns.c.queue.not_in(read))
    with station.reading() as connection:
        if (
            connection.execute(
                select(line_turns.c.line).where(strayed, line_turns.c.worker.is_(None)).limit(1)
            ).first()
            is None
        ):
            return 0
    with station.writing() as connection:
        return turns.take_unbegun(connection, work.asking, strayed, station.now())


def forget_old(station: Station, *, turns_for: timedelta, jobs_for: timedelta) -> int:
    """Delete turns and jobs that ended long ago; the number of rows, bounded."""
    now = station.now()
    count = engine.forget_before(now - turns_for, _OLD_AT_A_TIME)
    with station.writing() as connection:
        old = (
            select(jobs.c.key)
            .where(jobs.c.ended_at.is_not(None), jobs.c.ended_at < now - jobs_for)
            .limit(_OLD_AT_A_TIME)
        )
        count += connection.execute(delete(jobs).where(jobs.c.key.in_(old))).rowcount
    return count
