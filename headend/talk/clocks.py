"""How far a meter's clock is ahead, over either protocol."""

from __future__ import annotations

from typing import Final

from headend.station import Station
from headend.talk.device import Device
from headend.talk.lines import Lines
from headend.talk.reading import line_of
from protocols.transport.exchange import Priority

_TIME: Final = "time_utc"


async def read_clock_offset_s(
    lines: Lines, device: Device, *, priority: Priority = Priority.ROUTINE
) -> int | None:
    """Seconds that the meter is ahead of the station's clock; None: it has no clock to read.

    Raises:
        ProtocolError, HeadEndError: it could not be asked.
    """
    station = lines.station
    line = await line_of(lines, device)
    if device.is_modbus:
        meter = line.meter(device, priority)
        if _TIME not in meter.profile.items:
            return None
        value = (await meter.read((_TIME,))).values.get(_TIME)
        return int(value) - _seconds(station) if isinstance(value, int) else None
    master = line.master(device.edition, priority)
    return await master.clock_offset_s(
        device.address, lambda: station.now().astimezone(station.zone)
    )


def _seconds(station: Station) -> int:
    return int(station.now().timestamp())
