"""A simulated keypad meter with the key that the shop thinks it has."""

from __future__ import annotations

from datetime import datetime

from simulators import KeypadMeter, MeterKey, Nameplate
from vending import Meter
from vending.sts.public_test_key import PUBLIC_TEST_VENDING_KEY, TEST_KEY_GENERATION


def keypad_of(meter: Meter, now: datetime) -> KeypadMeter:
    """The meter itself, as it was put up."""
    key = MeterKey.derived(
        TEST_KEY_GENERATION, PUBLIC_TEST_VENDING_KEY, meter.attributes(), meter.key.ken
    )
    return KeypadMeter.new(Nameplate(meter.pan, meter.algorithm), key, now)
