"""How the rooms of the office are put together: who watches balances, what is swept when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from billing.office import BalanceWatcher, Office


@dataclass(frozen=True, slots=True)
class OfficeSweep:
    """One thing that is looked at again and again."""

    name: str
    every_s: int
    act: Callable[[Office], int]
    """Does what is due, tells how much it was; bounded, repeatable, safe in several processes."""


def watchers() -> tuple[BalanceWatcher, ...]:
    """Who acts when balances move, in this order: an account that becomes active is watched."""
    from billing.accounts.watcher import ClosedWatcher, DepositWatcher
    from billing.collecting.watcher import CollectionWatcher
    from billing.prepaid.watcher import PrepaidWatcher

    return (DepositWatcher(), PrepaidWatcher(), CollectionWatcher(), ClosedWatcher())


def office_sweeps() -> tuple[OfficeSweep, ...]:
    """All sweeps, in the order in which money and word of it flow."""
    from billing.accounts import sweep as accounts
    from billing.bills import sweeping as bills
    from billing.collecting import sweeping as collecting
    from billing.collecting.score import is_good_payer
    from billing.notices import sweeping as notices
    from billing.payments import self_service
    from billing.prepaid import sweep as prepaid
    from billing.settlement import run as settlement

    return (
        OfficeSweep("settlement", 60, settlement.sweep),
        OfficeSweep("accounts", 60, lambda office: accounts.sweep(office, settle_to_the_end)),
        OfficeSweep("bills", 600, bills.sweep),
        OfficeSweep("prepaid", 10, lambda office: prepaid.sweep(office, is_good_payer)),
        OfficeSweep("collections", 60, collecting.sweep),
        OfficeSweep("notices", 5, notices.sweep),
        OfficeSweep("questions", 3_600, self_service.sweep),
    )


def settle_to_the_end(office: Office, supply_ids: Sequence[int]) -> Mapping[int, str]:
    """The final settlement of supplies that have ended; what is waited for, of the others."""
    from sqlalchemy import select

    from billing.accounts.tables import supplies
    from billing.settlement.faults import NotSettledError
    from billing.settlement.final import final_settlement

    waits: dict[int, str] = {}
    with office.reading() as connection:
        ends = connection.execute(
            select(supplies.c.supply_id, supplies.c.until)
            .where(supplies.c.supply_id.in_(supply_ids), supplies.c.until.is_not(None))
            .order_by(supplies.c.supply_id)
        ).all()
    for row in ends:
        try:
            with office.writing() as connection:
                final_settlement(connection, office, row.supply_id, row.until)
        except NotSettledError as fault:
            waits[row.supply_id] = str(fault)
    return waits


SWEEP_NAMES: Final = (
    "settlement", "accounts", "bills", "prepaid", "collections", "notices",
    "questions",
)  # fmt: skip
