"""What was sold and what was taken: once from the receipts, once from the ledger.

The two are written by the same transactions and counted apart, so that a statement shows by
itself whether they agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, case, func, select

from storage.ledger import AccountBalance, balances
from storage.span import within
from vending.cash.accounts import TENDER_PREFIX, VENDOR_PREFIX
from vending.cash.moves import moved_otherwise
from vending.receipts.receipt import ReceiptKind
from vending.shop.books import (
    CARRIED,
    CHANGE,
    DEBTS,
    DEBTS_BROUGHT_IN,
    FEES,
    ROUNDING,
    SALES,
    TAX,
)
from vending.shop.resources import Resource
from vending.shop.settings import Utility
from vending.shop.tables import receipts, tokens
from vending.sts.amount import WH_PER_UNIT

_FREE: Final = (
    ReceiptKind.FREE_ISSUE.value,
    ReceiptKind.FREE_BASIC.value,
    ReceiptKind.REPLACEMENT.value,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """Totals of a span of time.  Money in minor units, units in tenths of a kWh."""

    since: datetime | None
    until: datetime | None
    currency: str
    minor_digits: int
    sales: int
    """Credit receipts."""
    key_changes: int
    """Key change receipts."""
    tendered_minor: int
    change_minor: int
    units: int
    """Sold less reversed, from the receipts; of all resources."""
    token_units: int
    """The same from the tokens."""
    energy_minor: int
    tax_minor: int
    """All taxes."""
    other_minor: int
    """Fees, charges, debts paid, change kept: what sales took besides energy and taxes."""
    accounts: tuple[AccountBalance, ...]
    """From the ledger."""
    free_units: int = 0
    """Given away: free issue, free basic, replacement; from the receipts."""
    free_token_units: int = 0
    """The same from the tokens."""
    electricity_units: int = 0
    """Of ``units``, those of electricity."""
    units_of: Mapping[Resource, int] = field(default_factory=dict)
    """``units`` by what they are of: kWh and m3 are shown apart, and never added up for people."""
    reversals: int = 0
    refunds: int = 0
    payments: int = 0
    """For debts and charges."""
    moved_minor: int = 0
    """What the tenders' accounts got (or, below zero, gave) otherwise than by receipts: floats,
    deposits, differences of a count."""

    @property
    def taken_minor(self) -> int:
        """What stayed with the shop: tendered less change."""
        return self.tendered_minor - self.change_minor

    @property
    def energy_wh(self) -> int:
        """Electricity sold."""
        return self.electricity_units * WH_PER_UNIT

    @property
    def agrees(self) -> bool:
        """Whether receipts, tokens and ledger tell the same story to the last minor unit."""
        debits = sum(account.debits_minor for account in self.accounts)
        credits_ = sum(account.credits_minor for account in self.accounts)
        # in the house's own drawers and on its way, or taken from what vendors paid in before
        held = sum(
            account.debits_minor - account.credits_minor
            for account in self.accounts
            if account.account.startswith((TENDER_PREFIX, VENDOR_PREFIX))
        )
        return (
            debits == credits_
            and held - self.moved_minor
            == self.taken_minor
            == self.energy_minor + self.tax_minor + self.other_minor
            and self._balance(CHANGE) == 0
            and self.units == self.token_units
            and self.free_units == self.free_token_units
        )

    def _balance(self, account: str) -> int:
        return sum(each.balance_minor for each in self.accounts if each.account == account)


def make_statement(
    connection: Connection, utility: Utility, since: datetime | None, until: datetime | None
) -> Statement:
    """Count a span of time (``since`` inclusive, ``until`` exclusive; None is open)."""
    accounts = balances(connection, since, until)
    of = {account.account: account.balance_minor for account in accounts}
    span = within(receipts.c.issued_at, since, until)
    count, money = _counted(connection, span), _money(connection, span)
    sold_of = _units_of(connection, span)
    sold_tokens, free_tokens = _token_units(connection, span)
    return Statement(
        since=since,
        until=until,
        currency=utility.currency.code,
        minor_digits=utility.currency.minor_digits,
        sales=count.get(ReceiptKind.CREDIT.value, 0),
        key_changes=count.get(ReceiptKind.KEY_CHANGE.value, 0),
        tendered_minor=int(money.tendered),
        change_minor=int(money.change),
        units=int(money.units),
        token_units=sold_tokens,
        energy_minor=of[SALES],
        tax_minor=sum(of[name] for name in of if name == TAX or name.startswith(f"{TAX}.")),
        other_minor=_other(of),
        accounts=accounts,
        free_units=int(money.free),
        free_token_units=free_tokens,
        electricity_units=sold_of.get(Resource.ELECTRICITY, 0),
        units_of=sold_of,
        reversals=count.get(ReceiptKind.REVERSAL.value, 0),
        refunds=count.get(ReceiptKind.REFUND.value, 0),
        payments=count.get(ReceiptKind.ACCOUNT_PAYMENT.value, 0),
        moved_minor=moved_otherwise(connection, since, until),
    )


def _counted(connection: Connection, span: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    """How many receipts of each kind."""
    rows = connection.execute(
        select(receipts.c.kind, func.count().label("number")).where(*span).group_by(receipts.c.kind)
    )
    return {row.kind: row.number for row in rows}


def _money(connection: Connection, span: Sequence[ColumnElement[bool]]) -> Row[Any]:
    """Sums over the receipts; what undoes a sale counts below zero."""
    kind = receipts.c.kind
    undoing = kind.in_((ReceiptKind.REVERSAL.value, ReceiptKind.REFUND.value))
    sign = case((undoing, -1), else_=1)
    units = case((kind.in_((ReceiptKind.CREDIT.value, ReceiptKind.REVERSAL.value)), sign), else_=0)
    return connection.execute(
        select(
            *(
                func.coalesce(func.sum(value), 0).label(name)
                for name, value in (
                    ("tendered", sign * receipts.c.tendered_minor),
                    ("change", sign * receipts.c.change_minor),
                    ("units", units * receipts.c.units),
                    ("free", case((kind.in_(_FREE), receipts.c.units), else_=0)),
                )
            )
        ).where(*span)
    ).one()


def _units_of(connection: Connection, span: Sequence[ColumnElement[bool]]) -> dict[Resource, int]:
    """Sold less reversed, by resource."""
    sign = case((receipts.c.kind == ReceiptKind.REVERSAL.value, -1), else_=1)
    sold = (ReceiptKind.CREDIT.value, ReceiptKind.REVERSAL.value)
    rows = connection.execute(
        select(receipts.c.resource, func.sum(sign * receipts.c.units).label("units"))
        .where(receipts.c.kind.in_(sold), *span)
        .group_by(receipts.c.resource)
    )
    found = {Resource(row.resource): int(row.units) for row in rows}
    return {each: found[each] for each in Resource if found.get(each)}


def _token_units(connection: Connection, span: Sequence[ColumnElement[bool]]) -> tuple[int, int]:
    """Units of tokens: sold less reversed, and given away."""
    rows = connection.execute(
        select(receipts.c.kind, func.sum(tokens.c.units).label("units"))
        .select_from(tokens.join(receipts))
        .where(*span)
        .group_by(receipts.c.kind)
    )
    given = {row.kind: int(row.units) for row in rows}
    undone = connection.scalar(
        select(func.coalesce(func.sum(tokens.c.units), 0))
        .select_from(receipts.join(tokens, tokens.c.receipt_no == receipts.c.reversed_receipt_no))
        .where(receipts.c.kind == ReceiptKind.REVERSAL.value, *span)
    )
    sold = given.get(ReceiptKind.CREDIT.value, 0) - int(undone or 0)
    return sold, sum(given.get(kind, 0) for kind in _FREE)


def _other(of: dict[str, int]) -> int:
    """What sales took besides energy and taxes.

    A payment for a debt lowers what is owed; taking a debt over and writing it off move as
    much on both accounts.
    """
    earned = sum(
        of.get(name, 0)
        for name in of
        if name in (FEES, ROUNDING, CARRIED) or name.startswith("charge.")
    )
    return earned + of.get(DEBTS_BROUGHT_IN, 0) - of.get(DEBTS, 0)
