"""A service point that changes hands while it is off, or about to be (specs/utility.md 21, 22).

What was not sent yet is taken back.  What is off, or may be, is the affair of whoever has the
service point by now: a cut of that account goes on where the old one was, and brings the light.  So
nothing of the old account meets a disconnect of the new one later, and what else the old account
has stays off.  An account that is cut itself takes over when that cut has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from billing.accounts.tables import supplies
from billing.ledger.posting import lock
from billing.office import Office
from billing.prepaid.cuts import (
    Cut,
    CutOrder,
    CutState,
    begin_cut,
    is_passed_on,
    move_cut,
    open_cut,
    orders_of,
    take_note,
)
from billing.prepaid.disconnecting import hold_meters, reconnect_now, take_back_what_waits
from billing.prepaid.following import for_each, settle
from billing.prepaid.lights import Light, lights
from billing.prepaid.tables import supply_cut_orders, supply_cuts
from headend.orders.moves import find_order
from headend.orders.tables import orders
from headend.orders.values import WAITING, OrderState

ASKER: Final = "handing_over"
"""Of a cut that begins with what was off before."""
_LEFT: Final = "The account has left the service point."
_WAS_OFF: Final = "It was switched off for the account before."
_WAITING: Final = [each.value for each in WAITING]
_NOTHING: Final = [
    each.value for each in (OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED)
]
_NOT_LIT: Final = frozenset({Light.OFF, Light.UNSETTLED, Light.COMING, Light.STUCK})
_OVER: Final = frozenset({Light.UNTOUCHED, Light.ON})


@dataclass(frozen=True, slots=True)
class _Left:
    """A supply of a cut that has ended, and who has its service point now."""

    account_id: int
    """Whose cut it is."""
    supply_id: int
    is_waiting: bool
    """Whether the order to switch it off was not sent yet."""
    next_account_id: int | None
    """None: nobody has it."""
    next_supply_id: int | None


def let_go_who_has_left(office: Office) -> int:
    """Leave service points in peace that a cut account has left; gives of how many accounts.

    An order to switch off that was not sent is taken back: it would meet whoever moves in.  What is
    off is switched on when somebody else has the point.
    """
    at = office.now()
    with office.reading() as connection:
        left = _left(connection, at)
    found: dict[int, set[int]] = {}
    for each in left:
        others = found.setdefault(each.account_id, {each.account_id})
        if each.next_account_id is not None:
            others.add(each.next_account_id)

    def act(connection: Connection, account_id: int) -> None:
        lock(connection, found[account_id])
        cut = open_cut(connection, account_id)
        if cut is not None:
            _let_go(connection, office, cut, found[account_id])

    return for_each(office, sorted(found), act)


def _let_go(connection: Connection, office: Office, cut: Cut, held: set[int]) -> None:
    """Pass on what the account of a cut has left; the accounts of ``held`` are locked."""
    at = office.now()
    hold_meters(connection, held)
    left = [
        each
        for each in _left(connection, at, cut.cut_id)
        if each.next_account_id is None or each.next_account_id in held
    ]
    if not left:
        return  # somebody else has seen to it
    trips = {
        each.supply_id: each for each in take_note(connection, cut.cut_id) if each.position == 1
    }
    waiting = [trips[each.supply_id] for each in left if each.is_waiting]
    take_back_what_waits(connection, office, waiting, _LEFT)
    dark: dict[int, list[tuple[int, CutOrder]]] = {}
    for each in left:
        if (
            not each.is_waiting
            and each.next_account_id is not None
            and each.next_supply_id is not None
        ):
            dark.setdefault(each.next_account_id, []).append(
                (each.next_supply_id, trips[each.supply_id])
            )
    for account_id, taken in sorted(dark.items()):
        _take_over(connection, office, cut, account_id, taken)
    _end_if_over(connection, office, cut)


def _take_over(
    connection: Connection,
    office: Office,
    old: Cut,
    account_id: int,
    taken: Sequence[tuple[int, CutOrder]],
) -> None:
    """Begin the cut of whoever has moved in where the old one was, and ask for the light."""
    new = begin_cut(
        connection,
        account_id,
        asker=ASKER,
        once=f"handed over {old.cut_id} {taken[0][0]}",
        why=_WAS_OFF,
        at=office.now(),
        trips=[(supply_id, find_order(connection, trip.order_id)) for supply_id, trip in taken],
    )
    reconnect_now(connection, office, new, _WAS_OFF)


def _end_if_over(connection: Connection, office: Office, cut: Cut) -> None:
    """End a cut of which nothing is left that is off or is to come."""
    at = office.now()
    found = take_note(connection, cut.cut_id)
    if not _OVER.issuperset(lights(found).values()):
        move_cut(connection, cut, cut.state, _LEFT, at, look_at=cut.look_at)
        return
    if found and cut.state is CutState.RECONNECTING:
        settle(connection, office, cut)
        return
    if cut.state is CutState.ORDERED and any(each.state is OrderState.FAILED for each in found):
        settle(connection, office, cut)
        return
    if cut.state is CutState.DARK:
        cut = move_cut(connection, cut, CutState.RECONNECTING, _LEFT, at)
    move_cut(connection, cut, CutState.DROPPED, _LEFT, at)


def _left(connection: Connection, at: datetime, cut_id: int | None = None) -> list[_Left]:
    """What there is to be done: orders that are to be taken back, supplies to be passed on.

    Args:
        connection: in any transaction.
        at: the moment.
        cut_id: of this cut; None: of all.
    """
    query = _left_at(at)
    if cut_id is not None:
        query = query.where(supply_cuts.c.cut_id == cut_id)
    rows = connection.execute(query).all()
    lit = {
        each: lights(orders_of(connection, each)) for each in sorted({row.cut_id for row in rows})
    }
    return [
        _Left(
            row.account_id,
            row.supply_id,
            row.trip in _WAITING,
            row.next_account_id,
            row.next_supply_id,
        )
        for row in rows
        if row.trip in _WAITING or lit[row.cut_id][row.supply_id] in _NOT_LIT
    ]


def _left_at(at: datetime) -> Select[Any]:
    """Supplies of cuts that have ended, where there is something to be done about them."""
    left, other, theirs = supplies.alias("left_one"), supplies.alias("other"), supply_cuts.alias()
    goes_to_another = other.c.account_id != supply_cuts.c.account_id
    was_not_sent = orders.c.state.in_(_WAITING) & (other.c.account_id.is_(None) | goes_to_another)
    is_to_be_lit = goes_to_another & theirs.c.cut_id.is_(None)
    return (
        select(
            supply_cuts.c.account_id,
            supply_cuts.c.cut_id,
            left.c.supply_id,
            orders.c.state.label("trip"),
            other.c.account_id.label("next_account_id"),
            other.c.supply_id.label("next_supply_id"),
        )
        .select_from(supply_cuts)
        .join(supply_cut_orders, supply_cut_orders.c.cut_id == supply_cuts.c.cut_id)
        .join(orders, orders.c.order_id == supply_cut_orders.c.order_id)
        .join(left, left.c.supply_id == supply_cut_orders.c.supply_id)
        .outerjoin(
            other,
            (other.c.point_id == left.c.point_id)
            & (other.c.since <= at)
            & (other.c.until.is_(None) | (other.c.until > at)),
        )
        .outerjoin(
            theirs,
            (theirs.c.account_id == other.c.account_id) & theirs.c.ended_at.is_(None),
        )
        .where(
            supply_cuts.c.ended_at.is_(None),
            supply_cut_orders.c.position == 1,
            left.c.until <= at,
            orders.c.state.not_in(_NOTHING),
            ~is_passed_on(),
            was_not_sent | is_to_be_lit,
        )
        .order_by(supply_cuts.c.account_id, left.c.supply_id)
    )
