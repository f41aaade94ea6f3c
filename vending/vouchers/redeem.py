"""Paying with a voucher: a sale whose money is the voucher's face value.

The voucher's row and its batch are looked at and marked in the transaction of the sale, so that
a voucher has paid exactly when there is a receipt for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, insert, select

from vending.shop.agreed import agreed
from vending.shop.books import Tender
from vending.shop.faults import RequestFormatError
from vending.shop.holds import hold
from vending.shop.intents import Outstanding
from vending.shop.requests import VendRequest, require_who
from vending.sts import MeterPan
from vending.vouchers.batches import BatchState
from vending.vouchers.faults import (
    VoucherBlockedError,
    VoucherExpiredError,
    VoucherNotActiveError,
    VoucherUnknownError,
    VoucherUsedError,
)
from vending.vouchers.pins import Pin
from vending.vouchers.tables import (
    voucher_account_payments,
    voucher_batches,
    voucher_payments,
    vouchers,
)

_VOUCHER: Final[Select[Any]] = select(
    vouchers.c.voucher_id,
    vouchers.c.batch_id,
    vouchers.c.serial,
    vouchers.c.blocked,
    voucher_batches.c.state,
    voucher_batches.c.face_minor,
    voucher_batches.c.expires_at,
    voucher_payments.c.receipt_no,
    voucher_account_payments.c.subject,
).select_from(
    vouchers.join(voucher_batches).outerjoin(voucher_payments).outerjoin(voucher_account_payments)
)


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a voucher is to pay for."""

    client: str
    message_id: str
    meter: str
    operator: str = ""
    terminal: str = ""
    accept_key_change: bool = False
    """As for `VendRequest`."""

    def essence(self, proof: bytes) -> dict[str, Any]:
        """What makes it the same request when it is repeated: the PIN's proof, not the PIN."""
        return {"meter": MeterPan.from_drn(self.meter).drn, "voucher": proof.hex()}

    def sale(self, face_minor: int) -> VendRequest:
        """The sale that it pays for.  No second one is asked about: a voucher pays once."""
        return VendRequest(
            client=self.client,
            message_id=self.message_id,
            meter=self.meter,
            amount_minor=face_minor,
            tender=Tender.VOUCHER,
            operator=self.operator,
            terminal=self.terminal,
            accept_key_change=self.accept_key_change,
            confirmed_second=True,
        )


def redemption_of(unknown: Outstanding) -> tuple[Redemption, bytes]:
    """A redemption whose outcome is unknown, with its PIN's proof.

    The answer to `key_change_offered` was yes, or the token would not have been ordered.
    """
    redemption = Redemption(
        unknown.client,
        unknown.message_id,
        unknown.essence["meter"],
        unknown.operator,
        unknown.terminal,
        accept_key_change=True,
    )
    return redemption, bytes.fromhex(unknown.essence["voucher"])


@dataclass(frozen=True, slots=True)
class RedeemRequest:
    """Pay for units with a voucher.

    Raises:
        RequestFormatError: a field has the wrong form.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
        VoucherPinError: the PIN was mistyped; it takes no message id and is no try.
    """

    client: str
    message_id: str
    meter: str
    pin: Pin
    operator: str = ""
    terminal: str = ""
    accept_key_change: bool = False
    """As for `VendRequest`."""

    def __post_init__(self) -> None:
        require_who(self)
        if not isinstance(self.pin, Pin):
            raise RequestFormatError("The pin must be a Pin.")
        if not isinstance(self.accept_key_change, bool):
            raise RequestFormatError("accept_key_change must be True or False.")

    def redemption(self) -> Redemption:
        """The same without the secret."""
        return Redemption(
            self.client,
            self.message_id,
            self.meter,
            self.operator,
            self.terminal,
            self.accept_key_change,
        )


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher that would pay now."""

    voucher_id: int
    batch_id: int
    serial: int
    face_minor: int


@agreed
def valid_voucher(
    connection: Connection, proof: bytes, now: datetime, *, lock: bool = False
) -> Voucher:
    """The voucher that this proof belongs to.

    Args:
        connection: in any transaction; a write transaction for ``lock``.
        proof: of the PIN.
        now: the time of the sale.
        lock: let nobody else pay with it, and nobody block it, until this transaction ends.

    Raises:
        VoucherUnknownError, VoucherUsedError, VoucherNotActiveError, VoucherBlockedError,
            VoucherExpiredError: why it does not pay.
        MeterBusyError: a request that pays with it is not settled.
    """
    this = vouchers.c.proof == proof
    if lock and connection.dialect.name == "postgresql":
        # A statement of its own: what follows must see what the lock waited for.
        connection.execute(
            select(vouchers.c.voucher_id)
            .join(voucher_batches)
            .where(this)
            .with_for_update(of=[vouchers, voucher_batches])
        )
    row = connection.execute(_VOUCHER.where(this)).one_or_none()
    if row is None:
        raise VoucherUnknownError(
            "No voucher has this number. Compare it with the voucher digit by digit."
        )
    _require_valid(row, now)
    if lock:
        hold(connection, held_as(row.batch_id, row.serial))
    return Voucher(row.voucher_id, row.batch_id, row.serial, row.face_minor)


def held_as(batch_id: int, serial: int) -> str:
    """A voucher that a request pays with whose token is being made (`vending.shop.holds`)."""
    return f"voucher {batch_id}-{serial}"


def mark_paid(connection: Connection, voucher: Voucher, receipt_no: int, now: datetime) -> None:
    """The voucher has paid for this receipt; the database lets it pay once."""
    connection.execute(
        insert(voucher_payments),
        {"voucher_id": voucher.voucher_id, "receipt_no": receipt_no, "paid_at": now},
    )


def _require_valid(row: Row[Any], now: datetime) -> None:
    name = f"Voucher {row.batch_id}-{row.serial}"
    if row.receipt_no is not None:
        raise VoucherUsedError(
            f"{name} has paid before, for receipt {row.receipt_no}: a voucher pays once."
        )
    if row.subject is not None:
        raise VoucherUsedError(
            f"{name} has paid before, onto an account ({row.subject}): a voucher pays once."
        )
    if row.state == BatchState.MADE:
        raise VoucherNotActiveError(
            f"{name} was not made valid yet: who sold it must have its batch activated."
        )
    if row.state == BatchState.BLOCKED or row.blocked is not None:
        raise VoucherBlockedError(
            f"{name} is blocked{f': {row.blocked}' if row.blocked else ''}. Send the customer to "
            "the utility's office."
        )
    if now >= row.expires_at:
        raise VoucherExpiredError(
            f"{name} expired on {row.expires_at:%Y-%m-%d}. Send the customer to the utility's "
            "office."
        )
