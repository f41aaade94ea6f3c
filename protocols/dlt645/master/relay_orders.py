"""Tripping and closing, alarm and protection: an order, and what the meter then shows.

Before and after an order status word 3 (04000503) is read (spec sections 2.5 and 4.5):

* bit 4 is the contact, bit 6 what was last asked of it (their relation is grade D),
* bit 7 the warning before a trip, bit 12 the protection (later filings only, grade C).

"Accepted" is not "supply on": after *allow close* the contact waits for the customer's button,
and many meters treat *direct close* the same way.  `RelayResult.awaits_button` says so.

==================  ==========================================================================
done                the state shows it; or the meter accepted what the word cannot show
failed              not sent, refused, or nothing of it shows in the state
unknown             the answer was lost and the state cannot be read, or was so already; or the
                    meter has taken the order and the contact has not followed yet
==================  ==========================================================================

A meter's clock past the validity time refuses each order: the refusal's text tells to read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from protocols.dlt645.addresses import Address
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import FieldRangeError
from protocols.dlt645.fields import Password, RelayCommand
from protocols.dlt645.master.conversation import Conversation, Delivery, Sent
from protocols.dlt645.master.errors import MeterRefusal
from protocols.dlt645.master.orders import READ_FAULTS, one_meter, read_until, require_2007
from protocols.dlt645.relay import EncryptedRelayControl, RelayControl
from protocols.dlt645.status_words import StatusWord3, parse_status_word_3
from protocols.dlt645.times import MeterTime
from protocols.errors import ProtocolError
from protocols.outcomes import Outcome
from protocols.transport.errors import LinkError

STATUS_WORD_3: Final = 0x04000503
RELAY_SETTLE_S: Final = 5.0
"""How long a contact may take to follow an order."""

_TRIPS: Final = (RelayCommand.TRIP,)
_DELAYED_TRIPS: Final = (
    RelayCommand.TRIP_DELAYED_DIRECT_CLOSE,
    RelayCommand.TRIP_DELAYED_ALLOW_CLOSE,
)


class RelayCipher(Protocol):
    """The operator's ESAM or key server, for meters that take orders only under its keys."""

    async def seal_relay(self, meter: str, plain_text: bytes) -> bytes:
        """Cipher text and MAC, 20 bytes in the cipher's own order.

        Args:
            meter: its address.
            plain_text: N1 N2 YY MM DD hh mm ss.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayResult:
    """What came of an order to a relay."""

    outcome: Outcome
    command: RelayCommand
    text: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    before: StatusWord3 | None
    """Status word 3 before the order; None: the meter does not tell it."""
    status: StatusWord3 | None
    """Status word 3 as read last; None: it could not be read."""
    refusal: MeterRefusal | None = None

    @property
    def supply_on(self) -> bool | None:
        """Whether the contact is closed; None: not known."""
        return None if self.status is None else not self.status.relay_off

    @property
    def awaits_button(self) -> bool:
        """Whether closing is permitted and the contact still open: the customer must press."""
        word = self.status
        return word is not None and word.relay_off and not word.relay_command_off


async def read_status_word_3(talk: Conversation, meter: Address) -> StatusWord3:
    """The relay's word.

    Raises:
        LayoutError: the meter has no such word.
        LinkError, RemoteProtocolError: see `Conversation.read`.
    """
    return parse_status_word_3((await talk.read_di(meter, STATUS_WORD_3)).data)


async def order_relay(
    talk: Conversation,
    address: str,
    command: RelayCommand,
    password: Password,
    operator: str,
    valid_until: MeterTime,
    *,
    delay_min: int | None = None,
    parameter: int = 0,
    cipher: RelayCipher | None = None,
    settle_s: float = RELAY_SETTLE_S,
) -> RelayResult:
    """Give one order to one meter's relay; see `Master.relay`."""
    require_2007(talk.edition, "Relay control")
    meter = one_meter(address, Edition.Y2007)
    if (command in _DELAYED_TRIPS) != (delay_min is not None):
        raise FieldRangeError("A delayed trip, and no other order, has a delay in minutes.")
    if delay_min is not None:
        if not 1 <= delay_min <= 0xFF:
            raise FieldRangeError(f"The delay is 1-255 minutes, not {delay_min}.")
        parameter = delay_min
    plain = RelayControl(password, operator, command, valid_until, parameter)
    async with talk.order_turn(meter):
        before: StatusWord3 | None = None
        try:
            before = await read_status_word_3(talk, meter)
        except LinkError as error:
            text = f"Nothing was sent, since the meter could not be asked first: {error}"
            return RelayResult(
                outcome=Outcome.FAILED,
                command=command,
                text=text,
                was_sent=False,
                before=None,
                status=None,
            )
        except READ_FAULTS:
            pass  # a meter without this word can be ordered; the result says what is not known
        request: RelayControl | EncryptedRelayControl = plain
        if cipher is not None:
            sealed = await cipher.seal_relay(meter, plain.plain_text())
            request = EncryptedRelayControl(operator, sealed)
        sent = await talk.send(meter, request)
        return await _settled(talk, meter, command, before, sent, settle_s)


