"""Customers, accounts, agreements, supplies, contacts (specs/utility.md 1-4)."""
