"""Line loss (线损): supplied against sold, for each transformer area and feeder, by day.

Supplied is what came in: through the place's supply points, and from customers who feed in.  Sold
is what went out: to the customers at the place and at all places below it, and back through the
supply points.  A customer behind another customer's meter is counted by that one.  Estimated days
are part of the sum, and their share is shown; a place is judged only when enough of its meters are
known and its supply is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, case, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from headend.registry.tables import places, service_points
from headend.station import Station
from headend.watching.calendar import midnight
from headend.watching.days import LOSS_MARK, DayState
from headend.watching.limits import limits_in_force
from headend.watching.tables import loss_days, point_days, watch_marks
from headend.watching.thresholds import Limits
from storage.engine import plan_for_many_rows

BASIS: Final = 10_000
_JUDGED: Final = ("good", "high", "low")


@dataclass(frozen=True, slots=True)
class Balance:
    """What came into a place and went out on a day."""

    came_wh: int = 0
    """Through its supply points."""
    back_wh: int = 0
    """Out through its supply points."""
    used_wh: int = 0
    """By customers, here and below."""
    fed_wh: int = 0
    """Fed in by customers, here and below."""
    estimated_wh: int = 0
    """Part of the used."""
    meters: int = 0
    """Customers' meters."""
    known: int = 0
    """Those of which the day is known."""
    supplies: int = 0
    supplies_known: int = 0

    @property
    def supplied_wh(self) -> int:
        """What came in."""
        return self.came_wh + self.fed_wh

    @property
    def sold_wh(self) -> int:
        """What went out and was measured."""
        return self.used_wh + self.back_wh

    def with_below(self, other: Balance) -> Balance:
        """Together with the customers of a place below, whose supply is within this one's."""
        return replace(
            self,
            used_wh=self.used_wh + other.used_wh,
            fed_wh=self.fed_wh + other.fed_wh,
            estimated_wh=self.estimated_wh + other.estimated_wh,
            meters=self.meters + other.meters,
            known=self.known + other.known,
        )


@dataclass(frozen=True, slots=True)
class LossDay:
    """The loss of a place on a day, or over some days."""

    place_id: int
    kind: str
    name: str
    day: int
    supplied_wh: int
    sold_wh: int
    estimated_wh: int
    meters: int
    known: int
    state: str
    loss_bp: int | None

    @property
    def coverage_percent(self) -> int:
        """Meters whose day is known, of a hundred; rounded down."""
        return 100 * self.known // self.meters if self.meters else 0


def judge(balance: Balance, kind: str, limits: Limits) -> tuple[str, int | None]:
    """The state of a place's day, and its loss in hundredths of a percent of the supplied.

    Args:
        balance: what came in and went out.
        kind: of the place: a feeder has a band of its own.
        limits: ``loss_coverage_percent`` and the bands.
    """
    if balance.supplies_known < balance.supplies or balance.supplied_wh <= 0:
        return "unsupplied", None
    if not balance.meters or (
        100 * balance.known < limits["loss_coverage_percent"] * balance.meters
    ):
        return "uncovered", None
    loss = BASIS * (balance.supplied_wh - balance.sold_wh) // balance.supplied_wh
    stem = "loss" if kind == "area" else "feeder_loss"
    if loss > limits[f"{stem}_high_bp"]:
        return "high", loss
    return ("low" if loss < limits[f"{stem}_low_bp"] else "good"), loss


def compute_losses(station: Station) -> list[int]:
    """Compute the losses of all days of which something is new; these days."""
    with station.reading() as connection:
        marks = connection.execute(
            select(watch_marks).where(watch_marks.c.step.like(f"{LOSS_MARK}%"))
        ).all()
        limits = limits_in_force(connection)
        network = _network(connection)
    days = []
    for mark in sorted(marks, key=lambda each: int(each.step.removeprefix(LOSS_MARK))):
        day = int(mark.step.removeprefix(LOSS_MARK))
        with station.writing() as connection:
            plan_for_many_rows(connection)
            ends_at = midnight(station.zone, day + 1)
            _compute_day(connection, day, ends_at, network, limits)
            connection.execute(
                delete(watch_marks).where(
                    watch_marks.c.step == mark.step,
                    watch_marks.c.done_until == mark.done_until,
                )
            )
        days.append(day)
    return days


def losses(
    connection: Connection,
    first: int,
    last: int,
    *,
    place_id: int | None = None,
    states: Sequence[str] = (),
) -> list[LossDay]:
    """The losses of days, by place and day.

    Args:
        connection: in any transaction.
        first: the first day's number.
        last: the last one's, included.
        place_id: only of this place.
        states: only days in these.
    """
    chosen = _shown().where(loss_days.c.day.between(first, last))
    if place_id is not None:
        chosen = chosen.where(loss_days.c.place_id == place_id)
    if states:
        chosen = chosen.where(loss_days.c.state.in_(states))
    rows = connection.execute(chosen.order_by(places.c.name, loss_days.c.day))
    return [LossDay(*row) for row in rows]


