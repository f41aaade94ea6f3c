"""A table of meters: every bad line is told of; nothing is half done."""

from __future__ import annotations

import pytest

from headend.faults import EntryError
from headend.registry.desk import Registry
from headend.registry.entries import NewLink
from headend.station import Station

_GOOD = [
    "number,protocol,address,profile,link,kind\n",
    "17,,,,north,keypad\n",
    "18,dlt645-1997,0099,,north,\n",
    "M3,modbus,3,eastron-sdm630,north,credit\n",
]


@pytest.fixture
def registry(station: Station) -> Registry:
    found = Registry(station)
    found.add_link(NewLink("north", "tcp://127.0.0.1:4001"))
    return found


def test_all_good_lines_are_registered_once(registry: Registry) -> None:
    report = registry.import_devices(_GOOD)
    assert (report.lines, report.added, report.there, report.bad) == (3, 3, 0, ())
    assert [each.number for each in registry.devices()] == ["17", "18", "M3"]
    again = registry.import_devices(_GOOD)
    assert (again.added, again.there, again.bad) == (0, 3, ())


def test_every_bad_line_is_named_and_nothing_is_registered(registry: Registry) -> None:
    lines = [
        "\ufeffnumber,link,ratio,kind\n",
        "17,north,1,keypad\n",
        "18,south,1,keypad\n",
        "19,north,x,keypad\n",
        "17,north,1,credit\n",
        "20,north,1,gas\n",
        "21,north\n",
        ",north,1,\n",
    ]
    report = registry.import_devices(lines)
    assert [(each.line, each.code) for each in report.bad] == [
        (3, "not_registered"),
        (4, "entry"),
        (5, "already_registered"),
        (6, "entry"),
        (7, "entry"),
        (8, "entry"),
    ]
    assert registry.devices() == []
    kept = registry.import_devices(lines, skip_bad=True)
    assert kept.added == 1
    assert [each.number for each in registry.devices()] == ["17"]


def test_a_dry_run_registers_nothing(registry: Registry) -> None:
    assert registry.import_devices(_GOOD, dry_run=True).added == 3
    assert registry.devices() == []


@pytest.mark.parametrize(
    "lines",
    [[], ["link\n"], ["number,number\n"], ["number,colour\n"], ['number\n"17\n']],
)
def test_what_is_no_table_is_refused(registry: Registry, lines: list[str]) -> None:
    with pytest.raises(EntryError):
        registry.import_devices(lines)
