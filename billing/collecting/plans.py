"""Instalment plans: a debt goes to the purse `plan` and comes back part by part.

What is agreed on leaves the current purse at once, so that nothing of it is overdue; each part
comes back some days before it is due, as a debit with its due date.  Both ways pass through
`books.BETWEEN`, so that the books stay as they are.  A part that is unpaid some days after its
due date breaks the plan: the rest comes back at once, and the case goes on at its step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from billing.collecting.ageing import due_day, open_items_of
from billing.collecting.cases import Outcome, close_case, pause_case, resume_case, running_cases
from billing.collecting.faults import (
    NothingOwedError,
    OtherPersonError,
    PlanError,
    PlanStateError,
    UnknownPlanError,
)
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import PlanTerms
from billing.collecting.standings import Overdue, overdue_of
from billing.collecting.stepping import reconnect
from billing.collecting.tables import instalment_plans, instalments
from billing.faults import BadEntryError
from billing.ledger.books import BETWEEN
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balances, lock, post
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.office import Office
from billing.person import Right
from storage import audit

_AT_ONCE: Final = 100


class PlanState(StrEnum):
    """Where a plan stands."""

    ASKED = "asked"
    """It waits for a second person; nothing was moved."""
    ACTIVE = "active"
    KEPT = "kept"
    BROKEN = "broken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Instalment:
    """A part of a plan."""

    number: int
    amount_minor: int
    call_at: datetime
    due_at: datetime
    called_at: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """An instalment plan."""

    plan_id: int
    account_id: int
    state: PlanState
    amount_minor: int
    reason: str
    two_because: str | None
    """Why it takes a second person; None: it does not."""
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    agreed_at: datetime | None
    ended_at: datetime | None
    parts: tuple[Instalment, ...]

    @property
    def left_minor(self) -> int:
        """What has not come back yet."""
        return sum(each.amount_minor for each in self.parts if each.called_at is None)


def divided(amount_minor: int, parts: int) -> list[int]:
    """An amount in equal parts, the first ones a minor unit larger."""
    each, rest = divmod(amount_minor, parts)
    return [each + (place < rest) for place in range(parts)]


@dataclass(frozen=True, slots=True)
class PlanDesk:
    """Ask for plans, approve them, look at them."""

    office: Office

    def ask(
        self,
        account_id: int,
        *,
        parts: int,
        reason: str,
        amount_minor: int | None = None,
        first_on: date | None = None,
        days_between: int | None = None,
    ) -> Plan:
        """Have a debt paid in parts; above a limit it waits for a second person.

        Args:
            account_id: whose.
            parts: how many, the first ones a minor unit larger.
            reason: why.
            amount_minor: of what is owed; None: all that is overdue, or else all that is owed.
            first_on: last day to pay the first part; None: as far away as parts are apart.
            days_between: between the parts; None: as the rules say.

        Raises:
            NothingOwedError: so much is not owed.
            PlanError: it is not as the rules want it.
            PlanStateError: the account has one already.
            BadEntryError: no reason.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        if not reason.strip():
            raise BadEntryError("Say why it is paid in parts: an auditor will ask.")
        with self.office.writing() as connection:
            lock(connection, [account_id])
            terms = rules_in_force(connection).rules.plan
            gap = terms.days_between if days_between is None else days_between
            amount = _amount(connection, self.office, account_id, amount_minor)
            _require_fit(self.office, terms, amount, parts, gap, first_on)
            if _running(connection, account_id) is not None:
                raise PlanStateError("The account has an instalment plan that has not ended.")
            two = _two_because(self.office, terms, amount, parts)
            plan_id: int = connection.execute(
                insert(instalment_plans)
                .values(
                    account_id=account_id,
                    state=PlanState.ASKED.value,
                    amount_minor=amount,
                    reason=reason.strip(),
                    two_because=two,
                    asked_by=self.office.person.name,
                    asked_at=self.office.now(),
                )
                .returning(instalment_plans.c.plan_id)
            ).scalar_one()
            first = first_on or self.office.today() + timedelta(days=gap)
            _add_parts(connection, self.office, plan_id, divided(amount, parts), first, gap, terms)
            plan = plan_of(connection, plan_id)
            if two is None:
                plan = _begin(connection, self.office, plan, None)
            _record(connection, self.office, "plan.ask", plan, reason.strip())
            return plan

    def approve(self, plan_id: int) -> Plan:
        """Be the second person of a plan: it begins.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            OtherPersonError: who asked approves.
            NothingOwedError: so much is not owed any more.
            RightMissingError: the person may not approve.
        """
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            plan = _asked(connection, plan_id)
            who = self.office.person.name
            if not who or who == plan.asked_by:
                raise OtherPersonError(
                    f"Plan {plan_id} takes a second person ({plan.two_because}): "
                    f"{plan.asked_by or 'nobody'} asked for it and cannot approve it too."
                )
            _amount(connection, self.office, plan.account_id, plan.amount_minor)
            plan = _begin(connection, self.office, plan, who)
            _record(connection, self.office, "plan.approve", plan, plan.two_because or "")
            return plan

    def refuse(self, plan_id: int, why: str) -> Plan:
        """Refuse a plan that waits for a second person; nothing was moved.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        with self.office.writing() as connection:
            plan = _asked(connection, plan_id)
            _change(connection, plan_id, state=PlanState.REFUSED.value, ended_at=self.office.now())
            _record(connection, self.office, "plan.refuse", plan, why)
            return plan_of(connection, plan_id)

    def show(self, plan_id: int) -> Plan:
        """A plan by its number.

        Raises:
            UnknownPlanError: there is none.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return plan_of(connection, plan_id)

    def list(self, *, state: PlanState | None = None, limit: int = 100) -> list[Plan]:
        """Plans, the newest first."""
        self.office.require(Right.LOOK)
        query = select(instalment_plans).order_by(instalment_plans.c.plan_id.desc())
        if state is not None:
            query = query.where(instalment_plans.c.state == state.value)
        with self.office.reading() as connection:
            return _plans(connection, connection.execute(query.limit(limit)).all())


