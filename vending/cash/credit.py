"""Vendors' credit at a sale: reserved, then posted or voided, in one statement each.

A vendor's credit lies in buckets (`vendor_credit`), so that its terminals do not wait for one
row: a national utility's vending stood still over such a row in 2011.  A sale takes from any
bucket that holds enough and that nobody else holds at this moment (SKIP LOCKED); when all are
held, it waits for one of them.  Only when none holds enough, all are locked and the credit is
spread over them anew; a sale is refused only when their sum does not suffice.  On SQLite a write
transaction is alone and one bucket is enough.

What is in a bucket is what may be sold yet: paid in, less sold, plus the credit limit.  No
bucket ever falls below zero, nor does what is reserved (CHECK).

A sale that makes its token within one transaction uses `spend`: nobody could see the
reservation.  One whose token is made elsewhere uses `reserve`, then `post_reserved` or
`void_reserved` (`vending.shop.intents`).  A retry with a known message id comes to none of
them: the id is looked up first.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from storage.engine import attempt
from storage.ledger import AccountKind, Transfer, accounts
from storage.prepared import InsertIfNew, Prepared, Values, together
from vending.cash.accounts import TENDER_PREFIX, VENDOR_PREFIX, vendor_account
from vending.cash.faults import (
    TerminalBlockedError,
    VendorBlockedError,
    VendorCreditExhaustedError,
)
from vending.cash.tables import terminals, vendor_credit, vendors
from vending.shop.agreed import agreed
from vending.shop.making import in_the_making

BUCKETS: Final = 16
"""How many terminals of one vendor can sell at the same moment without waiting (PostgreSQL)."""
_SALES_A_BUCKET: Final = 4

_VENDOR_OF: Final = Prepared(
    select(
        vendors.c.vendor_id,
        vendors.c.name,
        vendors.c.prepaid,
        vendors.c.blocked,
        terminals.c.blocked.label("terminal_blocked"),
        exists()
        .where(accounts.c.account == literal(VENDOR_PREFIX) + cast(vendors.c.vendor_id, Text))
        .label("has_account"),
    )
    .select_from(terminals.outerjoin(vendors))
    .where(terminals.c.name == bindparam("at_terminal"))
)
_ITS: Final = vendor_credit.c.vendor_id == bindparam("of_vendor")
_AMOUNT: Final = bindparam("amount", type_=vendor_credit.c.available_minor.type)
_THIS_BUCKET: Final = _ITS & (vendor_credit.c.bucket == bindparam("in_bucket"))
_AVAILABLE: Final = vendor_credit.c.available_minor
_RESERVED: Final = vendor_credit.c.reserved_minor


_WITH_ENOUGH: Final[Select[Any]] = (
    select(vendor_credit.c.bucket).where(_ITS, _AVAILABLE >= _AMOUNT).limit(1)
)


def _taking(**changed: ColumnElement[int]) -> tuple[Prepared, Prepared]:
    """From a bucket that nobody holds; and from any one, after who holds it."""
    free = _WITH_ENOUGH.with_for_update(skip_locked=True)
    # by chance: they would all stand in one line again
    any_one = _WITH_ENOUGH.order_by(func.random())
    return _from(free, changed), _from(any_one, changed)


def _from(bucket: Select[Any], changed: Mapping[str, ColumnElement[int]]) -> Prepared:
    its = vendor_credit.c.bucket == bucket.scalar_subquery()
    taken = update(vendor_credit).where(_ITS, its, _AVAILABLE >= _AMOUNT).values(**changed)
    return Prepared(taken.returning(vendor_credit.c.bucket))


_SPEND: Final = _taking(available_minor=_AVAILABLE - _AMOUNT)
_RESERVE: Final = _taking(available_minor=_AVAILABLE - _AMOUNT, reserved_minor=_RESERVED + _AMOUNT)
_POST: Final = Prepared(
    update(vendor_credit).where(_THIS_BUCKET).values(reserved_minor=_RESERVED - _AMOUNT)
)
_VOID: Final = Prepared(
    update(vendor_credit)
    .where(_THIS_BUCKET)
    .values(reserved_minor=_RESERVED - _AMOUNT, available_minor=_AVAILABLE + _AMOUNT)
)
_SET: Final = Prepared(
    update(vendor_credit).where(_THIS_BUCKET).values(available_minor=bindparam("to_minor"))
)
_NEW_BUCKET: Final = Prepared(
    insert(vendor_credit), ["vendor_id", "bucket", "available_minor", "reserved_minor"]
)
_NEW_ACCOUNT: Final = InsertIfNew(accounts, ["account", "currency", "kind"])
_IS_PREPAID: Final = Prepared(
    select(vendors.c.prepaid).where(vendors.c.vendor_id == bindparam("of_vendor"))
)
_LOCK_VENDOR: Final = Prepared(
    select(vendors.c.vendor_id)
    .where(vendors.c.vendor_id == bindparam("of_vendor"))
    .with_for_update(key_share=True)
)
_ALL: Final = Prepared(
    select(vendor_credit.c.bucket, _AVAILABLE)
    .where(_ITS)
    .order_by(vendor_credit.c.bucket)
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class SellingVendor:
    """Whose terminal sells."""

    vendor_id: int
    name: str
    prepaid: bool
    has_account: bool
    """In the ledger; it is opened by the first sale or top-up."""


@agreed
def vendor_of(connection: Connection, terminal: str) -> SellingVendor | None:
    """The vendor to whom a terminal belongs; None for the utility's own and for unknown ones.

    Raises:
        TerminalBlockedError, VendorBlockedError: it may not sell.
    """
    if not terminal:
        return None
    statement, values = asks_vendor_of(terminal)
    row = statement.first(connection, values)
    if row is None:
        return None
    if row.terminal_blocked is not None:
        raise TerminalBlockedError(
            f"Terminal {terminal} may not sell: {row.terminal_blocked}. Call the utility."
        )
    if row.vendor_id is None:
        return None
    if row.blocked is not None:
        raise VendorBlockedError(f"{row.name} may not sell: {row.blocked}. Call the utility.")
    return SellingVendor(row.vendor_id, row.name, bool(row.prepaid), bool(row.has_account))


def asks_vendor_of(terminal: str) -> tuple[Prepared, Values]:
    """What `vendor_of` asks."""
    return _VENDOR_OF, {"at_terminal": terminal}


def moves_by(
    connection: Connection, vendor: SellingVendor, currency: str, moves: list[Transfer]
) -> list[Transfer]:
    """The transfers of a sale whose money the vendor takes: its account instead of the tender's.

    The change is paid out of the vendor's drawer, so that together they come to what the sale
    takes from its credit.
    """
    account = vendor_account(vendor.vendor_id)
    if not vendor.has_account:
        open_account_once(connection, account, currency)
    return [
        Transfer(
            account if move.debit.startswith(TENDER_PREFIX) else move.debit,
            account if move.credit.startswith(TENDER_PREFIX) else move.credit,
            move.amount_minor,
            move.purpose,
        )
        for move in moves
    ]


def open_account_once(connection: Connection, account: str, currency: str) -> None:
    """Open a vendor's account, unless another transaction has."""
    _NEW_ACCOUNT.run(
        connection,
        {"account": account, "currency": currency, "kind": AccountKind.LIABILITY.value},
    )


