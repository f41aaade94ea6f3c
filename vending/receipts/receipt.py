"""Receipts as data: everything that a print, a screen or a program shows of a sale.

A receipt is stored once, as part of the answer to its request, and never changes; text is
rendered from it (`receipt_text`).  Times are UTC; the utility's zone is named beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class ReceiptKind(StrEnum):
    """What was given out."""

    CREDIT = "credit"
    """Units that were paid for (transaction type 000)."""
    FREE_ISSUE = "free_issue"
    """Units given away (005)."""
    FREE_BASIC = "free_basic"
    """The month's free units (010)."""
    REPLACEMENT = "replacement"
    """Units that were left in an exchanged meter (003)."""
    ENGINEERING = "engineering"
    """Tokens of class 1 and 2 that carry no units."""
    KEY_CHANGE = "key_change"
    ACCOUNT_PAYMENT = "account_payment"
    """Money for debts and charges; no token."""
    REVERSAL = "reversal"
    """A sale undone before anybody had its token: money and units went back."""
    REFUND = "refund"
    """Money given back for a sale whose token stays valid."""


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
    resource: str = "electricity"
    """electricity, water, gas or time: what a unit is (0.1 kWh, 0.1 m3, 0.1 m3, 0.1 min)."""
    account: str = ""
    """The customer's account with the utility."""


@dataclass(frozen=True, slots=True)
class TokenPart:
    """One token, in entry order."""

    name: str
    digits: str
    """20 digits without spaces."""
    units: int
    """Tenths of a kWh; 0 when the token is not credit."""
    tid: int | None
    code: str = ""
    """What it is, for programs and translations: ``credit``, ``key_change``, ``clear_tamper``..."""
    amount_minor: int = 0
    """What its units cost before tax."""
    tax_minor: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence as a code and the values in it, so that it can be said in any language."""

    code: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinePart:
    """Where a part of the money went, and why."""

    kind: str
    amount_minor: int
    explanation: str
    """In English."""
    reason: Reason | None = None
    """The same for other languages; None on receipts of version 1."""


@dataclass(frozen=True, slots=True)
class DebtPart:
    """A debt after this payment."""

    name: str
    paid_minor: int
    left_minor: int


@dataclass(frozen=True, slots=True)
class PaymentPart:
    """The money.  The lines add up to ``tendered_minor``."""

    currency: str
    minor_digits: int
    tender: str
    tendered_minor: int
    change_minor: int
    lines: tuple[LinePart, ...]
    tariff: str = ""
    """The tariff's name."""
    tariff_version: int | None = None
    """Which of its versions was valid."""
    debts: tuple[DebtPart, ...] = ()
    price_id: int | None = None
    """Which of the shop's flat prices was valid; None under a tariff."""
    price_per_kwh: int | None = None
    """Before tax, in 1/1000 of a minor unit; None under a tariff."""
    tax_bp: int | None = None


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
    """In English."""
    test_marks: tuple[str, ...]
    """Why its tokens are tests only; empty when they open real meters."""
    days_since_last: int | None = None
    """Days since the meter's last purchase, by the utility's calendar; None at the first."""
    message_reasons: tuple[Reason, ...] = ()
    """The messages for other languages; empty on receipts of version 1."""
    shift_no: int | None = None
    """The shift that it was sold in."""
    type_code: str = "000"
    """000 paid, 003 replacement, 005 free issue, 010 free basic (NRS 009-6-10)."""
    reversed_receipt_no: int | None = None
    """On a reversal: which receipt it undoes."""
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
        return self._said({name: _plain(value) for name, value in _fields(self).items()})

    def for_json(self) -> dict[str, Any]:
        """The same for an encoder that knows dataclasses: the parts are as they are."""
        return self._said(_fields(self))

    def _said(self, plain: dict[str, Any]) -> dict[str, Any]:
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
                "payment": None if payment is None else _payment(payment),
                "messages": tuple(plain["messages"]),
                "message_reasons": tuple(
                    _reason(each) for each in plain.get("message_reasons", ())
                ),
                "test_marks": tuple(plain["test_marks"]),
            }
        )


def _plain(value: Any) -> Any:
    """As `dataclasses.asdict`, which takes ten times as long: it copies deeply."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return {name: _plain(each) for name, each in _fields(value).items()}
    return value


def _fields(part: Any) -> dict[str, Any]:
    """A dataclass's fields, in their order: `__match_args__` are those of its constructor."""
    return {name: getattr(part, name) for name in part.__match_args__}


def _payment(plain: dict[str, Any]) -> PaymentPart:
    return PaymentPart(
        **{
            **plain,
            "lines": tuple(_line(line) for line in plain["lines"]),
            "debts": tuple(DebtPart(**debt) for debt in plain.get("debts", ())),
        }
    )


def _line(plain: dict[str, Any]) -> LinePart:
    reason = plain.get("reason")
    return LinePart(**{**plain, "reason": None if reason is None else _reason(reason)})


def _reason(plain: dict[str, Any]) -> Reason:
    return Reason(plain["code"], tuple(plain["values"]))
