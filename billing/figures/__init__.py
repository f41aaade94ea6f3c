"""Figures for managers (specs/utility.md 28): by month, by area, by channel.

`months` what a month brought · `mix` by which channels · `area` whose accounts are meant.
"""
