"""A receipt on paper: 48 columns, as an 80 mm till roll has them.

Rendered from the stored data alone, so that a reprint shows what the original showed.  Wide
characters (Chinese, Japanese, Korean) count as two columns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from vending.receipts.receipt import (
    KeyPart,
    MeterPart,
    PaymentPart,
    Receipt,
    ReceiptKind,
    TokenPart,
)
from vending.shop.money import Currency, scaled
from vending.sts import grouped

COLUMNS: Final = 48
_RULE: Final = "-" * COLUMNS
_TITLES: Final = {
    ReceiptKind.CREDIT: "CREDIT TOKEN",
    ReceiptKind.FREE_ISSUE: "FREE ISSUE",
    ReceiptKind.FREE_BASIC: "FREE BASIC UNITS",
    ReceiptKind.REPLACEMENT: "REPLACEMENT UNITS",
    ReceiptKind.ENGINEERING: "ENGINEERING TOKENS",
    ReceiptKind.KEY_CHANGE: "KEY CHANGE TOKENS",
    ReceiptKind.ACCOUNT_PAYMENT: "ACCOUNT PAYMENT",
    ReceiptKind.REVERSAL: "REVERSAL",
}


def receipt_text(receipt: Receipt) -> str:
    """A receipt as lines of at most 48 columns."""
    parts = [
        _head(receipt),
        _test_mark(receipt),
        _identity(receipt),
        _meter(receipt),
        _tokens(receipt.tokens),
        _payment(receipt.payment) if receipt.payment is not None else iter(()),
        _messages(receipt),
    ]
    blocks = ["\n".join(lines) for part in parts if (lines := list(part))]
    return f"\n{_RULE}\n".join(blocks) + "\n"


def _head(receipt: Receipt) -> Iterator[str]:
    seller = receipt.seller
    yield from _centred(seller.utility)
    yield from _centred(seller.address)
    if seller.tax_number:
        yield from _centred(f"Tax no. {seller.tax_number}")


def _test_mark(receipt: Receipt) -> Iterator[str]:
    if receipt.test_marks:
        yield from _centred("*** TEST - NOT A REAL SALE ***")
        yield from _centred(", ".join(receipt.test_marks))


def _identity(receipt: Receipt) -> Iterator[str]:
    seller = receipt.seller
    copy = f"COPY {receipt.copy_no}" if receipt.copy_no else ""
    yield from _pair(_TITLES[receipt.kind], copy)
    yield from _pair("Receipt", str(receipt.receipt_no))
    local = receipt.issued_at.astimezone(ZoneInfo(receipt.zone))
    yield from _pair("Date", f"{local:%Y-%m-%d %H:%M:%S %Z}")
    yield from _pair("Message", receipt.message_id)
    for label, text in (
        ("Client", receipt.client),
        ("Vendor", seller.vendor),
        ("Terminal", seller.terminal),
        ("Operator", seller.operator),
    ):
        if text:
            yield from _pair(label, text)


def _meter(receipt: Receipt) -> Iterator[str]:
    meter = receipt.meter
    if meter.customer:
        yield from _pair("Customer", meter.customer)
    if meter.location:
        yield from _pair("Location", meter.location)
    yield from _pair("Meter", meter.number)
    yield from _technology(meter)
    if receipt.days_since_last is not None:
        yield from _pair("Days since last purchase", str(receipt.days_since_last))


def _technology(meter: MeterPart) -> Iterator[str]:
    yield from _pair("Technology", f"STS EA {meter.algorithm:02d}")
    if meter.new_key is None:
        yield from _pair("Key", _key(meter.key))
    else:
        yield from _pair("From key", _key(meter.key))
        yield from _pair("To key", _key(meter.new_key))
        if meter.new_key.base_year != meter.key.base_year:
            yield from _pair("Base date", f"{meter.key.base_year} -> {meter.new_key.base_year}")
        if meter.new_key.ken != meter.key.ken:
            yield from _pair("Key expiry (KEN)", f"{meter.key.ken} -> {meter.new_key.ken}")


def _key(key: KeyPart) -> str:
    return f"SGC {key.sgc} KRN {key.krn} TI {key.tariff_index} KT {key.key_type}"


def _tokens(tokens: tuple[TokenPart, ...]) -> Iterator[str]:
    for token in tokens:
        yield from _pair(token.name, f"{scaled(token.units, 1)} kWh" if token.units else "")
        yield from _centred(grouped(token.digits))


def _payment(payment: PaymentPart) -> Iterator[str]:
    currency = Currency(payment.currency, payment.minor_digits)
    for line in payment.lines:
        label = f"{line.kind.capitalize()} ({line.explanation})"
        yield from _pair(label, currency.text(line.amount_minor))
    yield from _pair(
        f"Tendered, {payment.tender}", f"{currency.code} {currency.text(payment.tendered_minor)}"
    )


def _messages(receipt: Receipt) -> Iterator[str]:
    for message in receipt.messages:
        yield from _wrapped(message, COLUMNS)


def _pair(label: str, value: str) -> Iterator[str]:
    """A label on the left, a value on the right; on two lines when one is too narrow."""
    gap = COLUMNS - _width(label) - _width(value)
    if gap >= 2 or not value:
        yield (label + " " * gap + value).rstrip()
        return
    yield from _wrapped(label, COLUMNS)
    for line in _wrapped(value, COLUMNS):
        yield " " * (COLUMNS - _width(line)) + line


def _centred(text: str) -> Iterator[str]:
    for line in _wrapped(text, COLUMNS):
        yield " " * ((COLUMNS - _width(line)) // 2) + line


def _wrapped(text: str, columns: int) -> Iterator[str]:
    """Lines of at most so many columns, broken at spaces where there are any."""
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if _width(joined) <= columns:
            line = joined
            continue
        if line:
            yield line
        while _width(word) > columns:
            head = _head_of(word, columns)
            yield head
            word = word[len(head) :]
        line = word
    if line:
        yield line


def _head_of(word: str, columns: int) -> str:
    end = 0
    while end < len(word) and _width(word[: end + 1]) <= columns:
        end += 1
    return word[:end]


def _width(text: str) -> int:
    """How many columns a till's fixed-width font takes."""
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
