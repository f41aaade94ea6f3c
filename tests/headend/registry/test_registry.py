"""What may be registered, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, text

from headend.faults import (
    AlreadyRegisteredError,
    EntryError,
    NotAllowedError,
    NotRegisteredError,
    StoreRefusedError,
)
from headend.person import Person, Right
from headend.registry.desk import Registry
from headend.registry.entries import (
    DeviceKind,
    LinkKind,
    Network,
    NewDevice,
    NewLink,
    PlaceKind,
    PointRole,
    Standing,
)
from headend.station import Station
from storage.audit import audit_lines
from tests.shop.conftest import Clock


@pytest.fixture
def registry(station: Station) -> Registry:
    found = Registry(station)
    found.add_link(NewLink("north", "tcp://127.0.0.1:4001"))
    return found


def test_a_line_is_serial_tcp_or_a_modem_that_calls(registry: Registry) -> None:
    registry.add_network(Network("cell", 5, 100))
    registry.add_link(NewLink("desk", "serial:///dev/ttyUSB0?baud=2400"))
    registry.add_link(NewLink("hill", caller="MH1", network="cell"))
    registry.add_link(NewLink("hall", "modbus+tcp://10.0.0.9"))
    kinds = {each.name: (each.kind, each.network) for each in registry.links()}
    assert kinds == {
        "desk": (LinkKind.SERIAL, None),
        "hall": (LinkKind.TCP, None),
        "hill": (LinkKind.MODEM, "cell"),
        "north": (LinkKind.TCP, None),
    }


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        (NewLink("north", "tcp://127.0.0.1:4002"), AlreadyRegisteredError),
        (NewLink("other", "tcp://127.0.0.1:4001"), AlreadyRegisteredError),
        (NewLink("both", "tcp://127.0.0.1:1", "MH1"), EntryError),
        (NewLink("neither"), EntryError),
        (NewLink("odd", "http://127.0.0.1"), EntryError),
        (NewLink("port", "tcp://127.0.0.1"), EntryError),
        (NewLink("", "tcp://127.0.0.1:1"), EntryError),
        (NewLink("a\nb", "tcp://127.0.0.1:1"), EntryError),
        (NewLink("net", "tcp://127.0.0.1:1", network="none"), NotRegisteredError),
    ],
)
def test_a_line_that_cannot_be_is_refused(
    registry: Registry, new: NewLink, fault: type[Exception]
) -> None:
    before = registry.links()
    with pytest.raises(fault):
        registry.add_link(new)
    assert registry.links() == before


def test_a_meter_has_its_number_as_address_and_a_point_of_its_own(registry: Registry) -> None:
    registry.add_device(NewDevice(number="01000000017", link="north", kind=DeviceKind.KEYPAD))
    found = registry.device("01000000017")
    assert (found.address, found.point, found.link) == ("001000000017", "01000000017", "north")
    assert found.role is PointRole.CUSTOMER
    assert registry.links()[0].meters == 1


@pytest.mark.parametrize(
    "new",
    [
        NewDevice(number="E-17"),  # no digits: DL/T 645 needs an address
        NewDevice(number="17", address="AAAAAAAAAAAA"),
        NewDevice(number="17", address="999999999999"),
        NewDevice(number="17", protocol="dlms"),
        NewDevice(number="17", profile="eastron-sdm630"),
        NewDevice(number="17", protocol="modbus", address="1"),
        NewDevice(number="17", protocol="modbus", address="248", profile="eastron-sdm630"),
        NewDevice(number="17", protocol="modbus", address="1", profile="no-such"),
        NewDevice(number="17", ratio=0),
        NewDevice(number=""),
        NewDevice(number="17", role=PointRole.SUPPLY),
    ],
)
def test_a_meter_that_cannot_be_is_refused(registry: Registry, new: NewDevice) -> None:
    with pytest.raises(EntryError):
        registry.add_device(new)
    assert registry.devices() == []


def test_one_address_of_a_line_has_one_meter(registry: Registry) -> None:
    registry.add_device(NewDevice(number="17", link="north"))
    with pytest.raises(AlreadyRegisteredError, match="17 has the address"):
        registry.add_device(NewDevice(number="018", address="17", link="north"))
    registry.add_device(
        NewDevice(
            number="M1", address="17", protocol="modbus", profile="eastron-sdm630", link="north"
        )
    )


def test_dlt_meters_do_not_go_on_a_modbus_line(registry: Registry) -> None:
    registry.add_link(NewLink("hall", "modbus+tcp://10.0.0.9"))
    with pytest.raises(EntryError, match="carries Modbus"):
        registry.add_device(NewDevice(number="17", link="hall"))


def test_a_point_has_one_meter_at_a_time(registry: Registry) -> None:
    registry.add_device(NewDevice(number="17", point="house 4"))
    with pytest.raises(EntryError, match="replace 17"):
        registry.add_device(NewDevice(number="18", point="house 4"))


def test_a_replaced_meter_keeps_its_history(registry: Registry, clock: Clock) -> None:
    registry.add_device(NewDevice(number="17", point="house 4", link="north"))
    clock.advance(days=40)
    registry.replace_device(
        "17", NewDevice(number="18"), last_wh=120_500, first_wh=30, reason="burnt"
    )
    old, new = registry.device("17"), registry.device("18")
    assert (old.standing, old.point) == (Standing.REMOVED, None)
    assert (new.point, new.link) == ("house 4", "north")
    first, second = registry.history("house 4")
    assert (first.number, first.last_wh, first.until) == ("17", 120_500, clock.now)
    assert (second.number, second.first_wh, second.until) == ("18", 30, None)
    with pytest.raises(EntryError, match="hangs nowhere"):
        registry.replace_device("17", NewDevice(number="19"), reason="again")
    with pytest.raises(AlreadyRegisteredError):
        registry.add_device(NewDevice(number="17"))


def test_the_address_of_a_removed_meter_is_free_again(registry: Registry) -> None:
    registry.add_device(NewDevice(number="17", link="north", address="5"))
    registry.remove_device("17", last_wh=1, reason="gone")
    registry.add_device(NewDevice(number="18", link="north", address="5"))
    with pytest.raises(EntryError, match="removed"):
        registry.change_device("17", standing=Standing.ACTIVE)


def test_a_refused_replacement_changes_nothing(registry: Registry) -> None:
    registry.add_device(NewDevice(number="17", link="north"))
    registry.add_device(NewDevice(number="18", link="north"))
    with pytest.raises(AlreadyRegisteredError):
        registry.replace_device("17", NewDevice(number="18"), reason="mistake")
    assert registry.device("17").standing is Standing.ACTIVE
    assert registry.device("17").point == "17"


def test_the_database_refuses_what_care_forgets(registry: Registry, station: Station) -> None:
    registry.add_device(NewDevice(number="17", point="house 4"))
    for act in (
        "DELETE FROM end_devices",
        "UPDATE end_devices SET number = '99'",
        "DELETE FROM installations",
        "UPDATE installations SET first_wh = 5",
    ):
        with pytest.raises(StoreRefusedError), station.writing() as connection:
            connection.execute(text(act))


def test_a_meter_moves_to_another_line(registry: Registry) -> None:
    registry.add_link(NewLink("south", "tcp://127.0.0.1:4009"))
    registry.add_device(NewDevice(number="17", link="north"))
    registry.change_device("17", link="south", address="000000000099", reason="rewired")
    assert (registry.device("17").link, registry.device("17").address) == ("south", "000000000099")
    registry.change_device("17", standing=Standing.SUSPENDED)
    assert registry.device("17").standing is Standing.SUSPENDED


def test_places_form_a_tree(registry: Registry) -> None:
    registry.add_place(PlaceKind.SUBSTATION, "S1")
    registry.add_place(PlaceKind.FEEDER, "F1", "S1")
    registry.add_place(PlaceKind.AREA, "T1", "F1")
    registry.add_device(NewDevice(number="1", place="T1", role=PointRole.SUPPLY))
    registry.add_device(NewDevice(number="2", place="T1"))
    registry.add_device(NewDevice(number="3", parent_point="2"))
    assert [each.number for each in registry.devices(place="S1")] == ["1", "2"]
    for kind, name, parent in (
        (PlaceKind.SUBSTATION, "S2", "S1"),
        (PlaceKind.AREA, "T2", None),
        (PlaceKind.FEEDER, "F2", "T1"),
        (PlaceKind.FEEDER, "F2", "F1"),
    ):
        with pytest.raises(EntryError):
            registry.add_place(kind, name, parent)
    with pytest.raises(EntryError, match="own parent"):
        registry.move_point("2", place="T1", parent="3")
    registry.move_point("3", place="F1")
    assert registry.device("3").place == "F1"


def test_who_may_only_look_changes_nothing(station: Station) -> None:
    visitor = Registry(replace(station, person=Person("Vi", frozenset({Right.LOOK}))))
    with pytest.raises(NotAllowedError, match="register"):
        visitor.add_device(NewDevice(number="17"))
    assert visitor.devices() == []


def test_each_change_leaves_an_audit_line(registry: Registry, station: Station) -> None:
    registry.add_device(NewDevice(number="17"))
    with pytest.raises(AlreadyRegisteredError):
        registry.add_device(NewDevice(number="17"))
    with station.reading() as connection:
        actions = connection.scalars(
            select(audit_lines.c.action).order_by(audit_lines.c.audit_id)
        ).all()
    assert actions[-2:] == ["link.added", "device.added"]
