"""`Orders`: order, approve, cancel, look.

An order is given in one transaction with whatever business it belongs to (`place_in`), or in one of
its own (`place`).  The same message id of the same client is the same order, however often it is
given.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from headend.faults import EntryError
from headend.orders.faults import (
    OrderIdTakenError,
    OrderStateError,
    OrderWaitingError,
    SecondPersonError,
)
from headend.orders.moves import events_of, find_order, move, note, order_of, select_orders
from headend.orders.queueing import queue_if_due, unqueue
from headend.orders.rules import Rules, Verdict
from headend.orders.says import canonical, checked
from headend.orders.tables import orders
from headend.orders.values import (
    CONTACT,
    DISCONNECTS,
    WAITING,
    Order,
    OrderEvent,
    OrderKind,
    OrderRequest,
    OrderState,
)
from headend.person import Right
from headend.station import Station
from headend.talk.device import load_device
from headend.work.port import Work
from storage import audit

LIST_MAX: Final = 1_000
_WAITING: Final = [state.value for state in WAITING]


@dataclass(frozen=True, slots=True)
class Orders:
    """The desk for commands to meters."""

    station: Station
    work: Work | None = None
    """The queue; None: the service's sweep finds the order within seconds."""

    # Ordering

    def place(self, request: OrderRequest) -> Order:
        """Order something; the same id again gives the order as it stands now.

        Raises:
            OrderError: it is forbidden, or cannot be said so; nothing was queued.
            NotAllowedError: the person may not order.
        """
        with self.station.writing() as connection:
            return self.place_in(connection, request)

    def place_in(
        self, connection: Connection, request: OrderRequest, *, rules: Rules | None = None
    ) -> Order:
        """`place` in the caller's write transaction.

        Args:
            connection: in a write transaction.
            request: what is ordered.
            rules: those of a batch, read once.
        """
        self.station.require(Right.COMMAND)
        known = self._known(connection, request)
        if known is not None:
            return known
        device = load_device(connection, request.device_id)
        says = checked(request.kind, request.says, device)
        rules = rules or Rules(self.station, connection)
        outside = request.outside_window or rules.policy.outside_window
        verdict = rules.judge(
            request.kind,
            request.device_id,
            says,
            outside_window=outside,
            not_before=request.not_before,
            at_once=request.at_once,
        )
        superseded = self._make_room(connection, request, verdict)
        values = self._values(request, says, verdict, rules, outside)
        if superseded is not None:
            values["supersedes"] = superseded.order_id
        order_id = self._insert(connection, values)
        if order_id is None:  # somebody was faster with the same id
            known = self._known(connection, request)
            assert known is not None, "the id was taken a moment ago"
            return known
        order = find_order(connection, order_id)
        note(connection, self.station, order_id, order.state, "ordered", _waits(verdict))
        if (
            request.kind is not OrderKind.TOKEN
        ):  # as a sale leaves no line, so its token leaves none
            self._record(connection, "order.place", order, request.why)
        return queue_if_due(connection, self.station, self.work, order)

    def weigh(self, connection: Connection, request: OrderRequest, rules: Rules) -> Verdict:
        """What would become of an order; writes nothing.

        Raises:
            OrderError: it would be refused.
        """
        self.station.require(Right.LOOK)
        device = load_device(connection, request.device_id)
        says = checked(request.kind, request.says, device)
        verdict = rules.judge(
            request.kind,
            request.device_id,
            says,
            outside_window=request.outside_window or rules.policy.outside_window,
            not_before=request.not_before,
            at_once=request.at_once,
        )
        _require_room(_waiting_contact(connection, request), request, verdict)
        return verdict

    # The second person

    def approve(self, order_id: int) -> Order:
        """Be the second person; the rules are asked again.

        Raises:
            SecondPersonError: who ordered it approves it.
            OrderStateError: it waits for nobody.
            OrderError: the rules forbid it by now; it stays as it is.
            NotAllowedError: the person may not approve.
        """
        self.station.require(Right.APPROVE)
        with self.station.writing() as connection:
            return self._approve(connection, order_id)

    def approve_batch(self, batch: str) -> list[Order]:
        """Approve all orders of a batch that wait for it, together or not at all.

        Raises:
            OrderStateError: none of it waits for anybody.
            SecondPersonError, OrderError, NotAllowedError: see `approve`.
        """
        self.station.require(Right.APPROVE)
        with self.station.writing() as connection:
            waiting = connection.scalars(
                select(orders.c.order_id)
                .where(
                    orders.c.batch == batch,
                    orders.c.state == OrderState.WAITING_APPROVAL.value,
                )
                .order_by(orders.c.order_id)
            ).all()
            if not waiting:
                raise OrderStateError(f"No order of the batch {batch} waits for approval.")
            return [self._approve(connection, order_id) for order_id in waiting]

    def _approve(self, connection: Connection, order_id: int) -> Order:
        order = find_order(connection, order_id, lock=True)
        if order.state is not OrderState.WAITING_APPROVAL:
            raise OrderStateError(f"Order {order_id} is {order.state.value}: nobody waits for it.")
        who = self.station.person.name
        if who == order.ordered_by or not who:
            raise SecondPersonError(
                f"Order {order_id} takes a second person: {order.two_because}. "
                f"{order.ordered_by or 'Nobody'} ordered it and cannot approve it too."
            )
        verdict = Rules(self.station, connection).judge(
            order.kind, order.device_id, order.says, outside_window=order.outside_window
        )
        now = self.station.now()
        move(
            connection,
            self.station,
            order,
            OrderState.QUEUED,
            "approved",
            _waits(verdict),
            approved_by=who,
            approved_at=now,
            due_at=verdict.due_at,
        )
        self._record(connection, "order.approve", order, order.two_because or "")
        return queue_if_due(connection, self.station, self.work, find_order(connection, order_id))

    # Taking back

    def cancel(self, order_id: int, *, why: str) -> Order:
        """Take back an order that was not sent.

        Raises:
            OrderStateError: it is being sent, or has ended.
            EntryError: no reason.
            NotAllowedError: the person may not order.
        """
        self.station.require(Right.COMMAND)
        if not why.strip():
            raise EntryError("Say why the order is cancelled.")
        with self.station.writing() as connection:
            order = find_order(connection, order_id, lock=True)
            if order.state not in WAITING:
                raise OrderStateError(
                    f"Order {order_id} is {order.state.value}: it cannot be cancelled any more."
                )
            self._cancel(connection, order, why)
            self._record(connection, "order.cancel", order, why)
            return find_order(connection, order_id)

    def cancel_batch(self, batch: str, *, why: str) -> list[Order]:
        """Take back all orders of a batch that were not sent.

        Raises:
            EntryError: no reason.
            NotAllowedError: the person may not order.
        """
        self.station.require(Right.COMMAND)
        if not why.strip():
            raise EntryError("Say why the orders are cancelled.")
        with self.station.writing() as connection:
            rows = connection.execute(
                select_orders()
                .where(orders.c.batch == batch, orders.c.state.in_(_WAITING))
                .order_by(orders.c.order_id)
                .with_for_update()
            )
            cancelled = [order_of(row) for row in rows]
            for order in cancelled:
                self._cancel(connection, order, why)
                self._record(connection, "order.cancel", order, why)
            return [find_order(connection, order.order_id) for order in cancelled]

    def _cancel(self, connection: Connection, order: Order, why: str) -> None:
        unqueue(connection, self.work, order)
        move(connection, self.station, order, OrderState.CANCELLED, "cancelled", why)

    # Looking

    def find(self, order_id: int) -> Order:
        """One order.

        Raises:
            UnknownOrderError: there is none.
        """
        self.station.require(Right.LOOK)
        with self.station.reading() as connection:
            return find_order(connection, order_id)

    def history(self, order_id: int) -> list[OrderEvent]:
        """What happened to it, step by step."""
        self.station.require(Right.LOOK)
        with self.station.reading() as connection:
            return events_of(connection, order_id)

    def list(
        self,
        *,
        device_id: int | None = None,
        states: frozenset[OrderState] | None = None,
        kinds: frozenset[OrderKind] | None = None,
        batch: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Order]:
        """Orders, the latest first.

        Raises:
            EntryError: the limit is not 1-`LIST_MAX`.
        """
        self.station.require(Right.LOOK)
        if not 1 <= limit <= LIST_MAX:
            raise EntryError(f"A list has 1-{LIST_MAX} lines.")
        query = select_orders().order_by(orders.c.order_id.desc()).limit(limit)
        if device_id is not None:
            query = query.where(orders.c.device_id == device_id)
        if states is not None:
            query = query.where(orders.c.state.in_([state.value for state in states]))
        if kinds is not None:
            query = query.where(orders.c.kind.in_([kind.value for kind in kinds]))
        if batch is not None:
            query = query.where(orders.c.batch == batch)
        if before is not None:
            query = query.where(orders.c.order_id < before)
        with self.station.reading() as connection:
            return [order_of(row) for row in connection.execute(query)]

    def counts(self, batch: str) -> dict[OrderState, int]:
        """How many orders of a batch are in each state."""
        self.station.require(Right.LOOK)
        with self.station.reading() as connection:
            rows = connection.execute(
                select(orders.c.state, func.count())
                .where(orders.c.batch == batch)
                .group_by(orders.c.state)
            )
            return {OrderState(state): count for state, count in rows}

    def look_again(self, order_id: int) -> Order:
        """Have the meter of an order of unknown outcome read again, now.

        Raises:
            OrderStateError: its outcome is known, or it was not sent.
            NotAllowedError: the person may not order.
        """
        self.station.require(Right.COMMAND)
        with self.station.writing() as connection:
            order = find_order(connection, order_id, lock=True)
            if order.state is not OrderState.UNKNOWN:
                raise OrderStateError(f"Order {order_id} is {order.state.value}, not unknown.")
            move(
                connection,
                self.station,
                order,
                OrderState.UNKNOWN,
                "look asked for",
                due_at=self.station.now(),
                job_key=None,
            )
            return queue_if_due(
                connection, self.station, self.work, find_order(connection, order_id)
            )

    # What ordering is made of

    def _known(self, connection: Connection, request: OrderRequest) -> Order | None:
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
        self, connection: Connection, request: OrderRequest, verdict: Verdict
    ) -> Order | None:
        """Cancel the contrary order that still waits for this meter; gives it."""
        waiting = _waiting_contact(connection, request, lock=True)
        _require_room(waiting, request, verdict)
        if waiting is not None:
            why = f"A newer order took its place: {request.kind.value}. {request.why}"
            self._cancel(connection, waiting, why)
        return waiting

    def _values(
        self,
        request: OrderRequest,
        says: dict[str, Any],
        verdict: Verdict,
        rules: Rules,
        outside: str,
    ) -> dict[str, Any]:
        if not request.why.strip():
            raise EntryError("Say why: an order has a reason.")
        policy = rules.policy
        is_disconnect = request.kind in DISCONNECTS
        lives_s = request.lives_s or (
            policy.disconnect_life_s if is_disconnect else policy.order_life_s
        )
        queued = verdict.two_because is None
        begins = max(rules.now, request.not_before or rules.now)
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
            "ordered_by": self.station.person.name,
            "from_where": self.station.person.where or audit.here(),
            "ordered_at": rules.now,
            "batch": request.batch,
            "outside_window": outside,
            "two_because": verdict.two_because,
            "state": (OrderState.QUEUED if queued else OrderState.WAITING_APPROVAL).value,
            "due_at": verdict.due_at if queued else None,
            "expires_at": begins + timedelta(seconds=lives_s),
            "words": _waits(verdict) or None,
        }

    def _insert(self, connection: Connection, values: dict[str, Any]) -> int | None:
        """The new order's number; None when its id was taken meanwhile."""
        if connection.dialect.name == "sqlite":  # a write transaction is alone there
            made = connection.execute(insert(orders).values(values).returning(orders.c.order_id))
            return int(made.scalar_one())
        gives_way = postgresql_insert(orders).values(values)
        gives_way = gives_way.on_conflict_do_nothing(index_elements=["client", "message_id"])
        return connection.execute(gives_way.returning(orders.c.order_id)).scalar()

    def _record(self, connection: Connection, action: str, order: Order, reason: str) -> None:
        audit.record(
            connection,
            self.station.now(),
            actor=self.station.person.name,
            action=action,
            subject=str(order.order_id),
            detail=f"{order.kind.value} device {order.device_id}",
            reason=reason,
        )


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
    if request.kind in DISCONNECTS and verdict.two_because is not None:
        raise OrderWaitingError(
            f"Order {waiting.order_id} ({waiting.kind.value}) waits for this meter: a disconnect "
            "that needs a second person does not hold up a reconnect. Cancel that one first."
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


def _waits(verdict: Verdict) -> str:
    if verdict.two_because is not None:
        return f"Waits for a second person: {verdict.two_because}."
    return f"Waits for {verdict.waits_for}." if verdict.waits_for else ""
