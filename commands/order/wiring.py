"""Where the head-end's orders and the vending house meet: tokens by wire after a vend.

The two rooms know nothing of each other; they share the database and the meter's number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Text, cast, exists, select
from sqlalchemy.exc import IntegrityError

from commands.order.purchases import purchase_module
from headend.faults import HeadEndError
from headend.orders.desk import Orders
from headend.orders.faults import TokenGoneError
from headend.orders.tables import orders
from headend.orders.tokens import (
    DELIVERABLE,
    TokenToDeliver,
    deliver_token,
    deliveries_of,
    takes_tokens,
)
from headend.person import SERVICE
from headend.registry.tables import end_devices, links
from headend.station import Station
from headend.work.port import Handler, Work
from protocols.token_block import TokenBlockError
from storage.engine import attempt
from vending.shop.tables import meters, receipts, tokens

if TYPE_CHECKING:
    from headend.orders.credentials import Credentials
    from headend.talk.lines import Lines

NEW: Final = timedelta(minutes=15)
"""How far back new receipts are looked for every few seconds."""
LATE: Final = timedelta(hours=24)
"""How far back now and then: after a pause of the service.  What is older, customers have typed."""
_KINDS: Final = ("credit", "free_issue", "free_basic", "replacement", "key_change")
"""Receipts whose tokens are meant for the meter at once; engineering tokens are ordered by hand."""
_AT_ONCE: Final = 200
"""Receipts ordered in one sweep, or a page more."""
_PAGE: Final = 200
"""Receipts in one transaction."""


class ShopTokens:
    """The vending house as `headend.orders.ports.TokenSource`: ``receipt/position``."""

    def digits(self, connection: Connection, token_ref: str) -> str:
        """See `TokenSource`; a receipt that was reversed has no token any more."""
        receipt_no, _, position = token_ref.partition("/")
        if not (receipt_no.isdecimal() and position.isdecimal()):
            raise TokenGoneError(f"{token_ref} names no token of a receipt.")
        number = int(receipt_no)
        if _is_reversed(connection, number):
            raise TokenGoneError(f"Receipt {number} was reversed: its token is not delivered.")
        found = connection.scalar(
            select(tokens.c.digits).where(
                tokens.c.receipt_no == number, tokens.c.position == int(position)
            )
        )
        if found is None:
            raise TokenGoneError(f"There is no token {token_ref}.")
        return str(found)

    def hold(self, connection: Connection, token_ref: str) -> None:
        """See `TokenSource`; a reversal locks the receipt, too."""
        receipt_no, _, _ = token_ref.partition("/")
        if receipt_no.isdecimal():
            connection.execute(
                select(receipts.c.receipt_no)
                .where(receipts.c.receipt_no == int(receipt_no))
                .with_for_update()
            )


def tokens_of(connection: Connection, receipt_no: int) -> list[TokenToDeliver]:
    """A receipt's tokens, in entry order.

    Raises:
        TokenGoneError: there are none, or the receipt was reversed.
    """
    rows = connection.execute(
        select(tokens.c.position, tokens.c.digits)
        .where(tokens.c.receipt_no == receipt_no)
        .order_by(tokens.c.position)
    ).all()
    if not rows or _is_reversed(connection, receipt_no):
        raise TokenGoneError(f"Receipt {receipt_no} has no token to deliver.")
    return [TokenToDeliver(receipt_no, row.position, row.digits) for row in rows]


def meter_of(connection: Connection, receipt_no: int) -> str | None:
    """The number of a receipt's meter; None: there is no such receipt."""
    return connection.scalar(
        select(meters.c.number)
        .join(receipts, receipts.c.meter_id == meters.c.meter_id)
        .where(receipts.c.receipt_no == receipt_no)
    )


def deliver_new_tokens(station: Station, work: Work | None, *, since: timedelta = NEW) -> int:
    """Order the delivery of tokens that were sold since; gives how many receipts that were.

    A sweep: each token once, by the unique (client, message id) of its order.  The sale itself
    knows nothing of it, and waits for nothing.  What cannot be delivered is passed by, however
    much of it there is.
    """
    acting = replace(station, person=SERVICE)
    desk = Orders(acting, work)
    ordered, after = 0, 0
    while ordered < _AT_ONCE:
        with acting.writing() as connection:
            page = _not_ordered_yet(connection, acting, since, after)
            ordered += sum(_order_delivery(desk, connection, receipt) for receipt in page)
        if len(page) < _PAGE:
            break
        after = page[-1].receipt_no
    return ordered


def _order_delivery(desk: Orders, connection: Connection, receipt: Any) -> bool:
    """Order what of a receipt was never ordered; nothing of it where a part is refused."""
    if not takes_tokens(receipt.protocol, receipt.profile):
        return False
    try:
        with attempt(connection):
            ordered = {place for place, _, _ in deliveries_of(connection, receipt.receipt_no)}
            missing = [
                token
                for token in tokens_of(connection, receipt.receipt_no)
                if token.position not in ordered
            ]
            return bool(deliver_token(desk, connection, receipt.device_id, missing))
    except (HeadEndError, IntegrityError, TokenBlockError):
        return False  # taken back, or the meter takes none after all: the keypad is there


def _not_ordered_yet(
    connection: Connection, station: Station, since: timedelta, after: int
) -> Sequence[Any]:
    """New receipts of meters that can be reached, with a token that was never ordered."""
    ref = cast(tokens.c.receipt_no, Text).concat("/").concat(cast(tokens.c.position, Text))
    has_missing = exists().where(
        tokens.c.receipt_no == receipts.c.receipt_no,
        ~exists().where(orders.c.token_ref == ref).correlate(tokens),
    )
    reverses = receipts.alias("reverses")
    reversed_by = exists().where(
        reverses.c.reversed_receipt_no == receipts.c.receipt_no, reverses.c.kind == "reversal"
    )
    return connection.execute(
        select(
            receipts.c.receipt_no,
            end_devices.c.device_id,
            end_devices.c.protocol,
            end_devices.c.profile,
        )
        .join(meters, meters.c.meter_id == receipts.c.meter_id)
        .join(end_devices, end_devices.c.number == meters.c.number)
        .join(links, links.c.link_id == end_devices.c.link_id)
        .where(
            *DELIVERABLE,
            receipts.c.receipt_no > after,
            receipts.c.issued_at > station.now() - since,
            receipts.c.issued_at >= end_devices.c.added_at,
            receipts.c.kind.in_(_KINDS),
            has_missing,
            ~reversed_by,
        )
        .order_by(receipts.c.receipt_no)
        .limit(_PAGE)
    ).all()


def _is_reversed(connection: Connection, receipt_no: int) -> bool:
    return bool(
        connection.scalar(select(exists().where(receipts.c.reversed_receipt_no == receipt_no)))
    )


def order_handlers(
    station: Station, lines: Lines, work: Work, secrets: Credentials
) -> Mapping[str, Handler]:
    """What the service carries out for orders."""
    from headend.orders.job import handler

    return {
        "order": handler(
            station, lines, work, secrets, tokens=ShopTokens(), purchases=purchase_module()
        )
    }


def order_sweeps() -> tuple[tuple[str, float, Callable[[Station, Work], int]], ...]:
    """What the service looks at again and again for orders: name, every so many seconds, act."""
    from headend.orders.sweeping import sweep

    def deliver_late(station: Station, work: Work) -> int:
        return deliver_new_tokens(station, work, since=LATE)

    return (
        ("orders", 1.0, sweep),
        ("deliveries", 2.0, deliver_new_tokens),
        ("late deliveries", 600.0, deliver_late),
    )
