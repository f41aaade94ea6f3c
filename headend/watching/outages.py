"""Outages from silence: many meters of one place that answered before and do not answer now.

A dead line (its gateway or its modem is gone) silences all of its meters, too; it is told from an
outage by this:

* Where the silent meters of a place hang on a line on which others answer, the line is not dead.
* Where at least two lines of a place fall silent together, in all of their meters there, the place
  is dark: gateways stand in the place and go dark with it.
* Where meters said with their last gasp that their power is off, it is off.

What is left of dead lines is an alarm about the line.  Outages are reported at the lowest place
that holds them: a feeder when all of its areas that were asked are dark, not each area.

Contacts are counted by the hour: a meter that answered at the beginning of an hour counts as
answering until it is asked in the next one, unless it reported that its power is off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Asked:
    """A meter that was asked lately, and has answered not long before."""

    device_id: int
    place_id: int
    link_id: int | None
    silent: bool
    power_off: bool = False
    """It reported that its power is off, and not that it is back."""

    @property
    def dark(self) -> bool:
        """Silent, or without power by its own word."""
        return self.silent or self.power_off


@dataclass(frozen=True, slots=True)
class Dark:
    """A place without power."""

    place_id: int
    device_ids: tuple[int, ...]
    asked: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What silence means."""

    outages: tuple[Dark, ...]
    dead_links: tuple[int, ...]


_TWO_LINES: Final = 2


def judge_silence(
    asked: Sequence[Asked], parents: Mapping[int, int | None], *, least: int, percent: int
) -> Judged:
    """Tell outages from dead lines.

    Args:
        asked: every meter that was asked lately, on every place.
        parents: place → the place above it.
        least: silent meters that make an outage.
        percent: of those asked at the place.
    """
    lines: dict[int, list[Asked]] = {}
    at_place: dict[int, list[Asked]] = {}
    for meter in asked:
        if meter.link_id is not None:
            lines.setdefault(meter.link_id, []).append(meter)
        at_place.setdefault(meter.place_id, []).append(meter)
    dead = {link for link, meters in lines.items() if all(each.silent for each in meters)}
    dark: dict[int, Dark] = {}
    for place, meters in at_place.items():
        gone = [each for each in meters if each.dark]
        if len(gone) < least or 100 * len(gone) < percent * len(meters):
            continue
        if _is_dark(gone, dead, lines, least):
            numbers = tuple(sorted(each.device_id for each in gone))
            dark[place] = Dark(place, numbers, len(meters))
    explained = {device for each in dark.values() for device in each.device_ids}
    dead_links = sorted(
        link
        for link in dead
        if len(lines[link]) > 1 and any(each.device_id not in explained for each in lines[link])
    )
    return Judged(tuple(_joined(dark, at_place, parents)), tuple(dead_links))


def _is_dark(
    gone: Sequence[Asked], dead: set[int], lines: Mapping[int, Sequence[Asked]], least: int
) -> bool:
    by_report = sum(each.power_off for each in gone)
    by_silence = [each for each in gone if not each.power_off]
    on_living = sum(each.link_id not in dead for each in by_silence)
    if by_report + on_living >= least:
        return True
    here = {each.link_id for each in by_silence if each.link_id in dead}
    # a line of one meter says nothing that the meter does not say
    return len(here) >= _TWO_LINES and sum(len(lines[link]) for link in here if link) >= least


def _joined(
    dark: Mapping[int, Dark],
    at_place: Mapping[int, Sequence[Asked]],
    parents: Mapping[int, int | None],
) -> list[Dark]:
    """Dark places, with those whose neighbours are all dark reported at the place above."""
    found = dict(dark)
    asked = {place: len(meters) for place, meters in at_place.items()}
    while True:
        below: dict[int, set[int]] = {}
        for place in asked:
            above = parents.get(place)
            if above is not None:
                below.setdefault(above, set()).add(place)
        whole = [
            above
            for above, children in below.items()
            if len(children) > 1
            and all(child in found for child in children)
            and (above not in asked or above in found)
        ]
        if not whole:
            return sorted(found.values(), key=lambda each: each.place_id)
        for above in whole:
            parts = [found.pop(child) for child in below[above]]
            parts += [found.pop(above)] if above in found else []
            devices = tuple(sorted(device for part in parts for device in part.device_ids))
            found[above] = Dark(above, devices, sum(part.asked for part in parts))
            asked[above] = found[above].asked
            for child in below[above]:
                asked.pop(child, None)
