"""Nobody gets round a keep-power order by changing the network."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from headend.faults import EntryError
from headend.orders.emergency import EmergencyDesk
from headend.orders.protection import ProtectionDesk
from headend.person import Person, Right
from headend.registry.desk import Registry
from headend.registry.entries import NewDevice, PlaceKind
from headend.station import Station

ENGINEER = Person("Eng", frozenset({Right.LOOK, Right.REGISTER, Right.COMMAND}))


def _protected(station: Station) -> Registry:
    registry = Registry(station)
    registry.add_place(PlaceKind.SUBSTATION, "S1")
    registry.add_place(PlaceKind.FEEDER, "F1", "S1")
    registry.add_place(PlaceKind.AREA, "A1", "F1")
    registry.add_place(PlaceKind.AREA, "A2", "F1")
    registry.add_device(NewDevice(number="17", point="house", place="A1"))
    return registry


def test_a_point_is_not_moved_out_of_a_protected_place(station: Station) -> None:
    registry = _protected(station)
    until = station.now() + timedelta(days=3)
    ProtectionDesk(station).add(place="A1", owner="Hospital", reason="ward", until=until)
    engineer = Registry(replace(station, person=ENGINEER))
    with pytest.raises(EntryError, match="keep-power order of Hospital"):
        engineer.move_point("house", place="A2")
    with pytest.raises(EntryError, match="keep-power order of Hospital"):
        engineer.remove_device("17", reason="mine now")
    assert registry.device("17").place == "A1"
    registry.move_point("house", place="A2")
    engineer.move_point("house", place="A1")


def test_a_point_is_not_moved_out_of_an_emergency(station: Station) -> None:
    _protected(station)
    EmergencyDesk(station).stop(place="A1", reason="flood")
    with pytest.raises(EntryError, match="flood"):
        Registry(replace(station, person=ENGINEER)).move_point("house", place="A2")
