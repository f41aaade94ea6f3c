"""A tariff as a document: what people write in TOML or JSON, and what the office stores.

The words are explained in docs/rates.md.  Numbers are decimals, best written as text ("0.55"); a
TOML number is taken by its digits, never as a float.  Unknown words are refused, and all faults of
a document are told at once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from billing.tariffs.faults import RateDocumentError
from billing.tariffs.power_factor import STANDARDS
from billing.tariffs.reading import Place
from billing.tariffs.spelling import DIGITS
from billing.tariffs.tariff import (
    Blocks,
    Capacity,
    Demand,
    Energy,
    Fee,
    Free,
    OnChange,
    Period,
    PowerFactor,
    Prorate,
    Register,
    Rounding,
    Step,
    Surcharge,
    Tariff,
    Tax,
)
from vending.shop.money import Currency

_SIZE_MAX: Final = 100_000
_REGISTERS: Final = tuple(f"t{number}" for number in range(1, 9))
KINDS: Final = ("energy", "demand", "fixed", "power_factor", "surcharge")
"""Words in ``on`` that stand for all lines of a kind."""
_FACTOR_KINDS: Final = ("energy", "demand", "fixed")
_HUNDRED: Final = Decimal(100)


def read_document(document: str, currency: Currency) -> Tariff:
    """A tariff from TOML, or from JSON when it begins with ``{``.

    Raises:
        RateDocumentError: it has faults; tells all of them.
    """
    if document.lstrip().startswith("{"):
        return read_json(document, currency)
    return read_toml(document, currency)


def currency_of(document: str) -> str | None:
    """The currency that a document names; None where it names none, or cannot be read."""
    try:
        plain = (
            json.loads(document) if document.lstrip().startswith("{") else tomllib.loads(document)
        )
    except (ValueError, RecursionError):  # a TOMLDecodeError is one
        return None
    named = plain.get("currency")
    return named if isinstance(named, str) else None


def read_toml(text: str, currency: Currency) -> Tariff:
    """A tariff from a TOML document.

    Raises:
        RateDocumentError: it cannot be read, or makes no sense; tells all faults.
    """
    try:
        plain = tomllib.loads(_sized(text), parse_float=str)
    except tomllib.TOMLDecodeError as fault:
        raise RateDocumentError([f"document: is not TOML: {fault}."]) from None
    return from_data(plain, currency)


def read_json(text: str, currency: Currency) -> Tariff:
    """A tariff from a JSON document.

    Raises:
        RateDocumentError: it cannot be read, or makes no sense; tells all faults.
    """
    try:
        plain = json.loads(_sized(text), parse_float=str)
    except (ValueError, RecursionError) as fault:
        raise RateDocumentError([f"document: is not JSON: {fault}."]) from None
    return from_data(plain, currency)


def from_data(plain: object, currency: Currency) -> Tariff:
    """A tariff from a document's values.

    Raises:
        RateDocumentError: it makes no sense; tells all faults.
    """
    faults: list[str] = []
    place = Place(plain, "", faults)
    code, name = place.code("code"), place.text("name")
    told = place.text("currency", currency.code)
    if told != currency.code:
        place.fault("currency", f"is {told}; this utility's is {currency.code}")
    tariff = Tariff(
        code=code,
        name=name,
        currency=currency,
        energy=place.part("energy", _energy) or Energy(),
        blocks=place.part("blocks", _blocks),
        free=place.part("free", _free),
        capacity=place.part("capacity", _capacity),
        demand=place.part("demand", _demand),
        power_factor=place.part("power_factor", _power_factor),
        fees=place.parts("fees", _fee),
        surcharges=place.parts("surcharges", _surcharge),
        taxes=place.parts("taxes", _tax),
        rounding=place.word("rounding", Rounding, Rounding.HALF_UP),
    )
    place.done()
    _judge(tariff, place)
    if faults:
        raise RateDocumentError(faults)
    return tariff


def from_json(stored: str) -> Tariff:
    """A tariff that `to_json` has written."""
    plain = json.loads(stored)
    return from_data(plain, Currency(plain["currency"], plain.pop(DIGITS)))


# --- reading ------------------------------------------------------------------------------------


def _sized(text: str) -> str:
    if len(text) > _SIZE_MAX:
        raise RateDocumentError([f"document: has more than {_SIZE_MAX} characters."])
    return text


def _energy(place: Place) -> Energy:
    names = place.table("names")
    registers = _rates(place, "rates", names)
    _judge_names(place, names, {each.code for each in registers})
    return Energy(place.maybe("rate"), registers)


def _judge_names(place: Place, names: dict[str, Any], rated: set[str]) -> None:
    for code in sorted(set(names) - rated):
        place.fault(f"names.{code}", "has no rate; add it to rates, or take the name out")


def _rates(place: Place, name: str, names: dict[str, Any]) -> tuple[Register, ...]:
    plain = place.table(name)
    inner = Place(plain, place.at(name), place.faults)
    texts = Place(names, place.at("names"), place.faults)
    found = []
    for code in _REGISTERS:
        if code in plain:
            text = texts.text(code, code)
            found.append(Register(code, text, inner.number(code)))
    inner.done()
    return tuple(found)


def _blocks(place: Place) -> Blocks:
    period = place.word("period", Period, Period.MONTH)
    prorate = place.word("prorate", Prorate, Prorate.DAYS)
    on_change = place.word("on_change", OnChange, OnChange.ACCUMULATE)
    names = place.table("names")
    steps = place.parts("steps", lambda step: _step(step, names))
    _judge_names(place, names, {each.code for step in steps for each in step.registers})
    if period is Period.MONTH and prorate is Prorate.MONTHS:
        place.fault("prorate", "'months' is for steps by the year; take 'days' or 'none'")
    if not steps:
        place.fault("steps", "is missing; give at least one step")
        return Blocks(period, steps, prorate, on_change)
    before = 0
    for number, step in enumerate(steps, 1):
        at = f"steps[{number}].up_to"
        last = number == len(steps)
        if last != (step.up_to_wh is None):
            place.fault(at, "the last step, and only it, has no 'up_to': it takes the rest")
        elif step.up_to_wh is not None and step.up_to_wh <= before:
            place.fault(at, "must reach further than the step before it")
        before = step.up_to_wh or before
    forms = {(step.rate is None, step.adds is None, bool(step.registers)) for step in steps}
    if len(forms) > 1:
        place.fault("steps", "give all of them 'rate', or all 'adds', or all 'rates'")
    if len({tuple(each.code for each in step.registers) for step in steps}) > 1:
        place.fault("steps", "all of them need rates for the same registers")
    return Blocks(period, steps, prorate, on_change)


def _step(place: Place, names: dict[str, Any]) -> Step:
    registers = _rates(place, "rates", dict(names))
    step = Step(place.wh("up_to"), place.maybe("rate"), place.maybe("adds"), registers)
    if (step.rate is not None) + (step.adds is not None) + bool(registers) != 1:
        place.fault("", "needs exactly one of 'rate', 'adds' (on top of energy) and 'rates'")
    return step


def _free(place: Place) -> Free:
    wh = place.wh("kwh")
    if not wh:
        place.fault("kwh", "is missing; give the free kWh of a month, above zero")
    prorate = place.word("prorate", Prorate, Prorate.DAYS)
    if prorate is Prorate.MONTHS:
        place.fault("prorate", "take 'days' or 'none'")
    return Free(
        wh or 0,
        place.number("rate"),
        prorate,
        place.words("classes"),
        place.text("name", "free units"),
    )


def _capacity(place: Place) -> Capacity:
    unit = place.text("unit", "kVA")
    if unit not in ("kVA", "kW"):
        place.fault("unit", "must be kVA or kW")
    return Capacity(unit, place.number("per_month"), place.text("name", "capacity"))


def _demand(place: Place) -> Demand:
    demand = Demand(
        place.number("per_month"),
        place.number("at_least_percent", most=_HUNDRED)
        if place.has("at_least_percent")
        else Decimal(0),
        place.maybe("excess_over_percent", least=Decimal(1)),
        place.maybe("excess_per_month"),
        place.text("name", "demand"),
    )
    over = demand.excess_over_percent
    if (over is None) != (demand.excess_per_month is None):
        place.fault("", "'excess_over_percent' and 'excess_per_month' go together")
    if over is not None and over < demand.at_least_percent:
        place.fault("excess_over_percent", "must not be below 'at_least_percent'")
    return demand


def _power_factor(place: Place) -> PowerFactor:
    standard = place.number("standard", most=Decimal(1), digits=2)
    hundredths = int(standard * 100)
    if hundredths not in STANDARDS:
        place.fault("standard", "must be 0.90, 0.85 or 0.80")
    on = place.words("on") or ("energy", "demand")
    for word in on:
        if word not in _FACTOR_KINDS:
            place.fault("on", f"{word!r} is none of {', '.join(_FACTOR_KINDS)}")
    return PowerFactor(hundredths, on, place.text("name", "power factor"))


def _fee(place: Place) -> Fee:
    fee = Fee(
        place.code("code"), place.text("name"), place.maybe("per_day"), place.maybe("per_month")
    )
    if (fee.per_day is None) == (fee.per_month is None):
        place.fault("", "needs either 'per_day' or 'per_month'")
    return fee


def _surcharge(place: Place) -> Surcharge:
    code, name = place.code("code"), place.text("name")
    rate = place.maybe("rate", least=None)
    percent = place.maybe("percent", least=-_HUNDRED, most=_HUNDRED, digits=4)
    if (rate is None) == (percent is None):
        place.fault("", "needs either 'rate' (per kWh) or 'percent'")
    on = place.words("on", needed=percent is not None)
    if rate is not None and on:
        place.fault("on", "is for percentages; a rate is on every kWh")
    return Surcharge(code, name, rate, percent, on)


def _tax(place: Place) -> Tax:
    return Tax(
        place.code("code"),
        place.text("name"),
        place.number("percent", most=_HUNDRED, digits=4),
        place.words("on", needed=True),
        place.flag("contained"),
    )


# --- what belongs together ----------------------------------------------------------------------


def _judge(tariff: Tariff, place: Place) -> None:
    if not any(fault.startswith(("energy", "blocks")) for fault in place.faults):
        _judge_energy(tariff, place)  # else it would tell what follows from those
    _judge_codes(tariff, place)
    known = [*_FACTOR_KINDS, "power_factor", "surcharge"]
    codes = [fee.code for fee in tariff.fees]
    codes += [each.code for each in tariff.surcharges if each.rate is not None]
    codes += ["capacity"] if tariff.capacity is not None else []
    for number, added in enumerate(tariff.surcharges, 1):
        if added.percent is not None:
            _judge_on(place, f"surcharges[{number}]", added.on, [*known, *codes])
            codes.append(added.code)
    for number, tax in enumerate(tariff.taxes, 1):
        _judge_on(place, f"taxes[{number}]", tax.on, [*known, *codes])
        if not tax.contained:
            codes.append(tax.code)


def _judge_energy(tariff: Tariff, place: Place) -> None:
    energy, blocks = tariff.energy, tariff.blocks
    if energy.rate is not None and energy.registers:
        place.fault("energy", "needs either 'rate' or 'rates', not both")
    base = energy.rate is not None or bool(energy.registers)
    adds = blocks is not None and any(step.adds is not None for step in blocks.steps)
    if blocks is None and not base:
        place.fault("energy", "is missing; give 'rate', or 'rates' by register, or blocks")
    elif adds and not base:
        place.fault("energy", "is missing; the steps add to it")
    elif blocks is not None and not adds and base:
        place.fault("energy", "the steps have whole rates; take 'energy' out or use 'adds'")


def _judge_codes(tariff: Tariff, place: Place) -> None:
    seen = {"capacity", "tax", *KINDS}
    for name, items in (
        ("fees", tariff.fees),
        ("surcharges", tariff.surcharges),
        ("taxes", tariff.taxes),
    ):
        codes: Iterable[str] = (each.code for each in items)
        for number, code in enumerate(codes, 1):
            if code and code in seen:
                place.fault(f"{name}[{number}].code", f"{code!r} is taken; choose another")
            seen.add(code)


def _judge_on(place: Place, where: str, on: Iterable[str], known: list[str]) -> None:
    for word in on:
        if word not in known:
            place.fault(
                f"{where}.on",
                f"{word!r} is not known, or comes later; it may be on {', '.join(known)}",
            )
