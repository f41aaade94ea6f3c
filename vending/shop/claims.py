"""The claim report: units that were given away, for whoever funds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from storage.span import within
from vending.receipts.receipt import ReceiptKind
from vending.shop.settings import Utility
from vending.shop.tables import meters, receipts

FUNDS: Final = {
    ReceiptKind.FREE_ISSUE.value: "fund.free_issue",
    ReceiptKind.FREE_BASIC.value: "fund.free_basic",
    ReceiptKind.REPLACEMENT.value: "fund.replacement",
}
"""Which fund each kind is claimed from."""


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """What one meter was given from one fund in one month."""

    fund: str
    month: str
    """``2026-11``, in the utility's zone."""
    meter: str
    resource: str
    times: int
    units: int
    """Tenths."""


def claim_report(
    connection: Connection, utility: Utility, since: datetime, until: datetime
) -> tuple[ClaimLine, ...]:
    """Units given away in a span of time, by fund, month and meter."""
    rows = connection.execute(
        select(
            receipts.c.kind,
            receipts.c.issued_at,
            receipts.c.units,
            receipts.c.resource,
            meters.c.number,
        )
        .join(meters, meters.c.meter_id == receipts.c.meter_id)
        .where(receipts.c.kind.in_(FUNDS), *within(receipts.c.issued_at, since, until))
    )
    sums: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for row in rows:
        month = f"{utility.local(row.issued_at):%Y-%m}"
        key = (FUNDS[row.kind], month, row.number, row.resource)
        times, units = sums.get(key, (0, 0))
        sums[key] = (times + 1, units + row.units)
    return tuple(ClaimLine(*key, *sums[key]) for key in sorted(sums))
