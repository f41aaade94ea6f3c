"""``meterhouse account show``, ``list``, ``search``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.account.desk import open_desk
from commands.counter import database_option
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from billing.accounts.looking import ContactPoint
    from billing.accounts.showing import AccountCard, AccountLine, SupplyCard
    from billing.accounts.values import Closing
    from billing.ledger.entry import Posted
    from vending import Currency

_STATES = ("applied", "checked", "active", "closing", "closed", "rejected")


@click.command()
@click.argument("number")
@click.option("--open", "why", metavar="REASON", help="Show personal fields in full; why?")
@click.option("--entries/--no-entries", default=True, help="Why the balance is what it is.")
@database_option
@json_option
def show(number: str, why: str | None, entries: bool, database: str, as_json: bool) -> None:
    """Show all about an account: its balance and why, people, service points, agreement."""
    with open_desk(database) as desk:
        card = desk.card(number) if why is None else desk.opened_card(number, why)
        posted = desk.entries(number) if entries else []
        money, zone = desk.office.currency, desk.office.zone
    if as_json:
        print_json(card_object(card) | {"entries": [_entry_object(each) for each in posted]})
        return
    _print_card(card, money, zone)
    if posted:
        _print_entries(posted, money, zone)


@click.command(name="list")
@click.option("--state", "states", type=click.Choice(_STATES), multiple=True)
@click.option("--mode", type=click.Choice(["prepaid", "postpaid"]))
@database_option
@json_option
def list_(states: tuple[str, ...], mode: str | None, database: str, as_json: bool) -> None:
    """List accounts, names masked; with --json a document on each line."""
    table = _lines_table()
    with open_desk(database) as desk:
        after, money = 0, desk.office.currency
        while page := desk.accounts(states=states, mode=mode, after=after):
            after = page[-1].account.account_id
            for each in page:
                if as_json:
                    print_json(line_object(each))
                else:
                    _add_line(table, each, money)
    if not as_json:
        console.print(table)


@click.command()
@click.argument("words", nargs=-1, required=True)
@database_option
@json_option
def search(words: tuple[str, ...], database: str, as_json: bool) -> None:
    """Find accounts by number, old number, meter, service point, phone, identity or full name."""
    with open_desk(database) as desk:
        found = desk.search(" ".join(words))
        money = desk.office.currency
    if as_json:
        print_json([line_object(each) for each in found])
        return
    if not found:
        console.print("Nothing is found. Names, phone numbers and identities are given in full.")
        return
    table = _lines_table()
    for each in found:
        _add_line(table, each, money)
    console.print(table)


def line_object(line: AccountLine) -> dict[str, Any]:
    """An account of a list as JSON answers give it."""
    account = line.account
    return {
        "account": account.number,
        "name": line.name,
        "class": account.customer_class,
        "mode": account.mode,
        "state": account.state,
        "balance_minor": line.balance_minor,
    }


def card_object(card: AccountCard) -> dict[str, Any]:
    """All about an account as JSON answers give it."""
    account, agreement = card.account, card.agreement
    return {
        "account": account.number,
        "name": card.name,
        "identity": card.identity,
        "open": card.is_open,
        "class": account.customer_class,
        "mode": account.mode,
        "state": account.state,
        "waits": card.waits,
        "opened_at": account.opened_at.isoformat(),
        "closed_at": None if account.closed_at is None else account.closed_at.isoformat(),
        "balances_minor": {purse.value: held for purse, held in card.balances.items()},
        "agreement": None
        if agreement is None
        else {
            "version": agreement.version,
            "since": agreement.since.isoformat(),
            "mode": agreement.mode,
            "cycle": agreement.cycle,
            "bill_day": agreement.bill_day,
            "due_days": agreement.due_days,
            "payment_channel": agreement.payment_channel,
            "notice_channel": agreement.notice_channel,
            "refund_channel": agreement.refund_channel,
            "warn_minor": agreement.warn_minor,
            "floor_minor": agreement.floor_minor,
            "deposit_minor": agreement.deposit_minor,
        },
        "supplies": [_supply_object(each) for each in card.supplies],
        "contacts": [_contact_object(each) for each in card.contacts],
        "closing": None if card.closing is None else closing_object(card.closing, account.number),
        "changes_waiting": card.changes_waiting,
    }


def closing_object(closing: Closing, number: str) -> dict[str, Any]:
    """How far the end of an account has come, as JSON answers give it."""
    due, paid = closing.refund_due_at, closing.refunded_at
    return {
        "account": number,
        "state": closing.state.value,
        "waits": closing.waits,
        "ends_at": closing.ends_at.isoformat(),
        "reason": closing.reason,
        "refund": closing.refund_id,
        "refund_minor": closing.refund_minor,
        "refund_channel": closing.refund_channel,
        "refund_due_at": None if due is None else due.isoformat(),
        "refunded_at": None if paid is None else paid.isoformat(),
    }


def _supply_object(each: SupplyCard) -> dict[str, Any]:
    until = each.supply.until
    return {
        "supply": each.supply.supply_id,
        "point": each.point,
        "meter": each.meter,
        "tariff": each.tariff,
        "address": each.address,
        "since": each.supply.since.isoformat(),
        "until": None if until is None else until.isoformat(),
    }


def _contact_object(each: ContactPoint) -> dict[str, Any]:
    return {
        "contact": each.contact_id,
        "role": each.role,
        "name": each.name,
        "email": each.email,
        "phone": each.phone,
        "wechat": each.wechat,
        "post": each.post,
        "language": each.language,
        "gets_bill": each.gets_bill,
        "gets_notices": each.gets_notices,
    }


def _entry_object(each: Posted) -> dict[str, Any]:
    entry = each.entry
    return {
        "purse": entry.purse.value,
        "seq": each.seq,
        "at": each.posted_at.isoformat(),
        "kind": entry.kind.value,
        "amount_minor": entry.amount_minor,
        "balance_minor": each.balance_minor,
        "source": entry.source,
        "words": entry.words,
        "due_at": None if entry.due_at is None else entry.due_at.isoformat(),
    }


def _print_card(card: AccountCard, money: Currency, zone: tzinfo) -> None:
    account = card.account
    console.print(
        f"Account {account.number}  {account.state}  {account.mode}  {account.customer_class}",
        style="bold",
    )
    console.print(f"Customer    {card.name}  {card.identity}")
    for purse, held in card.balances.items():
        if held or purse.value == "current":
            console.print(f"{purse.value.capitalize():<11} {money.text(held)}")
    if card.waits:
        console.print(f"Waits       {card.waits}", style="yellow")
    agreement = card.agreement
    if agreement is not None:
        console.print(
            f"Agreement   version {agreement.version}, settled {agreement.cycle}, bill on day "
            f"{agreement.bill_day}, due in {agreement.due_days} days, paid by "
            f"{agreement.payment_channel}, warned by {agreement.notice_channel}"
        )
    for each in card.supplies:
        until = each.supply.until
        ended = "" if until is None else f" until {_time(until, zone)}"
        console.print(
            f"Supply {each.supply.supply_id:<4} {each.point}, meter {each.meter or 'none'}, tariff "
            f"{each.tariff or 'none'}, since {_time(each.supply.since, zone)}{ended}  "
            f"{each.address}"
        )
    for person in card.contacts:
        reach = "  ".join(
            words for words in (person.phone, person.email, person.wechat, person.post) if words
        )
        console.print(f"Contact {person.contact_id:<3} {person.role} {person.name}  {reach}")
    if card.closing is not None:
        console.print(f"Closing     {closing_words(card.closing, money, zone)}")
    if card.changes_waiting:
        console.print(f"Changes     {card.changes_waiting} wait: meterhouse account changes")


def closing_words(closing: Closing, money: Currency, zone: tzinfo) -> str:
    """How far the end of an account has come, on one line."""
    words = f"{closing.state.value}, ends {_time(closing.ends_at, zone)}"
    if closing.refund_minor is not None and closing.refund_due_at is not None:
        words += (
            f", refund {money.text(closing.refund_minor)} by {closing.refund_channel} until "
            f"{_time(closing.refund_due_at, zone)}"
        )
    return words + (f"; waits for: {closing.waits}" if closing.waits else "")


def _print_entries(posted: list[Posted], money: Currency, zone: tzinfo) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("When", "Purse", "What"):
        table.add_column(heading)
    for heading in ("Amount", "Balance"):
        table.add_column(heading, justify="right")
    for each in posted:
        table.add_row(
            _time(each.posted_at, zone),
            each.entry.purse.value,
            Text(each.entry.words),
            money.text(each.entry.amount_minor),
            money.text(each.balance_minor),
        )
    console.print()
    console.print(table)


def _lines_table() -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Account", "Name", "Class", "Mode", "State"):
        table.add_column(heading)
    table.add_column("Balance", justify="right")
    return table


def _add_line(table: Table, line: AccountLine, money: Currency) -> None:
    account = line.account
    table.add_row(
        account.number,
        Text(line.name),
        account.customer_class,
        account.mode,
        account.state,
        money.text(line.balance_minor),
    )


def _time(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")
