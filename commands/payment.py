"""``meterhouse payment``: money that comes in for accounts."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option, operator_option, terminal_option
from commands.office import open_office
from commands.output import EXIT_CHECK_FAILED, console, counting, json_option, print_json

if TYPE_CHECKING:
    from billing.office import Office
    from billing.payments.payment import Taken
    from billing.payments.row import PaymentRow

_STATES: Final = ("posted", "suspense", "undone", "returned")
_reason = click.option("--reason", required=True, help="Why, in your own words.")


@click.group()
def payment() -> None:
    """Payments to accounts: take, import, redeem; suspense; undo."""


@payment.command()
@click.argument("number")
@click.argument("amount")
@click.option("--channel", default="counter", show_default=True, help="One of the counter's.")
@click.option("--reference", help="Repeat a payment by its own. [default: a new one]")
@click.option("--tender", type=click.Choice(["cash", "card"]), default="cash", show_default=True)
@click.option("--deposit", is_flag=True, help="For the deposit that the agreement asks.")
@operator_option
@terminal_option
@database_option
@json_option
def take(
    number: str,
    amount: str,
    channel: str,
    reference: str | None,
    tender: str,
    deposit: bool,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Take AMOUNT at the counter for NUMBER, of an account or of a meter on it.

    Where the house wants shifts, it goes through your open one. Asked again with the same
    --reference it is taken once.
    """
    from billing.payments.counter import Counter
    from billing.payments.payment import Payment, Purpose
    from vending.shop.books import Tender

    with open_office(database, operator) as office:
        wanted = Payment(
            channel=channel,
            reference=reference or uuid.uuid4().hex,
            amount_minor=office.currency.parse(amount),
            number=number,
            purpose=Purpose.DEPOSIT if deposit else Purpose.ACCOUNT,
        )
        if not as_json and reference is None:
            click.echo(f"Reference {wanted.reference}", err=True)
        taken = Counter(office).take(wanted, terminal=terminal, tender=Tender(tender))
        _show_taken(office, taken, wanted.reference, as_json=as_json)


@payment.command()
@click.argument("number")
@click.option(
    "--pin-file",
    type=click.File(),
    help="Read the PIN from a file, - for standard input. [default: ask for it]",
)
@operator_option
@terminal_option
@database_option
@json_option
def redeem(
    number: str, pin_file: Any, operator: str, terminal: str, database: str, as_json: bool
) -> None:
    """Pay a voucher onto the account NUMBER, or that of a meter.  Its PIN is asked for."""
    from billing.payments.vouchers import VoucherCounter
    from vending import Pin

    typed = pin_file.readline() if pin_file else click.prompt("Voucher", hide_input=True, err=True)
    pin = Pin(typed.strip())
    with open_office(database, operator) as office:
        done = VoucherCounter(office).redeem(number, pin, client=f"counter {terminal}")
        _show_taken(office, done.taken, "", as_json=as_json)


@payment.command(name="import")
@click.argument("channel")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@operator_option
@database_option
@json_option
@click.pass_context
def import_(
    ctx: click.Context, channel: str, file: Path, operator: str, database: str, as_json: bool
) -> None:
    """Take the payments of a bank's FILE; again: what is known is not taken twice.

    Exit status 1 when a line could not be taken.
    """
    from billing.payments.bank_file import take_file
    from billing.payments.channel_desk import ChannelDesk

    with open_office(database, operator) as office:
        found = ChannelDesk(office).channel(channel)
        with counting("Bookings", as_json=as_json) as told:
            done = take_file(office, found, file.read_bytes(), progress=told)
        money = office.currency
    if as_json:
        counts = {
            name: getattr(done, name)
            for name in ("taken", "taken_minor", "known", "suspense", "outgoing")
        }
        bad = [{"where": each.where, "message": each.message} for each in done.bad]
        print_json({**counts, "bad": bad})
    else:
        console.print(
            f"{done.taken} payments taken, {money.code} {money.text(done.taken_minor)}; "
            f"{done.suspense} of them wait in suspense; {done.known} were known."
        )
        for each in done.bad:
            console.print(f"{each.where}: {each.message}")
    if done.bad:
        ctx.exit(EXIT_CHECK_FAILED)


