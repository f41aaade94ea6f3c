"""Moving a meter to another key; the caller holds the write transaction.

States per meter: pending (decided) → issued (tokens made, on a receipt) → confirmed (the meter
was seen to have the new key: its first accepted token, or the revision that it shows).  In
this shop the first two happen in one transaction, and from then on tokens are made under the
new key.  A change of base date carries the roll-over flag
and only leads forward: going back would make a meter with an emptied memory take its used
tokens again.

A sale may carry a key change, too (see `key_policy`): then its tokens come first on the sale's
receipt, and the credit, under the new key, last.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, insert, select, update

from storage import audit
from vending.receipts.receipt import Reason, Receipt, ReceiptKind, TokenPart
from vending.security.port import SecurityModule
from vending.shop.faults import (
    KeyChangeNotIssuedError,
    KeyRevisionDiffersError,
    KeyUnchangedError,
    NotLatestSaleError,
    SaleConfirmedError,
)
from vending.shop.issue import MadeToken, meter_part, seller_part, store_receipt
from vending.shop.meters import Meter, MeterKey, find_meter, insert_key, key_id_of, replace_key
from vending.shop.requests import KeyChangeRequest
from vending.shop.settings import Utility
from vending.shop.tables import key_changes, meter_keys, receipts, tokens
from vending.shop.tids import require_begun
from vending.sts import KeyChangeError, KeyExpiredError, expected_sections, tid_at
from vending.sts.content import MANAGEMENT_CLASS

_ORDINALS: Final = ("1st", "2nd", "3rd", "4th")
_TID_LOW_BITS: Final = 16
"""A key's expiry number is held against the bits of a TID above these."""
OLD_CREDIT_FIRST: Final = (
    "Enter credit tokens bought earlier first: after the key change the meter refuses them."
)
OLD_CREDIT_FIRST_REASON: Final = Reason("old_credit_first")


@dataclass(frozen=True, slots=True)
class BegunKeyChange:
    """Key change tokens that are made, before the receipt that they stand on."""

    key_change_id: int
    before: Meter
    after: Meter
    """The meter with its new key."""
    made: tuple[MadeToken, ...]

    def parts(self, *, behind: int = 0) -> tuple[TokenPart, ...]:
        """As a receipt shows them; ``behind`` more tokens follow on the same receipt."""
        places = entry_places(len(self.made) + behind)
        return tuple(
            TokenPart(f"Key change: enter {place}", token.digits, 0, None, code="key_change")
            for place, token in zip(places, self.made, strict=False)
        )


def change_key(
    connection: Connection,
    request: KeyChangeRequest,
    *,
    utility: Utility,
    security: SecurityModule,
    now: datetime,
) -> Receipt:
    """Make the tokens that move a meter to another key.

    Raises:
        KeyUnchangedError: the meter has this key already.
        KeyChangeError: no meter would carry it out, or it leads back to an old base date.
        KeyExpiredError: the new key would have expired by now.
        ClockBehindError: the new base date has not begun, by this clock.
        TidRangeError: the new base date has ended.
        SupplyGroupNotAuthorisedError: the new key is not here.
        VendingError: other wrong values.
    """
    meter = find_meter(connection, request.meter, lock=True)
    new_key = _new_key(meter, request, now)
    begun = begin_key_change(connection, meter, new_key, request.reason, security, now)
    receipt_no = store_receipt(
        connection,
        client=request.client,
        message_id=request.message_id,
        kind=ReceiptKind.KEY_CHANGE,
        meter=meter,
        issued_at=now,
        made=begun.made,
        operator=request.operator,
        terminal=request.terminal,
        resource=meter.resource.value,
    )
    finish_key_change(connection, begun, receipt_no, now)
    return Receipt(
        receipt_no=receipt_no,
        kind=ReceiptKind.KEY_CHANGE,
        issued_at=now,
        zone=utility.zone,
        client=request.client,
        message_id=request.message_id,
        seller=seller_part(utility, request.terminal, request.operator),
        meter=meter_part(meter, new_key),
        tokens=begun.parts(),
        payment=None,
        messages=(OLD_CREDIT_FIRST,),
        test_marks=security.test_marks(meter.attributes()),
        message_reasons=(OLD_CREDIT_FIRST_REASON,),
    )


def begin_key_change(
    connection: Connection,
    meter: Meter,
    new_key: MeterKey,
    reason: str,
    security: SecurityModule,
    now: datetime,
) -> BegunKeyChange:
    """Make the tokens and write the change down as pending; the meter's row is locked.

    Raises:
        KeyChangeError: no meter would carry it out.
        SupplyGroupNotAuthorisedError: one of the keys is not here.
    """
    digits = security.make_key_change(
        meter.attributes(),
        meter.attributes(new_key),
        new_key.ken,
        rollover=new_key.base_date is not meter.key.base_date,
    )
    new_key_id = key_id_of(connection, meter.meter_id, new_key) or insert_key(
        connection, meter.meter_id, new_key, state="waiting"
    )
    subclasses = expected_sections(None, meter.algorithm.key_bits)
    return BegunKeyChange(
        key_change_id=_decide(connection, meter, new_key_id, reason, now),
        before=meter,
        after=replace(meter, key_id=new_key_id, key=new_key),
        made=tuple(
            MadeToken(MANAGEMENT_CLASS, subclass, each, under=meter)
            for subclass, each in zip(subclasses, digits, strict=True)
        ),
    )


def finish_key_change(
    connection: Connection, begun: BegunKeyChange, receipt_no: int, now: datetime
) -> None:
    """The tokens are issued, on this receipt; from now on the new key is in use."""
    _mark_issued(connection, begun.key_change_id, receipt_no, now)
    replace_key(connection, begun.before.key_id, begun.after.key_id)


