"""Faults that only a master meets: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from protocols.dlt645.addresses import Address
from protocols.dlt645.answers import Refused
from protocols.dlt645.error_bits import ErrorByte, ErrorWord
from protocols.errors import LocalProtocolError, RemoteProtocolError


class MeterRefusal(RemoteProtocolError):  # noqa: N818  (an answer more than an error)
    """The meter answered abnormally: it understood and will not."""

    code: ClassVar[str] = "meter_refusal"

    def __init__(self, meter: Address, refused: Refused) -> None:
        super().__init__(f"Meter {meter} refuses: {', '.join(refused.names)}.")
        self.meter = meter
        """Who refused."""
        self.refused = refused
        """Its bytes and their bits."""

    @property
    def word(self) -> ErrorWord | None:
        """The error bits; None where there are none to read."""
        return self.refused.word

    @property
    def has_no_data(self) -> bool:
        """Whether it says no more than that there is no such item or record."""
        return self.word == ErrorByte.NO_REQUESTED_DATA


class ValueShapeError(RemoteProtocolError):
    """A value that an order rests on came in bytes that are none of its format."""

    code: ClassVar[str] = "value_shape"


class ClockLimitError(LocalProtocolError):
    """A time that must not be sent to meters' clocks now, or not so far from theirs."""

    code: ClassVar[str] = "clock_limit"
