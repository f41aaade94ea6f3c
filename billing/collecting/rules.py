"""The rules of collection: values, and how they are read from TOML (``rules.toml`` says what each
one is)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final, TypeVar

from billing.collecting.ageing import AgeClass
from billing.collecting.faults import CollectionRulesError

CUSTOMER_CLASSES: Final = ("residential", "commercial", "industrial", "public")
DEBT_CLASSES: Final = ("heavy", "medium", "light")
"""From the worst on."""
_MODES: Final = ("postpaid", "prepaid")
_MOST: Final = 10**15
_Value = TypeVar("_Value")


class Does(StrEnum):
    """What a step does."""

    REMINDER = "reminder"
    SECOND_REMINDER = "second_reminder"
    FORMAL_NOTICE = "formal_notice"
    DISCONNECT_NOTICE = "disconnect_notice"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of collection."""

    code: str
    does: Does
    days_after_due: int
    days_after_last: int = 0
    min_minor: int = 0
    lenient_days: int = 0
    never_for: tuple[str, ...] = ()
    only_for: tuple[str, ...] = DEBT_CLASSES
    ahead_days: int = 0
    ahead_hour: int = 9


@dataclass(frozen=True, slots=True)
class PartPayment:
    """What a payment does that leaves something."""

    percent: int
    grace_days: int
    reconnect_percent: int


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What instalment plans may be like."""

    parts_max: int
    days_between: int
    call_days: int
    broken_days: int
    approve_above_minor: int
    approve_above_parts: int


@dataclass(frozen=True, slots=True)
class DeferralTerms:
    """How far a due date may be put off."""

    days_max: int
    approve_above_days: int
    approve_above_minor: int


@dataclass(frozen=True, slots=True)
class EarlyReminder:
    """Whom to remind before a due date."""

    lead_days: int
    chance_percent: int


@dataclass(frozen=True, slots=True)
class ScorePoints:
    """How findings move the credit score."""

    start: int
    months: int
    late_days: int
    late: int
    very_late: int
    very_late_days: int
    unpaid: int
    on_time: int
    owes_months: int
    disconnected: int
    plan_broken: int
    plan_kept: int
    bounced: int
    written_off: int
    long_customer: int
    new_customer: int
    swinging_use: int


@dataclass(frozen=True, slots=True)
class Band:
    """A band of the score, and the terms that go with it."""

    name: str
    points: int
    """At least."""
    due_days_more: int
    deposit_months: int
    """Of usual use."""
    warn_percent: int
    """Of the usual warning limit of prepaid accounts."""
    early_reminder: bool


@dataclass(frozen=True, slots=True)
class CollectionRules:
    """All of it."""

    hour: int
    ages: tuple[AgeClass, ...]
    modes: tuple[str, ...]
    first_time_months: int
    good_bands: tuple[str, ...]
    debt_classes: Mapping[str, tuple[tuple[int, int], ...]]
    """Name → (at least so much, at least so many days), one of which has to fit."""
    part_payment: PartPayment
    plan: PlanTerms
    deferral: DeferralTerms
    early_reminder: EarlyReminder
    steps: Mapping[str, tuple[Step, ...]]
    """By class of customers."""
    score: ScorePoints
    bands: tuple[Band, ...]
    """From the best on; the last one begins at zero."""

    def debt_class(self, overdue_minor: int, days: int) -> str:
        """Light, medium or heavy, by amount and age."""
        for name in DEBT_CLASSES:
            if any(
                overdue_minor >= least and days >= age for least, age in self.debt_classes[name]
            ):
                return name
        return DEBT_CLASSES[-1]

    def band(self, points: int) -> Band:
        """The band of a score."""
        return next(each for each in self.bands if points >= each.points)


@cache
def delivered() -> str:
    """The rules as delivered, TOML."""
    return resources.files("billing.collecting").joinpath("rules.toml").read_text("utf-8")


@cache
def read_rules(document: str) -> CollectionRules:
    """Rules from TOML.

    Raises:
        CollectionRulesError: says what cannot be used.
    """
    try:
        found = tomllib.loads(document)
    except tomllib.TOMLDecodeError as fault:
        raise CollectionRulesError(f"The rules are no TOML: {fault}.") from None
    try:
        return _rules(found)
    except KeyError as fault:
        raise CollectionRulesError(f"The rules leave out {fault.args[0]}.") from None
    except (TypeError, ValueError, AttributeError) as fault:
        raise CollectionRulesError(f"The rules cannot be used: {fault}.") from None


def _rules(found: dict[str, Any]) -> CollectionRules:
    known = {*(each.name for each in fields(CollectionRules)), "classes_of_age"} - {"ages"}
    if set(found) - known:
        raise CollectionRulesError(f"The rules do not know {', '.join(set(found) - known)}.")
    bands = tuple(_band(each) for each in found["bands"])
    names = [each.name for each in bands]
    points = [each.points for each in bands]
    if not bands or len(set(names)) != len(names) or points != sorted(set(points), reverse=True):
        raise CollectionRulesError("Bands go from the best to the worst, each with another name.")
    if points[-1] != 0:
        raise CollectionRulesError("The last band begins at 0 points, so that everybody has one.")
    rules = CollectionRules(
        hour=_number("hour", found["hour"], 0, 23),
        ages=_ages(found["classes_of_age"]),
        modes=_words("modes", found["modes"], _MODES),
        first_time_months=_number("first_time_months", found["first_time_months"], 0, 600),
        good_bands=_words("good_bands", found["good_bands"], names),
        debt_classes={
            name: tuple(
                (_number(name, least, 0), _number(name, days, 0, 3650))
                for least, days in found["debt_classes"][name]
            )
            for name in DEBT_CLASSES
        },
        part_payment=_numbers(PartPayment, found["part_payment"]),
        plan=_numbers(PlanTerms, found["plan"]),
        deferral=_numbers(DeferralTerms, found["deferral"]),
        early_reminder=_numbers(EarlyReminder, found["early_reminder"]),
        steps={
            each: _steps(each, found["steps"].get(each, []), names) for each in CUSTOMER_CLASSES
        },
        score=_numbers(ScorePoints, found["score"], least=-1000, most=1000),
        bands=bands,
    )
    _check(rules)
    return rules


def _check(rules: CollectionRules) -> None:
    plan, part = rules.plan, rules.part_payment
    if not 1 <= part.percent <= 100 or not 1 <= part.reconnect_percent <= 100:
        raise CollectionRulesError("Percentages of part payments are from 1 to 100.")
    if plan.parts_max < 2 or plan.days_between < 1 or plan.call_days > plan.days_between:
        raise CollectionRulesError(
            "A plan has at least 2 parts, days between them, and asks for one after another."
        )
    if rules.early_reminder.chance_percent > 100:
        raise CollectionRulesError("A chance is at most 100 percent.")
    if not 1 <= rules.score.months <= 60 or rules.score.late_days < 0:
        raise CollectionRulesError("The score looks at 1 to 60 months.")


def _steps(customer_class: str, found: list[dict[str, Any]], bands: list[str]) -> tuple[Step, ...]:
    steps = tuple(_step(each, bands) for each in found)
    codes = [each.code for each in steps]
    if len(set(codes)) != len(codes):
        raise CollectionRulesError(f"Two steps of {customer_class} have the same code.")
    for before, step in zip((None, *steps), steps, strict=False):
        if step.does is Does.DISCONNECT and (
            before is None or before.does is not Does.DISCONNECT_NOTICE
        ):
            raise CollectionRulesError(
                f"Step {step.code} of {customer_class}: a disconnect follows a disconnect notice."
            )
        if before is not None and step.days_after_due < before.days_after_due:
            raise CollectionRulesError(
                f"Step {step.code} of {customer_class} comes before the step that it follows."
            )
    return steps


def _step(found: dict[str, Any], bands: list[str]) -> Step:
    given = dict(found)
    code, does = str(given.pop("code")), Does(given.pop("does"))
    if not code.isidentifier():
        raise CollectionRulesError(f"The code of a step is one word, not {code!r}.")
    never = _words("never_for", given.pop("never_for", []), bands)
    only = _words("only_for", given.pop("only_for", list(DEBT_CLASSES)), DEBT_CLASSES)
    unknown = set(given) - {each.name for each in fields(Step)}
    if unknown:
        raise CollectionRulesError(f"Step {code}: {', '.join(sorted(unknown))} is not known.")
    numbers = {name: _number(name, value, 0) for name, value in given.items()}
    step = Step(code, does, never_for=never, only_for=only, **numbers)
    if does is Does.DISCONNECT_NOTICE and step.ahead_days < 1:
        raise CollectionRulesError(f"Step {code}: a disconnect is announced days ahead.")
    if step.ahead_hour > 23:
        raise CollectionRulesError(f"Step {code}: an hour is at most 23.")
    return step


def _band(found: dict[str, Any]) -> Band:
    if not isinstance(found["early_reminder"], bool):
        raise CollectionRulesError("early_reminder is true or false.")
    return Band(
        name=str(found["name"]),
        points=_number("points", found["points"], 0, 1000),
        due_days_more=_number("due_days_more", found["due_days_more"], 0, 366),
        deposit_months=_number("deposit_months", found["deposit_months"], 0, 24),
        warn_percent=_number("warn_percent", found["warn_percent"], 0, 1000),
        early_reminder=found["early_reminder"],
    )


def _ages(found: list[int]) -> tuple[AgeClass, ...]:
    ends = [_number("classes_of_age", each, 0, 3650) for each in found]
    if not ends or ends != sorted(set(ends)):
        raise CollectionRulesError("Classes of age end at days that grow.")
    begins = [0, *(each + 1 for each in ends)]
    named = [
        AgeClass(f"{begin}-{end}", begin, end) for begin, end in zip(begins, ends, strict=False)
    ]
    return (*named, AgeClass(f">{ends[-1]}", begins[-1], None))


def _numbers(
    of: Callable[..., _Value], found: dict[str, Any], *, least: int = 0, most: int = _MOST
) -> _Value:
    """A value of whole numbers, all of which are named and no others."""
    names = [each.name for each in fields(of)]  # type: ignore[arg-type]
    if set(found) - set(names):
        raise CollectionRulesError(f"The rules do not know {', '.join(set(found) - set(names))}.")
    return of(**{name: _number(name, found[name], least, most) for name in names})


def _number(name: str, value: object, least: int, most: int = _MOST) -> int:
    if type(value) is not int or not least <= value <= most:
        raise CollectionRulesError(f"{name} is a whole number from {least} to {most}.")
    return value


def _words(name: str, found: object, known: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or any(each not in known for each in found):
        raise CollectionRulesError(f"{name} is a list of words out of {', '.join(known)}.")
    return tuple(found)
