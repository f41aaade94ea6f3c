"""``meterhouse order relay|token|recharge|clock|write|tariff|balance``: orders, one or many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from commands.counter import database_option
from commands.order.batch import Wanted, give, give_options
from commands.output import json_option
from headend.orders.values import OrderKind

_ACTIONS: Final = {
    "trip": OrderKind.RELAY_TRIP,
    "close": OrderKind.RELAY_CLOSE,
    "allow-close": OrderKind.RELAY_ALLOW_CLOSE,
}


@click.command()
@click.argument("meters", nargs=-1, metavar="[METER]...")
@click.argument("action", type=click.Choice([*_ACTIONS, "reconnect"]), metavar="ACTION")
@give_options
@database_option
@json_option
def relay(meters: tuple[str, ...], action: str, database: str, **given: Any) -> None:
    """Supply off and on.

    \b
    ACTION  trip         supply off, within the disconnect windows
            allow-close  the customer may switch on with the button
            close        supply on at once, where the meter permits it
            reconnect    the one of the two that the policy names for the meter's kind

    Accepted is not supply on: an order to allow closing is done while the contact still awaits
    the customer's button, and says so.
    """
    kind = _ACTIONS.get(action, OrderKind.RELAY_ALLOW_CLOSE)
    wanted = Wanted(kind, reconnect=action == "reconnect")
    give(database, meters, wanted, **given)


@click.command(name="keep-power")
@click.argument("meters", nargs=-1, metavar="[METER]...")
@click.argument("action", type=click.Choice(["on", "off"]), metavar="on|off")
@give_options
@database_option
@json_option
def keep_power(meters: tuple[str, ...], action: str, database: str, **given: Any) -> None:
    """Have the meter itself ignore trips, also for want of credit; or follow them again.

    This is about the meter. `meterhouse protect` keeps the head-end from disconnecting anybody.
    """
    kind = OrderKind.KEEP_POWER_ON if action == "on" else OrderKind.KEEP_POWER_OFF
    give(database, meters, Wanted(kind), **given)


@click.command()
@click.argument("receipt", type=click.IntRange(1))
@give_options
@database_option
@json_option
def token(receipt: int, database: str, **given: Any) -> None:
    """Deliver the tokens of RECEIPT to its meter by wire.

    `meterhouse serve` does so by itself after each sale for a keypad meter that it can reach. The
    customer still has the 20 digits: when this fails, or nobody can tell, they are typed.
    """
    from commands.order.tokens import deliver

    deliver(database, receipt, **given)


@click.command()
@click.argument("meters", nargs=-1, required=True, metavar="METER")
@click.argument("amount", metavar="AMOUNT")
@click.option("--client-number", required=True, metavar="DIGITS", help="12 digits.")
@click.option("--first", is_flag=True, help="Open the meter's account with it.")
@give_options
@database_option
@json_option
def recharge(
    meters: tuple[str, ...],
    amount: str,
    client_number: str,
    first: bool,
    database: str,
    **given: Any,
) -> None:
    """Put AMOUNT (10.00) into a money meter; its purchase count sees to it that it is once.

    The MACs are made by the operator's module, a plug-in that METERHOUSE_PURCHASE_MODULE names to
    `meterhouse serve` (or to this command, with --now). Without one the order fails, and nothing is
    sent.
    """
    if len(meters) != 1:
        raise click.UsageError("A recharge is for one METER.")
    says = {"amount_minor": _hundredths(amount), "client_number": client_number, "first": first}
    give(database, meters, Wanted(OrderKind.RECHARGE, says), **given)


@click.command()
@click.argument("meters", nargs=-1, metavar="[METER]...")
@click.option(
    "--max-step",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    metavar="S",
    help="How far a clock may be moved; above 300 s with the meter's password and two people.",
)
@give_options
@database_option
@json_option
def clock(meters: tuple[str, ...], max_step: int, database: str, **given: Any) -> None:
    """Set clocks to the true time; once a day, and not around midnight."""
    give(database, meters, Wanted(OrderKind.SET_CLOCK, {"step_max_s": max_step}), **given)


@click.command()
@click.argument("meter")
@click.argument("item")
@click.argument("values", nargs=-1, required=True, metavar="VALUE…")
@give_options
@database_option
@json_option
def write(meter: str, item: str, values: tuple[str, ...], database: str, **given: Any) -> None:
    """Write an item of a meter, and read it back.

    ITEM and VALUE are those of `meterhouse write`; raw:0102 gives the bytes.
    """
    says = _part(item, values)
    give(database, (meter,), Wanted(OrderKind.WRITE_PARAMETER, says), **given)


@click.command()
@click.argument("meters", nargs=-1, metavar="[METER]...")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@give_options
@database_option
@json_option
def tariff(meters: tuple[str, ...], file: Path, database: str, **given: Any) -> None:
    """Write the tariff tables of FILE: items in their order, each read back before the next.

    \b
    FILE is JSON: [{"item": "04050101", "values": ["0.5600"]}, {"item": "04010001", "raw": "…"}]
    """
    try:
        items = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        raise click.UsageError(f"{file} is no JSON.") from None
    give(database, meters, Wanted(OrderKind.TARIFF_TABLE, {"items": items}), **given)


@click.command()
@click.argument("meters", nargs=-1, metavar="[METER]...")
@give_options
@database_option
@json_option
def balance(meters: tuple[str, ...], database: str, **given: Any) -> None:
    """Read what is left in prepaid meters, now."""
    give(database, meters, Wanted(OrderKind.BALANCE), **given)


def _part(item: str, values: tuple[str, ...]) -> dict[str, Any]:
    if len(values) == 1 and values[0].startswith("raw:"):
        return {"item": item, "raw": values[0].removeprefix("raw:")}
    return {"item": item, "values": list(values)}


def _hundredths(text: str) -> int:
    whole, point, part = text.partition(".")
    if not whole.isdecimal() or (point and not (part.isdecimal() and len(part) <= 2)):
        raise click.UsageError(f"{text!r} is no amount: write 10.00.")
    return int(whole) * 100 + int((part or "0").ljust(2, "0"))
