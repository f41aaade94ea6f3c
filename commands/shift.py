"""``meterhouse shift``, ``batch`` and ``deposit``: the drawer's day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vending import Currency
    from vending.cash.batches import Batch
    from vending.cash.reckoning import Count, Reckoned
    from vending.cash.shifts import ClosedReport

_REASON_HELP = "Why a tender differs; TENDER=TEXT, or TEXT for cash."


@click.group()
def shift() -> None:
    """Drawers: open, count, close; sales and bank batches, deposit slips."""


@shift.command(name="open")
@click.option("--float", "float_", default="0", metavar="AMOUNT", help="Change in the drawer.")
@click.option("--site", default="", help="Where, for the report.")
@operator_option
@terminal_option
@database_option
@json_option
def open_(
    float_: str, site: str, operator: str, terminal: str, database: str, as_json: bool
) -> None:
    """Open your shift at this terminal."""
    with open_shop(database) as shop:
        opened = shop.shifts.open(
            operator=operator,
            terminal=terminal,
            float_minor=shop.utility.currency.parse(float_),
            site=site,
        )
    _print_batch(opened, as_json=as_json)


@shift.command()
@click.argument("number", type=int, required=False)
@click.option("--cash", metavar="AMOUNT", help="The cash that was counted.")
@click.option("--piece", "pieces", multiple=True, metavar="FACE=NUMBER", help="Notes and coins.")
@click.option("--count", "others", multiple=True, metavar="TENDER=AMOUNT", help="Other tenders.")
@click.option("--reason", "reasons", multiple=True, metavar="TEXT", help=_REASON_HELP)
@operator_option
@terminal_option
@database_option
@json_option
def close(
    number: int | None,
    cash: str | None,
    pieces: tuple[str, ...],
    others: tuple[str, ...],
    reasons: tuple[str, ...],
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Count the drawer, then see what was expected, then close.

    On a terminal you are asked for the count first. NUMBER is a shift's; else it is yours
    at this terminal. A difference needs a reason (--reason).
    """
    from vending.cash.batches import BatchState

    with open_shop(database) as shop:
        found = (
            shop.shifts.current(operator=operator, terminal=terminal)
            if number is None
            else shop.shifts.shift(number)
        )
        money = shop.utility.currency
        given = cash is not None or pieces
        if found.state is BatchState.OPEN or (found.state is BatchState.COUNTED and given):
            counted = _count(cash, pieces, others, money, ask=not as_json)
            reckoned = shop.shifts.count(found.batch_id, counted, operator=operator)
        else:
            reckoned = shop.shifts.expected(found.batch_id, operator=operator)
        said = _reasons(reasons)
        if not as_json:
            _show_reckoned(reckoned, money)
            if found.state is not BatchState.CLOSED:
                said = _ask_reasons(reckoned, said, money)
        report = shop.shifts.close(found.batch_id, said, operator=operator)
    _print_report(report, as_json=as_json)


@shift.command()
@click.argument("number", type=int, required=False)
@operator_option
@terminal_option
@database_option
@json_option
def show(number: int | None, operator: str, terminal: str, database: str, as_json: bool) -> None:
    """Show a shift: yours, or NUMBER.  What is expected is shown after the count."""
    with open_shop(database) as shop:
        found = (
            shop.shifts.current(operator=operator, terminal=terminal)
            if number is None
            else shop.shifts.shift(number)
        )
    _print_batch(found, as_json=as_json)


@shift.command()
@click.argument("number", type=int, required=False)
@operator_option
@terminal_option
@database_option
@json_option
def balance(number: int | None, operator: str, terminal: str, database: str, as_json: bool) -> None:
    """What the drawer should hold; before the count for supervisors only."""
    with open_shop(database) as shop:
        if number is None:
            number = shop.shifts.current(operator=operator, terminal=terminal).batch_id
        reckoned = shop.shifts.expected(number, operator=operator)
        if as_json:
            print_json({each.tender: each.expected_minor for each in reckoned})
            return
        for each in reckoned:
            console.print(
                f"{each.tender:<10} {shop.utility.currency.text(each.expected_minor)}",
                markup=False,
            )


@shift.command(name="list")
@click.option("--state", type=click.Choice(["open", "counted", "closed"]))
@database_option
@json_option
def list_(state: str | None, database: str, as_json: bool) -> None:
    """List shifts, the newest first."""
    from vending.cash.batches import BatchState

    with open_shop(database) as shop:
        found = shop.shifts.recent(state=None if state is None else BatchState(state))
    _print_batches(found, as_json=as_json)


