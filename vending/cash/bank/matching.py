"""What a booking may be for: proposals with a score and a reason, for a person to look at.

=====  =========================================================================
score  why
=====  =========================================================================
100    a deposit slip: number and amount
95     a meter number with a right check digit, registered, in the text
95     a vendor's reference, right by its check digit, in the text
90     a customer's account, or a service point, in the text
70     this payer's transfers were vended to this meter before
60     a deposit slip of this amount
40     the payer's name is the name of one customer only
=====  =========================================================================

Where two meters are named the scores are halved: only a person can tell.  Nothing is decided
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from sqlalchemy import Connection, or_, select

from vending.cash.bank.line import Line
from vending.cash.bank.tables import bank_entries, bank_reviews
from vending.cash.cash_tables import deposit_slips
from vending.cash.tables import vendors
from vending.shop.tables import meters
from vending.sts import MeterPan, StsError

DEPOSIT: Final = "deposit"
VENDOR: Final = "vendor"
METER: Final = "meter"

_DIGITS: Final = re.compile(r"[0-9]+")
_GROUPS: Final = re.compile(r"[0-9]+(?:[ \-./][0-9]+)*")
_METER_LENGTHS: Final = (11, 13)
_WORDS: Final = re.compile(r"[\w\-/]{3,64}")
_WORDS_MAX: Final = 64
_VENDOR: Final = re.compile(r"\bVND[ -]?([0-9]{7})\b", re.IGNORECASE)
_PROPOSALS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a booking may be for; one of the three targets is there."""

    kind: str
    score: int
    reason: str
    slip_id: int | None = None
    vendor_id: int | None = None
    meter: str | None = None


def vendor_reference(vendor_id: int) -> str:
    """What a vendor writes into a transfer: ``VND``, six digits and a check digit (Luhn)."""
    digits = f"{vendor_id:06d}"
    return f"VND{digits}{_luhn(digits)}"


def propose(connection: Connection, line: Line) -> list[Proposal]:
    """What a booking may be for, the likeliest first; nothing for money that went out."""
    if line.amount_minor < 0:
        return []
    found = [
        *_deposits(connection, line),
        *_vendors(connection, line),
        *_halved(_meters(connection, line)),
    ]
    return sorted(found, key=lambda each: -each.score)[:_PROPOSALS_MAX]


def meter_numbers(text: str) -> list[str]:
    """The numbers in a text that are a meter's by length and check digit, also when grouped."""
    numbers: dict[str, None] = {}
    for match in _GROUPS.finditer(text):
        groups = _DIGITS.findall(match.group())
        for start in range(len(groups)):
            joined = ""
            for group in groups[start:]:
                joined += group
                if len(joined) > max(_METER_LENGTHS):
                    break
                if len(joined) in _METER_LENGTHS and _is_meter(joined):
                    numbers[joined] = None
    return list(numbers)


def _deposits(connection: Connection, line: Line) -> Iterator[Proposal]:
    arrived = select(bank_reviews.c.slip_id).where(
        bank_reviews.c.slip_id.is_not(None), bank_reviews.c.state.in_(["waiting", "done"])
    )
    rows = connection.execute(
        select(deposit_slips.c.slip_id, deposit_slips.c.number)
        .where(
            deposit_slips.c.amount_minor == line.amount_minor,
            deposit_slips.c.bank_account == line.account,
            deposit_slips.c.slip_id.not_in(arrived),
        )
        .order_by(deposit_slips.c.slip_id)
        .limit(_PROPOSALS_MAX)
    )
    words = set(_WORDS.findall(f"{line.text} {line.reference}"))
    for row in rows:
        if row.number in words:
            yield Proposal(
                DEPOSIT, 100, f"slip {row.number}: number and amount", slip_id=row.slip_id
            )
        else:
            yield Proposal(DEPOSIT, 60, f"slip {row.number}: the amount", slip_id=row.slip_id)


def _vendors(connection: Connection, line: Line) -> Iterator[Proposal]:
    for digits in dict.fromkeys(_VENDOR.findall(line.text)):
        if _luhn(digits[:-1]) != digits[-1]:
            continue
        vendor_id = connection.scalar(
            select(vendors.c.vendor_id).where(vendors.c.vendor_id == int(digits[:-1]))
        )
        if vendor_id is not None:
            yield Proposal(VENDOR, 95, f"reference VND{digits} in the text", vendor_id=vendor_id)


def _meters(connection: Connection, line: Line) -> Iterator[Proposal]:
    for number in meter_numbers(line.text):
        if connection.scalar(select(meters.c.meter_id).where(meters.c.number == number)):
            yield Proposal(METER, 95, "meter number in the text", meter=number)
    yield from _by_account(connection, line)
    yield from _by_payer(connection, line)
    yield from _by_name(connection, line)


def _by_account(connection: Connection, line: Line) -> Iterator[Proposal]:
    words = list(dict.fromkeys(_WORDS.findall(line.text)))[:_WORDS_MAX]
    if not words:
        return
    rows = connection.execute(
        select(meters.c.number, meters.c.account)
        .where(or_(meters.c.account.in_(words), meters.c.service_point.in_(words)))
        .order_by(meters.c.number)
        .limit(_PROPOSALS_MAX)
    )
    for row in rows:
        what = "customer's account" if row.account in words else "service point"
        yield Proposal(METER, 90, f"{what} in the text", meter=row.number)


def _by_payer(connection: Connection, line: Line) -> Iterator[Proposal]:
    if not line.counterparty_account:
        return
    rows = connection.execute(
        select(bank_reviews.c.meter)
        .join(bank_entries, bank_entries.c.entry_id == bank_reviews.c.entry_id)
        .where(
            bank_entries.c.counterparty_account == line.counterparty_account,
            bank_reviews.c.state == "done",
            bank_reviews.c.kind == METER,
        )
        .distinct()
        .limit(_PROPOSALS_MAX)
    )
    for row in rows:
        yield Proposal(METER, 70, "this payer paid for this meter before", meter=row.meter)


def _by_name(connection: Connection, line: Line) -> Iterator[Proposal]:
    if not line.counterparty:
        return
    rows = connection.execute(
        select(meters.c.number).where(meters.c.customer == line.counterparty).limit(2)
    ).all()
    if len(rows) == 1:
        yield Proposal(METER, 40, "the payer has the customer's name", meter=rows[0].number)


def _halved(found: Iterable[Proposal]) -> list[Proposal]:
    """One proposal for each meter, its best; of several meters each is half as sure."""
    ordered = sorted(found, key=lambda each: (each.meter or "", -each.score))
    best = [next(each) for _, each in groupby(ordered, key=lambda each: each.meter)]
    if len([each for each in best if each.score >= 90]) < 2:
        return best
    return [
        replace(each, score=each.score // 2, reason=f"{each.reason}, as other meters are")
        for each in best
    ]


def _is_meter(digits: str) -> bool:
    try:
        return MeterPan.from_drn(digits).drn == digits
    except StsError:
        return False


def _luhn(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)
