"""The day's look for new debts: an account whose debt is old and large enough for the first step
gets a case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from billing.accounts.tables import customer_accounts
from billing.collecting.cases import open_case, running_cases
from billing.collecting.passes import begin_part, end_part, is_done
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import CollectionRules
from billing.collecting.standings import Overdue, overdue_of
from billing.ledger.entry import Purse
from billing.ledger.posting import lock
from billing.ledger.tables import account_entries
from billing.office import Office

_AT_ONCE: Final = 500
"""Accounts that owe something, in one transaction."""


def find_debts(office: Office, parts_max: int = 40) -> int:
    """Open cases for debts that have none, once a day; how many were opened now.

    Args:
        office: the office.
        parts_max: of 500 owing accounts each; the next call goes on.
    """
    now, today = office.now(), office.today()
    with office.reading() as connection:
        name = f"debts {today.isoformat()}"
        hour = rules_in_force(connection).rules.hour
        if now.astimezone(office.zone).hour < hour or is_done(connection, name):
            return 0
    opened = 0
    for _ in range(parts_max):
        with office.writing() as connection:
            last = begin_part(connection, name)
            if last is None:
                break
            owing = owing_after(connection, last, _AT_ONCE)
            if owing:
                opened += _open(connection, office, owing)
            end_part(connection, name, owing[-1].account_id if owing else None, now)
            if not owing:
                break
    return opened


def owing_after(connection: Connection, last: int, limit: int) -> Sequence[Any]:
    """The next accounts that owe something: id, class of customers, mode."""
    there = account_entries.c
    balance = (
        select(there.balance_minor)
        .where(
            there.account_id == customer_accounts.c.account_id,
            there.purse == Purse.CURRENT.value,
        )
        .order_by(there.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return connection.execute(
        select(
            customer_accounts.c.account_id,
            customer_accounts.c.customer_class.label("customer_class"),
            customer_accounts.c.mode,
        )
        .where(customer_accounts.c.account_id > last, balance < 0)
        .order_by(customer_accounts.c.account_id)
        .limit(limit)
    ).all()


def _open(connection: Connection, office: Office, owing: Sequence[Any]) -> int:
    rules = rules_in_force(connection).rules
    at = office.now()
    collected = {row.account_id: row.customer_class for row in owing if row.mode in rules.modes}
    account_ids = sorted(collected)
    lock(connection, account_ids)
    running = running_cases(connection, account_ids)
    overdue = overdue_of(connection, account_ids, at)
    opened = 0
    for account_id in account_ids:
        debt = overdue[account_id].debt(office, at)
        if account_id in running or not _is_due(
            rules, collected[account_id], overdue[account_id], debt.days
        ):
            continue
        opened += 1
        open_case(
            connection,
            office,
            account_id,
            due_since=overdue[account_id].items[0].due_at,
            debt_class=rules.debt_class(debt.overdue_minor, debt.days),
            debt=debt,
            next_at=at,
        )
    return opened


def _is_due(rules: CollectionRules, customer_class: str, overdue: Overdue, days: int) -> bool:
    """Whether the first step would be due, as far as days and amount decide it."""
    steps = rules.steps[customer_class]
    if not steps or not overdue.items:
        return False
    return days >= steps[0].days_after_due and overdue.minor >= steps[0].min_minor
