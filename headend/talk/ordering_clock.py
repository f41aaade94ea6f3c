"""Clocks: a correction of minutes by 08, once a day; anything bigger is written with a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from headend.talk.ordering_values import (
    Call,
    NotNowError,
    OrderOutcome,
    Ready,
    done,
    failed,
    not_done,
)
from protocols.dlt645.controls import Edition
from protocols.dlt645.master.clock import DEFAULT_LIMITS, ClockLimits
from protocols.dlt645.master.errors import ClockLimitError
from protocols.dlt645.times import MeterTime
from protocols.outcomes import Outcome

SOFT_STEP_S: Final = 300
"""What meters take without a password, once a day."""
_DATE: Final = {Edition.Y2007: 0x04000101, Edition.Y1997: 0xC010}
_TIME: Final = {Edition.Y2007: 0x04000102, Edition.Y1997: 0xC011}
_MODBUS_ITEM: Final = "time_utc"
_RIGHT_S: Final = DEFAULT_LIMITS.settled_s


@dataclass(frozen=True, slots=True)
class DltClock:
    """08, or date and time written."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        try:
            self._limits.check_moment(self.call.local_now())
        except ClockLimitError as fault:
            raise NotNowError(str(fault)) from None
        return _judged(await self._offset(), self._step_max)

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        before = int(evidence["offset_s"])
        if self._step_max > SOFT_STEP_S and abs(before) > SOFT_STEP_S:
            return await self._written(before)
        result = await self.call.master.set_clock(
            self.call.device.address, self.call.local_now, self._limits
        )
        return OrderOutcome(
            outcome=result.outcome,
            words=result.text,
            was_sent=result.was_sent,
            details=_details(result.offset_before_s, result.offset_after_s),
        )

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        return _looked(int(evidence["offset_s"]), await self._offset())

    async def _written(self, before: int) -> OrderOutcome:
        """The date first: should the time then not be taken, the clock is off by less."""
        call, edition = self.call, self.call.device.edition
        for item in (_DATE[edition], _TIME[edition]):
            result = await call.master.write(
                call.device.address,
                item,
                MeterTime.of(call.local_now()),
                call.key.password,
                call.key.operator,
            )
            if result.outcome is not Outcome.DONE:
                return OrderOutcome(
                    outcome=result.outcome,
                    words=result.text,
                    was_sent=result.was_sent,
                    details=_details(before, None),
                )
        return _looked(before, await self._offset())

    @property
    def _step_max(self) -> int:
        return int(self.call.command.says["step_max_s"])

    @property
    def _limits(self) -> ClockLimits:
        return ClockLimits(correction_s_max=min(self._step_max, SOFT_STEP_S))

    async def _offset(self) -> int:
        return await self.call.master.clock_offset_s(self.call.device.address, self.call.local_now)


@dataclass(frozen=True, slots=True)
class ModbusClock:
    """A register of seconds since 1970."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        self.call.meter.profile.item(_MODBUS_ITEM)
        return _judged(await self._offset(), int(self.call.command.says["step_max_s"]))

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        truth = round(self.call.utc_now().timestamp())
        result = await self.call.meter.write(_MODBUS_ITEM, truth)
        if result.refusal is not None or result.outcome is Outcome.UNKNOWN:
            return OrderOutcome(outcome=result.outcome, words=result.text, was_sent=True)
        # the clock has gone on since it was written: what it shows now decides
        return _looked(int(evidence["offset_s"]), await self._offset())

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        return _looked(int(evidence["offset_s"]), await self._offset())

    async def _offset(self) -> int:
        readings = await self.call.meter.read([_MODBUS_ITEM])
        if fault := readings.faults.get(_MODBUS_ITEM):
            raise fault
        shown = readings.values[_MODBUS_ITEM]
        assert isinstance(shown, int), "time_utc is a whole number"
        at = datetime.fromtimestamp(shown, UTC)
        return round((at - self.call.utc_now()) / timedelta(seconds=1))


def _judged(offset_s: int, step_max_s: int) -> Ready | OrderOutcome:
    if abs(offset_s) <= _RIGHT_S:
        words = f"Nothing to do: the clock is right ({offset_s:+} s)."
        return done(words, was_sent=False, **_details(offset_s, offset_s))
    if abs(offset_s) > step_max_s:
        return failed(
            f"Nothing was sent: the clock is {offset_s:+} s off, and the order allows a step of "
            f"{step_max_s} s. A bigger step is another order, with a password and two people.",
            **_details(offset_s, offset_s),
        )
    return Ready({"offset_s": offset_s})


def _looked(before_s: int, after_s: int) -> OrderOutcome:
    details = _details(before_s, after_s)
    if abs(after_s) <= _RIGHT_S:
        return done(f"The clock is right ({after_s:+} s).", **details)
    return not_done(
        f"The clock is {after_s:+} s off: meters take one correction a day, and some need a "
        "password.",
        **details,
    )


def _details(before_s: int | None, after_s: int | None) -> dict[str, Any]:
    return {"offset_before_s": before_s, "offset_after_s": after_s}
