"""Batches of vouchers: made, made valid, blocked; what the books say of them.

=========  ============================  ============================
act        debit                         credit
=========  ============================  ============================
activate   ``vouchers.receivable``       ``vouchers.outstanding``
block      ``vouchers.outstanding``      ``vouchers.receivable``
lapse      ``vouchers.outstanding``      ``vouchers.lapsed``
a sale     ``tender.voucher``            as for any tender
accounts   ``tender.voucher``            `onto_account`
=========  ============================  ============================

What customers may still claim is ``vouchers.outstanding`` less ``tender.voucher``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, exists, func, insert, or_, select, update

from vending.vouchers.faults import UnknownVoucherBatchError
from vending.vouchers.tables import (
    voucher_account_payments,
    voucher_batches,
    voucher_house,
    voucher_payments,
    vouchers,
)

RECEIVABLE: Final = "vouchers.receivable"
OUTSTANDING: Final = "vouchers.outstanding"
LAPSED: Final = "vouchers.lapsed"
COUNT_MAX: Final = 100_000
"""Vouchers of one batch: what one person can print and hand over."""


class BatchState(StrEnum):
    """Where a batch stands."""

    MADE = "made"
    """Printed perhaps, and worth nothing yet: a stolen box is paper."""
    ACTIVE = "active"
    """Each of its vouchers pays once, until the batch expires."""
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class VoucherBatch:
    """A batch of vouchers of one face value."""

    batch_id: int
    face_minor: int
    count: int
    expires_at: datetime
    """It pays until then, not at it."""
    made_at: datetime
    made_by: str
    state: BatchState
    reseller: str
    redeemed: int
    """How many have paid."""
    blocked: int
    """How many were blocked one by one, and have not paid."""

    @property
    def left(self) -> int:
        """How many have neither paid nor were blocked one by one."""
        return self.count - self.redeemed - self.blocked


_PAID: Final = or_(
    exists().where(voucher_payments.c.voucher_id == vouchers.c.voucher_id),
    exists().where(voucher_account_payments.c.voucher_id == vouchers.c.voucher_id),
)
_REDEEMED: Final = [
    select(func.count())
    .select_from(paid.join(vouchers))
    .where(vouchers.c.batch_id == voucher_batches.c.batch_id)
    .scalar_subquery()
    for paid in (voucher_payments, voucher_account_payments)
]
_BATCHES: Final[Select[Any]] = select(
    voucher_batches,
    (_REDEEMED[0] + _REDEEMED[1]).label("redeemed"),
    select(func.count())
    .select_from(vouchers)
    .where(
        vouchers.c.batch_id == voucher_batches.c.batch_id,
        vouchers.c.blocked.is_not(None),
        ~_PAID,
    )
    .scalar_subquery()
    .label("blocked"),
)


def house_salt(connection: Connection) -> bytes:
    """The salt of all proofs in this database."""
    return bytes(connection.execute(select(voucher_house.c.salt)).scalar_one())


def add_batch(
    connection: Connection,
    *,
    face_minor: int,
    proofs: Iterable[bytes],
    count: int,
    expires_at: datetime,
    made_at: datetime,
    made_by: str,
) -> int:
    """Write a batch and its vouchers, worth nothing yet; gives its number."""
    batch_id: int = connection.execute(
        insert(voucher_batches).returning(voucher_batches.c.batch_id),
        {
            "face_minor": face_minor,
            "count": count,
            "expires_at": expires_at,
            "made_at": made_at,
            "made_by": made_by,
            "state": BatchState.MADE.value,
            "reseller": "",
        },
    ).scalar_one()
    connection.execute(
        insert(vouchers),
        [
            {"batch_id": batch_id, "serial": serial, "proof": proof}
            for serial, proof in enumerate(proofs, 1)
        ],
    )
    return batch_id


def find_batch(connection: Connection, batch_id: int, *, lock: bool = False) -> VoucherBatch:
    """A batch by its number.

    Args:
        connection: in any transaction; a write transaction for ``lock``.
        batch_id: its number.
        lock: let nobody pay with its vouchers until this transaction ends.

    Raises:
        UnknownVoucherBatchError: there is none.
    """
    this = voucher_batches.c.batch_id == batch_id
    if lock:
        connection.execute(select(voucher_batches.c.batch_id).where(this).with_for_update())
    row = connection.execute(_BATCHES.where(this)).one_or_none()
    if row is None:
        raise UnknownVoucherBatchError(
            f"There is no batch {batch_id} of vouchers here; `meterhouse voucher list` shows them."
        )
    return _batch(row)


def list_batches(connection: Connection, limit: int) -> list[VoucherBatch]:
    """The latest batches, the newest first."""
    newest = _BATCHES.order_by(voucher_batches.c.batch_id.desc()).limit(limit)
    return [_batch(row) for row in connection.execute(newest)]


def set_state(connection: Connection, batch_id: int, state: BatchState, **also: Any) -> None:
    """Bring a batch forward; the database lets none go back."""
    connection.execute(
        update(voucher_batches)
        .where(voucher_batches.c.batch_id == batch_id)
        .values(state=state.value, **also)
    )


def block_voucher(connection: Connection, batch_id: int, serial: int, reason: str) -> bool:
    """Block one voucher that has not paid and is not blocked; tells whether it was so."""
    blocked = connection.execute(
        update(vouchers)
        .where(
            vouchers.c.batch_id == batch_id,
            vouchers.c.serial == serial,
            vouchers.c.blocked.is_(None),
            ~_PAID,
        )
        .values(blocked=reason)
    )
    return blocked.rowcount == 1


def _batch(row: Row[Any]) -> VoucherBatch:
    return VoucherBatch(
        batch_id=row.batch_id,
        face_minor=row.face_minor,
        count=row._mapping["count"],  # row.count is a method of every row
        expires_at=row.expires_at,
        made_at=row.made_at,
        made_by=row.made_by,
        state=BatchState(row.state),
        reseller=row.reseller,
        redeemed=row.redeemed,
        blocked=row.blocked,
    )
