"""Vouchers: printed secrets that stand for money (specs/utility.md, requirement 6).

A batch of vouchers is made, printed and later made valid (activated); each secret pays for one
sale, once.  The secrets exist on paper only: the database holds what proves one, not what it is.
"""
