"""What would it cost: a tariff tried on a use that nobody has had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, tzinfo

from billing.tariffs.periods import midnight
from billing.tariffs.pricing import price
from billing.tariffs.tariff import Tariff
from billing.tariffs.values import Priced, Usage
from billing.tariffs.version import TariffVersion


@dataclass(frozen=True, slots=True)
class Trial:
    """A use to be priced; days of the utility's zone."""

    first: date
    end: date
    """The day after the last."""
    energy_wh: Mapping[str, int]
    """With ``total``; see `Usage`."""
    before_wh: Mapping[str, int] = field(default_factory=dict)
    """By ``month`` and ``year``; nothing where it is not said."""
    capacity: int | None = None
    demand_w: int | None = None
    reactive_varh: int | None = None
    customer_class: str = ""

    def scaled(self, part: int, of: int) -> Trial:
        """The same use with a part of its energy, in the same proportions."""
        energy = {code: wh * part // of for code, wh in self.energy_wh.items() if code != "total"}
        energy["total"] = sum(energy.values()) if energy else self.energy_wh["total"] * part // of
        reactive = None if self.reactive_varh is None else self.reactive_varh * part // of
        return replace(self, energy_wh=energy, reactive_varh=reactive)


def try_tariff(tariff: Tariff, trial: Trial, zone: tzinfo, *, version: int = 1) -> Priced:
    """Price a use as if the tariff were valid throughout it.

    Args:
        tariff: by which.
        trial: the use.
        zone: the utility's.
        version: the number that the answer gives.

    Raises:
        UsageRefusedError: the use does not fit the tariff; says what to give.
    """
    since, until = midnight(trial.first, zone), midnight(trial.end, zone)
    usage = Usage(
        since,
        until,
        trial.energy_wh,
        demand_w=trial.demand_w,
        reactive_varh=trial.reactive_varh,
        before_wh={"month": 0, "year": 0, **trial.before_wh},
        capacity=trial.capacity,
        demand_before_w=0,
        customer_class=trial.customer_class,
    )
    return price(TariffVersion(version, since, tariff), usage, zone)


def curve(tariff: Tariff, trial: Trial, zone: tzinfo, points: int) -> list[tuple[int, Priced]]:
    """What uses from nothing to the trial's cost, in even steps: Wh and price of each.

    Args:
        tariff: by which.
        trial: the largest use.
        zone: the utility's.
        points: how many steps.

    Raises:
        UsageRefusedError: the use does not fit the tariff.
    """
    found = []
    for part in range(points + 1):
        scaled = trial.scaled(part, points)
        found.append((scaled.energy_wh["total"], try_tariff(tariff, scaled, zone)))
    return found
