"""Energy and contact: what passes through the meter, and what stops it.

Registers count watt-seconds (Ws) inside and show Wh outside; the remainder stays inside.  At
every moment ``accepted + uncredited = consumed + remaining + cleared``, to the watt-second;
nothing is uncredited unless the meter counts money (`purse`) or power protection is on.

The contact is open while any of these holds:

================  ===========================================================================
tamper            the cover was opened; until a Clear Tamper Condition token, and the cover is
                  shut
credit exhausted  remaining credit is zero; until the next accepted credit
power limit       the load stayed above the limit for `Nameplate.overload_trip_s`; tried again
                  after `Nameplate.overload_retry_s`, as often as it takes
test              a breaker test opens the contact for `Nameplate.breaker_test_s`
remote order      an order by wire (`contact`); until it is taken back
================  ===========================================================================

Power protection (`contact`) keeps the contact closed against the second and the last of these;
what is then consumed without credit is counted as uncredited.

Credit is consumed to exactly zero and never past it: in the second in which it runs out, what
is left is metered and the contact opens.  The result does not depend on how the time is cut
into steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from simulators.contact import NO_LOG, NO_ORDERS, ContactLog, RemoteControl
from simulators.errors import SimulatorValueError
from simulators.load import LoadProfile
from simulators.nameplate import Nameplate
from simulators.purse import Purse

WS_PER_WH: Final = 3_600


class OpenReason(Enum):
    """Why the contact is open; in the order in which a person is told."""

    TAMPER = "tamper"
    CREDIT_EXHAUSTED = "credit exhausted"
    POWER_LIMIT = "power limit"
    TEST = "test"
    REMOTE = "remote order"


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
    uncredited_ws: int = 0
    """The part of what was consumed that no energy credit paid for."""

    def __post_init__(self) -> None:
        credited = self.accepted_ws + self.uncredited_ws
        if credited != self.consumed_ws + self.remaining_ws + self.cleared_ws:
            raise SimulatorValueError("Accepted credit must equal consumed + remaining + cleared.")
        if min(self.consumed_ws, self.remaining_ws, self.cleared_ws, self.uncredited_ws) < 0:
            raise SimulatorValueError("A register cannot be negative.")

    def with_credit(self, wh: int) -> Registers:
        """After a token's credit was taken."""
        added = wh * WS_PER_WH
        return Registers(
            self.accepted_ws + added,
            self.consumed_ws,
            self.remaining_ws + added,
            self.cleared_ws,
            self.uncredited_ws,
        )

    def with_consumption(self, ws: int, uncredited_ws: int = 0) -> Registers:
        """After energy was passed to the home.

        Args:
            ws: taken from the credit; at most what remains.
            uncredited_ws: passed besides.
        """
        return Registers(
            self.accepted_ws,
            self.consumed_ws + ws + uncredited_ws,
            self.remaining_ws - ws,
            self.cleared_ws,
            self.uncredited_ws + uncredited_ws,
        )

    def without_credit(self) -> Registers:
        """After the credit was cleared."""
        return Registers(
            self.accepted_ws,
            self.consumed_ws,
            0,
            self.cleared_ws + self.remaining_ws,
            self.uncredited_ws,
        )

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
    remote: RemoteControl = NO_ORDERS
    """What is ordered by wire."""
    log: ContactLog = NO_LOG
    """What the contact did."""
    purse: Purse | None = None
    """Of a meter that counts money: what decides about credit instead of the registers."""

    def __post_init__(self) -> None:
        for limit in (self.power_limit_w, self.phase_unbalance_limit_w):
            if limit is not None and limit < 0:
                raise SimulatorValueError("A power limit is a whole number of watts, 0 or more.")

    @property
    def has_credit(self) -> bool:
        """Whether there is energy credit, or money, left."""
        if self.purse is not None:
            return not self.purse.is_cut
        return self.registers.remaining_ws > 0

    @property
    def open_reasons(self) -> tuple[OpenReason, ...]:
        """Everything that holds the contact open now; empty when it is closed."""
        is_protected = self.remote.is_protected
        holds = (
            (OpenReason.TAMPER, self.is_tampered or self.cover_is_open),
            (OpenReason.CREDIT_EXHAUSTED, not is_protected and not self.has_credit),
            (OpenReason.POWER_LIMIT, self.overload_until is not None),
            (OpenReason.TEST, self.test_until is not None),
            (OpenReason.REMOTE, not is_protected and self.remote.holds_open),
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
    purse, remote, log = supply.purse, supply.remote, supply.log
    left = supply.registers.remaining_ws if purse is None else purse.allowance_ws
    spent = uncredited = 0
    over_since, over_until = supply.overload_since, supply.overload_until
    test_until, limit = supply.test_until, supply.power_limit_w
    tampered = supply.is_tampered or supply.cover_is_open
    now = start
    while True:
        if over_until is not None and now >= over_until:
            over_until = None
        if test_until is not None and now >= test_until:
            test_until = None
        if remote.trip_at is not None and now >= remote.trip_at:
            remote = remote.tripped()
        wanted = remote.is_protected or (left > 0 and not remote.holds_open)
        closed = wanted and not tampered and over_until is None and test_until is None
        demand = load.watts_at(now) if closed else 0
        if limit is None or demand <= limit:
            over_since = None
        else:
            over_since = now if over_since is None else over_since
            if now >= over_since + nameplate.overload_trip_s:
                closed, over_since = False, None
                over_until = now + nameplate.overload_retry_s
        if closed is not log.is_closed:
            log = log.seen(closed=closed, second=now)
        if now >= end:
            break
        stop = end
        if over_until is not None:
            stop = min(stop, over_until)
        if test_until is not None:
            stop = min(stop, test_until)
        if remote.trip_at is not None:
            stop = min(stop, remote.trip_at)
        if closed:
            if over_since is not None:
                stop = min(stop, over_since + nameplate.overload_trip_s)
            change = load.next_change(now)
            if change is not None:
                stop = min(stop, change)
            if demand > 0:
                if left > 0:
                    stop = min(stop, now - -left // demand)  # the second in which credit runs out
                passed = demand * (stop - now)
                drawn = min(left, passed)
                spent, left = spent + drawn, left - drawn
                if remote.is_protected:
                    uncredited += passed - drawn
        now = stop
    registers = supply.registers
    if purse is not None and spent:
        purse = purse.after_energy(spent)
        spent, uncredited = 0, spent + uncredited
    if spent or uncredited:
        registers = registers.with_consumption(spent, uncredited)
    return Supply(
        registers=registers,
        power_limit_w=limit,
        phase_unbalance_limit_w=supply.phase_unbalance_limit_w,
        cover_is_open=supply.cover_is_open,
        is_tampered=supply.is_tampered,
        overload_since=over_since,
        overload_until=over_until,
        test_until=test_until,
        remote=remote,
        log=log,
        purse=purse,
    )
