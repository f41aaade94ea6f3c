"""One booking of a bank statement, whatever file it came from.  Pure.

A booking is known again by its key, so that the same file twice, and files that overlap, add
nothing twice:

* with a bank reference: the day, the reference, and the place inside a batch booking;
* without one: a digest of everything that it says, and which of several equal bookings of that
  day it is.  Two equal payments on one day are two; a file has to hold whole days.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from vending.cash.faults import BankFileError
from vending.shop.requests import canonical_json

TEXT_LENGTH_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """A booking."""

    account: str
    """The utility's bank account: an IBAN or the bank's own number, without spaces."""
    booked_on: date
    amount_minor: int
    """Above zero: money came in; below: it went out."""
    currency: str
    reference: str = ""
    """The bank's own reference of the booking; empty when it gives none."""
    place: str = ""
    """Of one payment inside a batch booking."""
    counterparty: str = ""
    counterparty_account: str = ""
    text: str = ""
    """What the payer wrote."""
    key: str = ""
    """Set by `keyed`."""

    @property
    def content_sha256(self) -> str:
        """The same for the same booking."""
        plain = [
            self.account,
            self.booked_on.isoformat(),
            self.amount_minor,
            self.currency,
            self.reference,
            self.place,
            self.counterparty,
            self.counterparty_account,
            self.text,
        ]
        return hashlib.sha256(canonical_json(plain)).hexdigest()


@dataclass(frozen=True, slots=True)
class BadLine:
    """Something in a file that cannot be taken, and why."""

    where: str
    message: str


def keyed(lines: Iterable[Line | BadLine]) -> Iterator[Line | BadLine]:
    """Give each booking of a file the key by which it is known again."""
    seen: Counter[str] = Counter()
    for line in lines:
        if isinstance(line, BadLine):
            yield line
            continue
        if line.reference:
            yield replace(line, key=f"{line.booked_on}/{line.reference}/{line.place}")
            continue
        digest = line.content_sha256
        seen[digest] += 1
        yield replace(line, key=f"{line.booked_on}/sha256:{digest}/{seen[digest]}")


def parse_minor(text: str, digits: int, *, decimal: str = ".", grouping: str = "") -> int:
    """An amount as a bank writes it, in minor units.

    Args:
        text: digits, maybe with a sign, one decimal mark, and grouping marks.
        digits: of the currency's minor unit; zeros behind them are let through.
        decimal: the decimal mark.
        grouping: marks that mean nothing.

    Raises:
        BankFileError: anything else.
    """
    plain = "".join(character for character in text.strip() if character not in grouping)
    sign = -1 if plain.startswith(("-", "−")) else 1
    plain = plain.lstrip("+-−").strip()
    whole, _, part = plain.partition(decimal)
    part = part.rstrip("0")
    if not _are_digits(whole) or (part and not _are_digits(part)) or len(whole) > 15:
        raise BankFileError(f"{text!r} is not an amount with the decimal mark {decimal!r}.")
    if len(part) > digits:
        raise BankFileError(f"{text!r} has more than {digits} digits after the decimal mark.")
    return sign * int(whole + part.ljust(digits, "0"))


def tidy(text: str) -> str:
    """Text on one line, of bounded length, without characters that nobody can see."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())[:TEXT_LENGTH_MAX]


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
