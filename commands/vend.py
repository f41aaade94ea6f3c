"""``meterhouse vend``: the till."""

from __future__ import annotations

import sys
import uuid
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import (
    EXIT_CHECK_FAILED,
    EXIT_OUTCOME_UNKNOWN,
    console,
    error_console,
    fault_object,
    json_option,
    print_json,
    report_fault,
)
from vending.shop.money import scaled

if TYPE_CHECKING:
    from vending import (
        KeyChangeRequest,
        Receipt,
        Shop,
        Statement,
        TrialVend,
        Utility,
        VendRequest,
        VendResult,
    )

_SELL: Final = "sell"
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9998
_TENDERS: Final = ("cash", "card", "bank", "wallet")


class _TillGroup(click.Group):
    """A group that sells when no command is named: ``meterhouse vend METER AMOUNT``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_SELL, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["METER AMOUNT [OPTIONS]  |  COMMAND [ARGS]..."]


@click.group(cls=_TillGroup)
def vend() -> None:
    """Sell AMOUNT of electricity to METER: `meterhouse vend 01234567890 100`.

    \b
    The amount is written 100 or 100.50. On a terminal the customer is shown and
    you are asked first; --yes and --json leave that out.  The message id is
    printed before the sale: run the same command again with the same --message-id
    whenever you are in doubt, it never sells twice.
    All options of a sale: `meterhouse vend sell --help`.
    """


@vend.command(name=_SELL)
@click.argument("meter")
@click.argument("amount")
@click.option("--message-id", metavar="ID", help="This sale's id. [default: a new UUID]")
@click.option("--client", default="till", show_default=True, help="Whose message ids they are.")
@click.option("--tender", type=click.Choice(_TENDERS), default="cash", show_default=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before selling.")
@operator_option
@terminal_option
@database_option
@json_option
@click.pass_context
def sell(
    ctx: click.Context,
    meter: str,
    amount: str,
    message_id: str | None,
    client: str,
    tender: str,
    yes: bool,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Sell AMOUNT of electricity to METER and print the receipt (the default command)."""
    with open_shop(database) as shop:
        request = vending.VendRequest(
            client=client,
            message_id=message_id or str(uuid.uuid4()),
            meter=meter,
            amount_minor=shop.utility.currency.parse(amount),
            tender=vending.Tender(tender),
            operator=operator,
            terminal=terminal,
        )
        if not (yes or as_json) and _is_terminal() and not _is_answered(shop, request):
            _confirm_sale(shop, shop.trial_vend(meter, request.amount_minor))
        _announce(request.message_id)
        ctx.exit(_print_result(shop.vend(request), as_json=as_json))


@vend.command()
@click.argument("meter")
@click.argument("amount")
@database_option
@json_option
def trial(meter: str, amount: str, database: str, as_json: bool) -> None:
    """Show what AMOUNT would buy for METER; sells nothing."""
    with open_shop(database) as shop:
        offered = shop.trial_vend(meter, shop.utility.currency.parse(amount))
        if as_json:
            print_json(_trial_object(shop.utility, offered))
        else:
            _show_trial(shop.utility, offered)


@vend.command()
@click.argument("meter", required=False)
@click.option("--message-id", metavar="ID", help="The answer that was given under this id.")
@click.option("--client", default="till", show_default=True, help="Whose message id it is.")
@database_option
@json_option
@click.pass_context
def last(
    ctx: click.Context,
    meter: str | None,
    message_id: str | None,
    client: str,
    database: str,
    as_json: bool,
) -> None:
    """Show the last receipt of METER, or the answer given under --message-id."""
    if (meter is None) == (message_id is None):
        raise click.UsageError("Give either a METER or a --message-id.")
    with open_shop(database) as shop:
        if message_id is not None:
            ctx.exit(_print_result(shop.last_response(client, message_id), as_json=as_json))
        assert meter is not None
        _print_receipt(shop.last_receipt(meter), as_json=as_json)


@vend.command()
@click.argument("receipt_no", metavar="RECEIPT", type=int)
@operator_option
@database_option
@json_option
def reprint(receipt_no: int, operator: str, database: str, as_json: bool) -> None:
    """Print RECEIPT again, marked COPY and counted."""
    with open_shop(database) as shop:
        _print_receipt(shop.reprint(receipt_no, operator=operator), as_json=as_json)


