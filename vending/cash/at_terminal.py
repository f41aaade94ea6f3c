"""Whose terminal somebody stands at who works for a vendor."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select

from storage.prepared import Prepared
from vending.cash.faults import VendorTerminalError
from vending.cash.tables import terminals

_ITS_TERMINAL: Final = Prepared(
    select(terminals.c.terminal_id).where(
        terminals.c.name == bindparam("at_terminal"),
        terminals.c.vendor_id == bindparam("of_vendor"),
    )
)


def require_terminal_of(connection: Connection, vendor_id: int, terminal: str) -> None:
    """Refuse a terminal that is not the vendor's, and to name none at all.

    Raises:
        VendorTerminalError: otherwise the money would be the house's, or another vendor's.
    """
    wanted = {"at_terminal": terminal, "of_vendor": vendor_id}
    if _ITS_TERMINAL.scalar(connection, wanted) is None:
        raise VendorTerminalError(
            f"Who works for vendor {vendor_id} sells at its terminals only, "
            f"and {terminal or '(none)'} is none of them (`meterhouse terminal list`)."
        )
