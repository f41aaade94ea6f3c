"""Simulated devices: meters that do what real ones do, under a clock that the caller owns.

=====================  ==================================================================
`keypad_meter`         `KeypadMeter`, the meter as a whole: begin here
`meter_state`          all that it must not forget
`nameplate`            what it is when it leaves the factory
`token_entry`          what it does with 20 digits, in the standard's order
`key_change_entry`     ... with the sections of a key change
`token_memory`         the 50 places for used tokens
`results`              its answers, in the standard's words
`keypad`               digits on their way, and the lock against guessing
`display`              what it shows, also for test tokens
`supply`               energy registers and contact
`load`                 what a home draws
`state_file`           its memory as a file
`moments`, `errors`    time in whole seconds; faults
=====================  ==================================================================
"""

from simulators.errors import (
    NaiveTimeError,
    NoPowerError,
    SimulatorError,
    SimulatorValueError,
    StateFileError,
    StateFileInUseError,
    TimeBackwardsError,
    UnknownKeyError,
)
from simulators.keypad import BACKSPACE
from simulators.keypad_meter import KeypadMeter
from simulators.load import ConstantLoad, DailyLoad, HouseholdLoad, LoadProfile, energy_ws
from simulators.meter_state import MeterKey, MeterState
from simulators.nameplate import Nameplate
from simulators.results import Outcome, TokenResult
from simulators.supply import OpenReason, Registers, Supply

__all__ = [
    "BACKSPACE",
    "ConstantLoad",
    "DailyLoad",
    "HouseholdLoad",
    "KeypadMeter",
    "LoadProfile",
    "MeterKey",
    "MeterState",
    "NaiveTimeError",
    "Nameplate",
    "NoPowerError",
    "OpenReason",
    "Outcome",
    "Registers",
    "SimulatorError",
    "SimulatorValueError",
    "StateFileError",
    "StateFileInUseError",
    "Supply",
    "TimeBackwardsError",
    "TokenResult",
    "UnknownKeyError",
    "energy_ws",
]
