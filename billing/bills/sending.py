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
from billing.bills.bill import Addressee, Bill
from billing.bills.tables import bill_deliveries, bill_ways
from billing.notices.outbox import queue_notice, queue_notices
from billing.notices.port import Event, Notice
from billing.office import Office
from billing.person import Right
from storage.audit import record

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


def hand_over(
    connection: Connection,
    office: Office,
    made: Sequence[Bill],
    accounts: Mapping[int, Account],
    addressees: Mapping[int, Addressee],
) -> None:
    """Hand new bills over; in the transaction that makes them.

    Args:
        connection: in a write transaction.
        office: the office.
        made: the bills.
        accounts: theirs, by id.
        addressees: theirs, by account.
    """
    ways = ways_of(connection)
    told = [each for each in made if ways[accounts[each.account_id].customer_class].by_notice]
    numbers = queue_notices(connection, office, [_notice(office, each, "") for each in told])
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
    return queue_notice(connection, office, _notice(office, bill, once))


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


def _notice(office: Office, bill: Bill, again: str) -> Notice:
    """What the outbox tells: the summary of an SMS, the text of an e-mail."""
    once = f"bill {bill.bill_id}"
    return Notice(
        event=Event.BILL,
        account_id=bill.account_id,
        once=f"{once} {again}" if again else once,
        about={
            "bill_number": bill.number,
            "total_minor": -bill.total_minor,
            "due_on": bill.due_on(office.zone).isoformat(),
        },
        bill_id=bill.bill_id,
    )


def _ways(row: Row[Any]) -> Ways:
    return Ways(row.customer_class, row.notice == 1, row.paper == 1)