@vend.command()
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


@vend.command(name="key-change")
@click.argument("meter")
@click.option("--sgc", help="New supply group code.")
@click.option("--krn", type=int, help="New key revision number.")
@click.option("--kt", type=int, help="New key type.")
@click.option("--ti", help="New tariff index, two digits.")
@click.option("--base-year", type=int, help="New base date: 2014 or 2035.")
@click.option("--ken", type=int, help="New key expiry number.")
@click.option("--reason", default="", help="Why, for the audit trail.")
@click.option("--message-id", metavar="ID", help="This request's id. [default: a new UUID]")
@click.option("--client", default="till", show_default=True, help="Whose message ids they are.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask first.")
@operator_option
@terminal_option
@database_option
@json_option
@click.pass_context
def key_change(
    ctx: click.Context,
    meter: str,
    sgc: str | None,
    krn: int | None,
    kt: int | None,
    ti: str | None,
    base_year: int | None,
    ken: int | None,
    reason: str,
    message_id: str | None,
    client: str,
    yes: bool,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Make the tokens that move METER to another key; what is not named stays.

    From then on the shop sells for the new key.
    """
    request = vending.KeyChangeRequest(
        client=client,
        message_id=message_id or str(uuid.uuid4()),
        meter=meter,
        sgc=sgc,
        krn=krn,
        key_type=kt,
        tariff_index=ti,
        base_year=base_year,
        ken=ken,
        reason=reason,
        operator=operator,
        terminal=terminal,
    )
    with open_shop(database) as shop:
        if not (yes or as_json) and _is_terminal() and not _is_answered(shop, request):
            found = shop.meter(meter)
            error_console.print(f"Meter {found.number}  {found.customer}", markup=False)
            click.confirm("Make key change tokens for it?", abort=True, err=True)
        _announce(request.message_id)
        ctx.exit(_print_result(shop.key_change(request), as_json=as_json))


@vend.command()
@click.option("--since", metavar="DATE", help="First day, YYYY-MM-DD, in the utility's zone.")
@click.option("--until", metavar="DATE", help="Last day, included.")
@database_option
@json_option
@click.pass_context
def statement(
    ctx: click.Context, since: str | None, until: str | None, database: str, as_json: bool
) -> None:
    """Total what was sold and taken; exit status 1 when receipts and ledger disagree."""
    with open_shop(database) as shop:
        midnight = shop.utility.midnight
        first = None if since is None else midnight(_day(since))
        behind = None if until is None else midnight(_day(until) + timedelta(days=1))
        counted = shop.statement(since=first, until=behind)
    if as_json:
        print_json(_statement_object(counted))
    else:
        _show_statement(counted)
    ctx.exit(0 if counted.agrees else EXIT_CHECK_FAILED)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _is_answered(shop: Shop, request: VendRequest | KeyChangeRequest) -> bool:
    """Whether nothing new would be sold, so that there is nothing to be asked."""
    from vending.shop.faults import UnknownMessageError

    try:
        shop.last_response(request.client, request.message_id)
    except UnknownMessageError:
        return False
    return True


def _announce(message_id: str) -> None:
    """The id comes before the sale: whatever happens then, it can be asked about."""
    error_console.print(f"Message id {message_id}", style="dim", markup=False, soft_wrap=True)


def _confirm_sale(shop: Shop, offered: TrialVend) -> None:
    meter = offered.meter
    for label, text in (
        ("Meter", meter.number),
        ("Customer", meter.customer),
        ("Location", meter.location),
    ):
        if text:
            error_console.print(f"{label:<10} {text}", markup=False)
    money = shop.utility.currency
    amount = f"{money.code} {money.text(offered.quote.tendered_minor)}"
    click.confirm(f"Sell {scaled(offered.quote.units, 1)} kWh for {amount}?", abort=True, err=True)


def _print_result(result: VendResult, *, as_json: bool) -> int:
    """Print an answer; gives the exit status.

    With --json standard output gets the stored bytes, of a refusal too; standard error gets
    the refusal in words.
    """
    if result.outcome is vending.Outcome.UNKNOWN:
        return _print_unknown(result, as_json=as_json)
    if as_json:
        click.echo(result.response.decode())
    if result.fault is not None:
        return report_fault(result.fault, as_json=False)
    if result.receipt is not None and not as_json:
        if result.replayed:
            error_console.print("Answered before; nothing new was sold.", style="yellow")
        click.echo(vending.receipt_text(result.receipt), nl=False)
    return 0


def _print_unknown(result: VendResult, *, as_json: bool) -> int:
    assert result.fault is not None
    if as_json:
        ids = {"client": result.client, "message_id": result.message_id}
        print_json({"outcome": result.outcome.value, **ids, **fault_object(result.fault)})
    else:
        error_console.print(
            f"The outcome is UNKNOWN: {result.fault}\nBefore anything else, run the same command "
            f"again with --client {result.client} --message-id {result.message_id}.",
            style="yellow",
            markup=False,
        )
    return EXIT_OUTCOME_UNKNOWN


def _print_receipt(receipt: Receipt, *, as_json: bool) -> None:
    if as_json:
        print_json(receipt.to_json())
    else:
        click.echo(vending.receipt_text(receipt), nl=False)


def _trial_object(utility: Utility, offered: TrialVend) -> dict[str, Any]:
    quote = offered.quote
    return {
        "meter": offered.meter.number,
        "customer": offered.meter.customer,
        "currency": utility.currency.code,
        "minor_digits": utility.currency.minor_digits,
        "tendered_minor": quote.tendered_minor,
        "units": quote.units,
        "lines": [
            {
                "kind": line.kind.value,
                "amount_minor": line.amount_minor,
                "explanation": line.explanation,
            }
            for line in quote.lines
        ],
    }


def _show_trial(utility: Utility, offered: TrialVend) -> None:
    money, quote = utility.currency, offered.quote
    console.print(f"Meter {offered.meter.number}  {offered.meter.customer}", markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("Electricity", f"{scaled(quote.units, 1)} kWh")
    for line in quote.lines:
        table.add_row(
            f"{line.kind.value.capitalize()} ({line.explanation})", money.text(line.amount_minor)
        )
    table.add_row("Tendered", f"{money.code} {money.text(quote.tendered_minor)}")
    console.print(table)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a day like 2026-11-21.") from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:  # whose midnights every zone can name
        raise click.BadParameter(f"{text!r} is not a day of {_FIRST_YEAR} to {_LAST_YEAR}.")
    return day


def _statement_object(counted: Statement) -> dict[str, Any]:
    return {
        "since": None if counted.since is None else counted.since.isoformat(),
        "until": None if counted.until is None else counted.until.isoformat(),
        "currency": counted.currency,
        "minor_digits": counted.minor_digits,
        "sales": counted.sales,
        "key_changes": counted.key_changes,
        "units": counted.units,
        "energy_wh": counted.energy_wh,
        "tendered_minor": counted.tendered_minor,
        "change_minor": counted.change_minor,
        "taken_minor": counted.taken_minor,
        "energy_minor": counted.energy_minor,
        "tax_minor": counted.tax_minor,
        "accounts": {each.account: each.balance_minor for each in counted.accounts},
        "agrees": counted.agrees,
    }


def _show_statement(counted: Statement) -> None:
    money = vending.Currency(counted.currency, counted.minor_digits)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("Sales", str(counted.sales))
    table.add_row("Key changes", str(counted.key_changes))
    table.add_row("Units sold, kWh", scaled(counted.units, 1))
    for label, amount in (
        ("Tendered", counted.tendered_minor),
        ("Change", counted.change_minor),
        ("Taken", counted.taken_minor),
        ("of it energy", counted.energy_minor),
        ("of it tax", counted.tax_minor),
    ):
        table.add_row(f"{label}, {money.code}", money.text(amount))
    for each in counted.accounts:
        table.add_row(f"Account {each.account}", money.text(each.balance_minor))
    console.print(table)
    if counted.agrees:
        console.print("Receipts, tokens and ledger agree.", style="green")
    else:
        error_console.print("Receipts, tokens and ledger DISAGREE.", style="red")
