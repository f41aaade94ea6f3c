"""Print batches: letters in one PDF, in the order of post codes, with a list of what is in it.

A batch is numbered and never changes: it holds which letters it has, in which order, on which
pages.  It is typeset before it is stored, so that a batch that exists can be printed; printing it
again gives the same pages, and the same bytes as long as program, texts and fonts are the same,
which is looked at.  A letter is in one batch, whoever prints at the same time.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import StringIO
from typing import Final

from sqlalchemy import Connection, insert, select, update

from billing.bills.faults import NoSuchBatchError, NothingToBillError
from billing.bills.paper import Sheet
from billing.bills.pdf import Letter, language_of, last_pages, letters_pdf, sheets_of
from billing.bills.tables import bill_deliveries, print_batch_bills, print_batches
from billing.office import Office
from billing.person import Right
from storage.audit import record

LETTERS_MAX: Final = 500
"""In one batch: about ten seconds of typesetting, and what a tray holds."""
_POST_CODE: Final = re.compile(r"(?<![0-9])([0-9]{4,7}(?:-[0-9]{3,4})?)(?![0-9-])")
_BRITISH: Final = re.compile(r"\b([A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2})\b")
_NO_CODE: Final = "~"
"""Behind all post codes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A print batch."""

    batch_id: int
    made_at: datetime
    made_by: str
    letters: int
    pages: int
    pdf_sha256: bytes


@dataclass(frozen=True, slots=True)
class Printed:
    """A batch on paper."""

    batch: Batch
    pdf: bytes
    manifest: str
    """CSV: place, bill, recipient's place, post code, pages, amount, due day."""
    is_exact: bool
    """Whether these are the bytes that were printed first."""


def post_code(address: str) -> str:
    """The post code of an address: the last group of digits (or of a British form) that can be one.

    An address without any sorts behind all others.
    """
    found = _BRITISH.findall(address.upper()) or _POST_CODE.findall(address)
    return found[-1] if found else _NO_CODE


