"""The ``meterhouse`` command: parse, call, print.  No rules of its own.

Groups live in `commands` and are imported only when they are called, because a clerk's till
should not wait for a database toolkit to show its help.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Final

import click

from commands.output import CliState, Fault, UnexpectedError, print_json, report_fault

_COMMANDS: Final = {
    "account": ("commands.account:account", "Accounts: apply, check, sign, show, change, close."),
    "alarm": ("commands.alarm:alarm", "Alarms: list, acknowledge, close; who is told next."),
    "api-key": ("commands.people:api_key", "API keys of kiosks: add, list, revoke."),
    "approval": ("commands.approval:approval", "Acts that take two people: ask, approve."),
    "audit": ("commands.audit:audit", "The audit trail: verify, list, export, seal."),
    "backup": ("commands.backup:backup", "The whole database in one file, while it is at work."),
    "bank": ("commands.bank:bank", "Bank statements: import, review, vend."),
    "batch": ("commands.shift:batch", "Sales and bank batches, deposit slips."),
    "bill": ("commands.bill:bill", "Bills: run, show, print, send, withdraw; late fees."),
    "campaign": ("commands.campaign:campaign", "Key changes of whole supply groups: run, export."),
    "channel": ("commands.channel:channel", "Payment channels: set up, test, listen, reconcile."),
    "clock": ("commands.shop_clock:clock", "The shop's clock: is it far ahead, accept it."),
    "collect": ("commands.collect:collect", "Arrears: ageing, steps, plans, scores, forecast."),
    "completion": ("commands.completion:completion", "Print shell completion (bash, zsh, fish)."),
    "debt": ("commands.debt:debt", "What customers owe: add, list, write off."),
    "demo": ("commands.demo:demo", "Four homes from payment to light, in under a minute."),
    "device": ("commands.device:device", "Meters on lines: add, import, discover, replace."),
    "emergency": ("commands.emergency:emergency", "Suspend all disconnects, resume them."),
    "finding": ("commands.finding:finding", "Odd values: confirm, dismiss; causes, limits."),
    "frame": ("commands.frame:frame", "DL/T 645 frames: decode, encode, show, watch."),
    "freeze": ("commands.freeze:freeze", "Have meters keep their registers now or regularly."),
    "holiday": ("commands.window:holiday", "Days without disconnects: add, import."),
    "init": ("commands.shop:init", "Make a new shop with test keys and a flat price."),
    "items": ("commands.items:items", "Find items of DL/T 645 by name or identifier."),
    "key": ("commands.key:key", "Vending keys: the vault, supply groups, imports."),
    "link": ("commands.link:link", "Lines to meters: add, list; the doctor finds faults."),
    "meter": ("commands.meter:meter", "Meters: add, list, show, block."),
    "notice": ("commands.notice:notice", "Messages to people: outbox, channels, call-backs."),
    "office": ("commands.office_group:office", "The office at work; keys for personal fields."),
    "operator": ("commands.people:operator", "Who may sign in, and with which roles."),
    "order": ("commands.order:order", "Orders to meters: relay, token, clock; list, approve."),
    "payment": ("commands.payment:payment", "Payments to accounts: take, import, assign, undo."),
    "place": ("commands.place:place", "The network: substations, feeders, transformer areas."),
    "plan": ("commands.plan:plan", "Reading plans, reading days, lists of meters."),
    "prepaid": ("commands.prepaid:prepaid", "Accounts paid ahead: days left, disconnects."),
    "price": ("commands.shop:price", "The price of a kWh: show, set."),
    "profile": ("commands.profile:profile", "Modbus meters: which are known, and their items."),
    "protect": ("commands.protect:protect", "Keep-power orders: whom not to disconnect."),
    "rate": ("commands.rate:rate", "What used energy costs: add, approve, check, price, plot."),
    "read": ("commands.read:read", "Read items of a meter over a link."),
    "readings": ("commands.readings:readings", "What meters said: show, plot, correct, settle."),
    "refund": ("commands.refund:refund", "Refunds and corrections: ask, approve, pay."),
    "relay": ("commands.relay:relay", "Trip, allow close, close, alarm, protect; read back."),
    "report": ("commands.report:report", "Sales, losses, read success, alarms; what is unknown."),
    "serve": ("commands.serve:serve", "The head-end at work: read, command, watch meters."),
    "restore": ("commands.backup:restore", "Bring a backup back into an empty database."),
    "round": ("commands.round:round_", "Rounds of readings: show, watch, chase; read now."),
    "settle": ("commands.settle:settle", "Settle readings; review, correct, report, explain."),
    "shift": ("commands.shift:shift", "Drawers: open, count, close, reprint."),
    "sign-in": ("commands.sign_in:sign_in", "Sign in at this till for some hours."),
    "sign-out": ("commands.sign_in:sign_out", "End the session of this till."),
    "sim": ("commands.sim:sim", "Simulated meters: one keypad, or streets of them."),
    "store": ("commands.store:store", "What is kept: status, packing, archive, retention."),
    "sts": ("commands.sts:sts", "Token engine on JSON lines: encode, decode, keys."),
    "tariff": ("commands.tariff:tariff", "How money becomes units: add, list, assign, try."),
    "terminal": ("commands.vendor:terminal", "Terminals: add, list, assign."),
    "till": ("commands.till:till", "A till: sell, one hand on the numeric keypad."),
    "time": ("commands.clock:clock", "A meter's clock: show it, set it, tell all the time."),
    "top": ("commands.top:top", "The head-end at a glance, live: links, queue, rounds, alarms."),
    "token": ("commands.token:token", "Tokens for people: explain one; load one into a meter."),
    "upgrade": ("commands.shop:upgrade", "Bring a shop's database to this version."),
    "vend": ("commands.vend:vend", "Sell a token; alone: the till; look up, repeat, reprint."),
    "vendor": ("commands.vendor:vendor", "Vendors: credit, commission, statement."),
    "voucher": ("commands.voucher:voucher", "Vouchers: make, print, activate, block, redeem."),
    "window": ("commands.window:window", "Hours in which supply may be cut."),
    "write": ("commands.write:write", "Write an item of a meter, and read it back."),
}
"""Name → (where it lives, its line in the help)."""

_SECTIONS: Final = {
    "At the counter": "vend till shift batch voucher terminal vendor bank report",
    "What is sold, to whom": "init price tariff debt meter campaign",
    "Office": "account office rate bill notice settle collect prepaid payment refund channel",
    "Head-end: what there is": "link device place plan store readings round",
    "Head-end: at work": "serve top order protect window holiday emergency alarm finding",
    "One meter, one line": "read write relay time freeze token items profile frame",
    "Keys, people, trail": "key operator api-key sign-in sign-out approval audit clock",
    "The database": "upgrade backup restore",
    "Try and learn": "demo sim sts completion",
}
"""The help's sections, each with its commands in the order of their use."""


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, _COMMANDS[name][1]) for name in names.split()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("meterhouse"), "-V", "--version", prog_name="meterhouse")
def cli() -> None:
    """Smart-meter head-end and prepayment token vending.

    Every command explains itself with --help; those that answer a program take --json.
    Exit status: 0 done, 1 a check failed, 2 wrong usage, 3 refused by a rule or a wrong
    value (an order: not done), 4 wrong request, 5 the installation is at fault, 6 outcome
    unknown, 7 the meter or its line is at fault (silent, broken, garbled), 130 interrupted.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    state = CliState()
    words = sys.argv[1:] if args is None else args
    try:
        status = _run(words, state)
        sys.stdout.flush()
    except click.ClickException as fault:
        if "--json" in words:
            print_json({"error": {"code": "usage", "message": fault.format_message()}})
        else:
            fault.show()
        status = fault.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        status = 130
    except Exception as fault:  # noqa: BLE001 - the last resort: no traceback for a clerk
        # The rooms may not share a root class; what their faults share is a stable code.
        known = fault if isinstance(fault, Fault) else UnexpectedError.of(fault)
        status = _report(known, as_json=state.as_json)
    sys.exit(status)


def _run(words: Sequence[str], state: CliState) -> int:
    try:
        status = cli.main(args=words, prog_name="meterhouse", standalone_mode=False, obj=state)
    except SystemExit as done:  # a command that has a status of its own
        status = done.code
    return status if isinstance(status, int) else 0


def _report(fault: Fault, *, as_json: bool) -> int:
    try:
        status = report_fault(fault, as_json=as_json)
        sys.stdout.flush()
    except OSError:  # nobody can read it there: say it where it can be read, once
        status = report_fault(fault, as_json=False)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return status


if __name__ == "__main__":
    main()
