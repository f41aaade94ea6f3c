"""What a meter does with 20 digits (IEC 62055-41, clauses 7 and 8): a state in, a state out.

The order is the standard's, and a token that is refused at one step changes nothing further:

1. decode the digits (FormatError), look at the class; the keypad's lock lets only class 1 by
2. decrypt and **authenticate**: CRCError; for class 1 also MfrCodeError
3. **validate** a token that has a TID: UsedError, OldError, KeyExpiredError, DDTKError
4. **apply**: Accept, 1stKCT .. 4thKCT, OverflowError, RangeError, FunctionError, KeyTypeError,
   FormatError.  Only a token that was accepted uses up its TID.

A meter with an initialisation key (KT 0) takes nothing but key changes and test tokens; the
rest are FunctionErrors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from simulators.display import kwh, supply_line, test_lines, tests_breaker
from simulators.key_change_entry import enter_section
from simulators.keypad import EntryLock
from simulators.meter_state import MeterState
from simulators.moments import second_of
from simulators.results import Outcome, TokenResult
from simulators.supply import WS_PER_WH
from simulators.token_memory import TokenMemory
from vending.sts import (
    ClearCredit,
    ClearTamperCondition,
    Content,
    CreditRegister,
    CurrencyCredit,
    InitiateMeterTest,
    InvalidValueError,
    KeySection,
    KeyType,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    TokenFormatError,
    TransferCredit,
    decode,
)
from vending.sts.amount import WH_PER_UNIT
from vending.sts.content import TEST_CLASS, StampedContent
from vending.sts.token import untranspose


@dataclass(frozen=True, slots=True)
class _Answer:
    """An outcome and the state that it leaves, before the keypad's lock is counted."""

    outcome: Outcome
    state: MeterState
    content: Content | None = None
    detail: str = ""
    credit_added_wh: int = 0
    lines: tuple[str, ...] = ()


def enter(state: MeterState, digits: str) -> tuple[MeterState, TokenResult]:
    """Enter a token at the time that the state is of.

    Args:
        state: up to date; with power.
        digits: 20 digits; spaces and dashes are ignored, anything else is a FormatError.
    """
    answer = _answer(state, digits)
    after = replace(answer.state, lock=_lock_after(answer, state))
    locked_for_s = after.lock.locked_for_s(after.now)
    sentences = [answer.outcome.text, answer.detail]
    if locked_for_s:
        sentences.append(f"Keypad locked for {locked_for_s} s.")
    return after, TokenResult(
        outcome=answer.outcome,
        text=" ".join(filter(None, sentences)),
        token=None if answer.content is None else answer.content.name,
        credit_added_wh=answer.credit_added_wh,
        credit_wh=after.supply.registers.remaining_wh,
        lines=answer.lines,
        locked_for_s=locked_for_s,
    )


def _lock_after(answer: _Answer, state: MeterState) -> EntryLock:
    lock = state.lock
    if answer.outcome.is_accepted:
        return lock if isinstance(answer.content, InitiateMeterTest) else EntryLock()
    if lock.locked_for_s(state.now):
        return lock
    return lock.after_rejection(state.now)


def _answer(state: MeterState, digits: str) -> _Answer:
    is_locked = state.lock.locked_for_s(state.now) > 0
    try:
        token_class = untranspose(digits)[1]
    except TokenFormatError:
        return _Answer(Outcome.LOCKED if is_locked else Outcome.FORMAT_ERROR, state)
    if is_locked and token_class != TEST_CLASS:
        return _Answer(Outcome.LOCKED, state)
    try:
        token = decode(digits, state.cipher())
    except InvalidValueError:  # authentic, but a key section that the standard does not allow
        return _Answer(Outcome.FORMAT_ERROR, state)
    if token.content is None:
        return _Answer(Outcome.CRC_ERROR, state)
    objection = _objection_to(token.content, state)
    if objection is not None:
        return _Answer(objection, state, token.content)
    return _applied(token.content, state)


def _objection_to(content: Content, state: MeterState) -> Outcome | None:
    if isinstance(content, InitiateMeterTest):
        maker, digits = content.manufacturer_code, 4 if content.four_digit_manufacturer else 2
        is_ours = maker == 0 or state.nameplate.is_made_by(maker, digits)
        return None if is_ours else Outcome.MFR_CODE_ERROR
    if isinstance(content, KeySection):
        return None
    if isinstance(content, StampedContent):
        objection = state.memory.objection_to(content.tid)
        if objection is not None:
            return objection
        if content.tid >> 16 > state.key.ken:
            return Outcome.KEY_EXPIRED_ERROR
        if state.key.key_type is KeyType.DEFAULT and isinstance(
            content, TransferCredit | CurrencyCredit
        ):
            return Outcome.DDTK_ERROR
    if state.key.key_type is KeyType.INITIALISATION:
        return Outcome.FUNCTION_ERROR
    return None


def _applied(content: Content, state: MeterState) -> _Answer:
    apply = _APPLY.get(type(content))
    if apply is None:
        return _Answer(Outcome.FUNCTION_ERROR, state, content)
    answer = apply(content, state)
    if answer.outcome is not Outcome.ACCEPT or not isinstance(content, StampedContent):
        return answer
    memory = answer.state.memory.with_used(content.tid)
    return replace(answer, state=replace(answer.state, memory=memory))


