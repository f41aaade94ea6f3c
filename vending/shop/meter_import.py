"""Registering many meters from a table: every bad line is told of, and nothing is half done.

The table is CSV with a line of headings (`COLUMNS`); only ``number`` must be there.  It is read
twice: first every line is checked, against the others and against the shop; then, unless there
are bad ones that must not be left out, the good ones are registered, some hundred at a time.  A
meter that is registered already with the same values is counted and left alone, so that an
import that was cut off is simply run again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import select

from storage import audit
from vending.errors import VendingError
from vending.people.actor import Permission
from vending.shop.faults import MeterTableError
from vending.shop.house import House
from vending.shop.meters import NewMeter, checked_meter, insert_meter
from vending.shop.money import Currency
from vending.shop.tables import meter_keys, meters

_NUMBERS: Final = {
    "ea": "algorithm",
    "krn": "krn",
    "kt": "key_type",
    "base_year": "base_year",
    "ken": "ken",
}
_TEXTS: Final = {
    "number": "number",
    "customer": "customer",
    "location": "location",
    "account": "account",
    "id_number": "id_number",
    "service_point": "service_point",
    "resource": "resource",
    "sgc": "sgc",
    "ti": "tariff_index",
}
_AMOUNTS: Final = {"minimum": "minimum_minor", "maximum": "maximum_minor"}
COLUMNS: Final = (*_TEXTS, *_NUMBERS, *_AMOUNTS)
"""All headings.  An empty field is the default of `NewMeter`."""
_CHUNK: Final = 500
_LINE_MAX: Final = 10_000
_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be imported."""

    line: int
    """In the file, from 1; the headings are line 1."""
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How an import ended."""

    lines: int
    """With a meter on them."""
    added: int
    there: int
    """Registered before, with the same values."""
    bad: tuple[BadLine, ...]
    dry_run: bool

    @property
    def done(self) -> bool:
        """Whether every line's meter is registered now."""
        return not self.dry_run and self.added + self.there == self.lines


