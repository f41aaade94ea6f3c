"""Payments through one door, exactly once; reconciliation; refunds (specs/utility.md 5-8)."""
