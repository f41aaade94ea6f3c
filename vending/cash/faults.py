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


class BankFileError(ShopError):
    """A bank's file, or a booking in it, cannot be read."""

    code: ClassVar[str] = "bank_file"


class BankMappingError(ShopError):
    """How a bank writes its CSV is not known, or is described wrongly."""

    code: ClassVar[str] = "bank_mapping"


class UnknownBankEntryError(ShopError):
    """There is no booking of this number."""

    code: ClassVar[str] = "unknown_bank_entry"


class BankReviewError(ShopError):
    """A review that cannot be: already settled, or the wrong target for this booking."""

    code: ClassVar[str] = "bank_review"


class VendorExistsError(ShopError):
    """There is a vendor of this name already."""

    code: ClassVar[str] = "vendor_exists"


class TopUpConflictError(ShopError):
    """The reference of a top-up was used before, for another top-up."""

    code: ClassVar[str] = "top_up_conflict"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL


class CommissionRateError(ShopError):
    """A commission rate that cannot be, or one for a time that has been."""

    code: ClassVar[str] = "commission_rate"


class TerminalExistsError(ShopError):
    """There is a terminal of this name already."""

    code: ClassVar[str] = "terminal_exists"


class UnknownTerminalError(ShopError):
    """There is no terminal of this name."""

    code: ClassVar[str] = "unknown_terminal"


class VendorCreditExhaustedError(ShopError):
    """A prepaid vendor's credit does not suffice for the sale."""

    code: ClassVar[str] = "vendor_credit_exhausted"


class VendorBlockedError(ShopError):
    """The utility has blocked sales by this vendor."""

    code: ClassVar[str] = "vendor_blocked"


class TerminalBlockedError(ShopError):
    """The utility has blocked sales at this terminal."""

    code: ClassVar[str] = "terminal_blocked"


class VendorTerminalError(ShopError):
    """Who works for a vendor sells at that vendor's terminals, and nowhere else."""

    code: ClassVar[str] = "vendor_terminal"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL
