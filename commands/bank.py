"""``meterhouse bank``: statements in, a person's review, then deposits, credit and tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import Progress
from rich.table import Table

from commands.counter import database_option, open_shop, operator_option
from commands.output import (
    EXIT_CHECK_FAILED,
    EXIT_OUTCOME_UNKNOWN,
    console,
    error_console,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from vending import Currency
    from vending.cash.bank.bank_desk import Settled
    from vending.cash.bank.line import BadLine, Line
    from vending.cash.bank.rows import Entry

_STATES = ("new", "waiting", "done", "failed", "rejected", "all")


@click.group()
def bank() -> None:
    """Bank statements: import, list, review, vend."""


@bank.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--csv", "mapping", metavar="MAPPING", help="A CSV file, written like MAPPING.")
@click.option("--account", default="", help="Of which account a CSV file is.")
@click.option("--preview", is_flag=True, help="Show what would be imported; store nothing.")
@operator_option
@database_option
@json_option
@click.pass_context
def import_(
    ctx: click.Context,
    file: Path,
    mapping: str | None,
    account: str,
    preview: bool,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Import a CAMT.053 statement, or a CSV file (--csv generic, debit-credit, ...).

    Exit status 1 when a line could not be taken. The same file again adds nothing.
    """
    content = file.read_bytes()
    with open_shop(database) as shop:
        money = shop.utility.currency
        if preview:
            _print_preview(
                shop.bank.read(content, mapping=mapping, account=account), money, as_json=as_json
            )
            return
        made = shop.bank.import_file(
            content, file_name=file.name, mapping=mapping, account=account, operator=operator
        )
    bad = [{"where": each.where, "message": each.message} for each in made.bad]
    if as_json:
        print_json(
            {
                "import_id": made.import_id,
                "again": made.again,
                "read": made.read,
                "added": made.added,
                "known": made.known,
                "bad": bad,
            }
        )
    else:
        for each in bad:
            error_console.print(f"{each['where']}: {each['message']}", markup=False)
        again = " (this file was imported before)" if made.again else ""
        console.print(f"{made.added} new, {made.known} known, {len(bad)} bad{again}.", markup=False)
    ctx.exit(EXIT_CHECK_FAILED if bad else 0)


