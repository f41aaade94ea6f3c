"""What came of a reading or an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.errors import RemoteProtocolError
from protocols.modbus.errors import ModbusRefusal
from protocols.modbus.items import Value
from protocols.outcomes import Outcome

__all__ = ["Outcome", "Readings", "RelayResult", "TokenLoad", "WriteResult"]


@dataclass(frozen=True, slots=True)
class Readings:
    """What a meter told."""

    values: Mapping[str, Value]
    """Name → reading; None where the meter has no value."""
    faults: Mapping[str, RemoteProtocolError]
    """Items that the meter refused (`ModbusRefusal`) or holds nonsense in, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What came of a write."""

    outcome: Outcome
    text: str
    """For a person: what happened, and what to do."""
    value: Value = None
    """What the meter holds now, if it could be read."""
    refusal: ModbusRefusal | None = None
    """The meter's own refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayResult:
    """What came of an order to the contact."""

    outcome: Outcome
    text: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    """False: the contact already was as ordered, or its state could not be read first."""
    contact_state: str | None = None
    """``open`` or ``closed``, as read last."""
    relay_control: str | None = None
    """What the meter has been ordered, as read last, if it tells."""
    open_reasons: tuple[str, ...] = ()
    """Why it is open, if the meter tells."""
    refusal: ModbusRefusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLoad:
    """What came of giving a meter a token by wire."""

    outcome: Outcome
    """`Outcome.DONE`: the meter accepted it (or took it as a part of a key change)."""
    text: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    """False: the meter had this token under this number before, or could not be asked."""
    sequence: int | None = None
    result: str | None = None
    """The standard's word: ``Accept``, ``UsedError``, ...; None: the meter has not said."""
    credit_added_wh: int | None = None
    credit_wh: int | None = None
    """Credit right after the token."""
    locked_for_s: int = 0
    """How long the keypad is locked from now."""
    refusal: ModbusRefusal | None = None
