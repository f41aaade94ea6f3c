"""Giving an STS keypad meter its token over DL/T 645 (docs/token-block.md).

A token is money.  It travels with a sequence number that makes the write safe to repeat: the
meter answers for the last number that it saw, and takes the same number with the same digits only
once.  So its report is read first, the token goes out once, and the report is read until the
meter has finished.  Digits are never put into messages or results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocols.dlt645.addresses import Address
from protocols.dlt645.fields import Password
from protocols.dlt645.master.conversation import Conversation, Delivery, Sent
from protocols.dlt645.master.errors import MeterRefusal
from protocols.dlt645.master.orders import READ_FAULTS, one_meter, require_2007
from protocols.dlt645.requests import WriteData
from protocols.errors import ProtocolError
from protocols.outcomes import Outcome
from protocols.token_block import (
    TokenResult,
    check_sequence,
    fingerprint,
    following_sequence,
    plain_digits,
)
from protocols.token_block.dlt645 import (
    REPORT_DI,
    TOKEN_DI,
    Value,
    encode_token,
    keypad_items,
)

TOKEN_FINISH_S: Final = 10.0
_POLL_S: Final = 0.2
_ACCEPTED: Final = frozenset(result.word for result in TokenResult if result.is_accepted)

Report = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLoad:
    """What came of giving a meter a token by wire."""

    outcome: Outcome
    """`Outcome.DONE`: the meter accepted it, or took it as a part of a key change."""
    text: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    """False: the meter had this token under this number before, or could not be asked."""
    sequence: int
    result: str | None = None
    """The standard's word: ``Accept``, ``UsedError`` …; None: the meter has not said."""
    credit_added_wh: int | None = None
    credit_wh: int | None = None
    """Credit right after the token."""
    locked_for_s: int = 0
    """How long the keypad is locked from now."""
    refusal: MeterRefusal | None = None


async def next_sequence(talk: Conversation, address: str) -> int:
    """The number for a meter's next token, by the last one that it saw.

    Raises:
        LinkError, RemoteProtocolError: it could not be read.
    """
    last = (await _report(talk, one_meter(address, talk.edition)))["token_sequence"]
    return following_sequence(last if isinstance(last, int) else 0)


async def load_token(
    talk: Conversation,
    address: str,
    digits: str,
    sequence: int,
    password: Password,
    operator: str,
    finish_s: float = TOKEN_FINISH_S,
) -> TokenLoad:
    """Give one meter one token; see `Master.load_token`."""
    require_2007(talk.edition, "The token block")
    meter = one_meter(address, talk.edition)
    plain = plain_digits(digits)
    request = WriteData(TOKEN_DI, password, operator, encode_token(sequence, plain))
    check_sequence(sequence)
    async with talk.order_turn(meter):
        try:
            before = await _report(talk, meter)
        except READ_FAULTS as error:
            text = f"Nothing was sent, since the meter could not be asked first: {error}"
            return TokenLoad(outcome=Outcome.FAILED, text=text, was_sent=False, sequence=sequence)
        if before["token_sequence"] == sequence:
            if before["token_fingerprint"] not in (None, fingerprint(plain)):
                text = f"Number {sequence} was used for another token; take another number."
                return TokenLoad(
                    outcome=Outcome.FAILED, text=text, was_sent=False, sequence=sequence
                )
            return await _await_result(talk, meter, sequence, None, finish_s)
        sent = await talk.send(meter, request)
        if sent.delivery is Delivery.NOT_SENT:
            return TokenLoad(
                outcome=Outcome.FAILED, text=sent.trouble, was_sent=False, sequence=sequence
            )
        return await _await_result(talk, meter, sequence, sent, finish_s)


async def _await_result(
    talk: Conversation, meter: Address, sequence: int, sent: Sent | None, finish_s: float
) -> TokenLoad:
    """Ask until the meter has finished with this number.

    Args:
        talk: the line.
        meter: who was given the token.
        sequence: its number.
        sent: how sending ended; None: it was sent by an earlier call.
        finish_s: seconds that the meter may take.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + finish_s
    accepted = sent is not None and sent.delivery is Delivery.ACCEPTED
    while True:
        is_late = clock() >= deadline
        trouble: ProtocolError | None = None
        try:
            report = await _report(talk, meter)
        except READ_FAULTS as error:
            trouble = error
        else:
            if report["token_sequence"] == sequence:
                if report["token_status"] == "finished":
                    return _finished(report, sequence, sent)
            elif not accepted:
                return _did_not_arrive(sequence, sent)
        if is_late:
            break
        await asyncio.sleep(min(_POLL_S, finish_s))
    why = str(trouble) if trouble is not None else "The meter has not finished with it."
    return TokenLoad(
        outcome=Outcome.UNKNOWN,
        text=f"{why} Ask again with the same number: the meter takes a token only once.",
        was_sent=sent is not None,
        sequence=sequence,
        refusal=None if sent is None else sent.refusal,
    )


async def _report(talk: Conversation, meter: Address) -> Report:
    """What the meter says of its last token.

    Raises:
        TokenBlockContentError: the answer is no report.
        LinkError, RemoteProtocolError: see `Conversation.read`.
    """
    raw = await talk.read_di(meter, REPORT_DI)
    return keypad_items()[REPORT_DI].decode(raw.data)


def _did_not_arrive(sequence: int, sent: Sent | None) -> TokenLoad:
    trouble = "" if sent is None else sent.trouble
    return TokenLoad(
        outcome=Outcome.FAILED,
        text=f"The meter did not take the token; it may be sent again. {trouble}".strip(),
        was_sent=sent is not None,
        sequence=sequence,
        refusal=None if sent is None else sent.refusal,
    )


def _finished(report: Report, sequence: int, sent: Sent | None) -> TokenLoad:
    result = report["token_result"]
    added, after = report["token_credit_added"], report["token_credit_after"]
    locked = report["token_locked_s"]
    return TokenLoad(
        outcome=Outcome.DONE if result in _ACCEPTED else Outcome.FAILED,
        text=f"The meter says {result}.",
        was_sent=sent is not None,
        sequence=sequence,
        result=result if isinstance(result, str) else None,
        credit_added_wh=added if isinstance(added, int) else None,
        credit_wh=after if isinstance(after, int) else None,
        locked_for_s=locked if isinstance(locked, int) else 0,
    )
