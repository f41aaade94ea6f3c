"""``meterhouse voucher``: printed secrets that stand for money."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import console, counting, error_console, json_option, print_json
from commands.vend.answers import show_result
from commands.vend.options import id_of, request_options

if TYPE_CHECKING:
    from vending import Shop
    from vending.vouchers.batches import VoucherBatch
    from vending.vouchers.desk import MadeVouchers

_HOW_TO: Final = "Ask for it where tokens are sold: name your meter and this number. It pays once."


@click.group()
def voucher() -> None:
    """Vouchers: make and print, activate, block, redeem."""


@voucher.command()
@click.argument("face", metavar="AMOUNT")
@click.argument("count", type=click.IntRange(1, 100_000))
@click.option("--until", required=True, metavar="DATE", help="Last day on which they pay.")
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the secrets go: FILE.pdf (cards to cut) or FILE.csv. It must not exist.",
)
@click.option("--how-to", default=_HOW_TO, show_default=True, help="How one is redeemed.")
@operator_option
@database_option
@json_option
def make(
    face: str,
    count: int,
    until: str,
    output: Path,
    how_to: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Make COUNT vouchers of AMOUNT each, and print their secrets to a file.

    The secrets are nowhere else: lose the file, and the batch has to be blocked.  They are worth
    nothing until the batch is activated.
    """
    if output.suffix not in (".pdf", ".csv"):
        raise click.BadParameter("The file is named FILE.pdf or FILE.csv.", param_hint="--output")
    with open_shop(database) as shop:
        end = shop.utility.midnight(_day(until) + timedelta(days=1))
        paper = _new_file(output)
        try:
            with counting("Vouchers", as_json=as_json, total=count) as told:
                made = shop.vouchers.make(
                    shop.utility.currency.parse(face), count, end, operator=operator, progress=told
                )
            paper.write_bytes(_printed(made, shop, how_to, output.suffix))
        except BaseException:
            paper.unlink()
            raise
    if as_json:
        print_json({**_object(made.batch, shop), "file": str(output)})
        return
    console.print(
        f"Batch {made.batch.batch_id}: {count} vouchers are in {output}, for you alone to read. "
        f"Next: meterhouse voucher activate {made.batch.batch_id} --reseller NAME",
        markup=False,
        soft_wrap=True,
    )


@voucher.command()
@click.argument("batch", type=int)
@click.option("--reseller", required=True, help="Who sells them, and owes what they are worth.")
@operator_option
@database_option
@json_option
def activate(batch: int, reseller: str, operator: str, database: str, as_json: bool) -> None:
    """Make BATCH valid.  Where operators sign in, it takes two persons."""
    with open_shop(database) as shop:
        found = shop.vouchers.activate(batch, reseller, operator=operator)
        _answer(found, shop, f"Batch {batch} is valid: {found.left} vouchers.", as_json=as_json)


@voucher.command()
@click.argument("batch", type=int)
@click.argument("reason")
@click.option("--serial", type=int, help="Only this one of its vouchers.")
@operator_option
@database_option
@json_option
def block(
    batch: int, reason: str, serial: int | None, operator: str, database: str, as_json: bool
) -> None:
    """Block BATCH, or one voucher of it, for ever and for a REASON."""
    with open_shop(database) as shop:
        if serial is None:
            found = shop.vouchers.block(batch, reason, operator=operator)
        else:
            found = shop.vouchers.block_one(batch, serial, reason, operator=operator)
        what = f"Batch {batch}" if serial is None else f"Voucher {batch}-{serial}"
        _answer(found, shop, f"{what} is blocked.", as_json=as_json)


