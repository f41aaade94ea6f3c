"""What forbids an order, what it waits for, what takes two people.

Asked when it is ordered, when it is approved, and again in the very transaction that marks it as
being sent; the database asks once more (see `tables`).  Reconnects are held up by nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from headend.orders.calendar import load_calendar
from headend.orders.emergency import stops_over
from headend.orders.faults import (
    DisconnectsSuspendedError,
    KeepPowerError,
    NotReachableError,
    OrderError,
    OutsideWindowError,
)
from headend.orders.policy import Policy, load_policy
from headend.orders.protection import protections_over
from headend.orders.reach import reach_of
from headend.orders.tables import order_policy, orders
from headend.orders.values import DISCONNECTS, OrderKind
from headend.orders.windows import Calendar
from headend.registry.tables import end_devices, links
from headend.station import Station
from headend.talk.ordering_clock import SOFT_STEP_S

EMERGENCY_LOOK: Final = timedelta(minutes=10)
"""How often an order that waits for the end of an emergency stop looks again."""
_WRITES: Final = frozenset({OrderKind.WRITE_PARAMETER, OrderKind.TARIFF_TABLE, OrderKind.SET_CLOCK})
GUARDED: Final = DISCONNECTS | _WRITES
"""What keep-power is about: asked again, whoever protects being waited for, when it is sent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of an order that they do not forbid."""

    due_at: datetime
    """From when on it may go."""
    waits_for: str
    """Why not before, for a person; empty: it may go now."""
    two_because: str | None
    """Why it takes two people; None: it does not."""
    closes_at: datetime | None
    """Of a disconnect that may go now: until when it may."""


class Rules:
    """The rules as they are at one moment; one for a whole batch."""

    def __init__(self, station: Station, connection: Connection) -> None:
        self.station = station
        self.connection = connection
        self.now = station.now()
        self.policy: Policy = load_policy(connection)
        self.calendar: Calendar = load_calendar(connection, station.zone)
        self._opening = self.calendar.next_opening(self.now)
        self._closing = self.calendar.closing(self.now)

    def judge(
        self,
        kind: OrderKind,
        device_id: int,
        says: Mapping[str, Any],
        *,
        outside_window: str,
        not_before: datetime | None = None,
        at_once: int = 0,
        lately: int = 0,
    ) -> Verdict:
        """What becomes of an order that is given, or approved, now.

        Args:
            kind: what is ordered.
            device_id: of which meter.
            says: what it says.
            outside_window: ``wait`` or ``refuse``.
            not_before: it is not sent before.
            at_once: how many disconnects there are in the batch; asked when it is ordered.
            lately: how many the same person has ordered alone of late; likewise.

        Raises:
            NotReachableError: the meter is not in use, or has no line.
            KeepPowerError, DisconnectsSuspendedError, OutsideWindowError: it is forbidden.
        """
        self._require_reachable(device_id)
        due, waits, closes = self.now, "", None
        if not_before is not None and not_before > due:
            due, waits = not_before, f"its time, {self._local(not_before)}"
        if kind in DISCONNECTS:
            opens, why, closes = self._disconnect(device_id, outside_window, due)
            if opens > due:
                due, waits, closes = opens, why, None
        return Verdict(due, waits, self._two(kind, device_id, says, at_once, lately), closes)

    def _disconnect(
        self, device_id: int, outside_window: str, due: datetime
    ) -> tuple[datetime, str, datetime | None]:
        """From when on, what for, until when."""
        reach = reach_of(self.connection, device_id)
        for keep in protections_over(self.connection, reach, self.now):
            raise KeepPowerError(
                f"A keep-power order protects {keep.what} until {self._local(keep.until)} "
                f"({keep.owner}: {keep.reason}): its supply is not cut."
            )
        for stop in stops_over(self.connection, reach):
            if outside_window == "refuse":
                raise DisconnectsSuspendedError(
                    f"Disconnects are suspended {stop.where}: {stop.reason}."
                )
            return self.now + EMERGENCY_LOOK, f"the end of emergency stop {stop.stop_id}", None
        if due <= self.now:
            opens, closes = self._opening, self._closing
        else:
            opens, closes = self.calendar.next_opening(due), None
        if opens is None:
            raise OutsideWindowError(
                "Supply is never cut as things are: there is no disconnect window in the next "
                "weeks. See `meterhouse window show`."
            )
        if opens > due:
            if outside_window == "refuse":
                raise OutsideWindowError(
                    f"Supply is not cut now; the next window opens {self._local(opens)}."
                )
            return opens, f"the window that opens {self._local(opens)}", None
        return due, "", closes

    def _two(
        self, kind: OrderKind, device_id: int, says: Mapping[str, Any], at_once: int, lately: int
    ) -> str | None:
        """Why it takes two people."""
        policy = self.policy
        if kind in DISCONNECTS and at_once > policy.trips_at_once_max:
            return f"it cuts the supply of {at_once} meters at once"
        if kind in DISCONNECTS and lately > policy.trips_at_once_max:
            minutes = policy.trips_window_s // 60
            return f"it is one person's disconnect number {lately} within {minutes} minutes"
        if kind is OrderKind.RECHARGE and says["amount_minor"] > policy.recharge_two_above_minor:
            return "it is a recharge above the limit of one person"
        if kind is OrderKind.TARIFF_TABLE and policy.tariff_needs_two:
            return "it changes the meter's tariff"
        if kind is OrderKind.SET_CLOCK and says["step_max_s"] > SOFT_STEP_S:
            return f"it may move the clock by more than {SOFT_STEP_S} s"
        if kind not in DISCONNECTS and kind not in _WRITES:
            return None
        reach = reach_of(self.connection, device_id)
        if kind in DISCONNECTS and reach.role in policy.roles:
            return f"the meter is at a point of the role {reach.role}"
        if kind in _WRITES and policy.protected_needs_two:
            for keep in protections_over(self.connection, reach, self.now):
                return f"a keep-power order protects {keep.what}"
        return None

    def clock_set_today(self, device_id: int, order_id: int) -> bool:
        """Whether another order has corrected this clock on this day of the utility."""
        midnight = datetime.combine(
            self.now.astimezone(self.station.zone).date(), time(), self.station.zone
        )
        return (
            self.connection.scalar(
                select(orders.c.order_id)
                .where(
                    orders.c.device_id == device_id,
                    orders.c.kind == OrderKind.SET_CLOCK.value,
                    orders.c.sending_at >= midnight,
                    orders.c.order_id != order_id,
                )
                .limit(1)
            )
            is not None
        )

    def _require_reachable(self, device_id: int) -> None:
        row = self.connection.execute(
            select(end_devices.c.number, end_devices.c.state, links.c.link_id)
            .outerjoin(links, links.c.link_id == end_devices.c.link_id)
            .where(end_devices.c.device_id == device_id)
        ).one()
        if row.state != "active":
            raise NotReachableError(f"Meter {row.number} is {row.state}: it is ordered nothing.")
        if row.link_id is None:
            raise NotReachableError(f"Meter {row.number} is on no line; it cannot be reached.")

    def _local(self, moment: datetime) -> str:
        return f"{moment.astimezone(self.station.zone):%Y-%m-%d %H:%M}"


def hold_the_gate(connection: Connection) -> None:
    """Let nobody protect anybody, or suspend disconnects, until the transaction ends.

    Taken before the rules are asked for the last time: what they then say holds until the commit.
    """
    connection.execute(
        select(order_policy.c.policy_id)
        .where(order_policy.c.policy_id == 1)
        .with_for_update(read=True)
    )


def words_of(fault: OrderError) -> str:
    """A refusal as the words of an order that it has ended."""
    return f"{fault} Nothing was sent."
