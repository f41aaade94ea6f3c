"""Receipts in JSON: as docs/receipt.schema.json says, and readable back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from tests.receipts.samples import CREDIT, SAMPLES
from tests.receipts.strategies import receipts
from vending import Receipt, receipt_json
from vending.receipts.record import VERSION

SCHEMA: Any = json.loads(
    (Path(__file__).parents[2] / "docs" / "receipt.schema.json").read_text("utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["version"]["const"] == VERSION


@pytest.mark.parametrize("name", SAMPLES)
def test_a_receipt_is_as_the_schema_says(name: str) -> None:
    VALIDATOR.validate(json.loads(json.dumps(receipt_json(SAMPLES[name]))))


def test_a_field_that_the_schema_does_not_know_is_found() -> None:
    assert not VALIDATOR.is_valid({**receipt_json(CREDIT), "secret": 1})
    assert not VALIDATOR.is_valid({**receipt_json(CREDIT), "copy_no": "1"})


@settings(max_examples=50)
@given(receipts())
def test_any_receipt_comes_back_from_json(receipt: Receipt) -> None:
    plain = json.loads(json.dumps(receipt.to_json()))
    assert Receipt.from_json(plain) == receipt
