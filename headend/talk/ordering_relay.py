"""Orders to a contact, and to the meter's own power protection.

"Accepted" is not "supply on": after *allow close* the contact waits for the customer's button, and
the details say so (`awaits_button`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, Final

from headend.orders.values import OrderKind
from headend.talk.ordering_values import (
    Call,
    OrderOutcome,
    Ready,
    done,
    failed,
    not_done,
    unknown,
)
from protocols.dlt645.fields import RelayCommand
from protocols.dlt645.master import MeterRefusal, RelayResult
from protocols.dlt645.master.orders import read_until
from protocols.dlt645.master.relay_orders import shows
from protocols.dlt645.status_words import StatusWord3
from protocols.dlt645.times import MeterTime
from protocols.errors import RemoteProtocolError
from protocols.modbus import ModbusValueError, RelayAction, order_relay

COMMANDS: Final = {
    OrderKind.RELAY_TRIP: RelayCommand.TRIP,
    OrderKind.RELAY_CLOSE: RelayCommand.DIRECT_CLOSE,
    OrderKind.RELAY_ALLOW_CLOSE: RelayCommand.ALLOW_CLOSE,
    OrderKind.KEEP_POWER_ON: RelayCommand.PROTECTION_ON,
    OrderKind.KEEP_POWER_OFF: RelayCommand.PROTECTION_OFF,
}
ACTIONS: Final = {
    OrderKind.RELAY_TRIP: RelayAction.OPEN,
    OrderKind.RELAY_CLOSE: RelayAction.CLOSE,
    OrderKind.RELAY_ALLOW_CLOSE: RelayAction.ALLOW_CLOSE,
}
_VALID: Final = timedelta(minutes=10)
"""After so long on its own clock a meter refuses an order that was held up on its way."""
_PROTECTED: Final = {OrderKind.KEEP_POWER_ON: "yes", OrderKind.KEEP_POWER_OFF: "no"}
_CONTACT_ITEMS: Final = ("contact_state", "relay_control", "contact_open_reasons")
_POLL_S: Final = 0.2
LOOK_SETTLE_S: Final = 2.0
"""How long a look waits for a contact that does not show the order yet: it was sent a while ago."""


@dataclass(frozen=True, slots=True)
class DltRelay:
    """1CH, with status word 3 before and after (spec sections 2.5 and 4.5)."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        master, address = self.call.master, self.call.device.address
        evidence: dict[str, Any] = {}
        try:
            word = await master.read_status_word_3(address)
        except RemoteProtocolError:
            pass  # a meter without this word can be ordered; less is known afterwards
        else:
            if self._is_so_already(word):
                return done(f"Nothing to do: {_words(word)}.", was_sent=False, **_details(word))
            evidence["contact_open"] = word.relay_off
            evidence["ordered_open"] = word.relay_command_off
            evidence["protected"] = word.power_protection
        shown = (await master.read_clock(address)).at(UTC)
        truth = self.call.local_now().replace(tzinfo=UTC)
        evidence["clock_ahead_s"] = (shown - truth) // timedelta(seconds=1)
        return Ready(evidence)

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        ahead = timedelta(seconds=int(evidence.get("clock_ahead_s", 0)))
        result = await self.call.master.relay(
            self.call.device.address,
            self._command,
            MeterTime.of(self.call.local_now() + ahead + _VALID),
            self.call.key.password,
            self.call.key.operator,
        )
        return _outcome(result)

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        master, address = self.call.master, self.call.device.address
        word = await read_until(
            lambda: master.read_status_word_3(address),
            lambda word: shows(self._command, word) is not False,
            LOOK_SETTLE_S,
        )
        shown = shows(self._command, word)
        if shown is None:
            # the bit of protection: what it never showed, it cannot show now
            if evidence.get("protected") and self._command is RelayCommand.PROTECTION_OFF:
                return not_done("The meter still protects the supply.", **_details(word))
            return unknown(
                "Its status word does not show it. It may be ordered again: that does no harm.",
                **_details(word),
            )
        if shown:
            return done(f"The meter shows it: {_words(word)}.", **_details(word))
        if self._is_taken(word) and not self._was_taken(evidence):
            return unknown(
                f"The meter has taken the order, but {_words(word)}. Look again later.",
                **_details(word),
            )
        return not_done(f"It was not carried out: {_words(word)}.", **_details(word))

    @property
    def _command(self) -> RelayCommand:
        return COMMANDS[self.call.command.kind]

    def _is_so_already(self, word: StatusWord3) -> bool:
        if self._command is RelayCommand.TRIP:
            return word.relay_off and word.relay_command_off
        if self._command in (RelayCommand.DIRECT_CLOSE, RelayCommand.ALLOW_CLOSE):
            return not word.relay_off and not word.relay_command_off
        return self._command is RelayCommand.PROTECTION_ON and word.power_protection

    def _is_taken(self, word: StatusWord3) -> bool:
        if self._command is RelayCommand.TRIP:
            return word.relay_command_off
        return self._command is RelayCommand.DIRECT_CLOSE and not word.relay_command_off

    def _was_taken(self, evidence: Mapping[str, Any]) -> bool:
        ordered_open = evidence.get("ordered_open")
        if ordered_open is None:
            return False
        return bool(ordered_open) == (self._command is RelayCommand.TRIP)