def loss_over(connection: Connection, first: int, last: int, limits: Limits) -> list[LossDay]:
    """The loss of each place over the judged days of a span; ``day`` is the number of them.

    Days on which a place could not be judged are left out of its sums on both sides.
    """
    judged = loss_days.c.state.in_(_JUDGED)

    def total(column: Any) -> Any:
        return func.sum(case((judged, column), else_=0))

    chosen = (
        select(
            loss_days.c.place_id,
            places.c.kind,
            places.c.name,
            func.sum(case((judged, 1), else_=0)),
            total(loss_days.c.supplied_wh),
            total(loss_days.c.sold_wh),
            total(loss_days.c.estimated_wh),
            func.sum(loss_days.c.meters),
            func.sum(loss_days.c.known),
        )
        .join(places, places.c.place_id == loss_days.c.place_id)
        .where(loss_days.c.day.between(first, last))
        .group_by(loss_days.c.place_id, places.c.kind, places.c.name)
        .order_by(places.c.name)
    )
    found = []
    for place_id, kind, name, count, *sums in connection.execute(chosen):
        supplied, sold, estimated, meters, known = (int(each) for each in sums)
        state, loss = "uncovered", None
        if count:
            whole = Balance(came_wh=supplied, used_wh=sold, meters=1, known=1)
            state, loss = judge(whole, kind, limits)
        found.append(
            LossDay(
                place_id, kind, name, int(count), supplied, sold, estimated, meters, known,
                state, loss,
            )
        )  # fmt: skip
    return found


def _compute_day(
    connection: Connection, day: int, ends_at: datetime, network: _Network, limits: Limits
) -> None:
    own = _balances(connection, day, ends_at)
    below = dict(own)
    for place in network.upwards:
        parent = network.parent[place]
        if parent is not None and place in below:
            below[parent] = below.get(parent, Balance()).with_below(below[place])
    rows = []
    for place, balance in below.items():
        if not balance.supplies:
            continue
        state, loss = judge(balance, network.kind[place], limits)
        rows.append(
            {
                "place_id": place,
                "day": day,
                "supplied_wh": balance.supplied_wh,
                "sold_wh": balance.sold_wh,
                "estimated_wh": balance.estimated_wh,
                "meters": balance.meters,
                "known": balance.known,
                "state": state,
                "loss_bp": loss,
            }
        )
    if rows:
        make: Any = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        into = make(loss_days)
        names = [name for name in rows[0] if name not in ("place_id", "day")]
        connection.execute(
            into.on_conflict_do_update(
                index_elements=["place_id", "day"],
                set_={name: into.excluded[name] for name in names},
            ),
            rows,
        )


def _balances(connection: Connection, day: int, ends_at: datetime) -> dict[int, Balance]:
    """What each place's own points measured on a day.

    A supply point that was there and has no meter, nor a row of that day, is not known.
    """
    parents = service_points.alias("parents")
    is_supply = service_points.c.role == "supply"
    # a customer behind another customer's meter is in that one's energy already
    is_sold = and_(
        service_points.c.role == "customer",
        func.coalesce(parents.c.role, "") != "customer",
    )
    has_row = point_days.c.point_id.is_not(None)
    known = and_(has_row, point_days.c.state == DayState.KNOWN)

    def total(condition: Any, value: Any) -> Any:
        return func.coalesce(func.sum(case((condition, value), else_=0)), 0)

    chosen = (
        select(
            service_points.c.place_id,
            total(is_supply, point_days.c.wh),
            total(is_supply, point_days.c.out_wh),
            total(is_sold, point_days.c.wh),
            total(is_sold, point_days.c.out_wh),
            total(and_(is_sold, has_row, ~known), point_days.c.wh),
            total(and_(is_sold, has_row), 1),
            total(and_(is_sold, known), 1),
            total(is_supply, 1),
            total(and_(is_supply, known), 1),
        )
        .select_from(service_points)
        .outerjoin(
            point_days,
            and_(point_days.c.point_id == service_points.c.point_id, point_days.c.day == day),
        )
        .outerjoin(parents, parents.c.point_id == service_points.c.parent_id)
        .where(
            service_points.c.place_id.is_not(None),
            or_(has_row, and_(is_supply, service_points.c.added_at < ends_at)),
        )
        .group_by(service_points.c.place_id)
    )
    found = {}
    for place, *sums in connection.execute(chosen):
        found[int(place)] = Balance(*(int(each) for each in sums))
    return found


@dataclass(frozen=True, slots=True)
class _Network:
    parent: Mapping[int, int | None]
    kind: Mapping[int, str]
    upwards: Sequence[int]
    """Places, those below before those above."""


def _network(connection: Connection) -> _Network:
    rows = connection.execute(select(places.c.place_id, places.c.parent_id, places.c.kind)).all()
    parent = {row.place_id: row.parent_id for row in rows}
    order = {"area": 0, "feeder": 1, "substation": 2}

    def depth(place: int) -> int:
        steps, above = 0, parent[place]
        while above is not None and steps < len(parent):
            steps, above = steps + 1, parent[above]
        return steps

    kind = {row.place_id: row.kind for row in rows}
    upwards = sorted(parent, key=lambda place: (-depth(place), order[kind[place]]))
    return _Network(parent, kind, upwards)


def _shown() -> Any:
    return select(
        loss_days.c.place_id,
        places.c.kind,
        places.c.name,
        loss_days.c.day,
        loss_days.c.supplied_wh,
        loss_days.c.sold_wh,
        loss_days.c.estimated_wh,
        loss_days.c.meters,
        loss_days.c.known,
        loss_days.c.state,
        loss_days.c.loss_bp,
    ).join(places, places.c.place_id == loss_days.c.place_id)


def forget_old_losses(connection: Connection, oldest: int) -> None:
    """Take away losses of days before this one."""
    connection.execute(delete(loss_days).where(loss_days.c.day < oldest))
