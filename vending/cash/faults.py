"""Faults of the drawer, the batches, the vendors and the bank."""

from __future__ import annotations

from typing import ClassVar

from vending.errors import FaultFamily
from vending.shop.faults import ShopError


class ShiftOpenError(ShopError):
    """This operator has an open shift at this terminal already."""

    code: ClassVar[str] = "shift_open"


class NoShiftError(ShopError):
    """No shift is open where one is needed."""

    code: ClassVar[str] = "no_shift"


class ShiftOfAnotherError(ShopError):
    """The shift is another operator's; only a supervisor may act on it."""

    code: ClassVar[str] = "shift_of_another"


class UnknownBatchError(ShopError):
    """There is no shift or batch of this number."""

    code: ClassVar[str] = "unknown_batch"


class BatchStateError(ShopError):
    """The shift or batch is not in the state that this act needs."""

    code: ClassVar[str] = "batch_state"


class BatchKindError(ShopError):
    """A batch of this kind cannot be in a batch of that kind."""

    code: ClassVar[str] = "batch_kind"


class BatchCannotCloseError(ShopError):
    """Something in the scope is still open, or its outcome is unknown."""

    code: ClassVar[str] = "batch_cannot_close"


class DifferenceReasonError(ShopError):
    """What was counted differs from what was expected, and no reason was given."""

    code: ClassVar[str] = "difference_reason"


class CountError(ShopError):
    """A count that cannot be: a negative amount, or notes and coins that do not add up."""

    code: ClassVar[str] = "count_format"


class DepositSlipConflictError(ShopError):
    """A deposit slip of this number was written before, with other contents."""

    code: ClassVar[str] = "deposit_slip_conflict"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL


class UnknownVendorError(ShopError):
    """There is no vendor of this number or name."""

    code: ClassVar[str] = "unknown_vendor"
