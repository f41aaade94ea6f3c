"""Records as JSON lines: one object in, one object out, in the same order."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, ClassVar, Final

import click
from rich.progress import Progress, TimeRemainingColumn

from commands.output import Fault, error_console, fault_object

_LINE_BYTES_MAX: Final = 64 * 1024
_PROGRESS_FROM_BYTES: Final = 256 * 1024

input_option = click.option(
    "--jsonl",
    "source",
    type=click.File("rb"),
    default="-",
    show_default=True,
    metavar="FILE|-",
    help="Read records from this file, or from standard input.",
)


class LineError(Exception):
    """A line is not one JSON object."""

    code: ClassVar[str] = "invalid_json"


def answer_lines(source: IO[bytes], operation: Callable[[dict[str, Any]], object]) -> None:
    """Answer each line of ``source`` with one line on standard output, in order.

    A bad line, or a record that the operation refuses with a coded fault, answers
    ``{"error": {"code", "message"}}``, and the run goes on.  A long file on a terminal shows how
    far it is.
    """
    refused = total = 0
    out = sys.stdout
    size = _size(source)
    shown = size >= _PROGRESS_FROM_BYTES and error_console.is_terminal and not out.isatty()
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    with Progress(*columns, console=error_console) if shown else nullcontext() as progress:
        task = progress.add_task("Records", total=size) if progress else None
        for line in _lines(source):
            total += 1
            try:
                answer = operation(_parse(line))
            except Exception as fault:
                if not isinstance(fault, Fault):
                    raise
                refused += 1
                answer = fault_object(fault)
            out.write(json.dumps(answer, ensure_ascii=False) + "\n")
            if not size:  # whoever feeds a pipe may wait for each answer
                out.flush()
            if progress and task is not None:
                progress.advance(task, len(line or b""))
    out.flush()
    if refused:
        error_console.print(f'{refused} of {total} lines refused; see their "error".')


def _size(source: IO[bytes]) -> int:
    """How many bytes a regular file has; 0 for a pipe or a terminal."""
    try:
        return Path(source.name).stat().st_size
    except (OSError, TypeError):
        return 0


def _lines(source: IO[bytes]) -> Iterator[bytes | None]:
    """Lines without their ends; None for one that is too long to be a record."""
    while line := source.readline(_LINE_BYTES_MAX):
        if len(line) < _LINE_BYTES_MAX or line.endswith(b"\n"):
            yield line
            continue
        while rest := source.readline(_LINE_BYTES_MAX):
            if rest.endswith(b"\n"):
                break
        yield None


def _parse(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise LineError(f"The line is longer than {_LINE_BYTES_MAX} bytes.")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise LineError("The line is not JSON.") from None
    if not isinstance(record, dict):
        raise LineError("The line must be a JSON object.")
    return record
