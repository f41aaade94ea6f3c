"""A tariff as a document again: what the office stores, one spelling for one tariff.

`document` reads it.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from billing.tariffs.tariff import (
    Blocks,
    Capacity,
    Demand,
    Energy,
    Fee,
    Free,
    PowerFactor,
    Register,
    Surcharge,
    Tariff,
    Tax,
)

DIGITS: Final = "minor_digits"
"""What a stored tariff says besides: how many digits the currency's minor unit has."""


def to_data(tariff: Tariff) -> dict[str, Any]:
    """A tariff as a document's values; `from_data` reads them back as the same tariff."""
    return _filled(
        {
            "code": tariff.code,
            "name": tariff.name,
            "currency": tariff.currency.code,
            "rounding": tariff.rounding.value,
            "energy": None if tariff.energy == Energy() else _energy_data(tariff.energy),
            "blocks": None if tariff.blocks is None else _blocks_data(tariff.blocks),
            "free": None if tariff.free is None else _free_data(tariff.free),
            "capacity": None if tariff.capacity is None else _capacity_data(tariff.capacity),
            "demand": None if tariff.demand is None else _demand_data(tariff.demand),
            "power_factor": None
            if tariff.power_factor is None
            else _factor_data(tariff.power_factor),
            "fees": [_fee_data(each) for each in tariff.fees] or None,
            "surcharges": [_surcharge_data(each) for each in tariff.surcharges] or None,
            "taxes": [_tax_data(each) for each in tariff.taxes] or None,
        }
    )


def to_json(tariff: Tariff) -> str:
    """A tariff as it is stored: one spelling for one tariff, with all that its amounts mean."""
    stored = {**to_data(tariff), DIGITS: tariff.currency.minor_digits}
    return json.dumps(stored, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _filled(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if value is not None}


def _number(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _kwh(wh: int | None) -> str | None:
    if wh is None:
        return None
    whole, part = divmod(wh, 1000)
    return f"{whole}.{part:03d}".rstrip("0").rstrip(".")


def _rates_data(registers: tuple[Register, ...]) -> dict[str, Any] | None:
    return {each.code: _number(each.rate) for each in registers} or None


def _names_data(registers: tuple[Register, ...]) -> dict[str, Any] | None:
    return {each.code: each.name for each in registers if each.name != each.code} or None


def _energy_data(energy: Energy) -> dict[str, Any]:
    return _filled(
        {
            "rate": _number(energy.rate),
            "rates": _rates_data(energy.registers),
            "names": _names_data(energy.registers),
        }
    )


def _blocks_data(blocks: Blocks) -> dict[str, Any]:
    steps = [
        _filled(
            {
                "up_to": _kwh(step.up_to_wh),
                "rate": _number(step.rate),
                "adds": _number(step.adds),
                "rates": _rates_data(step.registers),
            }
        )
        for step in blocks.steps
    ]
    return _filled(
        {
            "period": blocks.period.value,
            "prorate": blocks.prorate.value,
            "on_change": blocks.on_change.value,
            "names": _names_data(blocks.steps[0].registers),
            "steps": steps,
        }
    )


def _free_data(free: Free) -> dict[str, Any]:
    return _filled(
        {
            "kwh": _kwh(free.wh),
            "rate": _number(free.rate),
            "prorate": free.prorate.value,
            "classes": list(free.classes) or None,
            "name": free.name,
        }
    )


def _capacity_data(capacity: Capacity) -> dict[str, Any]:
    return {
        "unit": capacity.unit,
        "per_month": _number(capacity.per_month),
        "name": capacity.name,
    }


def _demand_data(demand: Demand) -> dict[str, Any]:
    return _filled(
        {
            "per_month": _number(demand.per_month),
            "at_least_percent": _number(demand.at_least_percent),
            "excess_over_percent": _number(demand.excess_over_percent),
            "excess_per_month": _number(demand.excess_per_month),
            "name": demand.name,
        }
    )


def _factor_data(factor: PowerFactor) -> dict[str, Any]:
    return {"standard": f"0.{factor.standard}", "on": list(factor.on), "name": factor.name}


def _fee_data(fee: Fee) -> dict[str, Any]:
    return _filled(
        {
            "code": fee.code,
            "name": fee.name,
            "per_day": _number(fee.per_day),
            "per_month": _number(fee.per_month),
        }
    )


def _surcharge_data(each: Surcharge) -> dict[str, Any]:
    return _filled(
        {
            "code": each.code,
            "name": each.name,
            "rate": _number(each.rate),
            "percent": _number(each.percent),
            "on": list(each.on) or None,
        }
    )


def _tax_data(tax: Tax) -> dict[str, Any]:
    return {
        "code": tax.code,
        "name": tax.name,
        "percent": _number(tax.percent),
        "on": list(tax.on),
        "contained": tax.contained,
    }
