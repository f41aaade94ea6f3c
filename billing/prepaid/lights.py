"""Whether a supply of a cut has light, as far as the orders to its meter tell.  Pure values.

The last word counts: a meter that showed *on* and after that showed *off* (a trip that was held up
on its way) is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import groupby

from billing.prepaid.cuts import CutOrder
from headend.orders.values import OrderState


class Light(Enum):
    """What is known of one supply."""

    UNTOUCHED = "untouched"
    """Nothing was sent, or the meter showed that it was not carried out."""
    WAITS = "waits"
    """The order to switch off was not sent yet."""
    UNSETTLED = "unsettled"
    """It is being sent, or nobody can tell yet."""
    OFF = "off"
    COMING = "coming"
    """The order to switch on has not ended."""
    STUCK = "stuck"
    """The order to switch on came to nothing."""
    ON = "on"


_WAITING = frozenset({OrderState.WAITING_APPROVAL, OrderState.QUEUED})
_NOTHING = frozenset({OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED})


def lights(found: Iterable[CutOrder]) -> dict[int, Light]:
    """By supply; ``found`` is in the order of supply and position."""
    return {
        supply_id: light(list(each)) for supply_id, each in groupby(found, lambda o: o.supply_id)
    }


def light(of_supply: Sequence[CutOrder]) -> Light:
    """Of one supply, whose orders are given in their order: the one that switches off first."""
    off, *ons = of_supply
    if off.state in _NOTHING:
        return Light.UNTOUCHED
    if off.state in _WAITING:
        return Light.WAITS
    if not ons:
        return Light.OFF if off.state is OrderState.DONE else Light.UNSETTLED
    last = ons[-1]
    if last.state in _NOTHING:
        return Light.STUCK
    if last.state is not OrderState.DONE:
        return Light.COMING
    if off.state is OrderState.SENDING:
        return Light.UNSETTLED
    return Light.OFF if _came_after(off, last) else Light.ON


def _came_after(off: CutOrder, on: CutOrder) -> bool:
    """Whether the meter showed that it was off after it had shown that it was on."""
    return off.ended_at is not None and on.ended_at is not None and off.ended_at > on.ended_at
