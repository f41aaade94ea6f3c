"""What everything that is given out without a price shares: tokens, rows, the receipt."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from vending.receipts.receipt import PaymentPart, Reason, Receipt, ReceiptKind, TokenPart
from vending.security.groups import KeyPolicy
from vending.shop.faults import KeyTypeError, MeterBlockedError, ReasonMissingError
from vending.shop.house import House
from vending.shop.issue import MadeToken, meter_part, seller_part, store_receipt
from vending.shop.key_policy import change_required, key_standing
from vending.shop.meters import Meter
from vending.shop.tids import due_tid, require_begun
from vending.sts import Content, KeyType, TransferCredit, floor_amount

Words = tuple[str, Reason]
"""A message of a receipt, in English and as data."""


def units_token(
    connection: Connection, house: House, meter: Meter, units: int, now: datetime
) -> tuple[MadeToken, TokenPart]:
    """A credit token of so many units (tenths), rounded down to what a token can carry.

    Raises:
        MeterBlockedError, KeyTypeError, KeyChangeRequiredError, KeyRevisionOutdatedError:
            the meter takes none.
        TidRangeError, KeyExpiredError, SupplyGroupNotAuthorisedError: none can be made.
    """
    require_supplied(connection, meter, now)
    content = TransferCredit(
        meter.resource.service, house.rnd(), due_tid(connection, meter, now), floor_amount(units)
    )
    return token_of(house, meter, content, meter.resource.label, "credit")


def require_supplied(connection: Connection, meter: Meter, now: datetime) -> None:
    """Refuse to give units to a meter that is blocked, or that could not take them.

    Raises:
        MeterBlockedError, KeyTypeError, KeyChangeRequiredError, KeyRevisionOutdatedError.
    """
    if meter.blocked is not None:
        raise MeterBlockedError(
            f"Meter {meter.number} is blocked: {meter.blocked}. Unblock it first."
        )
    if meter.key.key_type is KeyType.DEFAULT:
        raise KeyTypeError(
            f"Meter {meter.number} has a default key (KT 1), under which it takes no credit: "
            f"change its key first (meterhouse vend key-change {meter.number} --kt 2)."
        )
    require_stamped(connection, meter, now)
    standing = key_standing(connection, meter, now)
    if standing.is_outdated and standing.policy is KeyPolicy.FAULT:
        raise change_required(meter, standing)


def require_stamped(connection: Connection, meter: Meter, now: datetime) -> None:
    """Refuse a token with a TID to a meter whose base date has no TID for this moment.

    Raises:
        ClockBehindError: the base date has not begun, by this clock.
        KeyChangeRequiredError: it has ended.
    """
    require_begun(meter.key.base_date, now)
    if now > meter.key.base_date.last:
        raise change_required(meter, key_standing(connection, meter, now))


def token_of(
    house: House, meter: Meter, content: Content, name: str, code: str
) -> tuple[MadeToken, TokenPart]:
    """A token as it is stored, and as a receipt shows it.

    Raises:
        SupplyGroupNotAuthorisedError, StsError: it cannot be made.
    """
    house.security.require(meter.key.sgc, meter.key.krn)
    digits = house.security.make_token(content, meter.attributes())
    tid: int | None = getattr(content, "tid", None)
    units = content.amount if isinstance(content, TransferCredit) else 0
    made = MadeToken(content.token_class, content.subclass, digits, tid, units)
    return made, TokenPart(name, digits, units, tid, code=code)


def give_out(
    connection: Connection,
    house: House,
    request: Any,
    *,
    kind: ReceiptKind,
    meter: Meter,
    now: datetime,
    made: tuple[MadeToken, ...] = (),
    tokens: tuple[TokenPart, ...] = (),
    messages: tuple[Words, ...] = (),
    type_code: str = "000",
    payment: PaymentPart | None = None,
    units: int | None = None,
    transaction_id: int | None = None,
    shift_id: int | None = None,
    vendor_id: int | None = None,
    vendor: str | None = None,
    reversed_receipt_no: int | None = None,
) -> Receipt:
    """Write the receipt of a request and its tokens.

    Args:
        connection: in the request's write transaction.
        house: whose utility and actor the receipt names.
        request: client, message id, operator and terminal are taken from it.
        kind: what is given out.
        meter: for which, under its lock.
        now: the time.
        made, tokens: in entry order; as stored, and as shown.
        messages: what the receipt says.
        type_code: 000, 003, 005, 010.
        payment: the money; None when there is none.
        units: of the receipt, when they are not those of its tokens.
        transaction_id: of the ledger, when there is money.
        shift_id, vendor_id: whose it is.
        vendor: its name, for the receipt.
        reversed_receipt_no: which sale it undoes or gives the money back for.
    """
    operator, terminal = house.who(request.operator), house.where(request.terminal)
    receipt_no = store_receipt(
        connection,
        client=request.client,
        message_id=request.message_id,
        kind=kind,
        meter=meter,
        issued_at=now,
        made=made,
        operator=operator,
        terminal=terminal,
        tender=None if payment is None else payment.tender,
        tendered_minor=0 if payment is None else payment.tendered_minor,
        change_minor=0 if payment is None else payment.change_minor,
        units=units,
        transaction_id=transaction_id,
        resource=meter.resource.value,
        shift_id=shift_id,
        vendor_id=vendor_id,
        reversed_receipt_no=reversed_receipt_no,
    )
    return Receipt(
        receipt_no=receipt_no,
        kind=kind,
        issued_at=now,
        zone=house.utility.zone,
        client=request.client,
        message_id=request.message_id,
        seller=seller_part(house.utility, terminal, operator, vendor=vendor),
        meter=meter_part(meter),
        tokens=tokens,
        payment=payment,
        messages=tuple(text for text, _ in messages),
        test_marks=house.security.test_marks(meter.attributes()),
        message_reasons=tuple(reason for _, reason in messages),
        type_code=type_code,
        shift_no=shift_id,
        reversed_receipt_no=reversed_receipt_no,
    )


def require_reason(reason: str) -> str:
    """Refuse to act without a reason.

    Raises:
        ReasonMissingError: it is empty.
    """
    if not reason.strip():
        raise ReasonMissingError("Say why: this needs a reason, for the receipt and the audit.")
    return reason


def reason_words(reason: str) -> Words:
    """The reason, as a receipt shows it."""
    return f"Reason: {reason}", Reason("given_reason", (reason,))
