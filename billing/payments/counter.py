"""The counter: a cashier takes a payment, in an open shift where the house wants shifts.

The money lies in the drawer (``tender.cash``), and is counted and banked with what sales brought
in; the account of the channel passes it on and stays at zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from billing.ledger.books import received
from billing.office import Office
from billing.payments.channels import Adapter, find_channel
from billing.payments.door import take
from billing.payments.faults import UnknownChannelError
from billing.payments.payment import Payment, Taken
from billing.person import Right
from vending.cash.office_moves import DrawerMove, put_through_drawer, shift_at
from vending.shop.books import Tender


@dataclass(frozen=True, slots=True)
class Counter:
    """Payments that a person takes."""

    office: Office

    def take(self, payment: Payment, *, terminal: str = "", tender: Tender = Tender.CASH) -> Taken:
        """Take a payment over the counter, once; who, where and in which shift stand on it.

        Args:
            payment: its channel is one of the counter's.
            terminal: at which till.
            tender: cash or card.

        Raises:
            RightMissingError: needs ``serve``.
            NoShiftError: cash is taken in a shift only, and none is open.
            VendorTerminalError: it is a vendor's till.
            UnknownChannelError: the channel is none of the counter's.
            PaymentConflictError, BadEntryError, UnknownAccountError, ChannelClosedError: as
                `door.take`.
        """
        self.office.require(Right.SERVE)
        who = self.office.person.name
        with self.office.writing() as connection:
            if find_channel(connection, payment.channel).adapter is not Adapter.COUNTER:
                raise UnknownChannelError(
                    f"{payment.channel} is no counter: its payments come by another way."
                )
            shift_id = shift_at(connection, who, terminal, tender)
            place = [terminal or "counter", *([f"shift {shift_id}"] if shift_id else [])]
            taken = take(connection, self.office, replace(payment, where=", ".join(place)))
            if taken.is_new:
                move = DrawerMove(
                    who,
                    terminal,
                    tender,
                    received(payment.channel),
                    payment.amount_minor,
                    f"payment {taken.payment_id}",
                )
                put_through_drawer(connection, move, self.office.now(), self.office.currency.code)
            return taken
