"""A payment stops the steps, in its own transaction.

Of a batch of entries only those accounts are looked at that got something and have a case that is
not closed: one query for each 500 accounts with credits, and nothing at all for a settlement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, select

from billing.collecting.cases import ActKind, Case, CaseState, change, log, running_cases
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import CollectionRules
from billing.collecting.standings import Overdue, overdue_of
from billing.collecting.stepping import day_begin, reconnect, settle_case
from billing.collecting.tables import collection_cases
from billing.ledger.entry import Posted, Purse
from billing.office import Office
from billing.prepaid.disconnecting import hold_meters

_AT_ONCE: Final = 500


class CollectionWatcher:
    """Collections as `office.watchers` has it."""

    def moved(self, connection: Connection, office: Office, posted: Sequence[Posted]) -> None:
        """See `BalanceWatcher`."""
        paid_in: dict[int, int] = {}
        for each in posted:
            entry = each.entry
            if entry.purse is Purse.CURRENT and entry.amount_minor > 0:
                paid_in[entry.account_id] = paid_in.get(entry.account_id, 0) + entry.amount_minor
        account_ids = sorted(paid_in)
        for place in range(0, len(account_ids), _AT_ONCE):
            cases = _open_cases(connection, account_ids[place : place + _AT_ONCE])
            if cases:
                _look(connection, office, cases, paid_in)


def _open_cases(connection: Connection, account_ids: Sequence[int]) -> list[Case]:
    there = collection_cases.c
    found = connection.scalars(
        select(there.account_id).where(
            there.account_id.in_(account_ids), there.state == CaseState.OPEN.value
        )
    ).all()
    return [] if not found else list(running_cases(connection, found).values())


def _look(
    connection: Connection, office: Office, cases: Sequence[Case], paid_in: dict[int, int]
) -> None:
    at = office.now()
    rules = rules_in_force(connection).rules
    overdue = overdue_of(connection, [each.account_id for each in cases], at)
    dark = [each.account_id for each in cases if each.disconnect_asked_at is not None]
    if len(dark) > 1:  # whoever asks for one alone takes his turn by himself
        hold_meters(connection, dark)
    for each in sorted(cases, key=lambda case: case.account_id):
        left, paid = overdue[each.account_id], paid_in[each.account_id]
        if not left.items:
            settle_case(connection, office, each, "The debt is paid.", paid)
        else:
            _part_paid(connection, office, rules, each, left, paid)


def _part_paid(
    connection: Connection,
    office: Office,
    rules: CollectionRules,
    case: Case,
    left: Overdue,
    paid_minor: int,
) -> None:
    """Somebody has paid something: enough for some days in peace, or for the light, or neither."""
    at = office.now()
    debt = left.debt(office, at)
    before = left.minor + paid_minor
    part = rules.part_payment
    words = "A part of it is paid."
    if paid_minor * 100 >= part.percent * before and case.next_at is not None:
        day = at.astimezone(office.zone).date() + timedelta(days=part.grace_days)
        until = day_begin(office, rules, day)
        if until > case.next_at:
            change(connection, case.case_id, next_at=until)
            words = f"A part of it is paid: no step before {until:%Y-%m-%d}."
    log(
        connection,
        office,
        case.case_id,
        ActKind.PART_PAID,
        words,
        debt,
        paid_minor=paid_minor,
    )
    if paid_minor * 100 >= part.reconnect_percent * before:
        reconnect(connection, office, case, words, debt)