def plan_of(connection: Connection, plan_id: int) -> Plan:
    """A plan by its number.

    Raises:
        UnknownPlanError: there is none.
    """
    rows = connection.execute(
        select(instalment_plans).where(instalment_plans.c.plan_id == plan_id)
    ).all()
    if not rows:
        raise UnknownPlanError(
            f"There is no instalment plan {plan_id}. `meterhouse collect plan list` shows them."
        )
    return _plans(connection, rows)[0]


def plans_of(connection: Connection, account_id: int) -> list[Plan]:
    """The plans of an account, the newest first: for bills, which show what is still to come."""
    rows = connection.execute(
        select(instalment_plans)
        .where(instalment_plans.c.account_id == account_id)
        .order_by(instalment_plans.c.plan_id.desc())
    )
    return _plans(connection, rows.all())


# By the sweep


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
    plans = [plan_of(connection, plan_id) for plan_id in plan_ids]
    lock(connection, [each.account_id for each in plans])
    entries: list[Entry] = []
    for plan in (plan_of(connection, each.plan_id) for each in plans):
        if plan.state is not PlanState.ACTIVE:
            continue
        due = [each for each in plan.parts if each.called_at is None and each.call_at <= at]
        for each in due:
            words = f"instalment {each.number} of {len(plan.parts)}"
            entries += _back(plan, each.amount_minor, each.due_at, words, each.number)
            connection.execute(
                update(instalments)
                .where(instalments.c.plan_id == plan.plan_id, instalments.c.number == each.number)
                .values(called_at=at)
            )
    if entries:
        post(connection, office, entries)
    return len(entries) // 2


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
    return _plans(connection, rows.all())


def _judged(
    connection: Connection, plans: Sequence[Plan], mark: datetime
) -> tuple[list[int], list[int]]:
    """Which plans are broken, which were kept."""
    open_ = open_items_of(connection, [each.account_id for each in plans])
    broken, kept = [], []
    for plan in plans:
        sources = {_source(plan, each.number): each.due_at for each in plan.parts}
        unpaid = [each.due_at for each in open_.get(plan.account_id, []) if each.source in sources]
        if any(due_at <= mark for due_at in unpaid):
            broken.append(plan.plan_id)
        elif not unpaid and not plan.left_minor:
            kept.append(plan.plan_id)
    return broken, kept


def _end(connection: Connection, office: Office, plan_id: int, mark: datetime) -> int:
    plan = plan_of(connection, plan_id)
    lock(connection, [plan.account_id])
    plan = plan_of(connection, plan_id)
    if plan.state is not PlanState.ACTIVE:
        return 0
    broken, kept = _judged(connection, [plan], mark)
    if broken:
        _break(connection, office, plan)
    elif kept:
        _change(connection, plan_id, state=PlanState.KEPT.value, ended_at=office.now())
        _let_go(connection, office, plan, Outcome.PLAN_KEPT, f"Plan {plan_id} was kept.")
    return len(broken) + len(kept)


