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

from vending.errors import VendingError
from vending.receipts.receipt import Receipt
from vending.shop.books import Tender
from vending.shop.faults import OutcomeUnknownError, RequestFormatError, fault_of
from vending.shop.meters import Meter
from vending.shop.price import Quote
from vending.shop.values import require_text, require_whole
from vending.sts import DecodedToken, MeterPan

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
    """Sell electricity for money.

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
    amount_minor: int
    """What the customer gives, in minor units."""
    tender: Tender = Tender.CASH
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        _require_texts(self)
        require_whole("An amount in minor units", self.amount_minor)
        if not isinstance(self.tender, Tender):
            raise RequestFormatError("The tender must be a Tender.")

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {
            "meter": MeterPan.from_drn(self.meter).drn,
            "amount_minor": self.amount_minor,
            "tender": self.tender.value,
        }


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
        _require_texts(self)
        for name, value in self.changes().items():
            require = require_text if name in _KEY_TEXTS else require_whole
            require(name, value)

    def changes(self) -> dict[str, Any]:
        """The attributes that are to change."""
        asked = {name: getattr(self, name) for name in (*_KEY_TEXTS, *_KEY_NUMBERS)}
        return {name: value for name, value in asked.items() if value is not None}

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {"meter": MeterPan.from_drn(self.meter).drn, **self.changes()}


@dataclass(frozen=True, slots=True)
class VendResult:
    """The answer to a request that gives out tokens: a sale or a key change."""

    outcome: Outcome
    client: str
    message_id: str
    response: bytes
    """The answer as canonical JSON; the same bytes whenever the request is repeated."""
    replayed: bool
    """Whether it was answered before."""
    receipt: Receipt | None
    """There when the outcome is done."""
    fault: VendingError | None
    """Why not, when the outcome is another."""

    @classmethod
    def stored(cls, client: str, message_id: str, response: bytes, *, replayed: bool) -> VendResult:
        """Read an answer back from its bytes."""
        answer = json.loads(response)
        outcome = Outcome(answer["outcome"])
        receipt = Receipt.from_json(answer["receipt"]) if outcome is Outcome.DONE else None
        error = answer.get("error")
        fault = fault_of(error["code"], error["message"]) if error else None
        return cls(outcome, client, message_id, response, replayed, receipt, fault)

    @classmethod
    def unknown(cls, client: str, message_id: str, fault: OutcomeUnknownError) -> VendResult:
        """No answer can be given."""
        return cls(Outcome.UNKNOWN, client, message_id, b"", False, None, fault)

    def require_done(self) -> Receipt:
        """The receipt, or the fault that stands in its place, raised."""
        if self.receipt is None:
            assert self.fault is not None
            raise self.fault
        return self.receipt


@dataclass(frozen=True, slots=True)
class TrialVend:
    """What a sale would be, had it been asked for at this moment."""

    meter: Meter
    quote: Quote


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token means to a meter."""

    decoded: DecodedToken
    receipt_no: int | None
    """The receipt on which this shop gave it out; None when it did not."""


def canonical_json(value: object) -> bytes:
    """One spelling for one value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def _require_texts(request: VendRequest | KeyChangeRequest) -> None:
    for name in ("client", "message_id", "meter"):
        if not require_text(name, getattr(request, name)).strip():
            raise RequestFormatError(f"{name} must not be empty.")
    for name in ("operator", "terminal", "reason"):
        require_text(name, getattr(request, name, ""))
    MeterPan.from_drn(request.meter)
