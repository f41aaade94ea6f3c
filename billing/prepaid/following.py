"""Follow the head-end's orders: what was confirmed by read-back, what failed, what is stuck.

Nothing is sent from here.  A reconnect that is known to have come to nothing is ordered again a few
times; an outcome that nobody knows is the head-end's to settle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Select, select

from billing.accounts.tables import supplies
from billing.faults import BillingError
from billing.ledger.posting import balance, balances, lock
from billing.notices.outbox import queue_notices
from billing.office import Office
from billing.prepaid.cuts import Cut, CutOrder, CutState, move_cut, open_cut, take_note
from billing.prepaid.disconnecting import (
    ASKER,
    Asked,
    ask_reconnect,
    asks_again_at,
    reconnect_again,
    supplies_of_others,
)
from billing.prepaid.lights import Light, lights
from billing.prepaid.policy import load_policy
from billing.prepaid.recovering import to_pay
from billing.prepaid.standing import Level
from billing.prepaid.states import Move, move_all, watched
from billing.prepaid.tables import prepaid_states, supply_cut_orders, supply_cuts
from billing.prepaid.telling import disconnected, reconnected
from billing.prepaid.watcher import PAID, look
from headend.faults import HeadEndError
from headend.orders.aftermath import DARK_ALARM
from headend.orders.moves import events_of
from headend.orders.tables import orders
from headend.orders.values import ENDED, OrderState
from headend.person import SERVICE
from headend.registry.tables import installations
from headend.watching.alarms import Severity, close_if_open, raise_alarm

_log = structlog.get_logger()
FAILED_ALARM: Final = "disconnect_failed"
"""A meter that was to be switched off was not: somebody has to look at it."""
_AT_ONCE: Final = 200
"""Accounts in one look."""
_EXCHANGED: Final = "The meter was exchanged: the new one was not switched off."
_ENDED: Final = [state.value for state in ENDED]


def follow(office: Office) -> int:
    """Take note of orders that have ended and do what follows; gives of how many accounts.

    Safe in several processes: each account is looked at under its lock.
    """
    news = _each(office, accounts_of(office, _with_news()), settle)
    return news + _each(office, accounts_of(office, _due(office.now())), _again)


def light_who_has_paid(office: Office) -> int:
    """Ask for the light of whoever has paid, or is not prepaid any more, and was not seen to.

    The watcher does so in the payment's transaction; this is for payments that were taken where
    no watcher was.
    """
    return _each(office, _paid_ones(office), _have_lit)


def begin_anew_after_exchange(office: Office) -> int:
    """End cuts of meters that were exchanged since; gives of how many accounts.

    The new meter was never switched off: it is switched on, wherever its contact was left, and
    whoever still owes is told of a disconnect anew.
    """
    return _each(office, accounts_of(office, _exchanged_since()), _begin_anew)


def settle(connection: Connection, office: Office, cut: Cut) -> Cut:
    """Bring a cut to where its orders are; its account is locked."""
    found = take_note(connection, cut.cut_id)
    if cut.state is CutState.ORDERED:
        return _settle_off(connection, office, cut, found)
    if cut.state is CutState.RECONNECTING:
        return _settle_on(connection, office, cut, found)
    return cut


# Off


def _settle_off(connection: Connection, office: Office, cut: Cut, found: Sequence[CutOrder]) -> Cut:
    lit = lights(found).values()
    if any(each in (Light.WAITS, Light.UNSETTLED) for each in lit):
        return cut
    at = office.now()
    failed = [each for each in found if each.state is OrderState.FAILED]
    _raise_failed(connection, failed, at)
    if any(each is Light.OFF for each in lit):
        cut = move_cut(connection, cut, CutState.DARK, "The meter shows that supply is off.", at)
        _tell_off(connection, office, cut, found)
        return cut
    words = _words_of(failed or found)
    if failed:
        cut = move_cut(connection, cut, CutState.FAILED, words, at)
        _hold(connection, office, cut, words)
        return cut
    cut = move_cut(connection, cut, CutState.DROPPED, words, at)
    _look_again(connection, office, cut, words)
    return cut


def _raise_failed(connection: Connection, failed: Sequence[CutOrder], at: datetime) -> None:
    for each in failed:
        raise_alarm(
            connection,
            FAILED_ALARM,
            device_id=each.device_id,
            severity=Severity.WARNING,
            words=f"Order {each.order_id} was to switch it off for want of money: {each.words}",
            at=at,
        )


def _tell_off(connection: Connection, office: Office, cut: Cut, found: Sequence[CutOrder]) -> None:
    shown_at = max(each.ended_at for each in found if each.ended_at is not None)
    pay = None
    for each in watched(connection, [cut.account_id], office.now()):
        short = each.reconnect_minor - balance(connection, cut.account_id)
        pay = to_pay(connection, {cut.account_id: short})[cut.account_id]
    queue_notices(connection, office, [disconnected(cut.account_id, cut.cut_id, shown_at, pay)])


def _hold(connection: Connection, office: Office, cut: Cut, words: str) -> None:
    """Leave a prepaid account whose disconnect failed to a person."""
    if cut.asker == ASKER and _is_due(connection, cut.account_id):
        balance_minor = balance(connection, cut.account_id)
        move_all(connection, office.now(), [Move(cut.account_id, Level.HELD, balance_minor, words)])


def _look_again(connection: Connection, office: Office, cut: Cut, words: str) -> None:
    """Look at a prepaid account again whose disconnect was dropped; not for ever."""
    if cut.asker != ASKER or not _is_due(connection, cut.account_id):
        return
    policy = load_policy(connection)
    asks = _asks(connection, cut.account_id)
    if asks >= policy.asks_max:
        _hold(connection, office, cut, f"Asked {asks} times, the last time: {words}")
        return
    now = office.now()
    later = Move(
        cut.account_id,
        Level.DISCONNECT_DUE,
        balance(connection, cut.account_id),
        words,
        look_at=now + policy.look_again,
        asks=asks,
    )
    move_all(connection, now, [later])


# On


def _settle_on(connection: Connection, office: Office, cut: Cut, found: Sequence[CutOrder]) -> Cut:
    lit = lights(found)
    if any(each in (Light.COMING, Light.UNSETTLED) for each in lit.values()):
        return cut
    at = office.now()
    off = {each for each, light in lit.items() if light in (Light.STUCK, Light.OFF)}
    again = sorted(off - supplies_of_others(connection, cut, at))
    if not off:
        return _lit(connection, office, cut, found, at)
    if not again:
        return cut  # what is off is passed on to who has the service points by now
    if cut.look_at is not None:
        return cut
    last = {each.supply_id: each for each in found}
    if any(lit[each] is Light.OFF for each in again) and cut.tries <= 1:
        # a trip that was held up came after the light: its outcome is known by now
        return _cut(reconnect_again(connection, office, cut, "It was switched off once more."), cut)
    stuck = [last[each] for each in again]
    words = _words_of(stuck)
    look_at = None if _is_a_persons(connection, stuck) else asks_again_at(cut, at)
    if look_at is None:
        _raise_dark(connection, stuck, f"{words} A person has to see to it.", at)
    return move_cut(connection, cut, CutState.RECONNECTING, words, at, look_at=look_at)


def _lit(
    connection: Connection, office: Office, cut: Cut, found: Sequence[CutOrder], at: datetime
) -> Cut:
    ended = [each.ended_at for each in found if each.does == "on" and each.ended_at is not None]
    words = "The meter shows that supply is on, or may be switched on."
    cut = move_cut(connection, cut, CutState.LIT, words, at)
    for each in found:
        close_if_open(connection, DARK_ALARM, device_id=each.device_id, words=words, at=at)
    if ended:
        held = balance(connection, cut.account_id)
        queue_notices(
            connection, office, [reconnected(cut.account_id, cut.cut_id, max(ended), held)]
        )
    return cut


def _again(connection: Connection, office: Office, cut: Cut) -> Cut:
    """Ask for a reconnect whose time has come again."""
    if cut.state is not CutState.RECONNECTING or cut.look_at is None:
        return cut
    if cut.look_at > office.now():
        return cut
    return _cut(reconnect_again(connection, office, cut, "Asked again: " + cut.words), cut)


def _cut(asked: Asked, before: Cut) -> Cut:
    return before if asked.cut is None else asked.cut


def _is_a_persons(connection: Connection, stuck: Sequence[CutOrder]) -> bool:
    """Whether a person has taken one of these orders back: somebody may work on the line."""
    return any(
        each.state is OrderState.CANCELLED
        and events_of(connection, each.order_id)[-1].who not in ("", SERVICE.name)
        for each in stuck
    )


def _raise_dark(
    connection: Connection, stuck: Sequence[CutOrder], words: str, at: datetime
) -> None:
    for each in stuck:
        raise_alarm(
            connection,
            DARK_ALARM,
            device_id=each.device_id,
            severity=Severity.CRITICAL,
            words=words,
            at=at,
        )


def _have_lit(connection: Connection, office: Office, cut: Cut) -> Cut:
    at = office.now()
    if cut.account_id not in _paid_among(connection, [cut.account_id], at):
        return cut
    look(connection, office, {cut.account_id: balance(connection, cut.account_id)})
    return _cut(ask_reconnect(connection, office, cut.account_id, PAID), cut)


def _begin_anew(connection: Connection, office: Office, cut: Cut) -> Cut:
    query = _exchanged_since().where(supply_cuts.c.cut_id == cut.cut_id)
    if connection.scalar(query.limit(1)) is None:
        return cut
    return _cut(ask_reconnect(connection, office, cut.account_id, _EXCHANGED), cut)


# Whom to look at


def for_each(
    office: Office, account_ids: Iterable[int], act: Callable[[Connection, int], None]
) -> int:
    """Act on accounts, each in a transaction of its own; gives on how many.

    A fault of one account stops no other: it is in the log and stands with the account's cut, and
    the next sweep tries again.
    """
    done = 0
    for account_id in account_ids:
        try:
            with office.writing() as connection:
                act(connection, account_id)
        except (BillingError, HeadEndError) as fault:
            if fault.is_system:
                raise
            _keep_fault(office, account_id, fault)
        else:
            done += 1
    return done


def _keep_fault(office: Office, account_id: int, fault: BillingError | HeadEndError) -> None:
    """Tell of a fault, in the cut's history once for as long as it is the same."""
    _log.warning("prepaid_follow_failed", account_id=account_id, code=fault.code, fault=str(fault))
    words = f"Nothing could be done: {fault}"
    with office.writing() as connection:
        lock(connection, [account_id])
        cut = open_cut(connection, account_id)
        if cut is not None and cut.words != words:
            move_cut(connection, cut, cut.state, words, office.now(), look_at=cut.look_at)


