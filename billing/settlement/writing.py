"""Settlements into the database and into the ledger; what waits, what is to be reviewed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from billing.accounts.tables import supplies
from billing.faults import OfficeRefusedError
from billing.ledger import books
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import lock, post
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.settlement.due import Due
from billing.settlement.judging import Review
from billing.settlement.looking import source_of
from billing.settlement.marks import written_at
from billing.settlement.metering import Lacking
from billing.settlement.spans import Span, month_after
from billing.settlement.tables import settlement_reviews, settlement_waits, settlements
from storage.copying import copy_rows

_DAY: Final = timedelta(days=1)
_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class NewSettlement:
    """A row of `settlements`, and when it is to be paid."""

    supply_id: int
    seq: int
    account_id: int
    since: datetime
    until: datetime
    sign: int
    reverses_seq: int | None
    replaces_seq: int | None
    energy_wh: int
    amount_minor: int
    tax_minor: int
    lines: str
    readings: str
    carried: Decimal
    due_at: datetime | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NewWait:
    """A supply whose next span cannot be settled."""

    due: Due
    span: Span
    lacking: Lacking


def canonical(document: object) -> str:
    """JSON of one form: sorted keys, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_settlements(
    connection: Connection, office: Office, rows: Sequence[NewSettlement]
) -> None:
    """Insert settlements and post them, in the caller's write transaction.

    The accounts are locked first: whoever settles one of them meanwhile is waited for.

    Args:
        connection: in a write transaction.
        office: who settles, and when.
        rows: of each supply in the order of their numbers.

    Raises:
        InvariantError: when the transaction ends: a span was settled already.
        OfficeRefusedError: a supply was ended meanwhile, before the end of its span.
    """
    if not rows:
        return
    lock(connection, {row.account_id for row in rows})
    at, by = written_at(connection, office), office.person.name
    _require_supplied(connection, rows)
    values = [_values(row, at, by) for row in rows]
    if connection.dialect.name == "postgresql":
        copy_rows(connection, "settlements", list(values[0]), [[*row.values()] for row in values])
    else:
        connection.execute(insert(settlements), values)
    entries = entries_of(connection, rows, office.zone)
    if entries:
        post(connection, office, entries)


def _require_supplied(connection: Connection, rows: Sequence[NewSettlement]) -> None:
    """Refuse what was measured before a supply was ended: the rest is another customer's."""
    ends: dict[int, datetime] = {}
    for row in rows:
        if row.sign == 1 and row.replaces_seq is None:
            ends[row.supply_id] = max(row.until, ends.get(row.supply_id, row.until))
    ids = sorted(ends)
    for place in range(0, len(ids), _AT_ONCE):
        ended = connection.execute(
            select(supplies.c.supply_id, supplies.c.until).where(
                supplies.c.supply_id.in_(ids[place : place + _AT_ONCE]),
                supplies.c.until.is_not(None),
            )
        )
        for supply_id, until in ended:
            if ends[supply_id] > until:
                raise OfficeRefusedError(
                    f"Supply {supply_id} was ended at {until:%Y-%m-%d %H:%M} UTC while it was "
                    "settled; nothing was written. Settle again."
                )


def entries_of(connection: Connection, rows: Sequence[NewSettlement], zone: tzinfo) -> list[Entry]:
    """What settlements move: energy and fees against revenue, the tax against the tax account.

    Two entries, so that the books are right at every moment; one where there is no tax.
    """
    undone = _numbers(connection, [row for row in rows if row.reverses_seq is not None])
    names: dict[tuple[datetime, datetime], str] = {}
    entries = []
    for row in rows:
        key = (row.since, row.until)
        words = names.get(key)
        if words is None:
            words = names[key] = span_words(row.since, row.until, zone)
        net, tax = row.amount_minor - row.tax_minor, row.tax_minor
        for amount, counter, what in ((net, books.REVENUE, "Energy"), (tax, books.TAX, "Tax")):
            if not amount:
                continue
            again = "Corrected: " if row.replaces_seq is not None else ""
            back = "Taken back: " if row.reverses_seq is not None else again
            source = source_of(row.supply_id, row.seq)
            entries.append(
                Entry(
                    row.account_id,
                    EntryKind.ENERGY if row.sign == 1 else EntryKind.ENERGY_REVERSED,
                    -amount,
                    counter,
                    source,
                    f"{back}{what} {words}",
                    due_at=row.due_at if amount > 0 else None,
                    reverses_seq=undone.get((row.supply_id, row.reverses_seq, counter)),
                )
            )
    return entries


def span_words(since: datetime, until: datetime, zone: tzinfo) -> str:
    """A span as customers read it: a month, a day, an hour, or its ends."""
    first, end = since.astimezone(zone), until.astimezone(zone)
    midnights = first.hour == first.minute == end.hour == end.minute == 0
    if midnights and first.day == 1 and end.date() == month_after(first.date()):
        return f"{first:%Y-%m}"
    last = (end - _DAY).date()
    if midnights and first.date() == last:
        return f"{last}"
    if midnights:
        return f"{first.date()} to {last}"
    if first.date() == end.date():
        return f"{first:%Y-%m-%d %H:%M} to {end:%H:%M}"
    return f"{first:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"


