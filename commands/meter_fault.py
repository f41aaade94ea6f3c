"""``meterhouse meter fault``: what customers report of their meters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import console, json_option, print_json, report_fault
from commands.vend.answers import announce, print_unknown
from commands.vend.options import id_of, request_options

if TYPE_CHECKING:
    from vending import Utility
    from vending.meter_faults.reports import FaultReport

_KINDS: Final = ("display", "keypad", "no_supply", "tamper_seen", "wrong_display", "other")
_STATES: Final = ("open", "closed", "all")


@click.group()
def fault() -> None:
    """Faults of meters, as customers report them."""


@fault.command()
@click.argument("meter")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What is wrong.")
@click.option("--words", default="", help="What was seen; other faults need it.")
@click.option("--contact", default="", help="How to reach who reports it.")
@request_options
@operator_option
@terminal_option
@database_option
@json_option
@click.pass_context
def report(
    ctx: click.Context,
    meter: str,
    kind: str,
    words: str,
    contact: str,
    message_id: str | None,
    client: str,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Take down that something is wrong with METER; sells and blocks nothing."""
    request = vending.FaultReportRequest(
        client,
        id_of(message_id),
        meter,
        vending.MeterFault(kind),
        words,
        contact,
        operator,
        terminal,
    )
    with open_shop(database) as shop:
        announce(request.message_id)
        answered = shop.meter_faults.report(request)
    if answered.outcome is vending.Outcome.UNKNOWN:
        ctx.exit(print_unknown(answered, as_json=as_json))
    if as_json:
        click.echo(answered.response.decode())
    if answered.fault is not None:
        ctx.exit(report_fault(answered.fault, as_json=False))
    if not as_json:
        told = "was reported before" if answered.replayed else "is reported"
        console.print(f"The fault {told}, as number {answered.report_no}.")


@fault.command(name="list")
@click.option("--state", type=click.Choice(_STATES), default="open", show_default=True)
@click.option("--meter", help="Of this meter alone.")
@click.option("--after", type=int, default=0, help="Begin behind this number.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@database_option
@json_option
def list_(
    state: str, meter: str | None, after: int, limit: int, database: str, as_json: bool
) -> None:
    """List reports: what is wrong, since when, and how the customer is reached."""
    from vending.meter_faults.reports import ReportState

    wanted = None if state == "all" else ReportState(state)
    with open_shop(database) as shop:
        found = shop.meter_faults.list(wanted, meter=meter, after=after, limit=limit)
        utility = shop.utility
    if as_json:
        print_json([_object(each) for each in found])
    elif not found:
        console.print("There are none." if state == "all" else f"None is {state}.")
    for each in [] if as_json else found:
        _show(each, utility)


@fault.command()
@click.argument("report_no", metavar="NUMBER", type=int)
@click.option("--words", required=True, help="What was found and done.")
@operator_option
@database_option
@json_option
def close(report_no: int, words: str, operator: str, database: str, as_json: bool) -> None:
    """Close report NUMBER."""
    with open_shop(database) as shop:
        closed = shop.meter_faults.close(report_no, words, operator=operator)
    if as_json:
        print_json(_object(closed))
    else:
        console.print(f"Report {closed.report_no} of meter {closed.meter} is closed.")


def _show(each: FaultReport, utility: Utility) -> None:
    at = utility.local(each.reported_at)
    by = ", ".join(part for part in (each.operator, each.contact) if part)
    told = (
        f"{each.report_no}  {at:%Y-%m-%d %H:%M}  {each.meter}  {each.kind.value.replace('_', ' ')}"
    )
    console.print(f"{told}  {each.words}{f'  ({by})' if by else ''}", soft_wrap=True)
    if each.closed_at is not None:
        closed = f"{utility.local(each.closed_at):%Y-%m-%d %H:%M}"
        console.print(
            f"   closed {closed}  {each.closing_words}  ({each.closed_by})", soft_wrap=True
        )


def _object(each: FaultReport) -> dict[str, Any]:
    return {
        "report_no": each.report_no,
        "state": each.state.value,
        "meter": each.meter,
        "kind": each.kind.value,
        "words": each.words,
        "contact": each.contact,
        "reported_at": each.reported_at.isoformat(),
        "operator": each.operator,
        "terminal": each.terminal,
        "client": each.client,
        "message_id": each.message_id,
        "closed_at": None if each.closed_at is None else each.closed_at.isoformat(),
        "closed_by": each.closed_by,
        "closing_words": each.closing_words,
    }
