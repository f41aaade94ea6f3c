"""Instalment plans that end: kept, broken, or with their account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select, update

from billing.collecting.ageing import due_day, open_items_of
from billing.collecting.cases import Outcome, close_case, resume_case, running_cases
from billing.collecting.plan import PLANS, Plan, PlanState, back, plans_in, running_plan, source_of
from billing.collecting.rule_store import rules_in_force
from billing.collecting.standings import Overdue, overdue_of
from billing.collecting.tables import instalment_plans, instalments
from billing.ledger.posting import lock, post
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.office import Office

_AT_ONCE: Final = 100


def end_plans(office: Office, batches_max: int = 20) -> int:
    """Break plans with a part that is unpaid for too long, end those that were kept; how many."""
    ended, last = 0, 0
    for _ in range(batches_max):
        with office.reading() as connection:
            broken_days = rules_in_force(connection).rules.plan.broken_days
            mark = office.now() - timedelta(days=broken_days)
            found = _to_look_at(connection, office.now(), last)
            broken, kept = _judged(connection, found, mark)
        for plan_id in (*broken, *kept):
            with office.writing() as connection:
                ended += _end(connection, office, plan_id, mark)
        if len(found) < _AT_ONCE:
            break
        last = found[-1].plan_id
    return ended


def end_with_account(connection: Connection, office: Office, account_id: int) -> None:
    """The account ends, and its plan with it: the rest is due now, no part is called any more.

    Args:
        connection: in a write transaction that has locked the account.
        office: the office.
        account_id: whose.
    """
    plan_id = running_plan(connection, account_id)
    if plan_id is None:
        return
    plan, why = PLANS.find(connection, plan_id), "the account is being closed"
    if plan.state is PlanState.ASKED:
        PLANS.change(connection, plan_id, _ended(PlanState.REFUSED, office.now()))
        PLANS.record(connection, office, "refuse", plan, why)
        return
    _come_back(connection, office, plan, PlanState.ENDED, "ended with the account")
    PLANS.record(connection, office, "ended", plan, why)


def _ended(state: PlanState, at: datetime) -> dict[str, object]:
    return {"state": state.value, "ended_at": at}


def _to_look_at(connection: Connection, at: datetime, last: int) -> list[Plan]:
    """Active plans with a part that is due already."""
    due = (
        select(instalments.c.plan_id)
        .where(instalments.c.called_at.is_not(None), instalments.c.due_at <= at)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(instalment_plans)
        .where(
            instalment_plans.c.state == PlanState.ACTIVE.value,
            instalment_plans.c.plan_id > last,
            instalment_plans.c.plan_id.in_(due),
        )
        .order_by(instalment_plans.c.plan_id)
        .limit(_AT_ONCE)
    )
    return plans_in(connection, rows.all())


def _judged(
    connection: Connection, plans: Sequence[Plan], mark: datetime
) -> tuple[list[int], list[int]]:
    """Which plans are broken, which were kept."""
    open_ = open_items_of(connection, [each.account_id for each in plans])
    broken, kept = [], []
    for plan in plans:
        sources = {source_of(plan.plan_id, each.number): each.due_at for each in plan.parts}
        unpaid = [each.due_at for each in open_.get(plan.account_id, []) if each.source in sources]
        if any(due_at <= mark for due_at in unpaid):
            broken.append(plan.plan_id)
        elif not unpaid and not plan.left_minor:
            kept.append(plan.plan_id)
    return broken, kept


def _end(connection: Connection, office: Office, plan_id: int, mark: datetime) -> int:
    plan = PLANS.find(connection, plan_id)
    lock(connection, [plan.account_id])
    plan = PLANS.find(connection, plan_id)
    if plan.state is not PlanState.ACTIVE:
        return 0
    broken, kept = _judged(connection, [plan], mark)
    if broken:
        _break(connection, office, plan)
    elif kept:
        PLANS.change(connection, plan_id, _ended(PlanState.KEPT, office.now()))
        _let_go(connection, office, plan, Outcome.PLAN_KEPT, f"Plan {plan_id} was kept.")
    return len(broken) + len(kept)


def _break(connection: Connection, office: Office, plan: Plan) -> None:
    """The rest is due now, and the case goes on at its step."""
    at = office.now()
    overdue = _come_back(connection, office, plan, PlanState.BROKEN, "was broken")
    missed = min((each.due_at for each in overdue.items), default=at)
    about: dict[str, str | int] = {
        "owed_minor": overdue.minor,
        "missed_on": due_day(office, missed).isoformat(),
    }
    once = f"plan {plan.plan_id} broken"
    queue_notice(connection, office, Notice(Event.PLAN_BROKEN, plan.account_id, once, about))
    PLANS.record(connection, office, "broken", plan, "an instalment was not paid")


def _come_back(
    connection: Connection, office: Office, plan: Plan, state: PlanState, how: str
) -> Overdue:
    """All parts that were not called are due now; gives what is overdue then."""
    at = office.now()
    PLANS.change(connection, plan.plan_id, _ended(state, at))
    left = plan.left_minor
    if left:
        connection.execute(
            update(instalments)
            .where(instalments.c.plan_id == plan.plan_id, instalments.c.called_at.is_(None))
            .values(called_at=at)
        )
        words = f"the rest of instalment plan {plan.plan_id}, which {how}"
        post(connection, office, back(plan, left, at, words, None))
    case = running_cases(connection, [plan.account_id]).get(plan.account_id)
    overdue = overdue_of(connection, [plan.account_id], at)[plan.account_id]
    if case is not None:
        words = f"Plan {plan.plan_id} {how}."
        resume_case(connection, office, case, words, overdue.debt(office, at))
    return overdue


def _let_go(
    connection: Connection, office: Office, plan: Plan, outcome: Outcome, words: str
) -> None:
    """End the case that a plan has paused, unless something else is overdue by now."""
    at = office.now()
    case = running_cases(connection, [plan.account_id]).get(plan.account_id)
    if case is None:
        return
    overdue = overdue_of(connection, [plan.account_id], at)[plan.account_id]
    if overdue.items:
        resume_case(connection, office, case, words, overdue.debt(office, at))
    else:
        close_case(connection, office, case, outcome, words)
