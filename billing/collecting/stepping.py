"""Move the cases whose time has come, each by one step at most.

A batch is one transaction: the accounts are locked, the cases read again, and what is decided is
done and logged together; a process that dies leaves nothing half done, and of two processes the
second finds the cases moved on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from billing.collecting.cases import (
    ActKind,
    Case,
    CaseState,
    Debt,
    Outcome,
    change,
    close_case,
    log,
    running_cases,
    step_once,
)
from billing.collecting.deciding import Close, Decision, Hold, Rest, Take, Wait, decide
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import CollectionRules, Does, Step
from billing.collecting.standings import Overdue, overdue_of, standings_of
from billing.collecting.tables import collection_cases
from billing.ledger.posting import lock
from billing.notices.outbox import queue_notices
from billing.notices.port import Event, Notice
from billing.office import Office
from billing.prepaid.cuts import CutState
from billing.prepaid.disconnecting import ask_disconnect, ask_reconnect, hold_meters
from billing.prepaid.faults import NoHeadEndError
from headend.faults import HeadEndError
from headend.orders.calendar import load_calendar
from storage.engine import attempt

AT_ONCE: Final = 100
"""Cases in one transaction."""
ASKER: Final = "collecting"
NO_WINDOW: Final = (
    "There is no disconnect window in the next weeks: no disconnect is announced. "
    "`meterhouse window show` shows them."
)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a case."""

    case_id: int
    number: str
    decision: Decision


def step_due(office: Office, *, batches_max: int = 20) -> int:
    """Move all cases that are due; how many were looked at."""
    looked_at = 0
    for _ in range(batches_max):
        with office.reading() as connection:
            due = due_accounts(connection, office.now())
        if not due:
            break
        with office.writing() as connection:
            looked_at += len(step_cases(connection, office, due))
    return looked_at


def due_accounts(connection: Connection, at: datetime) -> list[int]:
    """Accounts whose cases are to be looked at, those that wait longest first."""
    there = collection_cases.c
    return list(
        connection.scalars(
            select(there.account_id)
            .where(there.state == CaseState.OPEN.value, there.next_at <= at)
            .order_by(there.next_at, there.case_id)
            .limit(AT_ONCE)
        )
    )


def step_cases(
    connection: Connection, office: Office, account_ids: Sequence[int], *, now_or_never: bool = True
) -> list[Moved]:
    """Decide the cases of some accounts and do what was decided.

    Args:
        connection: in a write transaction.
        office: the office.
        account_ids: some hundreds at most.
        now_or_never: leave those alone whose time has not come.
    """
    lock(connection, account_ids)
    at = office.now()
    cases = [
        each
        for each in running_cases(connection, account_ids).values()
        if each.state is CaseState.OPEN
        and (not now_or_never or (each.next_at is not None and each.next_at <= at))
    ]
    if not cases:
        return []
    rules = rules_in_force(connection).rules
    overdue = overdue_of(connection, [each.account_id for each in cases], at)
    standings = standings_of(connection, office, rules, cases, overdue, at)
    today = at.astimezone(office.zone).date()
    decided = {each.case_id: decide(rules, standings[each.account_id], at, today) for each in cases}
    _hold_meters(connection, cases, decided)
    moved: list[Moved] = []
    told: list[Notice] = []
    for each in sorted(cases, key=lambda case: case.account_id):
        decision = decided[each.case_id]
        done = _do(connection, office, rules, each, overdue[each.account_id], decision, told)
        moved.append(Moved(each.case_id, each.number, done))
    queue_notices(connection, office, told)
    return moved


def _hold_meters(
    connection: Connection, cases: Sequence[Case], decided: Mapping[int, Decision]
) -> None:
    """Before the first meter is ordered off or on: those of all cases in which one is."""
    off = {each.account_id for each in cases if _disconnects(decided[each.case_id])}
    on = {
        each.account_id
        for each in cases
        if each.disconnect_asked_at is not None and isinstance(decided[each.case_id], Close)
    }
    if off or on:
        hold_meters(connection, off | on, disconnects=bool(off))


def _disconnects(decision: Decision) -> bool:
    return isinstance(decision, Take) and decision.step.does is Does.DISCONNECT


def weigh_cases(connection: Connection, office: Office, account_ids: Sequence[int]) -> list[Moved]:
    """What `step_cases` would do now; writes nothing."""
    at = office.now()
    cases = [
        each
        for each in running_cases(connection, account_ids).values()
        if each.state is CaseState.OPEN
    ]
    rules = rules_in_force(connection).rules
    overdue = overdue_of(connection, [each.account_id for each in cases], at)
    standings = standings_of(connection, office, rules, cases, overdue, at)
    today = at.astimezone(office.zone).date()
    return [
        Moved(each.case_id, each.number, decide(rules, standings[each.account_id], at, today))
        for each in cases
    ]


def settle_case(
    connection: Connection, office: Office, case: Case, words: str, paid_minor: int = 0
) -> None:
    """Nothing is overdue any more: the case ends, and supply that was cut comes back."""
    reconnect(connection, office, case, words)
    close_case(connection, office, case, Outcome.PAID, words, paid_minor=paid_minor)


