"""The credit score: points for findings in an account's payment record and use, with reasons.

A plain sum that anyone can check by hand (specs/utility.md 24): it begins at ``score.start`` of
the rules, each finding adds or takes points, and the sum stays between 0 and 1000.  The band says
which terms the other rooms may offer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, insert, select

from billing.accounts.tables import customer_accounts
from billing.collecting.passes import begin_part, end_part, is_done
from billing.collecting.record import MonthRecord, histories, months_of
from billing.collecting.rule_store import RulesInForce, rules_in_force
from billing.collecting.rules import Band, CollectionRules
from billing.collecting.tables import (
    collection_cases,
    instalment_plans,
    score_snapshots,
    write_offs,
)
from billing.faults import UnknownAccountError
from billing.office import Office
from billing.settlement.tables import settlements

_DAY: Final = timedelta(days=1)
_MONTH_DAYS: Final = 30
_YEAR_DAYS: Final = 365
_YEARS_MAX: Final = 5
_MONTHS_OWED_MAX: Final = 3
_FEW_MONTHS: Final = 3
_RECENT_DAYS: Final = 90
_AT_ONCE: Final = 500
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding, and what it moved."""

    code: str
    words: str
    points: int

    def __str__(self) -> str:
        return f"{self.words}: {self.points:+d}"


