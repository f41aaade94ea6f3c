"""Faults of pricing: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from vending.shop.faults import ShopError, ShopSystemError


class TariffFormatError(ShopError):
    """A tariff's definition cannot be read, or makes no sense."""

    code: ClassVar[str] = "tariff_format"


class UnknownTariffError(ShopError):
    """There is no tariff of this name."""

    code: ClassVar[str] = "unknown_tariff"


class TariffExistsError(ShopError):
    """There is a tariff of this name already."""

    code: ClassVar[str] = "tariff_exists"


class TariffValidityError(ShopError):
    """A version cannot become valid at this time."""

    code: ClassVar[str] = "tariff_validity"


class TariffNotValidError(ShopSystemError):
    """The clock says a time before the tariff's first version."""

    code: ClassVar[str] = "tariff_not_valid"


class TariffResourceError(ShopError):
    """The tariff prices another resource than the meter counts."""

    code: ClassVar[str] = "tariff_resource"


class DebtBlocksError(ShopError):
    """A debt has to be paid before units are sold."""

    code: ClassVar[str] = "debt_blocks"


class UnknownDebtError(ShopError):
    """There is no debt of this number."""

    code: ClassVar[str] = "unknown_debt"


class NothingDueError(ShopError):
    """There is nothing to pay."""

    code: ClassVar[str] = "nothing_due"


class CarriedChangeUsedError(ShopError):
    """The change that a sale carried forward has paid for another sale since."""

    code: ClassVar[str] = "carried_change_used"
