"""Money inside a meter: what is left, and what energy takes of it, exact.

The unit of account is the *grain*: one ten-thousandth of the currency per kWh, times one
watt-second.  A price has four decimals (DL/T 645-2007, 040501nn) and energy is counted in
watt-seconds, so that every charge is a whole number of grains and nothing is ever rounded; only
what is shown is, to minor units (1/100).

The balance falls to exactly minus the overdraft limit and never past it.  The contact then stays
open until the balance is back at `Purse.close_from_grains`, and above that floor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

GRAINS_PER_MINOR: Final = 100 * 3_600_000
"""Prices count 1/10000, a minor unit is 100 of these; a kWh is 3,600,000 Ws."""
_UNLIMITED_WS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Purse:
    """The balance and what governs it."""

    balance_grains: int = 0
    """Negative: overdrawn."""
    price: int = 0
    """1/10000 of the currency per kWh, of the tariff in force."""
    overdraft_grains: int = 0
    """How far below zero the balance may go."""
    close_from_grains: int = 0
    """The balance from which the contact may close again after it was out of money."""
    warn_below_grains: int = 0
    """The first alarm amount."""
    is_cut: bool = True
    """Out of money: the contact is open for it."""

    @property
    def balance_minor(self) -> int:
        """In minor units, rounded down: a customer is never shown more than there is."""
        return self.balance_grains // GRAINS_PER_MINOR

    @property
    def allowance_ws(self) -> int:
        """The energy that may still flow at the price in force; the last Ws takes the rest."""
        if self.is_cut:
            return 0
        left = self.balance_grains + self.overdraft_grains
        return -(-left // self.price) if self.price else _UNLIMITED_WS

    @property
    def is_low(self) -> bool:
        """Whether the balance is below the first alarm amount."""
        return self.balance_grains < self.warn_below_grains

    def at_price(self, price: int) -> Purse:
        """The same money under another tariff."""
        return self if price == self.price else replace(self, price=price)

    def after_energy(self, ws: int) -> Purse:
        """After energy within the allowance was passed."""
        cost = min(ws * self.price, self.balance_grains + self.overdraft_grains)
        return replace(self, balance_grains=self.balance_grains - cost)._settled()

    def with_amount(self, minor: int) -> Purse:
        """After a payment, or with a negative amount after a refund, within the limits."""
        balance = self.balance_grains + minor * GRAINS_PER_MINOR
        return replace(self, balance_grains=balance)._settled()

    def with_limits(self, *, overdraft: int, close_from: int, warn_below: int) -> Purse:
        """The same balance under other limits, in minor units."""
        return replace(
            self,
            overdraft_grains=overdraft * GRAINS_PER_MINOR,
            close_from_grains=close_from * GRAINS_PER_MINOR,
            warn_below_grains=warn_below * GRAINS_PER_MINOR,
        )._settled()

    def _settled(self) -> Purse:
        """With the contact's condition brought up to date."""
        is_out = self.balance_grains <= -self.overdraft_grains
        may_close = self.balance_grains >= self.close_from_grains
        is_cut = is_out or (self.is_cut and not may_close)
        return self if is_cut == self.is_cut else replace(self, is_cut=is_cut)