@dataclass(frozen=True, slots=True)
class ModbusRelay:
    """The order register of a profile, with the contact read before and after."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        profile = self.call.meter.profile
        if profile.relay is None or self._action not in profile.relay.commands:
            return failed(f"{profile.maker} {profile.model} takes no order {self._action.value!r}.")
        contact, control, details = await self._state()
        if self._is_so(contact, control):
            return done(f"Nothing to do: the contact is {contact}.", was_sent=False, **details)
        return Ready({"contact": contact, "control": control})

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        result = await order_relay(self.call.meter, self._action)
        details = _modbus_details(result.contact_state, result.relay_control, result.open_reasons)
        return OrderOutcome(
            outcome=result.outcome, words=result.text, was_sent=result.was_sent, details=details
        )

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + LOOK_SETTLE_S
        while True:
            is_late = clock() >= deadline
            contact, control, details = await self._state()
            if self._is_so(contact, control):
                return done(f"The meter shows it: the contact is {contact}.", **details)
            if is_late:
                return not_done(f"It was not carried out: the contact is {contact}.", **details)
            await asyncio.sleep(_POLL_S)

    @property
    def _action(self) -> RelayAction:
        return ACTIONS[self.call.command.kind]

    async def _state(self) -> tuple[Any, Any, dict[str, Any]]:
        meter = self.call.meter
        readings = await meter.read([n for n in _CONTACT_ITEMS if n in meter.profile.items])
        if fault := readings.faults.get("contact_state"):
            raise fault
        contact = readings.values.get("contact_state")
        control = readings.values.get("relay_control")
        reasons = readings.values.get("contact_open_reasons")
        return contact, control, _modbus_details(contact, control, reasons)

    def _is_so(self, contact: Any, control: Any) -> bool:
        if self._action is RelayAction.OPEN:
            return bool(contact == "open" and control in (None, "open"))
        if self._action is RelayAction.CLOSE:
            return bool(contact == "closed" and control != "open")
        return bool(control in ("close_allowed", "closed"))


@dataclass(frozen=True, slots=True)
class ModbusKeepPower:
    """The register that makes a meter refuse orders to open."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        held = await self._held()
        if held == self._wanted:
            return done(f"Nothing to do: protected is {held}.", was_sent=False)
        return Ready({"protected": held})

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        result = await self.call.meter.write("relay_protected", self._wanted)
        return OrderOutcome(outcome=result.outcome, words=result.text, was_sent=True)

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        held = await self._held()
        if held == self._wanted:
            return done(f"The meter shows it: protected is {held}.")
        return not_done(f"It was not carried out: protected is {held}.")

    @property
    def _wanted(self) -> str:
        return _PROTECTED[self.call.command.kind]

    async def _held(self) -> Any:
        meter = self.call.meter
        if "relay_protected" not in meter.profile.items:
            raise ModbusValueError(
                f"{meter.profile.maker} {meter.profile.model} cannot protect a supply."
            )
        readings = await meter.read(["relay_protected"])
        if fault := readings.faults.get("relay_protected"):
            raise fault
        return readings.values["relay_protected"]


def _outcome(result: RelayResult) -> OrderOutcome:
    details = {} if result.status is None else _details(result.status)
    if isinstance(result.refusal, MeterRefusal):
        details["refused"] = True
    return OrderOutcome(
        outcome=result.outcome, words=result.text, was_sent=result.was_sent, details=details
    )


def _details(word: StatusWord3) -> dict[str, Any]:
    return {
        "supply_on": not word.relay_off,
        "awaits_button": word.relay_off and not word.relay_command_off,
        "protected": word.power_protection,
    }


def _modbus_details(contact: Any, control: Any, reasons: Any) -> dict[str, Any]:
    details: dict[str, Any] = {
        "supply_on": contact == "closed",
        "awaits_button": contact == "open" and control == "close_allowed",
    }
    if reasons:
        details["open_because"] = list(reasons)
    return details


def _words(word: StatusWord3) -> str:
    if not word.relay_off:
        return "the contact is closed"
    if word.relay_command_off:
        return "the contact is open"
    return "the contact is open and may be closed by its button"
