"""From registers to usage: what went through a supply's meters in a span.

A span is measured meter by meter: where one was exchanged, the old one counts up to its last
register and the new one from its first.  A span begins with the register that the one before it
was billed to, whatever becomes known later, so that the sum of all settlements is always the
difference of two registers; who wants it otherwise corrects the earlier span.

Values in the store have the transformers' ratio in them; the registers that a person wrote down at
an exchange are the meter's own, and get it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, select

from billing.settlement.due import Due
from billing.settlement.hourly import PLAN
from billing.settlement.spans import Cycle, Span
from headend.store.intervals import find_series
from headend.store.quantities import quantity_id
from headend.store.registers import find_readings
from headend.store.tables import readings
from headend.values import Quality
from headend.watching.checks.flag import Flag
from headend.watching.checks.register import first_reading, register_flag, register_step
from headend.watching.checks.sums import tariff_gap
from headend.watching.days import Stay
from headend.watching.registers import IMPORT, Register, registers_at, straight_line
from headend.watching.thresholds import Limits

TOTAL: Final = "total"
REACTIVE: Final = "reactive"
QUANTITIES: Final[Mapping[str, str]] = {
    TOTAL: IMPORT,
    **{f"t{number}": f"energy_import_t{number}" for number in range(1, 9)},
    REACTIVE: "reactive_energy_import_total",
}
"""A register's short name → the head-end's quantity."""
POWER: Final = "power_active_total"
_AT_ONCE: Final = 1_000
_BRIDGED: Final = timedelta(days=4)
_SECOND: Final = timedelta(seconds=1)

Wanted = tuple[int, datetime]
"""A device, and a moment whose registers are wanted."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a span, for one version of a tariff."""

    since: datetime
    until: datetime
    split: str
    """``whole``, ``registers`` or ``days``: see `looking.SettledPart`."""
    energy_wh: Mapping[str, int]
    varh: int | None


@dataclass(frozen=True, slots=True)
class Metered:
    """What went through a supply's meters in a span."""

    parts: tuple[Part, ...]
    meters: tuple[Mapping[str, Any], ...]
    """Each meter's registers at both ends, as `settlements.readings` keeps them."""
    estimated: bool
    flags: tuple[Flag, ...]

    @property
    def total_wh(self) -> int:
        """Of the whole span."""
        return sum(part.energy_wh[TOTAL] for part in self.parts)


@dataclass(frozen=True, slots=True)
class Lacking:
    """Why a span cannot be measured."""

    why: str
    words: str
    flags: tuple[Flag, ...] = ()


