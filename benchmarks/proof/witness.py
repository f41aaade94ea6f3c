"""What each meter told and obeyed, noted at the meter, before anything is lost on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from simulators.metering.registers import forward_ws
from simulators.metering.smart_meter import SmartMeter
from simulators.supply import WS_PER_WH
from simulators.wire import Asked, Wire, WireSession

TOKEN: Final = "token"


@dataclass(slots=True)
class Notes:
    """Of all meters, by address."""

    told: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """(second since 1970, import register in Wh) whenever it obeyed a request."""
    obeyed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Each order for the contact by what it wanted, and each token, in their order."""


class WitnessedWire:
    """A line whose meters are watched."""

    def __init__(self, wire: Wire, notes: Notes) -> None:
        self._wire = wire
        self._notes = notes

    @property
    def meters(self) -> tuple[SmartMeter, ...]:
        """See `Wire`."""
        return self._wire.meters

    def session(self) -> WireSession:
        """See `Wire`."""
        return _Session(self._wire.session(), self._notes)


class _Session:
    def __init__(self, session: WireSession, notes: Notes) -> None:
        self._session = session
        self._notes = notes

    def feed(self, data: bytes) -> Iterator[Asked]:
        return self._watched(self._session.feed(data))

    def gap(self) -> None:
        self._session.gap()

    def _watched(self, requests: Iterable[Asked]) -> Iterator[Asked]:
        for asked in requests:
            yield asked._replace(carry_out=self._noting(asked))

    def _noting(self, asked: Asked) -> Callable[[datetime], bytes]:
        def carry_out(now: datetime) -> bytes:
            before = [(m.flow.supply.remote, m.token_report) for m in asked.meters]
            answer = asked.carry_out(now)
            for meter, (remote, report) in zip(asked.meters, before, strict=True):
                self._note(meter, now)
                # An order makes a new value even where it wants what is so already.
                if meter.flow.supply.remote is not remote:
                    self._notes.obeyed[meter.address].append(meter.flow.supply.remote.order.value)
                if meter.token_report is not report:
                    self._notes.obeyed[meter.address].append(TOKEN)
            return answer

        return carry_out

    def _note(self, meter: SmartMeter, now: datetime) -> None:
        wh = forward_ws(meter, meter.flow, 0) // WS_PER_WH
        told = self._notes.told[meter.address]
        note = (int(now.timestamp()), wh)
        if not told or told[-1] != note:
            told.append(note)