def spend(connection: Connection, vendor: SellingVendor, amount_minor: int) -> None:
    """Take the price of a sale from a prepaid vendor's credit; the sale is in this transaction.

    Raises:
        VendorCreditExhaustedError: there is not so much; nothing was taken.
    """
    making = in_the_making()
    if making is None:
        spend_now(connection, vendor.vendor_id, amount_minor)
    else:
        making.spend(vendor.vendor_id, amount_minor)


def spend_now(connection: Connection, vendor_id: int, amount_minor: int) -> None:
    """Take the price of a sale for which nothing was set aside.

    Raises:
        VendorCreditExhaustedError: there is not so much; nothing was taken.
    """
    _take(connection, _SPEND, vendor_id, amount_minor)


def reserve(connection: Connection, vendor_id: int, amount_minor: int) -> int:
    """Set the price of a sale aside; gives the bucket, for `post_reserved` or `void_reserved`.

    Raises:
        VendorCreditExhaustedError: there is not so much; nothing was set aside.
    """
    return _take(connection, _RESERVE, vendor_id, amount_minor)


def post_reserved(connection: Connection, vendor_id: int, bucket: int, amount_minor: int) -> None:
    """The sale was made: what was set aside is spent."""
    _POST.run(connection, _of(vendor_id, bucket, amount_minor))


