"""Information beside the figures: texts chosen by the customer's class and language.

Of the texts that are valid on a day, one for the class goes before one for everybody, one in the
customer's language before one in the utility's, and the newest before older ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from billing.bills.tables import bill_texts
from billing.faults import BadEntryError
from billing.office import Office
from billing.person import Right
from storage.audit import record

WORDS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Information:
    """A text, and whom it is for."""

    text_id: int
    customer_class: str | None
    """None: for every class."""
    language: str
    since: date
    until: date
    """The last day."""
    words: str


def texts_on(connection: Connection, day: date) -> list[Information]:
    """The texts that are valid on a day, the newest first."""
    rows = connection.execute(
        select(bill_texts)
        .where(bill_texts.c.since <= day.isoformat(), bill_texts.c.until >= day.isoformat())
        .order_by(bill_texts.c.text_id.desc())
    )
    return [_information(row) for row in rows]


def chosen(texts: Sequence[Information], customer_class: str, language: str, otherwise: str) -> str:
    """The text for a customer, or nothing.

    Args:
        texts: valid ones, the newest first.
        customer_class: the account's.
        language: the customer's.
        otherwise: the utility's language.
    """
    for wanted in dict.fromkeys((language, otherwise)):
        for for_class in (customer_class, None):
            for each in texts:
                if each.language == wanted and each.customer_class == for_class:
                    return each.words
    return ""


class TextDesk:
    """The texts of an office.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def add(
        self, words: str, *, language: str, since: date, until: date, customer_class: str | None
    ) -> int:
        """Put a text on bills for some time; gives its number.

        Raises:
            BadEntryError: no text, too long, or it ends before it begins.
        """
        self._office.require(Right.CONFIGURE)
        if not 0 < len(words.strip()) <= WORDS_MAX or until < since:
            raise BadEntryError(
                f"A text on bills has 1 to {WORDS_MAX} letters, and its last day is not before "
                "its first."
            )
        at, who = self._office.now(), self._office.person.name
        row = {
            "customer_class": customer_class,
            "language": language,
            "since": since.isoformat(),
            "until": until.isoformat(),
            "words": words.strip(),
            "set_by": who,
            "set_at": at,
        }
        with self._office.writing() as connection:
            text_id: int = connection.execute(
                insert(bill_texts).values(row).returning(bill_texts.c.text_id)
            ).scalar_one()
            record(connection, at, actor=who, action="bill_text.add", subject=str(text_id))
        return text_id

    def end(self, text_id: int, until: date) -> None:
        """Have a text end on another day than was said.

        Raises:
            BadEntryError: there is no such text, or it would end before it begins.
        """
        self._office.require(Right.CONFIGURE)
        at, who = self._office.now(), self._office.person.name
        with self._office.writing() as connection:
            done = connection.execute(
                update(bill_texts)
                .where(bill_texts.c.text_id == text_id, bill_texts.c.since <= until.isoformat())
                .values(until=until.isoformat())
            )
            if done.rowcount != 1:
                raise BadEntryError(f"There is no text {text_id} that began by {until}.")
            record(connection, at, actor=who, action="bill_text.end", subject=str(text_id))

    def list(self) -> list[Information]:
        """All texts, the newest first."""
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            rows = connection.execute(select(bill_texts).order_by(bill_texts.c.text_id.desc()))
            return [_information(row) for row in rows]


def _information(row: Any) -> Information:
    return Information(
        row.text_id,
        row.customer_class,
        row.language,
        date.fromisoformat(row.since),
        date.fromisoformat(row.until),
        row.words,
    )
