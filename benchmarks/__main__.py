"""``python -m benchmarks``: choose suites, measure, print."""

from __future__ import annotations

import json
import os
import pkgutil
import platform
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Protocol, cast

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import suites
from benchmarks.line import Line, Scale

_QUICK_DIVISOR = 20
_TABLE_WIDTH = 150


class Suite(Protocol):
    """A module of `benchmarks.suites`."""

    __doc__: str | None

    def lines(self, scale: Scale) -> Iterator[Line]:
        """Measure, yielding each line when it is there."""


def _suite(name: str) -> Suite:
    return cast("Suite", import_module(f"{suites.__name__}.{name}"))


_NAMES = [module.name for module in pkgutil.iter_modules(suites.__path__)]


@click.command()
@click.argument("chosen", metavar="[SUITE]...", type=click.Choice(_NAMES), nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, for machines.")
@click.option("--quick", is_flag=True, help=f"1/{_QUICK_DIVISOR} of the sizes: a first look.")
def main(chosen: tuple[str, ...], as_json: bool, quick: bool) -> None:
    """Measure speed and memory of the suites (all, if none is named)."""
    scale = Scale(_QUICK_DIVISOR if quick else 1)
    for name in chosen or _NAMES:
        suite = _suite(name)
        if as_json:
            for line in suite.lines(scale):
                click.echo(json.dumps({"suite": name} | line.record()))
        else:
            _show(name, suite, scale)


def _show(name: str, suite: Suite, scale: Scale) -> None:
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    title = f"{name}: {(suite.__doc__ or '').splitlines()[0]}"
    measured = []
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(f"{name}: measuring ...", total=None)
        for line in suite.lines(scale):
            measured.append(line)
            progress.update(task, description=f"{line.name}: {_figure(line)}")
    console.print(_table(title, measured))


def _table(title: str, measured: Iterable[Line]) -> Table:
    table = Table(title=title, title_justify="left", caption=_machine(), caption_justify="left")
    table.add_column("measured")
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right")
    table.add_column("what limits it")
    for line in measured:
        table.add_row(line.name, _figure(line), _target(line), _ratio(line), line.limit)
    return table


def _machine() -> str:
    """What the figures have to be read with."""
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} processors; programs that wanted "
        f"one, on average over the last minute: {os.getloadavg()[0]:.1f}, these included."
    )


def _figure(line: Line) -> str:
    digits = 0 if line.figure >= 100 else 1
    return f"{line.figure:,.{digits}f} {line.unit}"


def _target(line: Line) -> str:
    if line.target is None:
        return ""
    sign = "≤" if line.target.at_most else "≥"
    colour, mark = ("green", "✓") if line.met else ("red", "✗")
    return f"[{colour}]{sign} {line.target.value:,} {mark}[/]"


def _ratio(line: Line) -> str:
    if line.ratio is None or line.yardstick is None:
        return ""
    return f"{line.ratio:,.{0 if line.ratio >= 10 else 2}f} × {line.yardstick.name}"


if __name__ == "__main__":
    main()
