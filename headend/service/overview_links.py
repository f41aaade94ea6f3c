"""Links at a glance: how many there are, and those that somebody should look at.

Visits are counted by the hour, so "within the hour" is the present hour and the one before it, and
when a link was last heard is known to the hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, func, select, text

from headend.collection.tables import link_hours
from headend.registry.tables import links
from headend.work.tables import jobs, line_owners

_AN_HOUR: Final = timedelta(hours=1)
HEARD_WITHIN: Final = timedelta(days=7)
"""When a link was heard earlier than this is not looked for."""


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """All links."""

    active: int
    suspended: int
    modems: int
    """Active ones on which a modem calls in."""
    connected: int
    """Of these, whose modem is connected to a worker."""
    busy: int
    """On which a job runs."""
    answering: int
    """That answered within the hour."""
    silent: int
    """That were asked within the hour and never answered."""


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One link."""

    link_id: int
    name: str
    kind: str
    state: str
    """``silent`` (asked within the hour, never answered), ``busy``, ``waiting``, ``away`` (a
    modem that has not called), ``suspended``, ``idle``."""
    job: str
    """Kind of the job that runs; empty: none."""
    since: datetime | None
    """When that job was begun."""
    waiting: int
    """Jobs that wait for it."""
    asked: int
    answered: int
    """Visits of its meters within the hour."""
    broken: int
    busy_ms: int
    heard_hour: datetime | None
    """The last hour in which it answered; None: not in a week."""


_ORDER: Final = ("silent", "busy", "waiting", "away", "idle", "suspended")


def link_figures(connection: Connection, hour: datetime, *, busy: int) -> LinkFigures:
    """Count the links.

    Args:
        connection: in any transaction.
        hour: the present one.
        busy: on how many a job runs.
    """
    count = {
        (state, kind): number
        for state, kind, number in connection.execute(
            select(links.c.state, links.c.kind, func.count()).group_by(links.c.state, links.c.kind)
        )
    }
    active = sum(number for (state, _), number in count.items() if state == "active")
    of_hour = _of_hour(hour).subquery()
    answering, asked = connection.execute(
        select(
            func.count().filter(of_hour.c.answered > 0), func.count().filter(of_hour.c.asked > 0)
        ).select_from(of_hour)
    ).one()
    connected = connection.execute(select(func.count()).select_from(line_owners)).scalar_one()
    return LinkFigures(
        active=active,
        suspended=sum(count.values()) - active,
        modems=count.get(("active", "modem"), 0),
        connected=connected,
        busy=busy,
        answering=answering,
        silent=asked - answering,
    )


def link_lines(connection: Connection, hour: datetime, limit: int) -> tuple[LinkLine, ...]:
    """Links, those first that somebody should look at: silent, busy the longest, waiting."""
    chosen = _most_worth_a_look(connection, hour, limit)
    heard = _heard(connection, [row.link_id for row in chosen], hour)
    return tuple(
        LinkLine(
            row.link_id,
            row.name,
            row.kind,
            _ORDER[row.rank],
            row.job or "",
            row.since,
            row.waiting or 0,
            row.asked or 0,
            row.answered or 0,
            row.broken or 0,
            row.busy_ms or 0,
            heard.get(row.link_id),
        )
        for row in chosen
    )


def _most_worth_a_look(connection: Connection, hour: datetime, limit: int) -> list[Any]:
    of_hour = _of_hour(hour).subquery()
    running = (
        select(jobs.c.line, jobs.c.kind, jobs.c.begun_at).where(text("state = 'running'"))
    ).subquery()
    waiting = (
        select(jobs.c.line, func.count().label("count"))
        .where(text("state = 'waiting'"))
        .group_by(jobs.c.line)
    ).subquery()
    rank = _rank(of_hour, running, waiting).label("rank")
    lost = func.coalesce(of_hour.c.asked - of_hour.c.answered, 0)
    query = (
        select(
            links.c.link_id,
            links.c.name,
            links.c.kind,
            rank,
            running.c.kind.label("job"),
            running.c.begun_at.label("since"),
            waiting.c.count.label("waiting"),
            of_hour.c.asked,
            of_hour.c.answered,
            of_hour.c.broken,
            of_hour.c.busy_ms,
        )
        .select_from(links)
        .outerjoin(of_hour, of_hour.c.link_id == links.c.link_id)
        .outerjoin(running, running.c.line == links.c.link_id)
        .outerjoin(waiting, waiting.c.line == links.c.link_id)
        .outerjoin(line_owners, line_owners.c.link_id == links.c.link_id)
        .order_by(rank, lost.desc(), running.c.begun_at, links.c.name)
        .limit(limit)
    )
    return list(connection.execute(query))


def _rank(of_hour: Any, running: Any, waiting: Any) -> Any:
    return case(
        (links.c.state != "active", _ORDER.index("suspended")),
        ((of_hour.c.asked > 0) & (of_hour.c.answered == 0), _ORDER.index("silent")),
        (running.c.line.is_not(None), _ORDER.index("busy")),
        (waiting.c.line.is_not(None), _ORDER.index("waiting")),
        (
            (links.c.kind == "modem") & line_owners.c.link_id.is_(None),
            _ORDER.index("away"),
        ),
        else_=_ORDER.index("idle"),
    )


def _of_hour(hour: datetime) -> Any:
    return (
        select(
            link_hours.c.link_id,
            func.sum(link_hours.c.asked).label("asked"),
            func.sum(link_hours.c.answered).label("answered"),
            func.sum(link_hours.c.broken).label("broken"),
            func.sum(link_hours.c.busy_ms).label("busy_ms"),
        )
        .where(link_hours.c.hour >= hour - _AN_HOUR)
        .group_by(link_hours.c.link_id)
    )


def _heard(connection: Connection, link_ids: list[int], hour: datetime) -> dict[int, datetime]:
    rows = connection.execute(
        select(link_hours.c.link_id, func.max(link_hours.c.hour))
        .where(
            link_hours.c.link_id.in_(link_ids),
            link_hours.c.hour >= hour - HEARD_WITHIN,
            link_hours.c.answered > 0,
        )
        .group_by(link_hours.c.link_id)
    )
    return dict(rows.all())
