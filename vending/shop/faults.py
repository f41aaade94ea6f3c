"""Faults of the shop: one class and one stable code each.

Business faults are answers: they are stored under the message id and given again when the
request is repeated.  Protocol and system faults are not; after a system fault asking again
with the same message id is safe.  No message holds a key or a full token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from storage import errors as storage_errors
from vending.errors import FaultFamily, VendingError


class ShopError(VendingError):
    """Any fault of the shop."""

    code: ClassVar[str] = "shop_error"


# --- business: the clerk can put it right ---------------------------------------------------


class UnknownMeterError(ShopError):
    """No meter of this number is registered."""

    code: ClassVar[str] = "unknown_meter"


class MeterExistsError(ShopError):
    """The meter is registered already."""

    code: ClassVar[str] = "meter_exists"


class MeterBlockedError(ShopError):
    """The utility has blocked sales to this meter."""

    code: ClassVar[str] = "meter_blocked"


class BelowMinimumError(ShopError):
    """The amount is below the shop's minimum, or buys less than 0.1 kWh."""

    code: ClassVar[str] = "below_minimum"


class AboveMaximumError(ShopError):
    """The amount is above the shop's maximum, or buys more than a token can carry."""

    code: ClassVar[str] = "above_maximum"


class AmountFormatError(ShopError):
    """An amount of money was written in a way that cannot be read without doubt."""

    code: ClassVar[str] = "amount_format"


class KeyChangeRequiredError(ShopError):
    """The meter's key cannot carry a token of today; a key change is the way out."""

    code: ClassVar[str] = "key_change_required"


class KeyUnchangedError(ShopError):
    """The meter has the key already that it should be changed to."""

    code: ClassVar[str] = "key_unchanged"


class KeyTypeError(ShopError):
    """Under a key of this type the meter takes no credit, or the key may not be given out."""

    code: ClassVar[str] = "key_type"


class SupplyGroupNotAuthorisedError(ShopError):
    """The security module holds no key of this supply group and revision."""

    code: ClassVar[str] = "supply_group_not_authorised"


class UnknownReceiptError(ShopError):
    """No receipt of this number was issued here."""

    code: ClassVar[str] = "unknown_receipt"


class UnknownMessageError(ShopError):
    """Nothing was ever sold or refused under this message id."""

    code: ClassVar[str] = "unknown_message"


class InvalidSettingError(ShopError):
    """A setting of the shop has the wrong form or lies outside of its range."""

    code: ClassVar[str] = "invalid_setting"


class MeterTableError(ShopError):
    """A table of meters, or a line of it, cannot be read."""

    code: ClassVar[str] = "meter_table"


class PermissionDeniedError(ShopError):
    """Who acts has no role that allows it."""

    code: ClassVar[str] = "permission_denied"


# --- business: what is asked, and what advice, gifts and keys are refused for ----------------


class QuestionError(ShopError):
    """Somebody has to be asked first.  It is not stored: answer under the same message id."""

    code: ClassVar[str] = "question"


class DoubleSaleQuestionError(QuestionError):
    """The same amount was sold to the same meter just now: is this a second purchase?"""

    code: ClassVar[str] = "double_sale_question"


class KeyChangeOfferedError(QuestionError):
    """The meter's key is due to be changed: shall it be changed with this sale?"""

    code: ClassVar[str] = "key_change_offered"


class KeyRevisionOutdatedError(ShopError):
    """The meter's key revision is outdated; a key change is the way out."""

    code: ClassVar[str] = "key_revision_outdated"


class KeyChangeNotIssuedError(ShopError):
    """No key change was given out for this meter, or none that is still to be confirmed."""

    code: ClassVar[str] = "key_change_not_issued"


class KeyRevisionDiffersError(ShopError):
    """The meter shows another key revision than its key change was to give it."""

    code: ClassVar[str] = "key_revision_differs"


class ReasonMissingError(ShopError):
    """This needs a reason: it stands on the receipt and in the audit trail."""

    code: ClassVar[str] = "reason_missing"


class NoFreeBasicDueError(ShopError):
    """No free units are due: no allowance, taken this month already."""

    code: ClassVar[str] = "no_free_basic_due"


class ExchangeError(ShopError):
    """These two meters were not exchanged for one another."""

    code: ClassVar[str] = "not_exchanged"


class ReplacedBeforeError(ShopError):
    """The units left in this meter were carried over before."""

    code: ClassVar[str] = "replaced_before"


class NotASaleError(ShopError):
    """Advice and refunds are about sales and payments that were made; this is none."""

    code: ClassVar[str] = "not_a_sale"


class SaleConfirmedError(ShopError):
    """The sale or payment was confirmed: the customer has its token, or its receipt."""

    code: ClassVar[str] = "sale_confirmed"


class ReceiptPrintedError(ShopError):
    """The receipt was printed or shown: what left the building cannot be taken back."""

    code: ClassVar[str] = "receipt_printed"


class DeliveredByWireError(ShopError):
    """The meter has the token of the sale by wire, or may have it: there is only the refund."""

    code: ClassVar[str] = "delivered_by_wire"


class NotLatestSaleError(ShopError):
    """Something was given out to the meter after this sale."""

    code: ClassVar[str] = "not_latest_sale"


class NotOwnSaleError(ShopError):
    """It is another's sale, of another shift or terminal, or too long ago for who asks."""

    code: ClassVar[str] = "not_own_sale"


class OtherSideError(ShopError):
    """A vendor's sale is undone at that vendor's terminals, the house's at the house's."""

    code: ClassVar[str] = "other_side"


