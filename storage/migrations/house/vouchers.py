"""Voucher batches and their secrets, hashed."""

from __future__ import annotations


def make() -> None:
    """Make the tables."""