class Registers:
    """Registers of many meters, loaded set by set."""

    def __init__(self, limits: Limits) -> None:
        self._found: Final[dict[tuple[int, str, datetime], Register]] = {}
        self._after: Final[dict[tuple[int, str, datetime], tuple[datetime, int]]] = {}
        self._looked_after: Final[set[Wanted]] = set()
        self._asked: Final[set[tuple[int, datetime, tuple[str, ...]]]] = set()
        self._tolerance: Final = timedelta(minutes=limits["midnight_tolerance_min"])
        self._joined: Final = timedelta(minutes=limits["midnight_joined_min"])

    def load(
        self, connection: Connection, wanted: Iterable[Wanted], codes: tuple[str, ...]
    ) -> None:
        """Load registers that were not loaded before: a query or two for each moment.

        Args:
            connection: in any transaction.
            wanted: devices and moments.
            codes: short names of the registers.
        """
        by_moment: dict[datetime, list[int]] = {}
        for device, moment in wanted:
            if (device, moment, codes) not in self._asked:
                self._asked.add((device, moment, codes))
                by_moment.setdefault(moment, []).append(device)
        names = [QUANTITIES[code] for code in codes]
        code_of = {QUANTITIES[code]: code for code in codes}
        for moment, devices in by_moment.items():
            for place in range(0, len(devices), _AT_ONCE):
                some = devices[place : place + _AT_ONCE]
                found = registers_at(
                    connection, some, names, [moment], self._tolerance, self._joined
                )
                for (device, name, _), register in found.items():
                    self._found[device, code_of[name], moment] = register
                if len(codes) > 1:
                    self._bridge(connection, some, codes, moment)

    def get(self, device: int, code: str, moment: datetime) -> Register | None:
        """A register that was loaded; None: it is not known."""
        return self._found.get((device, code, moment))

    def load_after(
        self, connection: Connection, wanted: Iterable[Wanted], codes: tuple[str, ...]
    ) -> None:
        """Look for the next readings after moments whose registers are missing.

        With the register that a span begins with, they give the missing one on a straight line:
        after an exchange, say, when nothing was read before.  One query says of whom there is
        anything; then one for each meter that has.
        """
        by_moment: dict[datetime, list[int]] = {}
        for device, moment in wanted:
            self._looked_after.add((device, moment))
            if self.get(device, TOTAL, moment) is None:
                by_moment.setdefault(moment, []).append(device)
        for moment, devices in by_moment.items():
            for device in _with_readings(connection, devices, moment):
                for code in codes:
                    found = [
                        (each.at, each.value)
                        for each in find_readings(
                            connection, device, QUANTITIES[code], moment, moment + _BRIDGED
                        )
                        if each.quality <= Quality.ESTIMATED
                    ]
                    if found:
                        self._after[device, code, moment] = found[0]

    def is_looked_after(self, device: int, moment: datetime) -> bool:
        """Whether the next reading after a moment was looked for."""
        return (device, moment) in self._looked_after

    def after(self, device: int, code: str, moment: datetime) -> tuple[datetime, int] | None:
        """The next reading after a moment, where it was looked for."""
        return self._after.get((device, code, moment))

    def put(self, device: int, code: str, moment: datetime, register: Register) -> None:
        """Take a register for known, whatever the store has."""
        self._found[device, code, moment] = register

    def _bridge(
        self,
        connection: Connection,
        devices: Sequence[int],
        codes: tuple[str, ...],
        moment: datetime,
    ) -> None:
        """Estimate the other registers where the total was estimated: they were not read either."""
        for device in devices:
            total = self.get(device, TOTAL, moment)
            if total is None or not total.estimated:
                continue
            for code in codes:
                if self.get(device, code, moment) is None:
                    value = _bridged(connection, device, QUANTITIES[code], moment)
                    if value is not None:
                        self._found[device, code, moment] = Register(value, estimated=True)


def _with_readings(connection: Connection, devices: Sequence[int], moment: datetime) -> list[int]:
    """Which meters have any register within some days after a moment."""
    number = quantity_id(connection, IMPORT)
    found: list[int] = []
    for place in range(0, len(devices), _AT_ONCE):
        found += connection.scalars(
            select(readings.c.device_id)
            .where(
                readings.c.device_id.in_(devices[place : place + _AT_ONCE]),
                readings.c.quantity_id == number,
                readings.c.at >= moment,
                readings.c.at <= moment + _BRIDGED,
            )
            .distinct()
        )
    return sorted(found)


def _bridged(connection: Connection, device: int, quantity: str, moment: datetime) -> int | None:
    known = [
        (each.at, each.value)
        for each in find_readings(
            connection, device, quantity, moment - _BRIDGED, moment + _BRIDGED
        )
        if each.quality <= Quality.ESTIMATED
    ]
    before = [each for each in known if each[0] <= moment]
    after = [each for each in known if each[0] >= moment]
    if not before or not after or after[0][1] < before[-1][1]:
        return None
    return straight_line(before[-1], after[0], moment)


def stays_in(due: Due, span: Span) -> list[tuple[Stay, datetime, datetime]]:
    """Which meters were there in a span, each with the time that it counts for."""
    found = []
    for stay in due.stays:
        since = max(stay.since, span.since)
        until = span.until if stay.until is None else min(stay.until, span.until)
        if since < until:
            found.append((stay, since, until))
    return found


