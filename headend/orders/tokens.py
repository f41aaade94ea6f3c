"""Tokens by wire after a vend; the keypad stays the fall-back, whatever comes of them.

A token order is named by where its token lives, ``receipt/position``: one receipt's token is
ordered once by itself, and a token is on its way, or delivered, once at most (unique index).  Key
change tokens and the credit behind them are orders of their own, in their order: each waits for the
one before it, and what stands behind a token that the meter did not take is not sent.  While it is
not settled whether a meter has one token, no other is sent to it (unique index).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select, update

from headend.faults import HeadEndError
from headend.orders.desk import Orders
from headend.orders.tables import orders
from headend.orders.values import ENDED, Order, OrderKind, OrderRequest, OrderState
from headend.registry.tables import end_devices, links
from headend.talk.lines import find_profile
from headend.talk.ordering_token import fingerprint_of
from protocols.errors import LocalProtocolError

VEND: Final = "vend"
"""The client of orders that follow from sales."""
_POSITIONS: Final = range(1, 17)
"""No receipt has more tokens: a key change of four, and the credit."""
_LIFE_S: Final = 86_400
"""By then the customer has typed it."""


DELIVERABLE: Final = (
    end_devices.c.kind == "keypad",
    end_devices.c.protocol.in_(("dlt645-2007", "modbus")),
    end_devices.c.state == "active",
    links.c.state == "active",
)
"""Conditions on a device and its link: it may be reached by wire with a token."""
_OPEN: Final = (OrderState.SENDING.value, OrderState.UNKNOWN.value)
_AGAIN: Final = timedelta(seconds=30)
_BY_A_PERSON: Final = timedelta(hours=1)
"""How often to look whether a person has settled what the meter does not tell."""


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Another token that is to be settled first."""

    words: str
    until: datetime | None
    """When to look again; None: it will not get out of the way."""


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
        .where(end_devices.c.number == number, *DELIVERABLE)
    )


def takes_tokens(protocol: str, profile: str | None) -> bool:
    """Whether a keypad meter takes tokens by wire; of a Modbus meter its profile says so."""
    if protocol != "modbus":
        return True
    try:
        return profile is not None and find_profile(profile).token is not None
    except (HeadEndError, LocalProtocolError):
        return False  # the profile's file is away


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


def in_the_way_of(connection: Connection, order: Order, now: datetime) -> InTheWay | None:
    """Why a token must not be sent now, if there is a reason.

    The parts of a receipt are taken in their order; and while it is not known whether a meter has
    one token, no other goes to it: the meter's report of the other one would be all that is left.

    Args:
        connection: in a transaction.
        order: for a token.
        now: the time.
    """
    assert order.token_ref is not None, "a token order has a token"
    receipt_no, _, position = order.token_ref.partition("/")
    if receipt_no.isdecimal() and position.isdecimal():
        before = [token_ref(int(receipt_no), place) for place in range(1, int(position))]
        for row in _latest(connection, before):
            state = OrderState(row.state)
            if state is OrderState.DONE:
                continue
            part = f"Token {row.token_ref.partition('/')[2]} of this receipt"
            if state in ENDED:
                return InTheWay(
                    f"{part} is {state.value}: what comes after it would be refused. The customer "
                    "can type them at the keypad.",
                    None,
                )
            return InTheWay(f"Waits for order {row.order_id}: {part.lower()}.", _until(row, now))
    open_one = connection.execute(
        select(orders.c.order_id, orders.c.state, orders.c.due_at).where(
            orders.c.device_id == order.device_id,
            orders.c.kind == OrderKind.TOKEN.value,
            orders.c.state.in_(_OPEN),
            orders.c.order_id != order.order_id,
        )
    ).first()
    if open_one is None:
        return None
    return InTheWay(
        f"Waits for order {open_one.order_id}, another token for this meter: it is not settled "
        "whether the meter has that one. The customer can type both at the keypad.",
        _until(open_one, now),
    )


def wake_followers(connection: Connection, order: Order, now: datetime) -> None:
    """What waited for a token that has ended need not wait for its next look."""
    waiting = (
        select(orders.c.order_id)
        .where(
            orders.c.device_id == order.device_id,
            orders.c.kind == OrderKind.TOKEN.value,
            orders.c.state == OrderState.QUEUED.value,
            orders.c.due_at > now,
            orders.c.job_key.is_(None),
        )
        .with_for_update(skip_locked=True)
    )
    found = connection.scalars(waiting).all()
    if found:
        connection.execute(update(orders).where(orders.c.order_id.in_(found)).values(due_at=now))


def _latest(connection: Connection, refs: Sequence[str]) -> Sequence[Any]:
    """The latest order of each token, in the tokens' order."""
    if not refs:
        return []
    rows = connection.execute(
        select(orders.c.order_id, orders.c.token_ref, orders.c.state, orders.c.due_at)
        .where(orders.c.token_ref.in_(refs))
        .order_by(orders.c.order_id)
    )
    latest = {row.token_ref: row for row in rows}
    return [latest[ref] for ref in refs if ref in latest]


def _until(row: Any, now: datetime) -> datetime:
    """When to look again: when the other one is looked at next, and not at once."""
    return max(row.due_at or now + _BY_A_PERSON, now + _AGAIN)
