"""Runs: all accounts of a cycle, piece by piece, each piece in one transaction.

A run is planned once, as pieces of accounts in the order of their ids; whoever works on it takes
the next piece that nobody has, settles it and marks it as done, all in one transaction.  Killed
anywhere, what was not committed is as if it had not been begun, and the piece is free again;
several processes share a run on PostgreSQL (on SQLite they take turns).  That no span is settled
twice is not the run's care, but the database's (`tables`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, exists, func, insert, select, update

from billing.accounts.tables import agreements, customer_accounts
from billing.faults import BillingError, OfficeRefusedError
from billing.office import Office
from billing.person import Right
from billing.settlement.batch import Tally, settle
from billing.settlement.correcting import follow_corrections
from billing.settlement.due import load, of_accounts, of_supplies
from billing.settlement.spans import Cycle, last_border, midnight, month_after
from billing.settlement.tables import settlement_parts, settlement_runs, settlement_waits
from billing.settlement.writing import lock_waits
from storage.engine import reading as reading_of

PART_ACCOUNTS: Final = 1_000
"""Accounts in one transaction."""
_TRIES: Final = 3
_POLL_S: Final = 0.2
_DELAYS: Final = {
    Cycle.HOURLY: timedelta(minutes=20),
    Cycle.DAILY: timedelta(hours=2),
    Cycle.MONTHLY: timedelta(hours=6),
}
"""So long after a border the sweep begins: readings have to come in first."""
_AGAIN_AFTER: Final = timedelta(minutes=15)
_WAITING_AT_ONCE: Final = 500

Progress = Callable[[int, int], None]
"""Is told how many accounts are done, of how many."""


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as it stands."""

    run_id: int
    cycle: Cycle
    until: datetime
    state: str
    """``open`` or ``done``."""
    started_at: datetime
    ended_at: datetime | None
    accounts: int
    accounts_done: int
    settled: int
    """Spans."""
    waiting: int
    """Supplies, when their piece was done."""
    energy_wh: int
    amount_minor: int


def settle_day(
    office: Office, day: date, *, progress: Progress | None = None, accounts: int = PART_ACCOUNTS
) -> RunState:
    """Settle a day of all accounts that are settled daily, and what is left of earlier ones.

    Args:
        office: who settles.
        day: of the utility's zone; over.
        progress: is told how far it has come.
        accounts: in one transaction.

    Raises:
        RightMissingError: the person may not.
    """
    until = midnight(day + timedelta(days=1), office.zone)
    return run(office, Cycle.DAILY, until, progress=progress, accounts=accounts)


def settle_hour(office: Office, until: datetime, *, progress: Progress | None = None) -> RunState:
    """Settle the hours before a moment of all accounts that are settled hourly."""
    return run(office, Cycle.HOURLY, last_border(until, Cycle.HOURLY, office.zone),
               progress=progress)  # fmt: skip


def settle_month(office: Office, day: date, *, progress: Progress | None = None) -> RunState:
    """Settle the month of a day of all accounts that are settled monthly."""
    return run(office, Cycle.MONTHLY, midnight(month_after(day), office.zone), progress=progress)


def run(
    office: Office,
    cycle: Cycle,
    until: datetime,
    *,
    progress: Progress | None = None,
    accounts: int = PART_ACCOUNTS,
    parts_max: int | None = None,
) -> RunState:
    """Settle all accounts of a cycle up to a moment; a run that is open already is continued.

    Args:
        office: who settles.
        cycle: of the accounts' agreements.
        until: a border of the cycle.
        progress: is told how far it has come.
        accounts: in one transaction, where the run is planned now.
        parts_max: so many pieces at most, and without waiting for others who work on the rest;
            None: all.

    Raises:
        RightMissingError: the person may not.
        BillingError: of a piece that failed; the others were settled.
    """
    office.require(Right.SETTLE)
    run_id = _open(office, cycle, until, accounts)
    failed: dict[int, BillingError] = {}
    done = 0
    while parts_max is None or done < parts_max:
        part = _settle_part(office, run_id, cycle, until, failed)
        if part is not None:
            done += 1
            _tell(office, run_id, progress)
            continue
        if parts_max is not None or not _is_anybody_working(office, run_id, failed):
            break
        time.sleep(_POLL_S)
        _tell(office, run_id, progress)
    _close(office, run_id)
    if failed:
        raise next(iter(failed.values()))
    return state_of_run(office, run_id)


