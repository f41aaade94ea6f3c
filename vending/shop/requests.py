"""What is asked of the shop, and what it answers.

A request carries the asking program's name (``client``) and an id of its own making
(``message_id``): the pair stands for one request for ever, so that asking again is always
safe.  Operator and terminal are who asks, not what is asked; they may differ when a request is
repeated.

A request of the wrong form cannot even be made, so it takes no message id: a mistyped meter
number (its check digit tells) is put right under the same id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from vending.errors import VendingError
from vending.receipts.receipt import Receipt
from vending.shop.books import Tender
from vending.shop.faults import (
    NotASaleError,
    OutcomeUnknownError,
    RequestFormatError,
    fault_of,
)
from vending.shop.meters import Meter, MeterKey
from vending.shop.price import Quote
from vending.shop.values import pan_of, require_text, require_whole
from vending.sts import AMOUNT_MAX, DecodedToken

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_KEY_TEXTS: Final = ("sgc", "tariff_index")
_KEY_NUMBERS: Final = ("krn", "key_type", "base_year", "ken")


class Outcome(StrEnum):
    """How a request ended."""

    DONE = "done"
    """Sold: the receipt is there."""
    FAILED = "failed"
    """Refused by a rule: nothing was sold, and asking again gives the same refusal."""
    UNKNOWN = "unknown"
    """It cannot be told; one thing is allowed: ask again with the same message id."""


@dataclass(frozen=True, slots=True)
class VendRequest:
    """Sell units for money: as many as the money buys, or so many as are asked for.

    Give ``amount_minor`` for "sell for this money"; ``units`` for "sell so many", where
    ``amount_minor`` is then what the customer hands over (None: exactly what is due).

    Raises:
        RequestFormatError: a field has the wrong form.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """

    client: str
    """Which program asks, e.g. ``kiosk-7``."""
    message_id: str
    """Its id for this request; never used for another."""
    meter: str
    """The number on the meter's face."""
    amount_minor: int | None = None
    """What the customer gives, in minor units."""
    tender: Tender = Tender.CASH
    operator: str = ""
    terminal: str = ""
    units: int | None = None
    """Tenths of a unit (0.1 kWh, 0.1 m3, 0.1 min), when units are asked for."""
    accept_key_change: bool = False
    """The answer to `key_change_offered`: yes, change the meter's key with this sale."""
    confirmed_second: bool = False
    """The answer to `double_sale_question`: yes, this is a second purchase.

    Answers are no part of what is asked: give them under the same message id."""

    def __post_init__(self) -> None:
        require_who(self)
        if self.amount_minor is None and self.units is None:
            raise RequestFormatError("A sale needs an amount in minor units, or units.")
        if self.amount_minor is not None:
            require_whole("An amount in minor units", self.amount_minor)
        if self.units is not None:
            require_units(self.units)
        require_tender(self.tender)
        for name in ("accept_key_change", "confirmed_second"):
            if not isinstance(getattr(self, name), bool):
                raise RequestFormatError(f"{name} must be True or False.")

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        asked: dict[str, Any] = {
            "meter": pan_of(self.meter).drn,
            "amount_minor": self.amount_minor,
            "tender": self.tender.value,
        }
        # Left out when not used: what was stored before they were there has the same hash.
        if self.units is not None:
            asked["units"] = self.units
        return asked


@dataclass(frozen=True, slots=True)
class KeyChangeRequest:
    """Move a meter to another key.  What is None stays as it is.

    Raises:
        RequestFormatError: a field has the wrong form.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """

    client: str
    message_id: str
    meter: str
    sgc: str | None = None
    krn: int | None = None
    key_type: int | None = None
    tariff_index: str | None = None
    base_year: int | None = None
    ken: int | None = None
    reason: str = ""
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_who(self)
        for name, value in self.changes().items():
            require = require_text if name in _KEY_TEXTS else require_whole
            require(name, value)

    def changes(self) -> dict[str, Any]:
        """The attributes that are to change."""
        asked = {name: getattr(self, name) for name in (*_KEY_TEXTS, *_KEY_NUMBERS)}
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def moves_money(self) -> bool:
        """Whether it decides for whom, or at which price, later tokens are made."""
        return not {"sgc", "tariff_index", "key_type"}.isdisjoint(self.changes())

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {"meter": pan_of(self.meter).drn, **self.changes()}


