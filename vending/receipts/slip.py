"""A receipt as PDF: an 80 mm roll, or a slip on A4."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from vending.receipts.language import REFERENCE, find_language
from vending.receipts.layout import (
    Centred,
    Item,
    Mark,
    Pair,
    Sentence,
    Title,
    Token,
    Total,
    lay_out,
)
from vending.receipts.pdf import compile_pdf, qr_code, template_text
from vending.receipts.receipt import Receipt


class Paper(StrEnum):
    """What a receipt is printed on."""

    A4 = "a4"
    ROLL = "roll"
    """80 mm wide, as long as it takes."""


def receipt_pdf(receipt: Receipt, language: str = REFERENCE, paper: Paper = Paper.A4) -> bytes:
    """A receipt as PDF.  The same receipt, language and fonts give the same bytes.

    Raises:
        UnknownLanguageError, LanguageFileError: there are no texts in the language.
        FontMissingError: no font here has some of its letters; says what to install.
    """
    words = find_language(language)
    document = lay_out(receipt, words)
    data = {
        "lang": words.code.partition("-")[0],
        "paper": Paper(paper).value,
        "title": f"{words.say('label.receipt')} {receipt.receipt_no}",
        "author": receipt.seller.utility,
        "mark": "TEST" if receipt.test_marks else "",
        "sections": [[_plain(item) for item in section.items] for section in document.sections],
        "qr": qr_code(document.qr) if document.qr else "",
    }
    return compile_pdf(template_text("receipt"), data, made_at=receipt.issued_at)


def _plain(item: Item) -> dict[str, Any]:
    match item:
        case Centred(text, is_name):
            return {"kind": "centred", "text": text, "name": is_name}
        case Mark(text, why):
            return {"kind": "mark", "text": text, "why": why}
        case Title(text, copy):
            return {"kind": "title", "text": text, "copy": copy}
        case Pair(label, value):
            return {"kind": "pair", "label": label, "value": value}
        case Total(label, value):
            return {"kind": "total", "label": label, "value": value}
        case Token(name, note, digits):
            return {"kind": "token", "name": name, "note": note, "digits": digits}
        case Sentence(text):
            return {"kind": "sentence", "text": text}
