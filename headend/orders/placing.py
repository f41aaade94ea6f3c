"""Giving an order: known already, said rightly, judged, room made for it, stored, queued."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from headend.faults import EntryError
from headend.orders.faults import OrderIdTakenError, OrderWaitingError
from headend.orders.moves import find_order, move, note, order_of, select_orders
from headend.orders.queueing import queue_if_due, unqueue
from headend.orders.rules import Rules, Verdict
from headend.orders.says import canonical, checked
from headend.orders.sent_to import take_devices
from headend.orders.tables import orders
from headend.orders.values import (
    CONTACT,
    DISCONNECTS,
    WAITING,
    Order,
    OrderKind,
    OrderRequest,
    OrderState,
)
from headend.station import Station
from headend.talk.device import load_device
from headend.work.port import Work
from storage import audit

_WAITING: Final = [state.value for state in WAITING]
_NEVER_SENT: Final = [OrderState.CANCELLED.value, OrderState.EXPIRED.value]
_CUTS: Final = [kind.value for kind in DISCONNECTS]
_COUNTING: Final = 0x6F72_6465_7273
"""The advisory lock of PostgreSQL under which disconnects are counted."""


def place(
    connection: Connection,
    station: Station,
    work: Work | None,
    request: OrderRequest,
    rules: Rules | None = None,
) -> Order:
    """Give an order, in the caller's write transaction; see `Orders.place`.

    Args:
        connection: in a write transaction.
        station: who orders, and when.
        work: the queue; None: the sweep finds the order.
        request: what is ordered.
        rules: those of a batch, read once.
    """
    _take_turn(connection, request)
    known = _known(connection, request)
    if known is not None:
        return known
    says, rules, verdict = _judged(connection, station, request, rules)
    superseded = _make_room(connection, station, work, request, verdict)
    values = _values(station, request, says, verdict, rules)
    if superseded is not None:
        values["supersedes"] = superseded.order_id
    order_id = _insert(connection, values)
    if order_id is None:  # somebody was faster with the same id
        known = _known(connection, request)
        assert known is not None, "the id was taken a moment ago"
        return known
    order = find_order(connection, order_id)
    note(connection, station, order_id, order.state, "ordered", waits(verdict))
    if request.kind is not OrderKind.TOKEN:  # a sale leaves no audit line, nor does its token
        record(connection, station, "order.place", order, request.why)
    return queue_if_due(connection, station, work, order)


def weigh(connection: Connection, station: Station, request: OrderRequest, rules: Rules) -> Verdict:
    """What would become of an order; see `Orders.weigh`."""
    _, _, verdict = _judged(connection, station, request, rules)
    _require_room(_waiting_contact(connection, request), request, verdict)
    return verdict


def take_turns(
    connection: Connection, device_ids: Collection[int], *, disconnects: bool = False
) -> None:
    """Take the turns of all orders that one transaction is to give or to take back.

    Called before the first of them.  Everybody takes what he needs in this order: the count of
    disconnects, the devices, the orders that wait, each kind by its numbers.  So of two who mean
    the same meters the second waits, and neither for the other.

    Args:
        connection: in a write transaction.
        device_ids: the meters.
        disconnects: whether a disconnect may be among the orders.
    """
    if disconnects:
        _take_count(connection)
    if device_ids:
        take_devices(connection, device_ids)
        connection.execute(
            select(orders.c.order_id)
            .where(
                orders.c.device_id.in_(device_ids),
                orders.c.kind.in_([kind.value for kind in CONTACT]),
                orders.c.state.in_(_WAITING),
            )
            .order_by(orders.c.order_id)
            .with_for_update()
        )


def take_back(
    connection: Connection, station: Station, work: Work | None, order: Order, why: str
) -> None:
    """Cancel an order that was not sent."""
    unqueue(connection, work, order)
    move(connection, station, order, OrderState.CANCELLED, "cancelled", why)


def record(
    connection: Connection, station: Station, action: str, order: Order, reason: str
) -> None:
    """A line of the audit trail."""
    audit.record(
        connection,
        station.now(),
        actor=station.person.name,
        action=action,
        subject=str(order.order_id),
        detail=f"{order.kind.value} device {order.device_id}",
        reason=reason,
    )


def waits(verdict: Verdict) -> str:
    """What an order waits for, for a person."""
    if verdict.two_because is not None:
        return f"Waits for a second person: {verdict.two_because}."
    return f"Waits for {verdict.waits_for}." if verdict.waits_for else ""


def _judged(
    connection: Connection, station: Station, request: OrderRequest, rules: Rules | None
) -> tuple[dict[str, Any], Rules, Verdict]:
    """What it says, the rules, and what they say of it."""
    device = load_device(connection, request.device_id)
    says = checked(request.kind, request.says, device)
    rules = rules or Rules(station, connection)
    verdict = rules.judge(
        request.kind,
        request.device_id,
        says,
        outside_window=request.outside_window or rules.policy.outside_window,
        not_before=request.not_before,
        at_once=_at_once(connection, request),
        lately=_lately(connection, station, request, rules),
    )
    return says, rules, verdict


def _take_turn(connection: Connection, request: OrderRequest) -> None:
    """Wait for those who order what this one depends on; whoever comes after sees it.

    Always in this order: the count of disconnects, the device, its order.
    """
    if request.kind in DISCONNECTS:
        _take_count(connection)
    if request.kind in CONTACT:
        take_devices(connection, [request.device_id])


def _take_count(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_COUNTING)))


def _at_once(connection: Connection, request: OrderRequest) -> int:
    """How many disconnects the batch has with this one, at least."""
    if request.kind not in DISCONNECTS or request.batch is None:
        return request.at_once
    return max(request.at_once, 1 + _count(connection, orders.c.batch == request.batch))


def _lately(connection: Connection, station: Station, request: OrderRequest, rules: Rules) -> int:
    """How many disconnects one person has ordered alone within a while, with this one."""
    if request.kind not in DISCONNECTS:
        return 0
    return 1 + _count(
        connection,
        orders.c.ordered_by == station.person.name,
        orders.c.ordered_at > rules.now - timedelta(seconds=rules.policy.trips_window_s),
        orders.c.two_because.is_(None),
    )


def _count(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Disconnects that were sent or may be."""
    found = connection.scalar(
        select(func.count()).where(
            orders.c.kind.in_(_CUTS), orders.c.state.not_in(_NEVER_SENT), *which
        )
    )
    return int(found or 0)


