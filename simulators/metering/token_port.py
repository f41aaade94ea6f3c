"""Tokens by wire: what the meter keeps of the last one (docs/token-block.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.token_block import TokenResult, TokenStatus, fingerprint
from simulators.meter_state import MeterState
from simulators.results import TokenResult as MeterAnswer
from vending.sts import StsError, decode

_RESULTS: Final = {result.word: result for result in TokenResult}
NOT_AUTHENTIC: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class TokenReport:
    """What came of the last token by wire.  Energies in Wh."""

    sequence: int = 0
    status: TokenStatus = TokenStatus.NONE
    result: TokenResult = TokenResult.NONE
    token_class: int | None = None
    """Class x 256 + subclass; None: not authentic."""
    fingerprint: int = 0
    credit_added_wh: int = 0
    credit_after_wh: int = 0
    locked_for_s: int = 0


NO_REPORT: Final = TokenReport()


def report(sequence: int, digits: str, kind: int | None, answer: MeterAnswer) -> TokenReport:
    """What is kept of an answer."""
    return TokenReport(
        sequence=sequence,
        status=TokenStatus.FINISHED,
        result=_RESULTS[answer.outcome.value],
        token_class=kind,
        fingerprint=fingerprint(digits),
        credit_added_wh=answer.credit_added_wh,
        credit_after_wh=answer.credit_wh,
        locked_for_s=answer.locked_for_s,
    )


def class_of(digits: str, state: MeterState) -> int | None:
    """Class x 256 + subclass under the meter's key of now; None where it is not authentic."""
    try:
        token = decode(digits, state.cipher())
    except StsError:
        return None
    return token.token_class << 8 | token.subclass if token.crc_ok else None
