"""The same sale twice?  Idempotency catches machines; people have to be asked.

Same meter, same amount (or the same number of units), within the window of the counter's rules,
under another message id: the shop asks (`DoubleSaleQuestionError`).  Two real purchases do
happen, so the answer yes sells; both answers are logged in the audit trail.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, exists, select

from storage import audit
from storage.prepared import Prepared, Values
from vending.receipts.receipt import ReceiptKind
from vending.shop.agreed import agreed
from vending.shop.faults import DoubleSaleQuestionError
from vending.shop.meters import Meter
from vending.shop.requests import VendRequest
from vending.shop.rules import rules_of
from vending.shop.settings import Utility
from vending.shop.tables import receipts

_WINDOW_MAX: Final = timedelta(days=1)
_CALENDAR_BEGINS: Final = datetime(1, 1, 2, tzinfo=UTC)
"""A clock that is as wrong as that is refused later, with words."""
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_reversal = receipts.alias("reversal")
_OF_METER: Final = (
    select(receipts.c.receipt_no, receipts.c.issued_at)
    .where(
        receipts.c.meter_id == bindparam("of_meter"),
        receipts.c.kind == ReceiptKind.CREDIT.value,
        receipts.c.issued_at > bindparam("since"),
        ~exists().where(
            _reversal.c.reversed_receipt_no == receipts.c.receipt_no,
            _reversal.c.kind == ReceiptKind.REVERSAL.value,
        ),
    )
    .order_by(receipts.c.issued_at.desc())
    .limit(1)
)
_SAME_AMOUNT: Final = Prepared(_OF_METER.where(receipts.c.tendered_minor == bindparam("amount")))
_SAME_UNITS: Final = Prepared(_OF_METER.where(receipts.c.units == bindparam("amount")))


@agreed
def ask_about_second(
    connection: Connection, meter: Meter, request: VendRequest, utility: Utility, now: datetime
) -> None:
    """Ask whether a sale is a second purchase; log the answer when there is one.

    Args:
        connection: in the write transaction of the sale.
        meter: under its lock.
        request: what is asked, and perhaps the answer.
        utility: in whose zone the question names the time.
        now: the time of the sale.

    Raises:
        DoubleSaleQuestionError: it looks like one, and nobody has answered yet.
    """
    statement, values = asks_second(meter, request, now)
    latest = statement.first(connection, values)
    if latest is None:
        return
    if abs(now - latest.issued_at) >= rules_of(connection).double_sale_window:
        return
    if not request.confirmed_second:
        raise DoubleSaleQuestionError(
            f"The same was sold to meter {meter.number} at "
            f"{utility.local(latest.issued_at):%H:%M} (receipt {latest.receipt_no}). Ask whether "
            "this is a second purchase; if so, ask again with confirmed_second, under the same "
            "message id."
        )
    log_answer(connection, meter.number, request, "sale.second_confirmed", now)


def asks_second(meter: Meter, request: VendRequest, now: datetime) -> tuple[Prepared, Values]:
    """What `ask_about_second` asks."""
    by_units = request.units is not None
    return _SAME_UNITS if by_units else _SAME_AMOUNT, {
        "of_meter": meter.meter_id,
        "since": max(now, _CALENDAR_BEGINS) - _WINDOW_MAX,
        "amount": request.units if by_units else request.amount_minor,
    }


def log_answer(
    connection: Connection, number: str, request: VendRequest, action: str, now: datetime
) -> None:
    """Write down what was answered, by whom, for which request."""
    audit.record(
        connection,
        now,
        actor=request.operator,
        action=action,
        subject=number,
        detail=f"{request.client} {request.message_id}",
    )