def write_waits(
    connection: Connection, waits: Sequence[NewWait], settled: Sequence[int], at: datetime
) -> None:
    """Note what waits, and forget what waits no more.

    Args:
        connection: in a write transaction.
        waits: supplies that wait.
        settled: supplies that were seen waiting and do not any more.
        at: the time.
    """
    lock_waits(connection, {*settled, *(each.due.supply_id for each in waits)})
    for place in range(0, len(settled), _AT_ONCE):
        connection.execute(
            delete(settlement_waits).where(
                settlement_waits.c.supply_id.in_(settled[place : place + _AT_ONCE])
            )
        )
    if not waits:
        return
    make: Any = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    into = make(settlement_waits)
    same = (settlement_waits.c.since == into.excluded.since) & (
        settlement_waits.c.why == into.excluded.why
    )
    into = into.on_conflict_do_update(
        index_elements=["supply_id"],
        set_={
            "since": into.excluded.since,
            "until": into.excluded.until,
            "why": into.excluded.why,
            "words": into.excluded.words,
            "seen_at": into.excluded.seen_at,
            "first_at": case((same, settlement_waits.c.first_at), else_=into.excluded.first_at),
        },
    )
    connection.execute(
        into,
        [
            {
                "supply_id": each.due.supply_id,
                "account_id": each.due.account_id,
                "since": each.span.since,
                "until": each.span.until,
                "why": each.lacking.why,
                "words": each.lacking.words,
                "first_at": at,
                "seen_at": at,
            }
            for each in sorted(waits, key=lambda each: each.due.supply_id)
        ],
    )


def lock_waits(connection: Connection, supply_ids: Iterable[int]) -> None:
    """Take the rows in the order of their supplies: two who note the same never wait in a ring."""
    which = sorted(supply_ids)
    for place in range(0, len(which), _AT_ONCE):
        connection.execute(
            select(settlement_waits.c.supply_id)
            .where(settlement_waits.c.supply_id.in_(which[place : place + _AT_ONCE]))
            .order_by(settlement_waits.c.supply_id)
            .with_for_update()
        )


def write_reviews(connection: Connection, reviews: Sequence[Review], at: datetime) -> None:
    """Put flags on the review list."""
    if not reviews:
        return
    connection.execute(
        insert(settlement_reviews),
        [
            {
                "supply_id": each.due.supply_id,
                "account_id": each.due.account_id,
                "since": each.span.since,
                "until": each.span.until,
                "check_name": each.flag.check,
                "cause": each.flag.cause or each.flag.check,
                "reason": each.flag.reason,
                "figures": canonical(dict(each.flag.figures)),
                "holds": int(each.holds),
                "state": "open",
                "found_at": at,
            }
            for each in reviews
        ],
    )


def pass_reviews(
    connection: Connection, supply_ids: Sequence[int], span: Span, office: Office
) -> None:
    """Close what held a span that could be settled after all: its readings are in order now."""
    for place in range(0, len(supply_ids), _AT_ONCE):
        connection.execute(
            update(settlement_reviews)
            .where(
                settlement_reviews.c.supply_id.in_(supply_ids[place : place + _AT_ONCE]),
                settlement_reviews.c.since == span.since,
                settlement_reviews.c.state == "open",
                settlement_reviews.c.holds == 1,
            )
            .values(
                state="passed",
                decided_at=office.now(),
                decided_by=office.person.name or "meterhouse",
                words="Looked at again, there was nothing to object to any more.",
            )
        )


def _numbers(
    connection: Connection, rows: Sequence[NewSettlement]
) -> Mapping[tuple[int, int | None, str], int]:
    """(supply, number of the settlement, counter account) → number of the entry it was posted as.

    Only reversals look for it.
    """
    sources = {
        source_of(row.supply_id, row.reverses_seq): (row.supply_id, row.reverses_seq)
        for row in rows
        if row.reverses_seq is not None
    }
    found: dict[tuple[int, int | None, str], int] = {}
    accounts = sorted({row.account_id for row in rows})
    for account_id in accounts:
        mine = sorted(
            source_of(row.supply_id, row.reverses_seq)
            for row in rows
            if row.account_id == account_id and row.reverses_seq is not None
        )
        given = connection.execute(
            select(account_entries.c.source, account_entries.c.counter, account_entries.c.seq)
            .where(
                account_entries.c.account_id == account_id,
                account_entries.c.purse == "current",
                account_entries.c.source.in_(mine),
            )
            .order_by(account_entries.c.seq)
        )
        for source, counter, seq in given:
            found[(*sources[source], counter)] = seq
    return found


def _values(row: NewSettlement, at: datetime, by: str) -> dict[str, object]:
    return {
        "supply_id": row.supply_id,
        "seq": row.seq,
        "account_id": row.account_id,
        "since": row.since,
        "until": row.until,
        "sign": row.sign,
        "reverses_seq": row.reverses_seq,
        "replaces_seq": row.replaces_seq,
        "energy_wh": row.energy_wh,
        "amount_minor": row.amount_minor,
        "tax_minor": row.tax_minor,
        "lines": row.lines,
        "readings": row.readings,
        "carried": str(row.carried),
        "settled_at": at,
        "settled_by": by,
        "reason": row.reason,
    }