def end_with_account(connection: Connection, office: Office, account_id: int) -> None:
    """The account ends, and its plan with it: the rest is due now, no part is called any more.

    Args:
        connection: in a write transaction that has locked the account.
        office: the office.
        account_id: whose.
    """
    plan_id = _running(connection, account_id)
    if plan_id is None:
        return
    plan, why = plan_of(connection, plan_id), "the account is being closed"
    if plan.state is PlanState.ASKED:
        _change(connection, plan_id, state=PlanState.REFUSED.value, ended_at=office.now())
        _record(connection, office, "plan.refuse", plan, why)
        return
    _come_back(connection, office, plan, "which ends with the account")
    _record(connection, office, "plan.broken", plan, why)


def _break(connection: Connection, office: Office, plan: Plan) -> None:
    """The rest is due now, and the case goes on at its step."""
    at = office.now()
    overdue = _come_back(connection, office, plan, "which was broken")
    missed = min((each.due_at for each in overdue.items), default=at)
    about: dict[str, str | int] = {
        "owed_minor": overdue.minor,
        "missed_on": due_day(office, missed).isoformat(),
    }
    once = f"plan {plan.plan_id} broken"
    queue_notice(connection, office, Notice(Event.PLAN_BROKEN, plan.account_id, once, about))
    _record(connection, office, "plan.broken", plan, "an instalment was not paid")


def _come_back(connection: Connection, office: Office, plan: Plan, why: str) -> Overdue:
    """All parts that were not called are due now; gives what is overdue then."""
    at = office.now()
    _change(connection, plan.plan_id, state=PlanState.BROKEN.value, ended_at=at)
    left = plan.left_minor
    if left:
        connection.execute(
            update(instalments)
            .where(instalments.c.plan_id == plan.plan_id, instalments.c.called_at.is_(None))
            .values(called_at=at)
        )
        words = f"the rest of instalment plan {plan.plan_id}, {why}"
        post(connection, office, _back(plan, left, at, words, None))
    case = running_cases(connection, [plan.account_id]).get(plan.account_id)
    overdue = overdue_of(connection, [plan.account_id], at)[plan.account_id]
    if case is not None:
        words = f"Plan {plan.plan_id} was broken."
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


# Parts of it


def _begin(connection: Connection, office: Office, plan: Plan, approved_by: str | None) -> Plan:
    at = office.now()
    _change(
        connection,
        plan.plan_id,
        state=PlanState.ACTIVE.value,
        agreed_at=at,
        approved_by=approved_by,
    )
    overdue = overdue_of(connection, [plan.account_id], at)[plan.account_id]
    case = running_cases(connection, [plan.account_id]).get(plan.account_id)
    words = f"Instalment plan {plan.plan_id} was agreed."
    if case is not None and overdue.minor <= plan.amount_minor:
        # before the posting: what that pays must not end the case
        pause_case(connection, office, case, words, overdue.debt(office, at))
        reconnect(connection, office, case, words)
    source, amount = f"plan {plan.plan_id}", plan.amount_minor
    of_plan = f"to instalment plan {plan.plan_id}"
    there, here = Purse.PLAN, Purse.CURRENT
    entries = [
        Entry(plan.account_id, EntryKind.PLAN, amount, BETWEEN, source, of_plan, here),
        Entry(plan.account_id, EntryKind.PLAN, -amount, BETWEEN, source, of_plan, there),
    ]
    post(connection, office, entries)
    about: dict[str, str | int] = {
        "parts": len(plan.parts),
        "part_minor": plan.parts[0].amount_minor,
        "first_due_on": due_day(office, plan.parts[0].due_at).isoformat(),
        "total_minor": amount,
    }
    once = f"plan {plan.plan_id} agreed"
    queue_notice(connection, office, Notice(Event.PLAN_AGREED, plan.account_id, once, about))
    return plan_of(connection, plan.plan_id)


def _back(
    plan: Plan, amount_minor: int, due_at: datetime, words: str, number: int | None
) -> list[Entry]:
    source = _source(plan, number)
    account_id, kind = plan.account_id, EntryKind.PLAN
    return [
        Entry(account_id, kind, amount_minor, BETWEEN, source, words, Purse.PLAN),
        Entry(account_id, kind, -amount_minor, BETWEEN, source, words, Purse.CURRENT, due_at),
    ]