class PrintDesk:
    """Print batches of an office.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def waiting(self) -> int:
        """How many bills wait for paper."""
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            return len(_to_print(connection, limit=100_000))

    def make(self, *, letters_max: int = LETTERS_MAX) -> Printed:
        """Make a batch of the bills that wait for paper, the oldest first.

        Raises:
            RightMissingError: needs ``bill``, and ``personal``: letters have names and addresses.
            NothingToBillError: none waits.
            FontMissingError, PdfError: they cannot be set; they wait as before.
        """
        office = self._office
        office.require(Right.BILL)
        office.require(Right.PERSONAL)
        while True:
            # Typesetting takes seconds: nobody waits for it, and who prints the same is noticed.
            with office.reading() as connection:
                bill_ids = _to_print(connection, limit=letters_max)
                if not bill_ids:
                    raise NothingToBillError("No bill waits for paper.")
                letters = _letters(connection, office, bill_ids)
                pdf = letters_pdf(connection, office, letters)
                ends = last_pages(connection, office, letters)
            with office.writing() as connection:
                if not _take(connection, bill_ids, office.now()):
                    continue
                batch = _store(connection, office, letters, ends, pdf)
                manifest = _manifest(connection, office, batch.batch_id)
                return Printed(batch, pdf, manifest, is_exact=True)

    def again(self, batch_id: int) -> Printed:
        """Print a batch again: the same letters on the same pages.

        Raises:
            RightMissingError: needs ``bill``, and ``personal``: letters have names and addresses.
            NoSuchBatchError: there is none of this number.
        """
        self._office.require(Right.BILL)
        self._office.require(Right.PERSONAL)
        with self._office.reading() as connection:
            batch = _batch(connection, batch_id)
            letters = [letter for letter, _ in _stored(connection, batch_id)]
            pdf = letters_pdf(connection, self._office, letters)
            manifest = _manifest(connection, self._office, batch_id)
        with self._office.writing() as connection:
            record(
                connection,
                self._office.now(),
                actor=self._office.person.name,
                action="bill.print_again",
                subject=str(batch_id),
            )
        return Printed(batch, pdf, manifest, hashlib.sha256(pdf).digest() == batch.pdf_sha256)

    def list(self, *, limit: int = 100) -> list[Batch]:
        """Batches, the newest first."""
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            rows = connection.execute(
                select(print_batches).order_by(print_batches.c.batch_id.desc()).limit(limit)
            )
            return [Batch(**row._mapping) for row in rows]


def _to_print(connection: Connection, *, limit: int) -> list[int]:
    return list(
        connection.scalars(
            select(bill_deliveries.c.bill_id)
            .where(bill_deliveries.c.way == "paper", bill_deliveries.c.printed_at.is_(None))
            .order_by(bill_deliveries.c.bill_id)
            .limit(limit)
        )
    )


def _take(connection: Connection, bill_ids: Sequence[int], at: datetime) -> bool:
    """Take bills for a batch; False when somebody else has printed one of them meanwhile."""
    mine = bill_deliveries.c.bill_id.in_(bill_ids) & (bill_deliveries.c.way == "paper")
    waiting = connection.scalars(
        select(bill_deliveries.c.bill_id)
        .where(mine, bill_deliveries.c.printed_at.is_(None))
        .order_by(bill_deliveries.c.bill_id)
        .with_for_update()
    ).all()
    if len(waiting) != len(bill_ids):
        return False
    connection.execute(update(bill_deliveries).where(mine).values(printed_at=at))
    return True


def _letters(connection: Connection, office: Office, bill_ids: Sequence[int]) -> list[Letter]:
    """One for each recipient of each bill, in the order of post codes."""
    sheets = sheets_of(connection, office, [Letter(each) for each in bill_ids])
    found: list[tuple[tuple[str, str, int, int], Letter]] = []
    for bill_id, sheet in zip(bill_ids, sheets, strict=True):
        for place, recipient in enumerate(sheet.addressee.recipients):
            letter = Letter(bill_id, place)
            letter = replace(letter, language=language_of(sheet, letter))
            order = (post_code(recipient.post), recipient.post, sheet.bill.account_id, bill_id)
            found.append((order, letter))
    return [letter for _, letter in sorted(found, key=lambda each: each[0])]


def _store(
    connection: Connection,
    office: Office,
    letters: Sequence[Letter],
    ends: Sequence[int],
    pdf: bytes,
) -> Batch:
    at, who = office.now(), office.person.name
    row = {
        "made_at": at,
        "made_by": who,
        "letters": len(letters),
        "pages": ends[-1],
        "pdf_sha256": hashlib.sha256(pdf).digest(),
    }
    batch_id: int = connection.execute(
        insert(print_batches).values(row).returning(print_batches.c.batch_id)
    ).scalar_one()
    starts = [1, *(end + 1 for end in ends[:-1])]
    connection.execute(
        insert(print_batch_bills),
        [
            {
                "batch_id": batch_id,
                "place": place,
                "bill_id": letter.bill_id,
                "recipient": letter.recipient,
                "language": letter.language,
                "first_page": start,
                "pages": end - start + 1,
            }
            for place, (letter, start, end) in enumerate(zip(letters, starts, ends, strict=True), 1)
        ],
    )
    record(
        connection,
        at,
        actor=who,
        action="bill.print",
        subject=str(batch_id),
        detail=f"{len(letters)} letters, {ends[-1]} pages",
    )
    return _batch(connection, batch_id)


def _batch(connection: Connection, batch_id: int) -> Batch:
    row = connection.execute(
        select(print_batches).where(print_batches.c.batch_id == batch_id)
    ).one_or_none()
    if row is None:
        raise NoSuchBatchError(
            f"There is no print batch {batch_id}. `meterhouse bill print --list` shows them."
        )
    return Batch(**{**row._mapping, "pdf_sha256": bytes(row.pdf_sha256)})


def _stored(connection: Connection, batch_id: int) -> list[tuple[Letter, tuple[int, int]]]:
    """The letters of a batch, in order, each with its first page and how many it has."""
    rows = connection.execute(
        select(print_batch_bills)
        .where(print_batch_bills.c.batch_id == batch_id)
        .order_by(print_batch_bills.c.place)
    )
    return [
        (Letter(row.bill_id, row.recipient, row.language), (row.first_page, row.pages))
        for row in rows
    ]


def _manifest(connection: Connection, office: Office, batch_id: int) -> str:
    """What is in a batch, a line for each letter.  Post codes, but neither names nor streets."""
    stored = _stored(connection, batch_id)
    sheets = sheets_of(connection, office, [letter for letter, _ in stored])
    out = StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(
        ["batch", "place", "bill", "post_code", "first_page", "pages", "to_pay", "due_on"]
    )
    for place, ((letter, (first, pages)), sheet) in enumerate(zip(stored, sheets, strict=True), 1):
        code = _code_of(sheet, letter)
        bill = sheet.bill
        rows.writerow(
            [
                batch_id,
                place,
                bill.number,
                "" if code == _NO_CODE else code,
                first,
                pages,
                office.currency.text(bill.to_pay_minor),
                bill.due_on(office.zone).isoformat(),
            ]
        )
    return out.getvalue()


def _code_of(sheet: Sheet, letter: Letter) -> str:
    recipients = sheet.addressee.recipients
    return post_code(recipients[letter.recipient].post)
