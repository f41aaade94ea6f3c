"""After a sale: it was printed, it is confirmed, it is reversed, its money is given back.

A token that left the building cannot be unsold.  So a sale is **reversed** only while nobody can
have its token: not confirmed, not printed or shown (`AdviceDesk.printed`, which a till calls
when it shows a receipt), and the meter's latest.  Its units go back to the same month's blocks,
its money by reversing entries, never by edits; its TID is never used again, and its answer is
marked (`VendResult.reversed_by`).

Afterwards there is the **refund**, which takes two persons: the money goes back, the token stays
valid, and its units stay counted.

A payment on account is undone in the same two ways; what it had paid is due again.  Change that a
sale kept, and that a later sale has used, does not go back (`vending.shop.kept_change`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from storage import audit
from storage.engine import insert_if_new
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.price.dues import kept_and_used, unsettle
from vending.receipts.receipt import Reason, Receipt, ReceiptKind
from vending.shop.answering import answer
from vending.shop.books import Tender
from vending.shop.by_wire import not_delivered_by_wire
from vending.shop.copies import stored_receipt
from vending.shop.counter_tables import advices
from vending.shop.faults import RequestFormatError
from vending.shop.giveout import Words, give_out, reason_words, require_reason
from vending.shop.house import House
from vending.shop.kept_change import lessened, used_words
from vending.shop.key_change import undo_key_change
from vending.shop.meters import find_meter
from vending.shop.once import question_of
from vending.shop.requests import VendResult, require_ids
from vending.shop.reversals import note_print, require_unreversed
from vending.shop.undoing import (
    Sale,
    find_sale,
    give_back,
    require_reversible,
    require_with_money,
    sale_of_receipt,
)
from vending.shop.values import require_text, require_whole
from vending.shop.whose_sale import drawer_of_undoing, require_own_sale, require_same_side

_MONEY_BACK: Words = ("The sale is undone. The money goes back.", Reason("sale_undone"))
_TOKEN_STAYS: Words = (
    "Money given back. The token stays valid: it cannot be taken back.",
    Reason("money_given_back"),
)
_PAYMENT_BACK: Words = (
    "The payment is undone. The money goes back; what it paid is due again.",
    Reason("payment_undone"),
)
_DUE_AGAIN: Words = (
    "Money given back. What it had paid is due again.",
    Reason("payment_given_back"),
)


@dataclass(frozen=True, slots=True)
class ReversalRequest:
    """Undo a sale whose token nobody has, or a payment whose receipt nobody has.

    Raises:
        RequestFormatError: a field has the wrong form.
    """

    client: str
    message_id: str
    """Of this request."""
    sale_message_id: str
    """Of the sale."""
    sale_client: str = ""
    """Who sold; empty: the same client."""
    reason: str = ""
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_ids(self)
        require_text("sale_client", self.sale_client)
        if not require_text("sale_message_id", self.sale_message_id).strip():
            raise RequestFormatError("sale_message_id must not be empty.")

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {
            "sale_client": self.sale_client or self.client,
            "sale_message_id": self.sale_message_id,
        }


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Give the money of a sale or a payment back whose receipt is out of the building.

    Raises:
        RequestFormatError: a field has the wrong form.
    """

    client: str
    message_id: str
    receipt_no: int
    """Of the sale."""
    reason: str = ""
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_ids(self)
        require_whole("A receipt's number", self.receipt_no)

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {"receipt_no": self.receipt_no, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class AdviceDesk:
    """Printed, confirm, reverse, refund."""

    house: House

    def printed(self, receipt_no: int, *, operator: str = "") -> None:
        """A receipt is being printed, or shown to the customer: call it before that is done.

        From then on the sale cannot be reversed.  Calling it again changes nothing.

        Raises:
            PermissionDeniedError: the actor may not even look: whoever can see a receipt can
                give its token away.
            UnknownReceiptError: no such receipt.
            SaleReversedError: the sale was reversed: show it to nobody.
        """
        self.house.require(Permission.LOOK)
        require_whole("A receipt's number", receipt_no)
        now, who = self.house.now(), self.house.who(operator)
        with self.house.writing() as connection:
            stored_receipt(connection, receipt_no, lock=True)
            require_unreversed(connection, receipt_no)
            note_print(connection, receipt_no, now, who)

    def confirm(self, client: str, message_id: str, *, operator: str = "") -> Receipt:
        """The customer has the token of this sale; gives its receipt.

        Confirming again changes nothing.

        Raises:
            PermissionDeniedError: the actor may not sell.
            UnknownMessageError: nothing was sold or refused under this id.
            NotASaleError: it was refused, or is no sale.
            SaleReversedError: it was reversed before.
        """
        self.house.require(Permission.SELL)
        self.house.require_client(client)
        now, who = self.house.now(), self.house.who(operator)
        with self.house.writing() as connection:
            sale = find_sale(connection, client, message_id)
            require_unreversed(connection, sale.receipt_no)
            fresh = insert_if_new(
                connection,
                advices,
                {
                    "receipt_no": sale.receipt_no,
                    "advice": "confirmed",
                    "advised_at": now,
                    "operator": who,
                },
            )
            if fresh:
                _record(connection, now, who, "confirmed", sale)
            return sale.receipt

    def reverse(self, request: ReversalRequest) -> VendResult:
        """Undo a sale whose answer never arrived, or could not be shown; repeatable as a sale is.

        A program gets the tokens with the answer of the sale: one that has shown or printed them
        must have called `printed`, and does not reverse.

        Refused (`Outcome.FAILED`) once the sale was confirmed, printed, reversed or refunded, or
        when something was given out to the meter after it; when its token went to the meter by
        wire; when it is another's sale
        (`vending.shop.whose_sale`), a bank booking's, or was made on another side (a vendor's,
        the house's); and when its cash lies in a drawer and the actor has none open.

        Raises:
            PermissionDeniedError: the actor may not sell: a till that cannot print must be
                able to undo what it sold.
            ClientMismatchError: a program asks about another client's sale.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.SELL)
        request = self.house.signed(request)
        self.house.require_client(request.sale_client or request.client)
        now = self.house.now()

        def work(connection: Connection) -> Receipt:
            client = request.sale_client or request.client
            sale = find_sale(connection, client, request.sale_message_id)
            require_own_sale(
                connection,
                self.house,
                sale,
                self.house.who(request.operator),
                self.house.where(request.terminal),
                now,
            )
            require_reversible(connection, sale)
            connection.execute(
                insert(advices),
                {
                    "receipt_no": sale.receipt_no,
                    "advice": "reversed",
                    "advised_at": now,
                    "operator": self.house.who(request.operator),
                },
            )
            undo_key_change(connection, sale.meter, sale.receipt_no)
            told = _PAYMENT_BACK if sale.is_payment else _MONEY_BACK
            words = (told, *((reason_words(request.reason),) if request.reason else ()))
            with not_delivered_by_wire(connection, sale.receipt_no):
                return self._undo(connection, request, sale, ReceiptKind.REVERSAL, words, now)

        question = question_of("reversal", request)
        return answer(self.house, question, now, work)

    def refund(self, request: RefundRequest) -> VendResult:
        """Give the money of a sale back; its token stays valid.  Repeatable as a sale is.

        It needs a reason and a second person's approval (`Act.REFUND`) for exactly
        ``request.essence()``.  It is given at a terminal of the side that sold, out of the open
        drawer of whoever gives it.

        Raises:
            PermissionDeniedError: the actor may not refund.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.REVERSE)
        request = self.house.signed(request)
        now = self.house.now()

        def work(connection: Connection) -> Receipt:
            require_reason(request.reason)
            sale = sale_of_receipt(connection, request.receipt_no)
            require_with_money(connection, sale)
            use_approval(
                connection,
                Act.REFUND,
                request.essence(),
                self.house.current_actor(),
                now,
                subject=str(sale.receipt_no),
            )
            told = _DUE_AGAIN if sale.is_payment else _TOKEN_STAYS
            words = (told, reason_words(request.reason))
            return self._undo(connection, request, sale, ReceiptKind.REFUND, words, now)

        question = question_of("refund", request)
        return answer(self.house, question, now, work)

    def _undo(
        self,
        connection: Connection,
        request: ReversalRequest | RefundRequest,
        sale: Sale,
        kind: ReceiptKind,
        words: tuple[Words, ...],
        now: datetime,
    ) -> Receipt:
        paid = sale.receipt.payment
        assert paid is not None  # of its kind
        used_minor = kept_and_used(connection, sale.receipt_no, sale.meter)
        payment = lessened(paid, used_minor, sale.receipt_no)
        who, terminal = self.house.who(request.operator), self.house.where(request.terminal)
        require_same_side(connection, sale, terminal)
        shift_id = drawer_of_undoing(connection, sale, who, terminal, Tender(payment.tender))
        transaction_id = give_back(connection, self.house, sale, kind, now, payment, used_minor)
        receipt = give_out(
            connection,
            self.house,
            request,
            kind=kind,
            meter=find_meter(connection, sale.meter.number),
            now=now,
            messages=(*words, *used_words(self.house.utility.currency, used_minor)),
            payment=payment,
            units=sale.units if kind is ReceiptKind.REVERSAL else 0,
            transaction_id=transaction_id,
            shift_id=shift_id,
            vendor_id=sale.vendor_id,
            reversed_receipt_no=sale.receipt_no,
        )
        unsettle(
            connection,
            sale.receipt_no,
            receipt.receipt_no,
            sale.meter,
            now,
            used_minor=used_minor,
        )
        _record(connection, now, who, kind.value, sale, request.reason)
        return receipt


def _record(
    connection: Connection, now: datetime, who: str, act: str, sale: Sale, reason: str = ""
) -> None:
    action = f"{'payment' if sale.is_payment else 'sale'}.{act}"
    detail = f"meter {sale.meter.number}" + (f": {reason}" if reason else "")
    audit.record(
        connection, now, actor=who, action=action, subject=str(sale.receipt_no), detail=detail
    )