@bank.command(name="list")
@click.option("--state", type=click.Choice(_STATES), default="new", show_default=True)
@click.option("--after", type=int, default=0, help="Begin behind this booking.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@database_option
@json_option
def list_(state: str, after: int, limit: int, database: str, as_json: bool) -> None:
    """List bookings with what they may be for."""
    with open_shop(database) as shop:
        money = shop.utility.currency
        found = shop.bank.entries(state=None if state == "all" else state, after=after, limit=limit)
    if as_json:
        print_json([_entry_object(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("number", "day", "amount", "payer and text", "may be", "score", "state"):
        table.add_column(column, justify="right" if column in ("amount", "score") else "left")
    for each in found:
        best = each.proposals[0] if each.proposals else None
        table.add_row(
            str(each.entry_id),
            each.booked_on.isoformat(),
            money.text(each.amount_minor),
            f"{each.counterparty} {each.remittance}".strip(),
            "" if best is None else f"{_target(best)}: {best.reason}",
            "" if best is None else str(best.score),
            "new" if each.review is None else each.review.state,
        )
    console.print(table)


@bank.command()
@click.argument("numbers", type=int, nargs=-1)
@click.option("--accept", "accepted", is_flag=True, help="Take the likeliest proposal.")
@click.option("--meter", help="Vend it to this meter.")
@click.option("--vendor", type=int, help="It tops this vendor's credit up.")
@click.option("--slip", type=int, help="It is this deposit slip.")
@click.option("--reject", metavar="WHY", help="Nothing is to be done with it.")
@click.option("--sure", type=click.IntRange(1, 100), help="Accept all new ones of this score.")
@click.option("--note", default="")
@operator_option
@database_option
@json_option
def review(
    numbers: tuple[int, ...],
    accepted: bool,
    meter: str | None,
    vendor: int | None,
    slip: int | None,
    reject: str | None,
    sure: int | None,
    note: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Decide what bookings NUMBERS are for; nothing is done before `bank vend`."""
    chosen = [accepted, meter, vendor, slip, reject, sure]
    if len([each for each in chosen if each]) != 1 or (not numbers) != bool(sure):
        raise click.UsageError(
            "Name bookings and one of --accept, --meter, --vendor, --slip, --reject; or --sure "
            "alone."
        )
    with open_shop(database) as shop:
        if sure:
            numbers = tuple(_sure_ones(shop.bank.entries(limit=10_000), sure))
        reviews = [
            shop.bank.reject(number, note=reject, operator=operator)
            if reject
            else shop.bank.accept(
                number,
                meter=meter,
                vendor_id=vendor,
                slip_id=slip,
                note=note,
                operator=operator,
            )
            for number in numbers
        ]
    if as_json:
        print_json(
            [
                {"entry_id": each.entry_id, "state": each.state, "kind": each.kind}
                for each in reviews
            ]
        )
        return
    for each in reviews:
        console.print(f"Booking {each.entry_id}: {each.kind}, {each.state}.", markup=False)


@bank.command()
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option(
    "--tokens",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the tokens here, one JSON object a line, for sending.",
)
@operator_option
@database_option
@json_option
@click.pass_context
def vend(
    ctx: click.Context,
    limit: int | None,
    tokens: Path | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Do what was accepted: vend transfers, credit vendors, let deposits arrive.

    May be stopped at any moment and run again: nothing is done twice. Exit status 1 when one
    failed (review it again), 6 when an outcome is unknown (run it again).
    """
    counts = {"done": 0, "failed": 0, "unknown": 0}
    failed: list[dict[str, Any]] = []
    with (
        open_shop(database, keys_now=True) as shop,
        Progress(console=error_console, transient=True) as progress,
    ):
        waiting = shop.bank.waiting()
        task = progress.add_task("Settling", total=min(waiting, limit or waiting))
        out = _private(tokens) if tokens is not None else None
        try:
            for settled in shop.bank.settle(operator=operator, limit=limit):
                counts[settled.outcome] += 1
                if settled.outcome != "done":
                    failed.append(_settled_object(settled))
                elif out is not None and settled.tokens:
                    out.write(json.dumps(_token_object(settled)) + "\n")
                    out.flush()
                progress.advance(task)
        finally:
            if out is not None:
                out.close()
    if as_json:
        print_json({**counts, "not_done": failed})
    else:
        for each in failed:
            error_console.print(
                f"Booking {each['entry_id']}: {each['outcome']} {each['fault']}", markup=False
            )
        console.print(", ".join(f"{number} {word}" for word, number in counts.items()))
    ctx.exit(
        EXIT_OUTCOME_UNKNOWN if counts["unknown"] else EXIT_CHECK_FAILED if counts["failed"] else 0
    )


def _private(file: Path) -> Any:
    """A file of its owner's alone: tokens are money."""
    file.touch(mode=0o600)
    return file.open("a", encoding="utf-8")


def _sure_ones(entries: list[Entry], score: int) -> list[int]:
    return [
        each.entry_id for each in entries if each.proposals and each.proposals[0].score >= score
    ]


def _print_preview(lines: list[Line | BadLine], money: Currency, *, as_json: bool) -> None:
    from vending.cash.bank.line import BadLine

    objects = [
        {"where": line.where, "message": line.message}
        if isinstance(line, BadLine)
        else {
            "account": line.account,
            "booked_on": line.booked_on.isoformat(),
            "amount_minor": line.amount_minor,
            "reference": line.reference,
            "counterparty": line.counterparty,
            "text": line.text,
        }
        for line in lines
    ]
    if as_json:
        print_json(objects)
        return
    for line in lines:
        if isinstance(line, BadLine):
            console.print(f"{line.where}: {line.message}", markup=False, style="yellow")
        else:
            console.print(
                f"{line.booked_on}  {money.text(line.amount_minor):>14}  {line.counterparty} "
                f"{line.text}",
                markup=False,
            )


def _target(target: Any) -> str:
    if target.meter is not None:
        return f"meter {target.meter}"
    if target.vendor_id is not None:
        return f"vendor {target.vendor_id}"
    return f"slip {target.slip_id}"


def _entry_object(entry: Entry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "account": entry.account,
        "booked_on": entry.booked_on.isoformat(),
        "amount_minor": entry.amount_minor,
        "reference": entry.reference,
        "counterparty": entry.counterparty,
        "counterparty_account": entry.counterparty_account,
        "text": entry.remittance,
        "state": "new" if entry.review is None else entry.review.state,
        "proposals": [
            {
                "kind": each.kind,
                "score": each.score,
                "reason": each.reason,
                "meter": each.meter,
                "vendor_id": each.vendor_id,
                "slip_id": each.slip_id,
            }
            for each in entry.proposals
        ],
    }


def _settled_object(settled: Settled) -> dict[str, Any]:
    return {
        "entry_id": settled.entry_id,
        "kind": settled.kind,
        "amount_minor": settled.amount_minor,
        "meter": settled.meter,
        "outcome": settled.outcome,
        "fault": settled.fault,
    }


def _token_object(settled: Settled) -> dict[str, Any]:
    return {
        "entry_id": settled.entry_id,
        "meter": settled.meter,
        "receipt_no": settled.receipt_no,
        "units": settled.units,
        "change_minor": settled.change_minor,
        "tokens": list(settled.tokens),
    }
