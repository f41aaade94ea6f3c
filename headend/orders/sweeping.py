"""What becomes due: orders whose window opens, retries, looks, lost jobs, orders that expire."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import and_, or_, select

from headend.orders.aftermath import follow_up
from headend.orders.moves import find_order, move
from headend.orders.queueing import queue_if_due, unqueue
from headend.orders.tables import orders
from headend.orders.values import WAITING, OrderState
from headend.person import SERVICE
from headend.station import Station
from headend.work.port import Work

_AT_ONCE: Final = 500
"""Orders in one transaction."""
_LOST: Final = timedelta(minutes=15)
"""A job not heard of for so long is queued again; it looks before it does anything."""
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
        for order_id in waiting:
            order = find_order(connection, order_id, lock=True)
            if order.state in WAITING:
                unqueue(connection, work, order)
                words = "Its time was over before it could be sent."
                move(connection, station, order, OrderState.EXPIRED, "expired", words)
                follow_up(connection, order, OrderState.EXPIRED, words, station.now())
        return len(waiting)


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
                )
            )
            .order_by(orders.c.due_at)
            .limit(_AT_ONCE)
        ).all()
        queued = 0
        for order_id in due:
            order = find_order(connection, order_id, lock=True)
            changed = queue_if_due(connection, station, work, order)
            queued += changed.job_key != order.job_key
            if changed.state.value in _BEGUN:  # the job has its time before it is held for lost
                move(
                    connection,
                    station,
                    changed,
                    changed.state,
                    "look queued",
                    due_at=now + _LOST,
                )
        return queued
