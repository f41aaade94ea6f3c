"""What a case's next step is decided on, for many accounts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from billing.collecting.ageing import OpenItem, age_days, due_day, open_items_of
from billing.collecting.cases import Case, Debt
from billing.collecting.cover import cover_of
from billing.collecting.deciding import Standing
from billing.collecting.rules import CollectionRules
from billing.collecting.score import facts_of, score_of
from billing.collecting.tables import collection_cases
from billing.office import Office
from billing.prepaid.cuts import ENDED as CUT_ENDED
from billing.prepaid.tables import supply_cuts

_MONTH: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Overdue:
    """What of an account is due and not paid."""

    items: tuple[OpenItem, ...]
    owed_minor: int
    """With what is not due yet."""

    @property
    def minor(self) -> int:
        """The sum of it."""
        return sum(each.open_minor for each in self.items)

    def debt(self, office: Office, at: datetime) -> Debt:
        """As acts are logged with it."""
        days = age_days(office, self.items[0].due_at, at) if self.items else 0
        return Debt(self.minor, max(0, days))


def overdue_of(
    connection: Connection, account_ids: Sequence[int], at: datetime
) -> dict[int, Overdue]:
    """What is overdue now; accounts that owe nothing at all have nothing in it too."""
    items = open_items_of(connection, account_ids)
    return {
        account_id: Overdue(
            tuple(each for each in items.get(account_id, []) if each.due_at <= at),
            sum(each.open_minor for each in items.get(account_id, [])),
        )
        for account_id in account_ids
    }


def standings_of(
    connection: Connection,
    office: Office,
    rules: CollectionRules,
    cases: Sequence[Case],
    overdue: Mapping[int, Overdue],
    at: datetime,
) -> dict[int, Standing]:
    """The standing of each case, by account.

    Args:
        connection: in any transaction.
        office: the office.
        rules: in force.
        cases: some hundreds at most.
        overdue: of their accounts.
        at: the moment.
    """
    account_ids = [each.account_id for each in cases]
    cover = cover_of(connection, account_ids, at)
    facts = facts_of(connection, office, account_ids, at, rules)
    ended = _cut_ended(connection, account_ids)
    known = _collected_before(connection, account_ids, at - rules.first_time_months * _MONTH)
    found: dict[int, Standing] = {}
    for each in cases:
        debts = overdue[each.account_id]
        last = each.last_step_at
        found[each.account_id] = Standing(
            customer_class=each.customer_class,
            mode=each.mode,
            is_supplied=each.account_id in cover.supplied,
            overdue_minor=debts.minor,
            oldest_due=due_day(office, debts.items[0].due_at) if debts.items else None,
            steps_done=each.steps_done,
            last_step=each.last_step,
            last_step_on=None if last is None else last.astimezone(office.zone).date(),
            announced_at=each.announced_at,
            band=score_of(rules, facts[each.account_id]).band,
            first_time=each.account_id not in known,
            suspended=cover.suspended.get(each.account_id),
            protected=cover.protected.get(each.account_id),
            cut_ended=f"collection {each.case_id} {each.steps_done}" in ended,
        )
    return found


def _collected_before(
    connection: Connection, account_ids: Sequence[int], since: datetime
) -> set[int]:
    """Accounts with an earlier case in which more than one step was taken."""
    there = collection_cases.c
    return set(
        connection.scalars(
            select(there.account_id).where(
                there.account_id.in_(account_ids), there.closed_at > since, there.steps_done > 1
            )
        )
    )


def _cut_ended(connection: Connection, account_ids: Sequence[int]) -> set[str]:
    """The keys of disconnects that came to nothing, or after which the light has come back.

    Their cases are open all the same: a plan was broken, or only a part was paid.
    """
    there = supply_cuts.c
    return set(
        connection.scalars(
            select(there.once).where(
                there.account_id.in_(account_ids),
                there.state.in_([each.value for each in CUT_ENDED]),
            )
        )
    )
