"""Each change of an order's state, with its line of history, in the caller's transaction.

A change names the state that it expects; what somebody else has changed meanwhile is left alone.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from headend.orders.faults import UnknownOrderError
from headend.orders.tables import order_events, orders
from headend.orders.values import ENDED, Order, OrderEvent, OrderKind, OrderState
from headend.station import Station

_SHOWN: Final = tuple(orders.c[name] for name in Order.__dataclass_fields__)


def find_order(connection: Connection, order_id: int, *, lock: bool = False) -> Order:
    """One order.

    Args:
        connection: for ``lock``, in a write transaction.
        order_id: its number.
        lock: nobody else changes it until the transaction ends.

    Raises:
        UnknownOrderError: there is none.
    """
    query = select(*_SHOWN).where(orders.c.order_id == order_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise UnknownOrderError(f"There is no order {order_id}.")
    return order_of(row)


def select_orders() -> Any:
    """A query for rows that `order_of` takes."""
    return select(*_SHOWN)


def order_of(row: Row[Any]) -> Order:
    """A row as a value."""
    values = dict(zip(Order.__dataclass_fields__, row, strict=True))
    values["kind"] = OrderKind(values["kind"])
    values["state"] = OrderState(values["state"])
    values["says"] = json.loads(values["says"])
    for name in ("evidence", "result"):
        if values[name] is not None:
            values[name] = json.loads(values[name])
    return Order(**values)


def move(
    connection: Connection,
    station: Station,
    order: Order,
    to: OrderState,
    event: str,
    words: str = "",
    **changes: Any,
) -> bool:
    """Bring an order into a state, if it is still as it was read; tells whether it was.

    Args:
        connection: in a write transaction.
        station: who and when.
        order: as it was read.
        to: the state; it may be the same.
        event: a word for the history.
        words: for a person.
        changes: of other columns.
    """
    now = station.now()
    if to in ENDED:
        changes = {"ended_at": now, "due_at": None, **changes}
    if words:
        changes["words"] = words
    expected = [orders.c.order_id == order.order_id, orders.c.state == order.state.value]
    if order.sending_at is not None:
        expected.append(orders.c.tries == order.tries)
    moved = connection.execute(update(orders).where(*expected).values(state=to.value, **changes))
    if moved.rowcount:
        note(connection, station, order.order_id, to, event, words)
    return bool(moved.rowcount)


def note(
    connection: Connection,
    station: Station,
    order_id: int,
    state: OrderState,
    event: str,
    words: str = "",
    *,
    at: datetime | None = None,
) -> None:
    """Add a line to an order's history."""
    last = connection.scalar(
        select(func.max(order_events.c.position)).where(order_events.c.order_id == order_id)
    )
    connection.execute(
        insert(order_events).values(
            order_id=order_id,
            position=(last or 0) + 1,
            at=at or station.now(),
            state=state.value,
            event=event,
            who=station.person.name,
            words=words,
        )
    )


def events_of(connection: Connection, order_id: int) -> list[OrderEvent]:
    """An order's history, in its order."""
    rows = connection.execute(
        select(
            order_events.c.at,
            order_events.c.state,
            order_events.c.event,
            order_events.c.who,
            order_events.c.words,
        )
        .where(order_events.c.order_id == order_id)
        .order_by(order_events.c.position)
    )
    return [OrderEvent(row.at, OrderState(row.state), *row[2:]) for row in rows]
