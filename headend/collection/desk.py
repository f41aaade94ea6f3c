"""`Collection`: plans, rounds and what is missing, for people and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from headend.collection.calendar import next_due
from headend.collection.faults import NoPlanError, PlanError, PlanTakenError
from headend.collection.plan import Plan, document_of, parse_plan, read_document
from headend.collection.rounds import NewRound, make_round
from headend.collection.tables import device_lists, plans, round_devices, round_links, rounds
from headend.collection.whom import meters_of, require_named
from headend.person import Right
from headend.registry.tables import end_devices, installations, places, service_points
from headend.station import Station
from headend.store import readings as store
from headend.values import Reading
from headend.work.port import Work
from storage import audit

STATES: Final = ("waiting", "read", "partial", "failed", "skipped")
DEMAND_WITHIN_MIN: Final = 10
"""How long an on-demand round tries."""


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan in force."""

    plan_id: int
    name: str
    plan: Plan
    document: Mapping[str, Any]
    next_due: datetime
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True)
class RoundView:
    """How a round stands."""

    round_id: int
    kind: str
    name: str
    due_at: datetime
    closes_at: datetime
    ended_at: datetime | None
    devices: int
    counts: Mapping[str, int]
    """Meters by state."""
    requests: int
    spent_ms: int

    @property
    def settled(self) -> int:
        """How many meters no longer wait."""
        return self.devices - self.counts.get("waiting", 0)


@dataclass(frozen=True, slots=True)
class Missing:
    """A meter that a round could not read, for a person."""

    device_id: int
    number: str
    place: str | None
    state: str
    why: str
    words: str
    attempts: int
    remaining: str | None


