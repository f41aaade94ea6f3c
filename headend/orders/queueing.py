"""From an order that is due to a job of its line, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, select, update

from headend.orders.moves import find_order
from headend.orders.tables import orders
from headend.orders.values import Order, OrderKind, OrderState
from headend.registry.tables import end_devices
from headend.station import Station
from headend.work.keys import new_key
from headend.work.port import Job, Urgency, Work

JOB_KIND: Final = "order"
ORDER_ID: Final = "order_id"
_MAY_BE_DUE: Final = frozenset({OrderState.QUEUED, OrderState.SENDING, OrderState.UNKNOWN})


def queue_if_due(
    connection: Connection, station: Station, work: Work | None, order: Order
) -> Order:
    """Queue the job of an order whose time has come; gives the order as it then is."""
    due = order.due_at is not None and order.due_at <= station.now()
    if work is None or not due or order.state not in _MAY_BE_DUE:
        return order
    line = connection.scalar(
        select(end_devices.c.link_id).where(end_devices.c.device_id == order.device_id)
    )
    if line is None:  # taken off its line meanwhile; it expires unless it comes back
        return order
    unqueue(connection, work, order)
    key = new_key(station.now())
    urgency = Urgency.ON_DEMAND if order.kind is OrderKind.BALANCE else Urgency.ORDER
    work.enqueue(connection, Job(key, JOB_KIND, line, urgency, {ORDER_ID: order.order_id}))
    connection.execute(
        update(orders)
        .where(orders.c.order_id == order.order_id)
        .values(job_key=key, due_at=station.now())
    )
    return find_order(connection, order.order_id)


def leave_to_the_sweep(connection: Connection, jobs: Collection[Job]) -> None:
    """Give up jobs of a queue that ends with its process: the service queues their orders anew."""
    connection.execute(
        update(orders)
        .where(
            orders.c.job_key.in_([job.key for job in jobs]),
            orders.c.state.in_([state.value for state in _MAY_BE_DUE]),
        )
        .values(job_key=None)
    )


def unqueue(connection: Connection, work: Work | None, order: Order) -> None:
    """Take the order's job out of the queue, if it has one that has not begun."""
    if work is not None and order.job_key is not None:
        work.cancel(connection, order.job_key)
