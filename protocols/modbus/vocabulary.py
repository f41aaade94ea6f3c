"""The names that all profiles share: what a meter's value is called, and its unit.

A reading called ``energy_import_total`` is an integer in Wh whatever the meter says (kWh in a
float, 10 Wh in an integer, ...), so that callers compare meters without knowing them.

``…_total`` is the value of the whole meter, also in a single-phase one; ``…_l1`` to ``…_l3`` are
its phases (L1 in a single-phase one), ``…_t1`` to ``…_t8`` its tariffs.  Powers and currents are
positive for import.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What a reading is in Python."""

    ENERGY = "energy"
    """`int`, whole Wh, varh or VAh."""
    DECIMAL = "decimal"
    """`Decimal` in the quantity's unit."""
    NUMBER = "number"
    """`int`: a count, or whole units."""
    TEXT = "text"
    """`str`; also the names of states."""
    FLAGS = "flags"
    """`tuple` of `str`: the names of the bits that are set."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a name of the vocabulary stands for."""

    kind: Kind
    unit: str
    """The unit of every reading of this name; empty for none."""
    text: str
    """In words."""


UNIT_POWERS: Final[dict[str, tuple[str, int]]] = {
    "": ("", 0),
    "V": ("V", 0), "kV": ("V", 3), "mV": ("V", -3),
    "A": ("A", 0), "mA": ("A", -3),
    "W": ("W", 0), "kW": ("W", 3), "MW": ("W", 6),
    "var": ("var", 0), "kvar": ("var", 3), "Mvar": ("var", 6),
    "VA": ("VA", 0), "kVA": ("VA", 3), "MVA": ("VA", 6),
    "Wh": ("Wh", 0), "kWh": ("Wh", 3), "MWh": ("Wh", 6),
    "varh": ("varh", 0), "kvarh": ("varh", 3), "Mvarh": ("varh", 6),
    "VAh": ("VAh", 0), "kVAh": ("VAh", 3), "MVAh": ("VAh", 6),
    "Hz": ("Hz", 0), "mHz": ("Hz", -3),
    "°C": ("°C", 0),
    "s": ("s", 0),
}  # fmt: skip
"""A profile's unit → the quantity's unit, and the power of ten between them."""

_ENERGIES: Final = {
    "energy_import": ("Wh", "active energy, import"),
    "energy_export": ("Wh", "active energy, export"),
    "energy_sum": ("Wh", "active energy, import plus export"),
    "energy_net": ("Wh", "active energy, import minus export"),
    "reactive_energy_import": ("varh", "reactive energy, import"),
    "reactive_energy_export": ("varh", "reactive energy, export"),
    "reactive_energy_sum": ("varh", "reactive energy, import plus export"),
    "reactive_energy_inductive": ("varh", "reactive energy, inductive"),
    "reactive_energy_capacitive": ("varh", "reactive energy, capacitive"),
    "apparent_energy": ("VAh", "apparent energy"),
}
_PHASED: Final = {
    "voltage": ("V", "voltage to neutral"),
    "current": ("A", "current"),
    "power_active": ("W", "active power"),
    "power_reactive": ("var", "reactive power"),
    "power_apparent": ("VA", "apparent power"),
    "power_factor": ("", "power factor"),
}


def _vocabulary() -> dict[str, Quantity]:
    names: dict[str, Quantity] = {}
    for stem, (unit, text) in _ENERGIES.items():
        names[f"{stem}_total"] = Quantity(Kind.ENERGY, unit, text)
        for phase in (1, 2, 3):
            names[f"{stem}_l{phase}"] = Quantity(Kind.ENERGY, unit, f"{text}, phase L{phase}")
        for tariff in range(1, 9):
            names[f"{stem}_t{tariff}"] = Quantity(Kind.ENERGY, unit, f"{text}, tariff {tariff}")
    for stem, (unit, text) in _PHASED.items():
        for phase in (1, 2, 3):
            names[f"{stem}_l{phase}"] = Quantity(Kind.DECIMAL, unit, f"{text}, phase L{phase}")
        if stem != "voltage":
            names[f"{stem}_total"] = Quantity(Kind.DECIMAL, unit, text)
    return names | _SINGLE


