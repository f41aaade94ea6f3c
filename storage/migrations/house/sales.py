"""What the counter gives out: new kinds of requests and receipts, intents, advice."""

from __future__ import annotations


def make() -> None:
    """Make the tables."""
