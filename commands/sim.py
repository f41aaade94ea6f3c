"""``meterhouse sim``: simulated meters for people and scripts."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import click

from commands.output import json_option, print_json
from commands.running_meter import MeterClock, SavedMeter
from commands.sts import load_tables, tables_option
from simulators import ConstantLoad, HouseholdLoad, KeypadMeter, LoadProfile, MeterKey, Nameplate
from simulators.display import kwh, supply_line
from simulators.errors import NoPowerError, SimulatorError
from simulators.results import TokenResult
from simulators.state_file import exclusive, load_state
from vending.sts import (
    DecoderKey,
    EncryptionAlgorithm,
    KeyAttributes,
    MeterPan,
    StaTables,
    parse_base_date,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.public_test_key import PUBLIC_TEST_VENDING_KEY, TEST_KEY_GENERATION

DEFAULT_METER: Final = "01234567897"
_SPEED_MAX: Final = 86_400
_WAIT_MAX_S: Final = 366 * 86_400
_SAVE_EVERY_S: Final = 1
_LINE_BYTES_MAX: Final = 4_096

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _EntryError(SimulatorError):
    """A line that is no entry."""

    code: ClassVar[str] = "entry"


class _Sim(click.Group):
    """A group whose street, with all its wires, is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), "street", "sts-module"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "street":
            from commands.street import street

            return street
        if cmd_name == "sts-module":
            from commands.sts_module import sts_module

            return sts_module
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Sim)
def sim() -> None:
    """Simulated meters: one with a keypad, or streets of them on wires."""


class _LoadParameter(click.ParamType[LoadProfile]):
    """``1500``, ``home`` or ``home:7``."""

    name = "load"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> LoadProfile:
        if not isinstance(value, str):
            assert isinstance(value, ConstantLoad | HouseholdLoad)
            return value
        kind, _, seed = value.partition(":")
        number = seed if kind == "home" else kind
        if kind == "home" and not seed:
            return HouseholdLoad(seed=1)
        if not (number.isascii() and number.isdigit() and len(number) <= 9):
            self.fail(f"{value!r} is neither watts nor home nor home:SEED.", param, ctx)
        return HouseholdLoad(int(number)) if kind == "home" else ConstantLoad(int(number))


