"""The whole head-end at a glance: what `meterhouse top` shows.

Nothing here grows with the meters or with the years: links are at most thousands, jobs and orders
are counted by the indexes of those that are open, of ended orders only the last ones are looked
at.  One thing does: the standing of an open round is a count of its meters, by an index; so whoever
looks again and again looks less often where a look takes long (`wait_after`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select, text

from headend.collection.tables import round_devices, rounds
from headend.orders.tables import orders
from headend.person import Right
from headend.service.overview_links import LinkFigures, LinkLine, link_figures, link_lines
from headend.station import Station
from headend.watching.alarms import Alarm, Severity, open_alarm_counts, worst_open_alarms
from headend.watching.health import success_by_hour
from headend.work.tables import jobs, workers

WORKER_SILENT: Final = timedelta(seconds=90)
"""A worker says every half minute that it lives."""
ROUNDS_MAX: Final = 24
ALARMS_MAX: Final = 40
LINKS_MAX: Final = 60
LAST_ORDERS: Final = 1_000
_OPEN_ORDERS: Final = ("waiting_approval", "queued", "sending", "unknown")
_HOURS: Final = 24
_SHARE_OF_TIME: Final = 20
"""A look may take a twentieth of the time."""


@dataclass(frozen=True, slots=True)
class Queued:
    """Jobs of one urgency and kind that wait or run."""

    urgency: int
    kind: str
    waiting: int
    running: int
    oldest_at: datetime | None
    """Since when the oldest of those that wait does."""


@dataclass(frozen=True, slots=True)
class RoundLine:
    """A round under way."""

    round_id: int
    name: str
    kind: str
    began_at: datetime
    closes_at: datetime
    devices: int
    waiting: int
    read: int
    missed: int
    """Partial, failed and skipped."""

    @property
    def settled(self) -> int:
        """Meters that need no visit any more."""
        return self.devices - self.waiting


@dataclass(frozen=True, slots=True)
class Answered:
    """Visits of meters in an hour, and those that were answered."""

    hour: datetime
    asked: int
    answered: int


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """A worker of this database."""

    name: str
    since: datetime
    seen_at: datetime
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One look."""

    at: datetime
    links: LinkFigures
    lines: tuple[LinkLine, ...]
    """At most `LINKS_MAX`, those first that somebody should look at."""
    queue: tuple[Queued, ...]
    hours: tuple[Answered, ...]
    """The present hour last; hours without a visit are left out."""
    rounds: tuple[RoundLine, ...]
    """At most `ROUNDS_MAX`, the one that closes first at the head."""
    rounds_open: int
    orders_open: dict[str, int]
    orders_last: dict[str, int]
    """States of the last `LAST_ORDERS` orders."""
    alarms_open: dict[Severity, int]
    alarms_unacknowledged: int
    alarms: tuple[Alarm, ...]
    """At most `ALARMS_MAX`, the worst and newest first."""
    workers: tuple[WorkerLine, ...]

    def success(self, hours: int) -> tuple[int, int]:
        """(asked, answered) of the present hour and so many before it."""
        first = _hour(self.at) - timedelta(hours=hours)
        chosen = [each for each in self.hours if each.hour >= first]
        return sum(each.asked for each in chosen), sum(each.answered for each in chosen)


def look(station: Station) -> Overview:
    """Look once, in one read transaction.

    Raises:
        NotAllowedError: the person may not look.
        StoreUnavailableError: the database gives no answer.
    """
    station.require(Right.LOOK)
    now = station.now()
    hour = _hour(now)
    with station.reading() as connection:
        queue = _queue(connection)
        busy = _running(connection)
        counts, unacknowledged = open_alarm_counts(connection)
        return Overview(
            at=now,
            links=link_figures(connection, hour, busy=sum(busy.values())),
            lines=link_lines(connection, hour, LINKS_MAX),
            queue=queue,
            hours=tuple(
                Answered(*row)
                for row in success_by_hour(connection, hour - timedelta(hours=_HOURS))
            ),
            rounds=_rounds(connection),
            rounds_open=_rounds_open(connection),
            orders_open=_orders_open(connection),
            orders_last=_orders_last(connection),
            alarms_open=counts,
            alarms_unacknowledged=unacknowledged,
            alarms=tuple(worst_open_alarms(connection, ALARMS_MAX)),
            workers=_workers(connection, busy),
        )


