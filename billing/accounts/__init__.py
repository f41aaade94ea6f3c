"""Customers, accounts, agreements, supplies, contacts (specs/utility.md 1-4).

`numbers` account numbers · `looking` what the other rooms ask · `tables`.
"""