def void_reserved(connection: Connection, vendor_id: int, bucket: int, amount_minor: int) -> None:
    """The sale was not made: what was set aside may be sold again."""
    _VOID.run(connection, _of(vendor_id, bucket, amount_minor))


def return_credit(connection: Connection, vendor_id: int, amount_minor: int) -> None:
    """A sale was undone: a prepaid vendor may sell that much again."""
    if _IS_PREPAID.scalar(connection, {"of_vendor": vendor_id}) and amount_minor:
        credit_vendor(connection, vendor_id, amount_minor)


def credit_vendor(connection: Connection, vendor_id: int, amount_minor: int) -> None:
    """Let a vendor sell for so much more; below zero: for so much less.

    Raises:
        VendorCreditExhaustedError: less than nothing would be left; nothing was changed.
    """
    held = _lock_all(connection, vendor_id)
    total = sum(held.values()) + amount_minor
    if total < 0:
        raise VendorCreditExhaustedError(
            "The vendor's credit is less than what should be taken from it."
        )
    _spread(connection, vendor_id, held, total)


def available_minor(connection: Connection, vendor_id: int) -> int:
    """What a vendor may sell yet, locked against sales until the transaction ends."""
    return sum(_lock_all(connection, vendor_id).values())


def _take(
    connection: Connection, taking: tuple[Prepared, Prepared], vendor_id: int, amount_minor: int
) -> int:
    wanted: Values = {"of_vendor": vendor_id, "amount": amount_minor}
    free, any_one = taking
    bucket: int | None = free.scalar(connection, wanted)
    if bucket is None and connection.dialect.name != "sqlite":
        bucket = _after_its_holder(connection, any_one, wanted)
    if bucket is not None:
        return bucket
    held = _lock_all(connection, vendor_id)
    if sum(held.values()) < amount_minor:
        raise VendorCreditExhaustedError(
            "The vendor's credit does not suffice for this sale: pay in, then sell again under "
            "another message id."
        )
    _spread(connection, vendor_id, held, sum(held.values()), sale_minor=amount_minor)
    bucket = free.scalar(connection, wanted)
    assert bucket is not None  # the first one holds enough, and is ours
    return bucket


def _after_its_holder(connection: Connection, any_one: Prepared, wanted: Values) -> int | None:
    """Wait for one bucket, not for all; None when none held enough in the end.

    A row that was waited for in vain stays locked, and who then locks all of them in order may be
    waited for by somebody who does the same: a savepoint lets go of it.
    """
    with suppress(_InVainError), attempt(connection):
        return _taken(connection, any_one, wanted)
    return None


def _taken(connection: Connection, any_one: Prepared, wanted: Values) -> int:
    bucket: int | None = any_one.scalar(connection, wanted)
    if bucket is None:
        raise _InVainError
    return bucket


class _InVainError(Exception):
    """Who held the bucket has left too little in it."""


def _lock_all(connection: Connection, vendor_id: int) -> dict[int, int]:
    """What each bucket holds; all locked, in the order in which everybody locks them."""
    of = {"of_vendor": vendor_id}
    _, rows = together(connection, [(_LOCK_VENDOR, of), (_ALL, of)])
    return {row.bucket: row.available_minor for row in rows or ()}


def _spread(
    connection: Connection, vendor_id: int, held: dict[int, int], total: int, *, sale_minor: int = 1
) -> None:
    """Lay a vendor's credit into the buckets anew, evenly.

    Into fewer ones when there is little: each that is filled is good for some sales like the
    one that is waiting.  The first one is good for that sale in any case.
    """
    count = 1 if connection.dialect.name == "sqlite" else BUCKETS
    filled = max(1, min(count, total // (_SALES_A_BUCKET * max(1, sale_minor))))
    share, over = divmod(total, filled)
    for position, number in enumerate(sorted({*held, *range(count)})):
        amount = (share + (over if position == 0 else 0)) if position < filled else 0
        if number in held:
            _SET.run_by_the_end(
                connection, {"of_vendor": vendor_id, "in_bucket": number, "to_minor": amount}
            )
        else:
            _NEW_BUCKET.run_by_the_end(
                connection,
                {
                    "vendor_id": vendor_id,
                    "bucket": number,
                    "available_minor": amount,
                    "reserved_minor": 0,
                },
            )


def _of(vendor_id: int, bucket: int, amount_minor: int) -> dict[str, object]:
    return {"of_vendor": vendor_id, "in_bucket": bucket, "amount": amount_minor}
