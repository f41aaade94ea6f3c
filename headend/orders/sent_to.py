"""Which meter an order is for, as the registry had it: protocol, address, profile, line.

An address that was corrected, or a meter that was replaced, makes another meter answer: what was
read of the one says nothing of the other, and an order that was prepared for it is not sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from headend.orders.values import Order
from headend.registry.tables import end_devices
from headend.talk.device import Device, load_device

EVIDENCE: Final = "meter"
"""Where it stands in an order's evidence."""
_NAMES: Final = ("protocol", "address", "profile", "link_id")


def meter_of(device: Device) -> dict[str, Any]:
    """What makes it this meter."""
    return {name: getattr(device, name) for name in _NAMES}


def hold_device(connection: Connection, device_id: int) -> None:
    """Keep a device as the registry has it until the transaction ends.

    Comes before the lock of its order, as whoever orders takes them.
    """
    connection.execute(
        select(end_devices.c.device_id)
        .where(end_devices.c.device_id == device_id)
        .with_for_update(read=True)
    )


def take_devices(connection: Connection, device_ids: Collection[int]) -> None:
    """Of those who order something of the same contact, one comes after the other."""
    connection.execute(
        select(end_devices.c.device_id)
        .where(end_devices.c.device_id.in_(device_ids))
        .order_by(end_devices.c.device_id)
        .with_for_update(key_share=True)
    )


def is_removed(connection: Connection, device_id: int) -> bool:
    """Whether the device has left the network."""
    state = connection.scalar(
        select(end_devices.c.state).where(end_devices.c.device_id == device_id)
    )
    return state == "removed"


def what_changed(connection: Connection, device: Device) -> str:
    """Why a device is not the meter that it was when it was loaded; empty: it is."""
    return _difference(meter_of(device), load_device(connection, device.device_id))


def why_no_look(connection: Connection, order: Order, device: Device) -> str:
    """Why a look at this device would not tell about the order; empty: it would."""
    if is_removed(connection, order.device_id):
        return (
            f"Meter {device.number} was removed: what answers in its place tells nothing of this "
            "order. Look at the meter itself."
        )
    sent_to = (order.evidence or {}).get(EVIDENCE)
    if sent_to is None:
        return ""
    words = _difference(sent_to, device)
    return words and (
        f"{words} What answers there now may be another meter and is not asked about this order. "
        "Look at the meter itself, or correct the registry and settle the order again."
    )


def _difference(before: Mapping[str, Any], device: Device) -> str:
    now = meter_of(device)
    changed = [name for name in _NAMES if before.get(name) != now[name]]
    if not changed:
        return ""
    what = ", ".join(name.removesuffix("_id") for name in changed)
    return f"The registry has another {what} for meter {device.number} since then."
