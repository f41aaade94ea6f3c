"""A bill as a value, and its document: what is on it, line by line.

Amounts have the ledger's sign: above zero for the customer, below against.  Whoever shows a bill to
its reader turns them round, so that a charge is a plain number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from billing.bills.kinds import BillKind, Group

USE_MONTHS: Final = 13
"""On a bill: the month and the same one of the year before."""
USE_MONTHS_KEPT: Final = 37
"""In the document: corrections of older months find their place."""


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line."""

    group: Group
    code: str
    """What it is, for the texts of a language: ``block2``, ``payment``, ``connection``."""
    words: str
    """The same in words, as it was stored with what it comes from."""
    amount_minor: int
    supply_id: int | None = None
    kind: str = ""
    """Of an energy line: what is charged (`billing.tariffs.values.LineKind`)."""
    tariff: str = ""
    """Of an energy line: ``home 3``, code and version."""
    since: datetime | None = None
    until: datetime | None = None
    """A span; ``since`` alone: a moment."""
    quantity: Decimal | None = None
    unit: str = ""
    rate: Decimal | None = None
    """Major units per unit, or percent."""


@dataclass(frozen=True, slots=True)
class Register:
    """A register of a meter at both ends of what is billed, in Wh."""

    meter: str
    register: str
    first_wh: int
    last_wh: int
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class BilledSupply:
    """A service point on a bill."""

    supply_id: int
    point: str
    since: datetime | None
    until: datetime | None
    energy_wh: int
    registers: tuple[Register, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """What is on a bill besides its sums; nothing in it is personal."""

    utility: str
    language: str
    """The customer's, when the bill was made."""
    lines: tuple[BillLine, ...]
    supplies: tuple[BilledSupply, ...] = ()
    use_wh: Mapping[str, int] = field(default_factory=dict)
    """By month (``2026-11``), of the last ones."""
    information: str = ""
    """A text chosen for the customer's class and language."""
    late_fee: tuple[int, int] | None = None
    """What paying late costs: ppm a day, and at most so many hundredths of a percent; by the rule
    of the day on which the bill was made."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who gets the bill on paper."""

    name: str
    post: str
    language: str


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a bill is for; personal."""

    name: str
    addresses: Mapping[int, str] = field(default_factory=dict)
    """Of the service points, by supply."""
    recipients: tuple[Recipient, ...] = ()

    def __repr__(self) -> str:
        return f"Addressee({len(self.recipients)} recipients)"


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill as it is stored."""

    bill_id: int
    account_id: int
    seq: int
    number: str
    kind: BillKind
    period: str | None
    since: datetime
    made_at: datetime
    made_by: str
    due_at: datetime
    """When the due day is over."""
    currency: str
    after_seq: int
    through_seq: int
    deposit_minor: int
    """Held."""
    plan_minor: int
    """Not due yet, by a plan of instalments; zero or below."""
    opening_minor: int
    """The previous balance."""
    sums: Mapping[Group, int]
    total_minor: int
    """The balance; below zero: to be paid."""
    late_so_far_minor: int
    corrects_bill_id: int | None

    @property
    def to_pay_minor(self) -> int:
        """What is to be paid until the due date: zero or above."""
        return max(0, -self.total_minor)

    def due_on(self, zone: tzinfo) -> date:
        """The last day on which a payment is in time."""
        return last_day(self.due_at, zone)


def last_day(end: datetime, zone: tzinfo) -> date:
    """The day that is over at a moment."""
    return (end - timedelta(microseconds=1)).astimezone(zone).date()


SUM_COLUMNS: Final[Mapping[Group, str]] = {
    Group.PAYMENTS: "payments_minor",
    Group.ENERGY: "energy_minor",
    Group.ADJUSTMENTS: "adjustments_minor",
    Group.LATE_FEE: "late_fee_minor",
    Group.FEES: "fees_minor",
    Group.DEPOSIT: "deposit_moved_minor",
    Group.INSTALMENTS: "instalments_minor",
}


def bill_of(row: Any) -> Bill:
    """A bill from its row."""
    return Bill(
        bill_id=row.bill_id,
        account_id=row.account_id,
        seq=row.seq,
        number=row.number,
        kind=BillKind(row.kind),
        period=row.period,
        since=row.since,
        made_at=row.made_at,
        made_by=row.made_by,
        due_at=row.due_at,
        currency=row.currency,
        after_seq=row.after_seq,
        through_seq=row.through_seq,
        deposit_minor=row.deposit_minor,
        plan_minor=row.plan_minor,
        opening_minor=row.opening_minor,
        sums={group: row._mapping[column] for group, column in SUM_COLUMNS.items()},
        total_minor=row.total_minor,
        late_so_far_minor=row.late_so_far_minor,
        corrects_bill_id=row.corrects_bill_id,
    )


def document_json(document: Document) -> str:
    """A document as it is stored: canonical, so that the same content is the same text."""
    return _canonical(
        {
            "utility": document.utility,
            "language": document.language,
            "lines": [_plain_line(line) for line in document.lines],
            "supplies": [_plain_supply(supply) for supply in document.supplies],
            "use_wh": dict(document.use_wh),
            "information": document.information,
            "late_fee": document.late_fee,
        }
    )


def document_of(stored: str) -> Document:
    """A document from what is stored."""
    given = json.loads(stored)
    return Document(
        utility=given["utility"],
        language=given["language"],
        lines=tuple(_line(each) for each in given["lines"]),
        supplies=tuple(_supply(each) for each in given["supplies"]),
        use_wh=given["use_wh"],
        information=given["information"],
        late_fee=None
        if given["late_fee"] is None
        else (given["late_fee"][0], given["late_fee"][1]),
    )


def addressee_json(addressee: Addressee) -> str:
    """An addressee, to be sealed."""
    return _canonical(
        {
            "name": addressee.name,
            "addresses": {str(supply): text for supply, text in addressee.addresses.items()},
            "recipients": [[each.name, each.post, each.language] for each in addressee.recipients],
        }
    )


def addressee_of(opened: str) -> Addressee:
    """An addressee from what was sealed; of an erased one nothing is left."""
    if not opened:
        return Addressee("")
    given = json.loads(opened)
    return Addressee(
        name=given["name"],
        addresses={int(supply): text for supply, text in given["addresses"].items()},
        recipients=tuple(Recipient(*each) for each in given["recipients"]),
    )


def _plain_line(line: BillLine) -> dict[str, object]:
    plain: dict[str, object] = {
        "group": line.group.value,
        "code": line.code,
        "words": line.words,
        "amount_minor": line.amount_minor,
        "supply": line.supply_id,
        "kind": line.kind,
        "tariff": line.tariff,
        "since": _moment(line.since),
        "until": _moment(line.until),
        "quantity": _decimal(line.quantity),
        "unit": line.unit,
        "rate": _decimal(line.rate),
    }
    return {name: value for name, value in plain.items() if value not in (None, "")}


def _line(given: Mapping[str, Any]) -> BillLine:
    return BillLine(
        group=Group(given["group"]),
        code=given["code"],
        words=given.get("words", ""),
        amount_minor=given["amount_minor"],
        supply_id=given.get("supply"),
        kind=given.get("kind", ""),
        tariff=given.get("tariff", ""),
        since=_read_moment(given.get("since")),
        until=_read_moment(given.get("until")),
        quantity=_read_decimal(given.get("quantity")),
        unit=given.get("unit", ""),
        rate=_read_decimal(given.get("rate")),
    )


def _plain_supply(supply: BilledSupply) -> dict[str, object]:
    return {
        "supply": supply.supply_id,
        "point": supply.point,
        "since": _moment(supply.since),
        "until": _moment(supply.until),
        "energy_wh": supply.energy_wh,
        "registers": [
            [
                each.meter,
                each.register,
                each.first_wh,
                each.last_wh,
                each.is_estimated,
            ]
            for each in supply.registers
        ],
    }


def _supply(given: Mapping[str, Any]) -> BilledSupply:
    return BilledSupply(
        supply_id=given["supply"],
        point=given["point"],
        since=_read_moment(given["since"]),
        until=_read_moment(given["until"]),
        energy_wh=given["energy_wh"],
        registers=tuple(Register(*each) for each in given["registers"]),
    )


def sums_of(lines: Sequence[BillLine]) -> dict[Group, int]:
    """The sum of each group."""
    sums = dict.fromkeys(Group, 0)
    for line in lines:
        sums[line.group] += line.amount_minor
    return sums


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _read_moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _read_decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)
