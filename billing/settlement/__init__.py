"""Readings become amounts, each interval once (specs/utility.md 11, 13-15)."""