def _source(plan: Plan, number: int | None) -> str:
    return f"plan {plan.plan_id}" if number is None else f"instalment {plan.plan_id}-{number}"


def _amount(
    connection: Connection, office: Office, account_id: int, amount_minor: int | None
) -> int:
    """What goes into the plan.

    Raises:
        NothingOwedError: so much is not owed.
    """
    owed = -balances(connection, [account_id])[account_id]
    overdue = overdue_of(connection, [account_id], office.now())[account_id].minor
    amount = (overdue or owed) if amount_minor is None else amount_minor
    if amount <= 0 or amount > owed:
        raise NothingOwedError(
            f"The account owes {office.currency.text(max(owed, 0))}: a plan is for some of that."
        )
    return amount


def _require_fit(
    office: Office, terms: PlanTerms, amount: int, parts: int, gap: int, first_on: date | None
) -> None:
    if not 2 <= parts <= terms.parts_max or parts > amount:
        raise PlanError(f"A plan has 2 to {terms.parts_max} parts, each of some money.")
    if not terms.call_days <= gap <= 366 or gap < 1:
        raise PlanError(f"Parts are {max(1, terms.call_days)} to 366 days apart.")
    if first_on is not None:
        ahead = (first_on - office.today()).days
        if not 0 <= ahead <= 366:
            raise PlanError("The first part is due between today and a year from now.")


def _two_because(office: Office, terms: PlanTerms, amount: int, parts: int) -> str | None:
    if amount > terms.approve_above_minor:
        return f"it is for more than {office.currency.text(terms.approve_above_minor)}"
    if parts > terms.approve_above_parts:
        return f"it has more than {terms.approve_above_parts} parts"
    return None


def _add_parts(
    connection: Connection,
    office: Office,
    plan_id: int,
    amounts: Sequence[int],
    first_on: date,
    gap: int,
    terms: PlanTerms,
) -> None:
    rows = []
    for place, amount in enumerate(amounts):
        due_at = office.day_start(first_on + timedelta(days=gap * place + 1))
        rows.append(
            {
                "plan_id": plan_id,
                "number": place + 1,
                "amount_minor": amount,
                "call_at": due_at - timedelta(days=terms.call_days),
                "due_at": due_at,
            }
        )
    connection.execute(insert(instalments), rows)


def _running(connection: Connection, account_id: int) -> int | None:
    return connection.scalar(
        select(instalment_plans.c.plan_id).where(
            instalment_plans.c.account_id == account_id,
            instalment_plans.c.state.in_([PlanState.ASKED.value, PlanState.ACTIVE.value]),
        )
    )


def _asked(connection: Connection, plan_id: int) -> Plan:
    """A plan that waits for a second person, its account locked."""
    lock(connection, [plan_of(connection, plan_id).account_id])
    plan = plan_of(connection, plan_id)
    if plan.state is not PlanState.ASKED:
        raise PlanStateError(f"Plan {plan_id} is {plan.state.value}: it waits for nobody.")
    return plan


def _change(connection: Connection, plan_id: int, **values: object) -> None:
    connection.execute(
        update(instalment_plans).where(instalment_plans.c.plan_id == plan_id).values(**values)
    )


def _plans(connection: Connection, rows: Sequence[Any]) -> list[Plan]:
    parts: dict[int, list[Instalment]] = {}
    found = connection.execute(
        select(instalments)
        .where(instalments.c.plan_id.in_([row.plan_id for row in rows]))
        .order_by(instalments.c.plan_id, instalments.c.number)
    )
    for row in found:
        each = Instalment(row.number, row.amount_minor, row.call_at, row.due_at, row.called_at)
        parts.setdefault(row.plan_id, []).append(each)
    return [
        Plan(**{**row._mapping, "state": PlanState(row.state)}, parts=tuple(parts[row.plan_id]))
        for row in rows
    ]


def _record(connection: Connection, office: Office, action: str, plan: Plan, reason: str) -> None:
    audit.record(
        connection,
        office.now(),
        actor=office.person.name,
        action=action,
        subject=str(plan.plan_id),
        detail=f"account {plan.account_id}, {len(plan.parts)} parts of {plan.amount_minor} in all",
        reason=reason,
    )
