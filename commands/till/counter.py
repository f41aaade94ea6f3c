"""What every key of the till works with."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.receipt_output import ReceiptOutput
from commands.till.keypad import Keypad
from commands.till.notebook import Notebook

if TYPE_CHECKING:
    from vending import SecurityModule, Shop
    from vending.cash.batches import Batch


class LeaveTillError(Exception):
    """The clerk leaves the till."""


@dataclass(slots=True)
class Till:
    """A till at work."""

    shop: Shop
    keys: SecurityModule
    notebook: Notebook
    keypad: Keypad
    operator: str
    terminal: str
    client: str
    """Whose message ids its requests have."""
    receipt_output: ReceiptOutput
    customer: str = ""
    """The number of the meter that was looked up last."""

    def new_id(self) -> str:
        """An id that no other request has."""
        return str(uuid.uuid4())

    def shift(self) -> Batch | None:
        """The clerk's shift at this terminal, open or waiting for its close."""
        from vending.cash.faults import NoShiftError
        from vending.shop.faults import PermissionDeniedError

        with suppress(NoShiftError, PermissionDeniedError):
            return self.shop.shifts.current(operator=self.operator, terminal=self.terminal)
        return None
