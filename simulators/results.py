"""What a meter answers to a token: the standard's own words (IEC 62055-41, clause 7.1).

The first part are results of the meter application process; ``Locked`` is the keypad's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """The result's name as the standard writes it."""

    ACCEPT = "Accept"
    FIRST_KCT = "1stKCT"
    SECOND_KCT = "2ndKCT"
    THIRD_KCT = "3rdKCT"
    FOURTH_KCT = "4thKCT"
    OVERFLOW_ERROR = "OverflowError"
    KEY_TYPE_ERROR = "KeyTypeError"
    FORMAT_ERROR = "FormatError"
    RANGE_ERROR = "RangeError"
    FUNCTION_ERROR = "FunctionError"
    CRC_ERROR = "CRCError"
    MFR_CODE_ERROR = "MfrCodeError"
    OLD_ERROR = "OldError"
    USED_ERROR = "UsedError"
    KEY_EXPIRED_ERROR = "KeyExpiredError"
    DDTK_ERROR = "DDTKError"
    LOCKED = "Locked"

    @property
    def is_accepted(self) -> bool:
        """Whether the token did what it says, or is kept as a part of a key change."""
        return self in _ACCEPTED

    @property
    def text(self) -> str:
        """The result for a person, one sentence."""
        return _TEXTS[self]


_ACCEPTED = frozenset(
    {
        Outcome.ACCEPT,
        Outcome.FIRST_KCT,
        Outcome.SECOND_KCT,
        Outcome.THIRD_KCT,
        Outcome.FOURTH_KCT,
    }
)

_TEXTS = {
    Outcome.ACCEPT: "Accepted.",
    Outcome.FIRST_KCT: "First part of a key change taken: enter the other parts.",
    Outcome.SECOND_KCT: "Second part of a key change taken: enter the other parts.",
    Outcome.THIRD_KCT: "Third part of a key change taken: enter the other parts.",
    Outcome.FOURTH_KCT: "Fourth part of a key change taken: enter the other parts.",
    Outcome.OVERFLOW_ERROR: "The meter cannot hold this much credit; use some, then enter the "
    "token again.",
    Outcome.KEY_TYPE_ERROR: "This change of the key's type is not allowed.",
    Outcome.FORMAT_ERROR: "This is not a token that the standard knows; check the 20 digits.",
    Outcome.RANGE_ERROR: "The token holds a value that this meter does not have.",
    Outcome.FUNCTION_ERROR: "This meter does not do what the token asks for.",
    Outcome.CRC_ERROR: "Wrong number: mistyped, or made for another meter or another key.",
    Outcome.MFR_CODE_ERROR: "This test is for meters of another manufacturer.",
    Outcome.OLD_ERROR: "Too old: newer tokens have taken this one's place.",
    Outcome.USED_ERROR: "This token was used already.",
    Outcome.KEY_EXPIRED_ERROR: "The meter's key has expired for this token: the key must be "
    "changed first.",
    Outcome.DDTK_ERROR: "The meter still has a default key and takes no credit: enter its key "
    "change first.",
    Outcome.LOCKED: "The keypad is locked after wrong numbers; wait, then try again.",
}


@dataclass(frozen=True, slots=True)
class TokenResult:
    """A meter's answer to one token."""

    outcome: Outcome
    text: str
    """For a person: what happened, or why not."""
    token: str | None = None
    """What the token turned out to be; None while it is not authentic."""
    credit_added_wh: int = 0
    credit_wh: int = 0
    """Credit remaining after the token, whole Wh."""
    lines: tuple[str, ...] = ()
    """What a meter test shows on the display."""
    locked_for_s: int = 0
    """How long the keypad is locked from now, whole seconds."""

    @property
    def is_accepted(self) -> bool:
        """See `Outcome.is_accepted`."""
        return self.outcome.is_accepted