def _transfer_credit(token: TransferCredit, state: MeterState) -> _Answer:
    if token.service is not Service.ELECTRICITY:
        detail = f"It is for {token.service.name.lower()}."
        return _Answer(Outcome.FUNCTION_ERROR, state, token, detail)
    if state.nameplate.counts_money:
        return _Answer(Outcome.FUNCTION_ERROR, state, token, "This meter counts money.")
    added_wh = token.amount * WH_PER_UNIT
    registers = state.supply.registers
    if registers.remaining_ws + added_wh * WS_PER_WH > state.nameplate.credit_max_wh * WS_PER_WH:
        return _Answer(Outcome.OVERFLOW_ERROR, state, token)
    registers = registers.with_credit(added_wh)
    supply = replace(state.supply, registers=registers, remote=state.supply.remote.topped_up())
    return _Answer(
        Outcome.ACCEPT,
        replace(state, supply=supply),
        token,
        f"{kwh(added_wh)} added, {kwh(registers.remaining_wh)} of credit now.",
        added_wh,
    )


def _meter_test(test: InitiateMeterTest, state: MeterState) -> _Answer:
    if test.control == 0:
        return _Answer(Outcome.RANGE_ERROR, state, test, "It asks for no test.")
    lines = test_lines(test, state)
    if tests_breaker(test):
        test_until = second_of(state.now) + state.nameplate.breaker_test_s
        state = replace(state, supply=replace(state.supply, test_until=test_until))
    return _Answer(Outcome.ACCEPT, state, test, lines=lines)


def _power_limit(token: SetMaximumPowerLimit, state: MeterState) -> _Answer:
    supply = replace(
        state.supply, power_limit_w=token.limit_w, overload_since=None, overload_until=None
    )
    detail = f"The power limit is {token.limit_w} W now."
    return _Answer(Outcome.ACCEPT, replace(state, supply=supply), token, detail)


def _clear_credit(token: ClearCredit, state: MeterState) -> _Answer:
    if token.register not in (CreditRegister.ELECTRICITY, CreditRegister.ALL):
        return _Answer(Outcome.RANGE_ERROR, state, token)
    registers = state.supply.registers
    supply = replace(state.supply, registers=registers.without_credit())
    detail = f"{kwh(registers.remaining_wh)} of credit cleared."
    return _Answer(Outcome.ACCEPT, replace(state, supply=supply), token, detail)


def _tariff_rate(token: SetTariffRate, state: MeterState) -> _Answer:
    if not state.nameplate.takes_tariff_rate:
        return _Answer(Outcome.FUNCTION_ERROR, state, token)
    return _Answer(Outcome.ACCEPT, replace(state, tariff_rate=token.rate), token)


def _clear_tamper(token: ClearTamperCondition, state: MeterState) -> _Answer:
    supply = replace(state.supply, is_tampered=False)
    detail = "The cover is still open." if supply.cover_is_open else f"Now {supply_line(supply)}."
    return _Answer(Outcome.ACCEPT, replace(state, supply=supply), token, detail)


def _phase_unbalance(token: SetMaximumPhasePowerUnbalanceLimit, state: MeterState) -> _Answer:
    if state.nameplate.phases != 3:
        return _Answer(Outcome.FUNCTION_ERROR, state, token)
    supply = replace(state.supply, phase_unbalance_limit_w=token.limit_w)
    detail = f"The phase unbalance limit is {token.limit_w} W now."
    return _Answer(Outcome.ACCEPT, replace(state, supply=supply), token, detail)


def _water_factor(token: SetWaterMeterFactor, state: MeterState) -> _Answer:
    if not state.nameplate.takes_water_factor:
        return _Answer(Outcome.FUNCTION_ERROR, state, token)
    return _Answer(Outcome.ACCEPT, replace(state, water_factor=token.factor), token)


def _key_section(section: KeySection, state: MeterState) -> _Answer:
    entry = enter_section(
        section, state.pending.at(state.now), state.key, state.nameplate, state.now
    )
    state = replace(state, pending=entry.pending)
    change = entry.change
    if change is None:
        return _Answer(entry.outcome, state, section)
    key = state.key.after(change)
    memory = TokenMemory() if change.rollover else state.memory
    detail = f"New key: supply group {key.sgc}, revision {key.krn}, tariff {key.tariff_index}."
    return _Answer(entry.outcome, replace(state, key=key, memory=memory), section, detail)


_APPLY: Final[dict[type, Callable[[Any, MeterState], _Answer]]] = {
    TransferCredit: _transfer_credit,
    InitiateMeterTest: _meter_test,
    SetMaximumPowerLimit: _power_limit,
    ClearCredit: _clear_credit,
    SetTariffRate: _tariff_rate,
    ClearTamperCondition: _clear_tamper,
    SetMaximumPhasePowerUnbalanceLimit: _phase_unbalance,
    SetWaterMeterFactor: _water_factor,
    Set1stSectionDecoderKey: _key_section,
    Set2ndSectionDecoderKey: _key_section,
    Set3rdSectionDecoderKey: _key_section,
    Set4thSectionDecoderKey: _key_section,
}
"""What this meter does; any other token is a FunctionError."""
