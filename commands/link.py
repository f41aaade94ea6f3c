"""``meterhouse link``: what is wrong with a line."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import click
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from commands import callers, lines
from commands.output import (
    EXIT_CHECK_FAILED,
    console,
    error_console,
    json_option,
    print_json,
)
from commands.wire.lines import opened_trace, require_dlt645
from commands.wire.options import trace_option
from protocols.dlt645.controls import Edition
from protocols.doctor import Diagnosis, Patience, Setting, Step, Verdict, examine
from protocols.doctor import Progress as Progressed
from protocols.transport.address import LineSettings

_MARKS: Final = {
    Verdict.GOOD: ("ok  ", "green"),
    Verdict.NOTE: ("note", "cyan"),
    Verdict.WARNING: ("warn", "yellow"),
    Verdict.FAULT: ("bad ", "red"),
}


@click.group()
def link() -> None:
    """Lines to meters: add, list, suspend; the doctor."""


for _command in (lines.add, lines.list_, lines.change, lines.suspend, lines.resume, lines.network):
    link.add_command(_command)
link.add_command(callers.callers)


@link.command("doctor")
@click.argument("link")
@click.option(
    "--protocol",
    "editions",
    type=click.Choice(["2007", "1997", "both"]),
    default="both",
    show_default=True,
    help="Which edition of DL/T 645 is asked for.",
)
@click.option(
    "--listen",
    type=click.FloatRange(0, 600),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long silence is listened to first; longer finds a master that asks seldom.",
)
@click.option(
    "--seconds",
    type=click.IntRange(1, 86_400),
    default=240,
    show_default=True,
    help="When all has to be over.",
)
@click.option(
    "--delay-ms",
    type=click.IntRange(20, 60_000),
    help="How long a meter may think before it answers.  [default: 600, a network 1000 more]",
)
@click.option("--search/--no-search", default=True, help="Look for meters that answer at once.")
@trace_option
@json_option
def doctor_command(
    link: str,
    editions: str,
    listen: float,
    seconds: int,
    delay_ms: int | None,
    search: bool,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Find out how to reach the meters on LINK (DL/T 645), or why nobody can.

    Listens first; then asks who is there, at every usual speed and parity, by both editions;
    tells echo, stray bytes, a second master; and finds the numbers of meters that answer at
    once. It changes nothing in any meter.

    \b
    meterhouse link doctor serial:///dev/ttyUSB0
    meterhouse link doctor tcp://10.0.0.7:4001       speed and parity are the gateway's own

    Exit status: 0 a meter was found, 1 none was, 7 the line cannot be opened.
    """
    require_dlt645(link, "The doctor")
    patience = replace(_patience(link), listen_s=listen, total_s=float(seconds))
    if delay_ms is not None:
        patience = replace(patience, answer_s=delay_ms / 1000, way_s=0.0)
    asked = list(Edition)[::-1] if editions == "both" else [Edition(editions)]
    steps: list[Step] = []
    with _Reporter(steps, quiet=as_json) as reporter, opened_trace(trace, link) as keeper:
        found = asyncio.run(
            examine(
                link,
                reporter.tell,
                editions=asked,
                patience=patience,
                search=search,
                trace=keeper,
            )
        )
    url = best_url(link, found.setting.line if found.setting is not None else None)
    if as_json:
        print_json(_object(link, url, steps, found))
    else:
        _print(url, found)
    if not found.found:
        raise SystemExit(EXIT_CHECK_FAILED)


def _patience(url: str) -> Patience:
    from protocols.doctor.plan import NETWORK_PATIENCE, SERIAL_PATIENCE

    return SERIAL_PATIENCE if url.startswith("serial:") else NETWORK_PATIENCE


