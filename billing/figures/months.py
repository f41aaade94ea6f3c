"""What each month brought: billed, paid, owed, settled, read, lost.

======================  ==============================================================
collection rate         paid of the month, of a hundred billed in it
arrears rate            due and not paid at its end, of a hundred billed in the twelve
                        months to it
days to collect         how many days' bills are owed at its end, by what was billed
                        in the three months to it (days of sales outstanding)
billing errors          settlements taken back, of a hundred settlements of the month
read success            answered visits, of a hundred
loss                    of what came into the areas on judged days
======================  ==============================================================

Billed is what was posted against accounts for energy, fees and late fees, less what was taken
back; paid is what came in by channels, less what was undone.  Shares are in hundredths of a
percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, case, cast, func, select

from billing.collecting.ageing import AGE_CLASSES, ageing
from billing.faults import BadEntryError
from billing.figures.area import accounts_of, place_named, places_below, points_at
from billing.ledger.entry import EntryKind, Purse
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.person import Right
from billing.settlement.tables import settlements
from headend.collection.tables import contact_hours
from headend.registry.tables import installations, places
from headend.watching.calendar import number_of
from headend.watching.tables import loss_days

BASIS: Final = 10_000
_MONTHS_MAX: Final = 60
_BILLED: Final = [
    kind.value
    for kind in (
        EntryKind.ENERGY,
        EntryKind.ENERGY_REVERSED,
        EntryKind.FEE,
        EntryKind.LATE_FEE,
        EntryKind.ADJUSTMENT,
    )
]
_PAID: Final = [EntryKind.PAYMENT.value, EntryKind.PAYMENT_UNDONE.value]
_JUDGED: Final = ("good", "high", "low")


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """A month.  Amounts in minor units, shares in hundredths of a percent; None: nothing."""

    month: str
    """``2026-11``."""
    settled_wh: int
    billed_minor: int
    paid_minor: int
    owed_minor: int
    """At its end, due or not."""
    overdue_minor: tuple[int, ...]
    """At its end, by the classes of age (`AGE_CLASSES`)."""
    collection_bp: int | None
    arrears_bp: int | None
    days_to_collect: int | None
    settlements: int
    corrected: int
    billing_error_bp: int | None
    settled_after_h: int | None
    """Half of the settlements were made within so many hours of their span's end, about."""
    asked: int
    answered: int
    read_success_bp: int | None
    supplied_wh: int
    sold_wh: int
    loss_bp: int | None


def month_figures(
    office: Office, first: date, last: date, *, area: str | None = None, mode: str | None = None
) -> list[MonthFigures]:
    """The figures of some months, the first one first; of a month under way as far as it is.

    Args:
        office: the office.
        first: a day of the first month.
        last: a day of the last one.
        area: name of a place: only what belongs to it or to places below it.
        mode: ``prepaid`` or ``postpaid`` accounts only; says nothing of reads and losses.

    Raises:
        RightMissingError: the person may not see figures.
        BadEntryError: no such place, or not 1-60 months.
    """
    office.require(Right.REPORT)
    months = _months(first, last)
    if not 1 <= len(months) <= _MONTHS_MAX:
        raise BadEntryError(f"Figures are of 1 to {_MONTHS_MAX} months, the first one first.")
    with office.reading() as connection:
        place_ids = None
        if area is not None:
            place_ids = places_below(connection, place_named(connection, area))
        asked = _Asked(connection, office, place_ids, mode)
        return [_figures(asked, month) for month in months]


@dataclass(frozen=True, slots=True)
class _Asked:
    connection: Connection
    office: Office
    place_ids: list[int] | None
    mode: str | None

    @property
    def accounts(self) -> Select[tuple[int]] | None:
        """None: all of them."""
        if self.place_ids is None and self.mode is None:
            return None
        return accounts_of(self.place_ids, self.mode)

    def span(self, month: date, count: int = 1) -> tuple[datetime, datetime]:
        """The moments between which some months lie, of which this is the last."""
        since = self.office.day_start(_months_on(month, 1 - count))
        return since, min(self.office.day_start(_months_on(month, 1)), self.office.now())


def _figures(asked: _Asked, month: date) -> MonthFigures:
    since, until = asked.span(month)
    billed, paid = _moved(asked, _BILLED, since, until), _moved(asked, _PAID, since, until)
    owed = _owed(asked, until)
    overdue = _overdue(asked, until) if owed else (0,) * len(AGE_CLASSES)
    year = -_moved(asked, _BILLED, *asked.span(month, 12))
    quarter_since, _ = asked.span(month, 3)
    quarter = -_moved(asked, _BILLED, quarter_since, until)
    days = round((until - quarter_since) / timedelta(days=1))
    count, corrected, energy_wh, after_h = _settled(asked, since, until)
    visits, answered = _read(asked, since, until)
    supplied, sold = _lost(asked, month)
    return MonthFigures(
        month=f"{month:%Y-%m}",
        settled_wh=energy_wh,
        billed_minor=-billed,
        paid_minor=paid,
        owed_minor=owed,
        overdue_minor=overdue,
        collection_bp=_share(paid, -billed),
        arrears_bp=_share(sum(overdue), year),
        days_to_collect=owed * days // quarter if quarter > 0 else None,
        settlements=count,
        corrected=corrected,
        billing_error_bp=_share(corrected, count),
        settled_after_h=after_h,
        asked=visits,
        answered=answered,
        read_success_bp=_share(answered, visits),
        supplied_wh=supplied,
        sold_wh=sold,
        loss_bp=_share(supplied - sold, supplied),
    )


