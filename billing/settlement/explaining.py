"""A settlement in words, line by line: from registers to the amount."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, select

from billing.office import Office
from billing.person import Right
from billing.settlement.batch import look_ahead
from billing.settlement.due import load, of_supplies
from billing.settlement.looking import Settlement
from billing.settlement.metering import QUANTITIES, Lacking
from billing.settlement.writing import NewSettlement, span_words
from headend.registry.tables import end_devices

_SPLITS: Final = {
    "registers": "energy by the registers when the price changed",
    "days": "no register when the price changed: energy in proportion to time",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One line of an explanation."""

    words: str
    amount: Decimal | None = None
    """Minor units, exact."""
    level: int = 0


def explain(connection: Connection, settlement: Settlement, office: Office) -> list[Told]:
    """How a settlement came about.

    Args:
        connection: in any transaction.
        settlement: which.
        office: gives zone and currency.
    """
    told = [Told(_head(settlement, office))]
    if settlement.reason:
        told.append(Told(f"Reason: {settlement.reason}"))
    numbers = _numbers(connection, [settlement])
    for meter in settlement.readings["meters"]:
        told += _meter(meter, numbers, office.zone)
    if settlement.is_estimated:
        told.append(Told("A register or the energy was estimated."))
    for part in settlement.parts:
        energy = ", ".join(
            f"{code} {_kwh(wh)} {'kvarh' if code == 'reactive' else 'kWh'}"
            for code, wh in part.energy_wh.items()
        )
        told.append(
            Told(
                f"{span_words(part.since, part.until, office.zone)}: {energy}; tariff "
                f"{part.tariff}, version {part.version}"
            )
        )
        if part.split in _SPLITS:
            told.append(Told(_SPLITS[part.split], level=1))
        told += [Told(line.words, line.amount, level=1) for line in part.lines]
    came = Decimal(settlement.readings.get("carried_in", "0"))
    if came:
        told.append(Told("fraction that rounding left before", came, level=1))
    if settlement.carried and settlement.sign == 1:
        told.append(Told("fraction carried to the next", -settlement.carried, level=1))
    total = office.currency.text(settlement.amount_minor)
    tax = office.currency.text(settlement.tax_minor)
    told.append(Told(f"Amount {total}, of it tax {tax}", Decimal(settlement.amount_minor)))
    return told


def look_at_next(office: Office, supply_id: int) -> Settlement | Lacking:
    """What a supply's next span would come to, whatever holds it back; nothing is written."""
    office.require(Right.LOOK)
    with office.reading() as connection:
        dues = load(connection, of_supplies([supply_id]), office.now())
        if not dues:
            return Lacking("not_due", "Nothing of it is left to settle.")
        found = look_ahead(connection, office, dues[0])
    return found if isinstance(found, Lacking) else _as_settlement(found, office)


def _as_settlement(row: NewSettlement, office: Office) -> Settlement:
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
        settled_at=office.now(),
        settled_by="",
        reason=row.reason,
        carried=row.carried,
        lines_json=row.lines,
        readings_json=row.readings,
    )


def _head(settlement: Settlement, office: Office) -> str:
    span = span_words(settlement.since, settlement.until, office.zone)
    what = f"Settlement {settlement.supply_id}.{settlement.seq} of {span}"
    if settlement.reverses_seq is not None:
        return f"{what}: takes {settlement.supply_id}.{settlement.reverses_seq} back"
    if settlement.replaces_seq is not None:
        return f"{what}: in the place of {settlement.supply_id}.{settlement.replaces_seq}"
    return what


def _meter(meter: Any, numbers: dict[int, str], zone: tzinfo) -> list[Told]:
    since, until = (
        datetime.fromisoformat(meter[name]).astimezone(zone) for name in ("since", "until")
    )
    guessed = meter.get("estimated", [])
    told = [
        Told(
            f"Meter {numbers.get(meter['device'], meter['device'])}, {since:%Y-%m-%d %H:%M} to "
            f"{until:%Y-%m-%d %H:%M}"
            + (f" (register at the {' and the '.join(guessed)} estimated)" if guessed else "")
        )
    ]
    for code in QUANTITIES:
        if code in meter["begin"] and code in meter["end"]:
            begin, end = meter["begin"][code], meter["end"][code]
            unit = "kvarh" if code == "reactive" else "kWh"
            told.append(Told(f"{code}: {_kwh(begin)} to {_kwh(end)} {unit}", level=1))
    return told


def _numbers(connection: Connection, settlements: list[Settlement]) -> dict[int, str]:
    devices = {meter["device"] for each in settlements for meter in each.readings["meters"]}
    rows = connection.execute(
        select(end_devices.c.device_id, end_devices.c.number).where(
            end_devices.c.device_id.in_(sorted(devices))
        )
    )
    return {row.device_id: row.number for row in rows}


def _kwh(wh: int) -> str:
    sign = "-" if wh < 0 else ""
    return f"{sign}{abs(wh) // 1000:,}.{abs(wh) % 1000:03d}"
