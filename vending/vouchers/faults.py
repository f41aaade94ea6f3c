"""Faults of vouchers.  None of them holds a voucher's secret."""

from __future__ import annotations

from typing import ClassVar

from vending.shop.faults import ShopError


class VoucherPinError(ShopError):
    """What was typed is no voucher PIN: its length or its check digit is wrong."""

    code: ClassVar[str] = "voucher_pin"


class VoucherUnknownError(ShopError):
    """No voucher has this PIN; the try is counted."""

    code: ClassVar[str] = "voucher_unknown"


class VoucherUsedError(ShopError):
    """The voucher has paid for a sale before."""

    code: ClassVar[str] = "voucher_used"


class VoucherNotActiveError(ShopError):
    """The voucher was not made valid yet."""

    code: ClassVar[str] = "voucher_not_active"


class VoucherBlockedError(ShopError):
    """The voucher was blocked."""

    code: ClassVar[str] = "voucher_blocked"


class VoucherExpiredError(ShopError):
    """The voucher's last day has passed."""

    code: ClassVar[str] = "voucher_expired"


class TooManyVoucherTriesError(ShopError):
    """Too many wrong PINs were tried for this meter, or by this client."""

    code: ClassVar[str] = "too_many_voucher_tries"


class UnknownVoucherBatchError(ShopError):
    """There is no batch of vouchers of this number."""

    code: ClassVar[str] = "unknown_voucher_batch"


class VoucherBatchStateError(ShopError):
    """The batch is not in the state that this act needs."""

    code: ClassVar[str] = "voucher_batch_state"
