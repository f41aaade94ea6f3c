"""How accounts stand with their limits: looked at for many at once, moved with a history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from billing.accounts.tables import agreements, customer_accounts, supplies
from billing.prepaid.standing import Level, Limits
from billing.prepaid.tables import (
    prepaid_moves,
    prepaid_policy,
    prepaid_states,
    prepaid_uses,
    supply_cuts,
)
from storage.types import UtcTimestamp

_AT_ONCE: Final = 500
"""Accounts in one look."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A prepaid account with its limits, as it stands."""

    account_id: int
    limits: Limits
    level: Level
    since: datetime | None
    """None: nothing has happened yet."""
    asks: int
    reconnect_minor: int
    """From this balance on it has supply again."""
    cut_state: str | None
    """Of its open cut; None: it has none."""
    cut_asker: str | None


@dataclass(frozen=True, slots=True)
class Move:
    """An account comes into a level, or stays in it for another reason."""

    account_id: int
    level: Level
    balance_minor: int
    words: str
    look_at: datetime | None = None
    disconnect_at: datetime | None = None
    asks: int = 0


@dataclass(frozen=True, slots=True)
class MoveLine:
    """One line of an account's history."""

    at: datetime
    level: Level
    balance_minor: int
    words: str


def watched(
    connection: Connection, account_ids: Sequence[int], at: datetime, *, leaving: bool = False
) -> Iterator[Watched]:
    """The prepaid accounts among these, with one query for each 500 of them.

    Accounts that are not active, unless they are being closed on a day that is to come, and those
    whose agreement at the moment is another, are left out.

    Args:
        connection: in any transaction.
        account_ids: any number.
        at: the moment.
        leaving: with those that are being closed, or are, and have left all service points.
    """
    states = ("closing", "closed") if leaving else ()
    for place in range(0, len(account_ids), _AT_ONCE):
        for row in connection.execute(_query(account_ids[place : place + _AT_ONCE], at, states)):
            yield _watched(row)


def move_all(connection: Connection, at: datetime, moves: Sequence[Move]) -> None:
    """Bring accounts into their levels, and keep that they were; whoever calls has locked them."""
    if not moves:
        return
    known = set(_known(connection, [each.account_id for each in moves]))
    fresh = [_row(each, at) for each in moves if each.account_id not in known]
    if fresh:
        connection.execute(insert(prepaid_states), fresh)
    for each in moves:
        if each.account_id in known:
            _update(connection, each, at)
    connection.execute(
        insert(prepaid_moves),
        [
            {
                "account_id": each.account_id,
                "at": at,
                "state": each.level.value,
                "balance_minor": each.balance_minor,
                "words": each.words,
            }
            for each in moves
        ],
    )


def put_off(connection: Connection, account_id: int, look_at: datetime) -> None:
    """Look at an account later; its reason stays."""
    connection.execute(
        update(prepaid_states)
        .where(
            prepaid_states.c.account_id == account_id,
            prepaid_states.c.state == Level.DISCONNECT_DUE.value,
        )
        .values(look_at=look_at)
    )


def mark_reminded(connection: Connection, account_ids: Sequence[int], at: datetime | None) -> None:
    """Keep who was told that the balance runs out; with None: that they are to be told again."""
    if not account_ids:
        return
    if at is None:
        connection.execute(
            update(prepaid_states)
            .where(prepaid_states.c.account_id.in_(account_ids))
            .values(reminded_at=None)
        )
        return
    rows = [
        {
            "account_id": each,
            "state": Level.OK.value,
            "since": at,
            "balance_minor": 0,
            "words": "",
            "asks": 0,
            "reminded_at": at,
        }
        for each in account_ids
    ]
    known = set(_known(connection, account_ids))
    fresh = [row for row in rows if row["account_id"] not in known]
    if fresh:
        connection.execute(insert(prepaid_states), fresh)
    if known:
        connection.execute(
            update(prepaid_states)
            .where(prepaid_states.c.account_id.in_(known))
            .values(reminded_at=at)
        )


