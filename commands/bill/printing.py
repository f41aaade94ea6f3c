"""``meterhouse bill print`` and ``ways``: paper, and how bills go out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from commands.bill.asked import CLASSES, require_new, write_new
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, error_console, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.bills.printing import Batch
    from billing.office import Office


@click.command(name="print")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the letters go: FILE.pdf; a list of them goes to FILE.csv beside it.",
)
@click.option("--again", metavar="BATCH", type=int, help="Print a batch again.")
@click.option("--list", "only_list", is_flag=True, help="List the batches.")
@click.option("--letters", type=click.IntRange(1, 500), default=500, show_default=True)
@database_option
@json_option
def print_(
    output: Path | None,
    again: int | None,
    only_list: bool,
    letters: int,
    database: str,
    as_json: bool,
) -> None:
    """Print bills that wait for paper: one PDF, in the order of post codes."""
    from billing.bills.printing import PrintDesk

    with open_office(database) as office:
        desk = PrintDesk(office)
        if only_list:
            _list_batches(desk.list(), office, as_json=as_json)
            return
        if output is None or output.suffix != ".pdf":
            raise click.BadParameter("Name a file FILE.pdf.", param_hint="--output")
        require_new(output, output.with_suffix(".csv"))
        printed = desk.make(letters_max=letters) if again is None else desk.again(again)
        write_new(output, printed.pdf)
        write_new(output.with_suffix(".csv"), printed.manifest.encode())
    batch = printed.batch
    if as_json:
        print_json(
            {
                "batch": batch.batch_id,
                "letters": batch.letters,
                "pages": batch.pages,
                "pdf_sha256": batch.pdf_sha256.hex(),
                "exact": printed.is_exact,
                "file": str(output),
            }
        )
        return
    console.print(
        f"Batch {batch.batch_id}: {batch.letters} letters on {batch.pages} pages are in {output}."
    )
    if not printed.is_exact:
        error_console.print(
            "These are not the bytes that were printed first: program, texts or fonts have "
            "changed since. What the bills say is the same."
        )


@click.command()
@click.argument("customer_class", type=CLASSES, required=False)
@click.option("--notice/--no-notice", default=None, help="E-mail and SMS.")
@click.option("--paper/--no-paper", default=None, help="A letter.")
@database_option
@json_option
def ways(
    customer_class: str | None,
    notice: bool | None,
    paper: bool | None,
    database: str,
    as_json: bool,
) -> None:
    """Show or set how the bills of a class go out."""
    from billing.bills.sending import WayDesk, Ways

    with open_office(database) as office:
        desk = WayDesk(office)
        now = {each.customer_class: each for each in desk.list()}
        if customer_class is not None and (notice is not None or paper is not None):
            old = now[customer_class]
            desk.set(
                Ways(
                    customer_class,
                    old.by_notice if notice is None else notice,
                    old.on_paper if paper is None else paper,
                )
            )
            now = {each.customer_class: each for each in desk.list()}
    if as_json:
        print_json(
            [
                {"class": each.customer_class, "notice": each.by_notice, "paper": each.on_paper}
                for each in now.values()
            ]
        )
        return
    table = Table("Class", "E-mail and SMS", "Letter", box=None)
    for each in now.values():
        table.add_row(
            each.customer_class,
            "yes" if each.by_notice else "no",
            "yes" if each.on_paper else "no",
        )
    console.print(table)


def _list_batches(found: Sequence[Batch], office: Office, *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "batch": each.batch_id,
                    "made_at": each.made_at.isoformat(),
                    "made_by": each.made_by,
                    "letters": each.letters,
                    "pages": each.pages,
                    "pdf_sha256": each.pdf_sha256.hex(),
                }
                for each in found
            ]
        )
        return
    table = Table("Batch", "Made", "By", "Letters", "Pages", box=None)
    for each in found:
        table.add_row(
            str(each.batch_id),
            f"{each.made_at.astimezone(office.zone):%Y-%m-%d %H:%M}",
            each.made_by,
            str(each.letters),
            str(each.pages),
        )
    console.print(table)
