"""Bring many accounts in from another system: every bad line is told of, and nothing is half done.

CSV with a line of headings (`COLUMNS`).  Each line is one service point of one account; lines with
the same ``old_number`` are one account.  What is there already with the same values is counted and
left alone, so that the same file may be imported again.  Balances come in against
`books.BROUGHT_IN`.  No message repeats what is personal.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, select

from billing.accounts.checks import (
    checked_contact,
    checked_language,
    checked_terms,
    plain_identity,
    require_one_of,
    require_text,
)
from billing.accounts.looking import in_force, opened
from billing.accounts.rows import (
    find_point,
    insert_account,
    insert_agreement,
    insert_contact,
    insert_customer,
    insert_supply,
    record,
    require_tariff,
)
from billing.accounts.tables import customer_accounts, customers, supplies
from billing.accounts.values import (
    CUSTOMER_CLASSES,
    CUSTOMER_KINDS,
    MODES,
    ContactDetails,
    Terms,
)
from billing.faults import BadEntryError, BillingError
from billing.ledger.books import BROUGHT_IN
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import post
from billing.office import Office
from billing.payments.channels import find_channel
from headend.registry.tables import end_devices, installations, service_points
from storage.engine import attempt
from vending.errors import VendingError

_TERMS: Final = (
    "cycle",
    "bill_day",
    "due_days",
    "payment_channel",
    "notice_channel",
    "refund_channel",
)
_AMOUNTS: Final = ("warn", "floor", "deposit")
COLUMNS: Final = (
    "old_number",
    "name",
    "kind",
    "identity",
    "language",
    "class",
    "mode",
    *_TERMS,
    *_AMOUNTS,
    "point",
    "meter",
    "tariff",
    "since",
    "address",
    "email",
    "phone",
    "wechat",
    "post",
    "balance",
    "deposit_held",
)
"""All headings; ``old_number`` and ``name`` must be there.  An empty field is the default."""
_NEEDED: Final = ("old_number", "name")
_LINE_MAX: Final = 10_000
_BYTE_ORDER_MARK: Final = "\ufeff"
_TELL_EVERY: Final = 100


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be imported."""

    line: int
    """In the file, from 1; the headings are line 1."""
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended."""

    lines: int
    """With an account on them."""
    accounts: int
    """That are new."""
    supplies: int
    """That are new."""
    there: int
    """Lines that were there before, with the same values."""
    bad: tuple[BadLine, ...]


def import_accounts(
    connection: Connection,
    office: Office,
    text: Iterable[str],
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Open the accounts of a table in the caller's transaction; bad lines leave no trace.

    Args:
        connection: a write transaction; undo it when there are bad lines that must not be.
        office: who imports.
        text: the lines of a CSV file, decoded.
        progress: called with the number of lines that were tried, now and then.

    Raises:
        BadEntryError: no table, or unknown headings.
    """
    lines = accounts = points = there = 0
    bad: list[BadLine] = []
    for line, cells in _records(text):
        lines += 1
        try:
            with attempt(connection):
                new_account, new_point = _take(connection, office, cells)
        except (BillingError, VendingError) as fault:
            bad.append(BadLine(line, fault.code, str(fault)))
        else:
            accounts += new_account
            points += new_point
            there += not (new_account or new_point)
        if progress is not None and not lines % _TELL_EVERY:
            progress(lines)
    detail = f"{accounts} accounts, {points} service points"
    record(connection, office, "account.import", "accounts", detail=detail)
    return Imported(lines, accounts, points, there, tuple(bad))


def _take(connection: Connection, office: Office, cells: Mapping[str, str]) -> tuple[bool, bool]:
    """One line; whether its account was new, and its service point."""
    if "" in cells:
        raise BadEntryError(cells[""])
    name = require_text("The name", cells.get("name", ""))
    old_number = require_text("old_number", cells.get("old_number", ""))
    point_id = _point(connection, cells)
    since = _since(office, cells)
    known = connection.execute(
        select(customer_accounts.c.account_id, customers.c.name_sealed)
        .join(customers, customers.c.customer_id == customer_accounts.c.customer_id)
        .where(customer_accounts.c.old_number == old_number)
    ).one_or_none()
    if known is not None:
        if opened(office, "customer.name", known.name_sealed) != name:
            raise BadEntryError(f"Account {old_number} is there with another name.")
        if point_id is None or _is_on(connection, known.account_id, point_id, office):
            return False, False
        if cells.get("balance") or cells.get("deposit_held"):
            raise BadEntryError(
                f"Account {old_number} was on a line before: balances stand on its first line."
            )
        _supply(connection, office, known.account_id, point_id, cells, since)
        return False, True
    account_id = _account(connection, office, name, old_number, cells, since)
    if point_id is not None:
        _supply(connection, office, account_id, point_id, cells, since)
    return True, point_id is not None


def _account(
    connection: Connection,
    office: Office,
    name: str,
    old_number: str,
    cells: Mapping[str, str],
    since: datetime,
) -> int:
    mode = require_one_of("mode", cells.get("mode") or "postpaid", MODES)
    terms = _terms(connection, office, cells)
    contact = checked_contact(
        ContactDetails(
            name,
            email=cells.get("email") or None,
            phone=cells.get("phone") or None,
            wechat=cells.get("wechat") or None,
            post=cells.get("post") or None,
        )
    )
    account_id, _number = insert_account(
        connection,
        office,
        _customer(connection, office, name, cells),
        customer_class=require_one_of(
            "class", cells.get("class") or "residential", CUSTOMER_CLASSES
        ),
        mode=mode,
        state="active",
        old_number=old_number,
    )
    insert_agreement(
        connection, office, account_id, terms, mode=mode, since=min(since, office.now())
    )
    insert_contact(connection, office, account_id, contact)
    _brought_in(connection, office, account_id, cells)
    return account_id