def _known(connection: Connection, request: OrderRequest) -> Order | None:
    """The order that has this id already.

    Raises:
        OrderIdTakenError: it is another one.
    """
    row = connection.execute(
        select(orders.c.order_id, orders.c.request_sha256).where(
            orders.c.client == request.client, orders.c.message_id == request.message_id
        )
    ).first()
    if row is None:
        return None
    if bytes(row.request_sha256) != _sha256(request):
        raise OrderIdTakenError(
            f"{request.client} has used the message id {request.message_id} for another "
            f"order, {row.order_id}."
        )
    return find_order(connection, row.order_id)


def _make_room(
    connection: Connection,
    station: Station,
    work: Work | None,
    request: OrderRequest,
    verdict: Verdict,
) -> Order | None:
    """Cancel the contrary order that still waits for this meter; gives it."""
    waiting = _waiting_contact(connection, request, lock=True)
    _require_room(waiting, request, verdict)
    if waiting is not None:
        why = f"A newer order took its place: {request.kind.value}. {request.why}"
        take_back(connection, station, work, waiting, why)
    return waiting


def _values(
    station: Station,
    request: OrderRequest,
    says: dict[str, Any],
    verdict: Verdict,
    rules: Rules,
) -> dict[str, Any]:
    if not request.why.strip():
        raise EntryError("Say why: an order has a reason.")
    policy = rules.policy
    lives_s = request.lives_s or policy.life_s(request.kind)
    queued = verdict.two_because is None
    return {
        "client": request.client,
        "message_id": request.message_id,
        "request_sha256": _sha256(request),
        "kind": request.kind.value,
        "device_id": request.device_id,
        "says": canonical(says),
        "token_ref": says.get("token"),
        "fingerprint": says.get("fingerprint"),
        "why": request.why.strip(),
        "ordered_by": station.person.name,
        "from_where": station.person.where or audit.here(),
        "ordered_at": rules.now,
        "batch": request.batch,
        "outside_window": request.outside_window or policy.outside_window,
        "not_before": request.not_before,
        "two_because": verdict.two_because,
        "state": (OrderState.QUEUED if queued else OrderState.WAITING_APPROVAL).value,
        "due_at": verdict.due_at if queued else None,
        "expires_at": max(rules.now, verdict.due_at) + timedelta(seconds=lives_s),
        "words": waits(verdict) or None,
    }


def _insert(connection: Connection, values: dict[str, Any]) -> int | None:
    """The new order's number; None when its id was taken meanwhile."""
    if connection.dialect.name == "sqlite":  # a write transaction is alone there
        made = connection.execute(insert(orders).values(values).returning(orders.c.order_id))
        return int(made.scalar_one())
    gives_way = postgresql_insert(orders).values(values)
    gives_way = gives_way.on_conflict_do_nothing(index_elements=["client", "message_id"])
    return connection.execute(gives_way.returning(orders.c.order_id)).scalar()


def _waiting_contact(
    connection: Connection, request: OrderRequest, *, lock: bool = False
) -> Order | None:
    """The order to this meter's contact that was not sent yet."""
    if request.kind not in CONTACT:
        return None
    query = select_orders().where(
        orders.c.device_id == request.device_id,
        orders.c.kind.in_([kind.value for kind in CONTACT]),
        orders.c.state.in_(_WAITING),
    )
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else order_of(row)


def _require_room(waiting: Order | None, request: OrderRequest, verdict: Verdict) -> None:
    """Refuse what waits already, and what would hold up a reconnect.

    Raises:
        OrderWaitingError: says which order is in the way.
    """
    if waiting is None:
        return
    if waiting.kind is request.kind:
        raise OrderWaitingError(
            f"Order {waiting.order_id} for the same is {waiting.state.value} already."
        )
    if request.kind in DISCONNECTS and (verdict.two_because or verdict.waits_for):
        raise OrderWaitingError(
            f"Order {waiting.order_id} ({waiting.kind.value}) waits for this meter: a disconnect "
            "that cannot be sent now does not take a reconnect's place. "
            f"It would have to wait ({verdict.two_because or verdict.waits_for}). "
            "Order it when it may be sent, or cancel that one first."
        )


def _sha256(request: OrderRequest) -> bytes:
    """What makes two requests the same order."""
    essence = {
        "kind": request.kind.value,
        "device_id": request.device_id,
        "says": request.says,
        "outside_window": request.outside_window,
        "not_before": _moment(request.not_before),
        "lives_s": request.lives_s,
        "batch": request.batch,
    }
    return hashlib.sha256(canonical(essence).encode()).digest()


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
