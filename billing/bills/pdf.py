"""Bills as PDF: one, or many in one file.

The same bill gives the same bytes, as long as program, texts and fonts are the same: everything on
it is stored with it, the time in the file too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from sqlalchemy import Connection, select

from billing.bills.bill import Bill, addressee_of, bill_of, document_of
from billing.bills.faults import NoSuchBillError
from billing.bills.looking import bill_by_number
from billing.bills.paper import Sheet, paper
from billing.bills.tables import bills
from billing.bills.wording import find_wording
from billing.office import Office
from billing.person import Right
from storage.audit import record
from vending.receipts.pdf import compile_pdf, look_up

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Letter:
    """A bill for one recipient, in a language."""

    bill_id: int
    recipient: int = 0
    language: str | None = None
    """None: the recipient's, or that of the bill."""


def bill_pdf(
    connection: Connection, office: Office, bill_id: int, language: str | None = None
) -> bytes:
    """A bill as PDF, as it goes by e-mail and is shown.

    Args:
        connection: in any transaction.
        office: opens whom it is for.
        bill_id: which.
        language: of the texts; None: the bill's.

    Raises:
        NoSuchBillError: there is none.
        SealBrokenError: the addressee cannot be opened.
        FontMissingError, PdfError: it cannot be set.
    """
    return letters_pdf(connection, office, [Letter(bill_id, 0, language)])


def open_pdf(office: Office, number: str, language: str | None = None) -> bytes:
    """A bill as PDF for somebody at a desk; who opened it is kept.

    Args:
        office: its person opens the bill.
        number: the bill's.
        language: of the texts; None: the bill's.

    Raises:
        RightMissingError: they may not see personal fields.
        NoSuchBillError, SealBrokenError, FontMissingError, PdfError: as for `bill_pdf`.
    """
    office.require(Right.PERSONAL)
    with office.reading() as connection:
        pdf = bill_pdf(connection, office, bill_by_number(connection, number).bill_id, language)
    with office.writing() as connection:
        at, who = office.now(), office.person.name
        record(connection, at, actor=who, action="bill.open", subject=number)
    return pdf


def letters_pdf(connection: Connection, office: Office, letters: Sequence[Letter]) -> bytes:
    """Bills in one PDF, in the order that is given.

    Raises:
        NoSuchBillError, SealBrokenError, FontMissingError, PdfError: as for `bill_pdf`.
    """
    sheets = sheets_of(connection, office, letters)
    made_at = max(each.bill.made_at for each in sheets)
    return compile_pdf(_template(), _data(office, sheets, letters), made_at=made_at)


def last_pages(connection: Connection, office: Office, letters: Sequence[Letter]) -> list[int]:
    """On which page of the PDF of letters each of them ends.

    Raises:
        NoSuchBillError, SealBrokenError, FontMissingError, PdfError: as for `bill_pdf`.
    """
    sheets = sheets_of(connection, office, letters)
    found = look_up(_template(), _data(office, sheets, letters), "ends")
    return [int(page) for page in found]


def _template() -> str:
    return (resources.files(__package__) / "templates" / "bill.typ").read_text("utf-8")


def _data(office: Office, sheets: Sequence[Sheet], letters: Sequence[Letter]) -> dict[str, Any]:
    utility = sheets[0].document.utility
    return {
        "bills": [
            paper(
                sheet,
                find_wording(language_of(sheet, letter), sheet.document.language, office.language),
                office.zone,
                office.currency,
            )
            for sheet, letter in zip(sheets, letters, strict=True)
        ],
        "title": sheets[0].bill.number if len(sheets) == 1 else utility,
        "author": utility,
    }


def language_of(sheet: Sheet, letter: Letter) -> str:
    """In which language a letter is."""
    if letter.language is not None:
        return letter.language
    recipients = sheet.addressee.recipients
    if letter.recipient < len(recipients):
        return recipients[letter.recipient].language
    return sheet.document.language


def sheets_of(connection: Connection, office: Office, letters: Sequence[Letter]) -> list[Sheet]:
    """What is on the bills of letters, in their order.

    Raises:
        NoSuchBillError: one is not there.
        SealBrokenError: an addressee cannot be opened.
    """
    wanted = sorted({each.bill_id for each in letters})
    rows = {}
    for place in range(0, len(wanted), _AT_ONCE):
        part = wanted[place : place + _AT_ONCE]
        for row in connection.execute(select(bills).where(bills.c.bill_id.in_(part))):
            rows[row.bill_id] = row
    missing = [each for each in wanted if each not in rows]
    if missing:
        raise NoSuchBillError(f"There is no bill with the id {missing[0]}.")
    corrected = _corrected(connection, [bill_of(row) for row in rows.values()])
    sheets = []
    for letter in letters:
        row = rows[letter.bill_id]
        bill = bill_of(row)
        sealed = bytes(row.addressee_sealed)
        sheets.append(
            Sheet(
                bill=bill,
                document=document_of(row.document),
                addressee=addressee_of(office.seal.open("bill.addressee", sealed)),
                recipient=letter.recipient,
                corrects=(
                    None
                    if bill.corrects_bill_id is None
                    else (
                        corrected[bill.corrects_bill_id].number,
                        corrected[bill.corrects_bill_id].made_at,
                    )
                ),
            )
        )
    return sheets


def _corrected(connection: Connection, made: Sequence[Bill]) -> dict[int, Bill]:
    ids = [each.corrects_bill_id for each in made if each.corrects_bill_id is not None]
    if not ids:
        return {}
    rows = connection.execute(select(bills).where(bills.c.bill_id.in_(ids)))
    return {row.bill_id: bill_of(row) for row in rows}
