"""Who is on a line: meters that answer, found by asking.

DL/T 645
    The wildcard address names the only meter of a line (2007: control 13; 1997: 99…99).  Where
    several answer at once, shortened addresses tell them apart, two digits at a time
    (`protocols.doctor`): 2007 only, since 1997 allows three AA at most.

Modbus
    Every unit from 1 to 247 is asked for one item of a profile.  A unit that refuses is there,
    too; a silent one costs its time-out.

Only reads are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from headend.faults import EntryError
from protocols.doctor import Progress, Step, examine
from protocols.doctor.plan import NETWORK_PATIENCE, SERIAL_PATIENCE
from protocols.transport import LinkOptions, NoAnswer

if TYPE_CHECKING:
    from protocols.modbus import Readings

_UNITS: Final = range(1, 248)
_UNIT_MS: Final = 300
"""How long a unit may think: most answer within 50 ms."""
Tell = Callable[[int, int, str], None]
"""Takes how many questions were asked, how many there are, and what is asked now."""


@dataclass(frozen=True, slots=True)
class Found:
    """A meter that answered."""

    protocol: str
    address: str
    words: str
    """What is known of it."""


async def discover_dlt645(
    url: str, *, limit_s: float, delay_ms: int | None = None, tell: Tell | None = None
) -> tuple[list[Found], bool]:
    """The DL/T 645 meters on a line; whether the search came to its end in time.

    Args:
        url: of the line.
        limit_s: when to stop, seconds.
        delay_ms: how long a meter may think; None: as the standard allows, and a network's way.
        tell: hears how far it is.

    Raises:
        LinkUrlError, LinkDown: the line cannot be used.
    """

    def hear(news: Step | Progress) -> None:
        if tell is not None and isinstance(news, Progress):
            tell(news.done, news.total, news.text)

    patience = SERIAL_PATIENCE if url.startswith("serial:") else NETWORK_PATIENCE
    if delay_ms is not None:
        patience = replace(patience, answer_s=delay_ms / 1000, way_s=0.0)
    diagnosis = await examine(url, hear, patience=replace(patience, total_s=limit_s))
    found = [
        Found(f"dlt645-{meter.edition}", meter.address, _delay_words(meter.delay_ms))
        for meter in diagnosis.meters
    ]
    complete = not diagnosis.out_of_time and (
        diagnosis.search is None or diagnosis.search.is_complete
    )
    return sorted(found, key=lambda each: each.address), complete


def _delay_words(delay_ms: int | None) -> str:
    return "" if delay_ms is None else f"answers after {delay_ms} ms"


async def discover_modbus(
    url: str, profile_name: str, *, units: range = _UNITS, tell: Tell | None = None
) -> list[Found]:
    """The Modbus units on a line that answer, or refuse, a read of a profile's first item.

    Raises:
        EntryError: no such profile.
        LinkUrlError, LinkDown: the line cannot be used.
    """
    from protocols.modbus import ModbusMeter, ProfileError, load_profile, open_bus

    try:
        profile = load_profile(profile_name)
    except ProfileError as fault:
        raise EntryError(str(fault)) from None
    first = next(iter(profile.items))
    bus = await open_bus(
        url,
        line=profile.line,
        options=LinkOptions(retries=0, delay_ms_first=_UNIT_MS, delay_ms_max=_UNIT_MS),
    )
    found: list[Found] = []
    try:
        for asked, unit in enumerate(units):
            if tell is not None:
                tell(asked, len(units), f"unit {unit}")
            try:
                readings = await ModbusMeter(bus, profile, unit).read([first])
            except NoAnswer:
                continue
            found.append(Found("modbus", str(unit), _words(first, readings)))
    finally:
        await bus.aclose()
    return found


def _words(name: str, readings: Readings) -> str:
    refusal = readings.faults.get(name)
    if refusal is not None:
        return f"{name}: {refusal}"
    return f"{name} = {readings.values[name]}"
