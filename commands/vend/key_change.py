"""``meterhouse vend key-change``: move a meter to another key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import vending
from commands.output import error_console
from commands.vend.answers import is_answered, is_terminal
from commands.vend.asking import Asked, asks_shop
from commands.vend.options import yes_option

if TYPE_CHECKING:
    from vending import Shop


@click.command(name="key-change")
@click.argument("meter")
@click.option("--sgc", help="New supply group code.")
@click.option("--krn", type=int, help="New key revision number.")
@click.option("--kt", type=int, help="New key type.")
@click.option("--ti", help="New tariff index, two digits.")
@click.option("--base-year", type=int, help="New base date: 2014 or 2035.")
@click.option("--ken", type=int, help="New key expiry number.")
@click.option("--reason", default="", help="Why, for the audit trail.")
@yes_option
@asks_shop
def key_change(
    meter: str,
    sgc: str | None,
    krn: int | None,
    kt: int | None,
    ti: str | None,
    base_year: int | None,
    ken: int | None,
    reason: str,
    yes: bool,
    asked: Asked,
) -> None:
    """Make the tokens that move METER to another key; what is not named stays.

    From then on the shop sells for the new key.
    """
    request = vending.KeyChangeRequest(
        meter=meter,
        sgc=sgc,
        krn=krn,
        key_type=kt,
        tariff_index=ti,
        base_year=base_year,
        ken=ken,
        reason=reason,
        **asked.who(),
    )

    def agree(shop: Shop) -> None:
        if yes or asked.as_json or not is_terminal():
            return
        if not is_answered(shop, asked.client, asked.message_id):
            found = shop.meter(meter)
            error_console.print(f"Meter {found.number}  {found.customer}", markup=False)
            click.confirm("Make key change tokens for it?", abort=True, err=True)

    asked.answer(lambda shop: shop.key_change(request), before=agree, keys_now=True)
