"""``meterhouse account close``, ``closings``, ``rules``."""

from __future__ import annotations

from datetime import date

import click

from commands.account.desk import open_desk
from commands.account.looking import closing_object, closing_words
from commands.counter import database_option
from commands.days import DayParameter
from commands.output import console, json_option, print_json


@click.command()
@click.argument("number")
@click.option("--reason", help="Why the account ends, or why not; nothing personal.")
@click.option("--day", type=DayParameter(), help="The first day without supply. [default: now]")
@click.option("--refund-channel", help="For what is left. [default: as agreed]")
@click.option("--go-on", is_flag=True, help="Go on with a closing that was begun.")
@click.option("--refund-again", is_flag=True, help="Ask anew for a refund that came back.")
@click.option("--withdraw", is_flag=True, help="The customer stays.")
@database_option
@json_option
def close(
    number: str,
    reason: str | None,
    day: date | None,
    refund_channel: str | None,
    go_on: bool,
    refund_again: bool,
    withdraw: bool,
    database: str,
    as_json: bool,
) -> None:
    """Close an account: last reading, final settlement, refund of what is left, the end.

    Each step is taken when what it waits for is there; `meterhouse office run` takes them too.
    """
    from billing.accounts.closing import CloseRequest

    if not (go_on or refund_again) and not reason:
        raise click.UsageError("Say why: --reason.")
    with open_desk(database) as desk:
        if withdraw:
            desk.withdraw_closing(number, reason or "")
            _withdrawn(number, as_json=as_json)
            return
        if refund_again:
            agreed = desk.card(number).closing
            channel = refund_channel or (agreed.refund_channel if agreed else "")
            found = desk.refund_again(number, channel)
        elif go_on:
            found = desk.proceed(number)
        else:
            found = desk.close(number, CloseRequest(reason or "", day, refund_channel))
        money, zone = desk.office.currency, desk.office.zone
    if as_json:
        print_json(closing_object(found, number))
        return
    console.print(f"Account {number}: {closing_words(found, money, zone)}")


def _withdrawn(number: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"account": number, "state": "active"})
    else:
        console.print(f"Account {number} stays.")


@click.command()
@click.option("--overdue", is_flag=True, help="Those alone whose refund should have been paid.")
@database_option
@json_option
def closings(overdue: bool, database: str, as_json: bool) -> None:
    """List accounts on their way to their end, and until when money is to be given back."""
    with open_desk(database) as desk:
        found = desk.closings(overdue=overdue)
        numbers = desk.numbers([each.account_id for each in found])
        money, zone = desk.office.currency, desk.office.zone
    if as_json:
        print_json([closing_object(each, numbers[each.account_id]) for each in found])
        return
    for each in found:
        console.print(f"{numbers[each.account_id]}  {closing_words(each, money, zone)}")
    if not found:
        console.print("None.")


@click.command()
@click.option("--refund-days", type=click.IntRange(1, 366), help="From settlement to refund.")
@click.option("--keep-years", type=click.IntRange(1, 100), help="Personal fields, after the end.")
@database_option
@json_option
def rules(refund_days: int | None, keep_years: int | None, database: str, as_json: bool) -> None:
    """Show or set the rules for all accounts."""
    from billing.accounts.values import AccountRules

    with open_desk(database) as desk:
        now = desk.rules()
        if refund_days is not None or keep_years is not None:
            now = AccountRules(refund_days or now.refund_days, keep_years or now.keep_years)
            desk.set_rules(now)
    if as_json:
        print_json({"refund_days": now.refund_days, "keep_years": now.keep_years})
        return
    console.print(f"What is left of an account is given back within {now.refund_days} days.")
    console.print(f"Personal fields are erased {now.keep_years} years after a customer's end.")
