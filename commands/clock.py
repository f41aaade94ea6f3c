"""``meterhouse time``: a meter's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

import click

from commands.output import console, print_json
from commands.wire.clocks import clock_of, zone_option
from commands.wire.lines import dlt_master, modbus_meter
from commands.wire.options import confirm, is_modbus, wire_options, yes_option
from commands.wire.orders import finish, give
from protocols.dlt645.addresses import BROADCAST, parse_address
from protocols.dlt645.controls import Edition
from protocols.dlt645.master import ClockLimits, ClockResult
from protocols.dlt645.master.orders import one_meter
from protocols.outcomes import Outcome

_TIME_ITEM: Final = "time_utc"
_STEP_S_MAX: Final = 300
_SETTLED_S: Final = 5


@click.command("time")
@click.argument("link")
@click.argument("words", nargs=-1, metavar="METER [show|set]")
@click.option("--broadcast", is_flag=True, help="Set all clocks on the line; takes no METER.")
@click.option(
    "--max-step",
    type=click.IntRange(1, _STEP_S_MAX),
    default=_STEP_S_MAX,
    show_default=True,
    metavar="SECONDS",
    help="Do not set a clock that is further off.",
)
@zone_option
@yes_option
@wire_options
def clock(
    link: str,
    words: tuple[str, ...],
    broadcast: bool,
    max_step: int,
    zone: tzinfo | None,
    yes: bool,
    edition: Edition,
    profile: str | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Show a meter's clock, or set it by this machine's.

    \b
    meterhouse time LINK METER              how far it is off
    meterhouse time LINK METER set          correct it, and read it back
    meterhouse time LINK --broadcast set    correct all clocks on the line; nobody answers

    DL/T 645 meters take a correction of at most five minutes a day this way, and none around
    midnight. A clock that is further off is set with a password:

    \b
    meterhouse write LINK METER 04000101 "2026-11-21 w6"
    meterhouse write LINK METER 04000102 21:53:55
    """
    meter, action = _words(words, broadcast=broadcast)
    now = clock_of(zone)
    if is_modbus(link):
        if meter is None:
            raise click.UsageError("Modbus meters have no common clock to broadcast to.")
        status = _modbus(link, meter, action, profile, trace, max_step, yes, as_json=as_json)
    elif meter is None:
        status = _broadcast(link, edition, trace, now, yes, as_json=as_json)
    elif action == "set":
        status = _set(link, meter, edition, trace, now, max_step, yes, as_json=as_json)
    else:
        status = asyncio.run(_show(link, meter, edition, trace, now, as_json=as_json))
    raise SystemExit(status)


def _words(words: tuple[str, ...], *, broadcast: bool) -> tuple[str | None, str]:
    """METER and what to do; METER is None for a broadcast."""
    *meters, action = words if words and words[-1] in ("show", "set") else (*words, "show")
    if broadcast:
        if meters or action != "set":
            raise click.UsageError("Say `meterhouse time LINK --broadcast set`, without METER.")
        return None, action
    if len(meters) != 1:
        raise click.UsageError("Say `meterhouse time LINK METER [show|set]`.")
    return meters[0], action


async def _show(
    link: str,
    meter: str,
    edition: Edition,
    trace: Path | None,
    now: Callable[[], datetime],
    *,
    as_json: bool,
) -> int:
    address = parse_address(meter, edition)
    async with dlt_master(link, edition, trace) as master:
        shown = await master.read_clock(address)
        truth = now()
    _print_clock(address, shown.at(UTC), truth.replace(tzinfo=UTC), as_json=as_json)
    return 0


def _print_clock(meter: str, shown: datetime, truth: datetime, *, as_json: bool) -> None:
    offset_s = round((shown - truth).total_seconds())
    if as_json:
        face = shown.replace(tzinfo=None).isoformat(sep=" ")
        print_json({"meter": meter, "time": face, "offset_s": offset_s})
        return
    off = "right" if abs(offset_s) <= _SETTLED_S else "ahead" if offset_s > 0 else "behind"
    by = "" if off == "right" else f" by {abs(offset_s)} s"
    console.print(f"{meter}  {shown:%Y-%m-%d %H:%M:%S}  {off}{by}")


def _set(
    link: str,
    meter: str,
    edition: Edition,
    trace: Path | None,
    now: Callable[[], datetime],
    max_step: int,
    yes: bool,
    *,
    as_json: bool,
) -> int:
    address = one_meter(meter, edition)
    confirm(f"Set the clock of meter {address}?", yes=yes)

    async def order() -> ClockResult:
        async with dlt_master(link, edition, trace) as master:
            return await master.set_clock(address, now, ClockLimits(correction_s_max=max_step))

    result = give(order())
    details = {
        "meter": address,
        "was_sent": result.was_sent,
        "offset_before_s": result.offset_before_s,
        "offset_after_s": result.offset_after_s,
    }
    return finish(result.outcome, result.text, details, as_json=as_json)


def _broadcast(
    link: str,
    edition: Edition,
    trace: Path | None,
    now: Callable[[], datetime],
    yes: bool,
    *,
    as_json: bool,
) -> int:
    confirm("Set the clocks of ALL meters on this line?", yes=yes)

    async def order() -> None:
        async with dlt_master(link, edition, trace) as master:
            await master.broadcast_time(now)

    give(order())
    text = "Sent to all meters; none of them answers. Look at one: meterhouse time LINK METER."
    return finish(Outcome.UNKNOWN, text, {"meter": BROADCAST}, as_json=as_json)


def _modbus(
    link: str,
    unit: str,
    action: str,
    profile: str | None,
    trace: Path | None,
    max_step: int,
    yes: bool,
    *,
    as_json: bool,
) -> int:
    if action == "set":
        confirm(f"Set the clock of unit {unit}?", yes=yes)

    async def order() -> tuple[int, Outcome | None, str]:
        async with modbus_meter(link, unit, profile, trace) as meter:
            meter.profile.item(_TIME_ITEM)
            readings = await meter.read([_TIME_ITEM])
            if _TIME_ITEM in readings.faults:
                raise readings.faults[_TIME_ITEM]
            shown = readings.values[_TIME_ITEM]
            assert isinstance(shown, int)
            truth = round(datetime.now(UTC).timestamp())
            if action == "show":
                return shown, None, ""
            if abs(shown - truth) > max_step:
                text = f"Nothing was sent: the clock is {shown - truth:+} s off."
                return shown, Outcome.FAILED, f"{text} Use meterhouse write … {_TIME_ITEM}."
            result = await meter.write(_TIME_ITEM, truth)
            return shown, result.outcome, result.text

    shown, outcome, text = give(order())
    at = datetime.fromtimestamp(shown, UTC)
    if outcome is None:
        _print_clock(f"unit {unit}", at, datetime.now(UTC), as_json=as_json)
        return 0
    offset_s = round((at - datetime.now(UTC)).total_seconds())
    details = {"meter": f"unit {unit}", "offset_before_s": offset_s}
    return finish(outcome, text, details, as_json=as_json)
