"""What the service does for the store on a schedule; one worker at a time, but two do no harm."""

from __future__ import annotations

from headend.station import Station
from headend.store.months import make_ahead
from headend.store.packing import pack
from headend.work.port import Work


def sweep(station: Station, work: Work) -> int:  # noqa: ARG001 - all sweeps are called alike
    """Make the partitions of months to come and pack days that are over.

    Returns:
        How many values were packed.
    """
    with station.writing() as connection:
        make_ahead(connection, station.now())
    return pack(station).values
