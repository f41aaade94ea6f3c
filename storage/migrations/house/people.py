"""Operators, roles, API keys, two-person acts, the audit chain."""

from __future__ import annotations


def make() -> None:
    """Make the tables."""
