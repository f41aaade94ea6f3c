"""`Registry`: what there is, and changes of it, each with its line in the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from headend.faults import EntryError
from headend.orders.cover import cover_of
from headend.person import Right
from headend.registry import devices, lines, places, table_import
from headend.registry.entries import (
    Device,
    Installation,
    Link,
    Network,
    NewDevice,
    NewLink,
    Place,
    PlaceKind,
    Standing,
)
from headend.registry.table_import import Imported
from headend.station import Station
from storage import audit


class _UndoError(Exception):
    """Ends a transaction whose writes are not wanted."""


def _undo_if(unwanted: bool) -> None:
    if unwanted:
        raise _UndoError


class Registry:
    """Links, places, service points and meters.

    Looking needs `Right.LOOK`, changing `Right.REGISTER` (`NotAllowedError`).  All of it raises
    `StoreUnavailableError` when the database does not answer; a change that is refused has
    changed nothing.
    """

    def __init__(self, station: Station) -> None:
        self._station = station

    # Lines

    def add_network(self, new: Network) -> None:
        """Register a budget that lines share; see `insert_network`."""
        with self._changing("network.added", new.name) as connection:
            lines.insert_network(connection, new)

    def networks(self) -> list[Network]:
        """All budgets."""
        with self._looking() as connection:
            return lines.list_networks(connection)

    def add_link(self, new: NewLink) -> int:
        """Register a line; see `insert_link`."""
        with self._changing("link.added", new.name) as connection:
            return lines.insert_link(connection, new, self._station.now())

    def links(self) -> list[Link]:
        """All lines."""
        with self._looking() as connection:
            return lines.list_links(connection)

    def suspend_link(self, name: str, *, reason: str = "") -> None:
        """Leave a line alone until it is resumed; see `set_link_standing`."""
        with self._changing("link.suspended", name, reason=reason) as connection:
            lines.set_link_standing(connection, name, Standing.SUSPENDED)

    def resume_link(self, name: str) -> None:
        """Speak on a line again."""
        with self._changing("link.resumed", name) as connection:
            lines.set_link_standing(connection, name, Standing.ACTIVE)

    def change_link(self, name: str, url: str) -> None:
        """Reach a line somewhere else; see `change_link_url`."""
        with self._changing("link.changed", name) as connection:
            lines.change_link_url(connection, name, url)

    # Places

    def add_place(self, kind: PlaceKind, name: str, parent: str | None = None) -> int:
        """Register a part of the network; see `insert_place`."""
        with self._changing("place.added", name, detail=kind.value) as connection:
            return places.insert_place(connection, kind, name, parent)

    def places(self) -> list[Place]:
        """All places."""
        with self._looking() as connection:
            return places.list_places(connection)

    def move_point(self, name: str, *, place: str | None, parent: str | None = None) -> None:
        """Put a service point elsewhere; see `places.move_point`."""
        with self._changing("point.moved", name, detail=place or "nowhere") as connection:
            self._require_free(connection, places.point_row(connection, name).point_id)
            places.move_point(connection, name, place=place, parent=parent)

    # Meters

    def add_device(self, new: NewDevice, *, reason: str = "installed") -> int:
        """Register a meter at its service point; see `insert_device`."""
        with self._changing("device.added", new.number, reason=reason) as connection:
            return devices.insert_device(
                connection, new, self._station.now(), reason=reason, by=self._station.person.name
            )

    def import_devices(
        self,
        text: Iterable[str],
        *,
        skip_bad: bool = False,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Imported:
        """Register the meters of a CSV table, wholly or, with ``skip_bad``, the good lines.

        Raises:
            EntryError: no table, unknown headings, or no ``number`` among them.
        """
        self._station.require(Right.REGISTER)
        report: Imported | None = None
        try:
            with self._station.writing() as connection:
                report = table_import.import_devices(
                    connection,
                    text,
                    self._station.now(),
                    by=self._station.person.name,
                    progress=progress,
                )
                _undo_if(dry_run or (bool(report.bad) and not skip_bad))
                if report.added:
                    self._record(connection, "devices.imported", f"{report.added} meters")
        except _UndoError:
            pass
        assert report is not None
        return report

    def device(self, number: str) -> Device:
        """A meter where it is now; see `find_device`."""
        with self._looking() as connection:
            return devices.find_device(connection, number)

    def devices(
        self,
        *,
        link: str | None = None,
        place: str | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[Device]:
        """Meters by number; of a line, or of a place and what is below it.

        Raises:
            NotRegisteredError: no such place.
        """
        with self._looking() as connection:
            below = None
            if place is not None:
                row = places.place_row(connection, place)
                below = places.places_below(connection, row.place_id)
            return devices.list_devices(
                connection, link=link, place_ids=below, after=after, limit=limit
            )

    def history(self, point: str) -> list[Installation]:
        """The meters that a service point has had; see `devices.history`."""
        with self._looking() as connection:
            return devices.history(connection, point)

    def replace_device(
        self,
        number: str,
        new: NewDevice,
        *,
        last_wh: int | None = None,
        first_wh: int | None = None,
        reason: str,
    ) -> int:
        """Put another meter in the place of one; see `devices.replace_device`."""
        detail = f"by {new.number}"
        with self._changing("device.replaced", number, detail=detail, reason=reason) as connection:
            return devices.replace_device(
                connection,
                number,
                new,
                self._station.now(),
                last_wh=last_wh,
                first_wh=first_wh,
                reason=reason,
                by=self._station.person.name,
            )

    def remove_device(self, number: str, *, last_wh: int | None = None, reason: str) -> None:
        """Take a meter away; see `devices.remove_device`."""
        with self._changing("device.removed", number, reason=reason) as connection:
            point_id = devices.point_of(connection, number)
            if point_id is not None:
                self._require_free(connection, point_id)
            devices.remove_device(connection, number, self._station.now(), last_wh)

    def change_device(
        self,
        number: str,
        *,
        link: str | None = None,
        address: str | None = None,
        credential: str | None = None,
        standing: Standing | None = None,
        reason: str = "",
    ) -> None:
        """Reach a meter elsewhere, suspend or resume it; see `devices.change_device`."""
        with self._changing("device.changed", number, reason=reason) as connection:
            devices.change_device(
                connection,
                number,
                link=link,
                address=address,
                credential=credential,
                standing=standing,
            )

    # What all of it shares

    def _require_free(self, connection: Connection, point_id: int) -> None:
        """Refuse to take a point out of a protection without the right to protect.

        Raises:
            EntryError: a keep-power order or an emergency stop covers it.
        """
        if self._station.person.may(Right.PROTECT):
            return
        words = cover_of(connection, point_id, self._station.now())
        if words is not None:
            raise EntryError(
                f"{words} covers this point: who may protect customers has to move it, or to end "
                "that first."
            )

    @contextmanager
    def _changing(
        self, action: str, subject: str, *, detail: str = "", reason: str = ""
    ) -> Iterator[Connection]:
        self._station.require(Right.REGISTER)
        with self._station.writing() as connection:
            yield connection
            self._record(connection, action, subject, detail=detail, reason=reason)

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        self._station.require(Right.LOOK)
        with self._station.reading() as connection:
            yield connection

    def _record(
        self,
        connection: Connection,
        action: str,
        subject: str,
        *,
        detail: str = "",
        reason: str = "",
    ) -> None:
        audit.record(
            connection,
            self._station.now(),
            actor=self._station.person.name,
            action=action,
            subject=subject,
            detail=detail,
            reason=reason,
        )
