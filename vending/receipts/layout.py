"""What a receipt shows, in which order: one document for every kind of print.

`lay_out` reads a receipt and a language and gives sections of items; the renderers (text, ESC/POS,
PDF) only decide how an item looks on their paper.  The order is that of specs/vending.md,
"Receipt": who sold · mark · which receipt · for whom · which meter · tokens · money · messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from vending.receipts.language import Language
from vending.receipts.receipt import (
    KeyPart,
    LinePart,
    MeterPart,
    PaymentPart,
    Receipt,
    ReceiptKind,
    TokenPart,
)
from vending.sts import grouped

_PAID: Final = "000"
_KEY_CHANGE: Final = "key_change"
_CREDIT: Final = "credit"
_MONEY_BACK: Final = (ReceiptKind.REVERSAL, ReceiptKind.REFUND)


@dataclass(frozen=True, slots=True)
class Centred:
    """A line in the middle."""

    text: str
    is_name: bool = False
    """The utility's name, larger where the paper allows."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What nobody may overlook: that the tokens are tests."""

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Title:
    """What was given out, and which copy this is."""

    text: str
    copy: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Total:
    """A pair that stands out."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token: what it is, what is on it, its 20 digits."""

    name: str
    note: str
    digits: str
    """Five groups of four."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Text to be read as such."""

    text: str


Item = Centred | Mark | Title | Pair | Total | Token | Sentence


@dataclass(frozen=True, slots=True)
class Section:
    """Items that belong together."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A receipt, laid out."""

    language: str
    sections: tuple[Section, ...]
    """None is empty."""
    qr: str
    """For a QR code; empty when there is no token."""


def lay_out(receipt: Receipt, language: Language) -> Document:
    """A receipt as a document in a language."""
    sections = {
        "seller": _seller(receipt, language),
        "mark": _mark(receipt, language),
        "identity": _identity(receipt, language),
        "meter": _meter(receipt, language),
        "tokens": _tokens(receipt, language),
        "payment": _payment(receipt, language),
        "messages": _messages(receipt, language),
    }
    filled = ((name, tuple(items)) for name, items in sections.items())
    return Document(
        language=language.code,
        sections=tuple(Section(name, items) for name, items in filled if items),
        qr=_qr(receipt),
    )


def token_name(receipt: Receipt, position: int, language: Language) -> str:
    """A token's name; its place in the order of entry, too, where there are several.

    Args:
        receipt: the receipt.
        position: the token's, from 0.
        language: to be said in.
    """
    token = receipt.tokens[position]
    code = token.code
    if not code and language.code != "en":
        code = _code_of_version_1(receipt)
    if not code:
        return token.name
    key = f"{_CREDIT}_{receipt.meter.resource}" if code == _CREDIT else code
    known = language.named("token", key, "")
    if not known:
        return token.name
    if len(receipt.tokens) == 1:
        return known
    place = language.place(position + 1, len(receipt.tokens))
    return language.say("format.token_order", token=known, place=place)


def mark_of(receipt: Receipt, language: Language) -> tuple[str, str] | None:
    """The TEST mark and the reasons for it."""
    if not receipt.test_marks:
        return None
    reasons = [
        language.named("mark", mark.lower().replace(" ", "_"), mark) for mark in receipt.test_marks
    ]
    return language.say("mark.test"), ", ".join(reasons)


def copy_of(receipt: Receipt, language: Language) -> str:
    """COPY n; empty on the original."""
    return language.say("mark.copy", number=str(receipt.copy_no)) if receipt.copy_no else ""


def title_of(receipt: Receipt, language: Language) -> str:
    """What was given out."""
    kind = receipt.kind.value
    if receipt.kind is ReceiptKind.CREDIT:
        otherwise = language.say("title.credit_electricity")
        return language.named("title", f"{kind}_{receipt.meter.resource}", otherwise)
    return language.named("title", kind, kind.replace("_", " ").upper())


def _seller(receipt: Receipt, language: Language) -> Iterator[Item]:
    seller = receipt.seller
    yield Centred(seller.utility, is_name=True)
    if seller.address:
        yield Centred(seller.address)
    if seller.tax_number:
        yield Centred(language.say("label.tax_number", number=seller.tax_number))


def _mark(receipt: Receipt, language: Language) -> Iterator[Item]:
    mark = mark_of(receipt, language)
    if mark is not None:
        yield Mark(*mark)


def _identity(receipt: Receipt, language: Language) -> Iterator[Item]:
    seller = receipt.seller
    yield Title(title_of(receipt, language), copy_of(receipt, language))
    yield _pair(language, "receipt", str(receipt.receipt_no))
    if receipt.reversed_receipt_no is not None:
        yield _pair(language, "reversed_receipt", str(receipt.reversed_receipt_no))
    local = receipt.issued_at.astimezone(ZoneInfo(receipt.zone))
    yield _pair(language, "date", language.moment(local))
    yield _pair(language, "message", receipt.message_id)
    shift = "" if receipt.shift_no is None else str(receipt.shift_no)
    for label, text in (
        ("client", receipt.client),
        ("vendor", seller.vendor),
        ("terminal", seller.terminal),
        ("operator", seller.operator),
        ("shift", shift),
    ):
        if text:
            yield _pair(language, label, text)
    if receipt.type_code != _PAID:
        yield _pair(language, "transaction_type", receipt.type_code)


