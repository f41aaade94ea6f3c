"""The token block on Modbus: the one write that carries a token.

Everything else of the block are items of the profile ``meterhouse-keypad``, which
`protocols.modbus` reads and lays out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocols.token_block.block import (
    TOKEN_DIGITS,
    TokenBlockError,
    check_sequence,
    plain_digits,
)

TOKEN_REGISTER: Final = 0x0200
"""Of the sequence number; the digits follow."""
TOKEN_REGISTERS: Final = 1 + TOKEN_DIGITS // 2
RELAY_REGISTER: Final = 0x0300
RELAY_OPEN: Final = 1
RELAY_ALLOW_CLOSE: Final = 2
RELAY_CLOSE: Final = 3


def encode_token(sequence: int, digits: str) -> tuple[int, ...]:
    """The 11 registers from `TOKEN_REGISTER` on: number, then two ASCII digits each.

    Raises:
        TokenBlockError: not 20 digits, or a number that is not 1-9999.
    """
    octets = plain_digits(digits).encode("ascii")
    words = (int.from_bytes(octets[at : at + 2], "big") for at in range(0, TOKEN_DIGITS, 2))
    return (check_sequence(sequence), *words)


def decode_token(words: Sequence[int]) -> tuple[int, str]:
    """Sequence number and digits of a write to `TOKEN_REGISTER`; for the meter's side.

    Raises:
        TokenBlockError: not 11 registers with a number 1-9999 and 20 ASCII digits.
    """
    if len(words) != TOKEN_REGISTERS:
        raise TokenBlockError(f"A token is written as {TOKEN_REGISTERS} registers at once.")
    octets = b"".join(word.to_bytes(2, "big") for word in words[1:])
    if not (octets.isascii() and octets.isdigit()):
        raise TokenBlockError("The token's registers do not hold 20 ASCII digits.")
    return check_sequence(words[0]), octets.decode("ascii")
