"""Which accounts a sale touches.

For each line of the receipt one transfer from the tender's account, so that the lines' sum is
the tendered amount in the ledger too; then the change is paid out of the cash drawer:

=========  =====================  ====================
line       debit                  credit
=========  =====================  ====================
energy     ``tender.<tender>``    ``sales.energy``
tax        ``tender.<tender>``    ``tax``
change     ``tender.<tender>``    ``change``
paid out   ``change``             ``tender.cash``
=========  =====================  ====================
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from storage.ledger import AccountKind, Transfer, open_account
from vending.shop.price import LineKind, Quote


class Tender(StrEnum):
    """How the customer pays."""

    CASH = "cash"
    CARD = "card"
    BANK = "bank"
    WALLET = "wallet"

    @property
    def account(self) -> str:
        """The ledger account that receives it."""
        return f"tender.{self.value}"


SALES: Final = "sales.energy"
TAX: Final = "tax"
CHANGE: Final = "change"
_ACCOUNT_OF: Final = {LineKind.ENERGY: SALES, LineKind.TAX: TAX, LineKind.CHANGE: CHANGE}


def open_books(connection: Connection, currency: str) -> None:
    """Open the accounts of a new shop."""
    for tender in Tender:
        open_account(connection, tender.account, AccountKind.ASSET, currency)
    open_account(connection, SALES, AccountKind.INCOME, currency)
    open_account(connection, TAX, AccountKind.LIABILITY, currency)
    open_account(connection, CHANGE, AccountKind.LIABILITY, currency)


def moves_of(sale: Quote, tender: Tender) -> list[Transfer]:
    """The transfers of a sale."""
    moves = [
        Transfer(tender.account, _ACCOUNT_OF[line.kind], line.amount_minor, line.kind.value)
        for line in sale.lines
    ]
    if sale.change_minor:
        moves.append(Transfer(CHANGE, Tender.CASH.account, sale.change_minor, "change paid out"))
    return moves
