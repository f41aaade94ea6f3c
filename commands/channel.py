"""``meterhouse channel``: by which ways money comes in, and whether they work."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option, operator_option
from commands.listening import host_option, listen_until_told
from commands.office import open_office
from commands.output import EXIT_CHECK_FAILED, console, error_console, json_option, print_json

if TYPE_CHECKING:
    from billing.office import Office
    from billing.payments.channels import Channel
    from billing.payments.health import Health
    from billing.payments.reconciling import Difference, Reconciliation
    from billing.payments.web_hook.receiving import Hook

_ADAPTERS: Final = ("counter", "file", "web_hook", "voucher")
_STYLES: Final = {"up": "green", "down": "red", "stale": "yellow"}
_SMS_BYTES_MAX: Final = 1_000
_words = click.option("--words", required=True, help="What you have found, or done about it.")
_recon = click.argument("reconciliation", type=int)
_position = click.argument("position", type=int)


@click.group()
def channel() -> None:
    """Payment channels: set up, test, watch, listen, reconcile."""


@channel.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List the channels and how they stand."""
    _show_health(database, as_json=as_json)


@channel.command()
@database_option
@json_option
@click.pass_context
def health(ctx: click.Context, database: str, as_json: bool) -> None:
    """As `list`; exit status 1 when a channel is down or stale, for whoever watches."""
    if any(each.state in ("down", "stale") for each in _show_health(database, as_json=as_json)):
        ctx.exit(EXIT_CHECK_FAILED)