@voucher.command(name="list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@database_option
@json_option
def list_(limit: int, database: str, as_json: bool) -> None:
    """List batches, the newest first."""
    with open_shop(database) as shop:
        found = shop.vouchers.batches(limit=limit)
        if as_json:
            print_json([_object(each, shop) for each in found])
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("Batch", "Face value", "Count", "Paid", "Blocked", "Left"):
            table.add_column(heading, justify="right", no_wrap=True)
        for heading in ("Until", "State", "Reseller"):
            table.add_column(heading)
        for each in found:
            table.add_row(
                str(each.batch_id),
                shop.utility.currency.text(each.face_minor),
                *(str(n) for n in (each.count, each.redeemed, each.blocked, each.left)),
                f"{_last_day(each, shop)}",
                each.state.value,
                Text(each.reseller),
            )
    console.print(table)


@voucher.command()
@click.argument("meter")
@click.option(
    "--pin-file",
    type=click.File(),
    help="Read the PIN from a file, - for standard input. [default: ask for it]",
)
@click.option("--with-key-change", is_flag=True, help="Change the meter's key too, when due.")
@operator_option
@terminal_option
@request_options
@database_option
@json_option
@click.pass_context
def redeem(
    ctx: click.Context,
    meter: str,
    pin_file: Any,
    with_key_change: bool,
    operator: str,
    terminal: str,
    message_id: str | None,
    client: str,
    database: str,
    as_json: bool,
) -> None:
    """Sell to METER for a voucher.  Its PIN is asked for, never given as an argument.

    METER is its number, or the account number of a customer who has one meter.
    """
    typed = pin_file.readline() if pin_file else click.prompt("Voucher", hide_input=True, err=True)
    pin = vending.Pin(typed.strip())
    with open_shop(database, keys_now=True) as shop:
        request = vending.RedeemRequest(
            client=client,
            message_id=id_of(message_id),
            meter=_number_of(shop, meter),
            pin=pin,
            operator=operator,
            terminal=terminal,
            accept_key_change=with_key_change,
        )
        error_console.print(f"Message id {request.message_id}", style="dim", markup=False)
        redeemed = shop.vouchers.redeem(request)
        ctx.exit(show_result(shop, redeemed, as_json=as_json, operator=operator))


def _number_of(shop: Shop, named: str) -> str:
    """A meter's number; an account number when exactly one meter has it."""
    from vending.errors import VendingError
    from vending.sts import MeterPan

    account = named.strip()
    try:
        MeterPan.from_drn(account)
    except VendingError:
        found = shop.lookup.find(account, limit=100) if len(account) > 1 else ()
        numbers = [each.number for each in found if each.account == account]
        if len(numbers) > 1:
            raise click.BadParameter(
                f"Account {account} has {len(numbers)} meters: name one by its number.",
                param_hint="METER",
            ) from None
        return numbers[0] if numbers else named
    return named


def _printed(made: MadeVouchers, shop: Shop, how_to: str, suffix: str) -> bytes:
    from vending.vouchers.sheet import voucher_csv, voucher_sheet

    if suffix == ".csv":
        return voucher_csv(made, shop.utility).encode()
    return voucher_sheet(made, shop.utility, how_to=how_to)


def _new_file(path: Path) -> Path:
    """A file that is its owner's alone, made before any voucher is."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise click.BadParameter(
            f"{path} is there already: name another.", param_hint="--output"
        ) from None
    return path


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a day like 2026-11-21.") from None


def _last_day(batch: VoucherBatch, shop: Shop) -> date:
    return shop.utility.local(batch.expires_at - timedelta(microseconds=1)).date()


def _answer(batch: VoucherBatch, shop: Shop, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(batch, shop))
    else:
        console.print(sentence, markup=False)


def _object(batch: VoucherBatch, shop: Shop) -> dict[str, Any]:
    return {
        "batch": batch.batch_id,
        "face_minor": batch.face_minor,
        "currency": shop.utility.currency.code,
        "count": batch.count,
        "redeemed": batch.redeemed,
        "blocked": batch.blocked,
        "left": batch.left,
        "valid_through": _last_day(batch, shop).isoformat(),
        "state": batch.state.value,
        "reseller": batch.reseller,
    }
