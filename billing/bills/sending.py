"""Hand bills over: to the outbox (e-mail with the PDF, SMS summary), to the printers of letters.

It happens in the transaction that makes the bill, so that a bill is handed over once, whatever is
killed; the outbox sends, sends again, and keeps the proof (`billing.notices`).  How the bills of a
class go out is data (`bill_ways`); where nothing was set, everybody is told by the outbox, and
industrial and public customers get a letter besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from billing.accounts.looking import Account
from billing.bills.bill import Addressee, Bill, Document, last_day
from billing.bills.looking import document
from billing.bills.tables import bill_deliveries, bill_ways
from billing.notices.outbox import queue_notice, queue_notices
from billing.notices.port import Event, Notice
from billing.notices.tables import notice_messages, notices
from billing.office import Office
from billing.person import Right
from storage.audit import record

_WORDS_MAX: Final = 500
"""Of information that goes with a notice; a longer one is on the bill alone."""
_PAPER_CLASSES: Final = ("industrial", "public")
CLASSES: Final = ("residential", "commercial", "industrial", "public")


@dataclass(frozen=True, slots=True)
class Ways:
    """How the bills of a class go out."""

    customer_class: str
    by_notice: bool
    on_paper: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """A bill that was handed over."""

    way: str
    """``notice`` or ``paper``."""
    handed_at: datetime
    notice_id: int | None
    printed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message with a bill; `meterhouse notice show` has its history."""

    message_id: int
    contact_id: int | None
    channel: str
    language: str
    state: str
    """``queued``, ``sending``, ``sent``, ``delivered``, ``failed``, ``unknown``."""
    round: int
    """2: sent again, because nobody confirmed the first."""


def hand_over(
    connection: Connection,
    office: Office,
    made: Sequence[Bill],
    documents: Sequence[Document],
    accounts: Mapping[int, Account],
    addressees: Mapping[int, Addressee],
) -> None:
    """Hand new bills over; in the transaction that makes them.

    Args:
        connection: in a write transaction.
        office: the office.
        made: the bills.
        documents: theirs, in the same order.
        accounts: theirs, by id.
        addressees: theirs, by account.
    """
    ways = ways_of(connection)
    told, asked = [], []
    for bill, shown in zip(made, documents, strict=True):
        if ways[accounts[bill.account_id].customer_class].by_notice:
            told.append(bill)
            asked.append(_notice(office, bill, shown, ""))
    numbers = queue_notices(connection, office, asked)
    at = office.now()
    rows: list[dict[str, object]] = [
        {"bill_id": bill.bill_id, "way": "notice", "handed_at": at, "notice_id": number}
        for bill, number in zip(told, numbers, strict=True)
    ]
    rows += [
        {"bill_id": each.bill_id, "way": "paper", "handed_at": at, "notice_id": None}
        for each in made
        if ways[accounts[each.account_id].customer_class].on_paper
        and addressees[each.account_id].recipients
    ]
    if rows:
        connection.execute(insert(bill_deliveries), rows)


def send_again(connection: Connection, office: Office, bill: Bill, once: str) -> int | None:
    """Have the outbox tell of a bill once more, with the bill.

    Args:
        connection: in a write transaction.
        office: the office.
        bill: which.
        once: of the asking: the same is sent once.

    Returns:
        the notice's number; None: it was asked before, or the account wants none.
    """
    shown = document(connection, bill.bill_id)
    return queue_notice(connection, office, _notice(office, bill, shown, once))


def ways_of(connection: Connection) -> dict[str, Ways]:
    """How the bills of each class go out."""
    found = {each: Ways(each, True, each in _PAPER_CLASSES) for each in CLASSES}
    for row in connection.execute(select(bill_ways)):
        found[row.customer_class] = _ways(row)
    return found


def deliveries_of(connection: Connection, bill_id: int) -> list[Delivery]:
    """What was done to bring a bill to its people; the outbox knows more (`notice_id`)."""
    rows = connection.execute(
        select(bill_deliveries)
        .where(bill_deliveries.c.bill_id == bill_id)
        .order_by(bill_deliveries.c.way)
    )
    return [Delivery(row.way, row.handed_at, row.notice_id, row.printed_at) for row in rows]


def messages_of(connection: Connection, bill_id: int) -> list[Sent]:
    """The outbox's messages that carry a bill, and what is known of each."""
    rows = connection.execute(
        select(notice_messages, notices.c.asked_at)
        .join(notices, notices.c.notice_id == notice_messages.c.notice_id)
        .where(notices.c.bill_id == bill_id)
        .order_by(notice_messages.c.message_id)
    )
    return [
        Sent(row.message_id, row.contact_id, row.channel, row.language, row.state, row.round)
        for row in rows
    ]


class WayDesk:
    """How bills go out.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def list(self) -> list[Ways]:
        """How the bills of each class go out."""
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            return list(ways_of(connection).values())

    def set(self, ways: Ways) -> None:
        """Have the bills of a class go out so, from the next one on."""
        self._office.require(Right.CONFIGURE)
        at, who = self._office.now(), self._office.person.name
        row = {
            "customer_class": ways.customer_class,
            "notice": int(ways.by_notice),
            "paper": int(ways.on_paper),
            "set_by": who,
            "set_at": at,
        }
        with self._office.writing() as connection:
            connection.execute(
                delete(bill_ways).where(bill_ways.c.customer_class == ways.customer_class)
            )
            connection.execute(insert(bill_ways), row)
            record(
                connection,
                at,
                actor=who,
                action="bill_ways.set",
                subject=ways.customer_class,
                detail=f"notice {row['notice']}, paper {row['paper']}",
            )


def _notice(office: Office, bill: Bill, shown: Document, again: str) -> Notice:
    """What the outbox tells: the summary of an SMS, the text of an e-mail."""
    about: dict[str, str | int] = {
        "bill_number": bill.number,
        "total_minor": -bill.total_minor,
    }
    if bill.to_pay_minor:
        about["due_on"] = bill.due_on(office.zone).isoformat()
    begins = [each.since for each in shown.supplies if each.since is not None]
    ends = [each.until for each in shown.supplies if each.until is not None]
    if begins and ends:
        about["period_since_on"] = min(begins).astimezone(office.zone).date().isoformat()
        about["period_until_on"] = last_day(max(ends), office.zone).isoformat()
        about["energy_wh"] = sum(each.energy_wh for each in shown.supplies)
    words = " ".join(shown.information.split())
    if 0 < len(words) <= _WORDS_MAX and words.isprintable():
        about["marketing"] = words
    once = f"bill {bill.bill_id}"
    return Notice(
        event=Event.BILL,
        account_id=bill.account_id,
        once=f"{once} {again}" if again else once,
        about=about,
        bill_id=bill.bill_id,
    )


def _ways(row: Row[Any]) -> Ways:
    return Ways(row.customer_class, row.notice == 1, row.paper == 1)
