"""Shifts and batches as rows: making one, finding it, locking it, closing it.

shift ⊂ sales batch ⊂ bank batch (specs/vending.md, "Cash").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from storage import audit
from vending.cash.cash_tables import batch_copies, batch_members, batches
from vending.cash.faults import BatchStateError, UnknownBatchError
from vending.shop.values import require_whole


class BatchKind(StrEnum):
    """What a batch collects."""

    SHIFT = "shift"
    """The receipts of one operator at one terminal; one drawer."""
    SALES = "sales"
    """Shifts of one vendor, or of the utility."""
    BANK = "bank"
    """Sales batches, and the deposit slips that take their money to the bank."""


class BatchState(StrEnum):
    """Where a batch stands; never back."""

    OPEN = "open"
    COUNTED = "counted"
    """A shift that takes no more receipts; what was expected has been shown."""
    CLOSED = "closed"
    """Its report is stored; nothing of it changes any more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A shift or a batch."""

    batch_id: int
    kind: BatchKind
    state: BatchState
    vendor_id: int | None
    """None: the utility's own."""
    site: str
    terminal: str
    """Of a shift; else empty."""
    operator: str
    """Whose shift it is, or who opened the batch."""
    opened_at: datetime
    float_minor: int
    """The change that was put into the drawer at the start."""
    counted_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    parent_id: int | None
    """The batch that it is in."""


_BATCH: Final[Select[Any]] = select(
    batches.c.batch_id,
    batches.c.kind,
    batches.c.state,
    batches.c.vendor_id,
    batches.c.site,
    batches.c.terminal,
    batches.c.operator,
    batches.c.opened_at,
    batches.c.float_minor,
    batches.c.counted_at,
    batches.c.closed_at,
    batches.c.closed_by,
    batch_members.c.parent_id,
).outerjoin(batch_members, batch_members.c.child_id == batches.c.batch_id)


def add_batch(connection: Connection, row: dict[str, Any]) -> int:
    """Insert an open batch; gives its number."""
    values = {"site": "", "terminal": "", "float_minor": 0, **row, "state": "open"}
    batch_id: int = connection.execute(
        insert(batches).returning(batches.c.batch_id), values
    ).scalar_one()
    return batch_id


def find_batch(connection: Connection, batch_id: int, *, lock: bool = False) -> Batch:
    """A batch by its number.

    Args:
        connection: in any transaction; in a write transaction to lock.
        batch_id: its number.
        lock: wait for whoever works on it, and let nobody else until the transaction ends.

    Raises:
        UnknownBatchError: no such batch.
        RequestFormatError: not a number.
    """
    require_whole("A batch's number", batch_id)
    if lock:
        connection.execute(
            select(batches.c.batch_id).where(batches.c.batch_id == batch_id).with_for_update()
        )
    row = connection.execute(_BATCH.where(batches.c.batch_id == batch_id)).one_or_none()
    if row is None:
        raise UnknownBatchError(f"There is no shift or batch {batch_id}. List them to find it.")
    return _batch(row)


def list_batches(
    connection: Connection,
    *,
    kind: BatchKind | None = None,
    state: BatchState | None = None,
    parent_id: int | None = None,
    limit: int = 100,
) -> list[Batch]:
    """The newest batches first."""
    wanted = _BATCH.order_by(batches.c.batch_id.desc()).limit(limit)
    if kind is not None:
        wanted = wanted.where(batches.c.kind == kind.value)
    if state is not None:
        wanted = wanted.where(batches.c.state == state.value)
    if parent_id is not None:
        wanted = wanted.where(batch_members.c.parent_id == parent_id)
    return [_batch(row) for row in connection.execute(wanted)]


def require_state(batch: Batch, kind: BatchKind, states: Sequence[BatchState], act: str) -> None:
    """Refuse an act on a batch of another kind or state.

    Raises:
        UnknownBatchError: another kind.
        BatchStateError: another state; says which.
    """
    if batch.kind is not kind:
        raise UnknownBatchError(f"Number {batch.batch_id} is a {batch.kind.value}, not the {act}.")
    if batch.state not in states:
        wanted = " or ".join(state.value for state in states)
        raise BatchStateError(
            f"{act.capitalize()} {batch.batch_id} is {batch.state.value}; this needs one that is "
            f"{wanted}."
        )


def mark_counted(connection: Connection, batch_id: int, counted_at: datetime) -> None:
    """From now on the shift takes no receipts."""
    connection.execute(
        update(batches)
        .where(batches.c.batch_id == batch_id)
        .values(state=BatchState.COUNTED.value, counted_at=counted_at)
    )


def mark_closed(
    connection: Connection,
    batch_id: int,
    *,
    closed_at: datetime,
    closed_by: str,
    transaction_id: int | None,
    report: bytes,
) -> None:
    """Close it with its report."""
    connection.execute(
        update(batches)
        .where(batches.c.batch_id == batch_id)
        .values(
            state=BatchState.CLOSED.value,
            closed_at=closed_at,
            closed_by=closed_by,
            close_transaction_id=transaction_id,
            report=report,
        )
    )


def stored_report(connection: Connection, batch_id: int) -> bytes | None:
    """The report of a closed batch; None when it is not closed."""
    report = connection.scalar(select(batches.c.report).where(batches.c.batch_id == batch_id))
    return None if report is None else bytes(report)


def add_copy(
    connection: Connection, batch: Batch, operator: str, printed_at: datetime
) -> tuple[int, bytes]:
    """Count a copy of a closed report, with an audit line; gives its number and the report.

    Raises:
        BatchStateError: it is not closed yet.
    """
    report = stored_report(connection, batch.batch_id)
    if report is None:
        raise BatchStateError(
            f"{batch.kind.value.capitalize()} {batch.batch_id} is not closed: there is no report "
            "to print again yet."
        )
    copies = connection.scalar(
        select(func.count())
        .select_from(batch_copies)
        .where(batch_copies.c.batch_id == batch.batch_id)
    )
    copy_no = (copies or 0) + 1
    connection.execute(
        insert(batch_copies),
        {
            "batch_id": batch.batch_id,
            "copy_no": copy_no,
            "printed_at": printed_at,
            "operator": operator,
        },
    )
    audit.record(
        connection,
        printed_at,
        actor=operator,
        action="batch.reprinted",
        subject=str(batch.batch_id),
        detail=f"copy {copy_no}",
    )
    return copy_no, report


def _batch(row: Row[Any]) -> Batch:
    return Batch(
        **{
            **row._mapping,
            "kind": BatchKind(row.kind),
            "state": BatchState(row.state),
        }
    )