def wanted_of(
    due: Due, span: Span, cuts: Sequence[datetime], codes: tuple[str, ...]
) -> list[Wanted]:
    """Which registers measuring a span asks for."""
    wanted = []
    billed = {} if due.state is None else due.state.registers
    for stay, since, until in stays_in(due, span):
        known = billed.get(stay.device_id, {}) if since == span.since else {}
        if any(code not in known for code in codes):
            wanted.append((stay.device_id, since))
        wanted.append((stay.device_id, until))
        wanted += [(stay.device_id, cut) for cut in cuts if since < cut < until]
    return wanted


def measure(
    due: Due,
    span: Span,
    cuts: Sequence[datetime],
    codes: tuple[str, ...],
    registers: Registers,
    limits: Limits,
) -> Metered | Lacking:
    """What went through a supply's meters in a span.

    Args:
        due: the supply.
        span: which time.
        cuts: moments within it at which the price changes, in order.
        codes: short names of the registers that the tariff asks for; ``total`` among them.
        registers: with what `wanted_of` names.
        limits: ``day_use_most_wh``, ``rollover_span_percent``, ``tariff_gap_wh``.
    """
    stays = stays_in(due, span)
    if not stays:
        return Lacking("no_meter", "No meter was at the service point in this time.")
    measuring = _Measuring(due, span, codes, registers, limits)
    borders = [span.since, *(cut for cut in cuts if measuring.is_read(stays, cut)), span.until]
    parts: list[Part] = []
    for begin, end in pairwise(borders):
        used = measuring.between(stays, begin, end)
        if isinstance(used, Lacking):
            return used
        inner = [cut for cut in cuts if begin < cut < end]
        split = "days" if inner else ("whole" if not cuts else "registers")
        parts += _by_time([begin, *inner, end], used, split)
    flags = [*measuring.flags, *_change_flags(stays, span, measuring)]
    tariffs = [code for code in codes if code not in (TOTAL, REACTIVE)]
    if tariffs:
        total = sum(part.energy_wh[TOTAL] for part in parts)
        sums = [sum(part.energy_wh[code] for part in parts) for code in tariffs]
        gap = tariff_gap(total, sums, limits)
        flags += [] if gap is None else [gap]
        parts = [_filled_up(part, tariffs) for part in parts]
    return Metered(tuple(parts), tuple(measuring.meters), measuring.estimated, tuple(flags))


def estimated(
    due: Due,
    span: Span,
    cuts: Sequence[datetime],
    energy_wh: Mapping[str, int],
    registers: Registers,
    limits: Limits,
) -> Metered:
    """A span whose energy a person has estimated; the registers go on from there.

    So the next reading puts right what was estimated too low.  What was estimated too high makes
    the register go back, which waits for a correction.
    """
    used: dict[str, int | None] = dict(energy_wh)
    parts = _by_time([span.since, *cuts, span.until], used, "days" if cuts else "whole")
    stays = stays_in(due, span)
    meters: list[Mapping[str, Any]] = []
    if len(stays) == 1:
        (stay, since, until) = stays[0]
        measuring = _Measuring(due, span, tuple(energy_wh), registers, limits)
        begin = {code: measuring.register_at_begin(stay, code, since) for code in energy_wh}
        if all(each is not None for each in begin.values()):
            known = _values(begin)
            end = {code: wh + energy_wh[code] for code, wh in known.items()}
            meters = [_meter(stay.device_id, since, until, known, end, ("end",))]
    return Metered(tuple(parts), tuple(meters), True, ())


def highest_w(
    connection: Connection, device_ids: Iterable[int], since: datetime, until: datetime
) -> int | None:
    """The highest mean power of an interval of the load profile, W; None: there are none.

    For the few supplies whose tariff charges demand: one look for each meter.
    """
    highest: int | None = None
    for device_id in device_ids:
        for series in find_series(connection, device_id, POWER, since, until):
            good = series.values[series.qualities <= Quality.ESTIMATED]
            if len(good):
                watts = int(good.max()) // 1000
                highest = watts if highest is None else max(highest, watts)
    return highest


