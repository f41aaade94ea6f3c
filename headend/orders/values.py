"""Kinds and states of orders, and an order as it stands.  Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class OrderKind(StrEnum):
    """What an order is."""

    RELAY_TRIP = "relay_trip"
    """Supply off."""
    RELAY_CLOSE = "relay_close"
    """Supply on at once, where the meter permits it."""
    RELAY_ALLOW_CLOSE = "relay_allow_close"
    """The customer may switch on with the button."""
    KEEP_POWER_ON = "keep_power_on"
    """The meter itself ignores trips, also for want of credit."""
    KEEP_POWER_OFF = "keep_power_off"
    """It follows credit and orders again: may cut supply."""
    TOKEN = "token"
    """An STS token by wire."""
    RECHARGE = "recharge"
    """Money into a money meter."""
    SET_CLOCK = "set_clock"
    WRITE_PARAMETER = "write_parameter"
    TARIFF_TABLE = "tariff_table"
    """Several items that belong together: prices, steps, slots."""
    BALANCE = "balance"
    """Read what is left in the meter."""


class OrderState(StrEnum):
    """Where an order stands."""

    WAITING_APPROVAL = "waiting_approval"
    QUEUED = "queued"
    """It may go: now, or at its due date."""
    SENDING = "sending"
    """It is being sent, or its process died while it was; it is not sent again."""
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The answer was lost and the meter's state does not tell; it may still become clear."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """Its time was over before it was sent."""


DISCONNECTS: Final = frozenset({OrderKind.RELAY_TRIP, OrderKind.KEEP_POWER_OFF})
"""What may cut somebody's supply: keep-power, windows and emergency stops are about these."""
RECONNECTS: Final = frozenset(
    {OrderKind.RELAY_CLOSE, OrderKind.RELAY_ALLOW_CLOSE, OrderKind.KEEP_POWER_ON}
)
CONTACT: Final = frozenset(
    {OrderKind.RELAY_TRIP, OrderKind.RELAY_CLOSE, OrderKind.RELAY_ALLOW_CLOSE}
)
"""A newer one of these takes the place of one that still waits."""
WAITING: Final = frozenset({OrderState.WAITING_APPROVAL, OrderState.QUEUED})
ENDED: Final = frozenset(
    {OrderState.DONE, OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED}
)
"""States in which nothing changes any more."""
SETTLED: Final = ENDED | {OrderState.UNKNOWN}
"""States in which nobody need wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What somebody asks for."""

    client: str
    """Who asks, as a program."""
    message_id: str
    """The client's own id: the same one is the same order."""
    kind: OrderKind
    device_id: int
    says: Mapping[str, Any] = field(default_factory=dict)
    """Per kind; see `says`."""
    why: str
    outside_window: str | None = None
    """``wait`` or ``refuse``; None: as the policy says.  Of disconnects only."""
    not_before: datetime | None = None
    """It is not sent before; its life begins then."""
    lives_s: int | None = None
    """After so long without having been sent it expires; None: as the policy says."""
    batch: str | None = None
    """Name of the orders that it is given together with."""
    at_once: int = 1
    """How many orders there will be in the batch; whether it takes two people is known from the
    first on.  What is there already is counted besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it stands."""

    order_id: int
    client: str
    message_id: str
    kind: OrderKind
    device_id: int
    says: Mapping[str, Any]
    token_ref: str | None
    fingerprint: int | None
    why: str
    ordered_by: str
    from_where: str
    ordered_at: datetime
    batch: str | None
    outside_window: str
    not_before: datetime | None
    two_because: str | None
    approved_by: str | None
    state: OrderState
    due_at: datetime | None
    expires_at: datetime
    job_key: str | None
    tries: int
    evidence: Mapping[str, Any] | None
    sending_at: datetime | None
    ended_at: datetime | None
    words: str | None
    result: Mapping[str, Any] | None
    supersedes: int | None


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One line of an order's history."""

    at: datetime
    state: OrderState
    event: str
    who: str
    words: str
