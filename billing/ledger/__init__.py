"""Entries of customers' accounts: each moves money between an account and the general books.

`tables` the entries · `entry` what is posted, what was · `posting` post and look · `books` the
accounts of the general ledger that stand on the other side.
"""
