"""Pay account: money for debts and charges that are due, without a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from storage import ledger
from vending.cash.credit import moves_by, spend, vendor_of
from vending.cash.drawer import shift_of_sale
from vending.people.actor import Permission
from vending.price.dues import settle
from vending.price.quoting import quote_account
from vending.price.tariff import MONEY_MAX
from vending.receipts.receipt import Receipt, ReceiptKind
from vending.shop.answering import answer
from vending.shop.books import Tender, moves_of
from vending.shop.faults import RequestFormatError
from vending.shop.giveout import give_out
from vending.shop.house import House
from vending.shop.meters import find_meter
from vending.shop.offer import paid_part, terms_of
from vending.shop.once import question_of
from vending.shop.requests import VendResult, require_no_voucher, require_tender, require_who
from vending.shop.values import require_whole
from vending.sts import MeterPan


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """Take money for what is due at a meter.

    Raises:
        RequestFormatError: a field has the wrong form.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """

    client: str
    message_id: str
    meter: str
    amount_minor: int
    """What the customer gives, in minor units; what is not due goes back as change."""
    debt_id: int | None = None
    """Pay this debt and nothing else; None: charges and debts, the oldest first."""
    tender: Tender = Tender.CASH
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_who(self)
        if require_whole("An amount in minor units", self.amount_minor) > MONEY_MAX:
            raise RequestFormatError("A payment is at most 10**15 minor units.")
        if self.debt_id is not None:
            require_whole("A debt's number", self.debt_id)
        require_tender(self.tender)

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {
            "meter": MeterPan.from_drn(self.meter).drn,
            "amount_minor": self.amount_minor,
            "debt_id": self.debt_id,
            "tender": self.tender.value,
        }


@dataclass(frozen=True, slots=True)
class PaymentDesk:
    """Payments for what is due."""

    house: House

    def pay(self, request: PaymentRequest) -> VendResult:
        """Take a payment; repeatable as a sale is.  Blocked meters may pay, too.

        Raises:
            PermissionDeniedError: the actor may not sell.
            RequestFormatError: a voucher pays for units, and for nothing else.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.SELL)
        request = self.house.signed(request)
        require_no_voucher(request.tender)

        def work(connection: Connection) -> Receipt:
            return self._take(connection, request)

        question = question_of("account_payment", request)
        return answer(self.house, question, self.house.now(), work)

    def _take(self, connection: Connection, request: PaymentRequest) -> Receipt:
        utility, now = self.house.utility, self.house.now()
        vendor = vendor_of(connection, request.terminal)
        meter = find_meter(connection, request.meter, lock=True)
        terms = terms_of(
            connection, meter, utility=utility, now=now, tender=request.tender, lock=True
        )
        paid = quote_account(
            terms.tariff,
            terms.situation,
            request.amount_minor,
            utility.currency,
            debt_id=request.debt_id,
        )
        moves = moves_of(paid, request.tender)
        if vendor is not None:
            moves = moves_by(connection, vendor, utility.currency.code, moves)
            if vendor.prepaid:
                spend(connection, vendor, paid.tendered_minor - paid.change_minor)
        transaction_id = ledger.post(
            connection,
            kind="account_payment",
            posted_at=now,
            currency=utility.currency.code,
            moves=moves,
        )
        receipt = give_out(
            connection,
            self.house,
            request,
            kind=ReceiptKind.ACCOUNT_PAYMENT,
            meter=meter,
            now=now,
            payment=paid_part(utility, request.tender, terms, paid),
            transaction_id=transaction_id,
            shift_id=shift_of_sale(connection, request.operator, request.terminal, request.tender),
            vendor_id=None if vendor is None else vendor.vendor_id,
            vendor=None if vendor is None else vendor.name,
        )
        settle(connection, receipt.receipt_no, meter, paid, now)
        return receipt
