"""Who has paid after which step: whether a reminder is worth its stamp."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, select

from billing.collecting.cases import ActKind
from billing.collecting.tables import collection_acts

_DAY = timedelta(days=1)
BEFORE_ANY = "-"
"""In place of a step: paid before the first one."""


@dataclass(frozen=True, slots=True)
class StepEffect:
    """What came of a step."""

    step: str
    taken: int
    payments: int
    """Payments that came after it and before the next step, those of a part too."""
    settled: int
    """Of them, those that settled the debt."""
    paid_minor: int
    days: int
    """From the step to the payment, the median."""

    @property
    def settled_percent(self) -> int:
        """Of the steps, how many the debt was settled after."""
        return round(100 * self.settled / self.taken) if self.taken else 0


@dataclass(slots=True)
class _Paid:
    payments: int = 0
    settled: int = 0
    paid_minor: int = 0
    days: list[int] = field(default_factory=list)


def effect_of_steps(connection: Connection, since: datetime, until: datetime) -> list[StepEffect]:
    """What came of the steps, in the order of how many were taken.

    Args:
        connection: in any transaction.
        since: steps and payments from then on.
        until: before this moment.
    """
    paid, step = collection_acts.alias("paid"), collection_acts.alias("step")
    span = and_(paid.c.at >= since, paid.c.at < until)
    before = collection_acts.alias("before")
    last = (
        select(func.max(before.c.seq))
        .where(
            before.c.case_id == paid.c.case_id,
            before.c.seq < paid.c.seq,
            before.c.step.is_not(None),
        )
        .correlate(paid)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(paid.c.act, paid.c.at, paid.c.paid_minor, step.c.step, step.c.at.label("step_at"))
        .select_from(paid)
        .outerjoin(step, and_(step.c.case_id == paid.c.case_id, step.c.seq == last))
        .where(
            span,
            paid.c.paid_minor > 0,
            paid.c.act.in_([ActKind.PART_PAID.value, ActKind.CLOSED.value]),
        )
    )
    found: dict[str, _Paid] = {}
    for row in rows:
        each = found.setdefault(row.step or BEFORE_ANY, _Paid())
        each.payments += 1
        each.settled += row.act == ActKind.CLOSED.value
        each.paid_minor += row.paid_minor
        if row.step_at is not None:
            each.days.append((row.at - row.step_at) // _DAY)
    taken = _taken(connection, since, until)
    effects = [
        StepEffect(
            name,
            taken.get(name, 0),
            each.payments,
            each.settled,
            each.paid_minor,
            sorted(each.days)[len(each.days) // 2] if each.days else 0,
        )
        for name in {**taken, **found}
        for each in [found.get(name, _Paid())]
    ]
    return sorted(effects, key=lambda effect: (-effect.taken, effect.step))


def _taken(connection: Connection, since: datetime, until: datetime) -> dict[str, int]:
    there = collection_acts.c
    rows = connection.execute(
        select(there.step, func.count())
        .where(there.at >= since, there.at < until, there.step.is_not(None))
        .group_by(there.step)
    )
    return {step: int(count) for step, count in rows}
