"""Giving an STS meter its token by wire, and knowing what it said.

A token is money.  With a sequence number (see docs/token-block.md) nothing is left open: the
meter answers for the last number that it saw, however often it is asked, and takes the same
number with the same digits only once.  So a lost answer is asked for again, and the same call
may be made again.

Without one the standard itself still protects the customer: a meter takes a token once, and
answers UsedError when it sees it again.  But then a lost answer stays unknown here.

Digits are never put into messages, logs or results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from protocols.errors import RemoteProtocolError
from protocols.modbus.errors import ModbusValueError
from protocols.modbus.items import Table, Value
from protocols.modbus.meter import Delivery, ModbusMeter, Sent
from protocols.modbus.profile import TokenSpec
from protocols.modbus.registers import RegisterType, from_digits, from_text
from protocols.modbus.results import Outcome, TokenLoad
from protocols.token_block import TokenResult, check_sequence, fingerprint, plain_digits
from protocols.transport.errors import LinkError

_POLL_S: Final = 0.2
_REPORT_ITEMS: Final = (
    "token_sequence",
    "token_status",
    "token_result",
    "token_fingerprint",
    "token_credit_added",
    "token_credit_after",
    "token_locked_s",
    "credit",
)
_ACCEPTED: Final = frozenset(result.word for result in TokenResult if result.is_accepted)


async def load_token(meter: ModbusMeter, digits: str, sequence: int | None = None) -> TokenLoad:
    """Give a meter a token.

    Args:
        meter: one whose profile has a token block.
        digits: 20 digits; spaces and dashes are ignored.
        sequence: 1-9999, another one for each token of this meter, the same one for the same
            token; for meters whose block has a sequence number, and only for these.

    Raises:
        ModbusValueError: no such meter.
        TokenBlockError: not 20 digits, or a sequence number that is none.
    """
    spec = meter.profile.token
    if spec is None:
        raise ModbusValueError(
            f"{meter.profile.maker} {meter.profile.model} takes no tokens by wire."
        )
    if spec.has_sequence != (sequence is not None):
        needs = "needs" if spec.has_sequence else "knows no"
        raise ModbusValueError(f"{meter.profile.model} {needs} sequence numbers for tokens.")
    plain = plain_digits(digits)
    if sequence is None:
        return await _without_sequence(meter, spec, plain)
    return await _with_sequence(meter, spec, plain, check_sequence(sequence))


async def _with_sequence(
    meter: ModbusMeter, spec: TokenSpec, digits: str, sequence: int
) -> TokenLoad:
    before = await _report(meter)
    if isinstance(before, str):
        text = f"Nothing was sent, since the meter could not be asked first: {before}"
        return TokenLoad(outcome=Outcome.FAILED, text=text, was_sent=False, sequence=sequence)
    if before.get("token_sequence") == sequence:
        if before.get("token_fingerprint") not in (None, fingerprint(digits)):
            text = f"Number {sequence} was used for another token; take another number."
            return TokenLoad(outcome=Outcome.FAILED, text=text, was_sent=False, sequence=sequence)
        return await _await_result(meter, spec, sequence, None)
    sent = await _send(meter, spec, digits, sequence)
    if sent.delivery is Delivery.REFUSED:
        return TokenLoad(
            outcome=Outcome.FAILED,
            text=str(sent.refusal),
            was_sent=True,
            sequence=sequence,
            refusal=sent.refusal,
        )
    return await _await_result(meter, spec, sequence, sent)


async def _await_result(
    meter: ModbusMeter, spec: TokenSpec, sequence: int, sent: Sent | None
) -> TokenLoad:
    """Ask until the meter has finished with this number.

    Args:
        meter: the meter.
        spec: its token block.
        sequence: the number that was or may have been sent.
        sent: how sending ended; None: it was sent by an earlier call.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + spec.finish_ms / 1000
    while True:
        is_late = clock() >= deadline
        report = await _report(meter)
        if not isinstance(report, str):
            if report.get("token_sequence") != sequence:
                if sent is not None and sent.delivery is Delivery.CONFIRMED:
                    # It has the token, and may be slow: only what it shows can end this.
                    if is_late:
                        report = "The meter has taken the token and does not show it yet."
                        break
                    await asyncio.sleep(_POLL_S)
                    continue
                trouble = sent.trouble if sent is not None else ""
                text = f"The token did not reach the meter; send it again. {trouble}".strip()
                return TokenLoad(
                    outcome=Outcome.FAILED, text=text, was_sent=True, sequence=sequence
                )
            if report.get("token_status") == "finished":
                return _finished(report, sequence, was_sent=sent is not None)
        if is_late:
            break
        await asyncio.sleep(min(_POLL_S, spec.finish_ms / 1000))
    why = report if isinstance(report, str) else "The meter still works on it."
    text = f"{why} Ask again with the same number: the meter takes a token only once."
    return TokenLoad(
        outcome=Outcome.UNKNOWN, text=text, was_sent=sent is not None, sequence=sequence
    )


