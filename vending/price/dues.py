"""What is due at a service point, and what a receipt changes of it.

The caller holds the transaction, and for `settle` and `unsettle` the lock of the meter's row.
Meters that share a service point share its month and its carried change; on PostgreSQL a sale
to one of them waits for a sale to another (an advisory lock, taken after the meter's row, so
that nobody waits in a circle).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    select,
    update,
)

from vending.price.faults import CarriedChangeUsedError
from vending.price.lines import Quote
from vending.price.situation import (
    Of,
    OpenDebt,
    Scheme,
    SchemeKind,
    Situation,
    charges_due,
    month_of,
)
from vending.price.tables import (
    carried_change,
    charge_reversals,
    charges_paid,
    debt_payments,
    debts,
    tariff_assignments,
)
from vending.price.tariff import ChangeRule, Tariff
from vending.receipts.receipt import ReceiptKind
from vending.shop.meters import Meter
from vending.shop.settings import Utility
from vending.shop.tables import meters, receipts

_UNITS_GIVEN: Final = tuple(
    kind.value
    for kind in (
        ReceiptKind.CREDIT,
        ReceiptKind.FREE_ISSUE,
        ReceiptKind.FREE_BASIC,
        ReceiptKind.REPLACEMENT,
    )
)
_reversal: Final = receipts.alias("reversal")
_MONTH_UNITS: Final = (
    select(func.coalesce(func.sum(receipts.c.units - func.coalesce(_reversal.c.units, 0)), 0))
    .select_from(
        receipts.outerjoin(
            _reversal,
            and_(
                _reversal.c.reversed_receipt_no == receipts.c.receipt_no,
                _reversal.c.kind == ReceiptKind.REVERSAL.value,
            ),
        )
    )
    .where(
        receipts.c.meter_id.in_(bindparam("of_meters", expanding=True)),
        receipts.c.issued_at >= bindparam("since"),
        receipts.c.issued_at < bindparam("until"),
        receipts.c.kind.in_(_UNITS_GIVEN),
    )
)
_AT_POINT: Final = select(meters.c.meter_id).where(meters.c.service_point == bindparam("point"))
_PAID: Final = (
    select(func.coalesce(func.sum(debt_payments.c.amount_minor), 0))
    .where(debt_payments.c.debt_id == debts.c.debt_id)
    .scalar_subquery()
)
LEFT: Final = (debts.c.principal_minor - _PAID).label("left_minor")
"""What is left of a debt, in a select from `debts`."""
_OPEN_DEBTS: Final[Select[Any]] = (
    select(debts, LEFT)
    .where(debts.c.meter_id == bindparam("of_meter"), debts.c.principal_minor > _PAID)
    .order_by(debts.c.debt_id)
)
_BEGAN: Final = select(
    meters.c.added_at,
    select(func.max(tariff_assignments.c.assigned_at))
    .where(tariff_assignments.c.meter_id == bindparam("of_meter"))
    .scalar_subquery()
    .label("assigned_at"),
).where(meters.c.meter_id == bindparam("of_meter"))
_GIVEN_BACK: Final = exists().where(
    *(
        charge_reversals.c[name] == charges_paid.c[name]
        for name in ("meter_id", "charge", "month", "turn")
    )
)
_CHARGES_PAID: Final = select(charges_paid.c.charge, charges_paid.c.month).where(
    charges_paid.c.meter_id == bindparam("of_meter"), ~_GIVEN_BACK
)
_CARRIED: Final = (
    select(carried_change.c.meter_id, func.sum(carried_change.c.amount_minor).label("kept_minor"))
    .where(carried_change.c.meter_id.in_(bindparam("of_meters", expanding=True)))
    .group_by(carried_change.c.meter_id)
    .having(func.sum(carried_change.c.amount_minor) > 0)
    .order_by(carried_change.c.meter_id)
)
_HAS_DUES: Final = (
    update(meters)
    .where(meters.c.meter_id == bindparam("of_meter"))
    .values(
        has_dues=case(
            (
                exists().where(
                    debts.c.meter_id == bindparam("of_meter"), debts.c.principal_minor > _PAID
                ),
                1,
            ),
            (
                select(func.coalesce(func.sum(carried_change.c.amount_minor), 0))
                .where(carried_change.c.meter_id == bindparam("of_meter"))
                .scalar_subquery()
                > 0,
                1,
            ),
            else_=0,
        )
    )
)


def month_now(utility: Utility, now: datetime) -> str:
    """The calendar month in the utility's zone."""
    local = utility.local(now)
    return month_of(local.year, local.month)


