"""Corrections: what was settled on wrong readings is taken back and settled anew, never edited.

What follows is settled anew as far as it depends on it: the next span when the register between
them has moved, and later spans of the month or year whose steps, free units, demand or power
factor come out differently.  What comes to the same amounts stays as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Select, insert, or_, select, text

from billing.accounts.tables import supplies
from billing.faults import BadEntryError, BillingError, OfficeRefusedError
from billing.ledger.posting import lock
from billing.office import Office
from billing.person import Right
from billing.settlement.batch import Batch, readings_of
from billing.settlement.due import Due, load, of_supplies
from billing.settlement.faults import (
    NoSuchSettlementError,
    NothingToCorrectError,
    NotSettledError,
)
from billing.settlement.history import carried_by, state_before, used_between
from billing.settlement.looking import Settlement, effective
from billing.settlement.marks import CORRECTIONS, mark, move
from billing.settlement.metering import (
    REACTIVE,
    Lacking,
    Metered,
    Part,
    highest_w,
    measure,
    stays_in,
    wanted_of,
)
from billing.settlement.rating import Charged, asks_demand, charge, codes_of
from billing.settlement.spans import Span, due_at, month_start, terms_at
from billing.settlement.state import State, after_of
from billing.settlement.tables import settlement_reviews
from billing.settlement.writing import NewSettlement, canonical, write_settlements
from headend.registry.tables import installations
from headend.store.tables import reading_corrections
from headend.watching.registers import Register
from storage.audit import record

_FAR_AHEAD: Final = datetime(9000, 1, 1, tzinfo=UTC)
_TOLERANCE: Final = timedelta(days=4)
"""A reading may have been used to estimate a register so far from it."""
_AT_ONCE: Final = 500
_A_MOMENT: Final = timedelta(microseconds=1)
_TRIES: Final = 3
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction has changed."""

    supply_id: int
    settled_anew: int
    """Spans."""
    energy_wh: int
    """By how much it has changed."""
    amount_minor: int
    """By how much; above zero: the customer pays more."""


def correct(
    office: Office, supply_id: int, since: datetime, until: datetime, reason: str
) -> Corrected:
    """Settle anew what a supply used in a time, by the readings as they are now.

    Args:
        office: who corrects.
        supply_id: whose.
        since: settlements that touch the time from here,
        until: to here, are measured anew.
        reason: why, for the customer and the auditor.

    Raises:
        RightMissingError: the person may not.
        BadEntryError: no reason is given.
        NoSuchSettlementError: nothing was settled in that time.
        NothingToCorrectError: the readings give the same amounts.
        NotSettledError: a register is missing or impossible; nothing was changed.
    """
    office.require(Right.SETTLE)
    with office.writing() as connection:
        return correct_within(connection, office, supply_id, since, until, reason)


def correct_within(
    connection: Connection,
    office: Office,
    supply_id: int,
    since: datetime,
    until: datetime,
    reason: str,
) -> Corrected:
    """`correct` in the caller's write transaction, without asking for rights."""
    if not reason.strip():
        raise BadEntryError("Say why it is corrected: the customer and an auditor will ask.")
    account_id = connection.scalar(
        select(supplies.c.account_id).where(supplies.c.supply_id == supply_id)
    )
    if account_id is None:
        raise NoSuchSettlementError(f"There is no supply {supply_id}.")
    lock(connection, [account_id])
    correcting = _Correcting(connection, office, supply_id, reason.strip())
    rows = correcting.rows(since, until)
    if not rows:
        raise NothingToCorrectError(
            f"The readings of supply {supply_id} give the same amounts: nothing was changed. "
            "Correct the reading first: `meterhouse readings correct`."
        )
    write_settlements(connection, office, rows)
    record(
        connection,
        office.now(),
        actor=office.person.name,
        action="settlement.correct",
        subject=str(supply_id),
        detail=f"{len(rows) // 2} spans from {rows[0].since.isoformat()}",
        reason=reason.strip(),
    )
    return Corrected(
        supply_id,
        len(rows) // 2,
        sum(row.energy_wh for row in rows),
        sum(row.amount_minor for row in rows),
    )


