"""Supplies that may be due, with all that settling them needs: one query for each kind of fact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select

from billing.accounts.tables import agreements, customer_accounts, supplies, supply_tariffs
from billing.settlement.looking import chain_end
from billing.settlement.spans import Cycle, Terms
from billing.settlement.state import State, state_of
from billing.settlement.tables import settlement_waits, settlements, supply_capacities
from headend.registry.tables import end_devices, installations
from headend.watching.days import Stay


@dataclass(slots=True)
class Due:
    """A supply, and how far it is settled."""

    supply_id: int
    account_id: int
    point_id: int
    since: datetime
    until: datetime | None
    customer_class: str
    terms: tuple[Terms, ...]
    tariffs: tuple[tuple[datetime, str], ...]
    """Since when which code, in order."""
    capacities: tuple[tuple[datetime, int], ...]
    """Since when what is contracted, in order."""
    stays: tuple[Stay, ...]
    """Meters at its point that may matter, in order."""
    state: State | None
    """None: nothing was settled yet."""
    waits: bool
    """Whether it was seen waiting."""

    @property
    def begin(self) -> datetime:
        """Where the next span begins."""
        return self.since if self.state is None else self.state.until


def of_accounts(first: int, last: int) -> Any:
    """All supplies of the accounts from one id to another."""
    return supplies.c.account_id.between(first, last)


def of_supplies(supply_ids: Sequence[int]) -> Any:
    """Some supplies; 1,000 at most."""
    return supplies.c.supply_id.in_(supply_ids)


def load(
    connection: Connection,
    which: Any,
    until: datetime,
    *,
    cycle: Cycle | None = None,
    closed_too: bool = False,
    settled_too: bool = False,
) -> list[Due]:
    """Supplies that have something to settle, in order of their accounts.

    Args:
        connection: in any transaction.
        which: `of_accounts` or `of_supplies`.
        until: what begins after it does not matter.
        cycle: only of accounts whose last agreement has it.
        closed_too: also of accounts that are closed.
        settled_too: also what is settled to its end; with all of its meters.
    """
    rows = _supplies(connection, which, until, closed_too=closed_too)
    if not rows:
        return []
    terms = _terms(connection, rows)
    if cycle is not None:
        rows = [row for row in rows if _cycle_of(terms.get(row.account_id), until) is cycle]
    states = _states(connection, which)
    if not settled_too:
        rows = [row for row in rows if _has_more(row, states.get(row.supply_id), until)]
    if not rows:
        return []
    oldest = min(
        row.since if settled_too or (state := states.get(row.supply_id)) is None else state.until
        for row in rows
    )
    stays = _stays(connection, which, oldest, until)
    tariffs = _pairs(connection, which, supply_tariffs, supply_tariffs.c.tariff)
    capacities = _pairs(connection, which, supply_capacities, supply_capacities.c.capacity)
    waits = set(
        connection.scalars(
            select(settlement_waits.c.supply_id)
            .join(supplies, supplies.c.supply_id == settlement_waits.c.supply_id)
            .where(which)
        )
    )
    return [
        Due(
            row.supply_id,
            row.account_id,
            row.point_id,
            row.since,
            row.until,
            row.customer_class,
            terms.get(row.account_id, ()),
            tuple(tariffs.get(row.supply_id, ())),
            tuple(capacities.get(row.supply_id, ())),
            tuple(stays.get(row.supply_id, ())),
            states.get(row.supply_id),
            row.supply_id in waits,
        )
        for row in rows
    ]


def _supplies(
    connection: Connection, which: Any, until: datetime, *, closed_too: bool
) -> Sequence[Any]:
    chosen = (
        select(
            supplies.c.supply_id,
            supplies.c.account_id,
            supplies.c.point_id,
            supplies.c.since,
            supplies.c.until,
            customer_accounts.c.customer_class,
        )
        .join(customer_accounts, customer_accounts.c.account_id == supplies.c.account_id)
        .where(which, supplies.c.since < until)
        .order_by(supplies.c.account_id, supplies.c.supply_id)
    )
    if not closed_too:
        chosen = chosen.where(customer_accounts.c.state.in_(("active", "closing")))
    return connection.execute(chosen).all()


def _terms(connection: Connection, rows: Sequence[Any]) -> dict[int, tuple[Terms, ...]]:
    ids = sorted({row.account_id for row in rows})
    found: dict[int, list[Terms]] = {}
    known: dict[Any, Terms] = {}
    for part in _parts(ids):
        given = connection.execute(
            select(
                agreements.c.account_id,
                agreements.c.since,
                agreements.c.mode,
                agreements.c.cycle,
                agreements.c.bill_day,
                agreements.c.due_days,
            )
            .where(agreements.c.account_id.in_(part))
            .order_by(agreements.c.account_id, agreements.c.version)
        )
        for account_id, *values in given:
            key = tuple(values)
            if key not in known:
                since, mode, cycle, bill_day, due_days = values
                known[key] = Terms(since, mode, Cycle(cycle), bill_day, due_days)
            found.setdefault(account_id, []).append(known[key])
    return {account_id: tuple(each) for account_id, each in found.items()}


def _cycle_of(terms: tuple[Terms, ...] | None, until: datetime) -> Cycle | None:
    if not terms:
        return None
    begun = [each for each in terms if each.since < until] or [terms[0]]
    return begun[-1].cycle


def _has_more(row: Any, state: State | None, until: datetime) -> bool:
    end = row.since if state is None else state.until
    return end < until and (row.until is None or end < row.until)


def _states(connection: Connection, which: Any) -> dict[int, State]:
    """How far supplies are settled, from the last rows of their chains."""
    last = (
        select(func.max(settlements.c.seq))
        .where(settlements.c.supply_id == supplies.c.supply_id)
        .scalar_subquery()
    )
    mine = settlements.alias("mine")
    rows = connection.execute(
        select(
            mine.c.supply_id,
            mine.c.seq,
            mine.c.until,
            mine.c.carried,
            mine.c.readings,
            mine.c.reverses_seq,
            mine.c.replaces_seq,
        )
        .select_from(supplies)
        .join(mine, and_(mine.c.supply_id == supplies.c.supply_id, mine.c.seq == last))
        .where(which)
    ).all()
    found: dict[int, State] = {}
    corrected: dict[int, Any] = {}
    for row in rows:
        if row.reverses_seq is None and row.replaces_seq is None:
            found[row.supply_id] = state_of(row.seq, row.until, row.carried, row.readings)
        else:
            corrected[row.supply_id] = row
    for part in _parts(sorted(corrected)):
        for each in _last_spans(connection, part):
            row = corrected[each.supply_id]
            found[each.supply_id] = state_of(
                row.seq, each.until, row.carried, row.readings, each.readings
            )
    return found


def _last_spans(connection: Connection, supply_ids: Sequence[int]) -> Sequence[Any]:
    """Of supplies whose last row is a correction: the row that holds of the last span."""
    rows = connection.execute(
        select(settlements.c.supply_id, settlements.c.until, settlements.c.readings)
        .join(supplies, supplies.c.supply_id == settlements.c.supply_id)
        .where(
            supplies.c.supply_id.in_(supply_ids),
            settlements.c.account_id == supplies.c.account_id,
            settlements.c.until == chain_end(),
            settlements.c.sign == 1,
        )
        .order_by(settlements.c.supply_id, settlements.c.seq)
    )
    return list({row.supply_id: row for row in rows}.values())


def _stays(
    connection: Connection, which: Any, oldest: datetime, until: datetime
) -> dict[int, list[Stay]]:
    rows = connection.execute(
        select(
            supplies.c.supply_id,
            installations.c.point_id,
            installations.c.device_id,
            installations.c.since,
            installations.c.until,
            installations.c.first_wh,
            installations.c.last_wh,
            end_devices.c.ratio,
            end_devices.c.protocol,
            installations.c.reason,
        )
        .select_from(supplies)
        .join(installations, installations.c.point_id == supplies.c.point_id)
        .join(end_devices, end_devices.c.device_id == installations.c.device_id)
        .where(
            which,
            installations.c.since < until,
            installations.c.until.is_(None) | (installations.c.until >= oldest),
        )
        .order_by(installations.c.point_id, installations.c.since)
    )
    found: dict[int, list[Stay]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(Stay(*tuple(row)[1:]))
    return found


def _pairs(
    connection: Connection, which: Any, table: Any, column: Any
) -> dict[int, list[tuple[datetime, Any]]]:
    rows = connection.execute(
        select(table.c.supply_id, table.c.since, column)
        .select_from(supplies)
        .join(table, table.c.supply_id == supplies.c.supply_id)
        .where(which)
        .order_by(table.c.supply_id, table.c.since)
    )
    found: dict[int, list[tuple[datetime, Any]]] = {}
    for supply_id, since, value in rows:
        found.setdefault(supply_id, []).append((since, value))
    return found


def _parts(ids: Sequence[int], size: int = 1_000) -> Iterator[Sequence[int]]:
    for place in range(0, len(ids), size):
        yield ids[place : place + size]