class _Reporter:
    """Shows steps as they end; on a terminal also what goes on, and how long it may take."""

    def __init__(self, steps: list[Step], *, quiet: bool) -> None:
        self._steps = steps
        self._quiet = quiet
        columns = (
            TextColumn("{task.description}", style="cyan"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("at most {task.fields[left]} s", style="dim"),
        )
        shown = error_console.is_terminal
        self._progress = Progress(*columns, console=error_console, transient=True)
        self._shown = self._progress if shown else nullcontext()
        self._task = None
        if shown:
            self._task = self._progress.add_task("Opening the line", total=1, left="…")

    def __enter__(self) -> _Reporter:
        self._shown.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shown.__exit__(kind, error, traceback)

    def tell(self, news: Step | Progressed) -> None:
        """Take what the doctor says."""
        if isinstance(news, Progressed):
            if self._task is not None:
                self._progress.update(
                    self._task,
                    description=news.text,
                    completed=news.done,
                    total=news.total,
                    left=f"{news.left_s:.0f}",
                )
            return
        self._steps.append(news)
        if not self._quiet:
            mark, style = _MARKS[news.verdict]
            line = Text(mark, f"bold {style}").append(f"  {news.text}", "not bold default")
            console.print(line)


def best_url(url: str, line: LineSettings | None) -> str:
    """The link's URL with the line settings that were found; its other options stay."""
    if line is None:
        return url
    head, _, query = url.partition("?")
    settings = ("baud", "parity", "bits", "stop")
    rest = [(name, text) for name, text in parse_qsl(query) if name not in settings]
    found = [("baud", str(line.baud)), ("parity", line.parity.value)]
    return f"{head}?{urlencode([*found, *rest])}"


def _print(url: str, found: Diagnosis) -> None:
    console.print()
    if found.meters:
        table = Table()
        for column in ("meter", "protocol", "answers after"):
            table.add_column(column)
        for meter in found.meters:
            delay = "" if meter.delay_ms is None else f"{meter.delay_ms} ms"
            table.add_row(meter.address, f"DL/T 645-{meter.edition}", delay)
        console.print(table)
    for advice in found.advice:
        console.print(Text("→ ", "bold").append(advice.text, "not bold"))
    if found.meters:
        meter = found.meters[0]
        item = "00010000" if meter.edition is Edition.Y2007 else "9010"
        option = "" if meter.edition is Edition.Y2007 else " --protocol 1997"
        command = f"  meterhouse read '{url}' {meter.address} {item}{option}"
        console.print(Text(command, "bold"), soft_wrap=True)
    console.print(f"took {found.took_s:.0f} s", style="dim")


def _object(given: str, url: str, steps: list[Step], found: Diagnosis) -> dict[str, Any]:
    search = found.search
    return {
        "link": given,
        "found": found.found,
        "use": url if found.found else None,
        "setting": _setting(found.setting),
        "is_own_setting": found.is_own_setting,
        "meters": [
            {"address": meter.address, "protocol": meter.edition.value, "delay_ms": meter.delay_ms}
            for meter in found.meters
        ],
        "several": found.several,
        "echo": found.echo,
        "stray_bytes": found.stray_bytes,
        "stray_sample": found.stray_sample.hex(" "),
        "other_masters": [
            {"address": each.address, "function": each.function, "times": each.times}
            for each in found.other_masters
        ],
        "overheard": list(found.overheard),
        "garbled": [_setting(each) for each in found.garbled],
        "tried": found.tried,
        "search": None
        if search is None
        else {
            "asked": search.asked,
            "planned": search.planned,
            "complete": search.is_complete,
            "doubled": list(search.doubled),
        },
        "out_of_time": found.out_of_time,
        "took_s": round(found.took_s, 1),
        "steps": [
            {"step": step.name, "verdict": step.verdict.value, "text": step.text} for step in steps
        ],
        "advice": [{"code": each.code, "text": each.text} for each in found.advice],
    }


def _setting(setting: Setting | None) -> dict[str, Any] | None:
    if setting is None:
        return None
    line = setting.line
    return {
        "protocol": setting.edition.value,
        "baud": line.baud if line is not None else None,
        "parity": line.parity.value if line is not None else None,
        "bits": line.bits if line is not None else None,
        "stop": line.stop.value if line is not None else None,
    }
