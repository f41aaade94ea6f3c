"""The reports of closed batches, as data; they are stored as canonical JSON and never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from vending.cash.batches import Batch
from vending.cash.cash_tables import batch_differences, batch_members, batches, deposit_slips
from vending.cash.office_moves import moves_of_shift
from vending.cash.reckoning import Reckoned, stored_counts, takings, total
from vending.cash.tables import vendors
from vending.shop.settings import Utility
from vending.shop.tables import receipts

_VERSION: Final = 1


def shift_report(
    connection: Connection,
    utility: Utility,
    shift: Batch,
    reckoned: Sequence[Reckoned],
    reasons: Mapping[str, str],
    *,
    closed_at: datetime,
    closed_by: str,
) -> dict[str, Any]:
    """What a shift took, what was counted, and how they differ."""
    office = moves_of_shift(connection, shift.batch_id)
    return {
        **_head(connection, utility, shift, closed_at, closed_by),
        "terminal": shift.terminal,
        "counted_at": _moment(shift.counted_at),
        "float_minor": shift.float_minor,
        "receipts": receipts_of_shift(connection, shift.batch_id),
        **({"accounts": office} if office else {}),
        "tenders": [
            {
                "tender": each.tender,
                "float_minor": each.float_minor,
                "taken_minor": each.taken_minor,
                "expected_minor": each.expected_minor,
                "counted_minor": each.counted_minor,
                "difference_minor": each.difference_minor,
                "reason": reasons.get(each.tender, "") if each.difference_minor else "",
            }
            for each in reckoned
        ],
        "counts": stored_counts(connection, shift.batch_id),
    }


def sales_report(
    connection: Connection, utility: Utility, batch: Batch, *, closed_at: datetime, closed_by: str
) -> dict[str, Any]:
    """What the shifts of a sales batch took together."""
    shifts = sales_members(connection, batch.batch_id)
    return {
        **_head(connection, utility, batch, closed_at, closed_by),
        "members": shifts,
        **_sums(shifts),
    }


def bank_report(
    connection: Connection,
    utility: Utility,
    batch: Batch,
    reasons: Mapping[str, str],
    *,
    closed_at: datetime,
    closed_by: str,
) -> dict[str, Any]:
    """What sales batches took, which slips take it to the bank, and what is left."""
    members = bank_members(connection, batch.batch_id)
    slips = slips_of(connection, batch.batch_id)
    return {
        **_head(connection, utility, batch, closed_at, closed_by),
        "members": members,
        **_sums(members),
        "slips": slips,
        "deposits": [
            {**each, "reason": reasons.get(each["tender"], "") if each["left_minor"] else ""}
            for each in deposits(members, slips)
        ],
    }


def sales_members(connection: Connection, batch_id: int) -> list[dict[str, Any]]:
    """The shifts of a sales batch, each with its takings and its difference by tender."""
    found = connection.execute(
        select(
            batches.c.batch_id,
            batches.c.operator,
            batches.c.terminal,
            batches.c.state,
            func.count(receipts.c.receipt_no).label("receipts"),
        )
        .join(batch_members, batch_members.c.child_id == batches.c.batch_id)
        .outerjoin(receipts, receipts.c.shift_id == batches.c.batch_id)
        .where(batch_members.c.parent_id == batch_id)
        .group_by(batches.c.batch_id, batches.c.operator, batches.c.terminal, batches.c.state)
        .order_by(batches.c.batch_id)
    )
    return [
        {
            "batch_id": row.batch_id,
            "operator": row.operator,
            "terminal": row.terminal,
            "state": row.state,
            "receipts": row.receipts,
            "taken": total([takings(connection, row.batch_id)]),
            "differences": differences(connection, row.batch_id),
        }
        for row in found.all()
    ]


def bank_members(connection: Connection, batch_id: int) -> list[dict[str, Any]]:
    """The sales batches of a bank batch, each with the sums of its shifts."""
    found = connection.execute(
        select(batches.c.batch_id, batches.c.operator, batches.c.site, batches.c.state)
        .join(batch_members, batch_members.c.child_id == batches.c.batch_id)
        .where(batch_members.c.parent_id == batch_id)
        .order_by(batches.c.batch_id)
    )
    members = []
    for row in found.all():
        sums = _sums(sales_members(connection, row.batch_id))
        members.append(
            {
                "batch_id": row.batch_id,
                "operator": row.operator,
                "site": row.site,
                "state": row.state,
                "receipts": sums["receipts"],
                "taken": sums["taken"],
                "differences": sums["differences"],
            }
        )
    return members


def differences(connection: Connection, shift_id: int) -> dict[str, int]:
    """What was counted over (above zero) or short, by tender; empty before the shift closes."""
    rows = connection.execute(
        select(batch_differences.c.tender, batch_differences.c.difference_minor)
        .where(batch_differences.c.batch_id == shift_id, batch_differences.c.difference_minor != 0)
        .order_by(batch_differences.c.tender)
    )
    return {row.tender: row.difference_minor for row in rows}


def slips_of(connection: Connection, batch_id: int) -> list[dict[str, Any]]:
    """The deposit slips of a bank batch, as they were written."""
    rows = connection.execute(
        select(deposit_slips)
        .where(deposit_slips.c.batch_id == batch_id)
        .order_by(deposit_slips.c.slip_id)
    )
    return [
        {
            "slip_id": row.slip_id,
            "number": row.number,
            "bank_account": row.bank_account,
            "tender": row.tender,
            "amount_minor": row.amount_minor,
            "written_at": row.written_at.isoformat(),
            "operator": row.operator,
        }
        for row in rows
    ]


def deposits(
    members: Sequence[Mapping[str, Any]], slips: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """For each tender that is carried to the bank: there to deposit, deposited, left over.

    There to deposit is what was counted: the takings and the difference.  Cash is always
    carried; another tender only when a slip names it, for cards and wallets pay by themselves.
    """
    there = total(
        [member["taken"] for member in members] + [member["differences"] for member in members]
    )
    paid_in = total([{slip["tender"]: slip["amount_minor"]} for slip in slips])
    return [
        {
            "tender": tender,
            "there_minor": there.get(tender, 0),
            "deposited_minor": paid_in.get(tender, 0),
            "left_minor": there.get(tender, 0) - paid_in.get(tender, 0),
        }
        for tender in sorted({"cash", *paid_in})
    ]


def receipts_of_shift(connection: Connection, shift_id: int) -> dict[str, Any]:
    """How many receipts a shift has, which, and what they come to."""
    first, last, number = connection.execute(
        select(
            func.min(receipts.c.receipt_no), func.max(receipts.c.receipt_no), func.count()
        ).where(receipts.c.shift_id == shift_id)
    ).one()
    kinds = (receipts.c.kind, receipts.c.tender, receipts.c.resource)
    rows = connection.execute(
        select(
            *kinds,
            func.count().label("receipts"),
            func.sum(receipts.c.tendered_minor).label("tendered"),
            func.sum(receipts.c.change_minor).label("change"),
            func.sum(receipts.c.units).label("units"),
        )
        .where(receipts.c.shift_id == shift_id)
        .group_by(*kinds)
        .order_by(*kinds)
    )
    return {
        "number": number,
        "first": first,
        "last": last,
        "by_kind": [
            {
                "kind": row.kind,
                "tender": row.tender,
                "resource": row.resource,
                "receipts": row.receipts,
                "tendered_minor": int(row.tendered),
                "change_minor": int(row.change),
                "units": int(row.units),
            }
            for row in rows
        ],
    }


def _head(
    connection: Connection, utility: Utility, batch: Batch, closed_at: datetime, closed_by: str
) -> dict[str, Any]:
    vendor = connection.scalar(select(vendors.c.name).where(vendors.c.vendor_id == batch.vendor_id))
    return {
        "document": batch.kind.value,
        "version": _VERSION,
        "batch_id": batch.batch_id,
        "utility": utility.name,
        "address": utility.address,
        "tax_number": utility.tax_number,
        "vendor": vendor or utility.vendor,
        "site": batch.site,
        "operator": batch.operator,
        "zone": utility.zone,
        "currency": utility.currency.code,
        "minor_digits": utility.currency.minor_digits,
        "opened_at": _moment(batch.opened_at),
        "closed_at": _moment(closed_at),
        "closed_by": closed_by,
    }


def _sums(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "receipts": sum(member["receipts"] for member in members),
        "taken": total([member["taken"] for member in members]),
        "differences": total([member["differences"] for member in members]),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