def wait_after(took_s: float, wanted_s: float) -> float:
    """How long to wait before the next look, so that looking costs little of the database."""
    return max(wanted_s, took_s * (_SHARE_OF_TIME - 1))


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


# The state is spelled out in the text of a statement where a partial index holds those that are
# open: SQLite takes no such index for a value that it is only given later.


def _queue(connection: Connection) -> tuple[Queued, ...]:
    found: dict[tuple[int, str], list[int]] = {}
    oldest: dict[tuple[int, str], datetime] = {}
    for place, state in enumerate(("waiting", "running")):
        rows = connection.execute(
            select(jobs.c.urgency, jobs.c.kind, func.count(), func.min(jobs.c.queued_at))
            .where(text(f"state = '{state}'"))
            .group_by(jobs.c.urgency, jobs.c.kind)
        )
        for urgency, kind, count, since in rows:
            found.setdefault((urgency, kind), [0, 0])[place] = count
            if state == "waiting":
                oldest[urgency, kind] = since
    return tuple(
        Queued(urgency, kind, waiting, running, oldest.get((urgency, kind)))
        for (urgency, kind), (waiting, running) in sorted(found.items())
    )


def _running(connection: Connection) -> dict[str, int]:
    """Jobs in hand by worker; a line has one at a time, so these are busy lines, too."""
    rows = connection.execute(
        select(jobs.c.worker, func.count()).where(text("state = 'running'")).group_by(jobs.c.worker)
    )
    return dict(rows.all())


def _rounds_open(connection: Connection) -> int:
    query = select(func.count()).select_from(rounds).where(rounds.c.ended_at.is_(None))
    return connection.execute(query).scalar_one()


def _rounds(connection: Connection) -> tuple[RoundLine, ...]:
    chosen = connection.execute(
        select(rounds)
        .where(rounds.c.ended_at.is_(None))
        .order_by(rounds.c.closes_at, rounds.c.round_id)
        .limit(ROUNDS_MAX)
    ).all()
    return tuple(
        RoundLine(
            row.round_id,
            row.name,
            row.kind,
            max(row.due_at, row.made_at),
            row.closes_at,
            row.devices,
            counts.pop("waiting", 0),
            counts.pop("read", 0),
            sum(counts.values()),
        )
        for row in chosen
        for counts in [_standings(connection, row.round_id)]
    )


def _standings(connection: Connection, round_id: int) -> dict[str, int]:
    rows = connection.execute(
        select(round_devices.c.state, func.count())
        .where(round_devices.c.round_id == round_id)
        .group_by(round_devices.c.state)
    )
    return dict(rows.all())


def _orders_open(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        select(orders.c.state, func.count())
        .where(orders.c.state.in_(_OPEN_ORDERS))
        .group_by(orders.c.state)
    )
    found: dict[str, int] = dict(rows.all())
    return {state: found.get(state, 0) for state in _OPEN_ORDERS}


def _orders_last(connection: Connection) -> dict[str, int]:
    last = select(orders.c.state).order_by(orders.c.order_id.desc()).limit(LAST_ORDERS).subquery()
    rows = connection.execute(select(last.c.state, func.count()).group_by(last.c.state))
    return dict(rows.all())


def _workers(connection: Connection, busy: dict[str, int]) -> tuple[WorkerLine, ...]:
    rows = connection.execute(select(workers).order_by(workers.c.name))
    return tuple(
        WorkerLine(row.name, row.since, row.seen_at, busy.get(row.name, 0)) for row in rows
    )
