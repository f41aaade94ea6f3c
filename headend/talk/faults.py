"""What may go wrong between a registered device and its answer, beside the wire's own faults."""

from __future__ import annotations

from typing import ClassVar

from headend.faults import HeadEndError


class TalkError(HeadEndError):
    """Any fault of this room."""

    code: ClassVar[str] = "talk"


class NoLineError(TalkError):
    """The meter has no line, or its line is suspended or no line for it."""

    code: ClassVar[str] = "no_line"


class LineBudgetError(TalkError):
    """The network's budget allows no further connection now; try again later."""

    code: ClassVar[str] = "line_budget"


class UnknownQuantityError(TalkError):
    """No quantity of this name."""

    code: ClassVar[str] = "unknown_quantity"


class NotAValueError(TalkError):
    """The meter's answer cannot be a value of this quantity."""

    code: ClassVar[str] = "not_a_value"


class NoModemError(TalkError):
    """The line's modem has not called in, at least not to this process."""

    code: ClassVar[str] = "no_modem"


class StampNotBelievedError(NotAValueError):
    """The meter gives a value a time that cannot be; its clock is wrong."""

    code: ClassVar[str] = "stamp_not_believed"
