"""``meterhouse audit``: read, verify and seal the audit trail."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
from rich.progress import Progress, TimeRemainingColumn

from commands.counter import database_option, open_shop
from commands.output import (
    EXIT_CHECK_FAILED,
    console,
    error_console,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from datetime import datetime

    from vending.people.audit_desk import AuditLine
    from vending.people.audit_walk import Verification

_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.group()
def audit() -> None:
    """The audit trail: verify, head, list, export, seal."""


@audit.command()
@click.option("--head", metavar="NUMBER:HASH", help="What `audit head` printed earlier.")
@click.option("--no-seal", is_flag=True, help="Only look: do not seal the latest sales.")
@database_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context, head: str | None, no_seal: bool, database: str, as_json: bool
) -> None:
    """Walk along the whole trail and all seals; exit status 1 when it is broken.

    Without --head it cannot be told whether the end was cut off, or the whole chain made anew:
    keep the head that this command prints somewhere else, and give it to the next run.
    """
    shown = not as_json and sys.stderr.isatty()
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    bar = Progress(*columns, console=error_console, transient=True) if shown else None
    with open_shop(database) as shop, bar or nullcontext():
        task = bar.add_task("Lines", total=None) if bar else None

        def told(done: int, total: int) -> None:
            if bar is not None and task is not None:
                bar.update(task, completed=done, total=total)

        found = shop.audit.verify(head=head, seal=not no_seal, progress=told)
    _print_verification(found, as_json=as_json)
    if found.broken is not None:
        ctx.exit(EXIT_CHECK_FAILED)


@audit.command()
@database_option
@json_option
def head(database: str, as_json: bool) -> None:
    """Print the last line's number and hash: write them down, or store them elsewhere."""
    with open_shop(database) as shop:
        last = shop.audit.head()
    if as_json:
        print_json({"number": last.number, "sha256": last.sha256.hex(), "head": str(last)})
    else:
        click.echo(str(last))


@audit.command(name="list")
@click.option("--actor", help="Only what this operator did.")
@click.option("--action", help="Only this act; all that begin so when it ends with a dot.")
@click.option("--subject", help="Only what was done to this meter, receipt, operator ...")
@click.option("--since", type=_DAY, help="From this day or moment (UTC) on.")
@click.option("--until", type=_DAY, help="Before this day or moment (UTC).")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@database_option
@json_option
def list_(
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    database: str,
    as_json: bool,
) -> None:
    """Show who did what, when, from where and why."""
    with open_shop(database) as shop:
        found = list(
            shop.audit.lines(
                actor=actor,
                action=action,
                subject=subject,
                since=_utc(since),
                until=_utc(until),
                limit=limit,
            )
        )
    if as_json:
        print_json([_object(line) for line in found])
        return
    for line in found:
        said = [line.action, line.subject, line.detail, line.reason and f"because: {line.reason}"]
        who = line.actor or "(nobody signed in)"
        when = line.at.strftime("%Y-%m-%d %H:%M:%S")
        words = " ".join(word for word in said if word)
        click.echo(f"{line.number:>6}  {when}Z  {who}  {words}  [{line.from_where}]")


@audit.command()
@click.option("--since", type=_DAY, help="From this day or moment (UTC) on.")
@click.option("--until", type=_DAY, help="Before this day or moment (UTC).")
@database_option
def export(since: datetime | None, until: datetime | None, database: str) -> None:
    """Print all lines as JSON, one on each line, hashes too."""
    with open_shop(database) as shop:
        for line in shop.audit.lines(since=_utc(since), until=_utc(until)):
            print_json(_object(line))


@audit.command()
@database_option
@json_option
def seal(database: str, as_json: bool) -> None:
    """Hold fast what was sold since the last seal."""
    with open_shop(database) as shop:
        made = shop.audit.seal()
    rows = {} if made is None else {name: part.rows for name, part in made.tables.items()}
    if as_json:
        print_json({"sealed": rows})
    elif made is None:
        console.print("Nothing was sold since the last seal.")
    else:
        console.print(f"Sealed: {rows['receipts']} receipts and what belongs to them.")


def _utc(moment: datetime | None) -> datetime | None:
    from datetime import UTC

    return None if moment is None else moment.replace(tzinfo=UTC)


def _print_verification(found: Verification, *, as_json: bool) -> None:
    if as_json:
        broken = found.broken
        print_json(
            {
                "whole": broken is None,
                "lines": found.lines,
                "seals": found.seals,
                "head": str(found.head),
                "broken": broken
                and {"line": broken.number, "kind": broken.kind.value, "message": broken.message},
            }
        )
        return
    if found.broken is None:
        console.print(
            f"The trail is whole: {found.lines} lines, {found.seals} seals.", style="green"
        )
        console.print("Keep this head elsewhere, and give it to the next verification:")
        click.echo(str(found.head))
        return
    console.print(
        f"BROKEN at line {found.broken.number} ({found.broken.kind.value}): {found.broken.message}",
        style="red",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"{found.lines} lines before it are whole.", markup=False)


def _object(line: AuditLine) -> dict[str, Any]:
    return {
        "number": line.number,
        "at": line.at.isoformat(),
        "actor": line.actor,
        "action": line.action,
        "subject": line.subject,
        "detail": line.detail,
        "reason": line.reason,
        "from_where": line.from_where,
        "sha256": line.sha256,
    }
