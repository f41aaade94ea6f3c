"""Orders as tables, as objects, and as an exit status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from commands.output import EXIT_OUTCOME_UNKNOWN, EXIT_REFUSED, console

if TYPE_CHECKING:
    from headend.orders.values import Order, OrderEvent
    from headend.station import Station

_STYLES: Final = {
    "done": "green",
    "failed": "red",
    "unknown": "yellow",
    "cancelled": "dim",
    "expired": "red",
    "waiting_approval": "magenta",
}
_STATUS: Final = {
    "failed": EXIT_REFUSED,
    "cancelled": EXIT_REFUSED,
    "expired": EXIT_REFUSED,
    "unknown": EXIT_OUTCOME_UNKNOWN,
}


def order_object(order: Order, number: str) -> dict[str, Any]:
    """An order as JSON answers give it."""
    known = {
        "order": order.order_id,
        "kind": order.kind.value,
        "meter": number,
        "state": order.state.value,
        "says": dict(order.says),
        "why": order.why,
        "ordered_by": order.ordered_by,
        "from_where": order.from_where,
        "ordered_at": order.ordered_at.isoformat(),
        "batch": order.batch,
        "second_person_because": order.two_because,
        "approved_by": order.approved_by,
        "due_at": _iso(order.due_at),
        "expires_at": order.expires_at.isoformat(),
        "sent_at": _iso(order.sending_at),
        "ended_at": _iso(order.ended_at),
        "words": order.words,
        "result": None if order.result is None else dict(order.result),
        "supersedes": order.supersedes,
    }
    return {name: value for name, value in known.items() if value is not None}


def event_object(event: OrderEvent) -> dict[str, Any]:
    """A line of its history."""
    return {
        "at": event.at.isoformat(),
        "state": event.state.value,
        "event": event.event,
        "who": event.who,
        "words": event.words,
    }


def print_orders(station: Station, found: Sequence[Order], numbers: dict[int, str]) -> None:
    """A table for people."""
    if not found:
        console.print("No orders.")
        return
    table = Table("no.", "ordered", "kind", "meter", "state", "what came of it")
    for each in found:
        table.add_row(
            str(each.order_id),
            local(station, each.ordered_at),
            each.kind.value.replace("_", " "),
            numbers.get(each.device_id, "?"),
            state_text(each),
            Text(each.words or each.two_because or ""),
        )
    console.print(table)


def print_order(station: Station, order: Order, number: str, events: Iterable[OrderEvent]) -> None:
    """One order with its history."""
    console.print(
        Text(f"Order {order.order_id}: {order.kind.value.replace('_', ' ')} of meter {number}  ")
        + state_text(order)
    )
    if order.words:
        console.print(f"  {order.words}")
    for name, value in (order.result or {}).items():
        console.print(Text(f"  {name.replace('_', ' ')}: ", "dim") + Text(_value(value), "default"))
    for event in events:
        who = f"  {event.who}" if event.who else ""
        console.print(
            Text(f"  {local(station, event.at)}  {event.event}{who}  ", "dim")
            + Text(event.words, "default")
        )


def state_text(order: Order) -> Text:
    """The state, coloured; what a customer's button has to do is said with it."""
    text = order.state.value.replace("_", " ")
    if (order.result or {}).get("awaits_button"):
        text += ", awaits the button"
    return Text(text, _STYLES.get(order.state.value, ""))


def exit_status(orders: Iterable[Order]) -> int:
    """Of several orders the worst: not done before unknown."""
    found = {_STATUS.get(each.state.value, 0) for each in orders}
    for status in (EXIT_REFUSED, EXIT_OUTCOME_UNKNOWN):
        if status in found:
            return status
    return 0


def local(station: Station, moment: datetime) -> str:
    """A moment in the utility's time."""
    return f"{moment.astimezone(station.zone):%Y-%m-%d %H:%M:%S}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _value(value: Any) -> str:
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )
