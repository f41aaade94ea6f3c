"""Who makes the MACs of purchases for money meters: a plug-in, as a security module is.

The keys of money meters are the operator's; none are here.  A package offers its module as an entry
point of the group `PLUG_INS`: a function without arguments that gives a
`protocols.dlt645.master.PurchaseModule`.  Where it finds its keys is its own affair.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from headend.orders.faults import PurchaseModuleError

if TYPE_CHECKING:
    from protocols.dlt645.master import PurchaseModule

PLUG_INS: Final = "meterhouse.purchase_modules"
VARIABLE: Final = "METERHOUSE_PURCHASE_MODULE"


def purchase_module() -> PurchaseModule | None:
    """The module that the environment names; None: it names none, and nothing is recharged.

    Raises:
        PurchaseModuleError: there is none of this name, or it cannot be opened.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    found = [point for point in entry_points(group=PLUG_INS) if point.name == name]
    if not found:
        known = ", ".join(sorted({point.name for point in entry_points(group=PLUG_INS)}))
        raise PurchaseModuleError(
            f"{VARIABLE} names {name!r}, but no package here has a purchase module of this name; "
            f"there is {known or 'none'}. See docs/orders.md."
        )
    try:
        module: PurchaseModule = found[0].load()()
    except Exception as fault:
        raise PurchaseModuleError(
            f"The purchase module {name!r} cannot be opened: {type(fault).__name__}."
        ) from fault
    return module
