"""``meterhouse vend last``, ``reprint``, ``verify``: what was given out before."""

from __future__ import annotations

import click

from commands.counter import database_option, open_shop, operator_option
from commands.output import EXIT_CHECK_FAILED, console, json_option, print_json
from commands.receipt_output import ReceiptOutput, receipt_options, shown_receipt_options
from commands.vend.answers import note_shown, print_receipt, show_result


@click.command()
@click.argument("meter", required=False)
@click.option("--message-id", metavar="ID", help="The answer that was given under this id.")
@click.option("--client", default="till", show_default=True, help="Whose message id it is.")
@shown_receipt_options
@database_option
@json_option
@click.pass_context
def last(
    ctx: click.Context,
    meter: str | None,
    message_id: str | None,
    client: str,
    receipt_output: ReceiptOutput,
    database: str,
    as_json: bool,
) -> None:
    """Show the last receipt of METER, or the answer given under --message-id."""
    if (meter is None) == (message_id is None):
        raise click.UsageError("Give either a METER or a --message-id.")
    with open_shop(database) as shop:
        if message_id is not None:
            answer = shop.last_response(client, message_id)
            ctx.exit(show_result(shop, answer, as_json=as_json, receipt_output=receipt_output))
        assert meter is not None
        receipt = shop.last_receipt(meter)
        note_shown(shop, receipt)
        print_receipt(
            receipt,
            as_json=as_json,
            receipt_output=receipt_output,
            language=shop.utility.language,
        )


@click.command()
@click.argument("receipt_no", metavar="RECEIPT", type=int)
@receipt_options
@operator_option
@database_option
@json_option
def reprint(
    receipt_no: int,
    receipt_output: ReceiptOutput,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Print RECEIPT again, marked COPY and counted."""
    with open_shop(database) as shop:
        print_receipt(
            shop.reprint(receipt_no, operator=operator),
            as_json=as_json,
            receipt_output=receipt_output,
            language=shop.utility.language,
        )


@click.command()
@click.argument("meter")
@click.argument("token", nargs=-1, required=True)
@database_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context, meter: str, token: tuple[str, ...], database: str, as_json: bool
) -> None:
    """Say what TOKEN means to METER, and whether it was sold here.

    Exit status 1 when the meter would refuse it as not its own.
    """
    with open_shop(database) as shop:
        verified = shop.verify_token(meter, "".join(token))
    content = verified.decoded.content
    if as_json:
        print_json(
            {
                "crc_ok": verified.decoded.crc_ok,
                "class": verified.decoded.token_class,
                "subclass": verified.decoded.subclass,
                "name": None if content is None else content.name,
                "receipt_no": verified.receipt_no,
            }
        )
    elif content is None:
        console.print("Not for this meter: mistyped, or made for another meter or key.")
    else:
        console.print(f"Good for this meter: {content.name}.", markup=False)
    if not as_json and verified.receipt_no is not None:
        console.print(f"Given out here on receipt {verified.receipt_no}.", markup=False)
    ctx.exit(0 if verified.decoded.crc_ok else EXIT_CHECK_FAILED)
