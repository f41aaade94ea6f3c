"""Vending keys, wrapped."""

from __future__ import annotations


def make() -> None:
    """Make the tables."""
