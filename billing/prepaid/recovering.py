"""Emergency credit comes back: a share of each payment, in the payment's transaction.

Each entry names the payment: when that is undone, what it has brought back is owed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from billing.ledger.books import EMERGENCY
from billing.ledger.entry import Entry, EntryKind, Posted, Purse
from billing.ledger.posting import post
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.prepaid.tables import emergency_credits, emergency_credits_given

_AT_ONCE: Final = 500
WHOLE_BP: Final = 10_000
"""Shares are in hundredths of a percent."""


def recover(connection: Connection, office: Office, posted: Sequence[Posted]) -> set[int]:
    """Take back shares of the payments among what was posted; gives the accounts that it was of.

    What a payment that was undone had brought back is owed again.

    Args:
        connection: in the write transaction of the entries, which has locked the accounts.
        office: the office; its watchers see what is posted here.
        posted: entries of one call of `ledger.post`.
    """
    current = [each.entry for each in posted if each.entry.purse is Purse.CURRENT]
    undone = [entry for entry in current if entry.kind is EntryKind.PAYMENT_UNDONE]
    payments = [entry for entry in current if entry.kind is EntryKind.PAYMENT]
    entries = [*_owed_again(connection, undone), *_shares(connection, payments)]
    if entries:
        post(connection, office, entries)
    return {entry.account_id for entry in entries}


def _shares(connection: Connection, payments: Sequence[Entry]) -> list[Entry]:
    """What payments bring back."""
    if not payments:
        return []
    owed: dict[int, list[Any]] = {}
    for given in _outstanding(connection, sorted({each.account_id for each in payments})):
        owed.setdefault(given.account_id, []).append(given)
    taken_of: Counter[tuple[int, int]] = Counter()
    entries: list[Entry] = []
    for paid in payments:
        left = paid.amount_minor
        for given in owed.get(paid.account_id, []):
            key = given.account_id, given.emergency_id
            share = _share(given, paid.amount_minor, left)
            taken = min(share, _due(given) - taken_of[key])
            if taken <= 0:
                continue
            left -= taken
            taken_of[key] += taken
            words = "Emergency credit, paid back from your payment"
            entries.append(_entry(*key, paid.source, -taken, words))
            _keep(connection, *key, taken)
    return entries


def _owed_again(connection: Connection, undone: Sequence[Entry]) -> list[Entry]:
    """What payments that were taken back had brought back."""
    entries: list[Entry] = []
    for each in undone:
        for emergency_id in connection.scalars(
            select(emergency_credits_given.c.emergency_id)
            .where(
                emergency_credits_given.c.account_id == each.account_id,
                emergency_credits_given.c.recovered_minor > 0,
            )
            .order_by(emergency_credits_given.c.emergency_id)
        ).all():
            source = _source(emergency_id, each.source)
            taken = -_sum_of(connection, each.account_id, source)
            if taken > 0:
                words = "Emergency credit, owed again: the payment was taken back"
                entries.append(_entry(each.account_id, emergency_id, each.source, taken, words))
                _keep(connection, each.account_id, emergency_id, -taken)
    return entries


def _sum_of(connection: Connection, account_id: int, source: str) -> int:
    found = connection.scalar(
        select(func.sum(account_entries.c.amount_minor)).where(
            account_entries.c.account_id == account_id,
            account_entries.c.purse == Purse.CURRENT.value,
            account_entries.c.kind == EntryKind.EMERGENCY_CREDIT.value,
            account_entries.c.source == source,
        )
    )
    return int(found or 0)


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


def _source(emergency_id: int, payment: str) -> str:
    """Of which credit, and by which payment."""
    return f"emergency {emergency_id} {payment}"


def _entry(
    account_id: int, emergency_id: int, payment: str, amount_minor: int, words: str
) -> Entry:
    return Entry(
        account_id=account_id,
        kind=EntryKind.EMERGENCY_CREDIT,
        amount_minor=amount_minor,
        counter=EMERGENCY,
        source=_source(emergency_id, payment),
        words=words,
    )


def _keep(connection: Connection, account_id: int, emergency_id: int, taken_minor: int) -> None:
    connection.execute(
        update(emergency_credits_given)
        .where(
            emergency_credits_given.c.emergency_id == emergency_id,
            emergency_credits_given.c.account_id == account_id,
        )
        .values(recovered_minor=emergency_credits_given.c.recovered_minor + taken_minor)
    )