def _moved(asked: _Asked, kinds: Sequence[str], since: datetime, until: datetime) -> int:
    """The sum of entries of some kinds."""
    query = select(func.coalesce(func.sum(account_entries.c.amount_minor), 0)).where(
        account_entries.c.purse == Purse.CURRENT.value,
        account_entries.c.kind.in_(kinds),
        account_entries.c.posted_at >= since,
        account_entries.c.posted_at < until,
    )
    if asked.accounts is not None:
        query = query.where(account_entries.c.account_id.in_(asked.accounts))
    return int(asked.connection.scalar(query) or 0)


def _owed(asked: _Asked, at: datetime) -> int:
    """What all accounts below zero owed together."""
    balance = func.sum(account_entries.c.amount_minor).label("balance")
    query = (
        select(balance)
        .where(
            account_entries.c.purse == Purse.CURRENT.value,
            account_entries.c.posted_at < at,
        )
        .group_by(account_entries.c.account_id)
        .having(balance < 0)
    )
    if asked.accounts is not None:
        query = query.where(account_entries.c.account_id.in_(asked.accounts))
    each = query.subquery()
    return -int(asked.connection.scalar(select(func.coalesce(func.sum(each.c.balance), 0))) or 0)


def _overdue(asked: _Asked, at: datetime) -> tuple[int, ...]:
    """What was due and not paid, by age."""
    meant: set[int] | None = None
    if asked.accounts is not None:
        meant = set(asked.connection.scalars(asked.accounts))
    sums = [0] * len(AGE_CLASSES)
    for row in ageing(asked.connection, asked.office, at - timedelta.resolution):
        if meant is None or row.account_id in meant:
            sums = [a + b for a, b in zip(sums, row.by_age_minor, strict=True)]
    return tuple(sums)


def _settled(asked: _Asked, since: datetime, until: datetime) -> tuple[int, int, int, int | None]:
    """Settlements, those taken back, energy, and how long after their span half were made."""
    made = [settlements.c.settled_at >= since, settlements.c.settled_at < until]
    if asked.accounts is not None:
        made.append(settlements.c.account_id.in_(asked.accounts))
    row = asked.connection.execute(
        select(
            func.count().filter(settlements.c.sign == 1, settlements.c.replaces_seq.is_(None)),
            func.count().filter(settlements.c.sign == -1),
            func.coalesce(func.sum(settlements.c.energy_wh), 0),
        ).where(*made)
    ).one()
    first_made = [*made, settlements.c.sign == 1, settlements.c.replaces_seq.is_(None)]
    place = max(0, (int(row[0]) - 1) // 2)
    middle = asked.connection.execute(
        select(settlements.c.settled_at, settlements.c.until)
        .where(*first_made)
        .order_by(_wait(asked.connection), settlements.c.supply_id, settlements.c.seq)
        .limit(1)
        .offset(place)
    ).first()
    after = None if middle is None else max(0, round((middle[0] - middle[1]) / timedelta(hours=1)))
    return int(row[0]), int(row[1]), int(row[2]), after


def _wait(connection: Connection) -> Any:
    """How long after its span a settlement was made, to sort by."""
    ends = settlements.c.settled_at, settlements.c.until
    if connection.dialect.name == "sqlite":
        made, until = (cast(func.strftime("%s", each), Integer) for each in ends)
        return made - until
    return ends[0] - ends[1]


def _read(asked: _Asked, since: datetime, until: datetime) -> tuple[int, int]:
    """Visits of meters, and those that were answered."""
    query = select(
        func.coalesce(func.sum(contact_hours.c.asked), 0),
        func.coalesce(func.sum(contact_hours.c.answered), 0),
    ).where(contact_hours.c.hour >= since, contact_hours.c.hour < until)
    if asked.place_ids is not None:
        query = query.where(
            contact_hours.c.device_id.in_(
                select(installations.c.device_id).where(
                    installations.c.point_id.in_(points_at(asked.place_ids))
                )
            )
        )
    row = asked.connection.execute(query).one()
    return int(row[0]), int(row[1])


def _lost(asked: _Asked, month: date) -> tuple[int, int]:
    """What came into transformer areas on judged days, and what was sold of it."""
    first, end = number_of(month), number_of(_months_on(month, 1))

    def total(column: Any) -> Any:
        return func.coalesce(func.sum(case((loss_days.c.state.in_(_JUDGED), column), else_=0)), 0)

    query = (
        select(total(loss_days.c.supplied_wh), total(loss_days.c.sold_wh))
        .join(places, places.c.place_id == loss_days.c.place_id)
        .where(places.c.kind == "area", loss_days.c.day >= first, loss_days.c.day < end)
    )
    if asked.place_ids is not None:
        query = query.where(loss_days.c.place_id.in_(asked.place_ids))
    row = asked.connection.execute(query).one()
    return int(row[0]), int(row[1])


def _share(part: int, whole: int) -> int | None:
    return BASIS * part // whole if whole > 0 else None


def _months(first: date, last: date) -> list[date]:
    month = first.replace(day=1)
    found: list[date] = []
    while month <= last and len(found) <= _MONTHS_MAX:
        found.append(month)
        month = _months_on(month, 1)
    return found


def _months_on(month: date, count: int) -> date:
    number = month.year * 12 + month.month - 1 + count
    return date(number // 12, number % 12 + 1, 1)
