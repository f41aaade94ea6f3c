"""Vendors, their credit, terminals."""

from __future__ import annotations


def make() -> None:
    """Make the tables."""
