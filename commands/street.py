"""``meterhouse sim street``: many simulated meters behind ports, for everything that reads them."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from commands.output import console, json_option, print_json
from simulators.faults import FaultPlan
from simulators.street import Street, build_street
from simulators.street_plan import BusPlan, StreetPlan, read_street

_PROTOCOLS: Final = {
    "2007": ("dlt645-2007",),
    "1997": ("dlt645-1997",),
    "modbus": ("modbus-tcp",),
    "modbus-rtu": ("modbus-rtu",),
    "mixed": ("dlt645-2007", "dlt645-1997", "modbus-tcp", "modbus-rtu"),
}
_PER_BUS_MAX: Final = 247
_METERS_MAX: Final = 100_000
_PORT_MAX: Final = 65_535
_PER_MILLE: Final = 1000
_MODBUS: Final = "modbus+"


class _FaultsParameter(click.ParamType[dict[str, int]]):
    """``seed=7,silence=1%,late=0.5%``: shares of all requests."""

    name = "faults"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int]:
        if isinstance(value, dict):
            return value
        table: dict[str, int] = {}
        for part in str(value).split(","):
            name, _, text = part.strip().partition("=")
            if not name or name in table:
                self.fail(f"{part!r}: write seed=7,silence=1%,late=0.5%.", param, ctx)
            table[name] = self._number(name, text, param, ctx)
        return table

    def _number(
        self, name: str, text: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """A seed as it stands, a share in per mille."""
        try:
            if name == "seed":
                return int(text)
            per_mille = float(text.removesuffix("%")) * (_PER_MILLE / 100)
        except ValueError:
            self.fail(f"{name}={text}: a share is written 1% or 0.5%.", param, ctx)
        if not text.endswith("%") or not 0 <= per_mille <= _PER_MILLE or per_mille % 1:
            self.fail(f"{name}={text}: a share is 0.1% to 100%, in steps of 0.1%.", param, ctx)
        return int(per_mille)


@click.command()
@click.argument(
    "plan", required=False, metavar="[FILE]", type=click.Path(path_type=Path, dir_okay=False)
)
@click.option("--meters", type=click.IntRange(1, _METERS_MAX), default=32, show_default=True)
@click.option(
    "--per-bus", type=click.IntRange(1, _PER_BUS_MAX), default=32, show_default=True,
    help="Meters behind one port.",
)  # fmt: skip
@click.option(
    "--protocol", type=click.Choice(list(_PROTOCOLS)), default="2007", show_default=True,
    help="What the buses speak; mixed: one after the other.",
)  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, _PORT_MAX), default=6450, show_default=True,
    help="First TCP port, the next bus has the next one; 0 takes free ones.",
)  # fmt: skip
@click.option("--pty", is_flag=True, help="Pseudo-terminals instead of TCP ports.")
@click.option(
    "--kind", type=click.Choice(["keypad", "money"]), default="keypad", show_default=True,
    help="Meters that take STS tokens, or with local prepayment in money.",
)  # fmt: skip
@click.option("--phases", type=click.Choice(["1", "3"]), default="1", show_default=True)
@click.option("--baud", type=int, help="Answers take their time, as at this speed.")
@click.option(
    "--faults", type=_FaultsParameter(), metavar="SPEC",
    help="What goes wrong, and how often: seed=7,silence=1%,late=0.5%. Faults: silence, late, "
    "bit_error, noise, echo, cut, wrong_address, lost_answer, denied, fe_storm, disconnect.",
)  # fmt: skip
@click.option("--speed", type=click.IntRange(1, 86_400), help="The meters' time runs so fast.")
@click.option("--seed", type=int, help="Of homes and of everything that looks like chance.")
@click.option(
    "--every", type=click.IntRange(1), default=60, show_default=True, metavar="SECONDS",
    help="Without a terminal: print the counters so often.",
)  # fmt: skip
@json_option
@click.pass_context
def street(
    ctx: click.Context,
    /,
    plan: Path | None,
    speed: int | None,
    seed: int | None,
    every: int,
    as_json: bool,
    **options: Any,
) -> None:
    """A street of simulated meters behind TCP ports or pseudo-terminals.

    FILE describes the street (TOML or JSON, see simulators/street_plan.py): several kinds of
    buses, modems that dial out, dead meters, ratings. Without FILE the options do.

    \b
    meterhouse sim street --meters 200 --protocol mixed --faults seed=7,silence=1%
    meterhouse read tcp://127.0.0.1:6450 --address

    Keypad meters hold keys of the public test key: a shop made by `meterhouse init` sells their
    tokens. Passwords are 000000. Ctrl-C ends it.
    """
    if plan is not None:
        given = [
            name for name in options
            if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        ]  # fmt: skip
        if given:
            raise click.UsageError(f"FILE says everything: leave --{given[0].replace('_', '-')}.")
        description = read_street(plan)
    else:
        description = StreetPlan(buses=tuple(_buses(seed=seed or 0, **options)))
    if speed is not None:
        description = replace(description, speed=speed)
    if seed is not None:
        description = replace(description, seed=seed)
    asyncio.run(_run(description, every, as_json=as_json))


def _buses(
    *,
    meters: int,
    per_bus: int,
    protocol: str,
    host: str,
    port: int,
    pty: bool,
    kind: str,
    phases: str,
    baud: int | None,
    faults: dict[str, int] | None,
    seed: int,
) -> Iterator[BusPlan]:
    """The buses that the options ask for."""
    sizes = [min(per_bus, meters - at) for at in range(0, meters, per_bus)]
    if port and port + len(sizes) - 1 > _PORT_MAX and not pty:
        raise click.UsageError(f"{len(sizes)} ports from {port} on run past {_PORT_MAX}.")
    plan = None if faults is None else FaultPlan.from_table(faults, seed)
    speaks = islice(cycle(_PROTOCOLS[protocol]), len(sizes))
    for number, (size, each) in enumerate(zip(sizes, speaks, strict=True)):
        yield BusPlan(
            name=f"bus-{number + 1}",
            protocol=each.replace("-tcp", "-rtu") if pty else each,
            meters=size,
            first=1 if number == 0 else None,
            kind=kind,
            phases=int(phases),
            listen=None if pty else f"{_bracketed(host)}:{port + number if port else 0}",
            pty=pty,
            baud=baud,
            faults=plan,
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _run(plan: StreetPlan, every: int, *, as_json: bool) -> None:
    built = build_street(plan)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    try:
        await built.start()
    except OSError as fault:
        raise click.ClickException(f"A port cannot be opened: {fault}.") from None
    try:
        _show_ports(built, as_json=as_json)
        if console.is_terminal and not as_json:
            await _count_live(built, over)
        else:
            await _count(built, over, every, as_json=as_json)
    finally:
        await built.stop()
    if not as_json:
        console.print(f"{len(built.meters)} meters are gone. {_counters(built)}", soft_wrap=True)


# --- what is where -------------------------------------------------------------------------


def _show_ports(built: Street, *, as_json: bool) -> None:
    """Ports and meters, once all are open: whoever starts a street waits for this."""
    buses = {bus.name: bus for bus in built.buses}
    rows = [(named.name, named.url, buses[named.name].wire.meters) for named in built.ports]
    if as_json:
        ports = [
            {"bus": name, "link": url, "meters": [meter.address for meter in meters]}
            | ({"units": [1, len(meters)]} if url.startswith(_MODBUS) else {})
            for name, url, meters in rows
        ]
        print_json({"meters": len(built.meters), "ports": ports})
    else:
        table = Table()
        table.add_column("bus", no_wrap=True)
        table.add_column("link", no_wrap=True)
        table.add_column("meters", justify="right")
        for column in ("first", "last", "units"):
            table.add_column(column, no_wrap=True)
        for name, url, meters in rows:
            units = f"1-{len(meters)}" if url.startswith(_MODBUS) else ""
            first, last = meters[0].address, meters[-1].address
            table.add_row(name, url, str(len(meters)), first, last, units)
        console.print(table)
        console.print(f"{len(built.meters)} meters. Ctrl-C ends it.")
    sys.stdout.flush()


# --- what goes on --------------------------------------------------------------------------


async def _count(built: Street, over: asyncio.Event, every: int, *, as_json: bool) -> None:
    """A line of counters now and then, if there is news."""
    before = -1
    while not over.is_set():
        try:
            async with asyncio.timeout(every):
                await over.wait()
        except TimeoutError:
            pass
        counted = _counted(built)
        if as_json and (over.is_set() or counted["requests"] != before):
            print_json(counted)
        elif not over.is_set() and counted["requests"] != before:
            console.print(_counters(built), soft_wrap=True)
        before = counted["requests"]
        sys.stdout.flush()


async def _count_live(built: Street, over: asyncio.Event) -> None:
    """The counters as they go, with their rate."""
    before = 0
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not over.is_set():
            requests = _counted(built)["requests"]
            line = Text(f"{built.clock.now():%Y-%m-%d %H:%M:%S}Z  ", "dim")
            live.update(line.append(f"{_counters(built)}  {requests - before}/s", "default"))
            live.refresh()
            before = requests
            try:
                async with asyncio.timeout(1):
                    await over.wait()
            except TimeoutError:
                continue


def _counted(built: Street) -> dict[str, Any]:
    requests = answers = 0
    faults: Counter[str] = Counter()
    for bus in built.buses:
        requests += bus.tally.requests
        answers += bus.tally.answers
        for fault, times in bus.tally.faults.items():
            faults[fault.value] += times
    return {"requests": requests, "answers": answers, "faults": dict(faults)}


def _counters(built: Street) -> str:
    counted = _counted(built)
    faults = ", ".join(f"{name} {times}" for name, times in sorted(counted["faults"].items()))
    text = f"{counted['requests']} requests, {counted['answers']} answers"
    return f"{text}, faults: {faults or 'none'}"
