"""``meterhouse store``: what the head-end keeps, packing, the archive, and for how long."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import console, counting, json_option, print_json
from commands.station import open_station

if TYPE_CHECKING:
    from headend.station import Station
    from headend.store.archive import Archived
    from headend.store.months import Kind, Month
    from headend.store.status import StoreStatus

_KINDS = click.Choice(["readings", "intervals", "events"])
_FOR_EVER = "forever"
_NEVER = "never"


@click.group()
def store() -> None:
    """Readings, interval values, events: what is kept, packed, archived, and how long."""


@store.command()
@database_option
@json_option
def status(database: str, as_json: bool) -> None:
    """Show what the store holds, in the database and in the archive."""
    from headend.store.status import status as look

    with open_station(database) as station, station.reading() as connection:
        found = look(connection)
    if as_json:
        print_json(_status_object(found))
        return
    table = Table()
    for column in ("kind", "months", "rows", "MB", "archived months", "rows", "MB", "keep"):
        table.add_column(column, justify="left" if column in ("kind", "months") else "right")
    for each in found.kinds:
        span = f"{each.months[0]} to {each.months[-1]}" if each.months else "-"
        table.add_row(
            each.kind, span, f"{each.rows:,}", _mb(each.bytes), str(each.archived_months),
            f"{each.archived_rows:,}", _mb(each.archived_bytes), _months(each.policy.keep_months),
        )  # fmt: skip
    console.print(table)
    if found.waiting_days:
        console.print(f"Values of {found.waiting_days} days wait to be packed.")
    if found.open_contradictions:
        console.print(
            f"{found.open_contradictions} values contradict what is kept: "
            "`meterhouse readings differing`."
        )


@store.command()
@database_option
@json_option
def pack(database: str, as_json: bool) -> None:
    """Pack the interval values that wait, of all days that are over; the service does it nightly.

    It may be interrupted and run again at any time.
    """
    from headend.store.packing import pack as pack_days

    with open_station(database) as station, counting("Values", as_json=as_json) as told:
        done = pack_days(station, told=told)
    if as_json:
        print_json({"days": done.days, "values": done.values, "differing": done.kept.differing})
        return
    console.print(f"{done.values:,} values of {done.days} days are packed.")


@store.command()
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Where the archive lies."
)
@click.option("--month", metavar="YYYY-MM", help="This month, whatever the retention says.")
@click.option("--kind", "kinds", type=_KINDS, multiple=True, help="With --month. [default: all]")
@click.option("--dry-run", is_flag=True, help="Only say what is due.")
@database_option
@json_option
def archive(
    folder: Path | None,
    month: str | None,
    kinds: tuple[str, ...],
    dry_run: bool,
    database: str,
    as_json: bool,
) -> None:
    """Put older months into Parquet files; give up what is not kept any longer.

    What is due is what `meterhouse store retention` says.  Files are read back and compared
    before the database lets go of a month, and every command reads archived months as before.
    It may be interrupted and run again at any time.
    """
    from headend.store.archive import set_folder
    from headend.store.months import Kind
    from headend.store.retention import due

    wanted = None if month is None else _month(month)
    with open_station(database) as station:
        if folder is not None:
            set_folder(station, folder)
        if dry_run:
            now = due(station)
            asked = [(Kind(kind), wanted) for kind in kinds or list(Kind)] if wanted else None
            _print_due(asked or list(now.archive), list(now.give_up), as_json=as_json)
            return
        with counting("Groups of meters", as_json=as_json) as told:
            done = _archive(station, [Kind(kind) for kind in kinds or list(Kind)], wanted, told)
    _print_archived(done, as_json=as_json)


@store.command()
@click.argument("kind", type=_KINDS, required=False)
@click.option("--archive-after", metavar="MONTHS", help=f"From 3 months on, or {_NEVER}.")
@click.option("--keep", metavar="MONTHS", help=f"At least 36 (events: 12), or {_FOR_EVER}.")
@database_option
@json_option
def retention(
    kind: str | None, archive_after: str | None, keep: str | None, database: str, as_json: bool
) -> None:
    """Show for how long what is kept, or change it for one KIND.

    \b
    meterhouse store retention readings --archive-after 25 --keep forever
    meterhouse store retention events --archive-after 13 --keep 60
    Registers and interval values are kept for three years at least: bills may need them.
    """
    from headend.store.months import Kind
    from headend.store.retention import Policy, policies, set_policy

    if kind is None and (archive_after or keep):
        raise click.UsageError("Name the kind that is to be kept differently.")
    with open_station(database) as station:
        with station.reading() as connection:
            known = policies(connection)
        if kind is not None and (archive_after or keep):
            old = known[Kind(kind)]
            after = _number(archive_after, _NEVER) if archive_after else old.archive_after_months
            kept = _number(keep, _FOR_EVER) if keep else old.keep_months
            set_policy(station, Kind(kind), Policy(after, kept))
            known[Kind(kind)] = Policy(after, kept)
    shown = {each: known[each] for each in known if kind in (None, each.value)}
    if as_json:
        print_json(
            {
                each.value: {
                    "archive_after_months": policy.archive_after_months,
                    "keep_months": policy.keep_months,
                }
                for each, policy in shown.items()
            }
        )
        return
    table = Table("kind", "archive after", "keep")
    for each, policy in shown.items():
        after_months = policy.archive_after_months
        after_text = _NEVER if after_months is None else f"{after_months} months"
        table.add_row(each, after_text, _months(policy.keep_months))
    console.print(table)


@store.command()
@click.argument("kind", type=_KINDS)
@click.argument("month", metavar="YYYY-MM")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="[default: stdout]")
@database_option
def export(kind: str, month: str, out: Path | None, database: str) -> None:
    """Write a month of all meters as CSV, archived or not: times in UTC, values as kept."""
    from headend.store.export import HEADS, month_rows
    from headend.store.months import Kind

    wanted = _month(month)
    with (
        open_station(database) as station,
        counting("Groups of meters", as_json=out is None) as told,
        click.open_file("-" if out is None else str(out), "w", encoding="utf-8") as target,
    ):
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(HEADS[Kind(kind)])
        count = 0
        for row in month_rows(station, Kind(kind), wanted, told=told):
            writer.writerow(row)
            count += 1
    if out is not None:
        console.print(f"{count:,} rows are in {out}.", markup=False)


def _archive(station: Station, kinds: list[Kind], month: Month | None, told: Any) -> list[Archived]:
    from headend.store.archive import archive_month
    from headend.store.retention import carry_out

    if month is None:
        return carry_out(station, told=told)
    return [archive_month(station, kind, month, told=told) for kind in kinds]


def _print_due(
    archive: list[tuple[Kind, Month]], give_up: list[tuple[Kind, Month]], *, as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                "archive": [{"kind": kind.value, "month": str(m)} for kind, m in archive],
                "give_up": [{"kind": kind.value, "month": str(m)} for kind, m in give_up],
            }
        )
        return
    for what, months in (("archive", archive), ("give up", give_up)):
        for kind, month in months:
            console.print(f"{what}: {month} of {kind}")
    if not archive and not give_up:
        console.print("Nothing is due.")


def _print_archived(done: list[Archived], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "kind": each.kind.value,
                    "month": str(each.month),
                    "files": each.files,
                    "rows": each.rows,
                    "bytes": each.bytes,
                }
                for each in done
            ]
        )
        return
    for each in done:
        console.print(
            f"{each.month} of {each.kind}: {each.rows:,} rows in {each.files} files, "
            f"{_mb(each.bytes)} MB."
        )
    if not done:
        console.print("Nothing was due: see `meterhouse store retention`.")


def _status_object(found: StoreStatus) -> dict[str, Any]:
    return {
        "kinds": [
            {
                "kind": each.kind.value,
                "rows": each.rows,
                "bytes": each.bytes,
                "months": [str(month) for month in each.months],
                "archived_months": each.archived_months,
                "archived_rows": each.archived_rows,
                "archived_bytes": each.archived_bytes,
                "archive_after_months": each.policy.archive_after_months,
                "keep_months": each.policy.keep_months,
            }
            for each in found.kinds
        ],
        "waiting_days": found.waiting_days,
        "open_contradictions": found.open_contradictions,
    }


def _month(text: str) -> Month:
    from headend.store.months import Month

    try:
        return Month.named(text)
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from None


def _number(text: str, none: str) -> int | None:
    if text == none:
        return None
    if not text.isdecimal():
        raise click.BadParameter(f"A number of months, or {none}, not {text!r}.")
    return int(text)


def _months(months: int | None) -> str:
    return _FOR_EVER if months is None else f"{months} months"


def _mb(size: int | None) -> str:
    return "-" if size is None else f"{size / 1_000_000:,.1f}"
