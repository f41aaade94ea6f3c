"""Prepaid accounts: balance, warning, disconnect, payment, reconnect.

Rules: specs/utility.md 14, 16, 17, 22 and 26.
"""