def confirm_key_change(
    connection: Connection, number: str, krn: int, now: datetime, actor: str
) -> None:
    """The meter was seen to have its new key: a token was accepted, or it shows the KRN.

    Confirming again changes nothing.

    Raises:
        UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
        KeyChangeNotIssuedError: no key change of it was ever given out, or only on a receipt
            that was reversed.
        KeyRevisionDiffersError: it shows another revision: it has not taken the tokens.
    """
    meter = find_meter(connection, number, lock=True)
    latest = connection.execute(
        select(key_changes.c.key_change_id, key_changes.c.state, meter_keys.c.krn)
        .join(meter_keys, meter_keys.c.meter_key_id == key_changes.c.to_key_id)
        .where(
            key_changes.c.meter_id == meter.meter_id,
            key_changes.c.state != "pending",
            ~is_reversed(key_changes.c.receipt_no),
        )
        .order_by(key_changes.c.key_change_id.desc())
        .limit(1)
    ).one_or_none()
    if latest is None:
        raise KeyChangeNotIssuedError(f"No key change was given out for meter {meter.number}.")
    if latest.krn != krn:
        raise KeyRevisionDiffersError(
            f"Meter {meter.number} shows revision {krn}, but its key change leads to "
            f"{latest.krn}: enter the key change tokens again, in their order."
        )
    if latest.state == "confirmed":
        return
    connection.execute(
        update(key_changes)
        .where(key_changes.c.key_change_id == latest.key_change_id)
        .values(state="confirmed")
    )
    audit.record(connection, now, actor=actor, action="key_change.confirmed", subject=meter.number)


def undo_key_change(connection: Connection, meter: Meter, receipt_no: int) -> None:
    """A sale that carried a key change is reversed: nobody has its tokens, so the meter has
    its old key.  Nothing happens when the receipt carried none.

    Raises:
        SaleConfirmedError: the meter was seen to have its new key.
        NotLatestSaleError: tokens were given out for it since, of any kind, or its key changed.
    """
    carried = connection.execute(
        select(key_changes.c.from_key_id, key_changes.c.to_key_id, key_changes.c.state).where(
            key_changes.c.receipt_no == receipt_no
        )
    ).one_or_none()
    if carried is None:
        return
    if carried.state == "confirmed":
        raise SaleConfirmedError(
            f"Meter {meter.number} was seen to have the key that receipt {receipt_no} gave it: "
            "its tokens are out. What is left is a refund."
        )
    later = connection.scalar(
        select(tokens.c.receipt_no)
        .join(receipts, receipts.c.receipt_no == tokens.c.receipt_no)
        .where(
            receipts.c.meter_id == meter.meter_id,
            receipts.c.receipt_no > receipt_no,
            ~is_reversed(receipts.c.receipt_no),
        )
        .limit(1)
    )
    if later is not None or carried.to_key_id != meter.key_id:
        raise NotLatestSaleError(
            f"Receipt {receipt_no} changed the key of meter {meter.number}, and tokens under the "
            "new key were given out after it, or its key was changed again: it cannot be "
            "undone. What is left is a refund."
        )
    replace_key(connection, carried.to_key_id, carried.from_key_id)


def is_reversed(receipt_no: ColumnElement[Any]) -> ColumnElement[bool]:
    """An SQL condition: the receipt of this number was reversed."""
    reversal = receipts.alias("reversal")
    return exists().where(
        reversal.c.reversed_receipt_no == receipt_no,
        reversal.c.kind == ReceiptKind.REVERSAL.value,
    )


def entry_places(count: int) -> tuple[str, ...]:
    """In which order so many tokens are entered: ``1st``, ``2nd``, ..., ``last``."""
    return (*_ORDINALS[: count - 1], "last")


def _new_key(meter: Meter, request: KeyChangeRequest, now: datetime) -> MeterKey:
    present = asdict(meter.key)
    present["base_year"] = int(present.pop("base_date"))
    new_key = MeterKey.checked(**{**present, **request.changes()})
    if new_key == meter.key:
        raise KeyUnchangedError(
            f"Meter {meter.number} has this key already; say what is to change, for instance "
            "the key revision, the tariff index or the base year."
        )
    if new_key.base_date < meter.key.base_date:
        raise KeyChangeError(
            f"Meter {meter.number} is on base date {meter.key.base_date.value}; going back to "
            f"{new_key.base_date.value} would make its used tokens valid again."
        )
    require_begun(new_key.base_date, now)
    _require_lasting(new_key, tid_at(now, new_key.base_date))
    return new_key


def _require_lasting(new_key: MeterKey, tid: int) -> None:
    """Refuse a key under which the meter would take no token from its first day on."""
    if tid >> _TID_LOW_BITS > new_key.ken:
        raise KeyExpiredError(
            f"A key with KEN {new_key.ken} on base date {new_key.base_date.value} has ended: the "
            "meter would take no token any more. Name an expiry number (--ken) from "
            f"{tid >> _TID_LOW_BITS} to 255; 255 is as long as the base date lasts."
        )


def _decide(
    connection: Connection, meter: Meter, new_key_id: int, reason: str, now: datetime
) -> int:
    key_change_id: int = connection.execute(
        insert(key_changes).returning(key_changes.c.key_change_id),
        {
            "meter_id": meter.meter_id,
            "from_key_id": meter.key_id,
            "to_key_id": new_key_id,
            "state": "pending",
            "reason": reason,
            "requested_at": now,
        },
    ).scalar_one()
    return key_change_id


def _mark_issued(
    connection: Connection, key_change_id: int, receipt_no: int, now: datetime
) -> None:
    connection.execute(
        update(key_changes)
        .where(key_changes.c.key_change_id == key_change_id)
        .values(state="issued", issued_at=now, receipt_no=receipt_no)
    )
