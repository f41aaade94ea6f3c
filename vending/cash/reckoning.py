"""What a drawer should hold, from the ledger, and what was counted in it.

Expected = the float + everything that the receipts of the shift, and payments to customers'
accounts in it (`office_moves`), moved into and out of the tender's account.  It is taken from the
ledger, not from the receipts, so that a count is held against the books themselves.  A vendor's
drawer is not in the house's ledger: there the receipts themselves are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, union_all

from storage.ledger import transfers
from vending.cash.accounts import TENDER_PREFIX
from vending.cash.cash_tables import batch_counts, batches, count_pieces, drawer_moves
from vending.cash.faults import CountError
from vending.shop.books import Tender
from vending.shop.money import Currency
from vending.shop.tables import receipts
from vending.shop.values import require_whole

GIVEN_BACK: Final = ("reversal", "refund")
"""Kinds of receipts whose money went back to the customer."""
_MINOR_MAX: Final = 10**15
_SIDES: Final = union_all(
    *(
        select(account.label("account"), (transfers.c.amount_minor * sign).label("moved"))
        .join(receipts, receipts.c.transaction_id == transfers.c.transaction_id)
        .where(receipts.c.shift_id == bindparam("in_shift"), account.startswith(TENDER_PREFIX))
        for account, sign in ((transfers.c.debit_account, 1), (transfers.c.credit_account, -1))
    ),
    *(
        select(account.label("account"), (transfers.c.amount_minor * sign).label("moved"))
        .join(drawer_moves, drawer_moves.c.transaction_id == transfers.c.transaction_id)
        .where(drawer_moves.c.shift_id == bindparam("in_shift"), account.startswith(TENDER_PREFIX))
        for account, sign in ((transfers.c.debit_account, 1), (transfers.c.credit_account, -1))
    ),
).subquery()
_TAKINGS: Final = select(_SIDES.c.account, func.sum(_SIDES.c.moved)).group_by(_SIDES.c.account)


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted in a drawer, before anybody said what to expect.

    Raises:
        CountError: an amount below zero, cash that its notes and coins do not add up to, or a
            tender that nobody knows.
    """

    amounts: Mapping[str, int]
    """Minor units by tender; ``cash`` must be there, as 0 if there is none."""
    pieces: Mapping[int, int] | None = None
    """Face value in minor units → how many; only of cash."""

    def __post_init__(self) -> None:
        for counted in (self.amounts, {} if self.pieces is None else self.pieces):
            if not isinstance(counted, Mapping):
                raise CountError("A count is a table: tender to amount, face value to number.")
        if Tender.CASH.value not in self.amounts:
            raise CountError("Count the cash: say 0 if there is none.")
        known = {tender.value for tender in Tender}
        for tender, amount in self.amounts.items():
            if tender not in known:
                raise CountError(f"There is no tender {tender!r}; use {', '.join(sorted(known))}.")
            _require_amount("A counted amount", amount)
        if self.pieces is None:
            return
        for face, number in self.pieces.items():
            if _require_amount("A face value", face) < 1 or _require_amount("A number", number) < 1:
                raise CountError("Notes and coins: face value and number must be above zero.")
        total = sum(face * number for face, number in self.pieces.items())
        if total != self.amounts[Tender.CASH.value]:
            raise CountError(
                "The notes and coins do not add up to the cash that was counted: count again."
            )

    @classmethod
    def of_pieces(cls, pieces: Mapping[int, int], others: Mapping[str, int] | None = None) -> Count:
        """A count of cash by its notes and coins, and of the other tenders."""
        for face, number in pieces.items():
            require_whole("A face value", face, fault=CountError)
            require_whole("A number of notes or coins", number, fault=CountError)
        total = sum(face * number for face, number in pieces.items())
        return cls({**(others or {}), Tender.CASH.value: total}, pieces)


@dataclass(frozen=True, slots=True)
class Reckoned:
    """One tender of a drawer: what it should hold and what it holds, in minor units."""

    tender: str
    float_minor: int
    taken_minor: int
    """By the receipts of the shift and for accounts, less what was paid out."""
    counted_minor: int

    @property
    def expected_minor(self) -> int:
        """What the drawer should hold."""
        return self.float_minor + self.taken_minor

    @property
    def difference_minor(self) -> int:
        """Above zero: more than expected; below: less."""
        return self.counted_minor - self.expected_minor

    def words(self, money: Currency) -> str:
        """The difference, for people."""
        difference = self.difference_minor
        if difference == 0:
            return "as expected"
        return f"{money.text(abs(difference))} {'over' if difference > 0 else 'short'}"


