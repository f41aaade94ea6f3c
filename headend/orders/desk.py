"""`Orders`: order, approve, cancel, look.

An order is given in one transaction with whatever business it belongs to (`place_in`), or in one of
its own (`place`).  The same message id of the same client is the same order, however often it is
given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from headend.faults import EntryError
from headend.orders.faults import (
    OrderStateError,
    SecondPersonError,
)
from headend.orders.moves import events_of, find_order, move, order_of, select_orders
from headend.orders.placing import place, record, take_back, waits, weigh
from headend.orders.queueing import queue_if_due
from headend.orders.rules import Rules, Verdict
from headend.orders.tables import orders
from headend.orders.values import (
    WAITING,
    Order,
    OrderEvent,
    OrderKind,
    OrderRequest,
    OrderState,
)
from headend.person import Right
from headend.station import Station
from headend.work.port import Work

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
        return place(connection, self.station, self.work, request, rules)

    def weigh(self, connection: Connection, request: OrderRequest, rules: Rules) -> Verdict:
        """What would become of an order; writes nothing.

        Raises:
            OrderError: it would be refused.
        """
        self.station.require(Right.LOOK)
        return weigh(connection, self.station, request, rules)

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
            order.kind,
            order.device_id,
            order.says,
            outside_window=order.outside_window,
            not_before=order.not_before,
        )
        now = self.station.now()
        move(
            connection,
            self.station,
            order,
            OrderState.QUEUED,
            "approved",
            waits(verdict),
            approved_by=who,
            approved_at=now,
            due_at=verdict.due_at,
        )
        record(connection, self.station, "order.approve", order, order.two_because or "")
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
            take_back(connection, self.station, self.work, order, why)
            record(connection, self.station, "order.cancel", order, why)
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
                take_back(connection, self.station, self.work, order, why)
                record(connection, self.station, "order.cancel", order, why)
            return [find_order(connection, order.order_id) for order in cancelled]

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
        token_refs: Sequence[str] | None = None,
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
        if token_refs is not None:
            query = query.where(orders.c.token_ref.in_(token_refs))
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
