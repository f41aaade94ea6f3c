"""``meterhouse campaign``: key changes of whole supply groups."""

from __future__ import annotations

import csv
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click
from rich.table import Table
from rich.text import Text

import vending
from commands.counter import database_option, open_shop, operator_option
from commands.output import (
    EXIT_CHECK_FAILED,
    console,
    counting,
    error_console,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vending.campaigns.campaign import Campaign
    from vending.campaigns.export import CampaignMeter

_STATES: Final = ("waiting", "issued", "confirmed", "refused")
_TOKENS_MAX: Final = 4


@click.group()
def campaign() -> None:
    """Key changes of whole supply groups: prepare, run, retry, export."""


@campaign.command()
@click.argument("name")
@click.option("--sgc", required=True, help="Meters of this supply group ...")
@click.option("--krn", type=int, help="... with this key revision,")
@click.option("--kt", type=int, help="... this key type,")
@click.option("--ti", help="... this tariff index,")
@click.option("--base-year", type=int, help="... on this base date.")
@click.option("--to-sgc", help="New supply group code.")
@click.option("--to-krn", type=int, help="New key revision number.")
@click.option("--to-kt", type=int, help="New key type.")
@click.option("--to-ti", help="New tariff index, two digits.")
@click.option("--to-base-year", type=int, help="New base date: 2014 or 2035 (TID roll-over).")
@click.option("--to-ken", type=int, help="New key expiry number.")
@click.option("--reason", required=True, help="Why, for the audit trail.")
@operator_option
@database_option
@json_option
def prepare(
    name: str,
    sgc: str,
    krn: int | None,
    kt: int | None,
    ti: str | None,
    base_year: int | None,
    to_sgc: str | None,
    to_krn: int | None,
    to_kt: int | None,
    to_ti: str | None,
    to_base_year: int | None,
    to_ken: int | None,
    reason: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Choose the meters of campaign NAME and say what changes.  Makes no token yet.

    \b
    TID roll-over of a group:   campaign prepare rollover --sgc 123457 --base-year 1993 \\
                                    --to-base-year 2014 --reason "TID roll-over"
    """
    selection = _given(sgc=sgc, krn=krn, key_type=kt, tariff_index=ti, base_year=base_year)
    changes = _given(
        sgc=to_sgc,
        krn=to_krn,
        key_type=to_kt,
        tariff_index=to_ti,
        base_year=to_base_year,
        ken=to_ken,
    )
    with open_shop(database) as shop:
        made = shop.campaigns.prepare(name, selection, changes, reason, operator=operator)
    _answer(
        made,
        f"Campaign {name}: {made.meters} meters. Next: meterhouse campaign run {name}",
        as_json=as_json,
    )


@campaign.command()
@click.argument("name")
@operator_option
@database_option
@json_option
@click.pass_context
def run(ctx: click.Context, name: str, operator: str, database: str, as_json: bool) -> None:
    """Make the tokens of every meter that waits.

    Ctrl-C stops behind the meter that is being worked on; the same command goes on from there.
    So it does after a crash.  Exit status 1 when meters were refused or still wait.
    """
    with (
        open_shop(database, keys_now=True) as shop,
        _stoppable() as stop,
        counting("Meters", as_json=as_json) as told,
    ):
        ended = shop.campaigns.run(name, operator=operator, progress=told, stop=stop)
    _answer(ended, _standing(ended), as_json=as_json)
    if ended.waiting or ended.counts[_refused()]:
        ctx.exit(EXIT_CHECK_FAILED)


@campaign.command()
@click.argument("name")
@operator_option
@database_option
@json_option
def retry(name: str, operator: str, database: str, as_json: bool) -> None:
    """Let the refused meters of NAME wait again; then run it."""
    with open_shop(database) as shop:
        again = shop.campaigns.retry(name, operator=operator)
    _answer(again, _standing(again), as_json=as_json)


@campaign.command()
@click.argument("name")
@operator_option
@database_option
@json_option
def close(name: str, operator: str, database: str, as_json: bool) -> None:
    """End NAME, in which no meter waits, though some were refused."""
    with open_shop(database) as shop:
        ended = shop.campaigns.close(name, operator=operator)
    _answer(ended, _standing(ended), as_json=as_json)


@campaign.command()
@click.argument("name")
@operator_option
@database_option
@json_option
def cancel(name: str, operator: str, database: str, as_json: bool) -> None:
    """End NAME as it stands; tokens that were made stay good."""
    with open_shop(database) as shop:
        ended = shop.campaigns.cancel(name, operator=operator)
    _answer(ended, _standing(ended), as_json=as_json)


@campaign.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List campaigns, the newest first."""
    with open_shop(database) as shop:
        found = shop.campaigns.all()
    if as_json:
        print_json([_object(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("Campaign")
    table.add_column("State")
    for heading in ("Meters", *(state.capitalize() for state in _STATES)):
        table.add_column(heading, justify="right")
    for each in found:
        counts = {state.value: str(count) for state, count in each.counts.items()}
        table.add_row(
            Text(each.name),
            each.state.value,
            str(each.meters),
            *(counts[state] for state in _STATES),
        )
    console.print(table)


@campaign.command()
@click.argument("name")
@click.option("--state", type=click.Choice(_STATES), help="Only meters that stand there.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A new file, for you alone to read. [default: standard output]",
)
@click.option("--language", help="Of the short messages: en, zh, fr, pt. [default: the shop's]")
@database_option
@json_option
def export(
    name: str,
    state: str | None,
    output: Path | None,
    language: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Write NAME's meters with their tokens in entry order, and the text of a short message.

    CSV with headings; with --json one JSON object a line.
    """
    from vending.campaigns.campaign import MeterState

    wanted = None if state is None else MeterState(state)
    with open_shop(database) as shop, _opened(output) as out:
        found = shop.campaigns.meters(name, wanted)
        spoken = language or shop.utility.language
        _write(found, out, spoken, as_json=as_json)


def _write(found: Iterator[CampaignMeter], out: TextIO, language: str, *, as_json: bool) -> None:
    tokens = [f"token_{place}" for place in range(1, _TOKENS_MAX + 1)]
    headings = ["meter", "customer", "location", "state", "fault", *tokens, "message"]
    rows = csv.DictWriter(out, headings, restval="", lineterminator="\n")
    if not as_json:
        rows.writeheader()
    for each in found:
        digits = [] if each.receipt is None else [token.digits for token in each.receipt.tokens]
        message = "" if each.receipt is None else _message(each, language)
        plain = {
            "meter": each.number,
            "customer": each.customer,
            "location": each.location,
            "state": each.state.value,
            "fault": each.fault or "",
        }
        if as_json:
            import json

            line = {**plain, "tokens": digits, "message": message}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
        else:
            rows.writerow({**plain, **dict(zip(tokens, digits, strict=False)), "message": message})


def _message(each: CampaignMeter, language: str) -> str:
    assert each.receipt is not None
    return " | ".join(vending.receipt_sms(each.receipt, language))


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        made = os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise click.BadParameter(
            f"{output} is there already: name another.", param_hint="--output"
        ) from None
    with os.fdopen(made, "w", encoding="utf-8", newline="") as out:
        yield out


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, or a polite kill, as a wish to stop behind the meter at hand."""
    wished: list[int] = []

    def wish(number: int, _frame: object) -> None:
        wished.append(number)
        error_console.print("Stopping behind this meter ...", style="yellow")

    before = {each: signal.signal(each, wish) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(wished)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refused() -> Any:
    from vending.campaigns.campaign import MeterState

    return MeterState.REFUSED


def _standing(found: Campaign) -> str:
    counts = ", ".join(f"{count} {state.value}" for state, count in found.counts.items())
    return f"Campaign {found.name} is {found.state.value}: {counts}."


def _answer(found: Campaign, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(found))
    else:
        console.print(sentence, markup=False, soft_wrap=True)


def _object(found: Campaign) -> dict[str, Any]:
    return {
        "campaign": found.name,
        "state": found.state.value,
        "selection": dict(found.selection),
        "changes": dict(found.changes),
        "reason": found.reason,
        "meters": found.meters,
        **{state.value: count for state, count in found.counts.items()},
    }
