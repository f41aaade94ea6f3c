"""``meterhouse sts``: the token engine on JSON lines, for engineers and outside checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from commands.jsonl import answer_lines, input_option
from vending.sts.errors import CipherTablesError
from vending.sts.records import RecordEngine
from vending.sts.sta import SAMPLE_TABLES, StaTables


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


@sts.command("encode")
@input_option
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
    answer_lines(source, RecordEngine(load_tables(tables)).encode)


@sts.command("decode")
@input_option
@tables_option
def decode_command(source: IO[bytes], tables: Path | None) -> None:
    """Take tokens apart.

    \b
    {"token":"…20 digits…", "ea":11, "decoder_key":"…", "base_year":2014}
    → {"class":0, "subclass":0, "name":"transfer credit", "crc_ok":true, "rnd":5, …}

    A token whose CRC is wrong (mistyped, or another meter's) shows no fields.
    """
    answer_lines(source, RecordEngine(load_tables(tables)).decode)


@sts.command("decoder-key")
@input_option
def decoder_key_command(source: IO[bytes]) -> None:
    """Derive decoder keys from a vending key.

    \b
    {"dkga":4, "ea":11, "vending_key":"…", "meter_pan":"…18 digits…", "sgc":"123457",
     "tariff_index":"01", "krn":1, "key_type":2, "base_year":2014}
    → {"decoder_key":"…"}
    """
    answer_lines(source, RecordEngine().decoder_key)


@sts.command("key-change")
@input_option
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
    answer_lines(source, engine.key_change)
