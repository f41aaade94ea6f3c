"""Bookings and reviews as rows: storing a file once, finding what waits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select

from storage.ledger import Transfer
from vending.cash import accounts
from vending.cash.accounts import moved
from vending.cash.bank.line import BadLine, Line
from vending.cash.bank.matching import Proposal, propose
from vending.cash.bank.tables import bank_entries, bank_imports, bank_proposals, bank_reviews
from vending.cash.faults import UnknownBankEntryError
from vending.shop.values import require_whole

CLIENT: Final = "bank"
"""Whose message ids the requests of bulk vends are."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a file."""

    import_id: int
    file_name: str
    again: bool
    """The same file was imported before; nothing was added now."""
    read: int
    added: int
    """Bookings that were not there yet."""
    known: int
    """Bookings that an earlier file had brought."""
    bad: tuple[BadLine, ...]
    """What could not be taken, and why."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a person decided about a booking, and what came of it."""

    entry_id: int
    attempt: int
    kind: str
    slip_id: int | None
    vendor_id: int | None
    meter: str | None
    message_id: str | None
    note: str
    reviewed_by: str
    reviewed_at: datetime
    state: str
    settled_at: datetime | None
    receipt_no: int | None
    transaction_id: int | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored booking, what it may be for, and what was decided last."""

    entry_id: int
    account: str
    booked_on: date
    amount_minor: int
    reference: str
    counterparty: str
    counterparty_account: str
    remittance: str
    proposals: tuple[Proposal, ...]
    review: Review | None


_ENTRY: Final[Select[Any]] = select(
    bank_entries.c.entry_id,
    bank_entries.c.account,
    bank_entries.c.booked_on,
    bank_entries.c.amount_minor,
    bank_entries.c.reference,
    bank_entries.c.counterparty,
    bank_entries.c.counterparty_account,
    bank_entries.c.remittance,
)


def earlier_import(connection: Connection, sha256: str) -> Imported | None:
    """The import of the same file; None when it is new."""
    row = connection.execute(
        select(bank_imports).where(bank_imports.c.sha256 == sha256)
    ).one_or_none()
    if row is None:
        return None
    return Imported(
        row.import_id, row.file_name, True, row.read_lines, 0, row.read_lines - row.bad_lines, ()
    )


def store_import(
    connection: Connection,
    lines: Iterable[Line | BadLine],
    *,
    sha256: str,
    file_name: str,
    kind: str,
    currency: str,
    now: datetime,
    operator: str,
) -> Imported:
    """Store the bookings that are new, with what they may be for, and post them."""
    fresh: list[Line] = []
    bad: list[BadLine] = []
    known = 0
    in_file: set[tuple[str, str]] = set()
    for line in lines:
        if isinstance(line, BadLine):
            bad.append(line)
            continue
        there = _content_of(connection, line)
        if (line.account, line.key) in in_file or there is not None:
            known += 1
            if there not in (None, line.content_sha256):
                bad.append(
                    BadLine(
                        f"booking {line.reference}",
                        "The bank's reference is known, but with other contents: ask the bank.",
                    )
                )
                known -= 1
            continue
        in_file.add((line.account, line.key))
        fresh.append(line)
    moves = [_move(line) for line in fresh]
    transaction_id = (
        accounts.post(connection, "bank.statement", now, currency, moves) if moves else None
    )
    import_id: int = connection.execute(
        insert(bank_imports).returning(bank_imports.c.import_id),
        {
            "sha256": sha256,
            "file_name": file_name,
            "format": kind,
            "imported_at": now,
            "operator": operator,
            "read_lines": len(fresh) + known + len(bad),
            "bad_lines": len(bad),
            "transaction_id": transaction_id,
        },
    ).scalar_one()
    for line in fresh:
        _store_line(connection, import_id, line)
    return Imported(
        import_id,
        file_name,
        again=False,
        read=len(fresh) + known + len(bad),
        added=len(fresh),
        known=known,
        bad=tuple(bad),
    )


def find_entry(connection: Connection, entry_id: int) -> Entry:
    """A booking by its number.

    Raises:
        UnknownBankEntryError: no such booking.
    """
    require_whole("A booking's number", entry_id)
    row = connection.execute(_ENTRY.where(bank_entries.c.entry_id == entry_id)).one_or_none()
    if row is None:
        raise UnknownBankEntryError(f"There is no booking {entry_id}; `meterhouse bank list`.")
    return _entry(connection, row)


def list_entries(
    connection: Connection, *, state: str | None, after: int, limit: int
) -> list[Entry]:
    """Bookings by number, beginning behind one.

    ``state``: of the last review; ``new``: of those that came in and were never reviewed (or
    whose review was withdrawn); None: all.
    """
    wanted = _ENTRY.where(bank_entries.c.entry_id > after).order_by(bank_entries.c.entry_id)
    if state is not None:
        last = (
            select(bank_reviews.c.state)
            .where(bank_reviews.c.entry_id == bank_entries.c.entry_id)
            .order_by(bank_reviews.c.attempt.desc())
            .limit(1)
            .scalar_subquery()
        )
        of_state = func.coalesce(last, "withdrawn") == ("withdrawn" if state == "new" else state)
        wanted = wanted.where(of_state)
        if state == "new":
            wanted = wanted.where(bank_entries.c.amount_minor > 0)
    return [_entry(connection, row) for row in connection.execute(wanted.limit(limit)).all()]


def last_review(connection: Connection, entry_id: int, *, lock: bool = False) -> Review | None:
    """What was decided last about a booking."""
    wanted = (
        select(bank_reviews)
        .where(bank_reviews.c.entry_id == entry_id)
        .order_by(bank_reviews.c.attempt.desc())
        .limit(1)
    )
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    return None if row is None else Review(**row._mapping)


def waiting_reviews(
    connection: Connection, kinds: Iterable[str], after: int, limit: int
) -> list[tuple[Review, int]]:
    """Reviews whose act is still to be done, with the bookings' amounts, by booking."""
    rows = connection.execute(
        select(bank_reviews, bank_entries.c.amount_minor)
        .join(bank_entries, bank_entries.c.entry_id == bank_reviews.c.entry_id)
        .where(
            bank_reviews.c.state == "waiting",
            bank_reviews.c.kind.in_(list(kinds)),
            bank_reviews.c.entry_id > after,
        )
        .order_by(bank_reviews.c.entry_id)
        .limit(limit)
    )
    found = []
    for row in rows:
        values = dict(row._mapping)
        amount = values.pop("amount_minor")
        found.append((Review(**values), amount))
    return found


