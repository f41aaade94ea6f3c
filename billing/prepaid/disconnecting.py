"""Ask for a disconnect, ask for the light again: in the caller's transaction.

What is asked here is asked of the head-end, whose rules come before everything: keep-power orders,
emergency stops, windows, two people for many at once.  Nothing is sent here; what becomes of the
orders is followed by `following`.

Order of locks: the account, then the head-end's (its count of disconnects, the device, its order).
Whoever asks for several accounts in one transaction locks all of them beforehand
(`ledger.posting.lock`), and then all of their meters (`hold_meters`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from billing.accounts.tables import supplies
from billing.ledger.posting import lock
from billing.office import Office
from billing.prepaid.cuts import (
    Cut,
    CutOrder,
    CutState,
    add_order,
    begin_cut,
    cut_of,
    cut_once,
    move_cut,
    open_cut,
    orders_of,
    take_note,
)
from billing.prepaid.faults import NoHeadEndError
from billing.prepaid.lights import Light, lights
from billing.prepaid.tables import supply_cut_orders, supply_cuts
from headend.faults import HeadEndError
from headend.orders.aftermath import DARK_ALARM
from headend.orders.faults import OrderWaitingError
from headend.orders.moves import find_order, order_of, select_orders
from headend.orders.placing import place, record, take_back, take_turns
from headend.orders.policy import load_policy
from headend.orders.tables import orders
from headend.orders.values import WAITING, Order, OrderKind, OrderRequest, OrderState
from headend.person import SERVICE
from headend.registry.tables import end_devices, installations
from headend.station import Station
from headend.watching.alarms import Severity, raise_alarm
from storage.engine import attempt

CLIENT: Final = "billing"
"""Who orders, as the head-end has it; the person is the service."""
ASKER: Final = "prepaid"
"""The prepay loop, among the parts of the office that ask."""
NO_METER: Final = "no_meter"
_NO_METER_WORDS: Final = "There is no meter at the service point: nothing can be switched."
_AGAIN: Final = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
"""When a reconnect that came to nothing is asked again: its outcome is known, nothing is blind."""
_REFUSED_AGAIN: Final = timedelta(minutes=30)
"""The same when the head-end took no order at all: the meter is suspended, or has no line."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a supply was not ordered off or on."""

    supply_id: int
    code: str
    """Of the head-end's fault; ``no_meter``: there is none at the point."""
    words: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking."""

    cut: Cut | None
    """As it stands now; None: nothing is switched, see the refusals."""
    orders: tuple[int, ...] = ()
    """Numbers of the head-end's orders that were placed now."""
    refused: tuple[Refusal, ...] = ()

    @property
    def words(self) -> str:
        """For a person."""
        if self.refused:
            return " ".join(sorted({each.words for each in self.refused}))
        return "" if self.cut is None else self.cut.words


@dataclass(frozen=True, slots=True)
class _Meter:
    """What hangs on a supply now."""

    supply_id: int
    device_id: int
    kind: str


def hold_meters(
    connection: Connection, account_ids: Collection[int], *, disconnects: bool = False
) -> None:
    """Wait for whoever orders something of these accounts' meters, before the first is ordered.

    Args:
        connection: in a write transaction that has locked the accounts.
        account_ids: whose meters, all for which something is asked in the transaction.
        disconnects: whether one of them may be disconnected.
    """
    cut = (
        select(supply_cut_orders.c.device_id)
        .join(supply_cuts, supply_cuts.c.cut_id == supply_cut_orders.c.cut_id)
        .where(supply_cuts.c.account_id.in_(account_ids), supply_cuts.c.ended_at.is_(None))
    )
    hanging = (
        select(installations.c.device_id)
        .join(supplies, supplies.c.point_id == installations.c.point_id)
        .where(supplies.c.account_id.in_(account_ids), installations.c.until.is_(None))
    )
    found = connection.scalars(cut.union(hanging)).all()
    take_turns(connection, found, disconnects=disconnects)


# Off


def ask_disconnect(
    connection: Connection,
    office: Office,
    account_id: int,
    why: str,
    once: str,
    *,
    asker: str = ASKER,
) -> Asked:
    """Have all supplies of an account switched off, as soon as the head-end's rules let it.

    An account whose supply is off, or is about to be, is not asked a second time; the same ``once``
    is the same cut for ever.

    Args:
        connection: in a write transaction.
        office: the office.
        account_id: whose.
        why: the reason, as it stands with the orders; no personal data.
        once: the caller's key.
        asker: the part of the office that asks.

    Raises:
        NoHeadEndError: the office has none.
        UnknownAccountError: there is no such account.
    """
    station = _station(office)
    lock(connection, [account_id])
    there = cut_once(connection, once) or open_cut(connection, account_id)
    if there is not None:
        return Asked(there)
    at = office.now()
    hold_meters(connection, [account_id], disconnects=True)
    meters, refused = _meters_of_account(connection, account_id, at)
    trips: list[tuple[int, Order]] = []
    for meter in meters:
        request = OrderRequest(
            client=CLIENT,
            message_id=f"{once} off {meter.supply_id}",
            kind=OrderKind.RELAY_TRIP,
            device_id=meter.device_id,
            why=why,
            outside_window="wait",
        )
        try:
            with attempt(connection):
                trips.append((meter.supply_id, place(connection, station, office.work, request)))
        except HeadEndError as fault:
            refused.append(Refusal(meter.supply_id, fault.code, str(fault)))
    if not trips:
        return Asked(None, (), tuple(refused))
    cut = begin_cut(connection, account_id, asker=asker, once=once, why=why, at=at, trips=trips)
    return Asked(cut, tuple(order.order_id for _, order in trips), tuple(refused))