def _each(
    office: Office,
    account_ids: Iterable[int],
    act: Callable[[Connection, Office, Cut], object],
) -> int:
    """Act on the open cut of each account, in a transaction of its own."""

    def act_on(connection: Connection, account_id: int) -> None:
        lock(connection, [account_id])
        cut = open_cut(connection, account_id)
        if cut is not None:
            act(connection, office, cut)

    return for_each(office, account_ids, act_on)


def accounts_of(office: Office, query: Select[Any]) -> Iterator[int]:
    """The accounts of a query; those that fail again and again hide no other."""
    for page in _pages(office, query):
        yield from page


def _pages(office: Office, query: Select[Any]) -> Iterator[Sequence[int]]:
    after = 0
    query = query.distinct().order_by(supply_cuts.c.account_id).limit(_AT_ONCE)
    while True:
        with office.reading() as connection:
            page = connection.scalars(query.where(supply_cuts.c.account_id > after)).all()
        yield page
        if len(page) < _AT_ONCE:
            return
        after = page[-1]


def _with_news() -> Select[Any]:
    """Accounts with an order that has ended and of which nobody has taken note."""
    return (
        select(supply_cuts.c.account_id)
        .join(supply_cut_orders, supply_cut_orders.c.cut_id == supply_cuts.c.cut_id)
        .join(orders, orders.c.order_id == supply_cut_orders.c.order_id)
        .where(
            supply_cut_orders.c.outcome.is_(None),
            supply_cuts.c.ended_at.is_(None),
            orders.c.state.in_(_ENDED),
        )
    )


