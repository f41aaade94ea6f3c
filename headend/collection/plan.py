"""A reading schedule as a value, and as the JSON document that is kept.

::

    {
        "what": {
            "quantities": ["energy_import_total"],
            "daily": ["energy_import_total"],
            "profile": ["energy_import_total"],
            "events": true,
        },
        "whom": {"places": ["North feeder"], "lists": ["factories"]},
        "when": {"every_min": 60, "at": "00:05"},
        "windows": [["22:00", "06:00"]],
        "urgency": "routine",
    }

`When.days` is ``"reading"`` (each customer's reading day, 抄表例日), ``"rolling"`` (each meter on
one day of the month, the meters spread evenly), or days of the month.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import time
from typing import Any, Final

from headend.collection.faults import PlanError
from headend.collection.window import Window
from headend.talk.quantities import require_known
from headend.work.port import Urgency

READING: Final = "reading"
ROLLING: Final = "rolling"
DAY_MIN: Final = 1440
_DAY_PLAN_WITHIN_MIN: Final = 2 * DAY_MIN
_URGENCIES: Final = {
    "routine": Urgency.ROUTINE,
    "late": Urgency.RETRY_LATE,
    "background": Urgency.BACKGROUND,
    "on-demand": Urgency.ON_DEMAND,
}
_BACK_MAX: Final = {"daily_back": 62, "hourly_back": 62, "monthly_back": 12, "profile_back": 62}


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What is read of each meter; freezes and profiles only as far as the store lacks them."""

    quantities: tuple[str, ...] = ()
    """Present registers."""
    daily: tuple[str, ...] = ()
    """Energies frozen at midnight."""
    daily_back: int = 7
    """Days."""
    hourly: tuple[str, ...] = ()
    hourly_back: int = 24
    """Hours."""
    monthly: tuple[str, ...] = ()
    """Energies at the meter's settlement."""
    monthly_back: int = 1
    """Months."""
    profile: tuple[str, ...] = ()
    """Quantities of the load profile."""
    profile_min: int = 15
    """Its interval."""
    profile_back: int = 7
    """Days."""
    events: bool = False
    clock: bool = True
    """The offset of the meter's clock, at most once a day."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What may remain to be read of a meter: quantities by name, the rest by kind."""
        kinds = [
            name
            for name in ("daily", "hourly", "monthly", "profile", "events")
            if getattr(self, name)
        ]
        return (*self.quantities, *kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Which active meters; those that any of it names, all of them when nothing is named."""

    places: tuple[str, ...] = ()
    """With all that lies below them."""
    links: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    """By number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Every so many minutes of the day, or on days of the month."""

    every_min: int | None = None
    """A divisor of a day."""
    days: str | tuple[int, ...] | None = None
    at: time = time(0, 0)
    """Of the utility's day: when it is due; with ``every_min`` the first of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One schedule."""

    what: What
    whom: Whom = field(default_factory=Whom)
    when: When
    windows: tuple[Window, ...] = ()
    urgency: Urgency = Urgency.ROUTINE
    within_min: int
    """How long after its due moment a round may ask; what is not read by then is missing."""
    line_s: int | None = None
    """Time on one line that a round may take."""
    requests: int | None = None
    """Requests on one line that a round may make."""
    retry_min: int = 2
    """First pause before a meter is asked again; doubles."""
    retry_max_min: int = 60

    @property
    def is_monthly(self) -> bool:
        """Whether each meter is read once in a month, on a day of its own."""
        return self.when.days in (READING, ROLLING)


def parse_plan(document: Mapping[str, Any]) -> Plan:
    """A plan from its document.

    Raises:
        PlanError: says what is wrong.
        UnknownQuantityError: it names a quantity that there is not.
    """
    left = dict(document)
    what = _what(_table(left, "what"))
    whom = _whom(_table(left, "whom"))
    when = _when(_table(left, "when"))
    default_min = when.every_min if when.every_min is not None else _DAY_PLAN_WITHIN_MIN
    only_profile = what.parts == ("profile",)
    plan = Plan(
        what=what,
        whom=whom,
        when=when,
        windows=tuple(_window(pair) for pair in _list(left, "windows")),
        urgency=_urgency(left.pop("urgency", "background" if only_profile else "routine")),
        within_min=_number(left, "within_min", default_min),
        line_s=_number(left, "line_s", None),
        requests=_number(left, "requests", None),
        retry_min=_number(left, "retry_min", 2),
        retry_max_min=_number(left, "retry_max_min", 60),
    )
    _refuse_rest(left, "a plan")
    if plan.retry_max_min < plan.retry_min:
        raise PlanError("retry_max_min is at least retry_min.")
    return plan


def document_of(plan: Plan) -> str:
    """The canonical JSON of a plan; `parse_plan` gives the plan again."""
    when: dict[str, Any] = {"at": f"{plan.when.at:%H:%M}"}
    if plan.when.every_min is not None:
        when["every_min"] = plan.when.every_min
    if plan.when.days is not None:
        when["days"] = plan.when.days
    document: dict[str, Any] = {
        "what": {each.name: getattr(plan.what, each.name) for each in fields(What)},
        "whom": {each.name: getattr(plan.whom, each.name) for each in fields(Whom)},
        "when": when,
        "windows": [[f"{w.start:%H:%M}", f"{w.end:%H:%M}"] for w in plan.windows],
        "urgency": next(name for name, each in _URGENCIES.items() if each is plan.urgency),
        "within_min": plan.within_min,
        "retry_min": plan.retry_min,
        "retry_max_min": plan.retry_max_min,
    }
    for name in ("line_s", "requests"):
        if getattr(plan, name) is not None:
            document[name] = getattr(plan, name)
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_document(text: str) -> Plan:
    """A plan from JSON text.

    Raises:
        PlanError: it is no JSON, or no plan.
    """
    try:
        document = json.loads(text)
    except ValueError:
        raise PlanError("A plan is a JSON object; this text is none.") from None
    if not isinstance(document, dict):
        raise PlanError("A plan is a JSON object.")
    return parse_plan(document)


def _what(left: dict[str, Any]) -> What:
    values: dict[str, Any] = {}
    for name in ("quantities", "daily", "hourly", "monthly", "profile"):
        values[name] = _names(left, name)
        require_known(values[name])
    for name, most in _BACK_MAX.items():
        if name in left:
            values[name] = _number(left, name, None)
            if values[name] > most:
                raise PlanError(f"{name} is at most {most}.")
    if "profile_min" in left:
        values["profile_min"] = _number(left, "profile_min", None)
    for name in ("events", "clock"):
        if name in left:
            values[name] = left.pop(name)
            if not isinstance(values[name], bool):
                raise PlanError(f"{name} is true or false.")
    _refuse_rest(left, "what")
    what = What(**values)
    if 60 % what.profile_min:
        raise PlanError("profile_min is 1, 5, 10, 15, 30 or 60.")
    if not what.parts:
        raise PlanError("A plan reads something: quantities, daily, monthly, profile, events.")
    return what


def _whom(left: dict[str, Any]) -> Whom:
    whom = Whom(**{each.name: _names(left, each.name) for each in fields(Whom)})
    _refuse_rest(left, "whom")
    return whom


def _when(left: dict[str, Any]) -> When:
    every_min = _number(left, "every_min", None)
    days = left.pop("days", None)
    at = _face(left.pop("at", "00:00"))
    _refuse_rest(left, "when")
    if (every_min is None) == (days is None):
        raise PlanError("A plan is due every_min, or on days; one of the two.")
    if every_min is not None:
        if DAY_MIN % every_min:
            raise PlanError("every_min divides a day: 15, 30, 60, 360, 1440, ...")
        if at.hour * 60 + at.minute >= every_min:
            raise PlanError("With every_min, at is the first moment of the day: below every_min.")
        return When(every_min=every_min, at=at)
    if isinstance(days, str):
        if days not in (READING, ROLLING):
            raise PlanError("days is 'reading', 'rolling', or a list of days of the month.")
        return When(days=days, at=at)
    if (
        not isinstance(days, list | tuple)
        or not days
        or any(type(day) is not int or not 1 <= day <= 31 for day in days)
    ):
        raise PlanError("Days of the month are 1-31; after a month's end its last day is meant.")
    return When(days=tuple(sorted(set(days))), at=at)


def _window(pair: object) -> Window:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise PlanError('A window is two times: ["22:00", "06:00"].')
    start, end = _face(pair[0]), _face(pair[1])
    if start == end:
        raise PlanError("A window's start and end differ; leave windows out for the whole day.")
    return Window(start, end)


def _face(text: object) -> time:
    try:
        face = time.fromisoformat(str(text))
    except ValueError:
        raise PlanError(f"{text!r} is no time of the day, such as 01:30.") from None
    if face.tzinfo is not None or face.second or face.microsecond:
        raise PlanError(f"{text!r}: times of the day are hours and minutes of the utility's zone.")
    return face


def _urgency(name: object) -> Urgency:
    if name not in _URGENCIES:
        raise PlanError(f"urgency is one of {', '.join(_URGENCIES)}.")
    return _URGENCIES[str(name)]


def _number(left: dict[str, Any], name: str, default: Any) -> Any:
    value = left.pop(name, default)
    if value is not None and (type(value) is not int or value < 1):
        raise PlanError(f"{name} is a whole number from 1 on.")
    return value


def _names(left: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple(str(each) for each in _list(left, name))


def _list(left: dict[str, Any], name: str) -> list[Any]:
    value = left.pop(name, [])
    if not isinstance(value, list | tuple):
        raise PlanError(f"{name} is a list.")
    return list(value)


def _table(left: dict[str, Any], name: str) -> dict[str, Any]:
    value = left.pop(name, {})
    if not isinstance(value, Mapping):
        raise PlanError(f"{name} is an object.")
    return dict(value)


def _refuse_rest(left: Mapping[str, Any], where: str) -> None:
    if left:
        raise PlanError(f"Unknown in {where}: {', '.join(sorted(left))}.")
