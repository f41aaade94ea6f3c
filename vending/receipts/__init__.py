"""Receipts: what was given out, as data, and what people get to read of it."""