@shift.command()
@click.argument("number", type=int)
@operator_option
@database_option
@json_option
def reprint(number: int, operator: str, database: str, as_json: bool) -> None:
    """Print the report of a closed shift again, marked COPY and counted."""
    with open_shop(database) as shop:
        report = shop.shifts.reprint(number, operator=operator)
    _print_report(report, as_json=as_json)


@shift.command(name="required")
@click.argument("answer", type=click.Choice(["yes", "no"]))
@operator_option
@database_option
@json_option
def required_(answer: str, operator: str, database: str, as_json: bool) -> None:
    """Whether cash is taken in a shift only."""
    with open_shop(database) as shop:
        shop.shifts.require_shifts(answer == "yes", operator=operator)
    if as_json:
        print_json({"shifts_required": answer == "yes"})
    else:
        where = "in a shift only" if answer == "yes" else "outside of a shift, too"
        console.print(f"Cash is taken {where}.", markup=False)


# --- batches --------------------------------------------------------------------------------


@click.group()
def batch() -> None:
    """Sales batches collect shifts, bank batches collect sales batches."""


@batch.command(name="open")
@click.argument("kind", type=click.Choice(["sales", "bank"]))
@click.option("--vendor", type=int, metavar="NUMBER", help="Whose shifts; the utility's if none.")
@click.option("--site", default="", help="Where, for the report.")
@operator_option
@database_option
@json_option
def batch_open(
    kind: str, vendor: int | None, site: str, operator: str, database: str, as_json: bool
) -> None:
    """Open a sales or a bank batch."""
    from vending.cash.batches import BatchKind

    with open_shop(database) as shop:
        opened = shop.batches.open(BatchKind(kind), vendor_id=vendor, site=site, operator=operator)
    _print_batch(opened, as_json=as_json)


@batch.command()
@click.argument("number", type=int)
@click.argument("members", type=int, nargs=-1, required=True)
@operator_option
@database_option
@json_option
def collect(
    number: int, members: tuple[int, ...], operator: str, database: str, as_json: bool
) -> None:
    """Put shifts (or sales batches) MEMBERS into batch NUMBER."""
    with open_shop(database) as shop:
        for member in members:
            into = shop.batches.collect(number, member, operator=operator)
    _print_batch(into, as_json=as_json)


@batch.command(name="show")
@click.argument("number", type=int)
@database_option
@json_option
def batch_show(number: int, database: str, as_json: bool) -> None:
    """Show what is in a batch at this moment."""
    from vending.cash.batch_text import batch_text

    with open_shop(database) as shop:
        totals = shop.batches.totals(number)
    if as_json:
        print_json(totals)
    else:
        click.echo(batch_text(totals), nl=False)


@batch.command(name="list")
@click.option("--kind", type=click.Choice(["shift", "sales", "bank"]))
@click.option("--state", type=click.Choice(["open", "counted", "closed"]))
@database_option
@json_option
def batch_list(kind: str | None, state: str | None, database: str, as_json: bool) -> None:
    """List shifts and batches, the newest first."""
    from vending.cash.batches import BatchKind, BatchState

    with open_shop(database) as shop:
        found = shop.batches.recent(
            kind=None if kind is None else BatchKind(kind),
            state=None if state is None else BatchState(state),
        )
    _print_batches(found, as_json=as_json)


@batch.command(name="close")
@click.argument("number", type=int)
@click.option("--reason", "reasons", multiple=True, metavar="TEXT", help=_REASON_HELP)
@operator_option
@database_option
@json_option
def batch_close(
    number: int, reasons: tuple[str, ...], operator: str, database: str, as_json: bool
) -> None:
    """Close a batch whose members are all closed, and print its report."""
    with open_shop(database) as shop:
        report = shop.batches.close(number, _reasons(reasons), operator=operator)
    _print_report(report, as_json=as_json)


@batch.command(name="reprint")
@click.argument("number", type=int)
@operator_option
@database_option
@json_option
def batch_reprint(number: int, operator: str, database: str, as_json: bool) -> None:
    """Print the report of a closed batch again, marked COPY and counted."""
    with open_shop(database) as shop:
        report = shop.batches.reprint(number, operator=operator)
    _print_report(report, as_json=as_json)


