"""What a measurement says, for a person and for a machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the measurements are."""

    divisor: int = 1
    """1, or 20 for a quick look."""

    def __call__(self, size: int) -> int:
        """A size, scaled down."""
        return max(1, size // self.divisor)


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should reach, or stay under."""

    value: int
    at_most: bool = False

    def met(self, figure: float) -> bool:
        """Whether the figure is good enough."""
        return figure <= self.value if self.at_most else figure >= self.value


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The figure of something else in the same run."""

    name: str
    figure: float


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement."""

    name: str
    figure: float
    unit: str
    limit: str
    """What limits it."""
    target: Target | None = None
    yardstick: Yardstick | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.met(self.figure)

    @property
    def ratio(self) -> float | None:
        """How many times the yardstick."""
        return None if self.yardstick is None else self.figure / self.yardstick.figure

    def record(self) -> dict[str, object]:
        """For a machine."""
        return {
            "name": self.name,
            "figure": self.figure,
            "unit": self.unit,
            "target": None if self.target is None else self.target.value,
            "met": self.met,
            "ratio": self.ratio,
            "yardstick": None if self.yardstick is None else self.yardstick.name,
            "limit": self.limit,
        }
