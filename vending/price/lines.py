"""What an amount of money becomes, line by line.  Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vending.receipts.receipt import Reason


class LineKind(StrEnum):
    """What a line of a receipt is for."""

    ENERGY = "energy"
    TAX = "tax"
    CHANGE = "change"
    """Given back in cash."""
    FEE = "fee"
    CHARGE = "charge"
    DEBT = "debt"
    CARRIED = "carried"
    """Kept for the next sale.  Below zero: what earlier sales have kept pays for this one."""
    ROUNDING = "rounding"
    """Change below the smallest coin, kept."""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """Where a part of the money went, and why."""

    kind: LineKind
    amount_minor: int
    explanation: str
    """In English."""
    reason: Reason
    """The same for other languages."""
    code: str = ""
    """Which tax or charge."""


@dataclass(frozen=True, slots=True)
class EnergyStep:
    """Units of one block."""

    units: int
    """Tenths."""
    price: int
    """For ten of them, before tax, in 1/1000 of a minor unit."""
    amount_minor: int
    """What they cost before tax."""


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """What a tax comes to, on everything that it is on."""

    code: str
    name: str
    rate_bp: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ChargePaid:
    """A month of a charge that the money pays; before tax."""

    code: str
    month: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class DebtPaid:
    """What the money pays of a debt."""

    debt_id: int
    name: str
    paid_minor: int
    left_minor: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What an amount buys.  The lines add up to ``tendered_minor``."""

    tendered_minor: int
    units: int
    """Tenths of a kWh (m3, minute), exactly as the token carries them."""
    lines: tuple[PriceLine, ...]
    """Lines of zero are left out, unless they stand for free units."""
    steps: tuple[EnergyStep, ...] = ()
    taxes: tuple[TaxAmount, ...] = ()
    charges: tuple[ChargePaid, ...] = ()
    debts: tuple[DebtPaid, ...] = ()
    carried_in_minor: int = 0
    """What earlier sales carried forward, and this one takes."""
    energy_tax_minor: int = 0
    """The taxes on energy alone."""

    def amount_of(self, kind: LineKind) -> int:
        """What a kind of line comes to, in minor units."""
        return sum(line.amount_minor for line in self.lines if line.kind is kind)

    @property
    def change_minor(self) -> int:
        """What goes back to the customer."""
        return self.amount_of(LineKind.CHANGE)

    @property
    def carried_out_minor(self) -> int:
        """What is kept for the next sale."""
        return sum(
            line.amount_minor
            for line in self.lines
            if line.kind is LineKind.CARRIED and line.amount_minor > 0
        )
