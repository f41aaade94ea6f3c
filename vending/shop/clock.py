"""Is the shop's clock far ahead?

A clock that stands a year ahead, because a battery died or a digit was typed wrong, would stamp
tokens with identifiers of that year: the meter then refuses everything older, and years of its
base date are gone.  Nothing in this machine knows the right time, so the clock is compared with
what the shop has seen: the latest receipt, whoever made it, or a person's word.  A clock that is
ahead of it by more than a limit (`CounterRules.clock_ahead_max_h`) gives out no receipt before
somebody has said that it is right (`ClockDesk.accept`).

The limit is five weeks: a shop that was closed for a month sells on without a question, and a
wrong clock that stays within it costs a meter no more than those weeks.  A shop that has given
nothing out yet has nothing to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, func, insert, select

from storage import audit
from vending.people.actor import Permission
from vending.shop.counter_tables import clock_acceptances, counter_rules
from vending.shop.faults import ClockAheadError, ReasonMissingError
from vending.shop.tables import receipts
from vending.shop.values import require_text

if TYPE_CHECKING:
    from vending.shop.house import House

AHEAD_MAX_H: Final = 840
"""Where no other limit was set."""
_SEEN: Final = select(
    select(func.max(receipts.c.issued_at)).scalar_subquery().label("receipt"),
    select(func.max(clock_acceptances.c.accepted_at)).scalar_subquery().label("accepted"),
    select(counter_rules.c.clock_ahead_max_h).scalar_subquery().label("hours"),
)


@dataclass(frozen=True, slots=True)
class ClockStanding:
    """A clock beside what the shop has seen."""

    now: datetime
    seen: datetime | None
    """The latest receipt, or the latest moment that somebody accepted; None: neither is there."""
    ahead_max: timedelta
    """Zero: no limit."""

    @property
    def is_far_ahead(self) -> bool:
        """Whether a person has to say that it is right."""
        return (
            self.seen is not None
            and self.ahead_max > timedelta()
            and self.now - self.seen > self.ahead_max
        )


class ClockWatch:
    """What one process remembers, so that a sale has nothing to ask of the database."""

    __slots__ = ("_right_until",)

    def __init__(self) -> None:
        self._right_until: datetime | None = None

    def forget(self) -> None:
        """Look again: the limit was changed."""
        self._right_until = None

    def require(self, connection: Connection, now: datetime) -> None:
        """Refuse a clock that is far ahead.

        Raises:
            ClockAheadError: it may be wrong, so this is no answer to store.
        """
        if self._right_until is not None and now <= self._right_until:
            return
        standing = clock_standing(connection, now)
        if standing.is_far_ahead:
            assert standing.seen is not None
            raise ClockAheadError(
                f"The clock says {now:%Y-%m-%d %H:%M} UTC, and the latest receipt here is of "
                f"{standing.seen:%Y-%m-%d %H:%M}: put the clock right. If it is right, a person "
                "says so with `meterhouse clock accept`, and the shop goes on."
            )
        if standing.seen is not None:
            self._right_until = max(now, standing.seen) + standing.ahead_max


def clock_standing(connection: Connection, now: datetime) -> ClockStanding:
    """A clock beside what the shop has seen; three look-ups in indexes."""
    row = connection.execute(_SEEN).one()
    seen = max((each for each in (row.receipt, row.accepted) if each is not None), default=None)
    hours = AHEAD_MAX_H if row.hours is None else row.hours
    return ClockStanding(now, seen, timedelta(hours=hours))


@dataclass(frozen=True, slots=True)
class ClockDesk:
    """The shop's clock: show it, say that it is right (`Shop.clock`)."""

    house: House

    def show(self) -> ClockStanding:
        """The clock beside what the shop has seen.

        Raises:
            PermissionDeniedError: the actor may not look.
        """
        self.house.require(Permission.LOOK)
        now = self.house.now()
        with self.house.reading() as connection:
            return clock_standing(connection, now)

    def accept(self, reason: str, *, operator: str = "") -> ClockStanding:
        """The clock is right, as a person says who has looked; leaves an audit line.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            PersonNeededError: a program's API key cannot look at a clock.
            ReasonMissingError, RequestFormatError: no reason, or not one line.
        """
        self.house.require(Permission.SUPERVISE)
        self.house.require_person()
        if not require_text("The reason", reason).strip():
            raise ReasonMissingError("Say why: by what was it seen that the clock is right?")
        now, who = self.house.now(), self.house.who(operator)
        with self.house.writing() as connection:
            before = clock_standing(connection, now)
            connection.execute(
                insert(clock_acceptances),
                {"accepted_at": now, "accepted_by": who, "reason": reason},
            )
            audit.record(
                connection,
                now,
                actor=who,
                action="clock.accepted",
                subject="clock",
                detail=f"seen before: {'nothing' if before.seen is None else before.seen}",
                reason=reason,
            )
            return clock_standing(connection, now)
