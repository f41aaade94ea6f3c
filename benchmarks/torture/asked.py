"""What is asked.  It follows from the seed and the request's number alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from vending import VendRequest
from vending.sts import make_drn

TERMINALS: Final = 6
"""Of one prepaid vendor; some requests come from no terminal."""
MINIMUM_MINOR: Final = 500
_HOT_METERS: Final = 20
_HOT_PERCENT: Final = 30
_METERS_MAX: Final = 5_000
_SALES_A_METER: Final = 20
_REFUSED_EVERY: Final = 97
_CLIENTS: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """Which requests there are."""

    seed: int
    vends: int

    @property
    def meters(self) -> int:
        """How many meters there are; some of them are sold to again and again."""
        return min(_METERS_MAX, _HOT_METERS + self.vends // _SALES_A_METER)

    def request(self, number: int) -> VendRequest:
        """The request of a number; one in many is below the smallest sale."""
        chance = random.Random(f"{self.seed} {number}")
        amount = 1 if number % _REFUSED_EVERY == 0 else chance.randrange(MINIMUM_MINOR, 50_000)
        hot = chance.randrange(100) < _HOT_PERCENT
        return VendRequest(
            f"client-{number % _CLIENTS}",
            f"m{number}",
            meter_number(chance.randrange(_HOT_METERS if hot else self.meters)),
            amount,
            terminal=chance.choice(["", *(terminal(n) for n in range(TERMINALS))]),
            confirmed_second=True,
        )


def number_of(message_id: str) -> int:
    """The request's number."""
    return int(message_id[1:])


def meter_number(serial: int) -> str:
    """The number of a meter."""
    return make_drn("07", f"{serial + 1:08d}")


def terminal(number: int) -> str:
    """The name of a terminal."""
    return f"terminal-{number}"