async def _without_sequence(meter: ModbusMeter, spec: TokenSpec, digits: str) -> TokenLoad:
    sent = await _send(meter, spec, digits, None)
    if sent.delivery is Delivery.REFUSED:
        return TokenLoad(
            outcome=Outcome.FAILED, text=str(sent.refusal), was_sent=True, refusal=sent.refusal
        )
    if sent.delivery is Delivery.CONFIRMED:
        await asyncio.sleep(min(_POLL_S, spec.finish_ms / 1000))
        report = await _report(meter)
        if not isinstance(report, str):
            return _finished(report, None, was_sent=True)
        sent = Sent(Delivery.IN_DOUBT, None, report)
    text = (
        f"{sent.trouble} The token may be sent again: if the meter took it, it answers UsedError."
    )
    return TokenLoad(outcome=Outcome.UNKNOWN, text=text, was_sent=True, refusal=sent.refusal)


async def _send(meter: ModbusMeter, spec: TokenSpec, digits: str, sequence: int | None) -> Sent:
    encode = from_text if spec.layout.type is RegisterType.ASCII else from_digits
    words = encode(spec.layout, digits)
    register = spec.register
    if sequence is not None:
        words, register = (sequence, *words), register - 1
    sent = await meter.send(meter.write_request(Table.HOLDING, register, words))
    if spec.trigger_register is None or sent.delivery is not Delivery.CONFIRMED:
        return sent
    trigger = meter.write_request(Table.HOLDING, spec.trigger_register, (spec.trigger,))
    return await meter.send(trigger)


async def _report(meter: ModbusMeter) -> Mapping[str, Value] | str:
    """What the meter says of its last token, or why it says nothing."""
    names = [name for name in _REPORT_ITEMS if name in meter.profile.items]
    try:
        readings = await meter.read(names)
    except (LinkError, RemoteProtocolError) as error:
        return str(error)
    if fault := readings.faults.get("token_result") or readings.faults.get("token_sequence"):
        return str(fault)
    return readings.values


def _finished(report: Mapping[str, Value], sequence: int | None, *, was_sent: bool) -> TokenLoad:
    result = report.get("token_result")
    accepted = result in _ACCEPTED
    added, after = report.get("token_credit_added"), report.get("token_credit_after")
    credit = after if after is not None else report.get("credit")
    locked = report.get("token_locked_s")
    return TokenLoad(
        outcome=Outcome.DONE if accepted else Outcome.FAILED,
        text=f"The meter says {result}.",
        was_sent=was_sent,
        sequence=sequence,
        result=result if isinstance(result, str) else None,
        credit_added_wh=added if isinstance(added, int) else None,
        credit_wh=credit if isinstance(credit, int) else None,
        locked_for_s=locked if isinstance(locked, int) else 0,
    )
