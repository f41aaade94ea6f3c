"""Tokens by wire after a vend; the keypad stays the fall-back, whatever comes of them.

A token order is named by where its token lives, ``receipt/position``: one receipt's token is
ordered once by itself, and a token is on its way, or delivered, once at most (unique index).  Key
change tokens and the credit behind them are orders of their own, in their order: what stands behind
a token that the meter did not take is not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from headend.orders.desk import Orders
from headend.orders.tables import orders
from headend.orders.values import Order, OrderKind, OrderRequest, OrderState
from headend.registry.tables import end_devices, links
from headend.talk.ordering_token import fingerprint_of

VEND: Final = "vend"
"""The client of orders that follow from sales."""
_POSITIONS: Final = range(1, 17)
"""No receipt has more tokens: a key change of four, and the credit."""
_LIFE_S: Final = 86_400
"""By then the customer has typed it."""


@dataclass(frozen=True, slots=True)
class TokenToDeliver:
    """One token of a receipt."""

    receipt_no: int
    position: int
    digits: str

    def __repr__(self) -> str:
        return f"TokenToDeliver({self.ref})"

    @property
    def ref(self) -> str:
        """Where it lives."""
        return token_ref(self.receipt_no, self.position)


def token_ref(receipt_no: int, position: int) -> str:
    """Where a token lives, as orders keep it."""
    return f"{receipt_no}/{position}"


def refs_of(receipt_no: int) -> list[str]:
    """Where the tokens of a receipt may live."""
    return [token_ref(receipt_no, position) for position in _POSITIONS]


def deliverable_device(connection: Connection, number: str) -> int | None:
    """The keypad meter of this number that can be reached by wire; None: there is none."""
    return connection.scalar(
        select(end_devices.c.device_id)
        .join(links, links.c.link_id == end_devices.c.link_id)
        .where(
            end_devices.c.number == number,
            end_devices.c.kind == "keypad",
            end_devices.c.protocol.in_(("dlt645-2007", "modbus")),
            end_devices.c.state == "active",
            links.c.state == "active",
        )
    )


def deliver_token(
    desk: Orders,
    connection: Connection,
    device_id: int,
    tokens: Sequence[TokenToDeliver],
    *,
    client: str = VEND,
    message_id: str | None = None,
    why: str = "sold",
) -> list[Order]:
    """Order the tokens of one receipt to be delivered, in the caller's write transaction.

    Args:
        desk: of whoever orders it.
        connection: in a write transaction, for example the sale's own.
        device_id: which meter.
        tokens: in the order in which they are entered.
        client: who asks.
        message_id: of a person's order; None: the token's own place, so that it is ordered once.
        why: the reason.

    Raises:
        OrderError: it cannot be ordered.
        TokenBlockError: digits that are none.
    """
    return [
        desk.place_in(
            connection,
            OrderRequest(
                client=client,
                message_id=token.ref if message_id is None else f"{message_id}/{token.position}",
                kind=OrderKind.TOKEN,
                device_id=device_id,
                says={"token": token.ref, "fingerprint": fingerprint_of(token.digits)},
                why=why,
                lives_s=_LIFE_S,
            ),
        )
        for token in tokens
    ]


def deliveries_of(connection: Connection, receipt_no: int) -> list[tuple[int, OrderState, str]]:
    """The delivery of a receipt's tokens: position, state, words; the latest order of each."""
    rows = connection.execute(
        select(orders.c.token_ref, orders.c.state, orders.c.words)
        .where(orders.c.token_ref.in_([token_ref(receipt_no, place) for place in _POSITIONS]))
        .order_by(orders.c.order_id)
    )
    latest = {
        int(row.token_ref.partition("/")[2]): (OrderState(row.state), row.words or "")
        for row in rows
    }
    return [(position, *latest[position]) for position in sorted(latest)]


def earlier_part_missing(connection: Connection, order: Order) -> str:
    """Why a token must not be sent now: one before it on its receipt was not taken."""
    assert order.token_ref is not None, "a token order has a token"
    receipt_no, _, position = order.token_ref.partition("/")
    if not (receipt_no.isdecimal() and position.isdecimal()):
        return ""
    for before, state, _ in deliveries_of(connection, int(receipt_no)):
        if before < int(position) and state is not OrderState.DONE:
            return (
                f"Token {before} of this receipt is {state.value}: what comes after it would be "
                "refused. The customer can type them at the keypad."
            )
    return ""
