"""Late fees (滞纳金): for each day behind the due day, by class, capped, each day once.

For each bill and each day of the utility's calendar that has ended since its due day (and days of
grace), what was open of the bill at the end of the day bears the rate of the class of that day.  A
payment on a day counts for that day; late fees bear none themselves.  The exact amounts of a
bill's days are added up in 10^-6 of a minor unit, and what is charged is the whole minor units of
that sum, in the customer's favour, and never more than the cap: that part of what was open on the
first late day.  So a bill's late fee is the same whether the sweep comes every day or once a month.

A payment on a day may be told of days later: what the days since have cost too much is given back
when it comes in (`billing.bills.late_fees_back`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from billing.accounts.tables import customer_accounts
from billing.bills.due import Credit, Standing, credits_since, open_of, standings_of
from billing.bills.lines import LATE_FEE_SOURCE
from billing.bills.tables import bill_standings, late_fee_days, late_fee_rules
from billing.faults import BadEntryError
from billing.ledger.books import LATE_FEES
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from billing.person import Right
from storage.audit import record

_MICRO: Final = 1_000_000
_AT_ONCE: Final = 200
"""Accounts in one transaction."""


@dataclass(frozen=True, slots=True)
class LateFeeRule:
    """What a class pays for paying late, since a day."""

    customer_class: str
    since: date
    per_day_ppm: int
    """Of what is open: 1000 is 0.1 % a day."""
    cap_bp: int
    """Of what was open on the first late day: 10000 is all of it."""
    grace_days: int = 0
    """Free days behind the due day."""
    from_minor: int = 0
    """Less than this bears no late fee."""


@dataclass(frozen=True, slots=True)
class LateDay:
    """One day's late fee of a bill."""

    day: date
    open_minor: int
    per_day_ppm: int
    exact_micro: int
    """Of all days so far, uncapped, in 10^-6 minor units."""
    amount_minor: int
    """Of this day."""


@dataclass(slots=True)
class Charged:
    """A bill's days, and where it stands behind them."""

    standing: Standing
    days: list[LateDay]
    base_minor: int | None
    is_settled: bool = False


def sweep(office: Office) -> int:
    """Charge all days that have ended and were not charged yet; gives how many entries.

    May be killed, repeated, and run by several at once.
    """
    today = office.today()
    posted = last = 0
    while True:
        with office.writing() as connection:
            candidates = _candidates(connection, office.day_start(today), last)
            if not candidates:
                return posted
            last = candidates[-1]
            mine = connection.scalars(
                select(customer_accounts.c.account_id)
                .where(customer_accounts.c.account_id.in_(candidates))
                .order_by(customer_accounts.c.account_id)
                .with_for_update(key_share=True, skip_locked=True)
            ).all()
            posted += _charge(connection, office, mine, today)


def rules_of(connection: Connection) -> dict[str, list[LateFeeRule]]:
    """All rules by class, in order of their days."""
    found: dict[str, list[LateFeeRule]] = {}
    rows = connection.execute(select(late_fee_rules).order_by(late_fee_rules.c.since))
    for row in rows:
        found.setdefault(row.customer_class, []).append(_rule(row))
    return found


def rules_on(connection: Connection, day: date) -> dict[str, LateFeeRule]:
    """The rule of each class that holds on a day, and charges anything."""
    found = {}
    for customer_class, mine in rules_of(connection).items():
        rule = _rule_on(mine, day)
        if rule is not None and rule.per_day_ppm and rule.cap_bp:
            found[customer_class] = rule
    return found


def late_days_of(connection: Connection, bill_id: int) -> list[LateDay]:
    """How the late fee of a bill came about, day by day."""
    rows = connection.execute(
        select(late_fee_days)
        .where(late_fee_days.c.bill_id == bill_id)
        .order_by(late_fee_days.c.day)
    )
    return [
        LateDay(
            date.fromisoformat(row.day),
            row.open_minor,
            row.per_day_ppm,
            row.exact_micro,
            row.amount_minor,
        )
        for row in rows
    ]