def _meter(receipt: Receipt, language: Language) -> Iterator[Item]:
    meter = receipt.meter
    for label, text in (
        ("customer", meter.customer),
        ("account", meter.account),
        ("location", meter.location),
        ("meter", meter.number),
    ):
        if text:
            yield _pair(language, label, text)
    yield from _technology(meter, language)
    if receipt.days_since_last is not None:
        yield _pair(language, "days_since_last", str(receipt.days_since_last))


def _technology(meter: MeterPart, language: Language) -> Iterator[Item]:
    yield _pair(language, "technology", f"STS EA {meter.algorithm:02d}")
    old, new = meter.key, meter.new_key
    if new is None:
        yield _pair(language, "key", _key(old))
        return
    yield _pair(language, "from_key", _key(old))
    yield _pair(language, "to_key", _key(new))
    for label, before, behind in (
        ("base_date", old.base_year, new.base_year),
        ("key_expiry", old.ken, new.ken),
    ):
        if before != behind:
            change = language.say("format.from_to", old=str(before), new=str(behind))
            yield _pair(language, label, change)


def _key(key: KeyPart) -> str:
    return f"SGC {key.sgc} KRN {key.krn} TI {key.tariff_index} KT {key.key_type}"


def _tokens(receipt: Receipt, language: Language) -> Iterator[Item]:
    for position, token in enumerate(receipt.tokens):
        note = language.units(token.units, receipt.meter.resource) if token.units else ""
        yield Token(token_name(receipt, position, language), note, grouped(token.digits))
        yield from _cost(receipt, token, language)


def _cost(receipt: Receipt, token: TokenPart, language: Language) -> Iterator[Item]:
    if receipt.payment is None:
        return
    for label, minor in (("token_amount", token.amount_minor), ("token_tax", token.tax_minor)):
        if minor:
            yield _pair(language, label, language.amount(minor, receipt.payment.minor_digits))


def _payment(receipt: Receipt, language: Language) -> Iterator[Item]:
    payment = receipt.payment
    if payment is None:
        return
    if payment.tariff:
        yield _pair(language, "tariff", _tariff(payment, language))
    for line in payment.lines:
        yield Pair(_line(line, language), language.amount(line.amount_minor, payment.minor_digits))
    label = "refunded" if receipt.kind in _MONEY_BACK else "tendered"
    tender = language.named("tender", payment.tender, payment.tender)
    yield Total(
        language.say("format.with_detail", what=language.say(f"label.{label}"), detail=tender),
        language.money(payment.tendered_minor, payment.minor_digits, payment.currency),
    )
    for debt in payment.debts:
        paid, left = (
            language.amount(minor, payment.minor_digits)
            for minor in (debt.paid_minor, debt.left_minor)
        )
        yield Pair(
            language.say("label.debt", name=debt.name),
            language.say("format.paid_left", paid=paid, left=left),
        )


def _tariff(payment: PaymentPart, language: Language) -> str:
    if payment.tariff_version is None:
        return payment.tariff
    return language.say(
        "label.tariff_version", tariff=payment.tariff, version=str(payment.tariff_version)
    )


def _line(line: LinePart, language: Language) -> str:
    what = language.named("line", line.kind, line.kind.replace("_", " ").capitalize())
    why = language.sentence(line.reason, line.explanation)
    return language.say("format.explained", what=what, why=why) if why else what


def _messages(receipt: Receipt, language: Language) -> Iterator[Item]:
    reasons = receipt.message_reasons
    if len(reasons) != len(receipt.messages):  # stored before messages had reasons
        yield from (Sentence(message) for message in receipt.messages)
        return
    for reason, message in zip(reasons, receipt.messages, strict=True):
        yield Sentence(language.sentence(reason, message))


def _qr(receipt: Receipt) -> str:
    """For a phone: the meter, and the tokens in entry order, each on its line."""
    if not receipt.tokens:
        return ""
    mark = ["TEST"] if receipt.test_marks else []
    return "\n".join([*mark, receipt.meter.number, *(token.digits for token in receipt.tokens)])


def _pair(language: Language, label: str, value: str) -> Pair:
    return Pair(language.say(f"label.{label}"), value)


def _code_of_version_1(receipt: Receipt) -> str:
    """Receipts of version 1 name their tokens in English alone; their kind says what they are."""
    return {ReceiptKind.CREDIT: _CREDIT, ReceiptKind.KEY_CHANGE: _KEY_CHANGE}.get(receipt.kind, "")
