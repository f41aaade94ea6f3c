"""What was sold and what was taken: once from the receipts, once from the ledger.

The two are written by the same transactions and counted apart, so that a statement shows by
itself whether they agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from storage.ledger import AccountBalance, balances
from storage.span import within
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
    Tender,
)
from vending.shop.settings import Utility
from vending.shop.tables import receipts, tokens
from vending.sts.amount import WH_PER_UNIT


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
    """From the receipts."""
    token_units: int
    """From the tokens."""
    energy_minor: int
    tax_minor: int
    """All taxes."""
    other_minor: int
    """Fees, charges, debts paid, change kept: what sales took besides energy and taxes."""
    accounts: tuple[AccountBalance, ...]
    """From the ledger."""

    @property
    def taken_minor(self) -> int:
        """What stayed with the shop: tendered less change."""
        return self.tendered_minor - self.change_minor

    @property
    def energy_wh(self) -> int:
        """Energy sold."""
        return self.units * WH_PER_UNIT

    @property
    def agrees(self) -> bool:
        """Whether receipts, tokens and ledger tell the same story to the last minor unit."""
        debits = sum(account.debits_minor for account in self.accounts)
        credits_ = sum(account.credits_minor for account in self.accounts)
        held = sum(
            account.balance_minor
            for account in self.accounts
            if account.account in {tender.account for tender in Tender}
        )
        return (
            debits == credits_
            and held == self.taken_minor == self.energy_minor + self.tax_minor + self.other_minor
            and self._balance(CHANGE) == 0
            and self.units == self.token_units
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
    credit = receipts.c.kind == ReceiptKind.CREDIT.value
    sales, tendered, change, units = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(receipts.c.tendered_minor), 0),
            func.coalesce(func.sum(receipts.c.change_minor), 0),
            func.coalesce(func.sum(receipts.c.units), 0),
        ).where(credit, *span)
    ).one()
    key_changes = connection.scalar(
        select(func.count()).select_from(receipts).where(~credit, *span)
    )
    token_units = connection.scalar(
        select(func.coalesce(func.sum(tokens.c.units), 0))
        .select_from(tokens.join(receipts))
        .where(*span)
    )
    return Statement(
        since=since,
        until=until,
        currency=utility.currency.code,
        minor_digits=utility.currency.minor_digits,
        sales=sales,
        key_changes=key_changes or 0,
        tendered_minor=int(tendered),
        change_minor=int(change),
        units=int(units),
        token_units=int(token_units or 0),
        energy_minor=of[SALES],
        tax_minor=sum(of[name] for name in of if name == TAX or name.startswith(f"{TAX}.")),
        other_minor=_other(of),
        accounts=accounts,
    )


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