def settle_waiting(office: Office, *, limit: int = 5_000, at_once: bool = False) -> Tally:
    """Try again what was seen waiting, the longest ago first.

    Args:
        office: the office.
        limit: supplies.
        at_once: also what was tried a moment ago.
    """
    office.require(Right.SETTLE)
    before = office.now() if at_once else office.now() - _AGAIN_AFTER
    with office.reading() as connection:
        rows = connection.execute(
            select(settlement_waits.c.supply_id, settlement_waits.c.until)
            .where(settlement_waits.c.seen_at <= before)
            .order_by(settlement_waits.c.seen_at, settlement_waits.c.supply_id)
            .limit(limit)
        ).all()
    ids = [row.supply_id for row in rows]
    tally = Tally()
    for place in range(0, len(ids), _WAITING_AT_ONCE):
        part = ids[place : place + _WAITING_AT_ONCE]
        tally += settle_supplies(office, part)
        _mark_seen(office, part, before)
    return tally


def _mark_seen(office: Office, supply_ids: list[int], before: datetime) -> None:
    """Put those to the end of which nothing was due: they would keep the others from their turn."""
    with office.writing() as connection:
        lock_waits(connection, supply_ids)
        connection.execute(
            update(settlement_waits)
            .where(
                settlement_waits.c.supply_id.in_(supply_ids), settlement_waits.c.seen_at <= before
            )
            .values(seen_at=office.now())
        )


def settle_supplies(office: Office, supply_ids: list[int]) -> Tally:
    """Settle some supplies up to the last border of their own cycles."""
    tally = Tally()
    for cycle in Cycle:
        until = last_border(office.now(), cycle, office.zone)
        for _ in range(_TRIES):
            try:
                with office.writing() as connection:
                    dues = load(connection, of_supplies(supply_ids), until, cycle=cycle)
                    tally += settle(connection, office, dues, until)[0]
            except OfficeRefusedError:
                continue  # somebody else has settled one of them meanwhile
            break
    return tally


def sweep(office: Office) -> int:
    """Settle whatever is due, a bounded piece of it; may be called at any time, anywhere.

    Returns:
        How many spans were settled, and supplies corrected.
    """
    now, settled = office.now(), 0
    for cycle in Cycle:
        until = last_border(now - _DELAYS[cycle], cycle, office.zone)
        with office.reading() as connection:
            is_done = connection.scalar(
                select(settlement_runs.c.run_id)
                .where(
                    settlement_runs.c.cycle == cycle.value,
                    settlement_runs.c.until == until,
                    settlement_runs.c.state == "done",
                )
                .limit(1)
            )
        if is_done is None:
            settled += run(office, cycle, until, parts_max=100).settled
    settled += settle_waiting(office).settled
    return settled + follow_corrections(office)


def runs(office: Office, *, limit: int = 20) -> list[RunState]:
    """Runs, the newest first."""
    office.require(Right.LOOK)
    with office.reading() as connection:
        ids = connection.scalars(
            select(settlement_runs.c.run_id).order_by(settlement_runs.c.run_id.desc()).limit(limit)
        ).all()
    return [state_of_run(office, run_id) for run_id in ids]


def waits_by_reason(office: Office) -> dict[str, int]:
    """How many supplies wait, by the code of the reason."""
    office.require(Right.LOOK)
    with office.reading() as connection:
        rows = connection.execute(
            select(settlement_waits.c.why, func.count())
            .group_by(settlement_waits.c.why)
            .order_by(func.count().desc(), settlement_waits.c.why)
        )
        return {row[0]: row[1] for row in rows}


def state_of_run(office: Office, run_id: int) -> RunState:
    """A run as it stands."""
    with reading_of(office.engine) as connection:
        row = connection.execute(
            select(settlement_runs).where(settlement_runs.c.run_id == run_id)
        ).one()
        sums = connection.execute(
            select(
                func.coalesce(func.sum(settlement_parts.c.accounts), 0),
                func.coalesce(
                    func.sum(settlement_parts.c.accounts).filter(
                        settlement_parts.c.state == "done"
                    ),
                    0,
                ),
                *(
                    func.coalesce(func.sum(settlement_parts.c[name]), 0)
                    for name in ("settled", "waiting", "energy_wh", "amount_minor")
                ),
            ).where(settlement_parts.c.run_id == run_id)
        ).one()
    return RunState(
        row.run_id,
        Cycle(row.cycle),
        row.until,
        row.state,
        row.started_at,
        row.ended_at,
        *(int(each) for each in sums),
    )


def _open(office: Office, cycle: Cycle, until: datetime, size: int) -> int:
    """The open run up to a moment; planned now where there is none."""
    known = (
        select(settlement_runs.c.run_id)
        .where(
            settlement_runs.c.cycle == cycle.value,
            settlement_runs.c.until == until,
            settlement_runs.c.state == "open",
        )
        .limit(1)
    )
    for _ in range(_TRIES):
        with office.reading() as connection:
            found: int | None = connection.scalar(known)
        if found is not None:
            return found
        try:
            with office.writing() as connection:
                return _plan(connection, office, cycle, until, size)
        except OfficeRefusedError:
            continue  # another process has planned it meanwhile
    raise OfficeRefusedError("The run could not be opened; try again.")


