"""The demo's homes: a keypad meter each, and a count of their own beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from simulators import KeypadMeter, LoadProfile, TokenResult, energy_ws
from simulators.moments import second_of
from simulators.supply import WS_PER_WH

_BETWEEN_KEYS: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Home:
    """A customer with a meter."""

    name: str
    drn: str
    meter: KeypadMeter
    load: LoadProfile
    counted_ws: int = 0
    """What the home used by its own count, in watt-seconds: whatever its load wanted, as long as
    what was bought lasted.  It looks at no register of the meter, to be held against them."""
    paid_minor: int = 0
    sold_wh: int = 0
    """By the receipts that this customer holds."""
    accepted_wh: int = 0
    """By the meter's answers on the display."""
    tokens: list[str] = field(default_factory=list, repr=False)
    """All credit tokens bought, the newest last."""

    def advance(self, now: datetime) -> None:
        """Let time pass in the home: use electricity while there is some."""
        start = self.meter.now
        self.meter.advance(now)
        wanted_ws = energy_ws(self.load, second_of(start), second_of(now))
        left_ws = self.accepted_wh * WS_PER_WH - self.counted_ws
        self.counted_ws += min(wanted_ws, left_ws)

    def type_token(self, digits: str) -> Iterator[TokenResult | None]:
        """Press the keys one by one, a second apart; the last press gives the meter's answer."""
        for digit in digits:
            now = self.meter.now + _BETWEEN_KEYS
            self.advance(now)
            result = self.meter.press(digit, now)
            if result is not None:
                self.accepted_wh += result.credit_added_wh
            yield result
