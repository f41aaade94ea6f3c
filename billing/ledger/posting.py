"""Post entries, and look at what is posted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Select, insert, select

from billing.accounts.tables import customer_accounts
from billing.faults import BadEntryError, UnknownAccountError
from billing.ledger.entry import AMOUNT_MAX, Entry, EntryKind, Posted, Purse
from billing.ledger.tables import account_entries
from billing.office import Office
from storage.copying import copy_rows

_AT_ONCE: Final = 500
"""Accounts in one look."""
_COPIED: Final = 100
"""From so many entries on COPY is worth its round trips: settlement posts thousands."""


def post(connection: Connection, office: Office, entries: Sequence[Entry]) -> list[Posted]:
    """Post entries, each after the one before it, and tell the office's watchers.

    The accounts' rows are locked in the order of their ids; whoever posts to several accounts
    posts them in one call, so that two of them never wait for each other.

    Args:
        connection: in a write transaction.
        office: gives currency, time and watchers.
        entries: at least one.

    Raises:
        UnknownAccountError: there is no such account.
        BadEntryError: more than `AMOUNT_MAX` is nobody's money.
    """
    if any(abs(entry.amount_minor) > AMOUNT_MAX for entry in entries):
        raise BadEntryError(
            f"The amount is too large: an entry has at most {AMOUNT_MAX} minor units."
        )
    ids = sorted({entry.account_id for entry in entries})
    lock(connection, ids)
    ends = last_entries(connection, ids)
    at = office.now()
    posted: list[Posted] = []
    for entry in entries:
        key = entry.account_id, entry.purse
        seq, balance = ends.get(key, (0, 0))
        ends[key] = seq + 1, balance + entry.amount_minor
        posted.append(Posted(entry, seq + 1, at, balance + entry.amount_minor))
    _insert(connection, [_row(each, office.currency.code) for each in posted])
    for watcher in office.watchers:
        watcher.moved(connection, office, posted)
    return posted


def lock(connection: Connection, account_ids: Iterable[int]) -> None:
    """Wait for whoever moves these accounts; nobody else does until the transaction ends.

    Raises:
        UnknownAccountError: there is no such account.
    """
    wanted = sorted(set(account_ids))
    found = 0
    for part in _parts(wanted):
        query = (
            select(customer_accounts.c.account_id)
            .where(customer_accounts.c.account_id.in_(part))
            .order_by(customer_accounts.c.account_id)
            .with_for_update(key_share=True)
        )
        found += len(connection.execute(query).all())
    if found != len(wanted):
        raise UnknownAccountError("An entry names an account that is not there.")


def last_entries(
    connection: Connection, account_ids: Sequence[int]
) -> dict[tuple[int, Purse], tuple[int, int]]:
    """Number and balance of the last entry of each purse; purses without entries are left out.

    Each is looked up from the end of its purse: what was posted before it costs nothing.
    """
    ends: dict[tuple[int, Purse], tuple[int, int]] = {}
    columns = [
        _of_last(purse, column)
        for purse in Purse
        for column in (account_entries.c.seq, account_entries.c.balance_minor)
    ]
    for part in _parts(account_ids):
        rows = connection.execute(
            select(customer_accounts.c.account_id, *columns).where(
                customer_accounts.c.account_id.in_(part)
            )
        )
        for account_id, *values in rows:
            for purse, seq, held in zip(Purse, values[::2], values[1::2], strict=True):
                if seq is not None:
                    ends[account_id, purse] = seq, held
    return ends


def _of_last(purse: Purse, column: Column[int]) -> ColumnElement[int]:
    """A column of the last entry of each account's purse; NULL: it has none."""
    return (
        select(column)
        .where(
            account_entries.c.account_id == customer_accounts.c.account_id,
            account_entries.c.purse == purse.value,
        )
        .order_by(account_entries.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )


def balance(connection: Connection, account_id: int, purse: Purse = Purse.CURRENT) -> int:
    """What a purse holds, in minor units; zero when nothing was posted."""
    found = connection.scalar(
        select(account_entries.c.balance_minor)
        .where(
            account_entries.c.account_id == account_id,
            account_entries.c.purse == purse.value,
        )
        .order_by(account_entries.c.seq.desc())
        .limit(1)
    )
    return int(found or 0)


def balances(
    connection: Connection, account_ids: Sequence[int], purse: Purse = Purse.CURRENT
) -> dict[int, int]:
    """What the purses of many accounts hold; all of them are in it."""
    ends = last_entries(connection, account_ids)
    return {each: ends.get((each, purse), (0, 0))[1] for each in account_ids}


def entries_of(
    connection: Connection,
    account_id: int,
    *,
    purse: Purse | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Posted]:
    """What was posted to an account, purse by purse in order."""
    query = _entries().where(account_entries.c.account_id == account_id)
    if purse is not None:
        query = query.where(account_entries.c.purse == purse.value)
    if since is not None:
        query = query.where(account_entries.c.posted_at >= since)
    if until is not None:
        query = query.where(account_entries.c.posted_at < until)
    rows = connection.execute(query.order_by(account_entries.c.purse, account_entries.c.seq))
    return [posted_of(row) for row in rows]


def posted_of(row: Any) -> Posted:
    """An entry from its row."""
    entry = Entry(
        account_id=row.account_id,
        kind=EntryKind(row.kind),
        amount_minor=row.amount_minor,
        counter=row.counter,
        source=row.source,
        words=row.words,
        purse=Purse(row.purse),
        due_at=row.due_at,
        reverses_seq=row.reverses_seq,
    )
    return Posted(entry, row.seq, row.posted_at, row.balance_minor)


def _entries() -> Select[Any]:
    return select(account_entries)


def _parts(account_ids: Sequence[int]) -> list[Sequence[int]]:
    return [account_ids[place : place + _AT_ONCE] for place in range(0, len(account_ids), _AT_ONCE)]


def _insert(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    if len(rows) >= _COPIED and connection.dialect.name == "postgresql":
        values = [[*row.values()] for row in rows]
        copy_rows(connection, "account_entries", list(rows[0]), values)
    else:
        connection.execute(insert(account_entries), rows)


def _row(posted: Posted, currency: str) -> dict[str, object]:
    entry = posted.entry
    return {
        "account_id": entry.account_id,
        "purse": entry.purse.value,
        "seq": posted.seq,
        "posted_at": posted.posted_at,
        "kind": entry.kind.value,
        "counter": entry.counter,
        "currency": currency,
        "amount_minor": entry.amount_minor,
        "balance_minor": posted.balance_minor,
        "source": entry.source,
        "words": entry.words,
        "due_at": entry.due_at,
        "reverses_seq": entry.reverses_seq,
    }