@batch.command()
@click.argument("number", type=int)
@click.argument("slip")
@click.argument("amount")
@click.option("--account", required=True, help="The bank account that it is paid into.")
@click.option("--tender", default="cash", show_default=True)
@operator_option
@database_option
@json_option
def deposit(
    number: int,
    slip: str,
    amount: str,
    account: str,
    tender: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Write deposit slip SLIP over AMOUNT in bank batch NUMBER."""
    from vending import Tender

    with open_shop(database) as shop:
        written = shop.batches.deposit(
            number,
            number=slip,
            bank_account="".join(account.split()),
            amount_minor=shop.utility.currency.parse(amount),
            tender=Tender(tender),
            operator=operator,
        )
        if as_json:
            print_json(
                {
                    "slip_id": written.slip_id,
                    "batch_id": written.batch_id,
                    "number": written.number,
                    "bank_account": written.bank_account,
                    "tender": written.tender,
                    "amount_minor": written.amount_minor,
                }
            )
            return
        shown = shop.utility.currency.text(written.amount_minor)
        console.print(f"Slip {written.number}: {shown} on its way to the bank.", markup=False)


# --- inside ---------------------------------------------------------------------------------


def _count(
    cash: str | None,
    pieces: tuple[str, ...],
    others: tuple[str, ...],
    money: Currency,
    *,
    ask: bool,
) -> Count:
    from vending.cash.reckoning import Count

    amounts = {tender: money.parse(text) for tender, text in _pairs(others).items()}
    if pieces:
        faces = {money.parse(face): _whole(number) for face, number in _pairs(pieces).items()}
        return Count.of_pieces(faces, amounts)
    if cash is None:
        if not ask:
            raise click.UsageError("Say what was counted: --cash AMOUNT or --piece FACE=NUMBER.")
        cash = click.prompt("Cash counted", err=True)
        card = click.prompt("Card slips counted", default="0", err=True)
        if "card" not in amounts and money.parse(card):
            amounts["card"] = money.parse(card)
    return Count({**amounts, "cash": money.parse(cash)})


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark:
            raise click.BadParameter(f"{text!r} is not written NAME=VALUE.")
        pairs[name.strip()] = value.strip()
    return pairs


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"{text!r} is not a number of notes or coins.")
    return int(text)


def _reasons(texts: tuple[str, ...]) -> dict[str, str]:
    from vending import Tender

    known = {tender.value for tender in Tender}
    reasons = {}
    for text in texts:
        tender, mark, words = text.partition("=")
        named = bool(mark) and tender in known
        reasons[tender if named else "cash"] = words if named else text
    return reasons


def _ask_reasons(
    reckoned: tuple[Reckoned, ...], reasons: Mapping[str, str], money: Currency
) -> dict[str, str]:
    said = dict(reasons)
    for each in reckoned:
        if each.difference_minor and not said.get(each.tender):
            said[each.tender] = click.prompt(f"{each.tender} is {each.words(money)}. Why", err=True)
    return said


def _show_reckoned(reckoned: tuple[Reckoned, ...], money: Currency) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("tender", "counted", "expected", "difference"):
        table.add_column(column, justify="left" if column == "tender" else "right")
    for each in reckoned:
        table.add_row(
            each.tender,
            money.text(each.counted_minor),
            money.text(each.expected_minor),
            money.text(each.difference_minor),
        )
    console.print(table)


def _print_report(report: ClosedReport, *, as_json: bool) -> None:
    from vending.cash.batch_text import batch_text

    if as_json:
        print_json({**report.data(), "copy_no": report.copy_no})
    else:
        click.echo(batch_text(report.data(), report.copy_no), nl=False)


def _print_batch(found: Batch, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(found))
        return
    words = f"{found.kind.value.capitalize()} {found.batch_id} is {found.state.value}"
    if found.terminal:
        words += f": {found.operator} at terminal {found.terminal}"
    console.print(words + ".", markup=False)


def _print_batches(found: list[Batch], *, as_json: bool) -> None:
    if as_json:
        print_json([_object(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("number", "kind", "state", "operator", "terminal", "opened", "in batch"):
        table.add_column(column)
    for each in found:
        table.add_row(
            str(each.batch_id),
            each.kind.value,
            each.state.value,
            each.operator,
            each.terminal,
            f"{each.opened_at:%Y-%m-%d %H:%M} UTC",
            str(each.parent_id or ""),
        )
    console.print(table)


def _object(found: Batch) -> dict[str, Any]:
    return {
        "batch_id": found.batch_id,
        "kind": found.kind.value,
        "state": found.state.value,
        "vendor_id": found.vendor_id,
        "site": found.site,
        "terminal": found.terminal,
        "operator": found.operator,
        "opened_at": found.opened_at.isoformat(),
        "float_minor": found.float_minor,
        "counted_at": None if found.counted_at is None else found.counted_at.isoformat(),
        "closed_at": None if found.closed_at is None else found.closed_at.isoformat(),
        "closed_by": found.closed_by,
        "parent_id": found.parent_id,
    }
