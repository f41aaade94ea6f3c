"""What a person has seen at the meter, where the meter cannot tell it by wire.

Nothing is sent.  It takes the right of a second person, since what counts as not delivered can be
reversed: money would go back while the customer keeps the units.
"""

from __future__ import annotations

from headend.faults import EntryError
from headend.orders.aftermath import follow_up
from headend.orders.faults import OrderStateError, SecondPersonError
from headend.orders.moves import find_order, move
from headend.orders.placing import record
from headend.orders.values import Order, OrderState
from headend.person import Right
from headend.station import Station

_DECIDED = (OrderState.DONE, OrderState.FAILED)


def decide(station: Station, order_id: int, state: OrderState, *, why: str) -> Order:
    """End an order of unknown outcome by what a person has seen.

    Args:
        station: who says so.
        order_id: which.
        state: done or failed.
        why: what was seen, and by whom.

    Raises:
        OrderStateError: its outcome is known, or it was not sent.
        EntryError: another state, or no reason.
        SecondPersonError: who says so ordered it, or has no name.
        NotAllowedError: the person may not approve.
    """
    station.require(Right.APPROVE)
    if state not in _DECIDED:
        raise EntryError("A person settles an order as done or as failed.")
    if not why.strip():
        raise EntryError("Say what was seen at the meter, and by whom.")
    with station.writing() as connection:
        order = find_order(connection, order_id, lock=True)
        if order.state is not OrderState.UNKNOWN:
            raise OrderStateError(f"Order {order_id} is {order.state.value}, not unknown.")
        if station.person.name in ("", order.ordered_by):
            raise SecondPersonError(
                f"{order.ordered_by or 'Nobody'} ordered {order_id}: somebody else says what "
                "came of it."
            )
        words = f"{station.person.name or 'Somebody'} says so: {why.strip()}"
        move(connection, station, order, state, "decided", words, tries=order.tries + 1)
        follow_up(connection, order, state, words, station.now())
        record(connection, station, f"order.{state.value}", order, why.strip())
        return find_order(connection, order_id)
