"""Readings that a person brings: from the meter's display, with a note and perhaps a photo.

The value is kept as a reading of the source *manual*; who brought it stands beside it.  A meter
that a round has missed counts as read then, if the reading is of that round's time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, select, update

from headend.collection.faults import ManualReadingError
from headend.collection.plan import read_document
from headend.collection.tables import manual_readings, round_devices, rounds
from headend.person import Right
from headend.registry.tables import end_devices
from headend.station import Station
from headend.store import readings as store
from headend.talk.quantities import is_count, is_energy, is_multiplied, require_known, unit_of
from headend.values import Reading, Source
from storage import audit

_AHEAD: Final = timedelta(minutes=5)
_LATE: Final = timedelta(days=20)
"""So long after its day a reading still stands for a round that is due on days of the month."""
_MISSED: Final = ("failed", "partial", "skipped")


@dataclass(frozen=True, slots=True)
class Entered:
    """A reading that was entered."""

    reading: Reading
    settled: tuple[int, ...]
    """Rounds that no longer miss the meter."""


def enter_reading(
    station: Station,
    number: str,
    quantity: str,
    shown: str,
    at: datetime,
    note: str,
    photo: Path | None = None,
) -> Entered:
    """Keep what a person read.

    Args:
        station: who acts.
        number: the meter's.
        quantity: its name.
        shown: what the display showed: kWh for energies, the quantity's unit otherwise.
        at: when it was read.
        note: who or what it comes from.
        photo: a picture of the display; its name and SHA-256 are kept, not the file.

    Raises:
        ManualReadingError: says what is wrong.
        UnknownQuantityError: no such quantity.
    """
    station.require(Right.READ)
    require_known((quantity,))
    if not note.strip():
        raise ManualReadingError("Who read it, and why by hand? A note goes with the reading.")
    if at.tzinfo is None or at > station.now() + _AHEAD:
        raise ManualReadingError("The time of a reading has a zone and is not in the future.")
    picture = (None, None) if photo is None else (photo.name, _sha256(photo))
    with station.writing() as connection:
        row = connection.execute(
            select(end_devices.c.device_id, end_devices.c.ratio).where(
                end_devices.c.number == number
            )
        ).first()
        if row is None:
            raise ManualReadingError(f"There is no meter {number}.")
        value = _value(shown, quantity, row.ratio)
        reading = Reading(row.device_id, quantity, at, value, Source.MANUAL)
        kept = store.add_readings(connection, [reading])
        if not kept.new:
            raise ManualReadingError(
                f"A reading of {quantity} by hand is kept for that moment already; correct it "
                "instead."
            )
        connection.execute(
            insert(manual_readings).values(
                device_id=row.device_id,
                quantity=quantity,
                at=at,
                value=value,
                note=note,
                photo=picture[0],
                photo_sha256=picture[1],
                entered_by=station.person.name,
                entered_at=station.now(),
            )
        )
        settled = _settle(connection, row.device_id, quantity, at)
        audit.record(
            connection,
            station.now(),
            actor=station.person.name,
            action="reading.entered",
            subject=number,
            detail=f"{quantity} {shown} at {at.isoformat()}",
            reason=note,
        )
    return Entered(reading, settled)


def _value(shown: str, quantity: str, ratio: int) -> int:
    try:
        number = Decimal(shown)
    except InvalidOperation:
        raise ManualReadingError(f"{shown!r} is no number, such as 1234.56.") from None
    if not number.is_finite():
        raise ManualReadingError(f"{shown!r} is no number, such as 1234.56.")
    if unit_of(quantity) == "minor":
        scaled = number * 100
    elif is_count(quantity):
        scaled = number
    else:
        scaled = number * 1000  # kWh → Wh, or thousandths
    if scaled != int(scaled):
        raise ManualReadingError(f"{shown} has more decimals than {quantity} is kept with.")
    if is_energy(quantity) and number < 0:
        raise ManualReadingError("A register is not below zero.")
    return int(scaled) * (ratio if is_multiplied(quantity) else 1)


def _settle(connection: Connection, device_id: int, quantity: str, at: datetime) -> tuple[int, ...]:
    """Rounds of that time which missed this quantity: the meter counts as read."""
    rows = connection.execute(
        select(
            rounds.c.round_id,
            rounds.c.due_at,
            rounds.c.closes_at,
            rounds.c.document,
            round_devices.c.remaining,
        )
        .join(rounds, rounds.c.round_id == round_devices.c.round_id)
        .where(
            round_devices.c.device_id == device_id,
            round_devices.c.state.in_(_MISSED),
            rounds.c.due_at <= at,
        )
    ).all()
    settled = []
    for row in rows:
        plan = read_document(row.document)
        late = _LATE if plan.when.days is not None else timedelta(0)
        if at >= max(row.closes_at, row.due_at + late):
            continue
        what = plan.what
        missed = what.parts if row.remaining is None else tuple(row.remaining.split(","))
        wanted = {quantity} | {
            part for part in ("daily", "monthly") if quantity in getattr(what, part)
        }
        if not set(missed) <= wanted:
            continue
        settled.append(row.round_id)
        connection.execute(
            update(round_devices)
            .where(round_devices.c.round_id == row.round_id, round_devices.c.device_id == device_id)
            .values(state="read", remaining=None, why="manual", words="A person read it.")
        )
    return tuple(settled)


def _sha256(photo: Path) -> str:
    try:
        return hashlib.sha256(photo.read_bytes()).hexdigest()
    except OSError as fault:
        raise ManualReadingError(f"The photo {photo} cannot be read: {fault.strerror}.") from None
