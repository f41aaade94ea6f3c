"""Parts of instalment plans come back to the current purse when their time has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from billing.collecting.plan import PLANS, PlanState, back
from billing.collecting.tables import instalment_plans, instalments
from billing.ledger.entry import Entry
from billing.ledger.posting import lock, post
from billing.office import Office

_AT_ONCE: Final = 100


def call_instalments(office: Office, batches_max: int = 20) -> int:
    """Bring parts whose time has come back to the current purse, each once; how many."""
    called = 0
    for _ in range(batches_max):
        with office.reading() as connection:
            plan_ids = connection.scalars(_to_call(office.now()).limit(_AT_ONCE)).all()
        if not plan_ids:
            break
        with office.writing() as connection:
            called += _call(connection, office, plan_ids)
    return called


def _to_call(at: datetime) -> Any:
    return (
        select(instalments.c.plan_id)
        .join(instalment_plans, instalment_plans.c.plan_id == instalments.c.plan_id)
        .where(
            instalments.c.called_at.is_(None),
            instalments.c.call_at <= at,
            instalment_plans.c.state == PlanState.ACTIVE.value,
        )
        .order_by(instalments.c.plan_id)
        .distinct()
    )


def _call(connection: Connection, office: Office, plan_ids: Sequence[int]) -> int:
    at = office.now()
    plans = [PLANS.find(connection, plan_id) for plan_id in plan_ids]
    lock(connection, [each.account_id for each in plans])
    entries: list[Entry] = []
    for plan in (PLANS.find(connection, each.plan_id) for each in plans):
        if plan.state is not PlanState.ACTIVE:
            continue
        due = [each for each in plan.parts if each.called_at is None and each.call_at <= at]
        for each in due:
            words = f"instalment {each.number} of {len(plan.parts)}"
            entries += back(plan, each.amount_minor, each.due_at, words, each.number)
            connection.execute(
                update(instalments)
                .where(instalments.c.plan_id == plan.plan_id, instalments.c.number == each.number)
                .values(called_at=at)
            )
    if entries:
        post(connection, office, entries)
    return len(entries) // 2
