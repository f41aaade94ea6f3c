"""A cut: a disconnect of an account's supplies, from the asking until they have light again.

==============  ==========================================================================
`ordered`       the head-end has the orders; not all of them have ended
`dark`          at least one meter shows that it is off, and the others have ended
`reconnecting`  supply is to come back; the head-end has the orders, or is asked again
`lit`           each meter that was, or may have been, off shows that it is on again
`dropped`       taken back, forbidden or expired before anything was sent
`failed`        sent, and the meters show that nothing came of it
==============  ==========================================================================

An account has one open cut at most, and each of its supplies is switched off once in it; both are
rules of the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, exists, insert, select, update

from billing.prepaid.tables import supply_cut_moves, supply_cut_orders, supply_cuts
from headend.orders.tables import orders
from headend.orders.values import ENDED as ORDER_ENDED
from headend.orders.values import Order, OrderState


class CutState(StrEnum):
    """Where a cut stands."""

    ORDERED = "ordered"
    DARK = "dark"
    RECONNECTING = "reconnecting"
    LIT = "lit"
    DROPPED = "dropped"
    FAILED = "failed"


ENDED: Final = frozenset({CutState.LIT, CutState.DROPPED, CutState.FAILED})


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut as it stands."""

    cut_id: int
    account_id: int
    asker: str
    """The part of the office that asked: ``prepaid``, ``collecting``, ..."""
    once: str
    why: str
    state: CutState
    asked_at: datetime
    words: str
    tries: int
    """Reconnects that were asked."""
    look_at: datetime | None
    """When the office asks for the reconnect again; None: it waits for the head-end, or for a
    person."""
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class CutOrder:
    """An order of a cut, as the head-end has it."""

    supply_id: int
    position: int
    device_id: int
    does: str
    """``off`` or ``on``."""
    order_id: int
    outcome: str | None
    """How it ended, once the office has taken note of it."""
    state: OrderState
    sending_at: datetime | None
    ended_at: datetime | None
    words: str
    is_passed_on: bool
    """Whether the supply is the affair of another account by now, which has the service point."""


@dataclass(frozen=True, slots=True)
class CutLine:
    """One line of a cut's history."""

    at: datetime
    state: CutState
    words: str


def open_cut(connection: Connection, account_id: int) -> Cut | None:
    """The cut of an account that has not ended."""
    return _first(
        connection,
        _cuts().where(supply_cuts.c.account_id == account_id, supply_cuts.c.ended_at.is_(None)),
    )


def cut_of(connection: Connection, cut_id: int) -> Cut:
    """A cut by its number."""
    found = _first(connection, _cuts().where(supply_cuts.c.cut_id == cut_id))
    assert found is not None, "cuts are never deleted"
    return found


def cut_once(connection: Connection, once: str) -> Cut | None:
    """The cut that was asked under this key."""
    return _first(connection, _cuts().where(supply_cuts.c.once == once))


def cuts_of(connection: Connection, account_id: int) -> list[Cut]:
    """All cuts of an account, the latest first."""
    rows = connection.execute(
        _cuts().where(supply_cuts.c.account_id == account_id).order_by(supply_cuts.c.cut_id.desc())
    )
    return [_cut(row) for row in rows]


def begin_cut(
    connection: Connection,
    account_id: int,
    *,
    asker: str,
    once: str,
    why: str,
    at: datetime,
    trips: Sequence[tuple[int, Order]],
) -> Cut:
    """Keep a new cut and the orders that switch off, by supply."""
    words = f"Asked: {why}"
    cut_id = connection.execute(
        insert(supply_cuts)
        .values(
            account_id=account_id,
            asker=asker,
            once=once,
            why=why,
            state=CutState.ORDERED.value,
            asked_at=at,
            words=words,
            tries=0,
        )
        .returning(supply_cuts.c.cut_id)
    ).scalar_one()
    _note(connection, cut_id, at, CutState.ORDERED, words)
    for supply_id, order in trips:
        add_order(connection, cut_id, supply_id, 1, order)
    return cut_of(connection, cut_id)


