"""Vendors as rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select

from vending.cash.faults import UnknownVendorError
from vending.cash.tables import vendors
from vending.shop.values import require_whole


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who sells on the utility's behalf."""

    vendor_id: int
    name: str
    prepaid: bool
    """Sells from credit; otherwise settles afterwards."""
    credit_limit_minor: int
    """How far below nothing the credit may go."""
    blocked: str | None
    """Why it may not sell; None when it may."""
    added_at: datetime


_VENDOR: Final[Select[Any]] = select(
    vendors.c.vendor_id,
    vendors.c.name,
    vendors.c.prepaid,
    vendors.c.credit_limit_minor,
    vendors.c.blocked,
    vendors.c.added_at,
)


def require_vendor(connection: Connection, vendor_id: int, *, lock: bool = False) -> Vendor:
    """A vendor by its number.

    Raises:
        UnknownVendorError: no such vendor.
        RequestFormatError: not a number.
    """
    require_whole("A vendor's number", vendor_id)
    wanted = _VENDOR.where(vendors.c.vendor_id == vendor_id)
    row = connection.execute(
        wanted.with_for_update(key_share=True) if lock else wanted
    ).one_or_none()
    if row is None:
        raise UnknownVendorError(f"There is no vendor {vendor_id}; `meterhouse vendor list` tells.")
    return _vendor(row)


def list_vendors(connection: Connection) -> list[Vendor]:
    """All vendors, by number."""
    return [_vendor(row) for row in connection.execute(_VENDOR.order_by(vendors.c.vendor_id))]


def _vendor(row: Row[Any]) -> Vendor:
    return Vendor(**{**row._mapping, "prepaid": bool(row.prepaid)})
