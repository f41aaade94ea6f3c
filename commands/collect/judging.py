"""``collect score|forecast|rules``: who pays well, who will be late, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.collect.common import account_argument, account_id_of
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, counting, json_option, print_json

if TYPE_CHECKING:
    from billing.collecting.forecasting import Forecast, Trained
    from billing.collecting.rules import Band
    from billing.collecting.score import Score
    from billing.office import Office

_FILE_MAX = 1_000_000


@click.command()
@account_argument
@click.option("--history", is_flag=True, help="The scores that were kept month by month, too.")
@database_option
@json_option
def score(account: str, history: bool, database: str, as_json: bool) -> None:
    """The credit score of ACCOUNT, the reasons behind it, and the terms that go with it."""
    from billing.collecting.rule_store import rules_in_force
    from billing.collecting.score import score as score_of
    from billing.collecting.score import snapshots_of
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.LOOK)
        account_id = account_id_of(office, account)
        with office.reading() as connection:
            found = score_of(connection, office, account_id, office.now())
            band = rules_in_force(connection).rules.band(found.points)
            kept = snapshots_of(connection, account_id) if history else []
    if as_json:
        months = [
            {"month": f"{each.month:%Y-%m}", "points": each.score.points, "band": each.score.band}
            for each in kept
        ]
        print_json({"account": account, **_score_object(found, band), "history": months})
        return
    console.print(f"Account {account}: {found.points} points of 1000, band {found.band}.")
    for reason in found.reasons:
        console.print(f"  {reason}")
    console.print(f"Terms: {_terms(band)}.")
    for each in kept:
        console.print(f"  {each.month:%Y-%m}  {each.score.points:>4}  {each.score.band}")


@click.command()
@click.option("--train", is_flag=True, help="Learn from the books first.")
@click.option("--show-hits", is_flag=True, help="How good it is on months that it has not seen.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="The hits: FILE.svg, .png."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@database_option
@json_option
def forecast(
    train: bool, show_hits: bool, plot: Path | None, limit: int, database: str, as_json: bool
) -> None:
    """Who will be late at the next due date; with --show-hits how far that can be trusted.

    \b
    meterhouse collect forecast --train --show-hits --plot hits.svg
    """
    from billing.collecting.forecasting import ForecastDesk
    from commands.plots.collecting import draw_hits
    from commands.plots.sales import require_picture_file

    form = None if plot is None else require_picture_file(plot)
    with open_office(database) as office:
        desk = ForecastDesk(office)
        if train:
            with counting("Accounts", as_json=as_json) as told:
                trained = desk.train(progress=told)
        else:
            trained = desk.newest()
        if plot is not None and form is not None:
            plot.write_bytes(draw_hits(trained, form))
        if show_hits or train or plot is not None:
            _say_hits(office, trained, as_json=as_json)
        else:
            _say_forecasts(office, desk.list(limit=limit), as_json=as_json)


@click.command()
@click.option(
    "--set",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rules in TOML, as this command prints them.",
)
@click.option("--reason", help="Why the rules change; with --set.")
@database_option
@json_option
def rules(file: Path | None, reason: str | None, database: str, as_json: bool) -> None:
    """Print the rules of collection in force (TOML), or set others.

    \b
    meterhouse collect rules > rules.toml
    meterhouse collect rules --set rules.toml --reason "the board's decision of May"
    """
    from billing.collecting.rule_store import RuleDesk

    with open_office(database) as office:
        desk = RuleDesk(office)
        if file is None:
            found = desk.show()
            if as_json:
                print_json({"version": found.version, "document": found.document})
            else:
                click.echo(found.document, nl=False)
            return
        if reason is None:
            raise click.UsageError("Say why the rules change: --reason.")
        if file.stat().st_size > _FILE_MAX:
            raise click.BadParameter("The file is too large for rules.", param_hint="--set")
        try:
            document = file.read_text("utf-8")
        except UnicodeDecodeError:
            raise click.BadParameter("The file is no text in UTF-8.", param_hint="--set") from None
        found = desk.set(document, reason)
    if as_json:
        print_json({"version": found.version})
    else:
        console.print(f"The rules are version {found.version} now.")


def _terms(band: Band) -> str:
    parts = [
        f"{band.due_days_more} more days to pay" if band.due_days_more else "the usual due date",
        f"a deposit of {band.deposit_months} months" if band.deposit_months else "no deposit",
        f"prepaid: warned at {band.warn_percent} % of the usual limit",
    ]
    if band.early_reminder:
        parts.append("reminded before each due date")
    return ", ".join(parts)


def _score_object(found: Score, band: Band) -> dict[str, Any]:
    return {
        "points": found.points,
        "band": found.band,
        "reasons": [
            {"code": each.code, "words": each.words, "points": each.points}
            for each in found.reasons
        ],
        "terms": {
            "due_days_more": band.due_days_more,
            "deposit_months": band.deposit_months,
            "warn_percent": band.warn_percent,
            "early_reminder": band.early_reminder,
        },
    }


def _say_hits(office: Office, trained: Trained, *, as_json: bool) -> None:
    import json

    hits = trained.hits
    if as_json:
        print_json(
            {
                "model": trained.model_id,
                "trained_at": trained.trained_at.isoformat(),
                "trained_until": trained.trained_until.isoformat(),
                "due": hits.due,
                "late": hits.late,
                "limit_ppm": hits.limit_ppm,
                "named": hits.named,
                "named_late": hits.named_late,
                "precision_percent": hits.precision_percent,
                "recall_percent": hits.recall_percent,
                "lift": f"{hits.lift_tenths // 10}.{hits.lift_tenths % 10}",
                "tenths": [
                    {"due": each.due, "late": each.late, "chance_ppm": each.chance_ppm}
                    for each in hits.tenths
                ],
                "weights": json.loads(trained.model.document()),
            }
        )
        return
    console.print(
        f"Model {trained.model_id} has learnt from due dates before "
        f"{trained.trained_until.astimezone(office.zone):%Y-%m-%d}; {hits.due} later ones test it."
    )
    console.print(
        f"{hits.late_percent} % of them were late.  It named {hits.named} (a chance of at least "
        f"{hits.limit_ppm // 10_000} %): {hits.precision_percent} % of those were late, and "
        f"{hits.recall_percent} % of the late ones were named.  The likeliest tenth was late "
        f"{hits.lift_tenths // 10}.{hits.lift_tenths % 10} times as often as all."
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("Tenth", "Due dates", "Late", "Late %", "Forecast %"):
        table.add_column(heading, justify="right")
    for place, each in enumerate(hits.tenths, 1):
        late = round(100 * each.late / each.due) if each.due else 0
        table.add_row(
            str(place), str(each.due), str(each.late), str(late), str(each.chance_ppm // 10_000)
        )
    console.print(table)


def _say_forecasts(office: Office, found: list[Forecast], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "account": each.number,
                    "due_day": each.due_day,
                    "chance_ppm": each.chance_ppm,
                    "amount_minor": each.amount_minor,
                    "reminded": each.reminded,
                }
                for each in found
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Account", "Until", "Amount", "Chance %", "Reminded"):
        table.add_column(heading)
    for each in found:
        table.add_row(
            each.number,
            each.due_day,
            office.currency.text(each.amount_minor),
            str(each.chance_ppm // 10_000),
            "yes" if each.reminded else "",
        )
    console.print(table)