@payment.command()
@click.argument("payment_id", metavar="PAYMENT", type=int, required=False)
@click.option("--channel", help="With --reference: find it so.")
@click.option("--reference", help="The channel's own.")
@database_option
@json_option
def show(
    payment_id: int | None,
    channel: str | None,
    reference: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Show PAYMENT, and what became of it."""
    from billing.payments.desk import PaymentDesk

    with open_office(database) as office:
        desk = PaymentDesk(office)
        if payment_id is None:
            if channel is None or reference is None:
                raise click.UsageError("Give its number, or --channel and --reference.")
            payment_id = desk.find(channel, reference).payment_id
        found = desk.show(payment_id)
        plain = _object(found.payment, office)
    acts = [
        {
            "at": each.at.isoformat(),
            "act": each.act.value,
            "actor": each.actor,
            "words": each.words,
        }
        for each in found.acts
    ]
    if as_json:
        print_json({**plain, "note": found.note, "acts": acts})
        return
    for name, value in plain.items():
        console.print(f"{name:>14}  {value}", soft_wrap=True)
    if found.note:
        console.print(f"{'note':>14}  {found.note}", soft_wrap=True)
    for act in acts:
        console.print(f"{act['at'][:19]}  {act['act']} by {act['actor']}  {act['words']}")


@payment.command(name="list")
@click.option("--account", "number", help="Of one account (or of a meter on it).")
@click.option("--channel", help="Of one channel.")
@click.option("--state", type=click.Choice(_STATES), help="suspense: what waits for a person.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@database_option
@json_option
def list_(
    number: str | None,
    channel: str | None,
    state: str | None,
    limit: int,
    database: str,
    as_json: bool,
) -> None:
    """List payments, the newest first."""
    from billing.payments.desk import PaymentDesk
    from billing.payments.payment import PaymentState

    with open_office(database) as office:
        found = PaymentDesk(office).list(
            account_id=None if number is None else account_id_of(office, number),
            channel=channel,
            state=None if state is None else PaymentState(state),
            limit=limit,
        )
        rows = [_object(each, office) for each in found]
        money = office.currency
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Payment", "Taken", "Channel", "Reference", "Account"):
        table.add_column(heading)
    table.add_column(money.code, justify="right")
    table.add_column("State")
    for each, row in zip(found, rows, strict=True):
        table.add_row(
            str(each.payment_id),
            row["taken_at"][:16],
            each.channel,
            Text(each.reference),
            each.number or Text(f"({each.given})" if each.given else "-"),
            money.text(each.amount_minor),
            each.state.value,
        )
    console.print(table)


@payment.command()
@click.argument("payment_id", metavar="PAYMENT", type=int)
@click.argument("number")
@_reason
@operator_option
@database_option
@json_option
def assign(
    payment_id: int, number: str, reason: str, operator: str, database: str, as_json: bool
) -> None:
    """Put PAYMENT from suspense on the account NUMBER, or that of a meter."""
    from billing.payments.desk import PaymentDesk

    with open_office(database, operator) as office:
        placed = PaymentDesk(office).assign(payment_id, number, reason)
        _answer(office, placed, f"Payment {payment_id} is on {placed.number}.", as_json=as_json)


@payment.command(name="send-back")
@click.argument("payment_id", metavar="PAYMENT", type=int)
@_reason
@operator_option
@database_option
@json_option
def send_back(payment_id: int, reason: str, operator: str, database: str, as_json: bool) -> None:
    """Send PAYMENT in suspense back to who paid it: a refund that another person approves."""
    from billing.payments.desk import PaymentDesk

    with open_office(database, operator) as office:
        refund_id = PaymentDesk(office).send_back(payment_id, reason)
    if as_json:
        print_json({"payment": payment_id, "refund": refund_id})
    else:
        console.print(f"Refund {refund_id} is asked. Next: meterhouse refund approve {refund_id}")


@payment.command()
@click.argument("payment_id", metavar="PAYMENT", type=int)
@click.option("--bounced", is_flag=True, help="The money is not in the house.")
@click.option("--to", "to_number", help="It belongs to this account (or that of a meter).")
@click.option("--to-suspense", is_flag=True, help="It belongs to somebody else, not known yet.")
@_reason
@operator_option
@database_option
@json_option
def undo(
    payment_id: int,
    bounced: bool,
    to_number: str | None,
    to_suspense: bool,
    reason: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Ask to undo PAYMENT; another person approves (`meterhouse payment approve`)."""
    from billing.payments.desk import PaymentDesk

    if bounced + to_suspense + (to_number is not None) != 1:
        raise click.UsageError("Give --bounced, or --to NUMBER, or --to-suspense.")
    with open_office(database, operator) as office:
        asked = PaymentDesk(office).ask_undo(
            payment_id, reason, bounced=bounced, to_number=to_number
        )
    if as_json:
        print_json({"payment": payment_id, "undo": asked.undo_id, "state": asked.state})
    else:
        console.print(f"Asked. Another person: meterhouse payment approve {payment_id}")


@payment.command()
@click.argument("payment_id", metavar="PAYMENT", type=int)
@operator_option
@database_option
@json_option
def approve(payment_id: int, operator: str, database: str, as_json: bool) -> None:
    """Be the second person: undo PAYMENT as it was asked."""
    from billing.payments.desk import PaymentDesk

    with open_office(database, operator) as office:
        found = PaymentDesk(office).decide_undo(payment_id, approve=True)
        words = f"Payment {payment_id} is {found.state.value} now"
        where = f", on {found.number}." if found.number else "."
        _answer(office, found, words + where, as_json=as_json)


@payment.command()
@click.argument("payment_id", metavar="PAYMENT", type=int)
@operator_option
@database_option
@json_option
def refuse(payment_id: int, operator: str, database: str, as_json: bool) -> None:
    """Say no to undoing PAYMENT."""
    from billing.payments.desk import PaymentDesk

    with open_office(database, operator) as office:
        found = PaymentDesk(office).decide_undo(payment_id, approve=False)
        _answer(office, found, f"Payment {payment_id} stays as it is.", as_json=as_json)


@payment.command()
@database_option
@json_option
def undos(database: str, as_json: bool) -> None:
    """List the payments that somebody has asked to undo."""
    from billing.payments.desk import PaymentDesk

    with open_office(database) as office:
        found = PaymentDesk(office).undos()
    if as_json:
        print_json(
            [
                {
                    "payment": each.payment_id,
                    "why": each.why,
                    "to": each.to_number,
                    "reason": each.reason,
                    "asked_by": each.asked_by,
                    "asked_at": each.asked_at.isoformat(),
                }
                for each in found
            ]
        )
        return
    table = Table("Payment", "Why", "To", "Asked by", "Reason", box=None, pad_edge=False)
    for each in found:
        table.add_row(
            str(each.payment_id), each.why, each.to_number, Text(each.asked_by), Text(each.reason)
        )
    console.print(table)


def account_id_of(office: Office, number: str) -> int:
    """The account of a number that somebody typed.

    Raises:
        UnknownAccountError: there is none.
    """
    from billing.faults import UnknownAccountError
    from billing.payments.payee import account_of_number

    with office.reading() as connection:
        found = account_of_number(connection, number)
    if found is None:
        raise UnknownAccountError(f"There is no account, nor a meter on one, of number {number}.")
    return found


def _show_taken(office: Office, taken: Taken, reference: str, *, as_json: bool) -> None:
    money = office.currency
    if as_json:
        print_json(
            {
                "payment": taken.payment_id,
                "reference": reference,
                "new": taken.is_new,
                "state": taken.state.value,
                "balance_minor": taken.balance_minor,
                "currency": money.code,
            }
        )
        return
    again = "" if taken.is_new else " had been taken before"
    if taken.account_id is None:
        console.print(
            f"Payment {taken.payment_id}{again} is in suspense: no open account has this number. "
            f"Next: meterhouse payment assign {taken.payment_id} NUMBER",
            soft_wrap=True,
        )
        return
    console.print(
        f"Payment {taken.payment_id}{again or ' is taken'}. "
        f"Balance {money.code} {money.text(taken.balance_minor)}."
    )


def _answer(office: Office, found: PaymentRow, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(found, office))
    else:
        console.print(sentence)


def _object(each: PaymentRow, office: Office) -> dict[str, Any]:
    return {
        "payment": each.payment_id,
        "channel": each.channel,
        "reference": each.reference,
        "purpose": each.purpose.value,
        "amount_minor": each.amount_minor,
        "currency": office.currency.code,
        "account": each.number,
        "given": each.given,
        "paid_at": each.paid_at.astimezone(office.zone).isoformat(timespec="seconds"),
        "taken_at": each.taken_at.astimezone(office.zone).isoformat(timespec="seconds"),
        "taken_by": each.taken_by,
        "taken_where": each.taken_where,
        "state": each.state.value,
    }
