"""Local prepayment in money: what a meter of that kind remembers besides its balance.

A payment carries a count, which makes it safe to send twice (spec section 3): the meter takes it
only when the count is its own plus one; the count that it took last is a repeated order, and adds
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

RECORDS_MAX: Final = 10
NO_CLIENT: Final = "000000000000"


class PurchaseRecord(NamedTuple):
    """One payment.  Amounts in minor units."""

    local: int
    """By the meter's clock."""
    number: int
    """The payment's own count."""
    amount: int
    before: int
    after: int
    total: int


@dataclass(frozen=True, slots=True)
class Account:
    """The customer's account in the meter."""

    is_open: bool = False
    client_number: str = NO_CLIENT
    count: int = 0
    """Payments taken."""
    total_minor: int = 0
    """All payments together."""
    records: tuple[PurchaseRecord, ...] = ()
    """The last ten, the latest last."""
    authenticated_until: int = 0
    """True second."""
    authentication_s: int | None = None
    """How long the next authentication lasts; None: as the type says."""

    def paid(self, record: PurchaseRecord, client_number: str) -> Account:
        """After a payment was taken."""
        return replace(
            self,
            is_open=True,
            client_number=client_number,
            count=record.number,
            total_minor=record.total,
            records=(*self.records, record)[-RECORDS_MAX:],
        )


NO_ACCOUNT: Final = Account()