# On


def ask_reconnect(
    connection: Connection, office: Office, account_id: int, why: str, once: str = ""
) -> Asked:
    """Have whatever of an account the office has switched off switched on again, now.

    An order to switch off that was not sent yet is taken back; one that was sent, or may have
    been, is followed by an order to switch on.  Asked again, it changes nothing.

    Args:
        connection: in a write transaction.
        office: the office.
        account_id: whose; without an open cut nothing is done.
        why: the reason.
        once: what it comes from (``payment 12``), kept with the cut's history.

    Raises:
        NoHeadEndError: the office has none, and something is to be switched.
        UnknownAccountError: there is no such account.
    """
    lock(connection, [account_id])
    cut = open_cut(connection, account_id)
    if cut is None or cut.state is CutState.RECONNECTING:
        return Asked(cut)
    hold_meters(connection, [account_id])
    take_back_what_waits(connection, office, orders_of(connection, cut.cut_id), why)
    return _reconnect(connection, office, cut, f"{why} ({once})" if once else why, tries=1)


def reconnect_now(connection: Connection, office: Office, cut: Cut, why: str) -> Asked:
    """Ask for the light in a cut that has just begun, of what was off before it."""
    return _reconnect(connection, office, cut, why, tries=1)


def reconnect_again(connection: Connection, office: Office, cut: Cut, why: str) -> Asked:
    """Ask once more for what has no light yet; the account is locked, the outcome is known."""
    hold_meters(connection, [cut.account_id])
    return _reconnect(connection, office, cut, why, tries=cut.tries + 1)


def asks_again_at(cut: Cut, now: datetime) -> datetime | None:
    """When a reconnect that came to nothing is asked again; None: a person sees to it."""
    place_in_row = cut.tries - 1
    return now + _AGAIN[place_in_row] if 0 <= place_in_row < len(_AGAIN) else None


def take_back_what_waits(
    connection: Connection, office: Office, found: Sequence[CutOrder], why: str
) -> None:
    """Cancel orders that were not sent; the meters are held, so that nobody is just sending one.

    Raises:
        NoHeadEndError: the office has none.
    """
    station = _station(office)
    for each in sorted(found, key=lambda each: each.order_id):
        order = find_order(connection, each.order_id, lock=True)
        if order.state in WAITING:
            take_back(connection, station, office.work, order, why)
            record(connection, station, "order.cancel", order, why)


def _reconnect(connection: Connection, office: Office, cut: Cut, why: str, *, tries: int) -> Asked:
    at = office.now()
    found = take_note(connection, cut.cut_id)
    elses = supplies_of_others(connection, cut, at)
    dark = [
        supply_id
        for supply_id, light in lights(found).items()
        if light in (Light.OFF, Light.UNSETTLED, Light.STUCK) and supply_id not in elses
    ]
    if not dark and all(each is Light.UNTOUCHED for each in lights(found).values()):
        words = f"Taken back before anything was sent: {why}"
        return Asked(move_cut(connection, cut, CutState.DROPPED, words, at))
    cut = move_cut(connection, cut, CutState.RECONNECTING, why, at, tries=tries)
    placed, refused = _close_all(connection, office, cut, found, dark, why)
    if refused:
        if (
            all(each.code == NO_METER for each in refused)
            and not placed
            and _has_left(connection, [each.supply_id for each in refused], at)
        ):
            words = "The meter is gone, and the account has left its service point."
            return Asked(move_cut(connection, cut, CutState.DROPPED, words, at))
        words = " ".join(sorted({each.words for each in refused}))
        later = at + _REFUSED_AGAIN
        state = CutState.RECONNECTING
        # what was refused was not sent, and counts for no try unless something else was
        cut = move_cut(
            connection, cut, state, words, at, look_at=later, tries=tries if placed else tries - 1
        )
    return Asked(cut_of(connection, cut.cut_id), tuple(placed), tuple(refused))