@channel.command()
@click.argument("name")
@click.argument("adapter", type=click.Choice(_ADAPTERS))
@click.option("--title", required=True, help="As customers know it.")
@click.option("--stale-hours", type=int, help="Alarm when nothing came for so long.")
@operator_option
@database_option
@json_option
def add(
    name: str,
    adapter: str,
    title: str,
    stale_hours: int | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Add the channel NAME, whose payments come by ADAPTER."""
    from billing.payments.channel_desk import ChannelDesk
    from billing.payments.channels import Adapter

    with open_office(database, operator) as office:
        found = ChannelDesk(office).add(name, title, Adapter(adapter), stale_h=stale_hours)
    _answer(found, f"Channel {name} is there. Next: meterhouse channel set {name}", as_json=as_json)


@channel.command(name="set")
@click.argument("name")
@click.option("--title", help="As customers know it.")
@click.option("--stale-hours", type=int, help="Alarm when nothing came for so long; 0: never.")
@click.option("--open/--close", "is_open", default=None, help="Whether it takes money.")
@click.option("--scheme", type=click.Choice(["hmac-sha256", "rsa-sha256"]), help="How it signs.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="File of the shared secret (chmod 600), or of the provider's public key (PEM).",
)
@click.option("--statement", type=click.Choice(["camt", "csv"]), help="Its statement files.")
@click.option("--mapping", help="Of CSV files: generic, ... or a TOML file of your own.")
@click.option("--account", help="Our number in CSV files that do not say it.")
@click.option(
    "--setting",
    "others",
    multiple=True,
    metavar="NAME=JSON",
    help='Any other: success=\'"OK"\', names=\'{"reference": "trade_no"}\'; null takes it away.',
)
@operator_option
@database_option
@json_option
def set_(
    name: str,
    title: str | None,
    stale_hours: int | None,
    is_open: bool | None,
    scheme: str | None,
    key_file: Path | None,
    statement: str | None,
    mapping: str | None,
    account: str | None,
    others: tuple[str, ...],
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Change the channel NAME; what is not given stays.

    Secrets stay in their files: only the files' names are kept.
    """
    from billing.payments.channel_desk import ChannelDesk

    settings: dict[str, Any] = dict(_setting(each) for each in others)
    if scheme is not None:
        settings["scheme"] = scheme
    if key_file is not None:
        settings["key_file"] = str(key_file.absolute())
    if statement is not None:
        if mapping is not None and Path(mapping).is_file():
            mapping = str(Path(mapping).absolute())
        kept = {"format": statement, "mapping": mapping, "account": account}
        settings["statement"] = {key: each for key, each in kept.items() if each is not None}
    elif mapping is not None or account is not None:
        raise click.UsageError("--mapping and --account go with --statement csv.")
    with open_office(database, operator) as office:
        found = ChannelDesk(office).change(
            name, title=title, stale_h=stale_hours, is_open=is_open, settings=settings
        )
    _answer(
        found, f"Channel {name} is changed. Try it: meterhouse channel test {name}", as_json=as_json
    )


@channel.command()
@click.argument("name")
@database_option
@json_option
@click.pass_context
def test(ctx: click.Context, name: str, database: str, as_json: bool) -> None:
    """Try the channel NAME as far as nothing moves; exit status 1 when it does not work."""
    from billing.payments.channel_desk import ChannelDesk

    with open_office(database) as office:
        found = ChannelDesk(office).test(name)
    if as_json:
        print_json({"channel": name, "up": found.is_up, "code": found.code, "words": found.words})
    else:
        console.print(
            f"{name} {'works' if found.is_up else 'does not work'}. {found.words}", soft_wrap=True
        )
    if not found.is_up:
        ctx.exit(EXIT_CHECK_FAILED)


@channel.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@host_option
@click.option("--port", type=click.IntRange(0, 65_535), default=8470, show_default=True)
@database_option
def listen(names: tuple[str, ...], host: str, port: int, database: str) -> None:
    """Take what providers post, signed, until Ctrl-C or SIGTERM.

    Without NAMEs: for every channel of messages that has a key. A provider posts to /NAME, by way
    of your reverse proxy, which does TLS; /health answers whoever watches.
    """
    from billing.payments.web_hook.receiving import Receiver

    with open_office(database) as office:
        receiver = Receiver(office, _hooks(office, names))
        asyncio.run(listen_until_told(receiver.receive, receiver.hooks, host, port))
        error_console.print(
            f"{receiver.taken} payments taken, {receiver.refused} messages refused."
        )


@channel.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@operator_option
@database_option
@json_option
@click.pass_context
def reconcile(
    ctx: click.Context, name: str, file: Path, operator: str, database: str, as_json: bool
) -> None:
    """Hold the statement FILE of the channel NAME against its payments.

    Exit status 1 while a difference is open.
    """
    from billing.payments.reconciling import ReconciliationDesk

    with open_office(database, operator) as office:
        desk = ReconciliationDesk(office)
        made = desk.reconcile(name, file.read_bytes(), file_name=file.name)
        _show_reconciliation(office, *desk.show(made.reconciliation_id), as_json=as_json)
    if made.open_differences:
        ctx.exit(EXIT_CHECK_FAILED)


@channel.command()
@click.argument("reconciliation", type=int, required=False)
@click.option("--channel", "name", help="Of one channel.")
@database_option
@json_option
def reconciled(reconciliation: int | None, name: str | None, database: str, as_json: bool) -> None:
    """List reconciliations, or show one with its differences."""
    from billing.payments.reconciling import ReconciliationDesk

    with open_office(database) as office:
        desk = ReconciliationDesk(office)
        if reconciliation is not None:
            _show_reconciliation(office, *desk.show(reconciliation), as_json=as_json)
            return
        found = desk.list(channel=name)
    if as_json:
        print_json([_reconciliation_object(each) for each in found])
        return
    table = Table("Number", "Channel", "Days", box=None, pad_edge=False)
    for heading in ("Lines", "Matched", "Differ", "Open"):
        table.add_column(heading, justify="right")
    table.add_column("State")
    for each in found:
        counts = (each.lines, each.matched, each.differences, each.open_differences)
        table.add_row(
            str(each.reconciliation_id),
            each.channel,
            f"{each.first_day} to {each.last_day}",
            *(str(count) for count in counts),
            each.state,
        )
    console.print(table)


@channel.command(name="take-missing")
@_recon
@_position
@click.option("--number", default="", help="Of the account or meter, when none is named there.")
@_words
@operator_option
@database_option
@json_option
def take_missing(
    reconciliation: int,
    position: int,
    number: str,
    words: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Take the payment that is missing here, after you have looked into it."""
    from billing.payments.reconciling import ReconciliationDesk

    with open_office(database, operator) as office:
        payment_id = ReconciliationDesk(office).take(reconciliation, position, words, number=number)
    if as_json:
        print_json({"payment": payment_id})
    else:
        console.print(f"It is payment {payment_id}.")


@channel.command()
@_recon
@_position
@_words
@operator_option
@database_option
def settle(reconciliation: int, position: int, words: str, operator: str, database: str) -> None:
    """Say what was done about a difference."""
    from billing.payments.reconciling import ReconciliationDesk

    with open_office(database, operator) as office:
        ReconciliationDesk(office).settle(reconciliation, position, words)
    console.print(f"Difference {position} is settled.")


@channel.command()
@_recon
@operator_option
@database_option
@json_option
def review(reconciliation: int, operator: str, database: str, as_json: bool) -> None:
    """Close a reconciliation whose differences are all decided."""
    from billing.payments.reconciling import ReconciliationDesk

    with open_office(database, operator) as office:
        found = ReconciliationDesk(office).review(reconciliation)
    if as_json:
        print_json(_reconciliation_object(found))
    else:
        console.print(f"Reconciliation {reconciliation} is reviewed.")


@channel.command()
@click.argument("sender")
@database_option
@json_option
def sms(sender: str, database: str, as_json: bool) -> None:
    """Answer a customer's text message from the number SENDER; the text is on standard input.

    For a gateway of text messages: HELP, BAL, PAY, TOK, USE, DUE, TOP (docs/payments.md).
    """
    from billing.payments.sms import answer
    from billing.person import Right

    text = sys.stdin.read(_SMS_BYTES_MAX)
    with open_office(database) as office:
        office.require(Right.SERVE)  # whoever passes it on is believed who the sender is
        said = answer(office, sender, text)
    if as_json:
        print_json({"answer": said})
    else:
        console.print(said, soft_wrap=True)


def _hooks(office: Office, names: tuple[str, ...]) -> dict[str, Hook]:
    from billing.payments.channel_desk import ChannelDesk
    from billing.payments.channels import Adapter
    from billing.payments.faults import ChannelSettingsError
    from billing.payments.web_hook.receiving import Hook
    from billing.person import Right

    office.require(Right.SERVE)
    desk = ChannelDesk(office)
    wanted = [desk.channel(name) for name in names] or [
        each.channel
        for each in desk.health()
        if each.channel.adapter is Adapter.WEB_HOOK and "scheme" in each.channel.settings
    ]
    if not wanted:
        raise ChannelSettingsError(
            "No channel has a key yet: meterhouse channel set alipay --scheme hmac-sha256 "
            "--key-file FILE"
        )
    return {each.name: Hook.of(each) for each in wanted}


def _show_health(database: str, *, as_json: bool) -> list[Health]:
    from billing.payments.channel_desk import ChannelDesk

    with open_office(database) as office:
        found = ChannelDesk(office).health()
        zone = office.zone
    if as_json:
        print_json([_health_object(each) for each in found])
        return found
    table = Table("Channel", "By", "State", "Last payment", box=None, pad_edge=False)
    table.add_column("Today", justify="right")
    table.add_column("Last failure")
    for each in found:
        last = each.last_payment_at
        table.add_row(
            each.channel.name,
            each.channel.adapter.value,
            Text(each.state, style=_STYLES.get(each.state, "")),
            last.astimezone(zone).strftime("%Y-%m-%d %H:%M") if last else "-",
            str(each.payments_today),
            Text(each.last_failure if each.state == "down" else ""),
        )
    console.print(table)
    return found


def _health_object(each: Health) -> dict[str, Any]:
    def at(moment: Any) -> str | None:
        return None if moment is None else str(moment.isoformat())

    return {
        **_channel_object(each.channel),
        "state": each.state,
        "last_payment_at": at(each.last_payment_at),
        "payments_today": each.payments_today,
        "last_test_at": at(each.last_test_at),
        "last_failure_at": at(each.last_failure_at),
        "last_failure": each.last_failure,
        "stale": each.is_stale,
    }


def _channel_object(found: Channel) -> dict[str, Any]:
    return {
        "channel": found.name,
        "title": found.title,
        "adapter": found.adapter.value,
        "open": found.is_open,
        "stale_hours": found.stale_h,
        "settings": dict(found.settings),
    }


def _answer(found: Channel, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_channel_object(found))
    else:
        console.print(sentence, soft_wrap=True)


def _setting(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    try:
        if mark:
            return name, json.loads(value)
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not NAME=JSON.", param_hint="--setting")


def _show_reconciliation(
    office: Office, made: Reconciliation, found: Any, *, as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                **_reconciliation_object(made),
                "details": [_difference_object(each) for each in found],
            }
        )
        return
    money = office.currency
    console.print(
        f"Reconciliation {made.reconciliation_id} of {made.channel}, {made.first_day} to "
        f"{made.last_day}: {made.matched} of {made.lines} lines match "
        f"({money.code} {money.text(made.matched_minor)}), {made.bad_lines} could not be read; "
        f"{made.open_differences} of {made.differences} differences are open.",
        soft_wrap=True,
    )
    if not found:
        return
    table = Table("No", "What", "Reference", "Day", box=None, pad_edge=False)
    table.add_column("Theirs", justify="right")
    table.add_column("Ours", justify="right")
    for heading in ("Account", "State", "Words"):
        table.add_column(heading)
    for each in found:
        sides = (each.theirs_minor, each.ours_minor)
        table.add_row(
            str(each.position),
            each.kind.replace("_", " "),
            Text(each.reference),
            str(each.day),
            *("-" if side is None else money.text(side) for side in sides),
            Text(each.given),
            each.state,
            Text(each.words),
        )
    console.print(table)


def _reconciliation_object(each: Reconciliation) -> dict[str, Any]:
    return {
        "reconciliation": each.reconciliation_id,
        "channel": each.channel,
        "first_day": each.first_day.isoformat(),
        "last_day": each.last_day.isoformat(),
        "lines": each.lines,
        "bad_lines": each.bad_lines,
        "matched": each.matched,
        "matched_minor": each.matched_minor,
        "differences": each.differences,
        "open_differences": each.open_differences,
        "state": each.state,
    }


def _difference_object(each: Difference) -> dict[str, Any]:
    return {
        "position": each.position,
        "kind": each.kind,
        "reference": each.reference,
        "day": each.day.isoformat(),
        "theirs_minor": each.theirs_minor,
        "ours_minor": each.ours_minor,
        "account": each.given,
        "payment": each.payment_id,
        "state": each.state,
        "words": each.words,
    }
