"""What is due: rounds of plans, shares that go on, windows that have ended, old rounds.

Called on a schedule, by one worker at a time; called by two, the constraints still make each
round once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from headend.collection.calendar import next_due
from headend.collection.plan import Plan, read_document
from headend.collection.rounds import (
    DOUBT,
    NewRound,
    close_waiting,
    due_links,
    end_if_over,
    forget_rounds,
    make_round,
    overdue_rounds,
    queue_link,
)
from headend.collection.tables import plans, round_links
from headend.station import Station
from headend.work.port import Work
from headend.work.tables import jobs

_LINKS_AT_ONCE: Final = 500
_MISSED_MAX: Final = 62
"""Due moments that one sweep makes up for, of a plan that reads each meter on a day of its own."""


def sweep(station: Station, work: Work) -> int:
    """Make, queue and close what is due; gives how many rounds and shares it has touched."""
    now = station.now()
    done = 0
    with station.reading() as connection:
        due = connection.execute(
            select(plans.c.plan_id).where(plans.c.next_due <= now).order_by(plans.c.next_due)
        ).scalars()
        plan_ids = list(due)
        overdue = overdue_rounds(connection, now)
    for plan_id in plan_ids:
        with station.writing() as connection:
            done += _make_due(station, connection, work, plan_id, now)
    for round_id in overdue:
        with station.writing() as connection:
            close_waiting(connection, round_id, now)
            done += end_if_over(connection, round_id, now)
    done += _requeue(station, work, now)
    with station.writing() as connection:
        forget_rounds(connection, now)
    return done


def _make_due(
    station: Station, connection: Connection, work: Work, plan_id: int, now: datetime
) -> int:
    """The rounds of one plan that are due, in one transaction with its next due moment.

    After a pause of the service a plan of every so many minutes makes its last round only: what
    meters remember of the others is asked for by freezes and profiles.  A plan that reads on days
    makes up for each of them.
    """
    row = connection.execute(
        select(plans.c.name, plans.c.document, plans.c.next_due)
        .where(plans.c.plan_id == plan_id, plans.c.next_due <= now)
        .with_for_update()
    ).first()
    if row is None:
        return 0
    plan = read_document(row.document)
    moments, following = _moments(plan, row.next_due, now, station)
    made = 0
    for due_at in moments:
        new = NewRound("plan", row.name, plan, due_at, plan_id)
        made += make_round(station, connection, work, new) is not None
    connection.execute(update(plans).where(plans.c.plan_id == plan_id).values(next_due=following))
    return made


def _moments(
    plan: Plan, first: datetime, now: datetime, station: Station
) -> tuple[list[datetime], datetime]:
    """The due moments to make rounds for, and the one after them."""
    moments: list[datetime] = []
    moment = first
    while moment <= now and len(moments) < _MISSED_MAX:
        if plan.when.every_min is not None:
            moments.clear()
        moments.append(moment)
        moment = next_due(plan.when, moment, station.zone)
    return moments, moment


def _requeue(station: Station, work: Work, now: datetime) -> int:
    """Queue shares whose rest is over, and those whose job is lost."""
    with station.writing() as connection:
        found = due_links(connection, now, _LINKS_AT_ONCE)
        read: dict[str, Plan] = {}
        for row in found:
            if row.state == "queued" and _is_carried(connection, row):
                _put_off_doubt(connection, row, now)
                continue
            plan = read.get(row.document)
            if plan is None:
                plan = read[row.document] = read_document(row.document)
            queue_link(station, connection, work, row.round_id, row.link_id, plan, row.attempt)
    return len(found)


def _is_carried(connection: Connection, row: Any) -> bool:
    """Whether the queue still has the share's job."""
    state = connection.execute(select(jobs.c.state).where(jobs.c.key == row.key)).scalar()
    return state in ("waiting", "running")


def _put_off_doubt(connection: Connection, row: Any, now: datetime) -> None:
    connection.execute(
        update(round_links)
        .where(round_links.c.round_id == row.round_id, round_links.c.link_id == row.link_id)
        .values(requeue_at=now + DOUBT)
    )
