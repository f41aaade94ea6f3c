"""The worked examples of `examples/`, which anyone may extend (see its README)."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from billing.tariffs.document import read_toml
from billing.tariffs.pricing import price
from billing.tariffs.values import LineKind, MonthBefore, Usage
from billing.tariffs.version import TariffVersion
from tests.billing.tariffs.spreadsheet import rows
from tests.billing.tariffs.strategies import ZONE
from vending import Currency

HERE = Path(__file__).parent / "examples"
DOCUMENTS = Path(__file__).parents[3] / "docs" / "examples"
_CUT = Fraction(1, 10**8)
"""Major units: lines with more digits are cut there."""
_WORDS = {
    "since",
    "until",
    "kwh",
    "before",
    "kw",
    "kw_before",
    "capacity",
    "kvarh",
    "month_before",
    "supply_since",
    "supply_ends",
    "version_since",
    "version_ends",
    "class",
    "carried",
    "tax_carried",
}


def _examples() -> list[Any]:
    return [
        pytest.param(example, id=f"{file.stem}: {example['about']}")
        for file in sorted(HERE.glob("*.toml"))
        for example in tomllib.loads(file.read_text("utf-8"))["example"]
    ]


def _with_a_second_opinion() -> list[Any]:
    """All but those of which the second program does not know what was charged before."""
    return [each for each in _examples() if each.values[0].get("second_opinion") is not False]


def test_there_are_examples_of_every_kind() -> None:
    assert len(_examples()) >= 35
    assert len(_with_a_second_opinion()) >= len(_examples()) - 1
    assert len(list(HERE.glob("*.toml"))) >= 9


@pytest.mark.parametrize("example", _examples())
def test_req12_the_example_costs_what_was_computed_by_hand(example: dict[str, Any]) -> None:
    money = Currency.named(example.get("currency", "CNY"))
    tariff = read_toml(_document(example), money)
    words = example["usage"]
    assert set(words) <= _WORDS, "a word of the usage is not known"
    begins = _moment(words.get("version_since", "2020-01-01"))
    priced = price(TariffVersion(1, begins.astimezone(UTC), tariff), _usage(words, money), ZONE)

    assert money.text(priced.amount_minor) == example["amount"]
    assert money.text(priced.tax_minor) == example["tax"]
    if "carried" in example:
        assert priced.carried == Decimal(example["carried"])
    minor = 10**money.minor_digits
    ours = [
        (line.code, Fraction(line.amount) / minor)
        for line in priced.lines
        if line.unit != "contained"
    ]
    _compare(ours, example)


@pytest.mark.parametrize("example", _with_a_second_opinion())
def test_req12_a_second_program_has_the_same_lines(example: dict[str, Any]) -> None:
    words = example["usage"]
    before = words.get("month_before", {})
    usage = {
        "since": _moment(words["since"]),
        "until": _moment(words["until"]),
        "wh": {code: _milli(text) for code, text in words["kwh"].items()},
        "before": {period: _milli(text) for period, text in words.get("before", {}).items()},
        "varh": _maybe(words, "kvarh"),
        "demand_w": _maybe(words, "kw"),
        "capacity": _maybe(words, "capacity"),
        "supply_since": _moment(words["supply_since"]) if "supply_since" in words else None,
        "supply_ends": words.get("supply_ends"),
        "version_since": _moment(words.get("version_since", "2020-01-01")),
        "version_ends": words.get("version_ends"),
        "customer_class": words.get("class"),
        "month_before": {
            "active_wh": _milli(before.get("kwh", "0")),
            "reactive_varh": _milli(before.get("kvarh", "0")),
            "charges": sum(Fraction(before.get(kind, 0)) for kind in ("energy", "demand", "fixed")),
        },
    }
    told = [row for row in rows(tomllib.loads(_document(example)), usage) if row[1]]
    _compare(told, example)


def _compare(found: list[tuple[str, Fraction]], example: dict[str, Any]) -> None:
    def summed(lines: list[tuple[str, Fraction]]) -> dict[str, Fraction]:
        sums: dict[str, Fraction] = {}
        for code, amount in lines:
            sums[code] = sums.get(code, Fraction(0)) + amount
        return {code: amount for code, amount in sums.items() if amount}

    ours = summed(found)
    theirs = summed([(code, Fraction(amount)) for code, amount in example["lines"]])
    assert ours.keys() == theirs.keys()
    for code, amount in theirs.items():
        assert abs(ours[code] - amount) <= 2 * _CUT, code


def _document(example: dict[str, Any]) -> str:
    document: str = example["tariff"]
    return (DOCUMENTS / document).read_text("utf-8") if document.endswith(".toml") else document


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def _milli(text: str) -> int:
    exact = Fraction(text) * 1000
    assert exact.denominator == 1
    return exact.numerator


def _maybe(words: dict[str, Any], name: str) -> int | None:
    return _milli(words[name]) if name in words else None


def _usage(words: dict[str, Any], money: Currency) -> Usage:
    minor = 10**money.minor_digits
    before = words.get("month_before")
    month_before = None
    if before is not None:
        charges = {
            LineKind(kind): Decimal(before[kind]) * minor
            for kind in ("energy", "demand", "fixed")
            if kind in before
        }
        month_before = MonthBefore(_milli(before["kwh"]), _milli(before["kvarh"]), charges)
    since = _moment(words["since"])
    begun = _moment(words["supply_since"]).astimezone(UTC) if "supply_since" in words else None
    return Usage(
        since.astimezone(UTC),
        _moment(words["until"]).astimezone(UTC),
        {code: _milli(text) for code, text in words["kwh"].items()},
        demand_w=_maybe(words, "kw"),
        reactive_varh=_maybe(words, "kvarh"),
        before_wh={period: _milli(text) for period, text in words.get("before", {}).items()},
        carried=Decimal(words.get("carried", 0)),
        tax_carried=Decimal(words.get("tax_carried", 0)),
        supply_since=begun,
        supply_ends=words.get("supply_ends", False),
        version_ends=words.get("version_ends", False),
        capacity=_maybe(words, "capacity"),
        demand_before_w=_maybe(words, "kw_before"),
        month_before=month_before,
        customer_class=words.get("class", ""),
    )
