"""Fields that requests share: password, operator, speed, relay command (spec sections 2.1-2.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from protocols.dlt645.errors import FieldRangeError, LayoutError
from protocols.dlt645.times import MeterTime, NotATimeError, TimeLayout

_HEX = frozenset("0123456789ABCDEF")


def require_hex(what: str, text: str, digits: int) -> str:
    """The text in capitals, if it is so many hexadecimal digits.

    Raises:
        FieldRangeError: it is not.
    """
    upper = text.upper()
    if len(upper) != digits or not _HEX.issuperset(upper):
        raise FieldRangeError(f"{what} must be {digits} hexadecimal digits.")
    return upper


def require_bytes(what: str, data: bytes, length: int) -> bytes:
    """The bytes, if there are so many.

    Raises:
        FieldRangeError: there are not.
    """
    if len(data) != length:
        raise FieldRangeError(f"{what} must be {length} bytes, not {len(data)}.")
    return data


def require_byte(what: str, value: int, low: int = 0, high: int = 0xFF) -> int:
    """The number, if it lies in the range.

    Raises:
        FieldRangeError: it does not.
    """
    if not low <= value <= high:
        raise FieldRangeError(f"{what} must be {low}-{high}, not {value}.")
    return value


PASSWORD_BYTES = 4
OPERATOR_BYTES = 4


@dataclass(frozen=True, slots=True)
class Password:
    """PA and P0-P2: a level and six digits, never shown.

    Which of P0 and P2 is the digits' low end is disputed (grade D); ``digits`` puts the low byte
    first on the wire, as two of three sources do, and `from_wire` takes the bytes as they are.
    Levels: 00 (highest) to 09; 98H and 99H announce cipher or plain data with a MAC (2013 rules).
    """

    level: int
    digits: str = field(repr=False)

    def __post_init__(self) -> None:
        require_byte("Password level (PA)", self.level)
        object.__setattr__(self, "digits", require_hex("A password", self.digits, 6))

    @classmethod
    def from_wire(cls, wire: bytes) -> Password:
        """PA P0 P1 P2, as they are sent."""
        require_bytes("A password", wire, PASSWORD_BYTES)
        return cls(wire[0], wire[:0:-1].hex())

    def encode(self) -> bytes:
        """PA P0 P1 P2."""
        return bytes((self.level,)) + bytes.fromhex(self.digits)[::-1]


def encode_operator(operator: str) -> bytes:
    """C0-C3: eight hexadecimal digits that the meter logs, low byte first (grade A, order D).

    Raises:
        FieldRangeError: not eight digits.
    """
    return bytes.fromhex(require_hex("The operator code", operator, 8))[::-1]


def decode_operator(wire: bytes) -> str:
    """The eight digits of C0-C3."""
    return wire[::-1].hex().upper()


class Speed(IntEnum):
    """Z, the speed's feature byte: exactly one bit (spec section 2.1)."""

    BAUD_600 = 0x02
    BAUD_1200 = 0x04
    BAUD_2400 = 0x08
    BAUD_4800 = 0x10
    BAUD_9600 = 0x20
    BAUD_19200 = 0x40

    @property
    def baud(self) -> int:
        """Bits per second."""
        return 300 * self.value

    @classmethod
    def of(cls, baud: int) -> Speed:
        """The feature byte of a speed.

        Raises:
            FieldRangeError: no meter speaks at it.
        """
        for speed in cls:
            if speed.baud == baud:
                return speed
        raise FieldRangeError(f"{baud} bit/s cannot be asked for; use 600 to 19200, doubling.")


class RelayCommand(IntEnum):
    """N1 of relay control (spec section 2.5; 1A, 1B, 1C, 2A-3B grade B, 1D and 1E of 2013)."""

    TRIP = 0x1A
    ALLOW_CLOSE = 0x1B
    """The customer closes by the button."""
    DIRECT_CLOSE = 0x1C
    TRIP_DELAYED_DIRECT_CLOSE = 0x1D
    TRIP_DELAYED_ALLOW_CLOSE = 0x1E
    ALARM_ON = 0x2A
    ALARM_OFF = 0x2B
    PROTECTION_ON = 0x3A
    """The meter ignores trips, also for want of credit."""
    PROTECTION_OFF = 0x3B


class MultiFunctionOutput(IntEnum):
    """What the meter's test output gives out (1DH)."""

    SECOND_PULSE = 0
    DEMAND_PERIOD = 1
    SLOT_SWITCH = 2


def decode_time(layout: TimeLayout, wire: bytes) -> MeterTime:
    """A time in a request.

    Raises:
        LayoutError: the bytes are no such time.
    """
    try:
        time = layout.decode(wire)
    except NotATimeError:
        time = None
    if time is None:
        raise LayoutError(f"{wire.hex(' ')} is no time of the format {layout.pattern}.")
    return time