def situation(
    connection: Connection,
    meter: Meter,
    tariff: Tariff,
    *,
    utility: Utility,
    now: datetime,
    channel: str,
    lock: bool = False,
) -> Situation:
    """What is known of a meter's service point.  No statement when nothing can be known.

    Args:
        connection: in any transaction; a write transaction for ``lock``.
        meter: locked for ``lock``.
        tariff: by which it is going to be priced.
        utility: in whose zone months begin.
        now: the time of the sale.
        channel: how it is paid.
        lock: keep sales to other meters of the service point waiting until this transaction
            ends.
    """
    carries = tariff.change.rule is ChangeRule.CARRY or meter.has_dues
    if not (carries or tariff.counts_blocks or tariff.charges):
        return Situation(channel)
    if lock:
        lock_point(connection, meter)
    at_point = _meters_at(connection, meter) if carries or tariff.counts_blocks else ()
    return Situation(
        channel=channel,
        month_units=(
            _units_of_month(connection, at_point, utility, now) if tariff.counts_blocks else 0
        ),
        charges=_charges(connection, meter, tariff, utility, now) if tariff.charges else (),
        debts=open_debts(connection, meter.meter_id) if meter.has_dues else (),
        carried_minor=sum(kept for _, kept in _carried(connection, at_point)) if carries else 0,
    )


def month_units(connection: Connection, meter: Meter, *, utility: Utility, now: datetime) -> int:
    """Units (tenths) that the meter's service point was given in this month.

    Free units and those of an exchanged meter count; a reversal gives its units back to the
    month of the sale.
    """
    return _units_of_month(connection, _meters_at(connection, meter), utility, now)


def open_debts(connection: Connection, meter_id: int) -> tuple[OpenDebt, ...]:
    """A meter's debts that are not paid off, the oldest first."""
    rows = connection.execute(_OPEN_DEBTS, {"of_meter": meter_id})
    return tuple(
        OpenDebt(row.debt_id, row.name, int(row.left_minor), scheme_of(row)) for row in rows
    )


def scheme_of(row: Row[Any]) -> Scheme:
    """How a row of `debts` is collected."""
    return Scheme(SchemeKind(row.scheme), row.rate_bp, row.fixed_minor, Of(row.share_of))


def settle(
    connection: Connection, receipt_no: int, meter: Meter, quote: Quote, now: datetime
) -> None:
    """Write down what a receipt pays of debts and charges, keeps and uses of change.

    No statement when it is nothing.  The database refuses (IntegrityError) what would pay a
    month twice, or more than is left.
    """
    paid = [each for each in quote.debts if each.paid_minor]
    if paid:
        connection.execute(
            insert(debt_payments),
            [
                {
                    "debt_id": each.debt_id,
                    "kind": "payment",
                    "amount_minor": each.paid_minor,
                    "paid_at": now,
                    "receipt_no": receipt_no,
                    "reason": "",
                }
                for each in paid
            ],
        )
    for charge in quote.charges:
        turn = connection.scalar(
            select(func.count()).where(
                charge_reversals.c.meter_id == meter.meter_id,
                charge_reversals.c.charge == charge.code,
                charge_reversals.c.month == charge.month,
            )
        )
        connection.execute(
            insert(charges_paid),
            {
                "meter_id": meter.meter_id,
                "charge": charge.code,
                "month": charge.month,
                "turn": turn,
                "receipt_no": receipt_no,
                "amount_minor": charge.amount_minor,
            },
        )
    carried = _settle_carried(connection, receipt_no, meter, quote)
    if paid or carried:
        refresh_dues(connection, meter.meter_id)


def kept_and_used(connection: Connection, receipt_no: int, meter: Meter) -> int:
    """What a receipt kept of its change and nobody can take back: a later sale has used it.

    Args:
        connection: in a write transaction; other meters of the service point wait for its end.
        receipt_no: the receipt that is to be undone.
        meter: its meter; locked.
    """
    lock_point(connection, meter)
    _, used_minor = _moves_back(connection, receipt_no, meter)
    return used_minor


