"""Statements as CSV; how a bank writes them is a data file (``mappings/*.toml``).

A mapping names the columns by their headings.  Lines above the headings are passed over.

``encodings``    tried in this order
``delimiter``    between the columns
``decimal``      the decimal mark; ``grouping``: marks inside of amounts that mean nothing
``dates``        formats of ``strptime``, tried in this order
``[columns]``    ``date``; ``amount``, or ``credit`` and ``debit``; and where there are such:
                 ``text`` (one or several), ``counterparty``, ``counterparty_account``,
                 ``reference``, ``account``, ``currency``
"""

from __future__ import annotations

import codecs
import csv
import io
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from vending.cash.bank.line import BadLine, Line, parse_minor, tidy
from vending.cash.faults import BankFileError, BankMappingError

_FOLDER: Final = Path(__file__).with_name("mappings")
_HEAD_LINES_MAX: Final = 50
_ROLES: Final = (
    "date",
    "amount",
    "credit",
    "debit",
    "text",
    "counterparty",
    "counterparty_account",
    "reference",
    "account",
    "currency",
)


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """How one bank writes its CSV."""

    name: str
    encodings: tuple[str, ...]
    delimiter: str
    decimal: str
    grouping: str
    dates: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    """Role → headings; only ``text`` may have several."""


def known_mappings() -> list[str]:
    """The mappings that come with the program."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def load_mapping(name: str) -> CsvMapping:
    """A mapping that comes with the program, or a file of one's own.

    Raises:
        BankMappingError: there is none, or it cannot be used; says why.
    """
    own = _FOLDER / f"{name}.toml" if name in known_mappings() else Path(name)
    try:
        plain = tomllib.loads(own.read_text(encoding="utf-8"))
    except OSError:
        raise BankMappingError(
            f"There is no mapping {name}: use one of {', '.join(known_mappings())}, or a TOML "
            "file of your own."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise BankMappingError(f"The mapping {name} cannot be read: {fault}") from None
    return _mapping(own.stem, plain)


def read_csv(
    content: bytes, mapping: CsvMapping, *, account: str, currency: str, digits: int
) -> Iterator[Line | BadLine]:
    """The bookings of a CSV statement.

    Args:
        content: the file.
        mapping: how it is written.
        account: of which account, where the file does not say it.
        currency: of the house; a booking in another is a bad line.
        digits: of the currency's minor unit.

    Raises:
        BankFileError: the headings are not there, or it is in none of the encodings.
    """
    rows = csv.reader(io.StringIO(_decoded(content, mapping)), delimiter=mapping.delimiter)
    try:
        places = _places(rows, mapping)
        for row in rows:
            if any(cell.strip() for cell in row):
                where = f"line {rows.line_num}"
                try:
                    yield _line(row, places, mapping, account, currency, digits)
                except BankFileError as fault:
                    yield BadLine(where, str(fault))
    except csv.Error as fault:
        raise BankFileError(f"Line {rows.line_num} is not CSV: {fault}.") from None


def _line(
    row: list[str],
    places: Mapping[str, list[int]],
    mapping: CsvMapping,
    account: str,
    currency: str,
    digits: int,
) -> Line:
    def cell(role: str) -> str:
        found = [row[place].strip() for place in places.get(role, ()) if place < len(row)]
        return " ".join(text for text in found if text)

    written_in = cell("currency") or currency
    if written_in != currency:
        raise BankFileError(f"Its currency is {written_in[:10]}; this house's is {currency}.")
    own = "".join((cell("account") or account).split())
    if not own:
        raise BankFileError("It does not say of which account it is: name the account.")
    amount = _amount(cell, mapping, digits)
    return Line(
        account=own[:64],
        booked_on=_day(cell("date"), mapping),
        amount_minor=amount,
        currency=currency,
        reference=tidy(cell("reference"))[:140],
        counterparty=tidy(cell("counterparty")),
        counterparty_account="".join(cell("counterparty_account").split())[:64],
        text=tidy(cell("text")),
    )


def _amount(cell: Any, mapping: CsvMapping, digits: int) -> int:
    marks = {"decimal": mapping.decimal, "grouping": mapping.grouping}
    if "amount" in mapping.columns:
        amount = parse_minor(cell("amount"), digits, **marks)
    else:
        written = {role: cell(role) for role in ("credit", "debit")}
        given = {
            role: abs(parse_minor(text, digits, **marks)) for role, text in written.items() if text
        }
        amount = given.get("credit", 0) - given.get("debit", 0)
        if len([each for each in given.values() if each]) > 1:
            raise BankFileError("It has both a credit and a debit.")
    if amount == 0:
        raise BankFileError("It moves no money.")
    return amount


def _day(text: str, mapping: CsvMapping) -> date:
    for form in mapping.dates:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise BankFileError(f"{text[:20]!r} is not a day written like {' or '.join(mapping.dates)}.")


def _places(rows: Iterator[list[str]], mapping: CsvMapping) -> dict[str, list[int]]:
    """Find the line of headings; where each role's columns are."""
    wanted = {heading for headings in mapping.columns.values() for heading in headings}
    for _, row in zip(range(_HEAD_LINES_MAX), rows, strict=False):
        headings = [cell.strip() for cell in row]
        if wanted <= set(headings):
            return {
                role: [headings.index(heading) for heading in names]
                for role, names in mapping.columns.items()
            }
    raise BankFileError(
        f"No line of the file has the headings of the mapping {mapping.name}: "
        f"{', '.join(sorted(wanted))}."
    )


def _decoded(content: bytes, mapping: CsvMapping) -> str:
    for encoding in mapping.encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BankFileError(f"The file is in none of these encodings: {', '.join(mapping.encodings)}.")


def _mapping(name: str, plain: Mapping[str, Any]) -> CsvMapping:
    try:
        columns = {
            role: (headings,) if isinstance(headings, str) else tuple(headings)
            for role, headings in plain["columns"].items()
        }
        mapping = CsvMapping(
            name=name,
            encodings=tuple(plain.get("encodings", ["utf-8-sig", "cp1252"])),
            delimiter=plain.get("delimiter", ","),
            decimal=plain.get("decimal", "."),
            grouping=plain.get("grouping", ""),
            dates=tuple(plain.get("dates", ["%Y-%m-%d"])),
            columns=columns,
        )
        for encoding in mapping.encodings:
            codecs.lookup(encoding)
    except (KeyError, TypeError, AttributeError, LookupError) as fault:
        raise BankMappingError(f"The mapping {name} lacks or misspells {fault}.") from None
    unknown = columns.keys() - set(_ROLES)
    if unknown or "date" not in columns or not columns.keys() & {"amount", "credit"}:
        raise BankMappingError(
            f"The mapping {name} needs the columns date, and amount or credit and debit; and "
            f"none but {', '.join(_ROLES)}."
        )
    if len(mapping.delimiter) != 1 or len(mapping.decimal) != 1:
        raise BankMappingError(f"The mapping {name}: delimiter and decimal are one character.")
    return mapping