def _meter_options(command: _Command) -> _Command:
    """Who the meter is; an existing ``--state`` file knows better."""
    options = (
        click.option(
            "--meter", "drn", metavar="DRN", default=DEFAULT_METER, show_default=True,
            help="Meter number, 11 or 13 digits.",
        ),
        click.option(
            "--decoder-key", metavar="HEX", envvar="METERHOUSE_METER_KEY",
            prompt="Decoder key (hex)", prompt_required=False, hide_input=True,
            help="SECRET. The meter's own key; without HEX it is asked for unseen, and other "
            "users of this machine may see it on a command line. Default: derived from the "
            "public test vending key, as a new shop's tokens are.",
        ),
        click.option(
            "--ea", type=click.Choice(["7", "07", "11"]), default="11", show_default=True,
            help="Encryption algorithm: 07 STA, 11 MISTY1.",
        ),
        click.option("--sgc", default="123457", show_default=True, help="Supply group code."),
        click.option("--krn", type=int, default=1, show_default=True, help="Key revision."),
        click.option("--ti", default="01", show_default=True, help="Tariff index."),
        click.option("--kt", type=int, default=2, show_default=True, help="Key type, 0-3."),
        click.option("--base-year", type=int, default=2014, show_default=True,
            help="Base date that the key is derived for: 1993, 2014, 2035."),
        click.option("--ken", type=int, default=255, show_default=True, help="Key expiry number."),
        click.option("--phases", type=click.Choice(["1", "3"]), default="1", show_default=True,
            help="3: takes a phase unbalance limit too."),
        click.option("--limit", type=click.IntRange(0), metavar="W", help="Power limit."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@sim.command()
@click.option(
    "--state",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the meter in this file (made if missing). SECRET: it holds the decoder key. "
    "An existing file decides everything about the meter but its load.",
)
@_meter_options
@tables_option
@click.option(
    "--load",
    type=_LoadParameter(),
    default="500",
    show_default=True,
    help="What the home draws: watts, or home[:SEED] for a random home.",
)
@click.option(
    "--speed",
    type=click.IntRange(0, _SPEED_MAX),
    default=1,
    show_default=True,
    help="Let the meter's clock run so many times as fast; 0: only `wait` moves it.",
)
@json_option
@click.pass_context
def keypad(
    ctx: click.Context,
    /,
    path: Path | None,
    load: LoadProfile,
    speed: int,
    tables: Path | None,
    as_json: bool,
    **identity: Any,
) -> None:
    """A prepayment meter to type tokens into.

    On a terminal: a live meter face; every key is on the screen. It takes the tokens that a
    shop made by `meterhouse init` sells for the same meter number.

    Otherwise one entry per line is read and answered: a token of 20 digits (spaces and dashes
    are ignored), or one of

    \b
      wait SECONDS    let the meter's clock go ahead
      load WATTS      let the home draw something else (also: home, home:SEED)
      cover open|shut
      power off|on

    Empty lines and lines that begin with # are skipped. A refused token is an answer, not a
    fault: the exit status stays 0.
    """
    with ExitStack() as stack:
        if path is not None:
            stack.enter_context(exclusive(path))
        start = datetime.now(UTC)
        meter = _open(ctx, path, load, start, load_tables(tables), identity)
        saved = SavedMeter(meter, path)
        saved.save()
        clock = MeterClock(max(start, meter.now), speed)
        if sys.stdin.isatty() and sys.stdout.isatty() and not as_json:
            from commands.meter_face import run_screen  # Rich's screen only where there is one

            run_screen(saved, clock)
        else:
            _run_lines(saved, clock, as_json=as_json)


def _open(
    ctx: click.Context,
    path: Path | None,
    load: LoadProfile,
    start: datetime,
    tables: StaTables,
    identity: dict[str, Any],
) -> KeypadMeter:
    if path is None or not path.exists():
        return _new_meter(load, start, tables, **identity)
    state = load_state(path, tables)
    drn, asked = state.nameplate.meter_pan.drn, MeterPan.from_drn(identity["drn"]).drn
    by_default = ctx.get_parameter_source("drn") is click.core.ParameterSource.DEFAULT
    if asked != drn and not by_default:
        raise click.UsageError(f"{path} holds meter {drn}, not {asked}: name another file.")
    meter = KeypadMeter(state, load)
    meter.power_off(meter.now)  # while nobody ran it, nothing was consumed
    meter.power_on(max(start, meter.now))
    return meter


def _new_meter(
    load: LoadProfile,
    start: datetime,
    tables: StaTables,
    *,
    drn: str,
    decoder_key: str | None,
    ea: str,
    sgc: str,
    krn: int,
    ti: str,
    kt: int,
    base_year: int,
    ken: int,
    phases: str,
    limit: int | None,
) -> KeypadMeter:
    attributes = KeyAttributes(
        meter_pan=MeterPan.from_drn(drn),
        sgc=parse_supply_group_code(sgc),
        krn=parse_key_revision(krn),
        key_type=parse_key_type(kt),
        tariff_index=parse_tariff_index(ti),
        base_date=parse_base_date(base_year),
        algorithm=EncryptionAlgorithm(int(ea)),
    )
    expiry = parse_key_expiry(ken)
    key = MeterKey.derived(TEST_KEY_GENERATION, PUBLIC_TEST_VENDING_KEY, attributes, expiry)
    if decoder_key is not None:
        key = replace(key, decoder_key=DecoderKey.from_hex(decoder_key))
    return KeypadMeter.new(
        Nameplate(attributes.meter_pan, attributes.algorithm, tables, phases=int(phases)),
        key,
        start,
        load,
        power_limit_w=limit,
    )


# --- lines in, lines out -------------------------------------------------------------------


def _run_lines(saved: SavedMeter, clock: MeterClock, *, as_json: bool) -> None:
    try:
        for line in _lines(sys.stdin.fileno(), _SAVE_EVERY_S):
            if line is None:  # nothing came: the meter runs on, and its file with it
                saved.meter.advance(clock.now())
                saved.save()
                continue
            entry = line.strip()
            if entry and not entry.startswith("#"):
                _answer(entry, saved, clock, as_json=as_json)
        saved.meter.advance(clock.now())
    finally:
        saved.save()


def _lines(source: int, patience_s: int) -> Iterator[str | None]:
    """Lines as they come; None whenever nothing came for so long."""
    pending = b""
    while True:
        if not select.select([source], [], [], patience_s)[0]:
            yield None
            continue
        read = os.read(source, _LINE_BYTES_MAX)
        *lines, pending = (pending + read).split(b"\n")
        if len(pending) > _LINE_BYTES_MAX or not read:  # no line is as long; or the end
            lines, pending = [*lines, pending], b""
        yield from (line.decode("utf-8", "replace") for line in lines)
        if not read:
            return


def _answer(entry: str, saved: SavedMeter, clock: MeterClock, *, as_json: bool) -> None:
    try:
        result = _obey(saved, clock, entry)
    except (NoPowerError, _EntryError) as fault:  # a file that cannot be written is no refusal
        _print_refusal(entry, fault, as_json=as_json)
    else:
        if as_json:
            print_json(_entry_object(entry, saved.meter, result))
        else:
            click.echo(_entry_line(saved.meter, result))
    sys.stdout.flush()


def _obey(saved: SavedMeter, clock: MeterClock, entry: str) -> TokenResult | None:
    meter, words = saved.meter, entry.split()
    now = clock.now()
    match words:
        case ["wait", seconds]:
            clock.skip(_seconds(seconds))
            meter.advance(clock.now())
        case ["load", load]:
            try:
                meter.set_load(_LoadParameter().convert(load, None, None), now)
            except click.BadParameter as fault:
                raise _EntryError(fault.message) from None
        case ["cover", "open"]:
            meter.open_cover(now)
        case ["cover", "shut"]:
            meter.close_cover(now)
        case ["power", "off"]:
            meter.power_off(now)
        case ["power", "on"]:
            meter.power_on(now)
        case [word, *_] if word[0].isalpha():
            raise _EntryError(
                f"There is no entry {entry[:20]!r}: type a token's digits, or wait, load, cover, "
                "power."
            )
        case _:
            return saved.enter_token(entry, now)
    saved.save()
    return None


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text[:12]) > _WAIT_MAX_S:
        raise _EntryError(f"wait takes whole seconds, at most {_WAIT_MAX_S}; not {text!r}.")
    return int(text)


def _print_refusal(entry: str, fault: SimulatorError, *, as_json: bool) -> None:
    if as_json:
        print_json({"entry": entry, "error": {"code": fault.code, "message": str(fault)}})
    else:
        click.echo(f"-  {fault}")


def _entry_line(meter: KeypadMeter, result: TokenResult | None) -> str:
    shown = "ok" if result is None else f"{result.outcome.value}: {result.text}"
    if result is not None and result.lines:
        shown += f" [{' | '.join(result.lines)}]"
    line = f"{shown}  credit {kwh(meter.registers.remaining_wh)}"
    return f"{line}, {supply_line(meter.supply) if meter.has_power else 'no power'}"


def _entry_object(entry: str, meter: KeypadMeter, result: TokenResult | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"entry": entry}
    if result is not None:
        answer |= {
            "result": result.outcome.value,
            "accepted": result.is_accepted,
            "text": result.text,
            "token": result.token,
            "credit_added_wh": result.credit_added_wh,
            "lines": list(result.lines),
        }
    registers = meter.registers
    return answer | {
        "time": meter.now.isoformat(),
        "meter": meter.nameplate.meter_pan.drn,
        "credit_wh": registers.remaining_wh,
        "accepted_wh": registers.accepted_wh,
        "consumed_wh": registers.consumed_wh,
        "cleared_wh": registers.cleared_wh,
        "supply": "on" if meter.is_lit else "off",
        "open_because": [reason.value for reason in meter.open_reasons],
        "has_power": meter.has_power,
        "load_w": meter.drawn_w,
        "power_limit_w": meter.supply.power_limit_w,
        "low_credit": meter.is_low_credit,
        "locked_for_s": meter.locked_for_s,
    }
