"""Settlements as lines of a bill, and as what was read.  Pure.

A month that was settled by days has hundreds of lines of a few cents each.  A bill adds up those of
the same price: same service point, tariff and version, part of the tariff, and rate.  Their exact
amounts are then brought to whole minor units by the largest remainders, so that they add up to what
was posted, and no line is further than one minor unit from its exact amount; what cannot be brought
in that way stands on a line of its own (rounding).

Corrections are not mixed in: what a correction takes back and what it settles anew are lines by
themselves, so that the reader sees both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from billing.bills.bill import BilledSupply, BillLine, Register
from billing.bills.kinds import Group
from billing.settlement.looking import Settlement
from billing.tariffs.values import ChargeLine, LineKind

TAKEN_BACK: Final = "taken_back"
SETTLED_ANEW: Final = "settled_anew"
ROUNDING: Final = "rounding"
_WH: Final = Decimal("0.001")
_PERCENTS: Final = ("%", "contained")
"""Units whose quantities do not add up."""
_ORDER: Final = {kind: place for place, kind in enumerate(LineKind)}


@dataclass(slots=True)
class _Same:
    """Lines of one price, added up."""

    kind: LineKind
    code: str
    name: str
    tariff: str
    since: datetime
    until: datetime
    amount: Decimal
    quantity: Decimal | None
    unit: str
    rate: Decimal | None


def energy_lines(settlements: Sequence[Settlement]) -> list[BillLine]:
    """The lines of settlements that are on one bill.

    Args:
        settlements: in the order of supply and number.

    Returns:
        lines whose sum is the opposite of the settlements' amounts.
    """
    lines: list[BillLine] = []
    for supply_id, mine in _by_supply(settlements).items():
        plain = [each for each in mine if not _is_correction(each)]
        lines += _plain_lines(supply_id, plain)
        lines += [_correction(each) for each in mine if _is_correction(each)]
    return lines


def billed_supplies(
    settlements: Sequence[Settlement], points: Mapping[int, str], meters: Mapping[int, str]
) -> list[BilledSupply]:
    """What was read at each service point.

    Args:
        settlements: as for `energy_lines`.
        points: names of service points by supply.
        meters: numbers of meters by device (`devices_of`).
    """
    return [
        _billed(supply_id, mine, points.get(supply_id, ""), meters)
        for supply_id, mine in _by_supply(settlements).items()
    ]


def use_by_month(
    before: Mapping[str, int], settlements: Iterable[Settlement], zone: tzinfo
) -> dict[str, int]:
    """Energy by month of the utility's calendar, with what these settlements add to it.

    A settlement belongs to the month in which the middle of its span lies; a reversal takes its
    energy out of the same month again.
    """
    use = dict(before)
    for each in settlements:
        middle = each.since + (each.until - each.since) / 2
        month = middle.astimezone(zone).strftime("%Y-%m")
        use[month] = use.get(month, 0) + each.energy_wh
    return use


def apportioned(exact: Sequence[Decimal], total: int) -> tuple[list[int], int]:
    """Whole numbers near exact ones that add up to a total, by the largest remainders.

    Returns:
        the numbers, each less than 1 from its exact one, and what is left of the total: zero
        unless the exact ones do not add up to something near it.
    """
    floors = [int(each.to_integral_value(ROUND_FLOOR)) for each in exact]
    left = total - sum(floors)
    parts = [each - floor for each, floor in zip(exact, floors, strict=True)]
    raised = [place for place, part in enumerate(parts) if part]
    raised.sort(key=lambda place: (-parts[place], place))
    for place in raised[: max(0, left)]:
        floors[place] += 1
        left -= 1
    return floors, left


def _by_supply(settlements: Iterable[Settlement]) -> dict[int, list[Settlement]]:
    found: dict[int, list[Settlement]] = {}
    for each in settlements:
        found.setdefault(each.supply_id, []).append(each)
    return found


def _is_correction(settlement: Settlement) -> bool:
    return settlement.sign < 0 or settlement.replaces_seq is not None


def _correction(settlement: Settlement) -> BillLine:
    code = TAKEN_BACK if settlement.sign < 0 else SETTLED_ANEW
    return BillLine(
        group=Group.ADJUSTMENTS,
        code=code,
        words=settlement.reason or "",
        amount_minor=-settlement.amount_minor,
        supply_id=settlement.supply_id,
        since=settlement.since,
        until=settlement.until,
        quantity=(settlement.energy_wh * _WH).normalize() + Decimal("0.000"),
        unit="kWh",
    )


def _plain_lines(supply_id: int, settlements: Sequence[Settlement]) -> list[BillLine]:
    same = _same(settlements)
    total = sum(each.amount_minor for each in settlements)
    amounts, left = apportioned([each.amount for each in same], total)
    lines = [_line(supply_id, each, amount) for each, amount in zip(same, amounts, strict=True)]
    if left:
        lines.append(
            BillLine(
                Group.ENERGY,
                ROUNDING,
                ROUNDING,
                -left,
                supply_id=supply_id,
                kind=LineKind.ROUNDING.value,
            )
        )
    return lines


def _same(settlements: Iterable[Settlement]) -> list[_Same]:
    found: dict[tuple[object, ...], _Same] = {}
    for settlement in settlements:
        for part in settlement.parts:
            tariff = f"{part.tariff} {part.version}"
            for line in part.lines:
                key = (tariff, line.kind, line.code, line.unit, line.rate)
                there = found.get(key)
                if there is None:
                    found[key] = _first(line, tariff, part.since, part.until)
                else:
                    _add(there, line, part.since, part.until)
    return sorted(found.values(), key=lambda each: (_ORDER[each.kind], each.since, each.code))


def _first(line: ChargeLine, tariff: str, since: datetime, until: datetime) -> _Same:
    return _Same(
        kind=line.kind,
        code=line.code,
        name=line.words.partition(":")[0],
        tariff=tariff,
        since=since,
        until=until,
        amount=line.amount,
        quantity=line.quantity,
        unit=line.unit,
        rate=line.rate,
    )


def _add(there: _Same, line: ChargeLine, since: datetime, until: datetime) -> None:
    there.since, there.until = min(there.since, since), max(there.until, until)
    there.amount += line.amount
    if there.quantity is not None and line.quantity is not None and line.unit != "%":
        there.quantity += line.quantity


def _line(supply_id: int, same: _Same, amount: int) -> BillLine:
    return BillLine(
        group=Group.ENERGY,
        code=same.code,
        words=same.name,
        amount_minor=-amount,
        supply_id=supply_id,
        kind=same.kind.value,
        tariff=same.tariff,
        since=same.since,
        until=same.until,
        quantity=None if same.unit in _PERCENTS[:1] else same.quantity,
        unit=same.unit,
        rate=same.rate,
    )


def _billed(
    supply_id: int, settlements: Sequence[Settlement], point: str, meters: Mapping[int, str]
) -> BilledSupply:
    plain = [each for each in settlements if not _is_correction(each)]
    return BilledSupply(
        supply_id=supply_id,
        point=point,
        since=min((each.since for each in plain), default=None),
        until=max((each.until for each in plain), default=None),
        energy_wh=sum(each.energy_wh for each in settlements),
        registers=_registers(plain, meters),
    )


def _registers(
    settlements: Iterable[Settlement], meters: Mapping[int, str]
) -> tuple[Register, ...]:
    """Registers at the begin of the first settlement and at the end of the last one."""
    found: dict[tuple[str, str], Register] = {}
    for each in sorted(settlements, key=lambda each: each.since):
        for meter in each.readings.get("meters", ()):
            number = meters.get(meter["device"], "")
            for name, last in meter["end"].items():
                before = found.get((number, name))
                first = meter["begin"].get(name, last) if before is None else before.first_wh
                found[number, name] = Register(number, name, first, last, each.is_estimated)
    return tuple(found.values())


def devices_of(settlements: Iterable[Settlement]) -> set[int]:
    """The meters that settlements rest on."""
    return {
        int(meter["device"]) for each in settlements for meter in each.readings.get("meters", ())
    }
