"""The root of every fault that the simulators raise.

A meter's own refusal of a token is no fault: it is a `TokenResult`.  These are for the caller
who uses a simulator wrongly, and for files that cannot be trusted.  None of the messages
contains a key.
"""

from __future__ import annotations

from typing import ClassVar


class SimulatorError(Exception):
    """Any fault of the simulators.  ``code`` is stable, the message is for people."""

    code: ClassVar[str] = "simulator_error"


class NaiveTimeError(SimulatorError):
    """A time was given without a zone."""

    code: ClassVar[str] = "naive_time"


class TimeBackwardsError(SimulatorError):
    """A time was given that lies before one given earlier."""

    code: ClassVar[str] = "time_backwards"


class NoPowerError(SimulatorError):
    """A key was pressed, or a token entered, while the meter had no power."""

    code: ClassVar[str] = "no_power"


class UnknownKeyError(SimulatorError):
    """A key that the keypad does not have."""

    code: ClassVar[str] = "unknown_key"


class SimulatorValueError(SimulatorError):
    """A load, a rating or a register that no meter has."""

    code: ClassVar[str] = "simulator_value"


class StateFileError(SimulatorError):
    """A meter's file is missing, damaged, foreign, or of a later version."""

    code: ClassVar[str] = "state_file"


class StateFileInUseError(SimulatorError):
    """Another process runs the meter of this file."""

    code: ClassVar[str] = "state_file_in_use"
