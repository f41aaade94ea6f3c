"""Rounds: made once for each plan and due moment, carried by one job for each link, closed.

A link's share rests until the plan's window opens or a retry is due, is queued with its job's key,
and is done when none of its meters waits.  A job whose key is not the share's any more does
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    update,
)

from headend.collection.plan import Plan, document_of
from headend.collection.retries import urgency_of
from headend.collection.tables import round_devices, round_links, rounds
from headend.collection.whom import meters_of
from headend.collection.window import next_opening
from headend.registry.tables import end_devices, links
from headend.station import Station
from headend.work.keys import new_key
from headend.work.port import Job, Work
from storage.types import UtcTimestamp

DOUBT: Final = timedelta(minutes=20)
"""A queued share whose job has not been heard of for so long is looked after."""
KEPT: Final = timedelta(days=400)
"""How long an ended round is kept; what it has read stays."""
KEPT_FREQUENT: Final = timedelta(days=7)
"""Rounds of every so many minutes; those of a hundred thousand meters are large."""
_FORGOTTEN_AT_ONCE: Final = 20
_METERS_FORGOTTEN_AT_ONCE: Final = 20_000
ROUND: Final = "round"
"""The kind of job."""
_NO_LINE: Final = "The meter is on no line: give it one, or enter its reading by hand."
_LINE_SUSPENDED: Final = "The meter's line is suspended."
_MOVED: Final = "The meter was removed or moved to another line since; the next round reads it."
_NOT_SO_LATE: Final = "Not read before the round's window ended."


@dataclass(frozen=True, slots=True)
class NewRound:
    """A round to be made."""

    kind: str
    """``plan``, ``chase`` or ``demand``."""
    name: str
    plan: Plan
    due_at: datetime
    plan_id: int | None = None


def make_round(
    station: Station,
    connection: Connection,
    work: Work | None,
    new: NewRound,
    meters: Select[Any] | None = None,
) -> int | None:
    """Make a round and queue its links, in the caller's write transaction.

    Args:
        station: whose clock and zone.
        connection: of the transaction.
        work: where its jobs are queued; None: the next sweep queues them.
        new: what it is.
        meters: (device_id, link_id) of those that it reads; None: those that the plan names on
            the day of its due moment.

    Returns:
        The round's id; None: it would have no meters, and was not made.
    """
    now = station.now()
    if meters is None:
        meters = meters_of(connection, new.plan, _day_of(new, station))
    chosen = meters.subquery()
    count = connection.execute(select(func.count()).select_from(chosen)).scalar_one()
    if not count:
        return None
    within = timedelta(minutes=new.plan.within_min)
    closes_at = new.due_at + within
    if closes_at <= now:  # made late: its meters still get their chance
        closes_at = now + within
    round_id: int = connection.execute(
        insert(rounds)
        .values(
            kind=new.kind,
            name=new.name,
            plan_id=new.plan_id,
            due_at=new.due_at,
            document=document_of(new.plan),
            closes_at=closes_at,
            devices=count,
            made_at=now,
            made_by=station.person.name,
        )
        .returning(rounds.c.round_id)
    ).scalar_one()
    _add_meters(connection, round_id, chosen, now)
    begin = next_opening(new.plan.windows, max(now, new.due_at), station.zone)
    _add_links(connection, round_id, begin)
    if begin <= now and work is not None:
        for link_id in _links_of(connection, round_id):
            queue_link(station, connection, work, round_id, link_id, new.plan, 0)
    end_if_over(connection, round_id, now)
    return round_id


def _day_of(new: NewRound, station: Station) -> date:
    return new.due_at.astimezone(station.zone).date()


def _add_meters(connection: Connection, round_id: int, chosen: Any, now: datetime) -> None:
    is_suspended = exists().where(links.c.link_id == chosen.c.link_id, links.c.state != "active")
    unreachable = chosen.c.link_id.is_(None) | is_suspended
    words = case((chosen.c.link_id.is_(None), literal(_NO_LINE)), else_=literal(_LINE_SUSPENDED))
    connection.execute(
        insert(round_devices).from_select(
            ["round_id", "device_id", "link_id", "state", "attempts", "due_at", "why", "words"],
            select(
                literal(round_id),
                chosen.c.device_id,
                chosen.c.link_id,
                case((unreachable, literal("skipped")), else_=literal("waiting")),
                literal(0),
                literal(now, UtcTimestamp()),
                case((unreachable, literal("no_line")), else_=null()),
                case((unreachable, words), else_=null()),
            ),
        )
    )


def _add_links(connection: Connection, round_id: int, begin: datetime) -> None:
    connection.execute(
        insert(round_links).from_select(
            ["round_id", "link_id", "state", "attempt", "requeue_at", "asked", "spent_ms"],
            select(
                literal(round_id),
                round_devices.c.link_id,
                literal("resting"),
                literal(0),
                literal(begin, UtcTimestamp()),
                literal(0),
                literal(0),
            )
            .where(round_devices.c.round_id == round_id, round_devices.c.state == "waiting")
            .distinct(),
        )
    )


def _links_of(connection: Connection, round_id: int) -> list[int]:
    query = select(round_links.c.link_id).where(round_links.c.round_id == round_id)
    return list(connection.execute(query.order_by(round_links.c.link_id)).scalars())


def queue_link(
    station: Station,
    connection: Connection,
    work: Work,
    round_id: int,
    link_id: int,
    plan: Plan,
    attempt: int,
) -> str:
    """Queue a link's share anew, with a key of its own; gives the key."""
    now = station.now()
    key = new_key(now)
    connection.execute(
        update(round_links)
        .where(round_links.c.round_id == round_id, round_links.c.link_id == link_id)
        .values(state="queued", key=key, requeue_at=now + DOUBT)
    )
    urgency = urgency_of(plan.urgency, attempt)
    work.enqueue(connection, Job(key, ROUND, link_id, urgency, {"round": round_id}))
    return key


