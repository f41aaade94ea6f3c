"""Late fees that a payment takes back: it was paid before days that are charged already.

A bank's file, or a message that a wallet could not bring, tells of a payment days after it was
paid.  What the bills would have borne with it, and what they have borne without it, is counted
again by the same days and rates; the difference is a credit beside the charges, in the posting of
the payment itself, so that whoever watches balances, and the customer, are told of one amount.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, select, update

from billing.bills.due import Credit, Standing, credits_since, standings_of
from billing.bills.late_fees import charged_days, classes_of, rules_of
from billing.bills.lines import LATE_FEE_SOURCE
from billing.bills.tables import bill_standings, late_fee_days
from billing.ledger.books import LATE_FEES
from billing.ledger.entry import Entry, EntryKind, Posted, Purse
from billing.ledger.posting import entries_of
from billing.office import Office

_BEHIND_ALL: Final = sys.maxsize
"""The number of an entry that is about to be posted."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that is about to be posted."""

    account_id: int
    amount_minor: int
    at: datetime
    """When it was paid, as its channel says."""


def late_fees_back(connection: Connection, office: Office, paid: Paid) -> list[Entry]:
    """Put right what bills were charged for days since a payment; gives what is to be posted.

    Args:
        connection: in a write transaction that has locked the account.
        office: the office.
        paid: posted by the caller, in one call with these entries.
    """
    paid_on = paid.at.astimezone(office.zone).date()
    if paid_on >= office.today():
        return []  # no day has ended since
    since = office.day_start(paid_on)
    standings = standings_of(connection, [paid.account_id], since).get(paid.account_id, [])
    late = [each.late_through for each in standings if each.late_base_minor and each.late_through]
    if max(late, default=since) <= since:
        return []
    until = max(late).astimezone(office.zone).date()
    return [
        _back(each, less)
        for each, less in _put_right(connection, office, standings, paid, until)
        if less
    ]


def given_back(connection: Connection, account_id: int, number: str) -> list[Posted]:
    """What of a bill's late fees was given back, in order."""
    return [
        each
        for each in entries_of(connection, account_id, purse=Purse.CURRENT)
        if each.entry.kind is EntryKind.LATE_FEE
        and each.entry.amount_minor > 0
        and each.entry.source == f"{LATE_FEE_SOURCE} {number}"
    ]


def _put_right(
    connection: Connection,
    office: Office,
    standings: Sequence[Standing],
    paid: Paid,
    until: date,
) -> list[tuple[Standing, int]]:
    """How much less each bill bears; that is kept."""
    account_id = paid.account_id
    rules = rules_of(connection).get(classes_of(connection, [account_id])[account_id], [])
    known = credits_since(connection, {account_id: standings})[account_id]
    coming = Credit(account_id, _BEHIND_ALL, paid.at, paid.amount_minor, None)
    fresh = [
        replace(each, late_through=None, late_base_minor=None, late_micro=0, late_minor=0)
        for each in standings
    ]
    rates = _rates(connection, standings)
    without = charged_days(fresh, known, rules, office, until, rates)
    within = charged_days(fresh, [*known, coming], rules, office, until, rates)
    found = []
    for each, dear, cheap in zip(standings, without, within, strict=True):
        micro = max(dear.standing.late_micro - cheap.standing.late_micro, 0)
        if not micro or each.late_base_minor is None:
            continue
        less = min(max(dear.standing.late_minor - cheap.standing.late_minor, 0), each.late_minor)
        base = cheap.base_minor
        connection.execute(
            update(bill_standings)
            .where(bill_standings.c.bill_id == each.bill.bill_id)
            .values(
                late_base_minor=None if base is None else min(base, each.late_base_minor),
                late_micro=max(each.late_micro - micro, 0),
                late_minor=each.late_minor - less,
            )
        )
        found.append((each, less))
    return found


def _rates(connection: Connection, standings: Sequence[Standing]) -> dict[tuple[int, date], int]:
    rows = connection.execute(
        select(late_fee_days.c.bill_id, late_fee_days.c.day, late_fee_days.c.per_day_ppm).where(
            late_fee_days.c.bill_id.in_([each.bill.bill_id for each in standings])
        )
    )
    return {(row.bill_id, date.fromisoformat(row.day)): row.per_day_ppm for row in rows}


def _back(standing: Standing, amount_minor: int) -> Entry:
    number = standing.bill.number
    return Entry(
        account_id=standing.bill.account_id,
        kind=EntryKind.LATE_FEE,
        amount_minor=amount_minor,
        counter=LATE_FEES,
        source=f"{LATE_FEE_SOURCE} {number}",
        words=f"late fee of bill {number} given back: it was paid before",
    )