class LateFeeDesk:
    """The rules of late fees.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def list(self) -> list[LateFeeRule]:
        """All rules, the newest of each class last."""
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            return [each for mine in rules_of(connection).values() for each in mine]

    def set(self, rule: LateFeeRule) -> None:
        """Set a rule; the one before it holds until then.

        Raises:
            BadEntryError: its day is over (those are charged), or the class has one of that day.
        """
        self._office.require(Right.TARIFFS)
        if rule.since < self._office.today():
            raise BadEntryError(
                f"A rule for late fees begins today or later, not on {rule.since}: the days before "
                "are charged by the rules that held."
            )
        at, who = self._office.now(), self._office.person.name
        row = {
            "customer_class": rule.customer_class,
            "since": rule.since.isoformat(),
            "per_day_ppm": rule.per_day_ppm,
            "cap_bp": rule.cap_bp,
            "grace_days": rule.grace_days,
            "from_minor": rule.from_minor,
            "set_by": who,
            "set_at": at,
        }
        with self._office.writing() as connection:
            known = connection.execute(
                select(late_fee_rules.c.since).where(
                    late_fee_rules.c.customer_class == rule.customer_class,
                    late_fee_rules.c.since >= rule.since.isoformat(),
                )
            ).first()
            if known is not None:
                raise BadEntryError(
                    f"{rule.customer_class.capitalize()} customers have a rule since "
                    f"{known.since}: a new one begins later."
                )
            connection.execute(insert(late_fee_rules), row)
            record(
                connection,
                at,
                actor=who,
                action="late_fee_rule.set",
                subject=rule.customer_class,
                detail=f"{rule.per_day_ppm} ppm a day, cap {rule.cap_bp} bp, from {rule.since}",
            )


def _candidates(connection: Connection, today: datetime, last: int) -> list[int]:
    """Accounts with open bills behind their due day, that were not looked at today."""
    return list(
        connection.scalars(
            select(bill_standings.c.account_id)
            .distinct()
            .where(
                bill_standings.c.account_id > last,
                bill_standings.c.settled_at.is_(None),
                bill_standings.c.replaced_by.is_(None),
                bill_standings.c.due_at < today,
                or_(
                    bill_standings.c.late_through.is_(None),
                    bill_standings.c.late_through < today,
                ),
            )
            .order_by(bill_standings.c.account_id)
            .limit(_AT_ONCE)
        )
    )


def _charge(connection: Connection, office: Office, account_ids: Sequence[int], today: date) -> int:
    standings = standings_of(connection, account_ids)
    paid = credits_since(connection, standings)
    rules = rules_of(connection)
    classes = classes_of(connection, standings)
    charged: list[Charged] = []
    for account_id, mine in standings.items():
        by_class = rules.get(classes[account_id], ())
        charged += charged_days(mine, paid[account_id], by_class, office, today)
    entries = [
        _entry(office, each.standing, day)
        for each in charged
        for day in each.days
        if day.amount_minor
    ]
    seqs = iter([each.seq for each in post(connection, office, entries)] if entries else ())
    rows = [
        {
            "bill_id": each.standing.bill.bill_id,
            "day": day.day.isoformat(),
            "account_id": each.standing.bill.account_id,
            "open_minor": day.open_minor,
            "per_day_ppm": day.per_day_ppm,
            "exact_micro": day.exact_micro,
            "amount_minor": day.amount_minor,
            "entry_seq": next(seqs) if day.amount_minor else None,
        }
        for each in charged
        for day in each.days
    ]
    if rows:
        connection.execute(insert(late_fee_days), rows)
    _keep(connection, office, charged, today)
    return len(entries)


def charged_days(
    standings: Sequence[Standing],
    paid: Sequence[Credit],
    rules: Sequence[LateFeeRule],
    office: Office,
    until: date,
    rates: Mapping[tuple[int, date], int] = MappingProxyType({}),
) -> list[Charged]:
    """The late fees of the days that were not looked at yet, bill by bill.  Moves nothing.

    Args:
        standings: of one account, in order, at least one.
        paid: behind the first of them.
        rules: of the account's class, in order.
        office: the office.
        until: the first day that has not ended.
        rates: what days were charged by, by bill: these days were late, and bear that.
    """
    charged = [Charged(each, [], each.late_base_minor) for each in standings]
    first = min([*(_first_day(each, office) for each in standings), *(day for _, day in rates)])
    for day in _from(first, until):
        left = open_of(standings, paid, office.day_start(day + timedelta(days=1)))
        rule = _rule_on(rules, day)
        for each, open_minor in zip(charged, left, strict=True):
            rate = rates.get((each.standing.bill.bill_id, day))
            if rate is None and day < _first_day(each.standing, office):
                continue
            each.is_settled = open_minor == 0
            if rule is None or not open_minor:
                continue
            if rate is not None:
                _add(each, replace(rule, per_day_ppm=rate), day, open_minor)
            elif _is_late(each.standing, rule, office, day):
                _add(each, rule, day, open_minor)
    return charged


def _add(each: Charged, rule: LateFeeRule, day: date, open_minor: int) -> None:
    if open_minor < rule.from_minor or not rule.per_day_ppm:
        return
    if each.base_minor is None:
        each.base_minor = open_minor
    standing = each.standing
    exact = standing.late_micro + open_minor * rule.per_day_ppm
    whole = min(exact // _MICRO, each.base_minor * rule.cap_bp // 10_000)
    amount = max(0, whole - standing.late_minor)
    each.standing = replace(standing, late_micro=exact, late_minor=standing.late_minor + amount)
    if amount or exact // _MICRO <= standing.late_minor:
        each.days.append(LateDay(day, open_minor, rule.per_day_ppm, exact, amount))


def _keep(connection: Connection, office: Office, charged: Sequence[Charged], today: date) -> None:
    """Where the bills stand now."""
    through, now = office.day_start(today), office.now()
    rows = [
        {
            "b_bill_id": each.standing.bill.bill_id,
            "late_through": through,
            "late_base_minor": each.base_minor,
            "late_micro": each.standing.late_micro,
            "late_minor": each.standing.late_minor,
            "settled_at": now if each.is_settled else None,
        }
        for each in charged
        if each.standing.due_at <= through
    ]
    if not rows:
        return
    connection.execute(
        update(bill_standings)
        .where(bill_standings.c.bill_id == bindparam("b_bill_id"))
        .values({name: bindparam(name) for name in rows[0] if name != "b_bill_id"}),
        rows,
    )


def _first_day(standing: Standing, office: Office) -> date:
    """The first day that has to be looked at: behind the due day, and not looked at yet."""
    since = standing.due_at
    if standing.late_through is not None:
        since = max(since, standing.late_through)
    day = since.astimezone(office.zone).date()
    return day if office.day_start(day) >= since else day + timedelta(days=1)


def _is_late(standing: Standing, rule: LateFeeRule, office: Office, day: date) -> bool:
    due = standing.due_at.astimezone(office.zone).date()
    return day >= due + timedelta(days=rule.grace_days)


def _rule_on(rules: Sequence[LateFeeRule], day: date) -> LateFeeRule | None:
    place = bisect_right(rules, day, key=lambda rule: rule.since)
    return rules[place - 1] if place else None


def _from(first: date, until: date) -> Iterator[date]:
    while first < until:
        yield first
        first += timedelta(days=1)


def _entry(office: Office, standing: Standing, day: LateDay) -> Entry:
    bill = standing.bill
    return Entry(
        account_id=bill.account_id,
        kind=EntryKind.LATE_FEE,
        amount_minor=-day.amount_minor,
        counter=LATE_FEES,
        source=f"{LATE_FEE_SOURCE} {bill.number}",
        words=f"late fee for {day.day} on {office.currency.text(day.open_minor)} "
        f"of bill {bill.number}",
    )


def classes_of(connection: Connection, account_ids: Iterable[int]) -> dict[int, str]:
    """The class of each account, now."""
    rows = connection.execute(
        select(customer_accounts.c.account_id, customer_accounts.c.customer_class).where(
            customer_accounts.c.account_id.in_(list(account_ids))
        )
    )
    return {row.account_id: row.customer_class for row in rows}


def _rule(row: Any) -> LateFeeRule:
    return LateFeeRule(
        customer_class=row.customer_class,
        since=date.fromisoformat(row.since),
        per_day_ppm=row.per_day_ppm,
        cap_bp=row.cap_bp,
        grace_days=row.grace_days,
        from_minor=row.from_minor,
    )