def _close_all(
    connection: Connection,
    office: Office,
    cut: Cut,
    found: Sequence[CutOrder],
    dark: Sequence[int],
    why: str,
) -> tuple[list[int], list[Refusal]]:
    """Order the meters that now hang on the dark supplies on."""
    station = _station(office)
    ways = load_policy(connection)
    placed: list[int] = []
    refused: list[Refusal] = []
    last = {each.supply_id: each for each in found}
    meters = _meters_of_supplies(connection, dark)
    bare = set(dark) - {each.supply_id for each in meters}
    refused += [Refusal(each, NO_METER, _NO_METER_WORDS) for each in sorted(bare)]
    for meter in meters:
        position = last[meter.supply_id].position + 1
        request = OrderRequest(
            client=CLIENT,
            message_id=f"cut {cut.cut_id} on {meter.supply_id}/{position}",
            kind=ways.way_to_close(meter.kind),
            device_id=meter.device_id,
            why=why,
        )
        order = _close(connection, office, station, meter, request, refused)
        if order is not None:
            add_order(connection, cut.cut_id, meter.supply_id, position, order)
            placed.append(order.order_id)
    return placed, refused


def _close(
    connection: Connection,
    office: Office,
    station: Station,
    meter: _Meter,
    request: OrderRequest,
    refused: list[Refusal],
) -> Order | None:
    """The order to switch on; where somebody else's waits for the same, that one."""
    try:
        with attempt(connection):
            return place(connection, station, office.work, request)
    except OrderWaitingError as fault:
        row = connection.execute(
            select_orders().where(
                orders.c.device_id == meter.device_id,
                orders.c.kind == request.kind.value,
                orders.c.state.in_([OrderState.WAITING_APPROVAL.value, OrderState.QUEUED.value]),
            )
        ).first()
        if row is not None:
            return order_of(row)
        # it has just begun to be sent: what comes of it is not known here, so it is asked again
        refused.append(Refusal(meter.supply_id, fault.code, str(fault)))
        return None
    except HeadEndError as fault:
        refused.append(Refusal(meter.supply_id, fault.code, str(fault)))
        raise_alarm(
            connection,
            DARK_ALARM,
            device_id=meter.device_id,
            severity=Severity.CRITICAL,
            words=f"Supply is to come back ({request.why}), and no order can be given: {fault}",
            at=station.now(),
        )
        return None


# Meters


def _station(office: Office) -> Station:
    if office.station is None:
        raise NoHeadEndError(
            "This office has no head-end: nothing can be switched from here. Open it with one."
        )
    return replace(office.station, person=SERVICE, clock=office.clock)


def _meters_of_account(
    connection: Connection, account_id: int, at: datetime
) -> tuple[list[_Meter], list[Refusal]]:
    """The meters of an account's supplies, and the supplies that have none."""
    of_account = connection.scalars(
        select(supplies.c.supply_id).where(
            supplies.c.account_id == account_id,
            supplies.c.since <= at,
            supplies.c.until.is_(None) | (supplies.c.until > at),
        )
    ).all()
    meters = _meters_of_supplies(connection, of_account)
    there = {each.supply_id for each in meters}
    bare = [Refusal(each, NO_METER, _NO_METER_WORDS) for each in of_account if each not in there]
    if not of_account:
        bare = [Refusal(0, NO_METER, "The account has no service point now.")]
    return meters, bare


def supplies_of_others(connection: Connection, cut: Cut, at: datetime) -> frozenset[int]:
    """The supplies of a cut whose service points other accounts have by now.

    Nothing is switched there for this account any more; `handing_over` passes them on.
    """
    left, other = supplies.alias("left_one"), supplies.alias("other")
    rows = connection.scalars(
        select(left.c.supply_id)
        .join(supply_cut_orders, supply_cut_orders.c.supply_id == left.c.supply_id)
        .join(other, other.c.point_id == left.c.point_id)
        .where(
            supply_cut_orders.c.cut_id == cut.cut_id,
            supply_cut_orders.c.position == 1,
            left.c.until <= at,
            other.c.account_id != cut.account_id,
            other.c.since <= at,
            other.c.until.is_(None) | (other.c.until > at),
        )
    )
    return frozenset(rows)


def _has_left(connection: Connection, supply_ids: Sequence[int], at: datetime) -> bool:
    """Whether none of these supplies is on its account any more."""
    still = connection.scalar(
        select(supplies.c.supply_id)
        .where(
            supplies.c.supply_id.in_(supply_ids),
            supplies.c.until.is_(None) | (supplies.c.until > at),
        )
        .limit(1)
    )
    return still is None


def _meters_of_supplies(connection: Connection, supply_ids: Sequence[int]) -> list[_Meter]:
    """What hangs on these supplies, in the order in which others lock devices."""
    if not supply_ids:
        return []
    rows = connection.execute(
        select(supplies.c.supply_id, end_devices.c.device_id, end_devices.c.kind)
        .join(installations, installations.c.point_id == supplies.c.point_id)
        .join(end_devices, end_devices.c.device_id == installations.c.device_id)
        .where(supplies.c.supply_id.in_(supply_ids), installations.c.until.is_(None))
        .order_by(end_devices.c.device_id)
    )
    return [_Meter(*row) for row in rows]