async def _settled(
    talk: Conversation,
    meter: Address,
    command: RelayCommand,
    before: StatusWord3 | None,
    sent: Sent,
    settle_s: float,
) -> RelayResult:
    after: StatusWord3 | None = None
    trouble: ProtocolError | None = None
    if sent.delivery is not Delivery.NOT_SENT:
        refused = sent.delivery is Delivery.REFUSED
        try:
            after = await read_until(
                lambda: read_status_word_3(talk, meter),
                lambda word: refused or shows(command, word) is not False,
                settle_s,
            )
        except READ_FAULTS as error:
            trouble = error
    outcome, text = _concluded(command, before, after, sent, trouble)
    return RelayResult(
        outcome=outcome,
        command=command,
        text=text,
        was_sent=sent.delivery is not Delivery.NOT_SENT,
        before=before,
        status=after,
        refusal=sent.refusal,
    )


def shows(command: RelayCommand, word: StatusWord3) -> bool | None:
    """Whether status word 3 shows an order as carried out; None: this word cannot show it."""
    if command in _TRIPS:
        return word.relay_off
    if command in _DELAYED_TRIPS:
        return word.pre_trip_alarm or word.relay_off
    if command is RelayCommand.DIRECT_CLOSE:
        return not word.relay_off
    if command is RelayCommand.ALLOW_CLOSE:
        return not word.relay_command_off or not word.relay_off
    if command is RelayCommand.ALARM_ON:
        return True if word.pre_trip_alarm else None
    if command is RelayCommand.ALARM_OFF:
        return None if word.pre_trip_alarm else True
    if command is RelayCommand.PROTECTION_ON:
        return True if word.power_protection else None
    return None if word.power_protection else True


def _is_taken(command: RelayCommand, word: StatusWord3) -> bool:
    """Whether the meter has the order although the contact has not followed (grade D)."""
    if command in _TRIPS:
        return word.relay_command_off
    return command is RelayCommand.DIRECT_CLOSE and not word.relay_command_off


def _concluded(
    command: RelayCommand,
    before: StatusWord3 | None,
    after: StatusWord3 | None,
    sent: Sent,
    trouble: ProtocolError | None,
) -> tuple[Outcome, str]:
    """Outcome and words; the state decides, the meter's answer where the state cannot."""
    accepted = sent.delivery is Delivery.ACCEPTED
    if sent.delivery is Delivery.NOT_SENT:
        return Outcome.FAILED, f"Nothing was sent: {sent.trouble}"
    if after is None:
        if sent.delivery is Delivery.REFUSED:
            return Outcome.FAILED, sent.trouble
        said = (
            "The meter accepted the order" if accepted else f"The answer was lost ({sent.trouble})"
        )
        return Outcome.UNKNOWN, f"{said}, but status word 3 cannot be read: {trouble}"
    shown = shows(command, after)
    was_so = before is not None and bool(shows(command, before))
    if sent.delivery is Delivery.REFUSED:
        if shown and before is not None and not was_so:
            return Outcome.DONE, f"{_words(after)}, although the meter answered: {sent.trouble}"
        return Outcome.FAILED, f"{sent.trouble} {_hint(sent)}{_words(after)}."
    if shown and (accepted or (before is not None and not was_so)):
        return Outcome.DONE, f"Done: {_words(after)}."
    if accepted and shown is None:
        return Outcome.DONE, "The meter accepted it; its status word does not show it."
    if shown:
        return Outcome.UNKNOWN, (
            f"The answer was lost, and {_words(after)} as before: whether the meter has the order "
            f"cannot be told. It may be given again. {sent.trouble}"
        )
    if shown is None:
        return Outcome.UNKNOWN, f"The answer was lost, and no status shows it. {sent.trouble}"
    if _is_taken(command, after) and (accepted or before is None or not _is_taken(command, before)):
        waits = "its button to be pressed" if after.relay_off else "its trip delay (04001401)"
        return Outcome.UNKNOWN, (
            f"The meter has taken the order, but {_words(after)}: it may wait for {waits}. "
            "Read status word 3 again."
        )
    if accepted:
        protected = " Power protection is on." if after.power_protection else ""
        return Outcome.FAILED, f"The meter accepted the order, but {_words(after)}.{protected}"
    return Outcome.FAILED, f"The order was not carried out: {_words(after)}. {sent.trouble}"


def _hint(sent: Sent) -> str:
    word = sent.refusal.word if sent.refusal is not None else None
    if word is not None and word.name and "VALIDITY" in word.name:
        return "The meter's clock is past the validity time: read its clock. "
    return ""


def _words(word: StatusWord3) -> str:
    contact = "open" if word.relay_off else "closed"
    if word.relay_off and not word.relay_command_off:
        return "the contact is open and may be closed by its button"
    return f"the contact is {contact}"
