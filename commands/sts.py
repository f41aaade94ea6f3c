"""``meterhouse sts``: the token engine on JSON lines, for engineers and outside checks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, Final

import click
from rich.progress import Progress, TimeRemainingColumn

from commands.output import error_console, fault_object
from vending.errors import VendingError
from vending.sts.errors import CipherTablesError, StsError
from vending.sts.records import RecordEngine
from vending.sts.sta import SAMPLE_TABLES, StaTables

_LINE_BYTES_MAX: Final = 64 * 1024
_PROGRESS_FROM_BYTES: Final = 256 * 1024


class _LineError(StsError):
    """A line is not one JSON object."""

    code = "invalid_json"


@click.group()
def sts() -> None:
    """The token engine (IEC 62055-41) on JSON lines.

    One JSON object per line in, one per line out, in the same order.  A bad line answers
    {"error": {"code", "message"}} and the run goes on.  Field names are those of
    tests/vectors/sts.json.  Keys pass through these commands: keep the files safe.
    """


def load_tables(path: Path | None) -> StaTables:
    """STA tables from the operator's file, or the samples.

    Raises:
        CipherTablesError: the file cannot be read as tables.
    """
    if path is None:
        return SAMPLE_TABLES
    try:
        return StaTables.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not JSON"
        raise CipherTablesError(f"Cannot read the STA tables in {path}: {reason}.") from None


tables_option = click.option(
    "--tables",
    type=click.Path(path_type=Path),
    help='Licensed STA tables: {"substitution": [[16],[16]], "permutation": [64]}. '
    "Without it the standard's samples are used, which open no real meter.",
)
_input_option = click.option(
    "--jsonl",
    "source",
    type=click.File("rb"),
    default="-",
    show_default=True,
    metavar="FILE|-",
    help="Read records from this file, or from standard input.",
)


@sts.command("encode")
@_input_option
@tables_option
def encode_command(source: IO[bytes], tables: Path | None) -> None:
    """Make tokens.

    \b
    {"ea":11, "decoder_key":"…", "class":0, "subclass":0, "base_year":2014,
     "issued_at":"2026-11-21T09:30:00Z", "rnd":5, "amount":256}
    → {"token":"…20 digits…", "tid":6778650, "rounding":0}

    The token's own field is amount (class 0), control and manufacturer_code (class 1), or
    max_power_limit_w, register, rate, pad, mppul_w, wm_factor (class 2, subclass 0 1 2 5 6 7).
    "rounding" is how much more than asked for the token carries.
    """
    _answer_lines(source, RecordEngine(load_tables(tables)).encode)


@sts.command("decode")
@_input_option
@tables_option
def decode_command(source: IO[bytes], tables: Path | None) -> None:
    """Take tokens apart.

    \b
    {"token":"…20 digits…", "ea":11, "decoder_key":"…", "base_year":2014}
    → {"class":0, "subclass":0, "name":"transfer credit", "crc_ok":true, "rnd":5, …}

    A token whose CRC is wrong (mistyped, or another meter's) shows no fields.
    """
    _answer_lines(source, RecordEngine(load_tables(tables)).decode)


@sts.command("decoder-key")
@_input_option
def decoder_key_command(source: IO[bytes]) -> None:
    """Derive decoder keys from a vending key.

    \b
    {"dkga":4, "ea":11, "vending_key":"…", "meter_pan":"…18 digits…", "sgc":"123457",
     "tariff_index":"01", "krn":1, "key_type":2, "base_year":2014}
    → {"decoder_key":"…"}
    """
    _answer_lines(source, RecordEngine().decoder_key)


@sts.command("key-change")
@_input_option
@tables_option
@click.option(
    "--allow-unconfirmed-3kct",
    is_flag=True,
    help='Make three-token sets ("three_tokens": true), which no published figure confirms.',
)
def key_change_command(
    source: IO[bytes], tables: Path | None, allow_unconfirmed_3kct: bool
) -> None:
    """Make key change token sets, in entry order.

    \b
    {"ea":11, "old_key":"…", "new_key":"…", "ken":255, "krn":1, "key_type":2,
     "tariff_index":"02", "sgc":"123457", "rollover":false}
    → {"tokens":["…","…","…","…"]}
    """
    engine = RecordEngine(load_tables(tables), allow_unconfirmed_3kct=allow_unconfirmed_3kct)
    _answer_lines(source, engine.key_change)


def _answer_lines(source: IO[bytes], operation: Callable[[dict[str, Any]], object]) -> None:
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
            except VendingError as fault:
                refused += 1
                answer = fault_object(fault)
            out.write(json.dumps(answer, ensure_ascii=False) + "\n")
            if progress and task is not None:
                progress.advance(task, len(line or b""))
    out.flush()
    if refused:
        error_console.print(f'{refused} of {total} lines refused; see their "error".')


def _size(source: IO[bytes]) -> int:
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
        raise _LineError(f"The line is longer than {_LINE_BYTES_MAX} bytes.")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise _LineError("The line is not JSON.") from None
    if not isinstance(record, dict):
        raise _LineError("The line must be a JSON object.")
    return record