def _content_of(connection: Connection, line: Line) -> str | None:
    content: str | None = connection.scalar(
        select(bank_entries.c.content_sha256).where(
            bank_entries.c.account == line.account, bank_entries.c.entry_key == line.key
        )
    )
    return content


def _move(line: Line) -> Transfer:
    return moved(accounts.BANK, accounts.UNALLOCATED, line.amount_minor, "bank statement")


def _store_line(connection: Connection, import_id: int, line: Line) -> None:
    entry_id = connection.execute(
        insert(bank_entries).returning(bank_entries.c.entry_id),
        {
            "import_id": import_id,
            "account": line.account,
            "entry_key": line.key,
            "content_sha256": line.content_sha256,
            "booked_on": line.booked_on.isoformat(),
            "amount_minor": line.amount_minor,
            "reference": line.reference,
            "counterparty": line.counterparty,
            "counterparty_account": line.counterparty_account,
            "remittance": line.text,
        },
    ).scalar_one()
    proposals = propose(connection, line)
    if proposals:
        connection.execute(
            insert(bank_proposals),
            [
                {
                    "entry_id": entry_id,
                    "position": position,
                    "kind": each.kind,
                    "slip_id": each.slip_id,
                    "vendor_id": each.vendor_id,
                    "meter": each.meter,
                    "score": each.score,
                    "reason": each.reason,
                }
                for position, each in enumerate(proposals, 1)
            ],
        )


def _entry(connection: Connection, row: Row[Any]) -> Entry:
    proposals = connection.execute(
        select(
            *(
                bank_proposals.c[name]
                for name in ("kind", "score", "reason", "slip_id", "vendor_id", "meter")
            )
        )
        .where(bank_proposals.c.entry_id == row.entry_id)
        .order_by(bank_proposals.c.position)
    )
    return Entry(
        **{**row._mapping, "booked_on": date.fromisoformat(row.booked_on)},
        proposals=tuple(Proposal(**each._mapping) for each in proposals),
        review=last_review(connection, row.entry_id),
    )