def _plan(connection: Connection, office: Office, cycle: Cycle, until: datetime, size: int) -> int:
    run_id: int = connection.execute(
        insert(settlement_runs)
        .values(
            cycle=cycle.value,
            until=until,
            state="open",
            started_at=office.now(),
            started_by=office.person.name,
        )
        .returning(settlement_runs.c.run_id)
    ).scalar_one()
    place = (func.row_number().over(order_by=customer_accounts.c.account_id) - 1) // size
    numbered: Any = (
        select(customer_accounts.c.account_id, place.label("place"))
        .where(
            customer_accounts.c.state.in_(("active", "closing")),
            exists().where(
                agreements.c.account_id == customer_accounts.c.account_id,
                agreements.c.cycle == cycle.value,
            ),
        )
        .subquery()
    )
    rows = connection.execute(
        select(func.min(numbered.c.account_id), func.max(numbered.c.account_id), func.count())
        .group_by(numbered.c.place)
        .order_by(func.min(numbered.c.account_id))
    ).all()
    if rows:
        connection.execute(
            insert(settlement_parts),
            [
                {
                    "run_id": run_id,
                    "part": number,
                    "first_account": first,
                    "last_account": last,
                    "accounts": count,
                    "state": "open",
                    "settled": 0,
                    "waiting": 0,
                    "energy_wh": 0,
                    "amount_minor": 0,
                }
                for number, (first, last, count) in enumerate(rows, 1)
            ],
        )
    return run_id


def _settle_part(
    office: Office,
    run_id: int,
    cycle: Cycle,
    until: datetime,
    failed: dict[int, BillingError],
) -> int | None:
    """Settle a piece that nobody has; its number, or None when there is none."""
    part: int | None = None
    fault: BillingError | None = None
    for _ in range(_TRIES):
        try:
            with office.writing() as connection:
                row = _next_part(connection, run_id, failed)
                if row is None:
                    return None
                part = row.part
                which = of_accounts(row.first_account, row.last_account)
                dues = load(connection, which, until, cycle=cycle)
                tally, _ = settle(connection, office, dues, until)
                _mark_part(connection, office, row, tally)
        except OfficeRefusedError as refused:
            fault = refused  # somebody else has settled one of them meanwhile
        except BillingError as other:
            fault = other
            break
        else:
            return part
    if part is None or fault is None:
        return None
    failed[part] = fault
    return part


def _next_part(connection: Connection, run_id: int, failed: dict[int, BillingError]) -> Any:
    query = (
        select(settlement_parts)
        .where(
            settlement_parts.c.run_id == run_id,
            settlement_parts.c.state == "open",
            settlement_parts.c.part.not_in(sorted(failed)),
        )
        .order_by(settlement_parts.c.part)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).first()


def _mark_part(connection: Connection, office: Office, row: Any, tally: Tally) -> None:
    done = not tally.has_more
    connection.execute(
        update(settlement_parts)
        .where(settlement_parts.c.run_id == row.run_id, settlement_parts.c.part == row.part)
        .values(
            state="done" if done else "open",
            settled=row.settled + tally.settled,
            waiting=tally.waiting,
            energy_wh=row.energy_wh + tally.energy_wh,
            amount_minor=row.amount_minor + tally.amount_minor,
            done_at=office.now() if done else None,
        )
    )


def _is_anybody_working(office: Office, run_id: int, failed: dict[int, BillingError]) -> bool:
    with office.reading() as connection:
        return (
            connection.scalar(
                select(settlement_parts.c.part)
                .where(
                    settlement_parts.c.run_id == run_id,
                    settlement_parts.c.state == "open",
                    settlement_parts.c.part.not_in(sorted(failed)),
                )
                .limit(1)
            )
            is not None
        )


def _close(office: Office, run_id: int) -> None:
    is_open = exists().where(
        settlement_parts.c.run_id == run_id, settlement_parts.c.state == "open"
    )
    with office.writing() as connection:
        connection.execute(
            update(settlement_runs)
            .where(
                settlement_runs.c.run_id == run_id,
                settlement_runs.c.state == "open",
                ~is_open,
            )
            .values(state="done", ended_at=office.now())
        )


def _tell(office: Office, run_id: int, progress: Progress | None) -> None:
    if progress is not None:
        state = state_of_run(office, run_id)
        progress(state.accounts_done, state.accounts)
