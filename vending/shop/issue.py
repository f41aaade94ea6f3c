"""Writing down what is given out: the rows of a receipt and of its tokens, and its parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from storage.prepared import NextId, Prepared, Values
from vending.receipts.receipt import KeyPart, MeterPart, ReceiptKind, SellerPart
from vending.shop.agreed import agreed
from vending.shop.meters import Meter, MeterKey
from vending.shop.settings import Utility
from vending.shop.tables import receipts, tokens

_NEW_RECEIPT: Final = Prepared(
    insert(receipts).returning(receipts.c.receipt_no),
    [column.name for column in receipts.c if column.name != "receipt_no"],
)
_NUMBERED_RECEIPT: Final = Prepared(insert(receipts))
NEXT_RECEIPT: Final = NextId("receipts", "receipt_no")
_NEW_TOKEN: Final = Prepared(insert(tokens))
_LAST_PURCHASE: Final = Prepared(
    select(receipts.c.issued_at)
    .where(
        receipts.c.meter_id == bindparam("of_meter"),
        receipts.c.kind == ReceiptKind.CREDIT.value,
    )
    .order_by(receipts.c.issued_at.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A token as it is stored."""

    token_class: int
    subclass: int
    digits: str
    tid: int | None = None
    units: int = 0
    under: Meter | None = None
    """The meter with the key that it is encrypted under; None: as the receipt's meter."""


def store_receipt(
    connection: Connection,
    *,
    client: str,
    message_id: str,
    kind: ReceiptKind,
    meter: Meter,
    issued_at: datetime,
    made: tuple[MadeToken, ...],
    operator: str = "",
    terminal: str = "",
    tender: str | None = None,
    tendered_minor: int = 0,
    change_minor: int = 0,
    units: int | None = None,
    transaction_id: int | None = None,
    resource: str = "electricity",
    vendor_id: int | None = None,
    shift_id: int | None = None,
    reversed_receipt_no: int | None = None,
    tariff_version_id: int | None = None,
) -> int:
    """Write a receipt and its tokens, in entry order; gives the receipt's number.

    ``units`` are those of the tokens, unless they are given (a reversal takes units back).
    """
    row = {
        "client": client,
        "message_id": message_id,
        "kind": kind.value,
        "meter_id": meter.meter_id,
        "issued_at": issued_at,
        "tendered_minor": tendered_minor,
        "change_minor": change_minor,
        "units": sum(token.units for token in made) if units is None else units,
        "transaction_id": transaction_id,
        "tender": tender,
        "resource": resource,
        "operator": operator,
        "terminal": terminal,
        "vendor_id": vendor_id,
        "shift_id": shift_id,
        "reversed_receipt_no": reversed_receipt_no,
        "tariff_version_id": tariff_version_id,
    }
    receipt_no = NEXT_RECEIPT.take(connection)
    if receipt_no is None:
        receipt_no = int(_NEW_RECEIPT.scalar(connection, row))
    else:
        _NUMBERED_RECEIPT.run_by_the_end(connection, {"receipt_no": receipt_no, **row})
    for position, token in enumerate(made, 1):
        _NEW_TOKEN.run_by_the_end(
            connection,
            {
                "receipt_no": receipt_no,
                "position": position,
                "meter_id": meter.meter_id,
                "meter_key_id": (token.under or meter).key_id,
                "base_year": int((token.under or meter).key.base_date),
                "token_class": token.token_class,
                "subclass": token.subclass,
                "tid": token.tid,
                "units": token.units,
                "digits": token.digits,
            },
        )
    return receipt_no


@agreed
def last_purchase(connection: Connection, meter: Meter) -> datetime | None:
    """When credit was last sold to a meter."""
    statement, values = asks_last_purchase(meter)
    moment: datetime | None = statement.scalar(connection, values)
    return moment


def asks_last_purchase(meter: Meter) -> tuple[Prepared, Values]:
    """What `last_purchase` asks."""
    return _LAST_PURCHASE, {"of_meter": meter.meter_id}


def seller_part(
    utility: Utility, terminal: str, operator: str, *, vendor: str | None = None
) -> SellerPart:
    """Who sells, for a receipt: the vendor whose terminal it is, or the shop's own."""
    return SellerPart(
        utility.name,
        utility.address,
        utility.tax_number,
        utility.vendor if vendor is None else vendor,
        terminal,
        operator,
    )


def meter_part(meter: Meter, new_key: MeterKey | None = None) -> MeterPart:
    """For which meter, for a receipt."""
    return MeterPart(
        number=meter.number,
        algorithm=int(meter.algorithm),
        customer=meter.customer,
        location=meter.location,
        key=key_part(meter.key),
        new_key=None if new_key is None else key_part(new_key),
        resource=meter.resource.value,
        account=meter.account,
    )


def key_part(key: MeterKey) -> KeyPart:
    """A key's attributes, for a receipt."""
    return KeyPart(
        sgc=key.sgc,
        krn=key.krn,
        key_type=int(key.key_type),
        tariff_index=key.tariff_index,
        base_year=int(key.base_date),
        ken=key.ken,
    )
