"""Vouchers onto accounts (specs/utility.md 6): the PIN and the money in one transaction.

Wrong tries are limited by the vending house, for the account, for the client and for all together;
each is counted before anybody looks whether it is right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from billing.faults import UnknownAccountError
from billing.ledger.books import received
from billing.office import Office
from billing.payments.channels import channel_for_money
from billing.payments.door import take
from billing.payments.payee import account_of_number, plain_number, takes_money
from billing.payments.payment import Payment, Taken
from billing.payments.row import find_payment
from billing.person import Right
from vending.vouchers.batches import house_salt
from vending.vouchers.faults import VoucherUsedError
from vending.vouchers.onto_account import PaidOnto, paid_onto, pay_onto_account
from vending.vouchers.pins import Pin
from vending.vouchers.redeem import valid_voucher
from vending.vouchers.tries import begin_try, end_try

CHANNEL: Final = "voucher"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A voucher that has paid onto an account."""

    taken: Taken
    face_minor: int


@dataclass(frozen=True, slots=True)
class VoucherCounter:
    """Redeems vouchers onto accounts."""

    office: Office

    def redeem(self, number: str, pin: Pin, *, client: str) -> Redeemed:
        """Pay a voucher's face value onto an account, once.

        Asked again for the same account, after an answer that was lost, it finds its payment.

        Args:
            number: of the account, or of a meter on it.
            pin: the voucher's secret.
            client: who asks (a desk, a web site, a telephone line); its wrong tries are counted.

        Raises:
            RightMissingError: needs ``serve``.
            UnknownAccountError: no open account has this number; the try is counted.
            TooManyVoucherTriesError: nothing was looked at.
            VoucherUnknownError, VoucherUsedError, VoucherNotActiveError, VoucherBlockedError,
                VoucherExpiredError, MeterBusyError: why it does not pay.
        """
        self.office.require(Right.SERVE)
        now = self.office.now()
        with self.office.reading() as connection:
            salt = house_salt(connection)
        proof = pin.proof(salt)
        with self.office.writing() as connection:
            try_id = begin_try(connection, client, plain_number(number)[:64], now)
        found = False
        try:
            with self.office.writing() as connection:
                account_id = _account(connection, number)
                before = paid_onto(connection, proof)
                if before is not None:
                    known = self._again(connection, before, account_id)
                    found = True
                    return known
                voucher = valid_voucher(connection, proof, now, lock=True)
                found = True
                channel = channel_for_money(connection, self.office, CHANNEL)
                payment = _payment(voucher.batch_id, voucher.serial, voucher.face_minor, account_id)
                taken = take(connection, self.office, replace(payment, where=client[:140]))
                pay_onto_account(
                    connection,
                    voucher,
                    subject=f"payment {taken.payment_id}",
                    account=received(channel.name),
                    at=now,
                    currency=self.office.currency.code,
                )
                return Redeemed(taken, voucher.face_minor)
        finally:
            if found:  # nobody was guessing, whatever became of the payment
                with self.office.writing() as connection:
                    end_try(connection, try_id, right=True)

    def _again(self, connection: Connection, before: PaidOnto, account_id: int) -> Redeemed:
        payment = find_payment(connection, int(before.subject.removeprefix("payment ")))
        if payment.account_id != account_id:
            raise VoucherUsedError(
                f"Voucher {before.batch_id}-{before.serial} has paid before, onto an account "
                f"({before.subject}): a voucher pays once."
            )
        same = _payment(before.batch_id, before.serial, payment.amount_minor, account_id)
        return Redeemed(take(connection, self.office, same), payment.amount_minor)


def _payment(batch_id: int, serial: int, face_minor: int, account_id: int) -> Payment:
    return Payment(CHANNEL, f"{batch_id}-{serial}", face_minor, account_id)


def _account(connection: Connection, number: str) -> int:
    account_id = account_of_number(connection, number)
    if account_id is None or not takes_money(connection, account_id):
        raise UnknownAccountError("There is no open account of this number, nor a meter of one.")
    return account_id
