"""What a consumption costs (specs/utility.md 12).

`values` is what the rest of the office sees of it.
"""