class _Measuring:
    """One supply's span: collects what it meets."""

    def __init__(
        self,
        due: Due,
        span: Span,
        codes: tuple[str, ...],
        registers: Registers,
        limits: Limits,
    ) -> None:
        self.due: Final = due
        self.span: Final = span
        self.codes: Final = codes
        self.registers: Final = registers
        self.limits: Final = limits
        self.meters: Final[list[Mapping[str, Any]]] = []
        self.flags: Final[list[Flag]] = []
        self.estimated = False

    def is_read(self, stays: Sequence[tuple[Stay, datetime, datetime]], cut: datetime) -> bool:
        """Whether all registers were read when the price changed."""
        for stay, since, until in stays:
            if since < cut < until:
                found = [self.registers.get(stay.device_id, code, cut) for code in self.codes]
                return all(each is not None and not each.estimated for each in found)
        return True  # at an exchange, or while there was no meter

    def between(
        self, stays: Sequence[tuple[Stay, datetime, datetime]], begin: datetime, end: datetime
    ) -> dict[str, int | None] | Lacking:
        """Use by register between two moments."""
        used: dict[str, int | None] = dict.fromkeys(self.codes, 0)
        for stay, came, went in stays:
            since, until = max(came, begin), min(went, end)
            if since >= until:
                continue
            before = {code: self.register_at_begin(stay, code, since) for code in self.codes}
            after = {
                code: self._end(stay, code, until)
                or self._on_the_line(stay, code, (since, before[code]), until)
                for code in self.codes
            }
            lacking = self._lacking(before, since) or self._lacking(after, until)
            if lacking is not None:
                return lacking
            seconds = (until - since) // _SECOND
            for code in self.codes:
                low, high = before[code], after[code]
                assert low is not None and high is not None  # noqa: PT018
                step = register_step(
                    low.wh, high.wh, seconds, stay.ratio, stay.capacity_wh, self.limits
                )
                flag = register_flag(low.wh, high.wh, step)
                if flag is not None:
                    self.flags.append(flag)
                if step.wh is None:
                    assert flag is not None
                    return Lacking("register", flag.reason, (flag,))
                used[code] = (used[code] or 0) + step.wh
            guessed = [
                name
                for name, given in (("begin", before), ("end", after))
                if any(each is not None and each.estimated for each in given.values())
            ]
            self.estimated = self.estimated or bool(guessed)
            self.meters.append(
                _meter(stay.device_id, since, until, _values(before), _values(after), guessed)
            )
        return used

    def register_at_begin(self, stay: Stay, code: str, moment: datetime) -> Register | None:
        """What the span goes on from: what was billed, written down, or read."""
        state = self.due.state
        if state is not None and moment == self.span.since:
            billed = state.registers.get(stay.device_id, {}).get(code)
            if billed is not None:
                return Register(billed)
        if moment == stay.since and stay.first_wh is not None:
            if code == TOTAL:
                return Register(stay.first_wh * stay.ratio)
            found = self.registers.get(stay.device_id, code, moment)
            return Register(0) if found is None and stay.first_wh == 0 else found
        return self.registers.get(stay.device_id, code, moment)

    def _end(self, stay: Stay, code: str, moment: datetime) -> Register | None:
        if code == TOTAL and moment == stay.until and stay.last_wh is not None:
            return Register(stay.last_wh * stay.ratio)
        return self.registers.get(stay.device_id, code, moment)

    def _on_the_line(
        self, stay: Stay, code: str, begin: tuple[datetime, Register | None], moment: datetime
    ) -> Register | None:
        """A register between the one that the span begins with and the next that is known."""
        since, register = begin
        if not self.registers.is_looked_after(stay.device_id, moment):
            return None  # a reading may lie nearer than what was written down at an exchange
        after = self.registers.after(stay.device_id, code, moment)
        if code == TOTAL and stay.until is not None and stay.last_wh is not None:
            went = (stay.until, stay.last_wh * stay.ratio)
            if stay.until <= moment + _BRIDGED and (after is None or after[0] > stay.until):
                after = went
        if register is None or after is None or after[1] < register.wh:
            return None
        return Register(straight_line((since, register.wh), after, moment), estimated=True)

    def _lacking(self, found: Mapping[str, Register | None], moment: datetime) -> Lacking | None:
        missing = [QUANTITIES[code] for code, register in found.items() if register is None]
        if not missing:
            return None
        words = (
            f"There is no reading of {', '.join(missing)} at {moment:%Y-%m-%d %H:%M} UTC. Read the "
            "meter, enter a reading by hand (`meterhouse readings enter`), or estimate the span."
        )
        if any(terms.cycle is Cycle.HOURLY for terms in self.due.terms):
            words += f" Hours are settled by readings of each hour: `{PLAN}`."
        return Lacking("no_reading", words)


