"""A version of a tariff, and the spans in which versions are valid.  Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from billing.tariffs.plan import Plan
from billing.tariffs.preparing import prepare
from billing.tariffs.tariff import Tariff


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """A tariff as it is valid from the start of a day on; prepared for pricing."""

    version: int
    """1, 2, ... of the tariff, in the order in which they were added."""
    since: datetime
    """UTC: a midnight of the utility's zone."""
    tariff: Tariff
    plan: Plan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", prepare(self.tariff))

    @property
    def code(self) -> str:
        """The tariff's."""
        return self.tariff.code


@dataclass(frozen=True, slots=True)
class VersionSpan:
    """A part of a span in which one version is valid."""

    version: TariffVersion
    since: datetime
    until: datetime
    ends: bool
    """Whether the version ends with ``until``, because the next one begins then."""
