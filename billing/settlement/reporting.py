"""The monthly settlement report by area: made, reviewed by a second person, then final.

What it says of a month of the utility's zone, for each area (transformer area, or whatever place
the service point lies in):

==============  ===============================================================================
energy, amount  of spans that end in the month, reversals with them; and of earlier spans what was
                settled or corrected since the report of the month before was made
corrected       the part of the amount that is of earlier spans
paid            payments less payments undone, posted in the month
outstanding     what accounts owed at the month's end, instalment plans with it
waiting         supplies that are not settled to the month's end (hourly, daily: when it is made)
==============  ===============================================================================

It shows one state, that of the moment at which it was begun: what is settled or corrected while it
is made changes nothing of it.  So each settlement stands in one report, and reports that are final
stay as they are.  Of what was settled late (not of corrections), spans that ended more than 62 days
before the month are not looked for.

An account with supplies in several areas counts, with payments and what it owes, in that of its
first supply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, insert, literal_column, select, update

from billing.accounts.tables import customer_accounts, supplies
from billing.faults import BadEntryError
from billing.ledger.entry import EntryKind
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.person import Right
from billing.settlement.faults import (
    NoSuchReportError,
    ReportDecidedError,
    SameReviewerError,
)
from billing.settlement.marks import report_at
from billing.settlement.spans import midnight, month_after
from billing.settlement.tables import (
    settlement_report_lines,
    settlement_reports,
    settlement_runs,
    settlement_waits,
    settlements,
)
from headend.registry.tables import places, service_points
from storage.audit import record

_AT_ONCE: Final = 5_000
_LATE: Final = timedelta(days=62)
_PAID: Final = (EntryKind.PAYMENT.value, EntryKind.PAYMENT_UNDONE.value)
_OWED: Final = ("current", "plan")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ReportLine:
    """An area's figures."""

    area: str
    """Name of the place; empty: service points that are in none."""
    accounts: int
    supplies: int
    waiting: int
    energy_wh: int
    amount_minor: int
    tax_minor: int
    corrected_minor: int
    paid_minor: int
    outstanding_minor: int


@dataclass(frozen=True, slots=True)
class Report:
    """A monthly report."""

    report_id: int
    month: str
    """``YYYY-MM``."""
    state: str
    """``draft``, ``final`` or ``refused``."""
    asked_by: str
    asked_at: datetime
    """The moment whose state it shows."""
    approved_by: str | None
    decided_at: datetime | None
    words: str | None
    lines: tuple[ReportLine, ...] = field(default=())