def _values(found: Mapping[str, Register | None]) -> dict[str, int]:
    return {code: each.wh for code, each in found.items() if each is not None}


def _meter(
    device: int,
    since: datetime,
    until: datetime,
    begin: Mapping[str, int],
    end: Mapping[str, int],
    guessed: Sequence[str],
) -> Mapping[str, Any]:
    meter: dict[str, Any] = {
        "device": device,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "begin": dict(begin),
        "end": dict(end),
    }
    if guessed:
        meter["estimated"] = list(guessed)
    return meter


def _by_time(borders: Sequence[datetime], used: Mapping[str, int | None], split: str) -> list[Part]:
    """Use between the first and the last border, shared out by time; whole Wh, nothing lost."""
    whole = (borders[-1] - borders[0]) // _SECOND
    gone = [(border - borders[0]) // _SECOND for border in borders]
    parts = []
    for place, (since, until) in enumerate(pairwise(borders)):
        share = {
            code: 0 if wh is None else wh * gone[place + 1] // whole - wh * gone[place] // whole
            for code, wh in used.items()
        }
        varh = share.pop(REACTIVE, None)
        parts.append(Part(since, until, split, share, varh))
    return parts


def _filled_up(part: Part, tariffs: Sequence[str]) -> Part:
    """With registers of time of use that add up to the total: the largest takes the difference."""
    energy = dict(part.energy_wh)
    left = energy[TOTAL] - sum(energy[code] for code in tariffs)
    for code in sorted(tariffs, key=lambda code: -energy[code]):
        given = max(left, -energy[code])
        energy[code] += given
        left -= given
        if not left:
            break
    return Part(part.since, part.until, part.split, energy, part.varh)


def _change_flags(
    stays: Sequence[tuple[Stay, datetime, datetime]], span: Span, measuring: _Measuring
) -> list[Flag]:
    """What a change of the meter asks a person to look at."""
    found = []
    for stay, since, _ in stays:
        if stay.since < span.since or stay.reason == "installed":
            continue
        if stay.since == span.since:
            counted = next(
                each["end"][TOTAL] - each["begin"][TOTAL]
                for each in measuring.meters
                if each["device"] == stay.device_id
            )
            found.append(first_reading(counted, stay.reason))
            continue
        last = [each for each in measuring.meters if each["until"] == since.isoformat()]
        at = f"{since:%Y-%m-%d %H:%M} UTC"
        old = f"the old one ended at {last[-1]['end'][TOTAL]} Wh, " if last else ""
        new = next(
            each["begin"][TOTAL] for each in measuring.meters if each["device"] == stay.device_id
        )
        found.append(
            Flag(
                "exchange",
                f"The meter was exchanged at {at} ({stay.reason}): {old}the new one began at "
                f"{new} Wh. Compare both with the papers.",
                {"begin_wh": new},
            )
        )
    return found
