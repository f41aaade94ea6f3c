"""Simulated devices: meters that do what real ones do, under a clock that the caller owns.

The meter with a keypad:

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
`contact`              orders by wire, and what the contact did
`purse`                money in the place of energy credit
`load`                 what a home draws
`state_file`           its memory as a file
`moments`, `errors`    time in whole seconds; errors
=====================  ==================================================================

Meters on the wire:

=====================  ==================================================================
`street`               any number of meters behind ports, from a description: begin here
`street_plan`          ... and how it is written
`street_clock`         the one clock of a street
`ports`                TCP ports, pseudo-terminals, modems that call out
`bus`                  a line: its speed, its faults
`faults`               what goes wrong on it, by seed
`wire`                 what its meters understand
`faces`                a meter as DL/T 645-2007, -1997 and Modbus see it
`metering`             `SmartMeter`: all that a meter knows besides its keypad
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