def rest_link(
    connection: Connection, round_id: int, link_id: int, until: datetime | None, *, more: int
) -> None:
    """A job has come to its end: the share rests until a moment, or is done (None).

    Args:
        connection: of the transaction.
        round_id: whose share.
        link_id: whose.
        until: when it goes on.
        more: attempts that this one adds.
    """
    connection.execute(
        update(round_links)
        .where(round_links.c.round_id == round_id, round_links.c.link_id == link_id)
        .values(
            state="done" if until is None else "resting",
            requeue_at=until,
            attempt=round_links.c.attempt + more,
        )
    )


def close_waiting(
    connection: Connection, round_id: int, now: datetime, *, link_id: int | None = None,
    why: str = "window", words: str = _NOT_SO_LATE,
) -> None:  # fmt: skip
    """What still waits is missing: partial where something was kept, else failed.

    Why a meter failed last is told rather than that its time is over.
    """
    of_round = [round_devices.c.round_id == round_id, round_devices.c.state == "waiting"]
    if link_id is not None:
        of_round.append(round_devices.c.link_id == link_id)
    has_some = round_devices.c.remaining.is_not(None)
    connection.execute(
        update(round_devices)
        .where(*of_round)
        .values(
            state=case((has_some, literal("partial")), else_=literal("failed")),
            why=func.coalesce(round_devices.c.why, why),
            words=func.coalesce(round_devices.c.words, words),
            due_at=now,
        )
    )


def end_if_over(connection: Connection, round_id: int, now: datetime) -> bool:
    """End a round of which no meter waits."""
    waits = exists().where(round_devices.c.round_id == round_id, round_devices.c.state == "waiting")
    ended = connection.execute(
        update(rounds)
        .where(rounds.c.round_id == round_id, rounds.c.ended_at.is_(None), ~waits)
        .values(ended_at=now)
    )
    if not ended.rowcount:
        return False
    connection.execute(
        update(round_links)
        .where(round_links.c.round_id == round_id, round_links.c.state != "done")
        .values(state="done", requeue_at=None)
    )
    return True


def overdue_rounds(connection: Connection, now: datetime) -> list[int]:
    """Rounds whose window has ended though meters wait."""
    query = select(rounds.c.round_id).where(rounds.c.ended_at.is_(None), rounds.c.closes_at <= now)
    return list(connection.execute(query).scalars())


def due_links(connection: Connection, now: datetime, limit: int) -> list[Any]:
    """Shares that go on now, or whose job is in doubt, the most overdue first."""
    return list(
        connection.execute(
            select(
                round_links.c.round_id,
                round_links.c.link_id,
                round_links.c.state,
                round_links.c.key,
                round_links.c.attempt,
                rounds.c.document,
            )
            .join(rounds, rounds.c.round_id == round_links.c.round_id)
            .where(round_links.c.requeue_at <= now, rounds.c.ended_at.is_(None))
            .order_by(round_links.c.requeue_at)
            .limit(limit)
        )
    )


def forget_rounds(connection: Connection, now: datetime) -> int:
    """Delete some of the rounds that are too old to keep; gives their number."""
    is_frequent = rounds.c.document.like('%"every_min"%')
    query = (
        select(rounds.c.round_id, rounds.c.devices)
        .where(
            rounds.c.ended_at < case((is_frequent, _time(now - KEPT_FREQUENT)),
                                     else_=_time(now - KEPT))
        )
        .order_by(rounds.c.ended_at)
        .limit(_FORGOTTEN_AT_ONCE)
    )  # fmt: skip
    ids: list[int] = []
    meters = 0
    for row in connection.execute(query):
        if ids and meters + row.devices > _METERS_FORGOTTEN_AT_ONCE:
            break
        ids.append(row.round_id)
        meters += row.devices
    for of_round in (round_devices, round_links, rounds):
        _delete(connection, of_round, ids)
    return len(ids)


def _time(moment: datetime) -> Any:
    return literal(moment, UtcTimestamp())


def _delete(connection: Connection, of_round: Any, ids: Iterable[int]) -> None:
    connection.execute(delete(of_round).where(of_round.c.round_id.in_(list(ids))))


def leave_out_moved(connection: Connection, round_id: int, link_id: int, now: datetime) -> None:
    """Meters that were removed, or moved to another line, since the round was made."""
    is_here = exists().where(
        end_devices.c.device_id == round_devices.c.device_id,
        end_devices.c.link_id == link_id,
        end_devices.c.state == "active",
    )
    connection.execute(
        update(round_devices)
        .where(
            round_devices.c.round_id == round_id,
            round_devices.c.link_id == link_id,
            round_devices.c.state == "waiting",
            ~is_here,
        )
        .values(state="skipped", why="moved", words=_MOVED, due_at=now)
    )


def next_waiting(connection: Connection, round_id: int, link_id: int) -> datetime | None:
    """When the next of a share's waiting meters may be asked; None: none waits."""
    query = select(func.min(round_devices.c.due_at)).where(
        and_(
            round_devices.c.round_id == round_id,
            round_devices.c.link_id == link_id,
            round_devices.c.state == "waiting",
        )
    )
    found: datetime | None = connection.execute(query).scalar_one()
    return found