@dataclass(slots=True)
class _Checked:
    """What the first reading finds."""

    good: list[tuple[int, NewMeter]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    there: int = 0
    lines: int = 0
    seen: dict[str, int] = field(default_factory=dict)


def import_meters(
    house: House,
    text: Iterable[str],
    *,
    operator: str = "",
    skip_bad: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Register the meters of a table.

    Args:
        house: the shop.
        text: the lines of a CSV file, decoded.
        operator: who imports them.
        skip_bad: register the good lines though there are bad ones.
        dry_run: only check.
        progress: called with the number of lines that are checked or registered, now and then.

    Raises:
        PermissionDeniedError: the actor may not register meters.
        MeterTableError: no table, unknown headings, or no ``number`` among them.
    """
    house.require(Permission.METERS)
    now, who = house.now(), house.who(operator)
    checked = _check(house, text, progress)
    added = 0
    if not dry_run and (skip_bad or not checked.bad):
        for chunk in _chunks(checked.good):
            added += _register(house, chunk, who, now)
            if progress is not None:
                progress(checked.lines + added)
    bad = tuple(sorted(checked.bad, key=lambda each: each.line))
    return ImportReport(checked.lines, added, checked.there, bad, dry_run)


def _check(house: House, text: Iterable[str], progress: Callable[[int], None] | None) -> _Checked:
    checked = _Checked()
    for chunk in _chunks(_records(text)):
        some: list[tuple[int, NewMeter]] = []
        for line, record in chunk:
            checked.lines += 1
            try:
                new = _new_meter(record, house.utility.currency)
                number = checked_meter(new)[0].drn
                _require_key(house, new)
                first = checked.seen.setdefault(number, line)
                if first != line:
                    raise MeterTableError(f"Meter {number} is on line {first} already.")
                some.append((line, new))
            except VendingError as fault:
                checked.bad.append(BadLine(line, fault.code, str(fault)))
        _compare(house, some, checked)
        if progress is not None:
            progress(checked.lines)
    return checked


def _compare(house: House, some: list[tuple[int, NewMeter]], checked: _Checked) -> None:
    """Leave out what is registered already; tell of what is registered otherwise."""
    numbers = {checked_meter(new)[0].drn: (line, new) for line, new in some}
    with house.reading() as connection:
        known = {row.number: row for row in connection.execute(_known(list(numbers)))}
    for number, (line, new) in numbers.items():
        if number not in known:
            checked.good.append((line, new))
        elif _is_same(known[number], new):
            checked.there += 1
        else:
            checked.bad.append(
                BadLine(
                    line,
                    "meter_exists",
                    f"Meter {number} is registered already, with other values; nothing is changed "
                    "by an import.",
                )
            )


def _known(numbers: list[str]) -> Any:
    return (
        select(
            meters,
            meter_keys.c.sgc,
            meter_keys.c.krn,
            meter_keys.c.key_type,
            meter_keys.c.tariff_index,
            meter_keys.c.base_year,
            meter_keys.c.ken,
        )
        .join(meter_keys)
        .where(meter_keys.c.state == "in_use", meters.c.number.in_(numbers))
    )


def _is_same(row: Any, new: NewMeter) -> bool:
    names = (*_TEXTS.values(), *_NUMBERS.values(), *_AMOUNTS.values())
    return all(getattr(row, name) == getattr(new, name) for name in names if name != "number")


def _register(house: House, chunk: list[tuple[int, NewMeter]], who: str, now: datetime) -> int:
    with house.writing() as connection:
        for _line, new in chunk:
            insert_meter(connection, new, now)
        first, last = chunk[0][0], chunk[-1][0]
        audit.record(
            connection,
            now,
            actor=who,
            action="meters.imported",
            subject=f"{len(chunk)} meters",
            detail=f"lines {first}-{last}",
        )
    return len(chunk)


def _require_key(house: House, new: NewMeter) -> None:
    _, _, _, key = checked_meter(new)
    house.security.require(key.sgc, key.krn)


def _records(text: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    rows = csv.reader(_without_mark(text), strict=True)
    try:
        headings = [heading.strip().lower() for heading in next(rows, [])]
        _require_headings(headings)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            cells = [cell.strip() for cell in row]
            yield rows.line_num, _record(headings, cells)
    except csv.Error as fault:
        raise MeterTableError(f"Line {rows.line_num} is no CSV: {fault}.") from None


def _record(headings: list[str], cells: list[str]) -> Mapping[str, str]:
    if len(cells) != len(headings):
        return {"": f"It has {len(cells)} fields, the headings are {len(headings)}."}
    return dict(zip(headings, cells, strict=True))


def _require_headings(headings: list[str]) -> None:
    unknown = [heading for heading in headings if heading not in COLUMNS]
    if unknown or "number" not in headings or len(set(headings)) != len(headings):
        raise MeterTableError(
            f"The first line must name the columns, among them number; there are: "
            f"{', '.join(COLUMNS)}."
            + (f" Not known: {', '.join(unknown)[:80]}." if unknown else "")
        )


def _new_meter(record: Mapping[str, str], currency: Currency) -> NewMeter:
    if "" in record:
        raise MeterTableError(record[""])
    values: dict[str, Any] = {}
    for column, cell in record.items():
        if not cell and column != "number":
            continue
        if column in _TEXTS:
            values[_TEXTS[column]] = cell
        elif column in _NUMBERS:
            if not (cell.isascii() and cell.isdigit()):
                raise MeterTableError(f"{column} must be a whole number, not {cell[:20]!r}.")
            values[_NUMBERS[column]] = int(cell[:20])
        else:
            values[_AMOUNTS[column]] = currency.parse(cell)
    return NewMeter(**values)


def _without_mark(text: Iterable[str]) -> Iterator[str]:
    """Spreadsheets begin their files with a byte order mark."""
    for place, line in enumerate(text):
        if len(line) > _LINE_MAX:
            raise MeterTableError(f"Line {place + 1} is longer than {_LINE_MAX} characters.")
        yield line.removeprefix(_BYTE_ORDER_MARK) if not place else line


def _chunks(records: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(records)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