def follow_corrections(office: Office, *, limit: int = _AT_ONCE) -> int:
    """Settle anew what rests on readings that the head-end has corrected meanwhile.

    Args:
        office: the office.
        limit: so many corrections at most.

    Returns:
        How many supplies were settled anew.  What cannot be is put on the review list.
    """
    with office.reading() as connection:
        if not connection.execute(_corrections_since(mark(connection, CORRECTIONS), 1)).first():
            return 0
    with office.writing() as connection:  # no longer than for this look: who corrects waits for it
        _wait_for_corrections(connection)
        found = connection.execute(_corrections_since(mark(connection, CORRECTIONS), limit)).all()
    done = 0
    for row in found:
        with office.reading() as connection:
            concerned = _concerned(connection, row)
        done += sum(_follow(office, supply_id, row) for supply_id in concerned)
        with office.writing() as connection:
            move(connection, CORRECTIONS, row.correction_id)
    return done


def _corrections_since(last: int, limit: int) -> Select[Any]:
    return (
        select(reading_corrections)
        .where(reading_corrections.c.correction_id > last)
        .order_by(reading_corrections.c.correction_id)
        .limit(limit)
    )


def _wait_for_corrections(connection: Connection) -> None:
    """Wait for those that are being written.

    On PostgreSQL numbers are given before the commit: one that is committed late has a lower
    number than others that are there already, and the mark would pass it over.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE reading_corrections IN SHARE MODE"))


def _follow(office: Office, supply_id: int, row: Any) -> int:
    """Settle one supply anew after a correction; gives 1 when something has changed.

    What fails, foreseen or not, is put on the review list and costs no other supply.
    """
    since, until = row.at - _TOLERANCE, row.at + _TOLERANCE
    reason, words = f"reading corrected: {row.reason}", ""
    for _ in range(_TRIES):
        try:
            with office.writing() as connection:
                correct_within(connection, office, supply_id, since, until, reason)
        except (NothingToCorrectError, NoSuchSettlementError):
            return 0
        except OfficeRefusedError as refused:
            words = str(refused)  # somebody else has settled it meanwhile
        except BillingError as fault:
            if fault.is_system:
                raise
            words = str(fault)
            break
        except Exception as fault:  # noqa: BLE001 - one supply must not cost the others
            _log.exception(
                "settlement.correction_failed", supply=supply_id, correction=row.correction_id
            )
            words = f"There is a fault in the program ({type(fault).__name__}): its log tells more."
            break
        else:
            return 1
    with office.writing() as connection:
        _note(connection, office, supply_id, row, words)
    return 0


def _concerned(connection: Connection, row: Any) -> list[int]:
    """Supplies that had the meter of a corrected reading about its moment."""
    return list(
        connection.scalars(
            select(supplies.c.supply_id)
            .join(installations, installations.c.point_id == supplies.c.point_id)
            .where(
                installations.c.device_id == row.device_id,
                installations.c.since <= row.at + _TOLERANCE,
                or_(
                    installations.c.until.is_(None),
                    installations.c.until >= row.at - _TOLERANCE,
                ),
                supplies.c.since <= row.at + _TOLERANCE,
                or_(supplies.c.until.is_(None), supplies.c.until >= row.at - _TOLERANCE),
            )
            .distinct()
            .order_by(supplies.c.supply_id)
        )
    )


def _note(connection: Connection, office: Office, supply_id: int, row: Any, words: str) -> None:
    account_id = connection.scalar(
        select(supplies.c.account_id).where(supplies.c.supply_id == supply_id)
    )
    known = connection.scalar(
        select(settlement_reviews.c.review_id).where(
            settlement_reviews.c.supply_id == supply_id,
            settlement_reviews.c.check_name == "correction",
            settlement_reviews.c.since == row.at - _TOLERANCE,
            settlement_reviews.c.state == "open",
        )
    )
    if known is None:
        connection.execute(
            insert(settlement_reviews).values(
                supply_id=supply_id,
                account_id=account_id,
                since=row.at - _TOLERANCE,
                until=row.at + _TOLERANCE,
                check_name="correction",
                cause="correction",
                reason=f"A reading was corrected, and the span cannot be settled anew: {words} "
                "When that is mended: `meterhouse settle correct "
                f"{supply_id} {_day(office, row.at)} {_day(office, row.at)} REASON`.",
                figures="{}",
                holds=0,
                state="open",
                found_at=office.now(),
            )
        )


def _day(office: Office, at: datetime) -> date:
    """The day that a moment ends or lies in."""
    return (at - _A_MOMENT).astimezone(office.zone).date()


class _Correcting:
    """One supply's chain, walked from the first span that is measured anew to its end."""

    def __init__(self, connection: Connection, office: Office, supply_id: int, reason: str) -> None:
        self.connection: Final = connection
        self.office: Final = office
        self.reason: Final = reason
        self.due: Final = _due(connection, supply_id)
        self.batch: Final = Batch.of(connection, office)

    def rows(self, since: datetime, until: datetime) -> list[NewSettlement]:
        """Reversals and what replaces them; empty: nothing changes."""
        due, zone = self.due, self.office.zone
        assert due.state is not None
        touched = effective(self.connection, due.supply_id, since - _A_MOMENT, until + _A_MOMENT)
        if not touched:
            raise NoSuchSettlementError(
                f"Nothing is settled of supply {due.supply_id} in that time."
            )
        begin = touched[0].since
        year = month_start(begin.astimezone(zone).date().replace(month=1), zone)
        holding = effective(self.connection, due.supply_id, year - timedelta(days=1), _FAR_AHEAD)
        now = state_before(self.connection, holding, begin, due.since, zone)
        carried, tax_carried = due.state.carried, due.state.tax_carried
        seq = due.state.seq
        made: list[NewSettlement] = []
        for row in holding:
            if row.since < begin:
                continue
            is_touched = row.since <= until and row.until >= since
            metered = self._metered(row, now, is_new=is_touched)
            charged, demand_w = self._charged(row, now, metered)
            if not _is_same(row, metered, charged):
                left, tax_left = carried_by(row)
                carried, tax_carried = carried - left, tax_carried - tax_left
                undone = self._reversal(row, seq + 1, carried, tax_carried)
                priced = replace(now, carried=carried, tax_carried=tax_carried)
                charged, demand_w = self._charged(row, priced, metered)
                came = (carried, tax_carried)
                carried, tax_carried = charged.state.carried, charged.state.tax_carried
                made += [undone, self._anew(row, seq + 2, metered, charged, demand_w, came)]
                seq += 2
            ends = metered.meters[-1] if metered.meters else None
            now = replace(
                charged.state,
                registers={} if ends is None else {ends["device"]: ends["end"]},
            )
        return [_with_after(each, now) for each in made]

    def _metered(self, row: Settlement, now: State, *, is_new: bool) -> Metered:
        """What went through the meters in a row's span, going on from what was settled before."""
        due, span = replace(self.due, state=now), Span(row.since, row.until)
        if now.seq == 0 and not now.registers and row.since == self.due.since:
            due = replace(due, state=None)
        pieces = self._pieces(span)
        codes = codes_of(pieces)
        cuts = [piece.since for piece in pieces[1:]]
        registers = self.batch.registers
        if is_new:
            registers.load(self.connection, wanted_of(due, span, cuts, codes), codes)
        else:
            stored = _stored(row)
            if all(_goes_on(meter, now) for meter in row.readings["meters"][:1]):
                return stored
            registers.load(self.connection, wanted_of(due, span, cuts, codes), codes)
            for meter in row.readings["meters"]:
                for code, wh in meter["end"].items():
                    at = datetime.fromisoformat(meter["until"])
                    registers.put(meter["device"], code, at, Register(wh))
        metered = measure(due, span, cuts, codes, registers, self.batch.limits)
        if isinstance(metered, Lacking):
            ends = [(stay.device_id, span.until) for stay, _, _ in stays_in(due, span)]
            registers.load_after(self.connection, ends, codes)
            metered = measure(due, span, cuts, codes, registers, self.batch.limits)
        if isinstance(metered, Lacking):
            raise NotSettledError(
                f"Supply {self.due.supply_id} cannot be settled anew from "
                f"{span.since:%Y-%m-%d %H:%M} UTC: {metered.words} Nothing was changed."
            )
        return metered

    def _charged(self, row: Settlement, now: State, metered: Metered) -> tuple[Charged, int | None]:
        span = Span(row.since, row.until)
        pieces = self._pieces(span)
        demand_w: int | None = None
        if asks_demand(pieces):
            devices = [stay.device_id for stay, _, _ in stays_in(self.due, span)]
            demand_w = highest_w(self.connection, devices, span.since, span.until)
            demand_w = row.readings.get("demand_w") if demand_w is None else demand_w
        charged = charge(
            self.due,
            span,
            pieces,
            metered,
            self.office.zone,
            demand_w=demand_w,
            supply_ends=row.until == self.due.until,
            used_since=lambda since, until: used_between(
                self.connection, self.due.supply_id, since, until
            ),
            state=now,
        )
        if isinstance(charged, Lacking):
            raise NotSettledError(
                f"Supply {self.due.supply_id} cannot be settled anew: {charged.words} Nothing was "
                "changed."
            )
        return charged, demand_w

    def _pieces(self, span: Span) -> Any:
        pieces = self.batch.rates.pieces(self.due, span)
        if isinstance(pieces, Lacking):
            raise NotSettledError(pieces.words)
        return pieces

    def _reversal(
        self, row: Settlement, seq: int, carried: Decimal, tax_carried: Decimal
    ) -> NewSettlement:
        readings = {
            "meters": row.readings["meters"],
            "after": {"tax_carried": str(tax_carried)} if tax_carried else {},
        }
        return NewSettlement(
            row.supply_id,
            seq,
            row.account_id,
            row.since,
            row.until,
            -1,
            row.seq,
            None,
            -row.energy_wh,
            -row.amount_minor,
            -row.tax_minor,
            row.lines_json,
            canonical(readings),
            carried,
            None,
            self.reason,
        )

    def _anew(
        self,
        row: Settlement,
        seq: int,
        metered: Metered,
        charged: Charged,
        demand_w: int | None,
        came: tuple[Decimal, Decimal],
    ) -> NewSettlement:
        terms = terms_at(self.due.terms, row.since, self.office.zone)
        return NewSettlement(
            row.supply_id,
            seq,
            row.account_id,
            row.since,
            row.until,
            1,
            None,
            row.seq,
            metered.total_wh,
            charged.amount_minor,
            charged.tax_minor,
            canonical({"parts": charged.parts}),
            readings_of(metered, charged.state, demand_w, came),
            charged.state.carried,
            due_at(terms, max(row.until, self.office.now()), self.office.zone),
            self.reason,
        )


