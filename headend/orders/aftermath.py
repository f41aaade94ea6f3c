"""What an order's end means to others: a reading to keep, an alarm to raise or to close."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from headend.orders.tables import orders
from headend.orders.tokens import wake_followers
from headend.orders.values import ENDED, RECONNECTS, Order, OrderKind, OrderState
from headend.store.readings import add_readings
from headend.talk.ordering import OrderOutcome
from headend.talk.ordering_balance import BALANCE
from headend.values import Reading
from headend.watching.alarms import Severity, close_if_open, raise_alarm

UNKNOWN_ALARM: Final = "order_unknown"
"""Somebody has to know it before anything is sent again."""
DARK_ALARM: Final = "not_reconnected"
"""A customer who may have light again does not."""
_NOT_DONE: Final = frozenset({OrderState.FAILED, OrderState.EXPIRED, OrderState.CANCELLED})
"""Cancelled by the service, that is: what a person takes back is no surprise."""


def follow_up(
    connection: Connection,
    order: Order,
    state: OrderState,
    words: str,
    at: datetime,
    outcome: OrderOutcome | None = None,
) -> None:
    """Do what follows from an order's end, in the transaction that it ends in.

    Args:
        connection: in a write transaction.
        order: as it was before.
        state: how it ended.
        words: what came of it.
        at: when.
        outcome: what the meter told; None: it was not asked.
    """
    device_id = order.device_id
    told = f"Order {order.order_id} ({order.kind.value.replace('_', ' ')}): {words}"
    if state is OrderState.UNKNOWN:
        raise_alarm(
            connection,
            UNKNOWN_ALARM,
            device_id=device_id,
            severity=Severity.WARNING,
            words=told,
            at=at,
        )
    elif order.state is OrderState.UNKNOWN and not _others_unknown(connection, order):
        close_if_open(connection, UNKNOWN_ALARM, device_id=device_id, words=told, at=at)
    if order.kind is OrderKind.TOKEN and state in ENDED:
        wake_followers(connection, order, at)
    if order.kind in RECONNECTS and state in _NOT_DONE:
        raise_alarm(
            connection,
            DARK_ALARM,
            device_id=device_id,
            severity=Severity.CRITICAL,
            words=told,
            at=at,
        )
    elif order.kind in RECONNECTS and state is OrderState.DONE:
        close_if_open(connection, DARK_ALARM, device_id=device_id, words=told, at=at)
    if order.kind is OrderKind.BALANCE and state is OrderState.DONE and outcome is not None:
        add_readings(connection, _readings(order, outcome))


def _others_unknown(connection: Connection, order: Order) -> bool:
    """Whether another order to this meter is unknown too: the alarm is then its as well."""
    other = connection.scalar(
        select(orders.c.order_id)
        .where(
            orders.c.device_id == order.device_id,
            orders.c.state == OrderState.UNKNOWN.value,
            orders.c.order_id != order.order_id,
        )
        .limit(1)
    )
    return other is not None


def _readings(order: Order, outcome: OrderOutcome) -> list[Reading]:
    at = datetime.fromisoformat(outcome.details["at"])
    return [
        Reading(order.device_id, name, at, outcome.details[name])
        for name in BALANCE
        if name in outcome.details
    ]
