"""Tariffs, charges, debts, free basic allowances."""

from __future__ import annotations


def make() -> None:
    """Make the tables."""