def takings(connection: Connection, shift_id: int) -> dict[str, int]:
    """What the receipts of a shift brought in, by tender, in minor units."""
    vendor_id = connection.scalar(select(batches.c.vendor_id).where(batches.c.batch_id == shift_id))
    if vendor_id is not None:
        return _vendors_takings(connection, shift_id)
    rows = connection.execute(_TAKINGS, {"in_shift": shift_id})
    return {account.removeprefix(TENDER_PREFIX): int(moved) for account, moved in rows}


def _vendors_takings(connection: Connection, shift_id: int) -> dict[str, int]:
    rows = connection.execute(
        select(
            receipts.c.kind,
            receipts.c.tender,
            func.sum(receipts.c.tendered_minor).label("tendered"),
            func.sum(receipts.c.change_minor).label("change"),
        )
        .where(receipts.c.shift_id == shift_id, receipts.c.tender.is_not(None))
        .group_by(receipts.c.kind, receipts.c.tender)
    )
    taken: dict[str, int] = {}
    for row in rows:
        sign = -1 if row.kind in GIVEN_BACK else 1
        taken[row.tender] = taken.get(row.tender, 0) + sign * int(row.tendered)
        cash = Tender.CASH.value  # change is paid out in cash, whatever was tendered
        taken[cash] = taken.get(cash, 0) - sign * int(row.change)
    return taken


def reckon(
    float_minor: int, taken: Mapping[str, int], counted: Mapping[str, int]
) -> tuple[Reckoned, ...]:
    """Hold a count against the books; cash first, then every tender that either names."""
    cash = Tender.CASH.value
    others = sorted({*taken, *counted} - {cash})
    return tuple(
        Reckoned(
            tender,
            float_minor if tender == cash else 0,
            taken.get(tender, 0),
            counted.get(tender, 0),
        )
        for tender in (cash, *others)
    )


def store_count(
    connection: Connection,
    batch_id: int,
    count_no: int,
    count: Count,
    counted_at: datetime,
    counted_by: str,
) -> None:
    """Write a count down."""
    connection.execute(
        insert(batch_counts),
        [
            {
                "batch_id": batch_id,
                "count_no": count_no,
                "tender": tender,
                "counted_minor": amount,
                "counted_at": counted_at,
                "counted_by": counted_by,
            }
            for tender, amount in sorted(count.amounts.items())
        ],
    )
    if count.pieces:
        connection.execute(
            insert(count_pieces),
            [
                {
                    "batch_id": batch_id,
                    "count_no": count_no,
                    "tender": Tender.CASH.value,
                    "face_minor": face,
                    "pieces": number,
                }
                for face, number in sorted(count.pieces.items())
            ],
        )


def stored_counts(connection: Connection, batch_id: int) -> list[dict[str, Any]]:
    """All counts of a shift as plain values, the first one first."""
    counts: dict[int, dict[str, Any]] = {}
    rows = connection.execute(
        select(batch_counts)
        .where(batch_counts.c.batch_id == batch_id)
        .order_by(batch_counts.c.count_no, batch_counts.c.tender)
    )
    for row in rows:
        count = counts.setdefault(
            row.count_no,
            {
                "count_no": row.count_no,
                "counted_at": row.counted_at.isoformat(),
                "counted_by": row.counted_by,
                "amounts": {},
                "pieces": [],
            },
        )
        count["amounts"][row.tender] = row.counted_minor
    pieces = connection.execute(
        select(count_pieces)
        .where(count_pieces.c.batch_id == batch_id)
        .order_by(count_pieces.c.count_no, count_pieces.c.face_minor.desc())
    )
    for row in pieces:
        counts[row.count_no]["pieces"].append({"face_minor": row.face_minor, "pieces": row.pieces})
    return list(counts.values())


def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sums by tender."""
    sums: dict[str, int] = {}
    for part in parts:
        for tender, amount in part.items():
            sums[tender] = sums.get(tender, 0) + amount
    return dict(sorted(sums.items()))


def _require_amount(what: str, amount: object) -> int:
    number = require_whole(what, amount, fault=CountError)
    if not 0 <= number <= _MINOR_MAX:
        raise CountError(f"{what} must lie between 0 and 10**15.")
    return number


def unreasoned(reckoned: Sequence[Reckoned], reasons: Mapping[str, str]) -> list[Reckoned]:
    """The differences for which no reason is given."""
    return [
        each
        for each in reckoned
        if each.difference_minor and not reasons.get(each.tender, "").strip()
    ]
