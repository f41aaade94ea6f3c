"""What a supply's chain of settlements stands at: what the next one goes on from.  Pure values.

It is kept with each settlement (`settlements.readings`, under ``after``), so that the last row of
a chain has everything, however long the chain is.  Registers at its end are those of the row that
settled the chain's last span; what is counted and carried is that of the last row by number, which
may be a correction of an earlier span.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.tariffs.values import LineKind

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class MonthSoFar:
    """What was settled of the month that the chain's end lies in."""

    active_wh: int = 0
    """With `varh` and `charges`: of parts whose tariff has a power factor."""
    varh: int = 0
    demand_w: int | None = None
    charges: Mapping[LineKind, Decimal] = field(default_factory=dict)
    """Exact amounts of lines by kind."""


@dataclass(frozen=True, slots=True)
class State:
    """What the next settlement goes on from."""

    seq: int
    until: datetime
    carried: Decimal = NOTHING
    """All that rounding has left so far, whatever was corrected: may be a whole unit and more."""
    tax_carried: Decimal = NOTHING
    counted: Mapping[datetime, int] = field(default_factory=dict)
    """Energy since some moments: begins of the month, of the year, of tariff versions."""
    month: MonthSoFar = MonthSoFar()
    registers: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """Device → quantity → register at the chain's end, as it was billed."""


def state_of(
    seq: int, until: datetime, carried: str, readings: str, ends: str | None = None
) -> State:
    """From a chain's last row.

    Args:
        seq: its number.
        until: the chain's end.
        carried: its column.
        readings: its column.
        ends: the same column of the row that settled the chain's last span, where it is another.
    """
    document = json.loads(readings)
    after: dict[str, Any] = document["after"]
    meters = (document if ends is None else json.loads(ends))["meters"]
    return State(
        seq,
        until,
        Decimal(carried),
        Decimal(after["tax_carried"]) if "tax_carried" in after else NOTHING,
        {datetime.fromisoformat(at): wh for at, wh in after["counted"].items()},
        MonthSoFar(
            after.get("active_wh", 0),
            after.get("varh", 0),
            after.get("demand_w"),
            {LineKind(kind): Decimal(sum_) for kind, sum_ in after.get("charges", {}).items()},
        ),
        {meters[-1]["device"]: meters[-1]["end"]} if meters else {},
    )


def after_of(state: State) -> dict[str, Any]:
    """What of it is kept under ``after``."""
    after: dict[str, Any] = {
        "counted": {at.isoformat(): wh for at, wh in sorted(state.counted.items())}
    }
    if state.tax_carried:
        after["tax_carried"] = str(state.tax_carried)
    if state.month.active_wh:
        after["active_wh"] = state.month.active_wh
    if state.month.varh:
        after["varh"] = state.month.varh
    if state.month.demand_w is not None:
        after["demand_w"] = state.month.demand_w
    if state.month.charges:
        after["charges"] = {
            kind.value: str(amount) for kind, amount in sorted(state.month.charges.items())
        }
    return after
