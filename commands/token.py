"""``meterhouse token``: tokens for people."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from commands.output import console, json_option, print_json
from commands.sts import load_tables, tables_option
from commands.token_load import load_command
from vending.sts import (
    DecoderKey,
    EncryptionAlgorithm,
    StaTables,
    TokenCipher,
    TokenFormatError,
    cipher_for,
    decode,
    grouped,
    parse_base_date,
)
from vending.sts.content import ENCRYPTED_CLASSES
from vending.sts.explain import explain
from vending.sts.records import RecordEngine
from vending.sts.token import TOKEN_DIGITS, untranspose

_KEY_VARIABLE = "METERHOUSE_DECODER_KEY"


@click.group()
def token() -> None:
    """Tokens for people."""


token.add_command(load_command)


@token.command("explain")
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN…")
@click.option(
    "--ea",
    type=click.Choice(["7", "07", "11"]),
    help="Encryption algorithm: 7 STA, 11 MISTY1. Found from the key's length if left out.",
)
@click.option(
    "--decoder-key",
    metavar="HEX",
    help=f"The meter's decoder key. Safer: the variable {_KEY_VARIABLE}, or wait to be asked.",
)
@click.option(
    "--base-year", type=click.Choice(["1993", "2014", "2035"]), default="2014", show_default=True,
    help="Base date of the key, to tell the time of issue.",
)  # fmt: skip
@tables_option
@json_option
def explain_command(
    tokens: tuple[str, ...],
    ea: str | None,
    decoder_key: str | None,
    base_year: str,
    tables: Path | None,
    as_json: bool,
) -> None:
    """Show tokens field by field.

    Write the 20 digits in any grouping: 5938 6323 4721 3742 6967, or with dashes, or together;
    several tokens one after the other.  Tests (class 1) need no key; for all others give the
    decoder key of the meter.  Exit status 1 if any token's CRC is wrong.
    """
    all_digits = _split(tokens)
    needs_key = any(untranspose(digits)[1] in ENCRYPTED_CLASSES for digits in all_digits)
    key = _ask_key(decoder_key) if needs_key else None
    algorithm = _algorithm(ea, key)
    sta_tables = load_tables(tables)
    cipher = cipher_for(algorithm, key, sta_tables) if key and algorithm else None
    if as_json:
        print_json(_json_answers(all_digits, key, algorithm, int(base_year), sta_tables))
    intact = True
    for digits in all_digits:
        decoded = decode(digits, cipher)
        intact = intact and decoded.crc_ok
        if not as_json:
            _print_table(digits, cipher, int(base_year))
    if not intact:
        raise SystemExit(1)


def _split(parts: tuple[str, ...]) -> list[str]:
    """Tokens out of words in which people group digits as they like."""
    digits = re.sub(r"[\s-]", "", "".join(parts))
    if len(digits) % TOKEN_DIGITS or not (digits.isascii() and digits.isdigit()):
        raise TokenFormatError(
            f"Tokens have {TOKEN_DIGITS} digits (0-9) each; these are {len(digits)} characters. "
            "Check for a missing or doubled digit."
        )
    return [digits[i : i + TOKEN_DIGITS] for i in range(0, len(digits), TOKEN_DIGITS)]


def _ask_key(given: str | None) -> DecoderKey:
    text = given or os.environ.get(_KEY_VARIABLE)
    if text is None:
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"This token is encrypted: give --decoder-key or set {_KEY_VARIABLE}."
            )
        text = click.prompt("Decoder key (hex, not shown)", hide_input=True)
    return DecoderKey.from_hex(text)


def _algorithm(ea: str | None, key: DecoderKey | None) -> EncryptionAlgorithm | None:
    if ea is not None:
        return EncryptionAlgorithm(int(ea))
    if key is None:
        return None
    return EncryptionAlgorithm.MISTY1 if key.bits == 128 else EncryptionAlgorithm.STA


def _json_answers(
    all_digits: list[str],
    key: DecoderKey | None,
    algorithm: EncryptionAlgorithm | None,
    base_year: int,
    tables: StaTables,
) -> list[dict[str, Any]]:
    engine = RecordEngine(tables)
    secret = {"ea": int(algorithm), "decoder_key": key.secret.hex()} if key and algorithm else {}
    answers = [
        engine.decode({"token": digits, "base_year": base_year} | secret) for digits in all_digits
    ]
    # A key's sections are for `sts decode`, which is asked for them; here they stay hidden.
    return [
        {name: value for name, value in answer.items() if not name.startswith("nk")}
        for answer in answers
    ]


def _print_table(digits: str, cipher: TokenCipher | None, base_year: int) -> None:
    decoded = decode(digits, cipher)
    encrypted = decoded.token_class in ENCRYPTED_CLASSES
    mark = " · TEST (sample tables)" if encrypted and cipher and cipher.is_sample else ""
    table = Table(title=grouped(digits) + mark, title_justify="left", title_style="bold")
    table.add_column("field")
    table.add_column("bits", justify="right", style="dim")
    table.add_column("value", justify="right")
    table.add_column("meaning", overflow="fold")
    for line in explain(decoded, parse_base_date(base_year)):
        table.add_row(line.field, str(line.bits), line.value, line.meaning)
    console.print(table)
