"""Tokens in the making by a module outside of this process: what one request has ordered.

While such a request is worked on (`vending.shop.intents`), the sale runs as it always does, with
these differences, which it meets here:

* a token is ordered, not made: the first time the work ends there (`Ordered`), the next time the
  token that the module made is there;
* what it looks up before the order is kept the first time, and is as it was kept the next
  (`vending.shop.agreed`): price, units, TID, meter and key, vendor, shift, approvals;
* a vendor's credit was set aside before, and is not taken again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vending.security.port import SecurityModule
from vending.security.remote import (
    CreditOrder,
    KeyChangeOrder,
    RemoteSecurityModule,
    TokenOrder,
    order_from_json,
)
from vending.shop.faults import NotByOrderError, OrderChangedError
from vending.sts import (
    Content,
    DecodedToken,
    KeyAttributes,
    KeyExpiry,
    KeyRevision,
    SupplyGroupCode,
)


class Ordered(Exception):  # noqa: N818 - no fault: the work ends here until the token is made
    """A token was ordered that is not made yet."""

    def __init__(self, order: TokenOrder) -> None:
        super().__init__("a token is ordered")
        self.order: Final = order


@dataclass(slots=True)
class Making:
    """What a request has ordered, and got."""

    made: list[tuple[dict[str, Any], tuple[str, ...]]] = field(default_factory=list)
    """Orders as JSON, with their tokens."""
    kept: list[tuple[str, Any]] = field(default_factory=list)
    """What was agreed before the first order: who looked it up, and the answer as JSON."""
    ordered_tid: int | None = None
    reserved: tuple[int, int] | None = None
    """Vendor and amount that were set aside for it."""
    spent: tuple[int, int] | None = None
    """Vendor and amount that the work takes this time."""
    holds: list[str] = field(default_factory=list)
    """What nobody else may touch until the request is settled, besides its meter."""
    is_inside: bool = False
    """Within a look-up that is kept as a whole."""
    _used: int = 0
    _told: int = 0

    @property
    def is_ordered(self) -> bool:
        """Whether tokens were ordered before, in an earlier transaction."""
        return bool(self.made)

    @property
    def is_kept(self) -> bool:
        """Whether the next look-up is answered from what was kept."""
        return self.is_ordered and self._told < len(self.kept)

    def keep(self, name: str, answer: Any) -> None:
        """A look-up was answered."""
        if not self.is_ordered:
            self.kept.append((name, answer))

    def next_kept(self, name: str) -> Any:
        """The kept answer of the next look-up.

        Raises:
            OrderChangedError: another one was kept.
        """
        kept, answer = self.kept[self._told]
        if kept != name:
            raise OrderChangedError(
                "This token was ordered by a program that goes another way than this one: finish "
                "it with the version that ordered it."
            )
        self._told += 1
        return answer

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within a look-up: what it looks up is part of its answer."""
        self.is_inside = True
        try:
            yield
        finally:
            self.is_inside = False

    def tokens_for(self, order: TokenOrder) -> tuple[str, ...]:
        """What the module made for an order.

        Raises:
            Ordered: nothing yet.
            OrderChangedError: it was ordered otherwise.
        """
        if self._used == len(self.made):
            raise Ordered(order)
        recorded, tokens = self.made[self._used]
        if not _same(order_from_json(recorded), order):
            raise OrderChangedError(
                "The token was ordered otherwise than it would be stored: nothing was stored."
            )
        self._used += 1
        return tokens

    def spend(self, vendor_id: int, amount_minor: int) -> None:
        """The work takes so much of a vendor's credit.

        Raises:
            OrderChangedError: it was set aside otherwise.
        """
        self.spent = (vendor_id, amount_minor)
        if self.reserved is not None and self.reserved != self.spent:
            raise OrderChangedError(
                "Another sum was set aside of the vendor's credit than the sale takes: nothing "
                "was stored."
            )


_NOW: Final[ContextVar[Making | None]] = ContextVar("making", default=None)


def in_the_making() -> Making | None:
    """What the request at hand has ordered; None when tokens are made within the transaction."""
    return _NOW.get()


@contextmanager
def at_work(making: Making) -> Iterator[None]:
    """Work on a request."""
    token = _NOW.set(making)
    try:
        yield
    finally:
        _NOW.reset(token)


class ByOrder(SecurityModule):
    """A module outside of this process, for the shop's desks: they order, and never wait for it."""

    def __init__(self, remote: RemoteSecurityModule) -> None:
        self.remote: Final = remote

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        self.remote.require(sgc, krn)

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        return self.remote.test_marks(key)

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        (digits,) = _making().tokens_for(CreditOrder(content, key))
        return digits

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        return _making().tokens_for(KeyChangeOrder(old, new, ken, rollover))

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        return self.remote.read_token(digits, key)


def by_order(security: SecurityModule) -> SecurityModule:
    """A module as the desks use it."""
    return ByOrder(security) if isinstance(security, RemoteSecurityModule) else security


def _making() -> Making:
    making = _NOW.get()
    if making is None:
        raise NotByOrderError(
            "This is not offered with a security module outside of this process: its tokens are "
            "ordered by message id, one request at a time."
        )
    return making


def _same(recorded: TokenOrder, order: TokenOrder) -> bool:
    """Whether two orders are for the same; their random bits may differ."""
    if isinstance(recorded, CreditOrder) and isinstance(order, CreditOrder):
        rnd = getattr(recorded.content, "rnd", None)
        if rnd is not None and hasattr(order.content, "rnd"):
            content: Any = order.content
            order = replace(order, content=replace(content, rnd=rnd))
    return recorded == order
