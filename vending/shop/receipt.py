"""Receipts as data: everything that a print, a screen or a program shows of a sale.

A receipt is stored once, as part of the answer to its request, and never changes; text is
rendered from it (`receipt_text`).  Times are UTC; the utility's zone is named beside them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class ReceiptKind(StrEnum):
    """What was given out."""

    CREDIT = "credit"
    KEY_CHANGE = "key_change"


@dataclass(frozen=True, slots=True)
class SellerPart:
    """Who sold."""

    utility: str
    address: str
    tax_number: str
    vendor: str
    terminal: str
    operator: str


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A meter's key, as its attributes."""

    sgc: str
    krn: int
    key_type: int
    tariff_index: str
    base_year: int
    ken: int


@dataclass(frozen=True, slots=True)
class MeterPart:
    """For which meter."""

    number: str
    algorithm: int
    customer: str
    location: str
    key: KeyPart
    """The key under which the receipt's tokens are made."""
    new_key: KeyPart | None
    """On a key change: the key that the meter has after it."""


@dataclass(frozen=True, slots=True)
class TokenPart:
    """One token, in entry order."""

    name: str
    digits: str
    """20 digits without spaces."""
    units: int
    """Tenths of a kWh; 0 when the token is not credit."""
    tid: int | None


@dataclass(frozen=True, slots=True)
class LinePart:
    """Where a part of the money went, and why."""

    kind: str
    amount_minor: int
    explanation: str


@dataclass(frozen=True, slots=True)
class PaymentPart:
    """The money.  The lines add up to ``tendered_minor``."""

    currency: str
    minor_digits: int
    tender: str
    tendered_minor: int
    change_minor: int
    price_id: int
    """Which of the shop's prices was valid."""
    price_per_kwh: int
    """Before tax, in 1/1000 of a minor unit."""
    tax_bp: int
    lines: tuple[LinePart, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt."""

    receipt_no: int
    kind: ReceiptKind
    issued_at: datetime
    """UTC."""
    zone: str
    """The utility's zone, in which a print shows the time."""
    client: str
    message_id: str
    seller: SellerPart
    meter: MeterPart
    tokens: tuple[TokenPart, ...]
    payment: PaymentPart | None
    """None when nothing was paid."""
    messages: tuple[str, ...]
    test_marks: tuple[str, ...]
    """Why its tokens are tests only; empty when they open real meters."""
    days_since_last: int | None = None
    """Days since the meter's last purchase, by the utility's calendar; None at the first."""
    copy_no: int = 0
    """0 is the original, as it is stored; a reprint is COPY 1, 2, ..."""

    @property
    def units(self) -> int:
        """Tenths of a kWh on all of its tokens."""
        return sum(token.units for token in self.tokens)

    @property
    def token(self) -> str:
        """The 20 digits of the first token."""
        return self.tokens[0].digits

    def copy(self, number: int) -> Receipt:
        """The same receipt as COPY ``number``."""
        return replace(self, copy_no=number)

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON."""
        plain = asdict(self)
        plain["issued_at"] = self.issued_at.astimezone(UTC).strftime(_TIME_FORMAT)
        plain["kind"] = self.kind.value
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Receipt:
        """Read `to_json`'s values back."""
        meter, payment = plain["meter"], plain["payment"]
        new_key = meter["new_key"]
        return cls(
            **{
                **plain,
                "kind": ReceiptKind(plain["kind"]),
                "issued_at": datetime.strptime(plain["issued_at"], _TIME_FORMAT).replace(
                    tzinfo=UTC
                ),
                "seller": SellerPart(**plain["seller"]),
                "meter": MeterPart(
                    **{
                        **meter,
                        "key": KeyPart(**meter["key"]),
                        "new_key": None if new_key is None else KeyPart(**new_key),
                    }
                ),
                "tokens": tuple(TokenPart(**token) for token in plain["tokens"]),
                "payment": None
                if payment is None
                else PaymentPart(
                    **{**payment, "lines": tuple(LinePart(**line) for line in payment["lines"])}
                ),
                "messages": tuple(plain["messages"]),
                "test_marks": tuple(plain["test_marks"]),
            }
        )