@dataclass(frozen=True, slots=True)
class VendResult:
    """The answer to a request; one that gives something out has a receipt."""

    outcome: Outcome
    client: str
    message_id: str
    response: bytes
    """The answer as canonical JSON; the same bytes whenever the request is repeated."""
    replayed: bool
    """Whether it was answered before."""
    receipt: Receipt | None
    """There when the outcome is done, but for what has none: a report of a meter's fault."""
    fault: VendingError | None
    """Why not, when the outcome is another."""
    reversed_by: int | None = None
    """The receipt of the reversal, when what was given out has been undone since: the tokens
    of `receipt` must not be shown to anybody any more."""

    @classmethod
    def stored(cls, client: str, message_id: str, response: bytes, *, replayed: bool) -> VendResult:
        """Read an answer back from its bytes."""
        answer = json.loads(response)
        outcome = Outcome(answer["outcome"])
        receipt = Receipt.from_json(answer["receipt"]) if "receipt" in answer else None
        error = answer.get("error")
        fault = fault_of(error["code"], error["message"]) if error else None
        return cls(outcome, client, message_id, response, replayed, receipt, fault)

    @classmethod
    def unknown(cls, client: str, message_id: str, fault: OutcomeUnknownError) -> VendResult:
        """No answer can be given."""
        return cls(Outcome.UNKNOWN, client, message_id, b"", False, None, fault)

    def require_done(self) -> Receipt:
        """The receipt, or the fault that stands in its place, raised.

        Raises:
            VendingError: `fault`.
            NotASaleError: it was done, and gave out nothing.
        """
        if self.fault is not None:
            raise self.fault
        if self.receipt is None:
            raise NotASaleError(
                f"Message id {self.message_id} of client {self.client} was no sale: there is no "
                "receipt."
            )
        return self.receipt


@dataclass(frozen=True, slots=True)
class TrialVend:
    """What a sale would be, had it been asked for at this moment."""

    meter: Meter
    quote: Quote
    new_key: MeterKey | None = None
    """The key that the sale would move the meter to, when a key change is due with it."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token means to a meter."""

    decoded: DecodedToken
    receipt_no: int | None
    """The receipt on which this shop gave it out; None when it did not."""


def canonical_json(value: object) -> bytes:
    """One spelling for one value: sorted keys, no spaces, UTF-8."""
    return _ENCODER.encode(value)


def require_who(request: Any) -> None:
    """Check the fields that every request for a meter has.

    Raises:
        RequestFormatError: client, message id or meter are empty, or a text has the wrong form.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """
    require_ids(request)
    if not require_text("meter", request.meter).strip():
        raise RequestFormatError("meter must not be empty.")
    pan_of(request.meter)


def require_ids(request: Any) -> None:
    """Check who asks, under which id.

    Raises:
        RequestFormatError: client or message id are empty, or a text has the wrong form.
    """
    for name in ("client", "message_id"):
        if not require_text(name, getattr(request, name)).strip():
            raise RequestFormatError(f"{name} must not be empty.")
    for name in ("operator", "terminal", "reason"):
        require_text(name, getattr(request, name, ""))


def require_units(units: object) -> int:
    """Check a number of tenths of a unit.

    Raises:
        RequestFormatError: no whole number above zero, or more than a token can carry.
    """
    number = require_whole("A number of units", units)
    if not 0 < number <= AMOUNT_MAX:
        raise RequestFormatError(
            f"Units must be above zero and at most {AMOUNT_MAX}, in tenths of a unit."
        )
    return number


def require_tender(tender: object) -> None:
    """Check a tender.

    Raises:
        RequestFormatError: not a `Tender`.
    """
    if not isinstance(tender, Tender):
        raise RequestFormatError("The tender must be a Tender.")


def require_no_voucher(tender: Tender) -> None:
    """Refuse to take a voucher's word without the voucher.

    Raises:
        RequestFormatError: the tender is `Tender.VOUCHER`.
    """
    if tender is Tender.VOUCHER:
        raise RequestFormatError("A voucher pays through `VoucherDesk.redeem`, with its PIN.")
