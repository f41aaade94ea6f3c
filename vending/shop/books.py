"""Which accounts a sale touches.

For each line of the receipt one transfer from the tender's account, so that the lines' sum is
the tendered amount in the ledger too; then the change is paid out of the cash drawer (money that
no drawer took in, by bank, wallet or voucher, leaves no change: the rest is carried to the next
sale):

=============  =====================  ========================
line           debit                  credit
=============  =====================  ========================
fee            ``tender.<tender>``    ``fees``
charge         ``tender.<tender>``    ``charge.<code>``
debt           ``tender.<tender>``    ``debts``
energy         ``tender.<tender>``    ``sales.energy``
tax            ``tender.<tender>``    ``tax``, ``tax.<code>``
change         ``tender.<tender>``    ``change``
rounding       ``tender.<tender>``    ``rounding``
carried        ``tender.<tender>``    ``carried``
carried, used  ``carried``            ``tender.<tender>``
paid out       ``change``             ``tender.cash``
=============  =====================  ========================

A debt that is taken over is debited to ``debts`` and credited to ``debts.brought_in``; a
write-off is the other way round.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from storage.ledger import AccountKind, Transfer, open_account
from vending.shop.price import FLAT_TAX, LineKind, PriceLine, Quote


class Tender(StrEnum):
    """How the customer pays."""

    CASH = "cash"
    CARD = "card"
    BANK = "bank"
    WALLET = "wallet"
    VOUCHER = "voucher"
    """Named by `VoucherDesk.redeem` alone: a voucher pays once, and only when it is valid."""

    @property
    def account(self) -> str:
        """The ledger account that receives it."""
        return f"tender.{self.value}"


SALES: Final = "sales.energy"
TAX: Final = "tax"
CHANGE: Final = "change"
FEES: Final = "fees"
ROUNDING: Final = "rounding"
CARRIED: Final = "carried"
DEBTS: Final = "debts"
DEBTS_BROUGHT_IN: Final = "debts.brought_in"
_ACCOUNT_OF: Final = {
    LineKind.ENERGY: SALES,
    LineKind.CHANGE: CHANGE,
    LineKind.FEE: FEES,
    LineKind.DEBT: DEBTS,
    LineKind.CARRIED: CARRIED,
    LineKind.ROUNDING: ROUNDING,
}
_KINDS: Final = {
    SALES: AccountKind.INCOME,
    TAX: AccountKind.LIABILITY,
    CHANGE: AccountKind.LIABILITY,
    FEES: AccountKind.INCOME,
    ROUNDING: AccountKind.INCOME,
    CARRIED: AccountKind.LIABILITY,
    DEBTS: AccountKind.ASSET,
    DEBTS_BROUGHT_IN: AccountKind.LIABILITY,
    "vouchers.receivable": AccountKind.ASSET,
    "vouchers.outstanding": AccountKind.LIABILITY,
    "vouchers.lapsed": AccountKind.INCOME,
}


def open_books(connection: Connection, currency: str) -> None:
    """Open the accounts of a new shop; those of a tariff's taxes and charges come with it."""
    for tender in Tender:
        open_account(connection, tender.account, AccountKind.ASSET, currency)
    for account, kind in _KINDS.items():
        open_account(connection, account, kind, currency)


def tax_account(code: str) -> str:
    """Where a tax is owed."""
    return TAX if code == FLAT_TAX else f"{TAX}.{code}"


def charge_account(code: str) -> str:
    """Where a charge is earned."""
    return f"charge.{code}"


def moves_of(sale: Quote, tender: Tender) -> list[Transfer]:
    """The transfers of a sale, or of a payment for charges and debts."""
    moves = [_move(line, tender) for line in sale.lines if line.amount_minor]
    if sale.change_minor:
        moves.append(Transfer(CHANGE, Tender.CASH.account, sale.change_minor, "change paid out"))
    return moves


def _move(line: PriceLine, tender: Tender) -> Transfer:
    account = _account_of(line)
    if line.amount_minor < 0:
        return Transfer(account, tender.account, -line.amount_minor, f"{line.kind.value} used")
    return Transfer(tender.account, account, line.amount_minor, line.kind.value)


def _account_of(line: PriceLine) -> str:
    if line.kind is LineKind.TAX:
        return tax_account(line.code)
    if line.kind is LineKind.CHARGE:
        return charge_account(line.code)
    return _ACCOUNT_OF[line.kind]
