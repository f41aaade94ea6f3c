"""Energy and contact: what passes through the meter, and what stops it.

Registers count watt-seconds (Ws) inside and show Wh outside; the remainder stays inside.  At
every moment ``accepted = consumed + remaining + cleared``, to the watt-second.

The contact is open while any of these holds:

================  ===========================================================================
tamper            the cover was opened; until a Clear Tamper Condition token, and the cover is
                  shut
credit exhausted  remaining credit is zero; until the next accepted credit
power limit       the load stayed above the limit for `Nameplate.overload_trip_s`; tried again
                  after `Nameplate.overload_retry_s`, as often as it takes
test              a breaker test opens the contact for `Nameplate.breaker_test_s`
================  ===========================================================================

Credit is consumed to exactly zero and never past it: in the second in which it runs out, what
is left is metered and the contact opens.  The result does not depend on how the time is cut
into steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from simulators.errors import SimulatorValueError
from simulators.load import LoadProfile
from simulators.nameplate import Nameplate

WS_PER_WH: Final = 3_600


class OpenReason(Enum):
    """Why the contact is open; in the order in which a person is told."""

    TAMPER = "tamper"
    CREDIT_EXHAUSTED = "credit exhausted"
    POWER_LIMIT = "power limit"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Registers:
    """Energy in watt-seconds.

    Raises:
        SimulatorValueError: negative, or the four do not agree.
    """

    accepted_ws: int = 0
    """All credit ever taken from tokens, and any put in at the factory."""
    consumed_ws: int = 0
    """All energy ever passed to the home."""
    remaining_ws: int = 0
    """Credit."""
    cleared_ws: int = 0
    """Credit taken away by Clear Credit tokens."""

    def __post_init__(self) -> None:
        if self.accepted_ws != self.consumed_ws + self.remaining_ws + self.cleared_ws:
            raise SimulatorValueError("Accepted credit must equal consumed + remaining + cleared.")
        if min(self.consumed_ws, self.remaining_ws, self.cleared_ws) < 0:
            raise SimulatorValueError("A register cannot be negative.")

    def with_credit(self, wh: int) -> Registers:
        """After a token's credit was taken."""
        added = wh * WS_PER_WH
        return Registers(
            self.accepted_ws + added, self.consumed_ws, self.remaining_ws + added, self.cleared_ws
        )

    def with_consumption(self, ws: int) -> Registers:
        """After energy was passed to the home; at most what remains."""
        return Registers(
            self.accepted_ws, self.consumed_ws + ws, self.remaining_ws - ws, self.cleared_ws
        )

    def without_credit(self) -> Registers:
        """After the credit was cleared."""
        return Registers(self.accepted_ws, self.consumed_ws, 0, self.cleared_ws + self.remaining_ws)

    @property
    def accepted_wh(self) -> int:
        """Whole Wh accepted."""
        return self.accepted_ws // WS_PER_WH

    @property
    def consumed_wh(self) -> int:
        """Whole Wh consumed."""
        return self.consumed_ws // WS_PER_WH

    @property
    def remaining_wh(self) -> int:
        """Whole Wh of credit."""
        return self.remaining_ws // WS_PER_WH

    @property
    def cleared_wh(self) -> int:
        """Whole Wh cleared."""
        return self.cleared_ws // WS_PER_WH


@dataclass(frozen=True, slots=True)
class Supply:
    """Registers, limits and whatever holds the contact open.  Seconds as in `moments`."""

    registers: Registers = Registers()
    power_limit_w: int | None = None
    """None: unlimited."""
    phase_unbalance_limit_w: int | None = None
    """Kept and shown by three-phase meters; the simulated load is balanced and never trips it."""
    cover_is_open: bool = False
    is_tampered: bool = False
    """Latched when the cover opens."""
    overload_since: int | None = None
    """Second since which the load has been above the limit, contact closed."""
    overload_until: int | None = None
    """Second of the next try after an overload opened the contact."""
    test_until: int | None = None
    """Second at which a breaker test closes the contact again."""

    def __post_init__(self) -> None:
        for limit in (self.power_limit_w, self.phase_unbalance_limit_w):
            if limit is not None and limit < 0:
                raise SimulatorValueError("A power limit is a whole number of watts, 0 or more.")

    @property
    def open_reasons(self) -> tuple[OpenReason, ...]:
        """Everything that holds the contact open now; empty when it is closed."""
        holds = (
            (OpenReason.TAMPER, self.is_tampered or self.cover_is_open),
            (OpenReason.CREDIT_EXHAUSTED, self.registers.remaining_ws == 0),
            (OpenReason.POWER_LIMIT, self.overload_until is not None),
            (OpenReason.TEST, self.test_until is not None),
        )
        return tuple(reason for reason, holding in holds if holding)

    @property
    def is_closed(self) -> bool:
        """Whether the home is supplied."""
        return not self.open_reasons


def supplied(
    supply: Supply, load: LoadProfile, nameplate: Nameplate, start: int, end: int
) -> Supply:
    """Pass energy from second ``start`` to second ``end``; the contact as it is at ``end``.

    With ``start == end`` only the contact is brought up to date.
    """
    spent, left = 0, supply.registers.remaining_ws
    over_since, over_until = supply.overload_since, supply.overload_until
    test_until, limit = supply.test_until, supply.power_limit_w
    tampered = supply.is_tampered or supply.cover_is_open
    now = start
    while True:
        if over_until is not None and now >= over_until:
            over_until = None
        if test_until is not None and now >= test_until:
            test_until = None
        closed = not tampered and left > 0 and over_until is None and test_until is None
        demand = load.watts_at(now) if closed else 0
        if limit is None or demand <= limit:
            over_since = None
        else:
            over_since = now if over_since is None else over_since
            if now >= over_since + nameplate.overload_trip_s:
                closed, over_since = False, None
                over_until = now + nameplate.overload_retry_s
        if now >= end:
            break
        stop = end
        if over_until is not None:
            stop = min(stop, over_until)
        if test_until is not None:
            stop = min(stop, test_until)
        if closed:
            if over_since is not None:
                stop = min(stop, over_since + nameplate.overload_trip_s)
            change = load.next_change(now)
            if change is not None:
                stop = min(stop, change)
            if demand > 0:
                stop = min(stop, now - -left // demand)  # the second in which credit runs out
                drawn = min(left, demand * (stop - now))
                spent, left = spent + drawn, left - drawn
        now = stop
    registers = supply.registers.with_consumption(spent) if spent else supply.registers
    return Supply(
        registers=registers,
        power_limit_w=limit,
        phase_unbalance_limit_w=supply.phase_unbalance_limit_w,
        cover_is_open=supply.cover_is_open,
        is_tampered=supply.is_tampered,
        overload_since=over_since,
        overload_until=over_until,
        test_until=test_until,
    )
