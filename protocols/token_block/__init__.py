"""The token block: how an STS keypad meter takes tokens and tells its credit by wire.

Vendors differ, so where things stand is part of each meter's profile.  This package has what
they share and the reference that our simulated meters speak, on Modbus and on DL/T 645; see
docs/token-block.md.
"""

from protocols.token_block.block import (
    SEQUENCE_MAX,
    TOKEN_DIGITS,
    TokenBlockError,
    TokenResult,
    TokenStatus,
    check_sequence,
    fingerprint,
    following_sequence,
    plain_digits,
)

__all__ = [
    "SEQUENCE_MAX",
    "TOKEN_DIGITS",
    "TokenBlockError",
    "TokenResult",
    "TokenStatus",
    "check_sequence",
    "fingerprint",
    "following_sequence",
    "plain_digits",
]
