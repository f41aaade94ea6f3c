"""What a meter is on Modbus: its items, what it asks of a request, its contact, its tokens.

Profiles are data files; see `profile_file` for how they are written and read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from protocols.modbus.errors import ModbusValueError
from protocols.modbus.items import Item, Table
from protocols.modbus.registers import Layout
from protocols.transport.address import LineSettings


class Confidence(Enum):
    """How sure a profile is."""

    RECORDED = "recorded"
    """Recordings from real meters agree with it."""
    DOCUMENTED = "documented"
    """It follows the maker's own manual, at first hand or quoted."""
    SECOND_HAND = "second-hand"
    """It follows what others use."""
    OWN = "own"
    """We define it."""


class RelayAction(Enum):
    """What may be ordered of a contact."""

    OPEN = "open"
    """Supply off."""
    CLOSE = "close"
    """Supply on at once."""
    ALLOW_CLOSE = "allow_close"
    """The customer may switch on, with a button at the meter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySpec:
    """How the contact is moved, and how one sees that it has moved.

    The item ``contact_state`` reads back ``open`` or ``closed``; where there is an item
    ``relay_control``, it tells what was ordered (``open``, ``closed``, ``close_allowed``), which
    the contact may be unable to follow (no credit, tampering).
    """

    table: Table
    """`Table.HOLDING` or `Table.COIL`."""
    register: int
    commands: Mapping[RelayAction, int]
    """The number to write; 0 or 1 for a coil."""
    settle_ms: int = 3000
    """How long the contact may take to follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpec:
    """How 20 digits are given to an STS meter, and where its answer stands.

    The answer is in the items ``token_result`` and, where there are, ``token_credit_added``,
    ``token_credit_after`` (or ``credit``), ``token_locked_s``.  With a sequence number the items
    ``token_sequence`` and ``token_status`` tell whose answer it is, and a lost answer is no
    question any more.
    """

    register: int
    """Of the first digits; the sequence number, if there is one, stands right before it and is
    written in the same request."""
    layout: Layout
    """Of the digits: ascii (10 registers) or bcd (5)."""
    has_sequence: bool = False
    trigger_register: int | None = None
    """A register to be written after the digits, for meters that want to be told to go on."""
    trigger: int = 1
    finish_ms: int = 5000
    """How long the meter may work on a token."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """One kind of meter."""

    name: str
    """The file's name: ``eastron-sdm120``."""
    model: str
    maker: str
    confidence: Confidence
    sources: tuple[str, ...]
    notes: str = ""
    line: LineSettings | None = None
    """As it leaves the factory; None: it has no serial port."""
    unit: int = 1
    """Its address as it leaves the factory."""
    registers_max: int = 125
    """Registers in one request."""
    gap_max: int = 0
    """Registers of no known item that may be read along, in one stretch."""
    write_function: int = 16
    """For registers: 16, or 6 for meters that know only that."""
    items: Mapping[str, Item] = field(default_factory=dict)
    relay: RelaySpec | None = None
    token: TokenSpec | None = None

    def item(self, name: str) -> Item:
        """One item by name.

        Raises:
            ModbusValueError: this meter has no such value.
        """
        found = self.items.get(name)
        if found is None:
            raise ModbusValueError(f"{self.maker} {self.model} has no {name!r} in its profile.")
        return found
