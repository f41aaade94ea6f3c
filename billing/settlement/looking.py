"""Look at settlements: what bills, the prepaid loop and figures ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, select

from billing.accounts.tables import supplies
from billing.settlement.faults import NoSuchSettlementError
from billing.settlement.tables import settlement_waits, settlements
from billing.tariffs.values import ChargeLine, LineKind

_AT_ONCE: Final = 500
SOURCE: Final = "settlement"
"""First word of `Entry.source` of what settlements post: ``settlement 12.3``."""


@dataclass(frozen=True, slots=True)
class SettledPart:
    """What was priced by one version of a tariff."""

    tariff: str
    version: int
    since: datetime
    until: datetime
    split: str
    """How the part's energy was found: ``whole`` (the span has one part), ``registers`` (read when
    the price changed) or ``days`` (in proportion to time)."""
    energy_wh: Mapping[str, int]
    lines: tuple[ChargeLine, ...]


@dataclass(frozen=True)
class Settlement:
    """A settlement as it stands; a reversal has energies and amounts below zero."""

    supply_id: int
    seq: int
    account_id: int
    since: datetime
    until: datetime
    sign: int
    """1; -1: takes `reverses_seq` back."""
    reverses_seq: int | None
    replaces_seq: int | None
    energy_wh: int
    amount_minor: int
    """What it costs, tax with it; what was posted to the account is its opposite."""
    tax_minor: int
    settled_at: datetime
    settled_by: str
    reason: str | None
    carried: Decimal
    lines_json: str = field(repr=False)
    readings_json: str = field(repr=False)

    @property
    def source(self) -> str:
        """As the ledger's entries name it."""
        return source_of(self.supply_id, self.seq)

    @cached_property
    def parts(self) -> tuple[SettledPart, ...]:
        """What was priced together, in order of time; of a reversal: what it takes back."""
        return tuple(_part(each) for each in json.loads(self.lines_json)["parts"])

    @property
    def lines(self) -> tuple[ChargeLine, ...]:
        """All lines of all parts; of a reversal: of what it takes back, not negated."""
        return tuple(line for part in self.parts for line in part.lines)

    @cached_property
    def readings(self) -> Mapping[str, Any]:
        """What it rests on: ``meters``, each with its registers at both ends."""
        found: Mapping[str, Any] = json.loads(self.readings_json)
        return found

    @property
    def is_estimated(self) -> bool:
        """Whether a register or the energy was estimated."""
        return bool(self.readings.get("estimated"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A supply whose next span cannot be settled yet."""

    supply_id: int
    account_id: int
    since: datetime
    until: datetime
    why: str
    """A code: ``no_reading``, ``not_judged``, ``held``, ``review``, ``no_tariff``, ..."""
    words: str
    first_at: datetime
    seen_at: datetime


def source_of(supply_id: int, seq: int) -> str:
    """How the ledger's entries name a settlement."""
    return f"{SOURCE} {supply_id}.{seq}"


def settlements_of(
    connection: Connection, account_id: int, since: datetime, until: datetime
) -> list[Settlement]:
    """Settlements whose spans end in a time: after ``since``, not after ``until``.

    Reversals and what replaces them have the span of what they correct, whenever they were made:
    for what was posted in a time ask `settled_between`.  In order of supply and number.
    """
    return _found(
        connection,
        settlements.c.account_id == account_id,
        settlements.c.until > since,
        settlements.c.until <= until,
    )


def settled_between(
    connection: Connection, account_id: int, since: datetime, until: datetime
) -> list[Settlement]:
    """Settlements that were made (and posted) in a time, whatever their spans."""
    return _found(
        connection,
        settlements.c.account_id == account_id,
        settlements.c.settled_at >= since,
        settlements.c.settled_at < until,
    )


def settlements_named(
    connection: Connection, keys: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Settlement]:
    """Settlements by (supply, number); those that are not there are left out."""
    found: dict[tuple[int, int], Settlement] = {}
    wanted = sorted(set(keys))
    for place in range(0, len(wanted), _AT_ONCE):
        part = wanted[place : place + _AT_ONCE]
        for each in _found(
            connection,
            settlements.c.supply_id.in_({supply for supply, _ in part}),
            settlements.c.seq.in_({seq for _, seq in part}),
        ):
            found[each.supply_id, each.seq] = each
    return {key: found[key] for key in wanted if key in found}


def key_of_source(source: str) -> tuple[int, int] | None:
    """(supply, number) of an entry's source; None: it comes from something else."""
    word, _, number = source.partition(" ")
    supply, dot, seq = number.partition(".")
    if word != SOURCE or not dot:
        return None
    return int(supply), int(seq)


def settlement(connection: Connection, supply_id: int, seq: int) -> Settlement:
    """One settlement.

    Raises:
        NoSuchSettlementError: there is none of this number.
    """
    found = _found(connection, settlements.c.supply_id == supply_id, settlements.c.seq == seq)
    if not found:
        raise NoSuchSettlementError(f"Supply {supply_id} has no settlement {seq}.")
    return found[0]


def effective(
    connection: Connection, supply_id: int, since: datetime, until: datetime
) -> list[Settlement]:
    """What holds of a supply: settlements that nobody took back, in order of time.

    Args:
        connection: in any transaction.
        supply_id: whose.
        since: they end after it.
        until: they begin before it.
    """
    found = _found(
        connection,
        settlements.c.supply_id == supply_id,
        settlements.c.until > since,
        settlements.c.since < until,
        settlements.c.sign == 1,
        ~_is_reversed(),
    )
    return sorted(found, key=lambda each: each.since)


def settled_until(connection: Connection, supply_ids: Sequence[int]) -> dict[int, datetime]:
    """Until when supplies are settled; those of which nothing was settled are left out."""
    found: dict[int, datetime] = {}
    for place in range(0, len(supply_ids), _AT_ONCE):
        rows = connection.execute(
            select(supplies.c.supply_id, chain_end()).where(
                supplies.c.supply_id.in_(supply_ids[place : place + _AT_ONCE])
            )
        )
        found.update({row[0]: row[1] for row in rows if row[1] is not None})
    return found


def chain_end() -> ColumnElement[datetime]:
    """Until when each of `supplies` is settled; NULL: nothing is.

    Looked up from the end of its chain: the last settlement that corrects none is the last span.
    """
    last = settlements.alias("last_span")
    return (
        select(last.c.until)
        .where(
            last.c.supply_id == supplies.c.supply_id,
            last.c.reverses_seq.is_(None),
            last.c.replaces_seq.is_(None),
        )
        .order_by(last.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )


def waiting_of(connection: Connection, account_id: int) -> list[Waiting]:
    """Supplies of an account that are not settled as far as they should be, and why."""
    rows = connection.execute(
        select(settlement_waits)
        .where(settlement_waits.c.account_id == account_id)
        .order_by(settlement_waits.c.supply_id)
    )
    return [Waiting(**row._mapping) for row in rows]


def _is_reversed() -> Any:
    undone = settlements.alias("undone")
    return exists().where(
        and_(
            undone.c.supply_id == settlements.c.supply_id,
            undone.c.reverses_seq == settlements.c.seq,
        )
    )


def _found(connection: Connection, *conditions: Any) -> list[Settlement]:
    rows = connection.execute(
        select(settlements).where(*conditions).order_by(settlements.c.supply_id, settlements.c.seq)
    )
    return [settlement_of(row) for row in rows]


def settlement_of(row: Any) -> Settlement:
    """From its row."""
    return Settlement(
        supply_id=row.supply_id,
        seq=row.seq,
        account_id=row.account_id,
        since=row.since,
        until=row.until,
        sign=row.sign,
        reverses_seq=row.reverses_seq,
        replaces_seq=row.replaces_seq,
        energy_wh=row.energy_wh,
        amount_minor=row.amount_minor,
        tax_minor=row.tax_minor,
        settled_at=row.settled_at,
        settled_by=row.settled_by,
        reason=row.reason,
        carried=Decimal(row.carried),
        lines_json=row.lines,
        readings_json=row.readings,
    )


def _part(given: Mapping[str, Any]) -> SettledPart:
    return SettledPart(
        tariff=given["tariff"],
        version=given["version"],
        since=datetime.fromisoformat(given["since"]),
        until=datetime.fromisoformat(given["until"]),
        split=given["split"],
        energy_wh=given["energy_wh"],
        lines=tuple(_line(each) for each in given["lines"]),
    )


def _line(given: Mapping[str, Any]) -> ChargeLine:
    quantity, rate = given.get("quantity"), given.get("rate")
    return ChargeLine(
        kind=LineKind(given["kind"]),
        code=given["code"],
        words=given["words"],
        amount=Decimal(given["amount"]),
        quantity=None if quantity is None else Decimal(quantity),
        unit=given.get("unit", ""),
        rate=None if rate is None else Decimal(rate),
    )
