"""A prepayment meter with a keypad: 20 digits in, electricity until they are used up.

The meter owns no clock and no thread: whoever runs it says what time it is, and the meter
catches up from the last time it was told.  A meter is its `MeterState`, a load, a half-typed
entry and a message; tens of thousands fit into one process.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from simulators.contact import RemoteControl
from simulators.display import kwh, money, remote_lines, supply_line
from simulators.errors import NoPowerError, TimeBackwardsError
from simulators.keypad import Typing
from simulators.load import ConstantLoad, LoadProfile
from simulators.meter_state import MeterKey, MeterState
from simulators.moments import second_of, utc
from simulators.nameplate import Nameplate
from simulators.purse import Purse
from simulators.results import TokenResult
from simulators.supply import OpenReason, Registers, Supply, supplied
from simulators.token_entry import enter

MESSAGE_FOR: Final = timedelta(seconds=15)
"""How long a token's result stays on the display, unless a key is pressed."""


class KeypadMeter:
    """One meter.  Every time is an aware `datetime` and none may lie before an earlier one."""

    __slots__ = ("_load", "_message", "_message_until", "_state", "_typing")

    def __init__(self, state: MeterState, load: LoadProfile | None = None) -> None:
        """A meter as its state describes it.

        Args:
            state: see `new` for a factory-fresh meter, `state_file` for a saved one.
            load: what the home draws; nothing unless given.
        """
        self._state = replace(state, supply=_looked_at(state.supply))
        self._load: LoadProfile = ConstantLoad(0) if load is None else load
        self._typing = Typing()
        self._message: tuple[str, ...] = ()
        self._message_until: datetime | None = None

    @classmethod
    def new(
        cls,
        nameplate: Nameplate,
        key: MeterKey,
        now: datetime,
        load: LoadProfile | None = None,
        *,
        credit_wh: int = 0,
        power_limit_w: int | None = None,
    ) -> KeypadMeter:
        """A meter that was just put up, with the credit that the factory gave it.

        Raises:
            SimulatorValueError: the key's length does not fit the nameplate's algorithm, or a
                figure is negative.
            NaiveTimeError: ``now`` carries no zone.
        """
        supply = Supply(Registers().with_credit(credit_wh), power_limit_w)
        return cls(MeterState(nameplate, key, utc(now), supply=supply), load)

    # --- time and the home ---------------------------------------------------------------

    def advance(self, now: datetime) -> None:
        """Meter up to ``now``.

        Raises:
            TimeBackwardsError: ``now`` lies before a time given earlier.
            NaiveTimeError: ``now`` carries no zone.
        """
        now, before = utc(now), self._state
        if now < before.now:
            raise TimeBackwardsError(
                f"The meter was already told {before.now:%Y-%m-%d %H:%M:%S.%f} UTC; "
                f"{now:%Y-%m-%d %H:%M:%S.%f} UTC lies before it."
            )
        supply = before.supply
        if before.has_power:
            supply = supplied(
                supply, self._load, before.nameplate, second_of(before.now), second_of(now)
            )
        self._state = replace(before, now=now, supply=supply, pending=before.pending.at(now))

    def set_load(self, load: LoadProfile, now: datetime) -> None:
        """Let the home draw something else from now on."""
        self.advance(now)
        self._load = load
        self.advance(now)

    def open_cover(self, now: datetime) -> None:
        """Open the terminal cover: the meter takes it for tampering, with or without power."""
        self.advance(now)
        self._set_supply(replace(self.supply, cover_is_open=True, is_tampered=True))

    def close_cover(self, now: datetime) -> None:
        """Shut the terminal cover; a tamper condition stays until a token clears it."""
        self.advance(now)
        self._set_supply(replace(self.supply, cover_is_open=False))

    def order(self, remote: RemoteControl, now: datetime) -> None:
        """Put an order by wire in force; the contact follows at once."""
        self.advance(now)
        self._set_supply(replace(self.supply, remote=remote))

    def press_button(self, now: datetime) -> None:
        """Press the button that closes the contact, where an order by wire allows it.

        Raises:
            NoPowerError: the meter has no power.
        """
        self.advance(now)
        self._require_power()
        self._set_supply(replace(self.supply, remote=self.supply.remote.button_pressed()))

    def set_purse(self, purse: Purse | None, now: datetime) -> None:
        """Change the money in a meter that counts it; the contact follows at once."""
        self.advance(now)
        self._set_supply(replace(self.supply, purse=purse))

    def power_off(self, now: datetime) -> None:
        """The mains fail: nothing is consumed, half-typed digits and messages are lost."""
        self.advance(now)
        supply = replace(self.supply, overload_since=None)
        self._state = replace(self._state, supply=supply, has_power=False)
        self._typing = Typing()
        self._message, self._message_until = (), None

    def power_on(self, now: datetime) -> None:
        """The mains are back."""
        self.advance(now)
        self._state = replace(self._state, has_power=True)
        self.advance(now)

    def _set_supply(self, supply: Supply) -> None:
        self._state = replace(self._state, supply=supply)
        self.advance(self.now)  # the contact follows at once

    # --- keypad and display --------------------------------------------------------------

    def enter_token(self, digits: str, now: datetime) -> TokenResult:
        """Enter a whole token, as if it were typed.

        Args:
            digits: 20 digits; spaces and dashes are ignored.
            now: the time of the last digit.

        Raises:
            NoPowerError: the meter has no power.
            TimeBackwardsError, NaiveTimeError: see `advance`.
        """
        self.advance(now)
        self._require_power()
        self._state, result = enter(self._state, digits)
        self._typing = Typing()
        self._message = (result.outcome.value, *(result.lines or (result.text,)))
        self._message_until = self._state.now + MESSAGE_FOR
        self.advance(now)  # the contact follows at once
        return result

    def take_token(self, digits: str, now: datetime) -> TokenResult:
        """Take a token from the port: as `enter_token`, but typing and display go on undisturbed.

        Raises:
            NoPowerError, TimeBackwardsError, NaiveTimeError: see `enter_token`.
        """
        self.advance(now)
        self._require_power()
        self._state, result = enter(self._state, digits)
        self.advance(now)  # the contact follows at once
        return result

    def press(self, key: str, now: datetime) -> TokenResult | None:
        """Press one key: a digit ``"0"`` .. ``"9"``, or `keypad.BACKSPACE`.

        Returns:
            The answer to the token when this was its twentieth digit, else None.

        Raises:
            UnknownKeyError: the keypad has no such key.
            NoPowerError: the meter has no power.
            TimeBackwardsError, NaiveTimeError: see `advance`.
        """
        self.advance(now)
        self._require_power()
        self._typing = self._typing.with_key(key, self._state.now)
        self._message, self._message_until = (), None
        if not self._typing.is_complete:
            return None
        return self.enter_token(self._typing.digits, now)

    def display(self, now: datetime) -> tuple[str, ...]:
        """The lines on the display; none without power.

        First what is being typed, or the last result, or the credit; then the contact and why;
        then warnings.
        """
        self.advance(now)
        if not self.has_power:
            return ()
        lines = [*self.main_lines, supply_line(self.supply)]
        if self.is_low_credit:
            lines.append("LOW CREDIT")
        lines += remote_lines(self.supply.remote, second_of(self.now))
        if self.locked_for_s:
            lines.append(f"LOCKED {self.locked_for_s} s")
        return tuple(lines)

    def _require_power(self) -> None:
        if not self.has_power:
            raise NoPowerError("The meter has no power: its keypad and display are dead.")

    # --- what can be read off ------------------------------------------------------------

    @property
    def state(self) -> MeterState:
        """All that the meter must not forget, as of the last time that it was told."""
        return self._state

    @property
    def nameplate(self) -> Nameplate:
        """Identity and ratings."""
        return self._state.nameplate

    @property
    def now(self) -> datetime:
        """The last time that the meter was told, UTC."""
        return self._state.now

    @property
    def has_power(self) -> bool:
        """Whether the mains are there."""
        return self._state.has_power

    @property
    def load(self) -> LoadProfile:
        """What the home would draw."""
        return self._load

    @property
    def supply(self) -> Supply:
        """Registers, limits and contact."""
        return self._state.supply

    @property
    def registers(self) -> Registers:
        """Accepted, consumed, remaining and cleared energy."""
        return self._state.supply.registers

    @property
    def open_reasons(self) -> tuple[OpenReason, ...]:
        """Why the contact is open; empty when it is closed."""
        return self._state.supply.open_reasons

    @property
    def is_lit(self) -> bool:
        """Whether the home has electricity: mains there, contact closed."""
        return self.has_power and self._state.supply.is_closed

    @property
    def drawn_w(self) -> int:
        """What the home draws now, in W: its load while it is lit."""
        return self._load.watts_at(second_of(self.now)) if self.is_lit else 0

    @property
    def is_low_credit(self) -> bool:
        """Whether the credit is below the warning threshold."""
        if self.supply.purse is not None:
            return self.supply.purse.is_low
        return self.registers.remaining_wh < self.nameplate.low_credit_wh

    @property
    def locked_for_s(self) -> int:
        """How long the keypad's lock still lasts, whole seconds; 0 when it is open."""
        return self._state.lock.locked_for_s(self.now)

    @property
    def main_lines(self) -> tuple[str, ...]:
        """What is being typed, or the last result, or the credit; none without power."""
        if not self.has_power:
            return ()
        if self.typed:
            return (self.typed,)
        if self._message_until is not None and self.now < self._message_until:
            return self._message
        purse = self.supply.purse
        return (kwh(self.registers.remaining_wh) if purse is None else money(purse),)

    @property
    def typed(self) -> str:
        """The unfinished entry as the display shows it: ``1234-5678-9``."""
        return self._typing.at(self.now).shown


def _looked_at(supply: Supply) -> Supply:
    """The same with its contact known, so that the first movement counts as one."""
    if supply.log.is_closed is not None:
        return supply
    return replace(supply, log=supply.log.seen(closed=supply.is_closed, second=0))