def _due(at: datetime) -> Select[Any]:
    return select(supply_cuts.c.account_id).where(
        supply_cuts.c.state == CutState.RECONNECTING.value, supply_cuts.c.look_at <= at
    )


def _exchanged_since() -> Select[Any]:
    """Accounts that are cut by a meter which does not hang at its point any more."""
    return (
        select(supply_cuts.c.account_id)
        .join(supply_cut_orders, supply_cut_orders.c.cut_id == supply_cuts.c.cut_id)
        .join(supplies, supplies.c.supply_id == supply_cut_orders.c.supply_id)
        .join(installations, installations.c.point_id == supplies.c.point_id)
        .where(
            supply_cuts.c.state == CutState.DARK.value,
            supply_cut_orders.c.outcome == OrderState.DONE.value,
            supplies.c.until.is_(None),
            installations.c.until.is_(None),
            installations.c.device_id != supply_cut_orders.c.device_id,
        )
    )


def _paid_ones(office: Office) -> Iterator[int]:
    """Accounts that were cut for want of money and have paid, or are not prepaid any more."""
    cut = select(supply_cuts.c.account_id).where(
        supply_cuts.c.asker == ASKER,
        supply_cuts.c.state.in_([CutState.ORDERED.value, CutState.DARK.value]),
    )
    for page in _pages(office, cut):
        with office.reading() as connection:
            paid = _paid_among(connection, page, office.now())
        yield from paid


def _paid_among(connection: Connection, account_ids: Sequence[int], at: datetime) -> list[int]:
    """Who leaves pays as well: an account that is being closed stays off until then."""
    held = balances(connection, account_ids)
    stays = {
        each.account_id
        for each in watched(connection, account_ids, at, leaving=True)
        if held[each.account_id] < each.reconnect_minor
    }
    return [each for each in account_ids if each not in stays]


def _is_due(connection: Connection, account_id: int) -> bool:
    state = connection.scalar(
        select(prepaid_states.c.state).where(prepaid_states.c.account_id == account_id)
    )
    return state == Level.DISCONNECT_DUE.value


def _asks(connection: Connection, account_id: int) -> int:
    asks = connection.scalar(
        select(prepaid_states.c.asks).where(prepaid_states.c.account_id == account_id)
    )
    return int(asks or 0)


def _words_of(found: Sequence[CutOrder]) -> str:
    said = sorted({each.words for each in found if each.words})
    return " ".join(said) or "It came to nothing."
