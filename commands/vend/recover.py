"""``meterhouse vend recover``: requests whose outcome is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.counter import database_option, open_shop, operator_option
from commands.output import EXIT_OUTCOME_UNKNOWN, console, json_option, print_json

if TYPE_CHECKING:
    from vending import VendResult
    from vending.shop.intents import Outstanding


@click.command()
@click.option(
    "--give-up",
    nargs=2,
    metavar="CLIENT MESSAGE_ID",
    help="Answer this one as failed: its token is never given out. For what cannot be finished.",
)
@operator_option
@database_option
@json_option
@click.pass_context
def recover(
    ctx: click.Context,
    give_up: tuple[str, str] | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Go on with requests whose outcome is unknown; exit status 6 when some are still.

    Sales, vouchers and key changes are finished here, and nothing is sold twice.  Other requests
    are asked again where they came from, under their message ids.  While one is open, nothing is
    sold to its meter: what can never be finished is given up, which needs a supervisor.
    """
    with open_shop(database, keys_now=True) as shop:
        results = shop.recover()
        if give_up is not None:
            client, message_id = give_up
            results.append(shop.give_up(client, message_id, operator=operator))
        left = shop.outstanding()
    ended = [each for each in results if each.outcome.value != "unknown"]
    if as_json:
        print_json({"ended": [_ended(e) for e in ended], "unknown": [_unknown(e) for e in left]})
    else:
        _show(ended, left)
    ctx.exit(EXIT_OUTCOME_UNKNOWN if left else 0)


def _ended(result: VendResult) -> dict[str, Any]:
    return {
        "client": result.client,
        "message_id": result.message_id,
        "outcome": result.outcome.value,
        "receipt_no": None if result.receipt is None else result.receipt.receipt_no,
    }


def _unknown(each: Outstanding) -> dict[str, Any]:
    return {
        "client": each.client,
        "message_id": each.message_id,
        "operation": each.operation,
        "asked_at": each.asked_at.isoformat(),
    }


def _show(ended: list[VendResult], left: list[Outstanding]) -> None:
    for result in ended:
        told = (
            str(result.fault) if result.receipt is None else f"receipt {result.receipt.receipt_no}"
        )
        console.print(
            f"{result.client} {result.message_id}: {result.outcome.value}, {told}",
            markup=False,
            soft_wrap=True,
        )
    for each in left:
        console.print(
            f"{each.asked_at:%Y-%m-%d %H:%M:%S} UTC  {each.client} {each.message_id}  "
            f"{each.operation}: unknown still. See that the security module answers, and run this "
            "again; or ask again where it came from; or, when it can never be finished: "
            f"meterhouse vend recover --give-up {each.client} {each.message_id}",
            markup=False,
            soft_wrap=True,
        )
    if not left:
        console.print("Nothing is unknown.")