def _due(connection: Connection, supply_id: int) -> Due:
    """A supply with everything, however long ago; it has settlements."""
    dues = load(connection, of_supplies([supply_id]), _FAR_AHEAD, closed_too=True, settled_too=True)
    if not dues or dues[0].state is None:
        raise NoSuchSettlementError(f"Nothing is settled of supply {supply_id}.")
    return dues[0]


def _stored(row: Settlement) -> Metered:
    """What was measured when a row was settled."""
    parts = []
    for part in row.parts:
        energy = dict(part.energy_wh)
        varh = energy.pop(REACTIVE, None)
        parts.append(Part(part.since, part.until, part.split, energy, varh))
    return Metered(tuple(parts), tuple(row.readings["meters"]), row.is_estimated, ())


def _goes_on(meter: Any, now: State) -> bool:
    """Whether a row's first meter begins with what the span before was billed to."""
    billed = now.registers.get(meter["device"])
    return billed is None or all(billed.get(code, wh) == wh for code, wh in meter["begin"].items())


def _is_same(row: Settlement, metered: Metered, charged: Charged) -> bool:
    parts = json.loads(row.lines_json)["parts"]
    same_lines = canonical(parts) == canonical(charged.parts)
    return same_lines and canonical(row.readings["meters"]) == canonical(metered.meters)


def _with_after(row: NewSettlement, end: State) -> NewSettlement:
    """With what the next settlement goes on from, at the end of the chain."""
    document = json.loads(row.readings)
    tax = document["after"].get("tax_carried", "0")
    document["after"] = after_of(replace(end, tax_carried=Decimal(tax)))
    return replace(row, readings=canonical(document))