def moves_of(connection: Connection, account_id: int) -> list[MoveLine]:
    """An account's history, the oldest first."""
    rows = connection.execute(
        select(prepaid_moves)
        .where(prepaid_moves.c.account_id == account_id)
        .order_by(prepaid_moves.c.move_id)
    )
    return [MoveLine(row.at, Level(row.state), row.balance_minor, row.words) for row in rows]


def _query(account_ids: Sequence[int], at: datetime, states: Sequence[str]) -> Any:
    is_supplied = exists().where(
        supplies.c.account_id == customer_accounts.c.account_id, supplies.c.until > at
    )
    latest = (
        select(func.max(agreements.c.version))
        .where(agreements.c.account_id == customer_accounts.c.account_id, agreements.c.since <= at)
        .correlate(customer_accounts)
        .scalar_subquery()
    )
    by_use = and_(prepaid_policy.c.limits == "use", prepaid_uses.c.account_id.is_not(None))
    floor = case((by_use, prepaid_uses.c.floor_minor), else_=agreements.c.floor_minor)
    warn = case((by_use, prepaid_uses.c.warn_minor), else_=agreements.c.warn_minor)
    return (
        select(
            customer_accounts.c.account_id,
            warn.label("warn_minor"),
            floor.label("floor_minor"),
            prepaid_policy.c.reconnect_above_minor,
            prepaid_states.c.state,
            prepaid_states.c.since,
            prepaid_states.c.asks,
            supply_cuts.c.state.label("cut_state"),
            supply_cuts.c.asker,
        )
        .select_from(customer_accounts)
        .join(prepaid_policy, prepaid_policy.c.policy_id == 1)
        .join(
            agreements,
            and_(
                agreements.c.account_id == customer_accounts.c.account_id,
                agreements.c.version == latest,
                agreements.c.mode == "prepaid",
            ),
        )
        .outerjoin(prepaid_uses, prepaid_uses.c.account_id == customer_accounts.c.account_id)
        .outerjoin(prepaid_states, prepaid_states.c.account_id == customer_accounts.c.account_id)
        .outerjoin(
            supply_cuts,
            and_(
                supply_cuts.c.account_id == customer_accounts.c.account_id,
                supply_cuts.c.ended_at.is_(None),
            ),
        )
        .where(
            customer_accounts.c.account_id.in_(account_ids),
            or_(
                customer_accounts.c.state == "active",
                and_(customer_accounts.c.state == "closing", is_supplied),
                customer_accounts.c.state.in_(states),
            ),
        )
    )


def _watched(row: Any) -> Watched:
    return Watched(
        account_id=row.account_id,
        limits=Limits(row.warn_minor, row.floor_minor),
        level=Level(row.state or Level.OK),
        since=row.since,
        asks=row.asks or 0,
        reconnect_minor=row.floor_minor + row.reconnect_above_minor,
        cut_state=row.cut_state,
        cut_asker=row.asker,
    )


def _known(connection: Connection, account_ids: Sequence[int]) -> Iterator[int]:
    for place in range(0, len(account_ids), _AT_ONCE):
        yield from connection.scalars(
            select(prepaid_states.c.account_id).where(
                prepaid_states.c.account_id.in_(account_ids[place : place + _AT_ONCE])
            )
        )


def _row(each: Move, at: datetime) -> dict[str, object]:
    return {"account_id": each.account_id, "since": at, **_values(each)}


def _update(connection: Connection, each: Move, at: datetime) -> None:
    since = case(
        (prepaid_states.c.state == each.level.value, prepaid_states.c.since),
        else_=literal(at, UtcTimestamp()),
    )
    connection.execute(
        update(prepaid_states)
        .where(prepaid_states.c.account_id == each.account_id)
        .values(since=since, **_values(each))
    )


def _values(each: Move) -> dict[str, object]:
    return {
        "state": each.level.value,
        "balance_minor": each.balance_minor,
        "words": each.words,
        "look_at": each.look_at,
        "disconnect_at": each.disconnect_at,
        "asks": each.asks,
    }