def _customer(connection: Connection, office: Office, name: str, cells: Mapping[str, str]) -> int:
    """The one with this identity, or a new one."""
    identity = plain_identity(cells["identity"]) if cells.get("identity") else None
    if identity is not None:
        digests = office.seal.digests("customer.identity", identity)
        known = connection.scalar(
            select(customers.c.customer_id).where(
                customers.c.identity_digest.in_(digests), customers.c.checked_at.is_not(None)
            )
        )
        if known is not None:
            return int(known)
    return insert_customer(
        connection,
        office,
        name=name,
        identity=identity,
        kind=require_one_of("kind", cells.get("kind") or "person", CUSTOMER_KINDS),
        language=checked_language(cells.get("language") or None),
        checked=True,
    )


def _terms(connection: Connection, office: Office, cells: Mapping[str, str]) -> Terms:
    values: dict[str, object] = {each: cells[each] for each in _TERMS if cells.get(each)}
    for each in ("bill_day", "due_days"):
        if each in values:
            values[each] = _whole(each, str(values[each]))
    for each in _AMOUNTS:
        if cells.get(each):
            values[f"{each}_minor"] = _amount(office, cells[each])
    terms = checked_terms(Terms(**values))  # type: ignore[arg-type]
    for channel in (terms.payment_channel, terms.refund_channel):
        find_channel(connection, channel)
    return terms


def _brought_in(
    connection: Connection, office: Office, account_id: int, cells: Mapping[str, str]
) -> None:
    held = (("balance", Purse.CURRENT), ("deposit_held", Purse.DEPOSIT))
    entries = [
        Entry(
            account_id,
            EntryKind.ADJUSTMENT,
            amount,
            BROUGHT_IN,
            "import",
            "Brought in from the system before",
            purse,
        )
        for column, purse in held
        if (amount := _amount(office, cells.get(column) or "0"))
    ]
    if any(each.purse is Purse.DEPOSIT and each.amount_minor < 0 for each in entries):
        raise BadEntryError("deposit_held is not below zero.")
    if entries:
        post(connection, office, entries)


def _supply(
    connection: Connection,
    office: Office,
    account_id: int,
    point_id: int,
    cells: Mapping[str, str],
    since: datetime,
) -> None:
    if not cells.get("tariff"):
        raise BadEntryError("By which tariff is the service point priced? Give its code.")
    address = cells.get("address")
    insert_supply(
        connection,
        office,
        account_id,
        point_id,
        tariff=require_tariff(connection, cells["tariff"]),
        since=since,
        address=require_text("The address", address) if address else None,
    )


def _point(connection: Connection, cells: Mapping[str, str]) -> int | None:
    """The service point that is named, or the one where the meter that is named hangs."""
    if cells.get("point"):
        return find_point(connection, cells["point"])
    if not cells.get("meter"):
        return None
    point_id = connection.scalar(
        select(service_points.c.point_id)
        .join(installations, installations.c.point_id == service_points.c.point_id)
        .join(end_devices, end_devices.c.device_id == installations.c.device_id)
        .where(end_devices.c.number == cells["meter"], installations.c.until.is_(None))
    )
    if point_id is None:
        raise BadEntryError(f"There is no meter {cells['meter'][:40]!r} at any service point.")
    return int(point_id)


def _is_on(connection: Connection, account_id: int, point_id: int, office: Office) -> bool:
    found = connection.scalar(
        select(supplies.c.supply_id).where(
            supplies.c.account_id == account_id,
            supplies.c.point_id == point_id,
            in_force(supplies, office.now(), by_now=True),
        )
    )
    return found is not None


def _since(office: Office, cells: Mapping[str, str]) -> datetime:
    if not cells.get("since"):
        return office.now()
    try:
        return office.day_start(date.fromisoformat(cells["since"]))
    except ValueError:
        raise BadEntryError("since is a day such as 2026-11-22.") from None


def _whole(column: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise BadEntryError(f"{column} must be a whole number, not {text[:20]!r}.")
    return int(text)


def _amount(office: Office, text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    return sign * office.currency.parse(text.removeprefix("-"))


def _records(text: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    rows = csv.reader(_without_mark(text), strict=True)
    try:
        headings = [heading.strip().lower() for heading in next(rows, [])]
        _require_headings(headings)
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != len(headings):
                said = f"It has {len(cells)} fields, the headings are {len(headings)}."
                yield rows.line_num, {"": said}
            else:
                yield rows.line_num, dict(zip(headings, cells, strict=True))
    except csv.Error as fault:
        raise BadEntryError(f"Line {rows.line_num} is no CSV: {fault}.") from None


def _require_headings(headings: list[str]) -> None:
    unknown = [heading for heading in headings if heading not in COLUMNS]
    missing = [heading for heading in _NEEDED if heading not in headings]
    if unknown or missing or len(set(headings)) != len(headings):
        raise BadEntryError(
            f"The first line must name the columns, among them {' and '.join(_NEEDED)}; there "
            f"are: {', '.join(COLUMNS)}."
            + (f" Not known: {', '.join(unknown)[:80]}." if unknown else "")
        )


def _without_mark(text: Iterable[str]) -> Iterator[str]:
    """Spreadsheets begin their files with a byte order mark."""
    for place, line in enumerate(text):
        if len(line) > _LINE_MAX:
            raise BadEntryError(f"Line {place + 1} is longer than {_LINE_MAX} characters.")
        yield line if place else line.removeprefix(_BYTE_ORDER_MARK)
