"""Instalment plans: a debt goes to the purse `plan` and comes back part by part.

What is agreed on leaves the current purse at once, so that nothing of it is overdue; each part
comes back some days before it is due, as a debit with its due date.  Both ways pass through
`books.BETWEEN`, so that the books stay as they are.  A part that is unpaid some days after its
due date breaks the plan: the rest comes back at once, and the case goes on at its step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, insert

from billing.collecting.ageing import due_day
from billing.collecting.cases import pause_case, running_cases
from billing.collecting.faults import PlanError, PlanStateError
from billing.collecting.plan import PLANS, Plan, PlanState, running_plan, source_of
from billing.collecting.requests import require_reason
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import PlanTerms
from billing.collecting.standings import overdue_of
from billing.collecting.stepping import reconnect
from billing.collecting.tables import instalments
from billing.ledger.books import BETWEEN
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import lock, post
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.office import Office
from billing.person import Right


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
        require_reason(reason, "it is paid in parts")
        with self.office.writing() as connection:
            lock(connection, [account_id])
            terms = rules_in_force(connection).rules.plan
            gap = terms.days_between if days_between is None else days_between
            amount = PLANS.amount(connection, self.office, account_id, amount_minor)
            _require_fit(self.office, terms, amount, parts, gap, first_on)
            if running_plan(connection, account_id) is not None:
                raise PlanStateError("The account has an instalment plan that has not ended.")
            two = _two_because(self.office, terms, amount, parts)
            plan_id = PLANS.add(
                connection, self.office, account_id, amount, reason, two_because=two
            )
            first = first_on or self.office.today() + timedelta(days=gap)
            _add_parts(connection, self.office, plan_id, divided(amount, parts), first, gap, terms)
            plan = PLANS.find(connection, plan_id)
            if two is None:
                _begin(connection, self.office, plan, None)
                plan = PLANS.find(connection, plan_id)
            PLANS.record(connection, self.office, "ask", plan, plan.reason)
            return plan

    def approve(self, plan_id: int) -> Plan:
        """Be the second person of a plan: it begins.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            OtherPersonError: who asked approves.
            NothingOwedError: so much is not owed any more.
            RightMissingError: the person may not approve.
        """
        return PLANS.approve(self.office, plan_id, _begin)

    def refuse(self, plan_id: int, why: str) -> Plan:
        """Refuse a plan that waits for a second person; nothing was moved.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            RightMissingError: the person may not collect.
        """
        return PLANS.refuse(self.office, plan_id, why, ended_at=self.office.now())

    def show(self, plan_id: int) -> Plan:
        """A plan by its number.

        Raises:
            UnknownPlanError: there is none.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return PLANS.find(connection, plan_id)

    def list(self, *, state: PlanState | None = None, limit: int = 100) -> list[Plan]:
        """Plans, the newest first."""
        return PLANS.listed(self.office, None if state is None else state.value, limit)


def _begin(connection: Connection, office: Office, plan: Plan, approved_by: str | None) -> None:
    at = office.now()
    active = {"state": PlanState.ACTIVE.value, "agreed_at": at, "approved_by": approved_by}
    PLANS.change(connection, plan.plan_id, active)
    overdue = overdue_of(connection, [plan.account_id], at)[plan.account_id]
    case = running_cases(connection, [plan.account_id]).get(plan.account_id)
    words = f"Instalment plan {plan.plan_id} was agreed."
    if case is not None and overdue.minor <= plan.amount_minor:
        # before the posting: what that pays must not end the case
        pause_case(connection, office, case, words, overdue.debt(office, at))
        reconnect(connection, office, case, words)
    source, amount = source_of(plan.plan_id, None), plan.amount_minor
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
