"""The demo's last page: do money, units sold, units accepted and units consumed agree?

Each figure comes from another place: the clerk's own slips, the shop's receipts and ledger,
the answers on the meters' displays, the meters' registers, and each home's own count of what
its load used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from commands.demo.homes import Home
from simulators.supply import WS_PER_WH


@dataclass(frozen=True, slots=True)
class ShopFigures:
    """What the shop's books say.  Money in minor units, energy in Wh."""

    currency: str
    minor_digits: int
    tendered_minor: int
    energy_minor: int
    tax_minor: int
    change_minor: int
    ledger_cash_minor: int
    """The balance of the cash account, from the ledger alone."""
    ledger_unbalanced: int
    """Debits less credits over the whole ledger."""
    sold_wh: int


@dataclass(frozen=True, slots=True)
class HomeFigures:
    """One home's line."""

    name: str
    drn: str
    paid_minor: int
    sold_wh: int
    accepted_wh: int
    accepted_ws: int
    consumed_ws: int
    remaining_ws: int
    cleared_ws: int
    counted_ws: int

    @classmethod
    def of(cls, home: Home) -> HomeFigures:
        """Read them off."""
        registers = home.meter.registers
        return cls(
            home.name,
            home.drn,
            home.paid_minor,
            home.sold_wh,
            home.accepted_wh,
            registers.accepted_ws,
            registers.consumed_ws,
            registers.remaining_ws,
            registers.cleared_ws,
            home.counted_ws,
        )


def disagreements(shop: ShopFigures, homes: Sequence[HomeFigures]) -> list[str]:
    """Every equation that does not hold, in words; empty when all agree."""
    wrong = []

    def require(what: str, one: int, other: int) -> None:
        if one != other:
            wrong.append(f"{what}: {one} against {other}")

    for home in homes:
        require(f"{home.name}: Wh on receipts and Wh accepted", home.sold_wh, home.accepted_wh)
        require(
            f"{home.name}: Wh accepted on the display and in the register",
            home.accepted_wh * WS_PER_WH,
            home.accepted_ws,
        )
        require(
            f"{home.name}: Ws accepted and Ws consumed + left + cleared",
            home.accepted_ws,
            home.consumed_ws + home.remaining_ws + home.cleared_ws,
        )
        require(
            f"{home.name}: Ws on the meter and Ws by the home's own count",
            home.consumed_ws,
            home.counted_ws,
        )
    require("Money from customers and on receipts", sum(h.paid_minor for h in homes),
            shop.tendered_minor)  # fmt: skip
    require(
        "Money tendered and energy + tax + change",
        shop.tendered_minor,
        shop.energy_minor + shop.tax_minor + shop.change_minor,
    )
    require(
        "Cash in the ledger and energy + tax",
        shop.ledger_cash_minor,
        shop.energy_minor + shop.tax_minor,
    )
    require("Debits and credits of the ledger", shop.ledger_unbalanced, 0)
    require("Wh sold by the shop and on receipts", shop.sold_wh, sum(h.sold_wh for h in homes))
    return wrong


def as_json(
    shop: ShopFigures, homes: Sequence[HomeFigures], wrong: Sequence[str]
) -> dict[str, Any]:
    """The statement for a program."""
    return {
        "agrees": not wrong,
        "disagreements": list(wrong),
        "currency": shop.currency,
        "tendered_minor": shop.tendered_minor,
        "energy_minor": shop.energy_minor,
        "tax_minor": shop.tax_minor,
        "change_minor": shop.change_minor,
        "sold_wh": shop.sold_wh,
        "accepted_wh": sum(home.accepted_wh for home in homes),
        "consumed_ws": sum(home.consumed_ws for home in homes),
        "remaining_ws": sum(home.remaining_ws for home in homes),
        "homes": [
            {
                "name": home.name,
                "meter": home.drn,
                "paid_minor": home.paid_minor,
                "sold_wh": home.sold_wh,
                "accepted_wh": home.accepted_wh,
                "consumed_ws": home.consumed_ws,
                "remaining_ws": home.remaining_ws,
            }
            for home in homes
        ],
    }


def print_statement(
    shop: ShopFigures, homes: Sequence[HomeFigures], wrong: Sequence[str], console: Console
) -> None:
    """The statement for a person."""
    table = Table(title="Statement", title_justify="left", title_style="bold", show_footer=True)
    total = {name: sum(getattr(home, name) for home in homes) for name in
             ("paid_minor", "sold_wh", "accepted_wh", "consumed_ws", "remaining_ws")}  # fmt: skip
    columns = [
        ("home", "total", "left"),
        (f"paid {shop.currency}", _money(total["paid_minor"], shop.minor_digits), "right"),
        ("sold Wh", f"{total['sold_wh']:,}", "right"),
        ("accepted Wh", f"{total['accepted_wh']:,}", "right"),
        ("consumed Wh", _wh(total["consumed_ws"]), "right"),
        ("left Wh", _wh(total["remaining_ws"], up=True), "right"),
    ]
    for header, footer, justify in columns:
        table.add_column(header, footer=footer, justify="right" if justify == "right" else "left")
    for home in homes:
        table.add_row(
            home.name,
            _money(home.paid_minor, shop.minor_digits),
            f"{home.sold_wh:,}",
            f"{home.accepted_wh:,}",
            _wh(home.consumed_ws),
            _wh(home.remaining_ws, up=True),
        )
    console.print(table)
    parts = (shop.tendered_minor, shop.energy_minor, shop.tax_minor, shop.change_minor)
    tendered, energy, tax, change = (_money(part, shop.minor_digits) for part in parts)
    ledger = _money(shop.ledger_cash_minor, shop.minor_digits)
    console.print(
        f"Money     {shop.currency} {tendered} tendered = {energy} energy + {tax} tax"
        f" + {change} change; the ledger holds {ledger}.",
        soft_wrap=True,
    )
    console.print(
        f"Units     {total['sold_wh']:,} Wh sold = {total['accepted_wh']:,} Wh accepted = "
        f"{_wh(total['consumed_ws'])} Wh consumed + {_wh(total['remaining_ws'], up=True)} Wh left.",
        soft_wrap=True,
    )
    if wrong:
        for line in wrong:
            console.print("DISAGREES ", style="bold red", end="")
            console.print(line, soft_wrap=True)
    else:
        console.print(
            "[bold green]All agree[/bold green], to the watt-second and the cent, "
            "from six separate counts.",
            markup=True,
        )


def _money(minor: int, digits: int) -> str:
    whole, part = divmod(minor, 10**digits)
    return f"{whole:,}.{part:0{digits}d}" if digits else f"{whole:,}"


def _wh(ws: int, *, up: bool = False) -> str:
    """Watt-seconds as Wh with two digits.

    What was consumed is shown rounded down and what is left rounded ``up``: both stand in the
    same whole, so the shown figures still add up.
    """
    hundredths = -(-ws * 100 // WS_PER_WH) if up else ws * 100 // WS_PER_WH
    return f"{hundredths // 100:,}.{hundredths % 100:02d}"
