"""Moving a meter to another key; the caller holds the write transaction.

States per meter: pending (decided) → issued (tokens made, on a receipt) → confirmed (the meter
was seen to have the new key).  In this shop the first two happen in one transaction, and from
then on tokens are made under the new key.  A change of base date carries the roll-over flag
and only leads forward: going back would make a meter with an emptied memory take its used
tokens again.

Policy for a meter that cannot get credit under its key: fault, with the key change as the way
out (see `sale`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, insert, update

from vending.receipts.receipt import Receipt, ReceiptKind, TokenPart
from vending.security.port import SecurityModule
from vending.shop.faults import KeyUnchangedError
from vending.shop.issue import MadeToken, meter_part, seller_part, store_receipt
from vending.shop.meters import Meter, MeterKey, find_meter, insert_key, key_id_of, replace_key
from vending.shop.requests import KeyChangeRequest
from vending.shop.settings import Utility
from vending.shop.tables import key_changes
from vending.shop.tids import require_begun
from vending.sts import KeyChangeError, expected_sections, tid_at
from vending.sts.content import MANAGEMENT_CLASS

_ORDINALS = ("1st", "2nd", "3rd", "4th")
_OLD_CREDIT_FIRST = (
    "Enter credit tokens bought earlier first: after the key change the meter refuses them."
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
        ClockBehindError: the new base date has not begun, by this clock.
        TidRangeError: the new base date has ended.
        SupplyGroupNotAuthorisedError: the new key is not here.
        VendingError: other wrong values.
    """
    meter = find_meter(connection, request.meter, lock=True)
    new_key = _new_key(meter, request, now)
    old, new = meter.attributes(), meter.attributes(new_key)
    made = security.make_key_change(
        old, new, new_key.ken, rollover=new_key.base_date is not meter.key.base_date
    )
    new_key_id = key_id_of(connection, meter.meter_id, new_key) or insert_key(
        connection, meter.meter_id, new_key, state="waiting"
    )
    key_change_id = _decide(connection, meter, new_key_id, request.reason, now)
    subclasses = expected_sections(None, meter.algorithm.key_bits)
    receipt_no = store_receipt(
        connection,
        client=request.client,
        message_id=request.message_id,
        kind=ReceiptKind.KEY_CHANGE,
        meter=meter,
        issued_at=now,
        made=tuple(
            MadeToken(MANAGEMENT_CLASS, subclass, digits)
            for subclass, digits in zip(subclasses, made, strict=True)
        ),
    )
    _mark_issued(connection, key_change_id, receipt_no, now)
    replace_key(connection, meter.key_id, new_key_id)
    return Receipt(
        receipt_no=receipt_no,
        kind=ReceiptKind.KEY_CHANGE,
        issued_at=now,
        zone=utility.zone,
        client=request.client,
        message_id=request.message_id,
        seller=seller_part(utility, request.terminal, request.operator),
        meter=meter_part(meter, new_key),
        tokens=tuple(
            TokenPart(f"Key change: enter {place}", digits, 0, None)
            for place, digits in zip(_places(len(made)), made, strict=True)
        ),
        payment=None,
        messages=(_OLD_CREDIT_FIRST,),
        test_marks=security.test_marks(old),
    )


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
    tid_at(now, new_key.base_date)
    return new_key


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


def _places(count: int) -> tuple[str, ...]:
    return (*_ORDINALS[: count - 1], "last")
