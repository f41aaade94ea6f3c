"""Acts when balances of prepaid accounts move, in the transaction of the entries.

A settlement of thousands of accounts costs one query for each 500 of them; what is written is
about those alone that come into another level.  Nobody is cut from here: who falls below the floor
is looked at by the sweep (`due`).  Who has paid gets light from here, in the payment's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from billing.ledger.entry import Posted, Purse
from billing.notices.outbox import queue_notices
from billing.notices.port import Notice
from billing.office import Office
from billing.prepaid.cuts import CutState
from billing.prepaid.disconnecting import ASKER, ask_reconnect, hold_meters
from billing.prepaid.recovering import recover, to_pay
from billing.prepaid.standing import Level
from billing.prepaid.states import Move, Watched, move_all, watched
from billing.prepaid.telling import low_balance
from headend.faults import HeadEndError
from storage.engine import attempt

PAID = "The account is paid up again."
_TO_BE_LIT = frozenset({CutState.ORDERED.value, CutState.DARK.value})


class PrepaidWatcher:
    """The prepay loop as `office.watchers` has it."""

    def moved(self, connection: Connection, office: Office, posted: Sequence[Posted]) -> None:
        """See `BalanceWatcher`."""
        ends = {each.entry.account_id: each for each in posted if each.entry.purse is Purse.CURRENT}
        for account_id in recover(connection, office, posted):
            ends.pop(account_id, None)  # its last balance was looked at with what was recovered
        look(
            connection,
            office,
            {account_id: each.balance_minor for account_id, each in ends.items()},
            {account_id: str(each.seq) for account_id, each in ends.items()},
        )


def look(
    connection: Connection,
    office: Office,
    balances: Mapping[int, int],
    marks: Mapping[int, str] | None = None,
) -> int:
    """Bring accounts into the levels that their balances ask for; gives how many that were.

    Args:
        connection: in a write transaction that has locked the accounts.
        office: the office.
        balances: by account; those that are not prepaid are passed by.
        marks: what tells a fall below the warning limit from the next one; none: the moment.
    """
    at = office.now()
    moves: list[Move] = []
    warned: dict[int, int] = {}
    found = list(watched(connection, list(balances), at))
    cut = [each for each in found if each.cut_state is not None]
    if len(cut) > 1 and any(is_to_be_lit(each, balances[each.account_id]) for each in cut):
        # those that others of the office light are among them: all are held in one order
        hold_meters(connection, [each.account_id for each in cut])
    for each in found:
        balance = balances[each.account_id]
        move = _move(each, balance, office)
        if move is not None:
            moves.append(move)
            if each.level is Level.OK:
                warned[each.account_id] = each.limits.warn_minor
        if is_to_be_lit(each, balance):
            _have_lit(connection, office, each.account_id)
    move_all(connection, at, moves)
    if warned:
        queue_notices(connection, office, _warnings(connection, warned, balances, marks or {}, at))
    return len(moves)


def _warnings(
    connection: Connection,
    warned: Mapping[int, int],
    balances: Mapping[int, int],
    marks: Mapping[int, str],
    at: datetime,
) -> list[Notice]:
    """The notices of accounts that have come below their warning limits."""
    pay = to_pay(connection, {each: limit - balances[each] for each, limit in warned.items()})
    return [
        low_balance(each, marks.get(each, at.isoformat()), balances[each], limit, pay[each])
        for each, limit in warned.items()
    ]


def _have_lit(connection: Connection, office: Office, account_id: int) -> None:
    """Ask for the light; what the head-end refuses is no reason to lose a payment: the sweep asks
    again."""
    if office.station is None:
        return
    try:
        with attempt(connection):
            ask_reconnect(connection, office, account_id, PAID)
    except HeadEndError:
        return


def is_to_be_lit(each: Watched, balance_minor: int) -> bool:
    """Whether an account whose supply is off, or about to be, has paid enough to have it."""
    return (
        each.cut_asker == ASKER
        and each.cut_state in _TO_BE_LIT
        and balance_minor >= each.reconnect_minor
    )


def _move(each: Watched, balance_minor: int, office: Office) -> Move | None:
    """What changes; None: nothing."""
    to = each.limits.level(balance_minor)
    if to is each.level or (to is Level.DISCONNECT_DUE and each.level is Level.HELD):
        return None
    money = office.currency.text
    if to is Level.DISCONNECT_DUE:
        words = f"Below the floor of {money(each.limits.floor_minor)}."
        return Move(each.account_id, to, balance_minor, words, look_at=office.now())
    if to is Level.WARNED:
        words = f"Below the warning limit of {money(each.limits.warn_minor)}."
        return Move(each.account_id, to, balance_minor, words)
    return Move(each.account_id, to, balance_minor, "Paid up.")
