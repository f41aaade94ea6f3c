"""Accounts below their floor: spared, announced, or switched off.

Each look at an account is a transaction of its own under the account's lock.  The first look says
when (after the notice and whatever leniency applies, in a window of the head-end's) and tells the
customer; the look at that time asks.  Whoever is protected is told nothing and is looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, select

from billing.accounts.tables import supplies
from billing.faults import BillingError
from billing.ledger.posting import balance, lock
from billing.notices.outbox import queue_notices
from billing.office import Office
from billing.prepaid.cuts import open_cut
from billing.prepaid.disconnecting import ask_disconnect
from billing.prepaid.leniency import GoodPayer, grace_of, is_first_time, nobody
from billing.prepaid.policy import PrepaidPolicy, load_policy
from billing.prepaid.recovering import to_pay
from billing.prepaid.standing import Level
from billing.prepaid.states import Move, Watched, move_all, put_off, watched
from billing.prepaid.tables import prepaid_states
from billing.prepaid.telling import disconnect_notice
from billing.prepaid.watcher import look
from headend.faults import HeadEndError
from headend.orders.calendar import load_calendar
from headend.orders.emergency import stops_over
from headend.orders.protection import protections_over
from headend.orders.reach import reach_of_point

_log = structlog.get_logger()
_AT_ONCE: Final = 200
"""Accounts in one sweep; the next one goes on."""
_EMERGENCY_LOOK: Final = timedelta(hours=1)
_CUT_LOOK: Final = timedelta(hours=1)
"""How often an account is looked at whose supply is off or about to be."""


@dataclass(frozen=True, slots=True)
class _Due:
    """An account below its floor."""

    watched: Watched
    balance_minor: int
    disconnect_at: datetime | None
    policy: PrepaidPolicy
    now: datetime

    @property
    def short_minor(self) -> int:
        """What is missing to have supply back, or to keep it."""
        return self.watched.reconnect_minor - self.balance_minor

    def stays(
        self, words: str, look_at: datetime, *, disconnect_at: datetime | None = None, asks: int = 0
    ) -> Move:
        """It stays below; looked at again then."""
        return Move(
            self.watched.account_id,
            Level.DISCONNECT_DUE,
            self.balance_minor,
            words,
            look_at=look_at,
            disconnect_at=disconnect_at,
            asks=asks or self.watched.asks,
        )


def look_at_due(office: Office, good: GoodPayer = nobody) -> int:
    """Look at the accounts whose time has come; gives how many.

    Args:
        office: with a head-end.
        good: whether an account pays well, as collections know it.
    """
    with office.reading() as connection:
        found = connection.scalars(
            select(prepaid_states.c.account_id)
            .where(prepaid_states.c.look_at <= office.now())
            .order_by(prepaid_states.c.look_at)
            .limit(_AT_ONCE)
        ).all()
    for account_id in found:
        try:
            with office.writing() as connection:
                lock(connection, [account_id])
                _look(connection, office, account_id, good)
        except (BillingError, HeadEndError) as fault:  # the others are nothing to it
            if fault.is_system:
                raise
            _leave(office, account_id, fault)
    return len(found)


def _leave(office: Office, account_id: int, fault: BillingError | HeadEndError) -> None:
    """Look at it a day later, instead of again and again."""
    _log.warning("prepaid_look_failed", account_id=account_id, code=fault.code)
    with office.writing() as connection:
        put_off(connection, account_id, office.now() + load_policy(connection).look_again)


def _look(connection: Connection, office: Office, account_id: int, good: GoodPayer) -> None:
    now = office.now()
    row = connection.execute(
        select(prepaid_states).where(prepaid_states.c.account_id == account_id)
    ).one()
    if row.look_at is None or row.look_at > now:
        return  # somebody else has looked
    balance_minor = balance(connection, account_id)
    each = next(watched(connection, [account_id], now), None)
    if each is None:
        words = "It is not prepaid, or not active, any more."
        move_all(connection, now, [Move(account_id, Level.OK, balance_minor, words)])
        return
    if each.limits.level(balance_minor) is not Level.DISCONNECT_DUE:
        look(connection, office, {account_id: balance_minor})
        return
    if open_cut(connection, account_id) is not None:
        put_off(connection, account_id, now + _CUT_LOOK)
        return
    due = _Due(each, balance_minor, row.disconnect_at, load_policy(connection), now)
    spared = _spared(connection, due)
    if spared is not None:
        move_all(connection, now, [spared])
    elif due.disconnect_at is None or _is_stale(due):
        _announce(connection, office, due, row.since, good)
    elif due.disconnect_at <= now:
        _ask(connection, office, due)
    else:
        put_off(connection, account_id, due.disconnect_at)


def _spared(connection: Connection, due: _Due) -> Move | None:
    """Whoever must not be cut now, for a reason that the head-end knows; None: nothing spares."""
    points = connection.scalars(
        select(supplies.c.point_id).where(
            supplies.c.account_id == due.watched.account_id,
            supplies.c.until.is_(None) | (supplies.c.until > due.now),
        )
    ).all()
    reaches = [reach_of_point(connection, point_id) for point_id in points]
    kept = [protections_over(connection, reach, due.now) for reach in reaches]
    if reaches and all(kept):
        ends = min(each.until for over in kept for each in over)
        words = "A keep-power order protects its supply."
        return due.stays(words, min(due.now + due.policy.look_again, ends))
    if any(stops_over(connection, reach) for reach in reaches):
        words = "Disconnects are suspended: an emergency stop covers it."
        return due.stays(words, due.now + _EMERGENCY_LOOK)
    return None


def _is_stale(due: _Due) -> bool:
    """Whether what was announced is so long ago that nobody counts on it any more."""
    assert due.disconnect_at is not None
    return due.now > due.disconnect_at + timedelta(hours=due.policy.notice_valid_h)


def _announce(
    connection: Connection, office: Office, due: _Due, since: datetime, good: GoodPayer
) -> None:
    """Say when, as the notice, leniency and the head-end's windows have it."""
    account_id, policy, now = due.watched.account_id, due.policy, due.now
    grace = grace_of(
        policy,
        short_minor=due.watched.limits.floor_minor - due.balance_minor,
        is_first=is_first_time(connection, account_id, policy.first_within_days, now),
        is_good=good(connection, office, account_id),
    )
    earliest = max(now + timedelta(hours=policy.notice_h), since + timedelta(hours=grace.hours))
    opens = load_calendar(connection, office.zone).next_opening(earliest)
    if opens is None:
        words = "There is no disconnect window in the next weeks."
        move_all(connection, now, [due.stays(words, now + policy.look_again)])
        return
    told = opens.astimezone(office.zone)
    words = f"To be switched off on {told:%Y-%m-%d %H:%M}"
    words += f"; spared so long because {grace.why}." if grace.why else "."
    move_all(connection, now, [due.stays(words, opens, disconnect_at=opens)])
    pay_minor = to_pay(connection, {account_id: due.short_minor})[account_id]
    notice = disconnect_notice(account_id, since, opens, pay_minor)
    queue_notices(connection, office, [notice])


def _ask(connection: Connection, office: Office, due: _Due) -> None:
    account_id, now = due.watched.account_id, due.now
    assert due.disconnect_at is not None
    once = f"prepaid {account_id} {due.disconnect_at.isoformat()} {due.watched.asks + 1}"
    money = office.currency
    short = money.text(due.watched.limits.floor_minor - due.balance_minor)
    why = f"The balance is {short} {money.code} below the floor."
    asked = ask_disconnect(connection, office, account_id, why, once)
    asks = due.watched.asks + 1
    if asked.cut is not None:
        words = "The head-end was asked to switch it off."
        look_at = now + _CUT_LOOK
        move = due.stays(words, look_at, disconnect_at=due.disconnect_at, asks=asks)
    elif asks < due.policy.asks_max:
        move = due.stays(asked.words, now + due.policy.look_again, asks=asks)
    else:
        words = f"Asked {asks} times, the last time: {asked.words}"
        move = Move(account_id, Level.HELD, due.balance_minor, words)
    move_all(connection, now, [move])