def reconnect(
    connection: Connection, office: Office, case: Case, words: str, debt: Debt | None = None
) -> None:
    """Have the supply back that a case has cut; the head-end's refusal loses no payment.

    What is refused now is asked again by the prepay loop's sweep.
    """
    if case.disconnect_asked_at is None:
        return
    try:
        with attempt(connection):
            asked = ask_reconnect(connection, office, case.account_id, words)
        told = asked.words or words
    except (HeadEndError, NoHeadEndError) as fault:
        told = str(fault)
    log(connection, office, case.case_id, ActKind.RECONNECT, told, debt or Debt(0, 0))


def _do(
    connection: Connection,
    office: Office,
    rules: CollectionRules,
    case: Case,
    overdue: Overdue,
    decision: Decision,
    told: list[Notice],
) -> Decision:
    """Do what was decided; gives what was done.  Notices are added to ``told``."""
    debt = overdue.debt(office, office.now())
    match decision:
        case Close():
            settle_case(connection, office, case, "Nothing is overdue.")
        case Wait(until, moment):
            at = moment or day_begin(office, rules, until)
            change(connection, case.case_id, next_at=at, held_because=None)
        case Rest(until):
            at = day_begin(office, rules, until)
            change(connection, case.case_id, next_at=at, held_because=None)
        case Hold(because, until):
            _hold(connection, office, rules, case, debt, because, until)
        case Take(step):
            return _take(connection, office, rules, case, overdue, step, told)
    return decision


def _hold(
    connection: Connection,
    office: Office,
    rules: CollectionRules,
    case: Case,
    debt: Debt,
    because: str,
    until: date,
) -> None:
    """Kept once for each reason, not every day."""
    if because != case.held_because:
        log(connection, office, case.case_id, ActKind.HELD, because, debt)
    at = day_begin(office, rules, until)
    change(connection, case.case_id, next_at=at, held_because=because)


def _hold_for_a_day(
    connection: Connection,
    office: Office,
    rules: CollectionRules,
    case: Case,
    debt: Debt,
    because: str,
) -> Hold:
    held = Hold(because, office.today() + timedelta(days=1))
    _hold(connection, office, rules, case, debt, held.because, held.until)
    return held


def _take(
    connection: Connection,
    office: Office,
    rules: CollectionRules,
    case: Case,
    overdue: Overdue,
    step: Step,
    told: list[Notice],
) -> Decision:
    at = office.now()
    debt = overdue.debt(office, at)
    number = case.steps_done + 1
    once = step_once(case.case_id, number)
    values: dict[str, object] = {}
    words = ""
    if step.does is Does.DISCONNECT:
        refused = _disconnect(connection, office, case, debt, once)
        if refused is not None:
            return _hold_for_a_day(connection, office, rules, case, debt, refused)
        values["disconnect_asked_at"] = at
        words = "The head-end was asked for a disconnect."
    else:
        if step.does is Does.DISCONNECT_NOTICE:
            announced_at = _announce(connection, office, step, at)
            if announced_at is None:
                return _hold_for_a_day(connection, office, rules, case, debt, NO_WINDOW)
            values["announced_at"] = announced_at
            words = f"Announced for {announced_at:%Y-%m-%d %H:%M} UTC."
        about = _about(office, overdue, debt, values.get("announced_at"))
        told.append(Notice(Event(step.does.value), case.account_id, once, about))
    log(connection, office, case.case_id, ActKind.STEP, words, debt, step=step.code, step_no=number)
    change(
        connection,
        case.case_id,
        steps_done=number,
        last_step=step.code,
        last_step_at=at,
        debt_class=rules.debt_class(debt.overdue_minor, debt.days),
        held_because=None,
        next_at=day_begin(office, rules, at.astimezone(office.zone).date() + timedelta(days=1)),
        **values,
    )
    return Take(step)


def _disconnect(
    connection: Connection, office: Office, case: Case, debt: Debt, once: str
) -> str | None:
    """Ask for it; why it was refused, None: it was asked."""
    why = f"arrears of {debt.days} days, case {case.case_id}"
    try:
        with attempt(connection):
            asked = ask_disconnect(connection, office, case.account_id, why, once, asker=ASKER)
    except (HeadEndError, NoHeadEndError) as fault:
        return str(fault)
    if asked.cut is None:
        return asked.words
    if asked.cut.once != once and asked.cut.state is CutState.RECONNECTING:
        return "Its supply is about to be switched on: it is asked for when that has ended."
    return None


def _announce(connection: Connection, office: Office, step: Step, at: datetime) -> datetime | None:
    """The time that a disconnect notice names: within the hours in which supply may be cut.

    None: there are none in the next weeks.
    """
    day = at.astimezone(office.zone).date() + timedelta(days=step.ahead_days)
    wanted = office.day_start(day) + timedelta(hours=step.ahead_hour)
    calendar = load_calendar(connection, office.zone)
    return calendar.next_opening(wanted)


def _about(
    office: Office, overdue: Overdue, debt: Debt, announced_at: object
) -> dict[str, str | int]:
    if isinstance(announced_at, datetime):
        return {
            "disconnect_at": announced_at.isoformat(),
            "reason": "arrears",
            "pay_minor": debt.overdue_minor,
        }
    oldest = overdue.items[0].due_at
    due_on = (oldest - timedelta.resolution).astimezone(office.zone).date()
    return {
        "owed_minor": debt.overdue_minor,
        "due_on": due_on.isoformat(),
        "days_late": debt.days,
    }


def day_begin(office: Office, rules: CollectionRules, day: date) -> datetime:
    """When cases are looked at on a day."""
    return office.day_start(day) + timedelta(hours=rules.hour)
