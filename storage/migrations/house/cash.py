"""Shifts, batches, deposit slips, commission, bank statements."""

from __future__ import annotations


def make() -> None:
    """Make the tables."""
