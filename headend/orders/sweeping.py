"""What becomes due: orders whose window opens, retries, looks, lost jobs, orders that expire."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update

from headend.collection.contacts import hour_of
from headend.collection.tables import contact_hours
from headend.orders.aftermath import follow_up
from headend.orders.moves import find_order, move
from headend.orders.queueing import queue_if_due, unqueue
from headend.orders.tables import order_events, orders
from headend.orders.values import RECONNECTS, WAITING, Order, OrderState
from headend.person import SERVICE
from headend.station import Station
from headend.work.port import Work

_AT_ONCE: Final = 500
"""Orders in one transaction."""
_LOST: Final = timedelta(minutes=15)
"""A job not heard of for so long is queued again; it looks before it does anything."""
LOOK_UNTIL: Final = timedelta(days=1)
"""An unknown outcome is looked at by itself for so long, and then by a person only."""
_LOOK_QUEUED: Final = "look queued"
_HOURLY_FROM: Final = 5
"""From so many tries on, an order's next one is an hour after the last."""
_BEGUN: Final = [state.value for state in (OrderState.SENDING, OrderState.UNKNOWN)]


def sweep(station: Station, work: Work) -> int:
    """Queue what is due and end what has expired; gives how many orders that were.

    May be called at any time, by one process at a time.
    """
    acting = replace(station, person=SERVICE)
    return _expire(acting, work) + _queue_due(acting, work)


def _expire(station: Station, work: Work) -> int:
    with station.writing() as connection:
        waiting = connection.scalars(
            select(orders.c.order_id)
            .where(
                orders.c.state.in_([state.value for state in WAITING]),
                orders.c.expires_at <= station.now(),
            )
            .limit(_AT_ONCE)
        ).all()
        held = _held(connection, waiting)
        for order_id in waiting:
            order = find_order(connection, order_id)
            if order_id in held and order.state in WAITING:
                unqueue(connection, work, order)
                words = "Its time was over before it could be sent."
                move(connection, station, order, OrderState.EXPIRED, "expired", words)
                follow_up(connection, order, OrderState.EXPIRED, words, station.now())
        return len(held)


def _queue_due(station: Station, work: Work) -> int:
    now = station.now()
    with station.writing() as connection:
        due = connection.scalars(
            select(orders.c.order_id)
            .where(
                or_(
                    and_(
                        orders.c.state == OrderState.QUEUED.value,
                        orders.c.due_at <= now,
                        or_(orders.c.job_key.is_(None), orders.c.due_at <= now - _LOST),
                    ),
                    and_(orders.c.state.in_(_BEGUN), orders.c.due_at <= now),
                    _was_heard_again(now),
                )
            )
            .order_by(orders.c.due_at)
            .limit(_AT_ONCE)
        ).all()
        queued = 0
        held = _held(connection, due)
        for order_id in due:
            if order_id not in held:
                continue
            order = find_order(connection, order_id)
            if _was_in_vain(connection, station, order):
                _leave_to_a_person(connection, station, order)
                continue
            if order.due_at is not None and order.due_at > now:
                move(connection, station, order, order.state, "meter heard again", due_at=now)
                order = replace(order, due_at=now)
            changed = queue_if_due(connection, station, work, order)
            queued += changed.job_key != order.job_key
            if changed.state.value in _BEGUN:
                _give_it_time(connection, station, order, changed)
        return queued


def _held(connection: Connection, order_ids: Collection[int]) -> set[int]:
    """Those of some orders that nobody else is changing; nobody does until the transaction ends.

    The others are due the next time: who has hundreds of orders and waits for one more would be
    waited for by whoever has that one.
    """
    return set(
        connection.scalars(
            select(orders.c.order_id)
            .where(orders.c.order_id.in_(order_ids))
            .order_by(orders.c.order_id)
            .with_for_update(skip_locked=True)
        )
    )


def _was_heard_again(now: datetime) -> ColumnElement[bool]:
    """A reconnect that is tried every hour, and whose meter has answered something since.

    Its last try was before this hour, for the next one is within it.
    """
    hour = hour_of(now)
    heard = exists().where(
        contact_hours.c.device_id == orders.c.device_id,
        contact_hours.c.hour == hour,
        contact_hours.c.answered > 0,
    )
    return and_(
        orders.c.state == OrderState.QUEUED.value,
        orders.c.kind.in_([kind.value for kind in RECONNECTS]),
        orders.c.job_key.is_(None),
        orders.c.tries >= _HOURLY_FROM,
        orders.c.due_at > now,
        orders.c.due_at < hour + timedelta(hours=1),
        heard,
    )


def _was_in_vain(connection: Connection, station: Station, order: Order) -> bool:
    """Whether looks at it have been queued for a day, and the last did not come to its meter."""
    if order.sending_at is None or order.job_key is None:
        return False
    since = connection.scalar(
        select(func.min(order_events.c.at)).where(
            order_events.c.order_id == order.order_id, order_events.c.event == _LOOK_QUEUED
        )
    )
    return since is not None and station.now() - since >= LOOK_UNTIL


def _leave_to_a_person(connection: Connection, station: Station, order: Order) -> None:
    """No more looks by themselves: the last one waits for its line, if that comes back."""
    words = (
        "Its meter could not be read for a day. Nothing more is done by itself: see to its line, "
        f"then meterhouse order settle {order.order_id}."
    )
    state = OrderState.UNKNOWN
    if move(connection, station, order, state, "left", words, due_at=None):
        follow_up(connection, order, state, words, station.now())


def _has_no_look(connection: Connection, order: Order) -> bool:
    query = select(order_events.c.position).where(
        order_events.c.order_id == order.order_id, order_events.c.event == _LOOK_QUEUED
    )
    return connection.scalar(query.limit(1)) is None


def _give_it_time(connection: Connection, station: Station, order: Order, queued: Order) -> None:
    """The job has its time before it is held for lost; one line of history for all of them."""
    later = station.now() + _LOST
    if order.job_key is None or _has_no_look(connection, order):
        move(connection, station, queued, queued.state, _LOOK_QUEUED, due_at=later)
        return
    connection.execute(
        update(orders).where(orders.c.order_id == order.order_id).values(due_at=later)
    )
