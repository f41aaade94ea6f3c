"""Vouchers: printed secrets that stand for money."""