class ReportDesk:
    """Monthly settlement reports.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def make(self, month: date, *, progress: Progress | None = None) -> Report:
        """Make the report of a month; it is a draft until a second person has reviewed it.

        Args:
            month: a day of it.
            progress: is told how many accounts are done, of how many.

        Raises:
            BadEntryError: the month is not over.
            ReportDecidedError: there is one already, drafted or final; or that of the month before
                is a draft still; or a run of settlement is under way.
            RightMissingError: the person may not.
        """
        office = self._office
        office.require(Right.SETTLE)
        first = month.replace(day=1)
        since, until = midnight(first, office.zone), midnight(month_after(first), office.zone)
        if until > office.now():
            raise BadEntryError(f"{first:%Y-%m} is not over: its report is made afterwards.")
        with ExitStack() as stack:
            with office.writing() as gate:  # nobody settles while the state is taken hold of
                at = report_at(gate, office)
                connection = stack.enter_context(office.reading())
                self._require_none(connection, f"{first:%Y-%m}")
                before = month_of(since, office)
                known = self._reported_at(connection, f"{before:%Y-%m}") or since
            lines = _lines(connection, _Month(since, until, known, at), progress)
        with office.writing() as connection:
            self._require_none(connection, f"{first:%Y-%m}")
            report_id: int = connection.execute(
                insert(settlement_reports)
                .values(
                    month=f"{first:%Y-%m}",
                    state="draft",
                    asked_by=office.person.name,
                    asked_at=at,
                )
                .returning(settlement_reports.c.report_id)
            ).scalar_one()
            if lines:
                connection.execute(
                    insert(settlement_report_lines),
                    [
                        {"report_id": report_id, "line": number, **_values(line)}
                        for number, line in enumerate(lines, 1)
                    ],
                )
            self._record(connection, report_id, "make", f"{first:%Y-%m}", "")
        return self.show(report_id)

    def approve(self, report_id: int, words: str) -> Report:
        """Reviewed, by another person than made it: the report is final and never changes.

        Raises:
            NoSuchReportError, ReportDecidedError: as they say.
            SameReviewerError: the same person made it.
            BadEntryError: nothing is said of the review.
            RightMissingError: the person may not.
        """
        return self._decide(report_id, "final", words)

    def refuse(self, report_id: int, words: str) -> Report:
        """Something is wrong with it: it stays as refused, and another one can be made.

        Raises:
            NoSuchReportError, ReportDecidedError, BadEntryError, RightMissingError: as they say.
        """
        return self._decide(report_id, "refused", words)

    def show(self, report_id: int) -> Report:
        """A report with its lines.

        Raises:
            NoSuchReportError: there is none of this number.
        """
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            row = _row(connection, report_id)
            lines = connection.execute(
                select(settlement_report_lines)
                .where(settlement_report_lines.c.report_id == report_id)
                .order_by(settlement_report_lines.c.line)
            )
            names = ReportLine.__dataclass_fields__
            found = tuple(
                ReportLine(**{name: getattr(line, name) for name in names}) for line in lines
            )
        return _report(row, found)

    def list(self, *, limit: int = 100) -> list[Report]:
        """Reports, the newest first, without their lines."""
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            rows = connection.execute(
                select(settlement_reports)
                .order_by(settlement_reports.c.report_id.desc())
                .limit(limit)
            )
            return [_report(row) for row in rows]

    def _require_none(self, connection: Connection, month: str) -> None:
        known = connection.execute(
            select(settlement_reports).where(
                settlement_reports.c.month == month, settlement_reports.c.state != "refused"
            )
        ).first()
        if known is not None:
            raise ReportDecidedError(
                f"Report {known.report_id} of {month} is {known.state}: "
                + (
                    "review it, or refuse it to make another one."
                    if known.state == "draft"
                    else "it stays as it is; what is corrected later stands in later months."
                )
            )

    def _reported_at(self, connection: Connection, month: str) -> datetime | None:
        """When a month's report was made; None: there is none."""
        is_running = connection.scalar(
            select(settlement_runs.c.run_id).where(settlement_runs.c.state == "open").limit(1)
        )
        if is_running is not None:
            raise ReportDecidedError(
                "A run of settlement is under way: make the report when it is done (`meterhouse "
                "settle status`)."
            )
        row = connection.execute(
            select(settlement_reports).where(
                settlement_reports.c.month == month, settlement_reports.c.state != "refused"
            )
        ).first()
        if row is None:
            return None
        if row.state == "draft":
            raise ReportDecidedError(f"Report {row.report_id} of {month} is to be reviewed first.")
        made_at: datetime = row.asked_at
        return made_at

    def _decide(self, report_id: int, state: str, words: str) -> Report:
        office = self._office
        office.require(Right.APPROVE)
        if not words.strip():
            raise BadEntryError("Say what was looked at: an auditor will ask.")
        with office.writing() as connection:
            row = _row(connection, report_id, lock=True)
            if row.state != "draft":
                raise ReportDecidedError(f"Report {report_id} is {row.state} already.")
            if state == "final" and row.asked_by == office.person.name:
                raise SameReviewerError(
                    f"{row.asked_by or 'The same person'} made report {report_id}: somebody else "
                    "reviews it."
                )
            connection.execute(
                update(settlement_reports)
                .where(settlement_reports.c.report_id == report_id)
                .values(
                    state=state,
                    approved_by=office.person.name,
                    decided_at=office.now(),
                    words=words.strip(),
                )
            )
            self._record(connection, report_id, state, row.month, words.strip())
        return self.show(report_id)

    def _record(
        self, connection: Connection, report_id: int, act: str, month: str, reason: str
    ) -> None:
        record(
            connection,
            self._office.now(),
            actor=self._office.person.name,
            action=f"settlement.report_{act}",
            subject=str(report_id),
            detail=month,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class _Month:
    """What a report is about."""

    since: datetime
    until: datetime
    reported_at: datetime
    """The moment of the report of the month before: what was settled after it is in this one."""
    at: datetime
    """Its own moment: what is settled after it is in the next one."""


@dataclass(slots=True)
class _Sums:
    accounts: int = 0
    supplies: int = 0
    waiting: int = 0
    energy_wh: int = 0
    amount_minor: int = 0
    tax_minor: int = 0
    corrected_minor: int = 0
    paid_minor: int = 0
    outstanding_minor: int = 0


def _lines(connection: Connection, month: _Month, progress: Progress | None) -> list[ReportLine]:
    """All areas, by name; account by account in pieces, so that memory stays small."""
    areas: dict[str, _Sums] = {}
    for area, *values in _corrections(connection, month):
        _add_settled(areas.setdefault(area or "", _Sums()), *values, is_earlier=True)
    total = connection.scalar(select(func.count()).select_from(customer_accounts)) or 0
    last, done = 0, 0
    while True:
        ids = connection.scalars(
            select(customer_accounts.c.account_id)
            .where(customer_accounts.c.account_id > last)
            .order_by(customer_accounts.c.account_id)
            .limit(_AT_ONCE)
        ).all()
        if not ids:
            break
        first, last = ids[0], ids[-1]
        _add_supplies(connection, areas, first, last, month)
        done += len(ids)
        if progress is not None:
            progress(done, total)
    names = _Sums.__dataclass_fields__
    return [
        ReportLine(area, **{name: getattr(sums, name) for name in names})
        for area, sums in sorted(areas.items())
    ]


def _add_supplies(
    connection: Connection,
    areas: dict[str, _Sums],
    first: int,
    last: int,
    month: _Month,
) -> None:
    """Add the accounts from one id to another."""
    since, until = month.since, month.until
    among = supplies.c.account_id.between(first, last)
    area_of: dict[int, str] = {}
    of_account: dict[int, str] = {}
    rows = connection.execute(
        select(supplies.c.supply_id, supplies.c.account_id, places.c.name)
        .join(service_points, service_points.c.point_id == supplies.c.point_id)
        .outerjoin(places, places.c.place_id == service_points.c.place_id)
        .where(among, supplies.c.since < until)
        .order_by(supplies.c.supply_id)
    )
    for supply_id, account_id, name in rows:
        area_of[supply_id] = name or ""
        if account_id not in of_account:
            of_account[account_id] = name or ""
            areas.setdefault(name or "", _Sums()).accounts += 1
        areas.setdefault(name or "", _Sums()).supplies += 1
    for is_earlier, supply_id, *values in _settled(connection, first, last, month):
        sums = areas.setdefault(area_of.get(supply_id, ""), _Sums())
        _add_settled(sums, *values, is_earlier=bool(is_earlier))
    waiting = connection.scalars(
        select(settlement_waits.c.supply_id).where(
            settlement_waits.c.account_id.between(first, last), settlement_waits.c.since < until
        )
    )
    for supply_id in waiting:
        areas.setdefault(area_of.get(supply_id, ""), _Sums()).waiting += 1
    for account_id, paid in _paid(connection, first, last, since, until):
        areas.setdefault(of_account.get(account_id, ""), _Sums()).paid_minor += int(paid)
    for account_id, owed in _owed(connection, first, last, until):
        areas.setdefault(of_account.get(account_id, ""), _Sums()).outstanding_minor += int(owed)


def _add_settled(sums: _Sums, energy: int, amount: int, tax: int, *, is_earlier: bool) -> None:
    sums.energy_wh += int(energy)
    sums.amount_minor += int(amount)
    sums.tax_minor += int(tax)
    sums.corrected_minor += int(amount) if is_earlier else 0


def _settled(connection: Connection, first: int, last: int, month: _Month) -> Sequence[Any]:
    """Of the month's spans, and of earlier ones that were settled late, by supply."""
    is_earlier = case((settlements.c.until <= month.since, 1), else_=0).label("is_earlier")
    is_late = (settlements.c.settled_at > month.reported_at) & settlements.c.reason.is_(None)
    return connection.execute(
        select(
            is_earlier,
            settlements.c.supply_id,
            func.sum(settlements.c.energy_wh),
            func.sum(settlements.c.amount_minor),
            func.sum(settlements.c.tax_minor),
        )
        .where(
            settlements.c.account_id.between(first, last),
            settlements.c.until > month.since - _LATE,
            settlements.c.until <= month.until,
            settlements.c.settled_at <= month.at,
            (settlements.c.until > month.since) | is_late,
        )
        .group_by(literal_column("is_earlier"), settlements.c.supply_id)
    ).all()


def _corrections(connection: Connection, month: _Month) -> Sequence[Any]:
    """Of spans of earlier months, by area: what was corrected since their report."""
    return connection.execute(
        select(
            places.c.name,
            func.sum(settlements.c.energy_wh),
            func.sum(settlements.c.amount_minor),
            func.sum(settlements.c.tax_minor),
        )
        .join(supplies, supplies.c.supply_id == settlements.c.supply_id)
        .join(service_points, service_points.c.point_id == supplies.c.point_id)
        .outerjoin(places, places.c.place_id == service_points.c.place_id)
        .where(
            settlements.c.reason.is_not(None),
            settlements.c.settled_at > month.reported_at,
            settlements.c.settled_at <= month.at,
            settlements.c.until <= month.since,
        )
        .group_by(places.c.name)
    ).all()


def _paid(
    connection: Connection, first: int, last: int, since: datetime, until: datetime
) -> Sequence[Any]:
    return connection.execute(
        select(account_entries.c.account_id, func.sum(account_entries.c.amount_minor))
        .where(
            account_entries.c.account_id.between(first, last),
            account_entries.c.kind.in_(_PAID),
            account_entries.c.posted_at >= since,
            account_entries.c.posted_at < until,
        )
        .group_by(account_entries.c.account_id)
    ).all()


def _owed(connection: Connection, first: int, last: int, until: datetime) -> Sequence[Any]:
    """What accounts owed before a moment: (account, amount above zero), purse by purse."""
    newest = (
        select(
            account_entries.c.account_id,
            account_entries.c.purse,
            func.max(account_entries.c.seq).label("seq"),
        )
        .where(
            account_entries.c.account_id.between(first, last),
            account_entries.c.purse.in_(_OWED),
            account_entries.c.posted_at < until,
        )
        .group_by(account_entries.c.account_id, account_entries.c.purse)
        .subquery()
    )
    return connection.execute(
        select(account_entries.c.account_id, -account_entries.c.balance_minor)
        .join(
            newest,
            and_(
                newest.c.account_id == account_entries.c.account_id,
                newest.c.purse == account_entries.c.purse,
                newest.c.seq == account_entries.c.seq,
            ),
        )
        .where(account_entries.c.balance_minor < 0)
    ).all()


def _row(connection: Connection, report_id: int, *, lock: bool = False) -> Any:
    chosen = select(settlement_reports).where(settlement_reports.c.report_id == report_id)
    row = connection.execute(chosen.with_for_update() if lock else chosen).first()
    if row is None:
        raise NoSuchReportError(
            f"There is no settlement report {report_id}: `meterhouse settle report list` shows "
            "them."
        )
    return row


def _report(row: Any, lines: tuple[ReportLine, ...] = ()) -> Report:
    return Report(
        row.report_id,
        row.month,
        row.state,
        row.asked_by,
        row.asked_at,
        row.approved_by,
        row.decided_at,
        row.words,
        lines,
    )


def _values(line: ReportLine) -> dict[str, object]:
    return {name: getattr(line, name) for name in ReportLine.__dataclass_fields__}


def month_of(moment: datetime, office: Office) -> date:
    """The first day of the month before a moment's, in the office's zone."""
    return (moment.astimezone(office.zone).date().replace(day=1) - timedelta(days=1)).replace(day=1)
