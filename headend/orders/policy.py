"""The numbers of the rules about orders: one row, changed by whoever may protect customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import Connection, select, update

from headend.faults import EntryError
from headend.orders.tables import order_policy
from headend.orders.values import DISCONNECTS, RECONNECTS, OrderKind
from headend.person import Right
from headend.station import Station
from storage import audit

_OUTSIDE: Final = ("wait", "refuse")
_WAYS: Final = {
    "close": OrderKind.RELAY_CLOSE,
    "allow_close": OrderKind.RELAY_ALLOW_CLOSE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What takes two people, how long orders live, how supply comes back."""

    trips_at_once_max: int
    """More disconnects in one batch, or by one person within a while, take two people."""
    trips_window_s: int
    """For so long one person's disconnects count together, in however many batches."""
    two_for_roles: str
    """Roles of service points (customer, supply, check) whose disconnect takes two, with commas."""
    recharge_two_above_minor: int
    """A recharge of more takes two people."""
    tariff_needs_two: bool
    """Whether tariff tables take two people."""
    protected_needs_two: bool
    """Whether what is written to a protected point takes two people."""
    lift_needs_two: bool
    """Whether keep-power is ended early by two people."""
    outside_window: str
    """What becomes of a disconnect outside of the windows: ``wait`` or ``refuse``."""
    close_credit: str
    """How supply comes back on credit meters: ``close`` or ``allow_close`` (by the button)."""
    close_keypad: str
    close_money: str
    order_life_s: int
    """After so long without having been sent an order expires."""
    disconnect_life_s: int
    """The same of disconnects, which wait for windows."""
    reconnect_life_s: int
    """The same of reconnects, which wait for meters that are silent."""

    @property
    def roles(self) -> frozenset[str]:
        """Roles of points whose disconnect takes two people."""
        return frozenset(part.strip() for part in self.two_for_roles.split(",") if part.strip())

    def life_s(self, kind: OrderKind) -> int:
        """After how many seconds an order of this kind expires."""
        if kind in DISCONNECTS:
            return self.disconnect_life_s
        return self.reconnect_life_s if kind in RECONNECTS else self.order_life_s

    def way_to_close(self, device_kind: str) -> OrderKind:
        """How supply comes back on a meter of this kind."""
        return _WAYS[getattr(self, f"close_{device_kind}")]


_FIELDS: Final = tuple(field.name for field in fields(Policy))
_BOOLEANS: Final = frozenset({"tariff_needs_two", "protected_needs_two", "lift_needs_two"})
_COLUMNS: Final = tuple(order_policy.c[name] for name in _FIELDS)


def load_policy(connection: Connection) -> Policy:
    """The policy in force."""
    row = connection.execute(select(*_COLUMNS)).one()
    values: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
    values |= {name: bool(values[name]) for name in _BOOLEANS}
    return Policy(**values)


def set_policy(station: Station, changes: Mapping[str, Any]) -> Policy:
    """Change some of its values.

    Raises:
        NotAllowedError: the person may not protect customers.
        EntryError: no such value, or one that it cannot be.
    """
    station.require(Right.PROTECT)
    for name, value in changes.items():
        _check(name, value)
    with station.writing() as connection:
        values = {name: int(v) if name in _BOOLEANS else v for name, v in changes.items()}
        connection.execute(update(order_policy), values)
        audit.record(
            connection,
            station.now(),
            actor=station.person.name,
            action="order_policy.set",
            subject="orders",
            detail=", ".join(f"{name}={changes[name]}" for name in sorted(changes)),
        )
        return load_policy(connection)


def _check(name: str, value: Any) -> None:
    if name not in _FIELDS:
        raise EntryError(f"The policy of orders has no {name!r}; it has {', '.join(_FIELDS)}.")
    if name == "outside_window":
        fits = value in _OUTSIDE
    elif name.startswith("close_"):
        fits = value in _WAYS
    elif name == "two_for_roles":
        fits = isinstance(value, str)
    elif name in _BOOLEANS:
        fits = isinstance(value, bool)
    else:
        fits = type(value) is int and value >= (1 if name.endswith("_s") else 0)
    if not fits:
        raise EntryError(f"{name} cannot be {value!r}.")