def add_order(
    connection: Connection, cut_id: int, supply_id: int, position: int, order: Order
) -> None:
    """Keep an order of a cut: the first of a supply switches off, all others on."""
    connection.execute(
        insert(supply_cut_orders).values(
            cut_id=cut_id,
            supply_id=supply_id,
            position=position,
            device_id=order.device_id,
            does="off" if position == 1 else "on",
            order_id=order.order_id,
        )
    )


def move_cut(
    connection: Connection,
    cut: Cut,
    to: CutState,
    words: str,
    at: datetime,
    *,
    look_at: datetime | None = None,
    tries: int | None = None,
) -> Cut:
    """Bring a cut into a state; whoever calls has locked its account."""
    connection.execute(
        update(supply_cuts)
        .where(supply_cuts.c.cut_id == cut.cut_id)
        .values(
            state=to.value,
            words=words,
            look_at=look_at,
            tries=cut.tries if tries is None else tries,
            ended_at=at if to in ENDED else None,
        )
    )
    _note(connection, cut.cut_id, at, to, words)
    return cut_of(connection, cut.cut_id)


def take_note(connection: Connection, cut_id: int) -> list[CutOrder]:
    """The orders of a cut by supply and position, with the outcome of each that has ended kept.

    Supplies that were passed on are left out: another cut goes on with them.
    """
    found = orders_of(connection, cut_id)
    for each in found:
        if each.outcome is None and each.state in ORDER_ENDED:
            connection.execute(
                update(supply_cut_orders)
                .where(
                    supply_cut_orders.c.cut_id == cut_id,
                    supply_cut_orders.c.supply_id == each.supply_id,
                    supply_cut_orders.c.position == each.position,
                )
                .values(outcome=each.state.value)
            )
    return [each for each in found if not each.is_passed_on]


def orders_of(connection: Connection, cut_id: int) -> list[CutOrder]:
    """The orders of a cut by supply and position."""
    rows = connection.execute(
        select(
            supply_cut_orders.c.supply_id,
            supply_cut_orders.c.position,
            supply_cut_orders.c.device_id,
            supply_cut_orders.c.does,
            supply_cut_orders.c.order_id,
            supply_cut_orders.c.outcome,
            orders.c.state,
            orders.c.sending_at,
            orders.c.ended_at,
            orders.c.words,
            is_passed_on().label("is_passed_on"),
        )
        .join(orders, orders.c.order_id == supply_cut_orders.c.order_id)
        .where(supply_cut_orders.c.cut_id == cut_id)
        .order_by(supply_cut_orders.c.supply_id, supply_cut_orders.c.position)
    )
    return [
        CutOrder(
            *row[:6],
            OrderState(row.state),
            row.sending_at,
            row.ended_at,
            row.words or "",
            bool(row.is_passed_on),
        )
        for row in rows
    ]


def is_passed_on() -> ColumnElement[bool]:
    """An SQL condition on `supply_cut_orders`: a later cut has begun with the supply's trip."""
    off, later = supply_cut_orders.alias("own_off"), supply_cut_orders.alias("later_off")
    return exists().where(
        off.c.cut_id == supply_cut_orders.c.cut_id,
        off.c.supply_id == supply_cut_orders.c.supply_id,
        off.c.position == 1,
        later.c.order_id == off.c.order_id,
        later.c.position == 1,
        later.c.cut_id > off.c.cut_id,
    )


def lines_of(connection: Connection, cut_id: int) -> list[CutLine]:
    """A cut's history."""
    rows = connection.execute(
        select(supply_cut_moves)
        .where(supply_cut_moves.c.cut_id == cut_id)
        .order_by(supply_cut_moves.c.move_id)
    )
    return [CutLine(row.at, CutState(row.state), row.words) for row in rows]


def _note(connection: Connection, cut_id: int, at: datetime, state: CutState, words: str) -> None:
    connection.execute(
        insert(supply_cut_moves).values(cut_id=cut_id, at=at, state=state.value, words=words)
    )


def _cuts() -> Select[Any]:
    return select(*(supply_cuts.c[name] for name in Cut.__dataclass_fields__))


def _first(connection: Connection, query: Select[Any]) -> Cut | None:
    row = connection.execute(query).first()
    return None if row is None else _cut(row)


def _cut(row: Any) -> Cut:
    values = dict(row._mapping)
    return Cut(**{**values, "state": CutState(row.state)})
