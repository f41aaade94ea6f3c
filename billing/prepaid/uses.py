"""What accounts use on their days, from their settlements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, select

from billing.accounts.tables import supplies
from billing.office import Office
from billing.prepaid.running_out import NO_USE, Use, use_of
from billing.settlement.looking import chain_end
from billing.settlement.tables import settlements

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


def uses_of(
    connection: Connection,
    office: Office,
    account_ids: Sequence[int],
    days: int,
    is_rest: Callable[[date], bool],
) -> dict[int, Use]:
    """What the days of accounts cost, of those that were settled lately; all of them are in it.

    The supplies that an account has now are added up; days that were settled for a part only are
    left out.  A settlement of more than a day counts evenly for its days.

    Args:
        connection: in any transaction.
        office: gives zone and time.
        account_ids: at most some hundreds.
        days: how far back one looks.
        is_rest: whether a day is a day of rest.
    """
    today = office.today()
    window = [today - timedelta(days=back) for back in range(days, 0, -1)]
    marks = [office.day_start(day) for day in (*window, today)]
    found = dict.fromkeys(account_ids, NO_USE)
    by_supply: dict[tuple[int, int], _Days] = {}
    for row in connection.execute(_settled(account_ids, marks[0], office.now())):
        each = by_supply.setdefault((row.account_id, row.supply_id), _Days(marks))
        each.add(row.since, row.until, row.sign, row.amount_minor)
    for (account_id, _), each in by_supply.items():
        work, rest = each.costs(window, is_rest)
        found[account_id] = found[account_id] + use_of(work, rest)
    return found


def settled_until(
    connection: Connection, account_ids: Sequence[int], at: datetime
) -> dict[int, datetime]:
    """Until when accounts are settled (of the supplies that they have then, the one that is behind
    counts); none: left out."""
    rows = connection.execute(
        select(supplies.c.account_id, chain_end()).where(
            supplies.c.account_id.in_(account_ids), _goes_on(at)
        )
    )
    found: dict[int, datetime] = {}
    for account_id, until in rows:
        if until is not None:
            found[account_id] = min(until, found.get(account_id, until))
    return found


@dataclass(slots=True)
class _Days:
    """What one supply's days cost, and how much of each was settled."""

    marks: Sequence[datetime]
    """When the days begin, and when the last one ends."""
    cost_minor: dict[int, int]
    covered_s: dict[int, int]

    def __init__(self, marks: Sequence[datetime]) -> None:
        self.marks = marks
        self.cost_minor = {}
        self.covered_s = {}

    def add(self, since: datetime, until: datetime, sign: int, amount_minor: int) -> None:
        """One settlement; a reversal takes both away again."""
        length = (until - since) // _SECOND
        for day in self._touched(since, until):
            begin, end = max(since, self.marks[day]), min(until, self.marks[day + 1])
            before, after = (begin - since) // _SECOND, (end - since) // _SECOND
            # differences of rounded sums: the days of a settlement add up to it
            part = amount_minor * after // length - amount_minor * before // length
            self.cost_minor[day] = self.cost_minor.get(day, 0) + part
            self.covered_s[day] = self.covered_s.get(day, 0) + sign * (after - before)

    def _touched(self, since: datetime, until: datetime) -> Iterable[int]:
        first = max((since - self.marks[0]) // _DAY - 1, 0)
        for day in range(first, len(self.marks) - 1):
            if self.marks[day] >= until:
                return
            if self.marks[day + 1] > since:
                yield day

    def costs(
        self, window: Sequence[date], is_rest: Callable[[date], bool]
    ) -> tuple[list[int], list[int]]:
        """Of the days that were settled wholly: working days, days of rest."""
        work: list[int] = []
        rest: list[int] = []
        for place, day in enumerate(window):
            whole = (self.marks[place + 1] - self.marks[place]) // _SECOND
            if self.covered_s.get(place, 0) >= whole:
                (rest if is_rest(day) else work).append(self.cost_minor[place])
        return work, rest


def _settled(account_ids: Sequence[int], since: datetime, at: datetime) -> Any:
    return (
        select(
            settlements.c.account_id,
            settlements.c.supply_id,
            settlements.c.since,
            settlements.c.until,
            settlements.c.sign,
            settlements.c.amount_minor,
        )
        .join(supplies, supplies.c.supply_id == settlements.c.supply_id)
        .where(
            settlements.c.account_id.in_(account_ids),
            settlements.c.until > since,
            supplies.c.account_id == settlements.c.account_id,
            _goes_on(at),
        )
    )


def _goes_on(at: datetime) -> ColumnElement[bool]:
    return supplies.c.until.is_(None) | (supplies.c.until > at)
