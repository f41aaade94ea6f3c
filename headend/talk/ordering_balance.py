"""What is left in a prepaid meter, read now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headend.talk.lines import Lines
from headend.talk.ordering_values import Call, OrderOutcome, Ready, done, failed
from headend.talk.reading import read_device
from protocols.transport.exchange import Priority

BALANCE: Final = ("credit", "amount_left", "amount_overdrawn")


@dataclass(frozen=True, slots=True)
class BalanceWay:
    """A reading: it is all preparation, and a meter that is silent is asked again later."""

    call: Call
    lines: Lines

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        return await self._read()

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        return await self._read()

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        return await self._read()

    async def _read(self) -> OrderOutcome:
        out = await read_device(self.lines, self.call.device, BALANCE, priority=Priority.ON_DEMAND)
        if out.silence is not None:
            raise out.silence
        values = {reading.quantity: reading.value for reading in out.values}
        if not values:
            return failed("The meter tells no balance: it holds neither credit nor money.")
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        return done(f"Read: {shown}.", was_sent=False, at=out.at.isoformat(), **values)
