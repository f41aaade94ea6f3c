"""A register's step between two readings: forward, rolled over (回行), or wrong.

A register of n digits goes from 99...9 to 0.  That is told from an error by three signs: it was
near its end, it is near its beginning, and what would have been used between is possible in the
time.  A meter exchange is no step of a register at all: the registry knows both registers, and
the readings of two devices are never subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headend.watching.checks.flag import Flag, kwh
from headend.watching.thresholds import Limits

DLT645_CAPACITY_WH: Final = 1_000_000_000
"""DL/T 645 registers have the form XXXXXX.XX kWh; times the transformers' ratio."""
_DAY_S: Final = 86_400


class StepKind(StrEnum):
    """What happened to a register."""

    FORWARD = "forward"
    ROLLOVER = "rollover"
    BACKWARD = "backward"
    LEAP = "leap"


@dataclass(frozen=True, slots=True)
class Step:
    """A register's step."""

    kind: StepKind
    wh: int | None
    """What went through; None when nobody can say."""


def register_step(
    before_wh: int, after_wh: int, span_s: int, ratio: int, capacity_wh: int | None, limits: Limits
) -> Step:
    """Tell what happened to one register of one device.

    Args:
        before_wh: the earlier value, transformers' ratio applied.
        after_wh: the later one.
        span_s: the time between them.
        ratio: of the transformers.
        capacity_wh: where the register begins again, ratio applied; None: never, or unknown.
        limits: ``day_use_most_wh`` (times the ratio), ``rollover_span_percent``.
    """
    days = max(1, -(-span_s // _DAY_S))
    most = limits["day_use_most_wh"] * ratio * days
    gone = after_wh - before_wh
    if gone >= 0:
        return Step(StepKind.FORWARD, gone) if gone <= most else Step(StepKind.LEAP, None)
    if capacity_wh is not None:
        near = capacity_wh * limits["rollover_span_percent"] // 100
        through = gone + capacity_wh
        ends = before_wh >= capacity_wh - near and before_wh < capacity_wh and after_wh <= near
        if ends and through <= most:
            return Step(StepKind.ROLLOVER, through)
    return Step(StepKind.BACKWARD, None)


def register_flag(before_wh: int, after_wh: int, step: Step) -> Flag | None:
    """What to say about a step; forward is nothing."""
    figures = {"before_wh": before_wh, "after_wh": after_wh}
    match step.kind:
        case StepKind.FORWARD:
            return None
        case StepKind.ROLLOVER:
            assert step.wh is not None
            words = (
                f"The register went from {kwh(before_wh)} to {kwh(after_wh)}: it has begun again "
                f"at zero, {kwh(step.wh)} went through. Confirm that the meter is the same."
            )
            return Flag("rollover", words, {**figures, "through_wh": step.wh})
        case StepKind.BACKWARD:
            words = (
                f"The register went back from {kwh(before_wh)} to {kwh(after_wh)}, and not because "
                "it is full. Was the meter exchanged and not entered? Read it again."
            )
        case StepKind.LEAP:
            words = (
                f"The register went from {kwh(before_wh)} to {kwh(after_wh)}: more than this "
                "meter can take. Read it again; look at the transformers' ratio."
            )
    return Flag("register", words, figures, cause=f"register_{step.kind}")


def first_reading(since_exchange_wh: int | None, reason: str) -> Flag:
    """The first reading after a change is looked at by a person.

    Args:
        since_exchange_wh: what the new meter has counted; None: unknown.
        reason: of the change, as the registry has it.
    """
    counted = ""
    if since_exchange_wh is not None:
        counted = f" The new meter has counted {kwh(since_exchange_wh)}."
    return Flag(
        "first_reading",
        f"First reading after a change ({reason}).{counted} Compare it with the papers.",
        {} if since_exchange_wh is None else {"counted_wh": since_exchange_wh},
    )
