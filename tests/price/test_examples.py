"""Worked examples, and the tariff files of the documentation."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.price.strategies import ZAR
from vending.price.document import from_data, read_json, read_toml, to_data, to_json
from vending.price.quoting import quote
from vending.price.situation import DueCharge, Of, OpenDebt, Scheme, SchemeKind, Situation
from vending.price.tariff import Tariff

DOCUMENTED = Path(__file__).parent.parent.parent / "docs" / "examples"
EXAMPLES = tomllib.loads((Path(__file__).parent / "examples.toml").read_text())["example"]


def _tariff(source: str) -> Tariff:
    text = (DOCUMENTED / source).read_text() if source.endswith(".toml") else source
    return read_toml(text, ZAR)


def _situation(plain: dict[str, Any], tariff: Tariff) -> Situation:
    names = {charge.code: charge.name for charge in tariff.charges}
    return Situation(
        channel=plain.get("channel", "cash"),
        month_units=plain.get("month_units", 0),
        carried_minor=plain.get("carried_minor", 0),
        charges=tuple(
            DueCharge(code, names[code], month, amount)
            for code, month, amount in plain.get("charges", ())
        ),
        debts=tuple(
            OpenDebt(
                number, name, left, Scheme(SchemeKind(scheme), rate or None, fixed or None, Of(of))
            )
            for number, (name, left, scheme, rate, fixed, of) in enumerate(plain.get("debts", ()))
        ),
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["about"])
def test_a_worked_example_comes_out_as_computed_by_hand(example: dict[str, Any]) -> None:
    tariff = _tariff(example["tariff"])
    situation = _situation(example.get("situation", {}), tariff)
    sold = quote(tariff, situation, example["tendered"], ZAR)
    assert sold.units == example["units"]
    assert [
        [line.kind.value, line.amount_minor, line.explanation] for line in sold.lines
    ] == example["lines"]
    assert sum(amount for _, amount, _ in example["lines"]) == example["tendered"]


@pytest.mark.parametrize("file", sorted(DOCUMENTED.glob("tariff-*.toml")), ids=lambda f: f.stem)
def test_a_documented_tariff_is_read_and_written_without_a_loss(file: Path) -> None:
    tariff = read_toml(file.read_text(), ZAR)
    assert from_data(to_data(tariff, ZAR), ZAR) == tariff
    assert read_json(to_json(tariff, ZAR), ZAR) == tariff
