"""Rows of the registry for tests that are about something else."""

from __future__ import annotations

from sqlalchemy import insert

from headend.registry.tables import end_devices, installations, links, service_points
from headend.station import Station


def add_line(station: Station, url: str, *, name: str = "line 1") -> int:
    """A TCP link; its id."""
    with station.writing() as connection:
        row = connection.execute(
            insert(links)
            .values(name=name, kind="tcp", url=url, state="active", added_at=station.now())
            .returning(links.c.link_id)
        )
        return int(row.scalar_one())


def add_device(
    station: Station,
    number: str,
    link_id: int | None,
    *,
    protocol: str = "dlt645-2007",
    address: str | None = None,
    profile: str | None = None,
    kind: str = "keypad",
) -> int:
    """A meter on a service point of its own number; the device's id."""
    now = station.now()
    with station.writing() as connection:
        device_id = int(
            connection.execute(
                insert(end_devices)
                .values(
                    number=number,
                    protocol=protocol,
                    address=address or number.zfill(12),
                    profile=profile,
                    link_id=link_id,
                    kind=kind,
                    ratio=1,
                    state="active",
                    added_at=now,
                )
                .returning(end_devices.c.device_id)
            ).scalar_one()
        )
        point_id = connection.execute(
            insert(service_points)
            .values(name=number, role="customer", added_at=now)
            .returning(service_points.c.point_id)
        ).scalar_one()
        connection.execute(
            insert(installations).values(
                point_id=point_id,
                device_id=device_id,
                since=now,
                reason="installed",
                made_by="test",
            )
        )
        return device_id