class SaleReversedError(ShopError):
    """It was reversed: neither the receipt nor its token must be given to anybody."""

    code: ClassVar[str] = "sale_reversed"


class PaidByVoucherError(ShopError):
    """The sale was paid by a voucher: it is neither reversed nor refunded."""

    code: ClassVar[str] = "paid_by_voucher"


class GivenUpError(ShopError):
    """A supervisor gave the request up: its token could not be had, nothing was sold."""

    code: ClassVar[str] = "given_up"


class SaleRefundedError(ShopError):
    """The money of this sale was given back before."""

    code: ClassVar[str] = "sale_refunded"


# --- protocol: the calling program has to be put right --------------------------------------


class OrderChangedError(ShopError):
    """A token was ordered otherwise than it would be stored: it is kept, nothing is lost."""

    code: ClassVar[str] = "order_changed"


class RequestFormatError(ShopError):
    """A request's field has the wrong form."""

    code: ClassVar[str] = "request_format"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL


class ReservedClientError(ShopError):
    """The client's name is kept for requests that the shop makes by itself."""

    code: ClassVar[str] = "reserved_client"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL


class MessageConflictError(ShopError):
    """The message id was used before, for another request."""

    code: ClassVar[str] = "message_conflict"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL


# --- system: the operator has to act --------------------------------------------------------


class ShopSystemError(ShopError):
    """Any fault of the installation.  Nothing was sold, unless the class says otherwise."""

    code: ClassVar[str] = "shop_system_error"
    family: ClassVar[FaultFamily] = FaultFamily.SYSTEM


class ClockBehindError(ShopSystemError):
    """The clock says a time at which the base date of the meter's key has not begun."""

    code: ClassVar[str] = "clock_behind"


class ClockAheadError(ShopSystemError):
    """The clock is far ahead of the latest receipt, and nobody has said that it is right."""

    code: ClassVar[str] = "clock_ahead"


class NoPriceError(ShopSystemError):
    """The clock says a time before the shop's first price was set."""

    code: ClassVar[str] = "no_price"


class MeterBusyError(ShopSystemError):
    """An earlier request for the meter is not settled yet."""

    code: ClassVar[str] = "meter_busy"


class NotByOrderError(ShopSystemError):
    """This cannot be done with a security module outside of this process."""

    code: ClassVar[str] = "not_by_order"


class DatabaseUrlError(ShopSystemError):
    """The database's URL cannot be read."""

    code: ClassVar[str] = storage_errors.DatabaseUrlError.code


class DatabaseMissingError(ShopSystemError):
    """There is no shop at this database."""

    code: ClassVar[str] = storage_errors.DatabaseMissingError.code


class DatabaseExistsError(ShopSystemError):
    """There is something already where a shop was to be made."""

    code: ClassVar[str] = storage_errors.DatabaseExistsError.code


class DatabaseVersionError(ShopSystemError):
    """The database is of another version than this program."""

    code: ClassVar[str] = storage_errors.DatabaseVersionError.code


class DatabaseUnavailableError(ShopSystemError):
    """The database does not answer; nothing was written, asking again is safe."""

    code: ClassVar[str] = storage_errors.DatabaseUnavailableError.code


class DatabaseInvariantError(ShopSystemError):
    """The database refused to break one of its rules; nothing was written."""

    code: ClassVar[str] = storage_errors.InvariantError.code


class DatabaseValueError(ShopSystemError):
    """A value fits no column of the database; nothing was written."""

    code: ClassVar[str] = storage_errors.ValueRefusedError.code


class OutcomeUnknownError(ShopSystemError):
    """Sold or not sold, it cannot be told: ask again with the same message id."""

    code: ClassVar[str] = "outcome_unknown"


_OF_STORAGE: Final[dict[type[storage_errors.StorageError], type[ShopSystemError]]] = {
    storage_errors.DatabaseUrlError: DatabaseUrlError,
    storage_errors.DatabaseMissingError: DatabaseMissingError,
    storage_errors.DatabaseExistsError: DatabaseExistsError,
    storage_errors.DatabaseVersionError: DatabaseVersionError,
    storage_errors.DatabaseUnavailableError: DatabaseUnavailableError,
    storage_errors.InvariantError: DatabaseInvariantError,
    storage_errors.ValueRefusedError: DatabaseValueError,
    storage_errors.CommitUnknownError: OutcomeUnknownError,
}
_HELD: Final = "a token is being made for this meter"
"""What the database's triggers say of `MeterBusyError` (``v0005_frozen_orders``)."""


@contextmanager
def storage_faults() -> Iterator[None]:
    """Faults of the storage room as faults of this one, so that callers catch one root."""
    try:
        yield
    except storage_errors.InvariantError as fault:
        if _HELD in str(fault):
            raise MeterBusyError(
                "An earlier request for this meter or its service point is not settled, its token "
                "is being made: ask again about it (meterhouse vend recover), then ask again."
            ) from fault
        raise DatabaseInvariantError(str(fault)) from fault
    except storage_errors.StorageError as fault:
        raise _OF_STORAGE.get(type(fault), ShopSystemError)(str(fault)) from fault


def fault_of(code: str, message: str) -> VendingError:
    """A stored refusal as the exception that it was.

    A code that this version does not know (stored by a newer one) becomes a `ShopError`.
    """
    return _by_code(VendingError).get(code, ShopError)(message)


def _by_code(root: type[VendingError]) -> dict[str, type[VendingError]]:
    classes = {root.code: root}
    for subclass in root.__subclasses__():
        classes |= _by_code(subclass)
    return classes
