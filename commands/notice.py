"""``meterhouse notice``: messages to people, and whom a person is to call."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.notice_listen import listen
from commands.office import open_office
from commands.output import EXIT_OUTCOME_UNKNOWN, console, counting, json_option, print_json

if TYPE_CHECKING:
    from billing.notices.calling import Callback
    from billing.notices.desk import ChannelHealth, Message

_STYLE: Final = {"failed": "red", "unknown": "bold yellow", "delivered": "green", "queued": "dim"}


@click.group()
def notice() -> None:
    """Messages to customers and staff: the outbox, channels, texts, call-backs."""


@notice.command(name="list")
@click.option(
    "--state",
    type=click.Choice(["queued", "sending", "sent", "delivered", "failed", "unknown"]),
    help="Only these.",
)
@click.option("--account", metavar="NUMBER", help="Only to the people of this account.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@database_option
@json_option
def list_(state: str | None, account: str | None, limit: int, database: str, as_json: bool) -> None:
    """Show messages, the newest first; addresses are masked."""
    from billing.notices.desk import NoticeDesk

    with open_office(database) as office:
        found = NoticeDesk(office).list(state=state, account=account, limit=limit)
        zone = office.zone
    if as_json:
        print_json([_message_object(each) for each in found])
        return
    if not found:
        console.print("No messages.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("no", "asked", "event", "account", "by", "to", "state", "tries", "next"):
        table.add_column(column, justify="right" if column in ("no", "tries") else "left")
    for each in found:
        table.add_row(
            str(each.message_id),
            _when(each.asked_at, zone),
            each.event,
            each.account or "",
            each.channel,
            Text(each.address),
            Text(each.state, style=_STYLE.get(each.state, "")),
            str(each.tries),
            "" if each.due_at is None else _when(each.due_at, zone),
        )
    console.print(table)


@notice.command()
@click.argument("number", type=int)
@database_option
@json_option
def show(number: int, database: str, as_json: bool) -> None:
    """Show the message NUMBER with its history."""
    from billing.notices.desk import NoticeDesk

    with open_office(database) as office:
        found, history = NoticeDesk(office).show(number)
        zone = office.zone
    if as_json:
        lines = [
            {"at": each.at.isoformat(), "act": each.act, "actor": each.actor, "words": each.words}
            for each in history
        ]
        print_json({**_message_object(found), "history": lines})
        return
    whose = f", account {found.account}" if found.account else ""
    console.print(f"Message {found.message_id}: {found.event}{whose}")
    console.print(f"by {found.channel} to {found.address}, in {found.language}: {found.state}")
    for each in history:
        console.print(f"{_when(each.at, zone)}  {each.act:<10} {each.actor}  {each.words}")


@notice.command()
@click.argument("number", type=int)
@click.argument("reason")
@database_option
def retry(number: int, reason: str, database: str) -> None:
    """Send the message NUMBER once more, which has definitely failed. REASON says why."""
    from billing.notices.desk import NoticeDesk

    with open_office(database) as office:
        NoticeDesk(office).retry(number, reason)
    console.print(f"Message {number} is in the queue again.")


@notice.command()
@click.argument("number", type=int)
@click.argument("what", type=click.Choice(["arrived", "not-arrived"]))
@click.argument("reason")
@database_option
def outcome(number: int, what: str, reason: str, database: str) -> None:
    """Say what became of the message NUMBER, whose outcome is unknown. REASON says how you know."""
    from billing.notices.desk import NoticeDesk

    with open_office(database) as office:
        state = NoticeDesk(office).decide(number, arrived=what == "arrived", reason=reason)
    console.print(f"Message {number} is {state}.")


@notice.command()
@click.option("--set", "channel", metavar="CHANNEL", help="Set up email, sms or wechat.")
@click.option("--by", "adapter", metavar="ADAPTER", help="What sends: smtp, file, http, ...")
@click.option("--per-minute", type=click.IntRange(1), default=60, show_default=True)
@click.option("--on", metavar="CHANNEL", help="Switch a channel on again.")
@click.option("--off", metavar="CHANNEL", help="Switch a channel off: nothing is queued for it.")
@click.argument("settings", nargs=-1, metavar="[NAME=VALUE]...")
@database_option
@json_option
def channels(
    channel: str | None,
    adapter: str | None,
    per_minute: int,
    on: str | None,
    off: str | None,
    settings: tuple[str, ...],
    database: str,
    as_json: bool,
) -> None:
    """Show how channels are set up and how they do; set them up.

    \b
    notice channels --set email --by smtp host=mail.power.example user=bills \\
        secret_file=/etc/meterhouse/mail sender=bills@power.example
    notice channels --set sms --by file folder=/var/spool/sms

    Passwords stand in files that their owner alone can read, never in the settings.
    """
    from billing.notices.desk import ChannelDesk

    if (channel is None) != (adapter is None):
        raise click.UsageError("--set CHANNEL and --by ADAPTER go together.")
    if settings and channel is None:
        raise click.UsageError("Say with --set which channel these settings are for.")
    given = dict(_setting(text) for text in settings)
    with open_office(database) as office:
        desk = ChannelDesk(office)
        if channel is not None and adapter is not None:
            desk.set(channel, adapter, given, per_minute=per_minute)
        if on is not None:
            desk.switch(on, on=True)
        if off is not None:
            desk.switch(off, on=False)
        found = desk.list()
        zone = office.zone
    if as_json:
        print_json([_channel_object(each) for each in found])
        return
    if not found:
        console.print("No channel is set up, so nobody is told anything: see --help.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("channel", "by", "on", "a minute", "waiting", "last sent", "last fault"):
        table.add_column(column, overflow="fold")
    for each in found:
        table.add_row(
            each.channel,
            each.adapter,
            "on" if each.enabled else Text("off", style="yellow"),
            str(each.per_minute),
            str(each.waiting),
            "" if each.last_ok_at is None else _when(each.last_ok_at, zone),
            Text(each.last_fault or "", style="red" if each.faults else "dim"),
        )
    console.print(table)


@notice.command()
@click.argument("channel")
@click.option("--to", "address", help="Send a message of trial to this address.")
@database_option
@json_option
def test(channel: str, address: str | None, database: str, as_json: bool) -> None:
    """Look whether CHANNEL could send; with --to, send a message of trial."""
    from billing.notices.desk import ChannelDesk

    with open_office(database) as office:
        desk = ChannelDesk(office)
        if address is None:
            words, fate = desk.check(channel), "ready"
        else:
            tried = desk.try_out(channel, address)
            words, fate = tried.words, tried.fate.value
    if as_json:
        print_json({"channel": channel, "outcome": fate, "words": words})
    else:
        console.print(f"{channel}: {fate}. {words}")
    if fate in ("failed", "again"):
        raise SystemExit(1)
    if fate == "unknown":
        raise SystemExit(EXIT_OUTCOME_UNKNOWN)


@notice.command()
@click.argument("channel")
@click.argument("event")
@click.argument("hours", required=False)
@database_option
def quiet(channel: str, event: str, hours: str | None, database: str) -> None:
    """Set the HOURS (22:00-07:00, none) in which EVENT (* is all) does not leave by CHANNEL.

    Without HOURS those of the rules hold again.
    """
    from billing.notices.desk import ChannelDesk

    with open_office(database) as office:
        ChannelDesk(office).set_quiet(channel, event, "" if hours == "none" else hours)
    console.print(f"{event} by {channel}: {hours or 'as the rules say'}.")


@notice.command()
@click.argument("event")
@click.option("--language", "-l", multiple=True, help="In this language; many times: in each.")
@database_option
@json_option
def preview(event: str, language: tuple[str, ...], database: str, as_json: bool) -> None:
    """Show how EVENT reads, with figures of an example; without --language in every one."""
    from billing.notices.desk import NoticeDesk
    from billing.notices.parts import sms_size
    from billing.notices.wording import codes

    with open_office(database) as office:
        desk = NoticeDesk(office)
        found = {code: desk.preview(event, code) for code in language or codes()}
    if as_json:
        print_json(
            [
                {
                    "language": code,
                    "subject": told.subject,
                    "letter": told.letter,
                    "chat": told.chat,
                    "sms": told.sms,
                    "sms_parts": sms_size(told.sms).parts,
                }
                for code, told in found.items()
            ]
        )
        return
    for code, told in found.items():
        size = sms_size(told.sms)
        console.print(f"{code}  {told.subject}", style="bold")
        console.print(told.letter)
        console.print(
            f"SMS, {size.letters} letters {size.alphabet}, {size.parts} part(s):", style="dim"
        )
        console.print(f"{told.sms}\n")


@notice.command()
@click.option("--all", "done", is_flag=True, help="Those that are done, too.")
@click.option("--done", "number", type=int, help="End this one without a correction.")
@click.option("--words", default="", help="What came of the call; kept on the contact record.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@database_option
@json_option
def callbacks(
    done: bool, number: int | None, words: str, limit: int, database: str, as_json: bool
) -> None:
    """Show whom a person is to call, because messages do not reach them."""
    from billing.notices.calling import CallDesk

    with open_office(database) as office:
        desk = CallDesk(office)
        if number is not None:
            desk.done(number, words)
        found = desk.list(done=done, limit=limit)
        zone = office.zone
    if as_json:
        print_json([_callback_object(each) for each in found])
        return
    if not found:
        console.print("Nobody is to be called.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("no", "since", "account", "by", "why", "of", "state"):
        table.add_column(column, justify="right" if column == "no" else "left")
    for each in found:
        table.add_row(
            str(each.callback_id),
            _when(each.opened_at, zone),
            each.account,
            each.channel or "",
            each.why.replace("_", " "),
            each.event,
            each.state if each.outcome is None else f"{each.outcome} ({each.done_by})",
        )
    console.print(table)


@notice.command(name="contact-corrected")
@click.argument("number", type=int)
@click.option("--name")
@click.option("--email")
@click.option("--phone")
@click.option("--wechat")
@click.option(
    "--way",
    type=click.Choice(["phone", "counter", "visit", "letter", "other"]),
    default="phone",
    show_default=True,
    help="How the person was met.",
)
@click.option("--words", default="", help="What was said; kept on the contact record.")
@database_option
@json_option
def contact_corrected(
    number: int, way: str, words: str, database: str, as_json: bool, **details: str | None
) -> None:
    """Ask for the correction that call-back NUMBER brought.

    A second person approves it, as any change of a contact; then what did not arrive is sent to
    the corrected address.
    """
    from billing.notices.calling import CallDesk

    new = {name: value for name, value in details.items() if value is not None}
    with open_office(database) as office:
        change = CallDesk(office).correct(number, new, way=way, words=words)
    if as_json:
        print_json({"callback": number, "change": change})
        return
    console.print(f"Change {change} waits for a second person: meterhouse account approve {change}")


@notice.command()
@click.argument("account")
@click.option("--note", "words", help="Put a contact that you had onto the record.")
@click.option(
    "--way",
    type=click.Choice(["phone", "counter", "visit", "letter", "other"]),
    default="phone",
    show_default=True,
)
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
@database_option
@json_option
def record(
    account: str, words: str | None, way: str, limit: int, database: str, as_json: bool
) -> None:
    """Show every contact with ACCOUNT: messages and their fate, calls, notes."""
    from billing.notices.calling import CallDesk

    with open_office(database) as office:
        desk = CallDesk(office)
        if words is not None:
            desk.note(account, way, words)
        found = desk.record(account, limit=limit)
        zone = office.zone
    if as_json:
        print_json(
            [
                {
                    "at": each.at.isoformat(),
                    "way": each.way,
                    "about": each.about,
                    "act": each.act,
                    "actor": each.actor,
                    "words": each.words,
                    "message": each.message_id,
                }
                for each in found
            ]
        )
        return
    for each in found:
        who = f" ({each.actor})" if each.actor else ""
        console.print(
            f"{_when(each.at, zone)}  {each.way:<8} {each.about}: {each.act}{who} {each.words}"
        )
    if not found:
        console.print("Nothing yet.")


@notice.command()
@click.option("--add", "role", metavar="ROLE", help="Tell somebody: a role of `alarm rules`.")
@click.option("--by", "channel", default="email", show_default=True)
@click.option("--to", "address", help="The address, or telephone.")
@click.option("--language")
@click.option("--remove", type=int, help="Tell this address no more.")
@database_option
@json_option
def staff(
    role: str | None,
    channel: str,
    address: str | None,
    language: str | None,
    remove: int | None,
    database: str,
    as_json: bool,
) -> None:
    """Who of the utility is told of alarms: by role, as `meterhouse alarm rules` names them."""
    from billing.notices.staff import StaffDesk

    if (role is None) != (address is None):
        raise click.UsageError("--add ROLE and --to ADDRESS go together.")
    with open_office(database) as office:
        desk = StaffDesk(office)
        if role is not None and address is not None:
            desk.add(role, channel, address, language)
        if remove is not None:
            desk.remove(remove)
        found = desk.list()
    if as_json:
        print_json(
            [
                {
                    "staff": each.staff_id,
                    "role": each.role,
                    "channel": each.channel,
                    "address": each.address,
                    "language": each.language,
                }
                for each in found
            ]
        )
        return
    for each in found:
        console.print(f"{each.staff_id:>4}  {each.role:<12} {each.channel:<7} {each.address}")
    if not found:
        console.print("Nobody is told of alarms: see --help.")


@notice.command()
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True)
@database_option
@json_option
def send(limit: int, database: str, as_json: bool) -> None:
    """Do now what is due: read answers, send, ask again. `office run` does it all the time."""
    from billing.notices.sweeping import sweep

    with (
        open_office(database) as office,
        counting("Messages", as_json=as_json) as progress,
    ):
        done = sweep(office, limit=limit, progress=progress)
    if as_json:
        print_json({"done": done})
        return
    console.print(f"{done} steps done." if done else "Nothing was due.")


notice.add_command(listen)


def _setting(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark:
        raise click.BadParameter(f"A setting is NAME=VALUE, not {text!r}.")
    return name, value


def _when(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _message_object(each: Message) -> dict[str, Any]:
    return {
        "message": each.message_id,
        "event": each.event,
        "account": each.account,
        "channel": each.channel,
        "address": each.address,
        "language": each.language,
        "state": each.state,
        "asked_at": each.asked_at.isoformat(),
        "due_at": _iso(each.due_at),
        "tries": each.tries,
        "round": each.round,
    }


def _channel_object(each: ChannelHealth) -> dict[str, Any]:
    return {
        "channel": each.channel,
        "adapter": each.adapter,
        "settings": dict(each.settings),
        "enabled": each.enabled,
        "per_minute": each.per_minute,
        "waiting": each.waiting,
        "faults": each.faults,
        "paused_until": _iso(each.paused_until),
        "last_ok_at": _iso(each.last_ok_at),
        "last_fault": each.last_fault,
    }


def _callback_object(each: Callback) -> dict[str, Any]:
    return {
        "callback": each.callback_id,
        "account": each.account,
        "contact": each.contact_id,
        "channel": each.channel,
        "why": each.why,
        "event": each.event,
        "state": each.state,
        "opened_at": each.opened_at.isoformat(),
        "done_by": each.done_by,
        "outcome": each.outcome,
    }