@dataclass(frozen=True, slots=True)
class Score:
    """How good a payer an account is."""

    points: int
    """0 to 1000; more is better."""
    band: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a score is made of."""

    months: Sequence[MonthRecord]
    """The last ones whose due dates have passed, the oldest first."""
    overdue_minor: int
    customer_days: int
    bounced: int = 0
    disconnected: int = 0
    plans_broken: int = 0
    plans_kept: int = 0
    written_off: bool = False
    recent_use_wh: int = 0
    """Of the last 90 days."""
    earlier_use_wh: int = 0
    """Of the 270 days before them."""
    earlier_use_days: int = 0
    """How many of those days there was a settlement for."""


def score_of(rules: CollectionRules, facts: Facts) -> Score:
    """The score of facts.  Pure."""
    reasons = [Reason("start", "everybody begins with", rules.score.start)]
    reasons += _of_months(rules, facts)
    reasons += _of_events(rules, facts)
    reasons += _of_use(rules, facts)
    points = max(0, min(_MOST, sum(each.points for each in reasons)))
    return Score(points, rules.band(points).name, tuple(reasons))


def score(connection: Connection, office: Office, account_id: int, at: datetime) -> Score:
    """The credit score of an account.

    Raises:
        UnknownAccountError: there is no such account.
    """
    found = scores(connection, office, [account_id], at)
    if account_id not in found:
        raise UnknownAccountError(f"There is no account with the id {account_id}.")
    return found[account_id]


def scores(
    connection: Connection, office: Office, account_ids: Sequence[int], at: datetime
) -> dict[int, Score]:
    """The credit scores of many accounts; ids without an account are left out."""
    rules = rules_in_force(connection).rules
    found: dict[int, Score] = {}
    for place in range(0, len(account_ids), _AT_ONCE):
        part = account_ids[place : place + _AT_ONCE]
        facts = facts_of(connection, office, part, at, rules)
        found |= {account_id: score_of(rules, each) for account_id, each in facts.items()}
    return found


def terms(connection: Connection, office: Office, account_id: int, at: datetime) -> Band:
    """The terms of an account's band, for whoever agrees on due dates, deposits and limits.

    Raises:
        UnknownAccountError: there is no such account.
    """
    rules = rules_in_force(connection).rules
    return rules.band(score(connection, office, account_id, at).points)


def snapshot_scores(office: Office, parts_max: int = 10) -> int:
    """Keep the scores of the month, once for each account; how many were kept now.

    Args:
        office: the office.
        parts_max: of 500 accounts each.
    """
    name = f"scores {office.today():%Y-%m}"
    kept = 0
    with office.reading() as connection:
        if is_done(connection, name):
            return 0
    for _ in range(parts_max):
        with office.writing() as connection:
            last = begin_part(connection, name)
            if last is None:
                break
            account_ids = connection.scalars(
                select(customer_accounts.c.account_id)
                .where(
                    customer_accounts.c.account_id > last,
                    customer_accounts.c.state.in_(["active", "closing"]),
                )
                .order_by(customer_accounts.c.account_id)
                .limit(_AT_ONCE)
            ).all()
            if account_ids:
                kept += _keep(connection, office, account_ids, rules_in_force(connection))
            end_part(connection, name, account_ids[-1] if account_ids else None, office.now())
            if not account_ids:
                break
    return kept


def facts_of(
    connection: Connection,
    office: Office,
    account_ids: Sequence[int],
    at: datetime,
    rules: CollectionRules,
) -> dict[int, Facts]:
    """What the scores of some accounts are made of, as it was known at a moment."""
    since = at - (rules.score.months + 1) * _MONTH_DAYS * _DAY
    opened = {
        row.account_id: row.opened_at
        for row in connection.execute(
            select(customer_accounts.c.account_id, customer_accounts.c.opened_at).where(
                customer_accounts.c.account_id.in_(account_ids)
            )
        )
    }
    cut = _disconnects(connection, account_ids, since, at)
    plans = _plans(connection, account_ids, since, at)
    lost = _written_off(connection, account_ids, at)
    recent = _use(connection, account_ids, at - _RECENT_DAYS * _DAY, at)
    before = at - _RECENT_DAYS * _DAY
    earlier = _use(connection, account_ids, before - 3 * _RECENT_DAYS * _DAY, before)
    found: dict[int, Facts] = {}
    for account_id, history in histories(connection, sorted(opened), since, at):
        months = months_of(history, office.zone, at, rules.score.late_days)
        overdue = sum(
            each.amount_minor for each in history.dues if each.paid_at is None and each.due_at <= at
        )
        found[account_id] = Facts(
            months=tuple(months.values())[-rules.score.months :],
            overdue_minor=overdue,
            customer_days=max(0, (at - opened[account_id]) // _DAY),
            bounced=history.bounced,
            disconnected=cut.get(account_id, 0),
            plans_broken=plans.get((account_id, "broken"), 0),
            plans_kept=plans.get((account_id, "kept"), 0),
            written_off=account_id in lost,
            recent_use_wh=recent.get(account_id, (0, 0))[0],
            earlier_use_wh=earlier.get(account_id, (0, 0))[0],
            earlier_use_days=earlier.get(account_id, (0, 0))[1],
        )
    return found


def _of_months(rules: CollectionRules, facts: Facts) -> list[Reason]:
    points, months = rules.score, facts.months
    unpaid = [each for each in months if not each.paid]
    late = [each for each in months if each.paid and each.days_late]
    very = [each for each in late if each.days_late > points.very_late_days]
    slightly = len(late) - len(very)
    in_time = len(months) - len(unpaid) - len(late)
    of = len(months)
    days = points.very_late_days
    reasons = [
        _times("on_time", f"paid in time {in_time} of {of} months", in_time, points.on_time),
        _times("late", f"paid late {slightly} of {of} months", slightly, points.late),
        _times(
            "very_late",
            f"paid more than {days} days late {len(very)} of {of} months",
            len(very),
            points.very_late,
        ),
        _times("unpaid", f"not paid {len(unpaid)} of {of} months", len(unpaid), points.unpaid),
    ]
    if of < _FEW_MONTHS:
        reasons.append(Reason("new_customer", f"only {of} months of record", points.new_customer))
    billed = sum(each.due_minor for each in months)
    if of and billed and facts.overdue_minor:
        owes = min(_MONTHS_OWED_MAX, facts.overdue_minor * of // billed)
        reasons.append(_times("owes_months", f"owes {owes} usual months", owes, points.owes_months))
    return [each for each in reasons if each.points]


def _of_events(rules: CollectionRules, facts: Facts) -> list[Reason]:
    points = rules.score
    years = min(_YEARS_MAX, facts.customer_days // _YEAR_DAYS)
    reasons = [
        _times("bounced", f"{facts.bounced} payments undone", facts.bounced, points.bounced),
        _times(
            "disconnected",
            f"disconnected for arrears {facts.disconnected} times",
            facts.disconnected,
            points.disconnected,
        ),
        _times(
            "plan_broken",
            f"{facts.plans_broken} instalment plans broken",
            facts.plans_broken,
            points.plan_broken,
        ),
        _times(
            "plan_kept",
            f"{facts.plans_kept} instalment plans kept",
            facts.plans_kept,
            points.plan_kept,
        ),
        _times("written_off", "a debt was written off", facts.written_off, points.written_off),
        _times("long_customer", f"a customer for {years} years", years, points.long_customer),
    ]
    return [each for each in reasons if each.points]


def _of_use(rules: CollectionRules, facts: Facts) -> list[Reason]:
    """Use that halved or doubled: somebody moved out, or lives otherwise than was agreed."""
    if facts.earlier_use_days < _RECENT_DAYS or facts.earlier_use_wh <= 0:
        return []
    usual = facts.earlier_use_wh * _RECENT_DAYS // facts.earlier_use_days
    if usual <= 2 * facts.recent_use_wh and facts.recent_use_wh <= 2 * usual:
        return []
    percent = facts.recent_use_wh * 100 // max(usual, 1)
    words = f"use of the last 90 days is {percent} % of what it was before"
    return [Reason("swinging_use", words, rules.score.swinging_use)]


def _times(code: str, words: str, times: int, each: int) -> Reason:
    return Reason(code, words, int(times) * each)


def _keep(
    connection: Connection, office: Office, account_ids: Sequence[int], rules: RulesInForce
) -> int:
    at = office.now()
    facts = facts_of(connection, office, account_ids, at, rules.rules)
    rows = []
    for account_id, each in facts.items():
        found = score_of(rules.rules, each)
        reasons = [asdict(reason) for reason in found.reasons]
        rows.append(
            {
                "account_id": account_id,
                "month": f"{office.today():%Y-%m}",
                "points": found.points,
                "band": found.band,
                "reasons": json.dumps(reasons, sort_keys=True, separators=(",", ":")),
                "rules_version": rules.version,
                "made_at": at,
            }
        )
    connection.execute(insert(score_snapshots), rows)
    return len(rows)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A score as it was kept."""

    month: date
    score: Score


