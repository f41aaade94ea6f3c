"""A vendor's statement: what came in, what was sold, what was earned, day by day.

The lines come from top-ups, receipts and commission lines; opening and closing come from the
ledger.  The two are written together and counted apart: `VendorStatement.agrees` tells.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from storage.ledger import ledger_transactions, transfers
from storage.span import within
from vending.cash.accounts import vendor_account
from vending.cash.bank.tables import commission_lines, commission_settlements, vendor_top_ups
from vending.cash.commission import rate_at, rates_of, unsettled
from vending.cash.reckoning import GIVEN_BACK
from vending.cash.tables import vendor_credit
from vending.cash.vendor_rows import Vendor
from vending.receipts.columns import Roll
from vending.shop.money import Currency
from vending.shop.settings import Utility
from vending.shop.tables import receipts

_SOLD: Final = ("credit", "account_payment")


@dataclass(frozen=True, slots=True)
class VendorDay:
    """One day in the utility's zone; money in minor units."""

    day: date
    top_ups_minor: int = 0
    sales: int = 0
    sales_minor: int = 0
    reversals: int = 0
    reversals_minor: int = 0
    commission_minor: int = 0

    @property
    def change_minor(self) -> int:
        """By how much what the house owes the vendor changed."""
        return self.top_ups_minor - self.sales_minor + self.reversals_minor + self.commission_minor


@dataclass(frozen=True, slots=True)
class VendorStatement:
    """A span of time of one vendor."""

    vendor: Vendor
    since: datetime | None
    until: datetime | None
    currency: Currency
    opening_minor: int
    """From the ledger: what the house owed the vendor at the beginning."""
    days: tuple[VendorDay, ...]
    closing_minor: int
    """From the ledger."""
    unsettled_minor: int
    """Commission earned by now, by the rates of today, and not settled yet."""

    credit_minor: int | None = None
    """What may be sold yet, without the limit; of a prepaid vendor, up to now.  What is set aside
    for tokens in the making counts: it is in no ledger yet."""

    @property
    def agrees(self) -> bool:
        """Whether the lines lead from the ledger's opening to its closing, which is the credit."""
        moved = sum(day.change_minor for day in self.days)
        if self.credit_minor not in (None, self.closing_minor):
            return False
        return self.opening_minor + moved == self.closing_minor

    def total(self, name: str) -> int:
        """The sum of one column."""
        return sum(getattr(day, name) for day in self.days)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "vendor_id": self.vendor.vendor_id,
            "vendor": self.vendor.name,
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
            "currency": self.currency.code,
            "minor_digits": self.currency.minor_digits,
            "opening_minor": self.opening_minor,
            "days": [{**asdict(day), "day": day.day.isoformat()} for day in self.days],
            "closing_minor": self.closing_minor,
            "unsettled_minor": self.unsettled_minor,
            "agrees": self.agrees,
        }

    def csv(self) -> str:
        """A line for each day, with decimal amounts."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        names = [field.name for field in fields(VendorDay)]
        writer.writerow([name.removesuffix("_minor") for name in names])
        for day in self.days:
            writer.writerow(
                self.currency.text(getattr(day, name))
                if name.endswith("_minor")
                else getattr(day, name)
                for name in names
            )
        return file.getvalue()

    def text(self, utility: Utility) -> str:
        """For paper: 48 columns."""
        roll, money = Roll(), self.currency
        roll.centred(utility.name)
        roll.pair("VENDOR STATEMENT", money.code)
        roll.pair("Vendor", f"{self.vendor.name} ({self.vendor.vendor_id})")
        for label, moment in (("From", self.since), ("Until", self.until)):
            if moment is not None:
                roll.pair(label, f"{utility.local(moment):%Y-%m-%d %H:%M}")
        roll.rule()
        roll.pair("Opening", money.text(self.opening_minor))
        for day in self.days:
            roll.pair(day.day.isoformat(), "")
            for words, amount in _words(day):
                roll.pair(f"  {words}", money.text(amount))
        roll.pair("Closing", money.text(self.closing_minor))
        roll.rule()
        roll.pair("Commission not settled yet", money.text(self.unsettled_minor))
        if not self.agrees:
            roll.wrapped("THE LEDGER SAYS OTHERWISE: have it looked at.")
        return roll.text()


def make_statement(
    connection: Connection,
    utility: Utility,
    vendor: Vendor,
    since: datetime | None,
    until: datetime | None,
) -> VendorStatement:
    """Count a span (``since`` inclusive, ``until`` exclusive; None is open)."""
    days: dict[date, dict[str, int]] = {}
    for moment, sums in _movements(connection, vendor.vendor_id, since, until):
        day = days.setdefault(utility.local(moment).date(), {})
        for name, amount in sums.items():
            day[name] = day.get(name, 0) + amount
    rates = rates_of(connection, vendor.vendor_id)
    waiting = 0
    for row in unsettled(connection, vendor.vendor_id):
        rate = rate_at(rates, row.issued_at)
        if rate is not None:
            sign = -1 if row.kind in GIVEN_BACK else 1
            waiting += sign * rate.of(row.tendered_minor - row.change_minor)
    return VendorStatement(
        vendor=vendor,
        since=since,
        until=until,
        currency=utility.currency,
        opening_minor=0 if since is None else _owed(connection, vendor.vendor_id, before=since),
        days=tuple(VendorDay(day, **sums) for day, sums in sorted(days.items())),
        closing_minor=_owed(connection, vendor.vendor_id, before=until),
        unsettled_minor=waiting,
        credit_minor=_paid_in(connection, vendor) if vendor.prepaid and until is None else None,
    )


def _paid_in(connection: Connection, vendor: Vendor) -> int:
    """What is left of a prepaid vendor's money."""
    held = connection.scalar(
        select(
            func.coalesce(
                func.sum(vendor_credit.c.available_minor + vendor_credit.c.reserved_minor), 0
            )
        ).where(vendor_credit.c.vendor_id == vendor.vendor_id)
    )
    return int(held or 0) - vendor.credit_limit_minor


