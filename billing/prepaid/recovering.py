"""Emergency credit comes back: a share of each payment, in the payment's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select, update

from billing.ledger.books import EMERGENCY
from billing.ledger.entry import Entry, EntryKind, Posted, Purse
from billing.ledger.posting import post
from billing.office import Office
from billing.prepaid.tables import emergency_credits, emergency_credits_given

_AT_ONCE: Final = 500
WHOLE_BP: Final = 10_000
"""Shares are in hundredths of a percent."""


def recover(connection: Connection, office: Office, posted: Sequence[Posted]) -> set[int]:
    """Take back shares of the payments among what was posted; gives the accounts that it was of.

    Args:
        connection: in the write transaction of the entries, which has locked the accounts.
        office: the office; its watchers see what is posted here.
        posted: entries of one call of `ledger.post`.
    """
    left = {
        each.entry.account_id: 0
        for each in posted
        if each.entry.kind is EntryKind.PAYMENT and each.entry.purse is Purse.CURRENT
    }
    if not left:
        return set()
    for each in posted:
        if each.entry.kind is EntryKind.PAYMENT and each.entry.purse is Purse.CURRENT:
            left[each.entry.account_id] += each.entry.amount_minor
    paid = dict(left)
    entries: list[Entry] = []
    for given in _outstanding(connection, sorted(left)):
        taken = _share(given, paid[given.account_id], left[given.account_id])
        if taken <= 0:
            continue
        left[given.account_id] -= taken
        entries.append(_entry(given, taken))
        _keep(connection, given, taken)
    if entries:
        post(connection, office, entries)
    return {entry.account_id for entry in entries}


def to_pay(connection: Connection, short: Mapping[int, int]) -> dict[int, int]:
    """What accounts have to pay so that enough of it is left once the shares are taken.

    Args:
        connection: in any transaction.
        short: by account, what is to be left; minor units.
    """
    owed: dict[int, list[Any]] = {account_id: [] for account_id in short}
    for given in _outstanding(connection, sorted(short)):
        owed[given.account_id].append(given)
    return {account_id: _payment(short[account_id], owed[account_id]) for account_id in short}


def _payment(short_minor: int, owed: Sequence[Any]) -> int:
    """The least payment of which so much is left."""
    least = enough = max(short_minor, 0)
    enough += sum(_due(given) for given in owed)
    while least < enough:
        half = (least + enough) // 2
        if _left_of(half, owed) >= short_minor:
            enough = half
        else:
            least = half + 1
    return enough


def _left_of(paid_minor: int, owed: Sequence[Any]) -> int:
    left = paid_minor
    for given in owed:
        left -= _share(given, paid_minor, left)
    return left


def _share(given: Any, paid_minor: int, left_minor: int) -> int:
    """What one credit takes of a payment, of which so much is left."""
    share = int(paid_minor * given.share_bp // WHOLE_BP)
    return max(min(_due(given), share, left_minor), 0)


def _due(given: Any) -> int:
    return int(given.amount_minor - given.recovered_minor)


def _outstanding(connection: Connection, account_ids: Sequence[int]) -> list[Any]:
    """Credit of these accounts that is to come back, the oldest of each first."""
    found: list[Any] = []
    for place in range(0, len(account_ids), _AT_ONCE):
        found += connection.execute(
            select(emergency_credits_given, emergency_credits.c.share_bp)
            .join(
                emergency_credits,
                emergency_credits.c.emergency_id == emergency_credits_given.c.emergency_id,
            )
            .where(
                emergency_credits_given.c.account_id.in_(account_ids[place : place + _AT_ONCE]),
                emergency_credits_given.c.recovered_minor < emergency_credits_given.c.amount_minor,
                emergency_credits.c.recovered_from.is_not(None),
            )
            .order_by(emergency_credits_given.c.account_id, emergency_credits_given.c.emergency_id)
        ).all()
    return found


def _entry(given: Any, taken_minor: int) -> Entry:
    return Entry(
        account_id=given.account_id,
        kind=EntryKind.EMERGENCY_CREDIT,
        amount_minor=-taken_minor,
        counter=EMERGENCY,
        source=f"emergency {given.emergency_id}",
        words="Emergency credit, paid back from your payment",
    )


def _keep(connection: Connection, given: Any, taken_minor: int) -> None:
    connection.execute(
        update(emergency_credits_given)
        .where(
            emergency_credits_given.c.emergency_id == given.emergency_id,
            emergency_credits_given.c.account_id == given.account_id,
        )
        .values(recovered_minor=emergency_credits_given.c.recovered_minor + taken_minor)
    )
