"""``meterhouse bill text``: information on bills."""

from __future__ import annotations

import click
from rich.table import Table

from commands.bill.asked import CLASSES, day_of
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, json_option, print_json


@click.group()
def text() -> None:
    """Information on bills, by class and language."""


@text.command(name="add")
@click.argument("words")
@click.option("--language", required=True, help="In which it is: en, zh, fr, pt, ...")
@click.option("--since", metavar="DATE", help="First day. [default: today]")
@click.option("--until", required=True, metavar="DATE", help="Last day.")
@click.option("--class", "customer_class", type=CLASSES, help="For whom. [default: everybody]")
@database_option
@json_option
def add_text(
    words: str,
    language: str,
    since: str | None,
    until: str,
    customer_class: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Put WORDS on the bills of some days."""
    from billing.bills.texts import TextDesk

    with open_office(database) as office:
        text_id = TextDesk(office).add(
            words,
            language=language,
            since=day_of(since) if since else office.today(),
            until=day_of(until),
            customer_class=customer_class,
        )
    if as_json:
        print_json({"text": text_id})
    else:
        console.print(f"Text {text_id} is on bills until {until}.")


@text.command(name="list")
@database_option
@json_option
def list_texts(database: str, as_json: bool) -> None:
    """List the texts, the newest first."""
    from billing.bills.texts import TextDesk

    with open_office(database) as office:
        found = TextDesk(office).list()
    if as_json:
        print_json(
            [
                {
                    "text": each.text_id,
                    "class": each.customer_class,
                    "language": each.language,
                    "since": each.since.isoformat(),
                    "until": each.until.isoformat(),
                    "words": each.words,
                }
                for each in found
            ]
        )
        return
    table = Table("Text", "Class", "Language", "Since", "Until", "Words", box=None)
    for each in found:
        table.add_row(
            str(each.text_id),
            each.customer_class or "all",
            each.language,
            each.since.isoformat(),
            each.until.isoformat(),
            each.words,
        )
    console.print(table)


@text.command(name="end")
@click.argument("text_id", type=int)
@click.option("--until", metavar="DATE", help="Last day. [default: today]")
@database_option
@json_option
def end_text(text_id: int, until: str | None, database: str, as_json: bool) -> None:
    """Have a text end earlier, or later."""
    from billing.bills.texts import TextDesk

    with open_office(database) as office:
        last = day_of(until) if until else office.today()
        TextDesk(office).end(text_id, last)
    if as_json:
        print_json({"text": text_id, "until": last.isoformat()})
    else:
        console.print(f"Text {text_id} ends on {last}.")
