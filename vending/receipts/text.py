"""A receipt as text in fixed columns: a clerk's terminal, or a till roll without any command.

Rendered from the stored data alone, so that a reprint shows what the original showed.
"""

from __future__ import annotations

from typing import Final

from vending.receipts.columns import COLUMNS, COLUMNS_MIN, Roll, rule, width
from vending.receipts.faults import PaperWidthError
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
from vending.receipts.receipt import Receipt

COLUMNS_MAX: Final = 200


def receipt_text(receipt: Receipt, language: str = REFERENCE, columns: int = COLUMNS) -> str:
    """A receipt as lines of at most so many columns.

    Args:
        receipt: as it is stored, or a numbered copy.
        language: ``en``, ``zh``, ``fr``, ``pt``, or another that the operator has a file for.
        columns: 48 on 80 mm paper, 32 on 58 mm.

    Raises:
        UnknownLanguageError, LanguageFileError: there are no texts in the language.
        PaperWidthError: not 24 to 200 columns.
    """
    require_columns(columns)
    document = lay_out(receipt, find_language(language))
    blocks = [
        "".join(f"{line}\n" for item in section.items for line in item_lines(item, columns))
        for section in document.sections
    ]
    return f"{rule(columns)}\n".join(blocks)


def item_lines(item: Item, columns: int) -> list[str]:
    """An item of a document as lines."""
    roll = Roll(columns)
    match item:
        case Centred(text):
            roll.centred(text)
        case Mark(text, why):
            starred = f"*** {text} ***"
            roll.centred(starred if width(starred) <= columns else text)
            roll.centred(why)
        case Title(label, value) | Pair(label, value) | Total(label, value):
            roll.pair(label, value)
        case Token(name, note, digits):
            roll.pair(name, note)
            roll.centred(digits)
        case Sentence(text):
            roll.wrapped(text)
    return roll.lines


def require_columns(columns: int) -> None:
    """Refuse paper on which a token would be broken.

    Raises:
        PaperWidthError: not 24 to 200 columns.
    """
    if not COLUMNS_MIN <= columns <= COLUMNS_MAX:
        raise PaperWidthError(
            f"A receipt is laid out on {COLUMNS_MIN} to {COLUMNS_MAX} columns, not {columns}: "
            "48 fit 80 mm paper, 32 fit 58 mm."
        )
