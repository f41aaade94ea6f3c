"""A meter and its line as the registry has them; what is needed to talk to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, select

from headend.faults import NotRegisteredError
from headend.registry.tables import end_devices
from protocols.dlt645.controls import Edition


@dataclass(frozen=True, slots=True)
class Device:
    """One meter."""

    device_id: int
    number: str
    """On its plate."""
    protocol: str
    """``dlt645-2007``, ``dlt645-1997`` or ``modbus``."""
    address: str
    """12 digits; Modbus: the unit."""
    profile: str | None
    """Modbus: what its registers mean."""
    link_id: int | None
    credential: str | None
    """Name of an entry in the operator's file of passwords."""
    kind: str
    """``credit``, ``keypad`` or ``money``."""
    ratio: int
    """Of its transformers."""
    added_at: datetime

    @property
    def is_modbus(self) -> bool:
        """Whether it speaks Modbus."""
        return self.protocol == "modbus"

    @property
    def edition(self) -> Edition:
        """Which edition of DL/T 645 it speaks; only of a meter that does."""
        assert not self.is_modbus, "a Modbus meter has no edition"
        return Edition.Y1997 if self.protocol == "dlt645-1997" else Edition.Y2007


_COLUMNS: Final = tuple(end_devices.c[name] for name in Device.__dataclass_fields__)
_BY_IDS: Final[Select[Any]] = select(*_COLUMNS).where(
    end_devices.c.device_id.in_(bindparam("ids", expanding=True))
)


def load_device(connection: Connection, device_id: int) -> Device:
    """One meter by its id.

    Raises:
        NotRegisteredError: there is none.
    """
    found = load_devices(connection, (device_id,))
    if device_id not in found:
        raise NotRegisteredError(f"There is no meter with the id {device_id}.")
    return found[device_id]


def load_devices(connection: Connection, device_ids: Iterable[int]) -> dict[int, Device]:
    """Several meters by their ids; unknown ids are left out."""
    ids = tuple(device_ids)
    return {row.device_id: Device(*row) for row in connection.execute(_BY_IDS, {"ids": ids})}