def _movements(
    connection: Connection, vendor_id: int, since: datetime | None, until: datetime | None
) -> Iterator[tuple[datetime, dict[str, int]]]:
    top_ups = connection.execute(
        select(vendor_top_ups.c.made_at, vendor_top_ups.c.amount_minor).where(
            vendor_top_ups.c.vendor_id == vendor_id,
            *within(vendor_top_ups.c.made_at, since, until),
        )
    )
    for row in top_ups:
        yield row.made_at, {"top_ups_minor": row.amount_minor}
    sold = connection.execute(
        select(
            receipts.c.issued_at,
            receipts.c.kind,
            (receipts.c.tendered_minor - receipts.c.change_minor).label("paid"),
        ).where(
            receipts.c.vendor_id == vendor_id,
            receipts.c.kind.in_([*_SOLD, *GIVEN_BACK]),
            *within(receipts.c.issued_at, since, until),
        )
    )
    for each in sold:
        name = "sales" if each.kind in _SOLD else "reversals"
        yield each.issued_at, {name: 1, f"{name}_minor": each.paid}
    earned = connection.execute(
        select(
            commission_settlements.c.settled_at,
            func.sum(commission_lines.c.commission_minor).label("commission"),
        )
        .join(
            commission_lines,
            commission_lines.c.settlement_id == commission_settlements.c.settlement_id,
        )
        .where(
            commission_settlements.c.vendor_id == vendor_id,
            *within(commission_settlements.c.settled_at, since, until),
        )
        .group_by(commission_settlements.c.settlement_id, commission_settlements.c.settled_at)
    )
    for settled in earned:
        yield settled.settled_at, {"commission_minor": int(settled.commission)}


def _owed(connection: Connection, vendor_id: int, *, before: datetime | None) -> int:
    account = vendor_account(vendor_id)
    sides = []
    for column in (transfers.c.credit_account, transfers.c.debit_account):
        moved = connection.scalar(
            select(func.coalesce(func.sum(transfers.c.amount_minor), 0))
            .join(ledger_transactions)
            .where(column == account, *within(ledger_transactions.c.posted_at, None, before))
        )
        sides.append(int(moved or 0))
    return sides[0] - sides[1]


def _words(day: VendorDay) -> Iterator[tuple[str, int]]:
    for words, amount in (
        ("Top-ups", day.top_ups_minor),
        (f"{day.sales} sales", -day.sales_minor),
        (f"{day.reversals} reversals", day.reversals_minor),
        ("Commission", day.commission_minor),
    ):
        if amount:
            yield words, amount