def unsettle(
    connection: Connection,
    receipt_no: int,
    reversal_no: int,
    meter: Meter,
    now: datetime,
    *,
    used_minor: int = 0,
) -> None:
    """Give back what a receipt had paid: another row for each of its rows.

    Args:
        connection: in a write transaction in which the reversal's receipt is stored.
        receipt_no: the receipt that is undone.
        reversal_no: the receipt that undoes it.
        meter: of both; locked.
        now: the time of the reversal.
        used_minor: `kept_and_used`, which the money that goes back was lessened by.

    Raises:
        CarriedChangeUsedError: what it kept for the next sale has been used since, and the
            money that goes back was not lessened by it.
    """
    paid = connection.execute(
        select(debt_payments).where(
            debt_payments.c.receipt_no == receipt_no, debt_payments.c.kind == "payment"
        )
    ).all()
    for row in paid:
        connection.execute(
            insert(debt_payments),
            {
                "debt_id": row.debt_id,
                "kind": "reversal",
                "amount_minor": -row.amount_minor,
                "paid_at": now,
                "receipt_no": reversal_no,
                "reason": f"receipt {receipt_no} was reversed",
            },
        )
    charges = connection.execute(
        select(charges_paid).where(charges_paid.c.receipt_no == receipt_no)
    ).all()
    for row in charges:
        connection.execute(
            insert(charge_reversals),
            {
                "meter_id": row.meter_id,
                "charge": row.charge,
                "month": row.month,
                "turn": row.turn,
                "receipt_no": reversal_no,
            },
        )
    carried, lost_minor = _moves_back(connection, receipt_no, meter)
    if lost_minor != used_minor:
        raise CarriedChangeUsedError(
            f"Receipt {receipt_no} kept change for the next sale, and a sale has used it since: "
            "undo that one first."
        )
    _move_carried(connection, reversal_no, carried)
    if paid or carried:
        refresh_dues(connection, meter.meter_id)


def refresh_dues(connection: Connection, meter_id: int) -> None:
    """Note at the meter whether a sale has to look for debts and carried change."""
    connection.execute(_HAS_DUES, {"of_meter": meter_id})


# --- inside ---------------------------------------------------------------------------------


def lock_point(connection: Connection, meter: Meter) -> None:
    """Keep what is given to other meters of the service point waiting until this write
    transaction ends (on SQLite it is alone anyway)."""
    if meter.service_point and connection.dialect.name == "postgresql":
        connection.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(meter.service_point, 0)))
        )


def _meters_at(connection: Connection, meter: Meter) -> Sequence[int]:
    if not meter.service_point:
        return (meter.meter_id,)
    return connection.scalars(_AT_POINT, {"point": meter.service_point}).all()


def _units_of_month(
    connection: Connection, at_point: Sequence[int], utility: Utility, now: datetime
) -> int:
    local = utility.local(now)
    first = date(local.year, local.month, 1)
    following = date(local.year + local.month // 12, local.month % 12 + 1, 1)
    given = connection.scalar(
        _MONTH_UNITS,
        {
            "of_meters": list(at_point),
            "since": utility.midnight(first),
            "until": utility.midnight(following),
        },
    )
    return int(given or 0)


def _charges(
    connection: Connection, meter: Meter, tariff: Tariff, utility: Utility, now: datetime
) -> tuple[Any, ...]:
    began = connection.execute(_BEGAN, {"of_meter": meter.meter_id}).one()
    since = max(filter(None, (began.added_at, began.assigned_at)))
    paid = {
        (row.charge, row.month)
        for row in connection.execute(_CHARGES_PAID, {"of_meter": meter.meter_id})
    }
    return charges_due(
        tariff, month_now(utility, now), utility.local(since).date().isoformat(), paid
    )


def _carried(connection: Connection, at_point: Sequence[int]) -> list[tuple[int, int]]:
    """(meter, what is kept for it)."""
    rows = connection.execute(_CARRIED, {"of_meters": list(at_point)})
    return [(row.meter_id, int(row.kept_minor)) for row in rows]


def _settle_carried(connection: Connection, receipt_no: int, meter: Meter, quote: Quote) -> bool:
    moves = []
    if quote.carried_in_minor:
        kept = _carried(connection, _meters_at(connection, meter))
        moves += [(meter_id, -amount) for meter_id, amount in kept]
    if quote.carried_out_minor:
        moves.append((meter.meter_id, quote.carried_out_minor))
    _move_carried(connection, receipt_no, moves)
    return bool(moves)


def _moves_back(
    connection: Connection, receipt_no: int, meter: Meter
) -> tuple[list[tuple[int, int]], int]:
    """What undoing a receipt moves of kept change, and how much of it is not there any more."""
    rows = connection.execute(
        select(carried_change)
        .where(carried_change.c.receipt_no == receipt_no)
        .order_by(carried_change.c.amount_minor)  # what was used comes back first
    ).all()
    meter_ids = sorted({row.meter_id for row in rows} | {meter.meter_id})
    kept = dict(_carried(connection, meter_ids))
    moves, used_minor = [], 0
    for row in rows:
        amount = max(-row.amount_minor, -kept.get(row.meter_id, 0))
        used_minor += amount + row.amount_minor
        kept[row.meter_id] = kept.get(row.meter_id, 0) + amount
        if amount:
            moves.append((row.meter_id, amount))
    return moves, used_minor


def _move_carried(connection: Connection, receipt_no: int, moves: list[tuple[int, int]]) -> None:
    for meter_id, amount in moves:
        connection.execute(
            insert(carried_change),
            {"meter_id": meter_id, "receipt_no": receipt_no, "amount_minor": amount},
        )