def snapshots_of(connection: Connection, account_id: int) -> list[Snapshot]:
    """The scores of an account that were kept, the newest first."""
    rows = connection.execute(
        select(score_snapshots)
        .where(score_snapshots.c.account_id == account_id)
        .order_by(score_snapshots.c.month.desc())
    )
    return [
        Snapshot(
            date.fromisoformat(f"{row.month}-01"),
            Score(row.points, row.band, tuple(Reason(**each) for each in json.loads(row.reasons))),
        )
        for row in rows
    ]


def _disconnects(
    connection: Connection, account_ids: Sequence[int], since: datetime, at: datetime
) -> dict[int, int]:
    cases = collection_cases.c
    rows = connection.execute(
        select(cases.account_id, func.count())
        .where(
            cases.account_id.in_(account_ids),
            cases.disconnect_asked_at > since,
            cases.disconnect_asked_at <= at,
        )
        .group_by(cases.account_id)
    )
    return {account_id: int(count) for account_id, count in rows}


def _plans(
    connection: Connection, account_ids: Sequence[int], since: datetime, at: datetime
) -> dict[tuple[int, str], int]:
    plans = instalment_plans.c
    rows = connection.execute(
        select(plans.account_id, plans.state, func.count())
        .where(plans.account_id.in_(account_ids), plans.ended_at > since, plans.ended_at <= at)
        .group_by(plans.account_id, plans.state)
    )
    return {(account_id, state): int(count) for account_id, state, count in rows}


def _written_off(connection: Connection, account_ids: Sequence[int], at: datetime) -> set[int]:
    there = write_offs.c
    return set(
        connection.scalars(
            select(there.account_id).where(
                there.account_id.in_(account_ids),
                there.done_at <= at,
                there.recovered_minor < there.amount_minor,
            )
        )
    )


def _use(
    connection: Connection, account_ids: Sequence[int], since: datetime, until: datetime
) -> dict[int, tuple[int, int]]:
    """Energy settled in a span, and over how many days of it."""
    there = settlements.c
    rows = connection.execute(
        select(
            there.account_id,
            func.sum(there.energy_wh),
            func.min(there.since),
            func.max(there.until),
        )
        .where(there.account_id.in_(account_ids), there.until > since, there.until <= until)
        .group_by(there.account_id)
    )
    found = {}
    for account_id, energy, first, last in rows:
        found[account_id] = int(energy), (last - max(first, since)) // _DAY
    return found


def is_good_payer(connection: Connection, office: Office, account_id: int) -> bool:
    """Whether an account is in a band that the rules spare longer: for the prepay loop."""
    good = rules_in_force(connection).rules.good_bands
    return score(connection, office, account_id, office.now()).band in good
