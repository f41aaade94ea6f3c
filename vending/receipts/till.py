"""A receipt on a till's printer, as ESC/POS commands."""

from __future__ import annotations

from typing import Final

from vending.receipts.columns import rule
from vending.receipts.escpos import Printer, PrintJob, Size
from vending.receipts.language import REFERENCE, find_language
from vending.receipts.layout import Centred, Item, Mark, Sentence, Title, Token, Total, lay_out
from vending.receipts.receipt import Receipt
from vending.receipts.text import item_lines

_DOUBLE_COLUMNS: Final = 48
"""From here on a token's 24 signs fit in double width."""
_CASH: Final = "cash"
_DEFAULT: Final = Printer()


def receipt_escpos(
    receipt: Receipt,
    language: str = REFERENCE,
    printer: Printer = _DEFAULT,
    *,
    open_drawer: bool = False,
) -> bytes:
    """A receipt as what a till printer takes: text, large digits, a QR code, the cut.

    Args:
        receipt: as it is stored, or a numbered copy.
        language: as for `receipt_text`.
        printer: what the printer can do.
        open_drawer: kick the drawer when money moves in cash; never for a copy.

    Raises:
        UnknownLanguageError, LanguageFileError: there are no texts in the language.
    """
    document = lay_out(receipt, find_language(language))
    job = PrintJob(printer)
    if open_drawer and _is_cash(receipt):
        job.open_drawer()
    for number, section in enumerate(document.sections):
        if number:
            job.line(rule(printer.columns))
        for item in section.items:
            _print(job, item, printer.columns)
    if document.qr:
        job.qr_code(document.qr)
    job.cut()
    return bytes(job)


def _print(job: PrintJob, item: Item, columns: int) -> None:
    lines = item_lines(item, columns)
    match item:
        case Token(digits=digits):
            for line in lines[:-1]:
                job.line(line, is_bold=True)
            job.centred(digits, size=Size.DOUBLE if columns >= _DOUBLE_COLUMNS else Size.TALL)
        case Mark():
            for line in lines:
                job.line(line, size=Size.TALL)
        case Title() | Total() | Sentence() | Centred(is_name=True):
            for line in lines:
                job.line(line, is_bold=True)
        case _:
            for line in lines:
                job.line(line)


def _is_cash(receipt: Receipt) -> bool:
    payment = receipt.payment
    return payment is not None and payment.tender == _CASH and receipt.copy_no == 0
