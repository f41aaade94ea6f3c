"""A receipt as JSON for other programs, as docs/receipt.schema.json describes it."""

from __future__ import annotations

from typing import Any, Final

from vending.receipts.receipt import Receipt

FORMAT: Final = "meterhouse-receipt"
VERSION: Final = 2
"""Rises with every field that is added; 1 had no fields of tariffs, debts and reversals."""


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """A receipt as plain values for JSON, with the name and version of their form."""
    return {"format": FORMAT, "version": VERSION, **receipt.to_json()}
