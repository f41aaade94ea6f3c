"""The model of the forecast: a sum of weights, turned into a chance (logistic regression).

It is learnt from counts: how many due dates of each combination of findings there were, and how
many of them were late.  The weights are found by Newton's method with a small penalty for large
ones, which makes them unique; they are kept as whole thousandths, so that a forecast is the same
on every machine.  `Hits` says how good it is on due dates that it has not seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from billing.collecting.features import GROUPS, Features

MILLION: Final = 1_000_000
_THOUSAND: Final = 1_000
_PENALTY: Final = 1.0
_ROUNDS_MAX: Final = 50
_STILL: Final = 1e-9
_TENTHS: Final = 10
Counts = Mapping[Features, tuple[int, int]]
"""Combination of findings → (due dates, those that were late)."""


class Counting:
    """Counts examples, some at a time."""

    def __init__(self) -> None:
        self.counts: dict[Features, tuple[int, int]] = {}

    def add(self, features: Features, late: bool) -> None:
        """One more."""
        all_, late_ = self.counts.get(features, (0, 0))
        self.counts[features] = all_ + 1, late_ + late

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(all_ for all_, _ in self.counts.values())

    @property
    def late(self) -> int:
        """How many were late."""
        return sum(late for _, late in self.counts.values())


@dataclass(frozen=True, slots=True)
class Model:
    """Weights in thousandths: above zero makes being late likelier."""

    base: int
    weights: tuple[tuple[int, ...], ...]
    """By finding and class (`features.GROUPS`)."""

    def chance_ppm(self, features: Features) -> int:
        """The chance of being late, in millionths."""
        points = self.base + sum(
            weights[place] for weights, place in zip(self.weights, features, strict=True)
        )
        return round(MILLION / (1 + math.exp(-points / _THOUSAND)))

    def reasons(self, features: Features) -> list[tuple[str, int]]:
        """What moves a chance, the strongest first: words, and thousandths."""
        found = [
            (f"{name}: {classes[place]}", weights[place])
            for (name, classes), weights, place in zip(
                GROUPS.items(), self.weights, features, strict=True
            )
        ]
        return sorted(found, key=lambda each: -abs(each[1]))

    def document(self) -> str:
        """As it is stored: canonical JSON."""
        named = {
            name: dict(zip(classes, weights, strict=True))
            for (name, classes), weights in zip(GROUPS.items(), self.weights, strict=True)
        }
        found = {"base": self.base, "weights": named}
        return json.dumps(found, sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, document: str) -> Model:
        """A model as it was stored."""
        found: dict[str, Any] = json.loads(document)
        weights = tuple(
            tuple(int(found["weights"][name][each]) for each in classes)
            for name, classes in GROUPS.items()
        )
        return cls(int(found["base"]), weights)


@dataclass(frozen=True, slots=True)
class Tenth:
    """A tenth of the due dates, those with the highest chances first."""

    due: int
    late: int
    chance_ppm: int
    """The mean of what was forecast."""


@dataclass(frozen=True, slots=True)
class Hits:
    """How a model did on due dates that it had not seen."""

    due: int
    late: int
    limit_ppm: int
    """Whom the forecast named: from this chance on."""
    named: int
    named_late: int
    tenths: tuple[Tenth, ...]

    @property
    def precision_percent(self) -> int:
        """Of those that were named, how many were late."""
        return _percent(self.named_late, self.named)

    @property
    def recall_percent(self) -> int:
        """Of those that were late, how many had been named."""
        return _percent(self.named_late, self.late)

    @property
    def late_percent(self) -> int:
        """How many were late at all."""
        return _percent(self.late, self.due)

    @property
    def lift_tenths(self) -> int:
        """How many times likelier the first tenth was late than everybody, in tenths."""
        first = self.tenths[0] if self.tenths else Tenth(0, 0, 0)
        if not self.late or not first.due:
            return 0
        return round(10 * first.late * self.due / (first.due * self.late))

    def document(self) -> str:
        """As it is stored: canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, document: str) -> Hits:
        """Hits as they were stored."""
        found: dict[str, Any] = json.loads(document)
        return cls(**{**found, "tenths": tuple(Tenth(**each) for each in found["tenths"])})


def fit(counts: Counts) -> Model:
    """Learn from counts; the same counts give the same model.

    Args:
        counts: some, of which some were late and some were not.
    """
    rows = sorted(counts.items())
    starts = _starts()
    table = np.zeros((len(rows), sum(len(classes) for classes in GROUPS.values()) + 1))
    table[:, 0] = 1
    for row, (features, _) in enumerate(rows):
        for start, place in zip(starts, features, strict=True):
            table[row, start + place] = 1
    due = np.array([all_ for _, (all_, _) in rows], dtype=float)
    late = np.array([late_ for _, (_, late_) in rows], dtype=float)
    penalty = np.full(table.shape[1], _PENALTY)
    penalty[0] = 0
    weights = np.zeros(table.shape[1])
    weights[0] = math.log((late.sum() + 1) / (due.sum() - late.sum() + 1))
    for _ in range(_ROUNDS_MAX):
        chances = 1 / (1 + np.exp(-(table @ weights)))
        slope = table.T @ (late - due * chances) - penalty * weights
        bend = (table.T * (due * chances * (1 - chances))) @ table + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights += np.clip(step, -2, 2)  # far from the end a whole step may go too far
        if float(np.abs(step).max()) < _STILL:
            break
    whole = [round(float(each) * _THOUSAND) for each in weights]
    parts = tuple(
        tuple(whole[start : start + len(classes)])
        for start, classes in zip(starts, GROUPS.values(), strict=True)
    )
    return Model(whole[0], parts)


def hits_of(model: Model, counts: Counts, limit_ppm: int) -> Hits:
    """How good a model is on examples.

    Args:
        model: which.
        counts: examples that it has not learnt from.
        limit_ppm: named is who has at least this chance.
    """
    rows = sorted(
        ((model.chance_ppm(features), all_, late) for features, (all_, late) in counts.items()),
        reverse=True,
    )
    named = [(all_, late) for chance, all_, late in rows if chance >= limit_ppm]
    return Hits(
        due=sum(all_ for _, all_, _ in rows),
        late=sum(late for _, _, late in rows),
        limit_ppm=limit_ppm,
        named=sum(all_ for all_, _ in named),
        named_late=sum(late for _, late in named),
        tenths=tuple(_tenths(rows)),
    )


def _tenths(rows: list[tuple[int, int, int]]) -> Iterable[Tenth]:
    """Equal parts; examples of one combination are alike and go together in proportion."""
    total = sum(all_ for _, all_, _ in rows)
    place, done = 0, 0
    begun = [list(each) for each in rows]
    for part in range(1, _TENTHS + 1):
        wanted = total * part // _TENTHS - done
        done += wanted
        due, late, chances = 0, 0, 0
        while wanted and place < len(begun):
            chance, all_, late_ = begun[place]
            used = min(wanted, all_)
            used_late = round(late_ * used / all_) if all_ else 0
            due, late, chances = due + used, late + used_late, chances + chance * used
            wanted -= used
            begun[place] = [chance, all_ - used, late_ - used_late]
            place += used == all_
        yield Tenth(due, late, chances // due if due else 0)


def _starts() -> list[int]:
    starts, next_ = [], 1
    for classes in GROUPS.values():
        starts.append(next_)
        next_ += len(classes)
    return starts


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