_SINGLE: Final = {
    "voltage_average": Quantity(Kind.DECIMAL, "V", "voltage to neutral, average of the phases"),
    "voltage_l1_l2": Quantity(Kind.DECIMAL, "V", "voltage between L1 and L2"),
    "voltage_l2_l3": Quantity(Kind.DECIMAL, "V", "voltage between L2 and L3"),
    "voltage_l3_l1": Quantity(Kind.DECIMAL, "V", "voltage between L3 and L1"),
    "voltage_ll_average": Quantity(Kind.DECIMAL, "V", "voltage between phases, average"),
    "current_n": Quantity(Kind.DECIMAL, "A", "current in the neutral"),
    "current_average": Quantity(Kind.DECIMAL, "A", "current, average of the phases"),
    "frequency": Quantity(Kind.DECIMAL, "Hz", "frequency"),
    "temperature": Quantity(Kind.DECIMAL, "°C", "temperature inside"),
    "serial_number": Quantity(Kind.TEXT, "", "serial number"),
    "meter_number": Quantity(Kind.TEXT, "", "meter number that the customer knows"),
    "model_number": Quantity(Kind.TEXT, "", "model"),
    "firmware_version": Quantity(Kind.TEXT, "", "firmware version"),
    "time_utc": Quantity(Kind.NUMBER, "s", "clock: seconds since 1970, UTC"),
    # the contact
    "contact_state": Quantity(Kind.TEXT, "", "contact: closed or open"),
    "contact_open_reasons": Quantity(Kind.FLAGS, "", "why the contact is open"),
    "relay_control": Quantity(Kind.TEXT, "", "what was ordered: closed, open, close_allowed"),
    "relay_protected": Quantity(Kind.TEXT, "", "whether the meter ignores orders to open"),
    # prepayment
    "credit": Quantity(Kind.ENERGY, "Wh", "credit left"),
    "credit_accepted_total": Quantity(Kind.ENERGY, "Wh", "all credit ever accepted"),
    "credit_cleared_total": Quantity(Kind.ENERGY, "Wh", "all credit ever cleared"),
    "low_credit_limit": Quantity(Kind.ENERGY, "Wh", "credit below which the meter warns"),
    "power_limit": Quantity(Kind.NUMBER, "W", "power limit; none: unlimited"),
    "keypad_locked_s": Quantity(Kind.NUMBER, "s", "how long the keypad is still locked"),
    "supply_group_code": Quantity(Kind.TEXT, "", "supply group code"),
    "key_revision": Quantity(Kind.NUMBER, "", "key revision number"),
    "key_type": Quantity(Kind.NUMBER, "", "key type"),
    "key_expiry": Quantity(Kind.NUMBER, "", "key expiry number"),
    "tariff_index": Quantity(Kind.NUMBER, "", "tariff index"),
    "tokens_accepted": Quantity(Kind.NUMBER, "", "how many tokens were ever accepted"),
    # the last token that came by wire
    "token_sequence": Quantity(Kind.NUMBER, "", "sequence number of the last token"),
    "token_status": Quantity(Kind.TEXT, "", "none, processing or finished"),
    "token_result": Quantity(Kind.TEXT, "", "result of the last token"),
    "token_class": Quantity(Kind.NUMBER, "", "what the last token was: class x 256 + subclass"),
    "token_fingerprint": Quantity(Kind.NUMBER, "", "checksum of the last token's digits"),
    "token_credit_added": Quantity(Kind.ENERGY, "Wh", "credit that the last token added"),
    "token_credit_after": Quantity(Kind.ENERGY, "Wh", "credit right after the last token"),
    "token_locked_s": Quantity(Kind.NUMBER, "s", "lock that the last token caused"),
}

VOCABULARY: Final = _vocabulary()
"""Name → what it stands for."""