class Collection:
    """Plans and rounds of one station.

    Looking needs `Right.LOOK`, everything else `Right.READ` (`NotAllowedError`).
    """

    def __init__(self, station: Station) -> None:
        self._station = station

    # Plans

    def add_plan(self, name: str, document: Mapping[str, Any]) -> KeptPlan:
        """Keep a plan; it is first due at its first moment from now on.

        Raises:
            PlanError: it cannot be so, or names what is not registered.
            PlanTakenError: a plan of this name is in force.
        """
        self._station.require(Right.READ)
        plan = parse_plan(document)
        if not name.strip():
            raise PlanError("A plan needs a name.")
        now = self._station.now()
        with self._station.writing() as connection:
            require_named(connection, plan.whom)
            if self._row(connection, name) is not None:
                raise PlanTakenError(
                    f"A plan {name!r} is in force: end it with `meterhouse plan remove`, or "
                    "choose another name."
                )
            connection.execute(
                insert(plans).values(
                    name=name,
                    document=document_of(plan),
                    next_due=next_due(plan.when, now, self._station.zone),
                    made_at=now,
                    made_by=self._station.person.name,
                )
            )
            self._note(connection, "plan.added", name, document_of(plan))
        return self.plan(name)

    def end_plan(self, name: str) -> None:
        """Make no more rounds of a plan; those that go on, go on.

        Raises:
            NoPlanError: none of this name is in force.
        """
        self._station.require(Right.READ)
        with self._station.writing() as connection:
            ended = connection.execute(
                update(plans)
                .where(plans.c.name == name, plans.c.ended_at.is_(None))
                .values(ended_at=self._station.now(), next_due=None)
            )
            if not ended.rowcount:
                raise NoPlanError(f"No plan {name!r} is in force.")
            self._note(connection, "plan.ended", name, "")

    def plans(self) -> list[KeptPlan]:
        """The plans in force, by name."""
        self._station.require(Right.LOOK)
        query = select(plans).where(plans.c.ended_at.is_(None)).order_by(plans.c.name)
        with self._station.reading() as connection:
            return [_kept(row) for row in connection.execute(query)]

    def plan(self, name: str) -> KeptPlan:
        """One plan in force.

        Raises:
            NoPlanError: none of this name is in force.
        """
        self._station.require(Right.LOOK)
        with self._station.reading() as connection:
            row = self._row(connection, name)
        if row is None:
            raise NoPlanError(f"No plan {name!r} is in force.")
        return _kept(row)

    def meters_on(self, name: str, moment: datetime) -> int:
        """How many meters a plan would read if it were due at a moment."""
        plan = self.plan(name).plan
        day = moment.astimezone(self._station.zone).date()
        with self._station.reading() as connection:
            chosen = meters_of(connection, plan, day).subquery()
            return connection.execute(select(func.count()).select_from(chosen)).scalar_one()

    def run_now(self, name: str, work: Work | None = None) -> int | None:
        """Make a round of a plan at once, besides those that are due; gives its id.

        Returns:
            None: the plan has no meters today.
        """
        self._station.require(Right.READ)
        kept = self.plan(name)
        now = self._station.now().replace(microsecond=0)
        with self._station.writing() as connection:
            self._note(connection, "plan.run", name, "")
            new = NewRound("chase", name, kept.plan, now, kept.plan_id)
            return make_round(self._station, connection, work, new)

    # Lists of meters

    def put_on_list(self, name: str, numbers: Sequence[str]) -> int:
        """Put meters on a list of the utility's own; gives how many were not on it.

        Raises:
            PlanError: a number that is not registered.
        """
        return self._change_list(name, numbers, adds=True)

    def take_off_list(self, name: str, numbers: Sequence[str]) -> int:
        """Take meters off a list; gives how many were on it."""
        return self._change_list(name, numbers, adds=False)

    def _change_list(self, name: str, numbers: Sequence[str], *, adds: bool) -> int:
        self._station.require(Right.READ)
        if not name.strip():
            raise PlanError("A list of meters needs a name.")
        with self._station.writing() as connection:
            ids = self._ids(connection, numbers)
            query = select(device_lists.c.device_id).where(
                device_lists.c.name == name, device_lists.c.device_id.in_(ids)
            )
            listed = set(connection.execute(query).scalars())
            changed = set(ids) - listed if adds else listed
            if adds and changed:
                rows = [{"name": name, "device_id": each} for each in sorted(changed)]
                connection.execute(insert(device_lists), rows)
            elif changed:
                connection.execute(
                    delete(device_lists).where(
                        device_lists.c.name == name, device_lists.c.device_id.in_(changed)
                    )
                )
            action = "list.added" if adds else "list.removed"
            self._note(connection, action, name, ",".join(numbers))
        return len(changed)

    # Rounds

    def read_now(
        self, numbers: Sequence[str], document: Mapping[str, Any], work: Work | None = None
    ) -> int:
        """An on-demand round of some meters, which overtakes what is planned; gives its id.

        Args:
            numbers: of the meters.
            document: ``what`` of a plan.
            work: where its jobs are queued; None: the next sweep queues them.

        Raises:
            PlanError: a number that is not registered, or nothing to read.
        """
        self._station.require(Right.READ)
        plan = parse_plan(
            {
                "what": {"clock": False, **document},
                "when": {"every_min": 1440},
                "urgency": "on-demand",
                "within_min": DEMAND_WITHIN_MIN,
                "retry_min": 1,
                "retry_max_min": 1,
            }
        )
        now = self._station.now()
        with self._station.writing() as connection:
            ids = self._ids(connection, numbers)
            meters = select(end_devices.c.device_id, end_devices.c.link_id).where(
                end_devices.c.device_id.in_(ids), end_devices.c.state == "active"
            )
            new = NewRound("demand", ", ".join(numbers)[:80], plan, now)
            made = make_round(self._station, connection, work, new, meters)
            if made is None:
                raise PlanError("None of these meters is active: nothing can be read.")
            self._note(connection, "round.demanded", str(made), ",".join(numbers))
        return made

    def chase(self, round_id: int, work: Work | None = None) -> int:
        """A new round of the meters that a round missed (补抄); gives its id.

        Raises:
            NoPlanError: no such round.
            PlanError: it goes on, or has missed none.
        """
        self._station.require(Right.READ)
        now = self._station.now()
        with self._station.writing() as connection:
            row = connection.execute(select(rounds).where(rounds.c.round_id == round_id)).first()
            if row is None:
                raise NoPlanError(f"There is no round {round_id}.")
            if row.ended_at is None:
                raise PlanError(f"Round {round_id} goes on: it chases its meters itself.")
            missed = select(round_devices.c.device_id).where(
                round_devices.c.round_id == round_id,
                round_devices.c.state.in_(("partial", "failed", "skipped")),
            )
            meters = select(end_devices.c.device_id, end_devices.c.link_id).where(
                end_devices.c.device_id.in_(missed), end_devices.c.state == "active"
            )
            plan = read_document(row.document)
            new = NewRound("chase", row.name, plan, now, row.plan_id)
            made = make_round(self._station, connection, work, new, meters)
            if made is None:
                raise PlanError(f"Round {round_id} has missed no meter that is still active.")
            self._note(connection, "round.chased", str(round_id), f"round {made}")
        return made

    def rounds(self, limit: int = 20, *, only_open: bool = False) -> list[RoundView]:
        """The last rounds, the latest first."""
        self._station.require(Right.LOOK)
        query = select(rounds).order_by(rounds.c.round_id.desc()).limit(limit)
        if only_open:
            query = query.where(rounds.c.ended_at.is_(None))
        with self._station.reading() as connection:
            return [self._view(connection, row) for row in connection.execute(query).all()]

    def round(self, round_id: int) -> RoundView:
        """One round.

        Raises:
            NoPlanError: there is none.
        """
        self._station.require(Right.LOOK)
        with self._station.reading() as connection:
            row = connection.execute(select(rounds).where(rounds.c.round_id == round_id)).first()
            if row is None:
                raise NoPlanError(f"There is no round {round_id}.")
            return self._view(connection, row)

    def missing(self, round_id: int, limit: int = 1000) -> list[Missing]:
        """The meters that a round has not, or not wholly, read; those that wait left out."""
        self._station.require(Right.LOOK)
        query = (
            select(
                round_devices.c.device_id,
                end_devices.c.number,
                places.c.name,
                round_devices.c.state,
                round_devices.c.why,
                round_devices.c.words,
                round_devices.c.attempts,
                round_devices.c.remaining,
            )
            .join(end_devices, end_devices.c.device_id == round_devices.c.device_id)
            .outerjoin(
                installations,
                (installations.c.device_id == round_devices.c.device_id)
                & installations.c.until.is_(None),
            )
            .outerjoin(service_points, service_points.c.point_id == installations.c.point_id)
            .outerjoin(places, places.c.place_id == service_points.c.place_id)
            .where(
                round_devices.c.round_id == round_id,
                round_devices.c.state.in_(("partial", "failed", "skipped")),
            )
            .order_by(places.c.name, end_devices.c.number)
            .limit(limit)
        )
        with self._station.reading() as connection:
            return [Missing(*row) for row in connection.execute(query)]

    def values_since(
        self, numbers: Sequence[str], quantities: Sequence[str], since: datetime
    ) -> list[tuple[str, Reading]]:
        """The last readings of some meters, as far as they are not older than a moment."""
        self._station.require(Right.LOOK)
        found: list[tuple[str, Reading]] = []
        with self._station.reading() as connection:
            ids = connection.execute(
                select(end_devices.c.number, end_devices.c.device_id)
                .where(end_devices.c.number.in_(list(numbers)))
                .order_by(end_devices.c.number)
            ).all()
            for number, device_id in ids:
                latest = store.latest(connection, device_id, quantities)
                found += [(number, each) for each in latest.values() if each.at >= since]
        return found

    # What they share

    def _view(self, connection: Connection, row: Any) -> RoundView:
        counts = connection.execute(
            select(round_devices.c.state, func.count())
            .where(round_devices.c.round_id == row.round_id)
            .group_by(round_devices.c.state)
        ).all()
        sums = connection.execute(
            select(
                func.coalesce(func.sum(round_links.c.asked), 0),
                func.coalesce(func.sum(round_links.c.spent_ms), 0),
            ).where(round_links.c.round_id == row.round_id)
        ).one()
        return RoundView(
            row.round_id,
            row.kind,
            row.name,
            row.due_at,
            row.closes_at,
            row.ended_at,
            row.devices,
            {each.state: each[1] for each in counts},
            int(sums[0]),
            int(sums[1]),
        )

    def _ids(self, connection: Connection, numbers: Sequence[str]) -> list[int]:
        rows = connection.execute(
            select(end_devices.c.number, end_devices.c.device_id).where(
                end_devices.c.number.in_(list(numbers))
            )
        )
        found = {row.number: row.device_id for row in rows}
        for number in numbers:
            if number not in found:
                raise PlanError(f"There is no meter {number}.")
        return sorted(found.values())

    def _row(self, connection: Connection, name: str) -> Any:
        query = select(plans).where(plans.c.name == name, plans.c.ended_at.is_(None))
        return connection.execute(query).first()

    def _note(self, connection: Connection, action: str, subject: str, detail: str) -> None:
        audit.record(
            connection,
            self._station.now(),
            actor=self._station.person.name,
            action=action,
            subject=subject,
            detail=detail,
        )


def _kept(row: Any) -> KeptPlan:
    return KeptPlan(
        row.plan_id,
        row.name,
        read_document(row.document),
        json.loads(row.document),
        row.next_due,
        row.made_at,
        row.made_by,
    )
