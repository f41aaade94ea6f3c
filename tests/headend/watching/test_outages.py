"""Outages and dead lines: told apart, followed, ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from headend.collection.tables import contact_hours, link_hours
from headend.station import Station
from headend.store.events import add_events
from headend.values import MeterEvent
from headend.watching.alarms import AlarmDesk
from headend.watching.health import By, success, watch_health
from headend.watching.outage_watch import open_outages, watch_outages
from headend.watching.outages import Asked, judge_silence
from tests.headend.registered import add_line
from tests.headend.watching.town import add_meter, add_place
from tests.shop.conftest import Clock

PARENTS = {1: None, 10: 1, 11: 10, 12: 10, 13: 10}
"""A substation, a feeder, three areas."""


def _asked(place: int, links: list[int], silent: list[bool], **more: bool) -> list[Asked]:
    return [
        Asked(100 * place + number, place, link, is_silent, **more)
        for number, (link, is_silent) in enumerate(zip(links, silent, strict=True))
    ]


@pytest.mark.parametrize(
    ("asked", "dark", "dead"),
    [
        # half of the area is silent: nothing
        (_asked(11, [1] * 10, [True] * 5 + [False] * 5), [], ()),
        # four are too few to say
        (_asked(11, [1] * 4, [True] * 4), [], (1,)),
        # one line, all of it silent: the line
        (_asked(11, [1] * 10, [True] * 10), [], (1,)),
        # the same line answers elsewhere: the place
        (_asked(11, [1] * 10, [True] * 10) + _asked(12, [1] * 3, [False] * 3), [11], ()),
        # two lines fall silent together: the place
        (_asked(11, [1, 2] * 5, [True] * 10) + _asked(12, [3] * 3, [False] * 3), [11], ()),
        # a line through two places: the line, and neither place
        (_asked(11, [1] * 10, [True] * 10) + _asked(12, [1] * 10, [True] * 10), [], (1,)),
        # all of the feeder
        (
            [each for place in (11, 12, 13) for each in _asked(place, [place, 1] * 5, [True] * 10)],
            [10],
            (),
        ),
        # their last word was that the power is off
        (_asked(11, [1] * 10, [True] * 10, power_off=True), [11], ()),
    ],
)
def test_silence_is_judged(asked: list[Asked], dark: list[int], dead: tuple[int, ...]) -> None:
    judged = judge_silence(asked, PARENTS, least=5, percent=60)
    assert [each.place_id for each in judged.outages] == dark
    assert judged.dead_links == dead


@given(
    st.lists(
        st.builds(
            Asked,
            st.integers(1, 10_000),
            st.sampled_from([10, 11, 12, 13]),
            st.sampled_from([None, 1, 2, 3]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=60,
        unique_by=lambda each: each.device_id,
    )
)
def test_only_the_dark_are_in_an_outage_and_each_once(asked: list[Asked]) -> None:
    judged = judge_silence(asked, PARENTS, least=5, percent=60)
    devices = [device for each in judged.outages for device in each.device_ids]
    assert len(devices) == len(set(devices))
    assert set(devices) <= {each.device_id for each in asked if each.dark}
    for link in judged.dead_links:
        assert all(each.silent for each in asked if each.link_id == link)


class _Street:
    """Two areas of one feeder with three lines; tells who was asked and who answered."""

    def __init__(self, station: Station) -> None:
        self.station = station
        substation = add_place(station, "substation", "S")
        feeder = add_place(station, "feeder", "F", substation)
        self.lines = [add_line(station, f"tcp://h:{n}", name=f"line {n}") for n in (1, 2, 3)]
        self.areas = {name: add_place(station, "area", name, feeder) for name in ("A", "B")}
        self.meters: dict[str, list[int]] = {"A": [], "B": []}
        self.line_of: dict[int, int] = {}
        for number in range(12):
            area = "A" if number < 6 else "B"
            line = self.lines[number % 2] if area == "A" else self.lines[2]
            device, _ = add_meter(station, str(number), self.areas[area], link_id=line)
            self.meters[area].append(device)
            self.line_of[device] = line

    def hour(self, *silent: int) -> None:
        """Everybody is asked in this hour; these do not answer."""
        hour = self.station.now().replace(minute=0, second=0, microsecond=0)
        lines = dict.fromkeys(self.lines, (0, 0))
        rows = []
        for device, line in self.line_of.items():
            answered = int(device not in silent)
            rows.append({"device_id": device, "hour": hour, "asked": 1, "answered": answered})
            lines[line] = (lines[line][0] + 1, lines[line][1] + answered)
        with self.station.writing() as connection:
            connection.execute(insert(contact_hours), rows)
            connection.execute(
                insert(link_hours),
                [
                    {"link_id": line, "hour": hour, "asked": asked, "answered": answered,
                     "broken": asked - answered if not answered else 0, "busy_ms": 1}
                    for line, (asked, answered) in lines.items()
                ],
            )  # fmt: skip


def _alarms(station: Station) -> list[tuple[str, str]]:
    return sorted((each.kind, each.about) for each in AlarmDesk(station).list())


def test_an_outage_is_found_followed_and_ended(station: Station, clock: Clock) -> None:
    street = _Street(station)
    street.hour()
    assert watch_outages(station) == 0
    clock.advance(hours=1)
    street.hour(*street.meters["A"])
    assert watch_outages(station) == 1
    assert watch_outages(station) == 1, "found once, however often it is looked"
    assert _alarms(station) == [("outage", "area A")]
    with station.reading() as connection:
        (outage,) = open_outages(connection)
    assert (outage.place, outage.meters, outage.still_dark) == ("A", 6, 6)
    for still in (3, 1):
        clock.advance(hours=1)
        street.hour(*street.meters["A"][:still])
        watch_outages(station)
    with station.reading() as connection:
        assert open_outages(connection) == []
        (outage,) = open_outages(connection, ended=True)
    assert (outage.meters, outage.still_dark) == (6, 1)
    assert _alarms(station) == []


def test_an_outage_that_grows_is_told_of_at_the_place_above(station: Station, clock: Clock) -> None:
    street = _Street(station)
    street.hour()
    clock.advance(hours=1)
    street.hour(*street.meters["A"])
    watch_outages(station)
    clock.advance(hours=1)
    everybody = street.meters["A"] + street.meters["B"]
    street.hour(*everybody)
    began = station.now()
    with station.writing() as connection:
        events = [MeterEvent(device, "power_off", began) for device in street.meters["B"]]
        add_events(connection, events)
    watch_outages(station)
    assert _alarms(station) == [("outage", "feeder F")]


def test_a_dead_line_is_no_outage(station: Station, clock: Clock) -> None:
    street = _Street(station)
    street.hour()
    clock.advance(hours=1)
    street.hour(*street.meters["B"])
    assert watch_outages(station) == 0
    assert _alarms(station) == [("link_dead", "link line 3")]
    (alarm,) = AlarmDesk(station).list()
    assert "cannot be opened" in alarm.words
    clock.advance(hours=1)
    street.hour()
    watch_outages(station)
    assert _alarms(station) == []


def test_meters_that_never_answered_make_no_outage(station: Station, clock: Clock) -> None:
    street = _Street(station)
    for _ in range(3):
        street.hour(*street.meters["A"])
        assert watch_outages(station) == 0
        clock.advance(hours=1)


def test_success_is_told_by_meter_link_and_area(station: Station, clock: Clock) -> None:
    street = _Street(station)
    lazy = street.meters["A"][0]
    street.hour()
    for _ in range(30):
        clock.advance(hours=1)
        street.hour(lazy)
    with station.reading() as connection:
        meters = success(connection, By.METER, station.now())
        areas = {each.name: each for each in success(connection, By.AREA, station.now())}
        links = {each.name: each for each in success(connection, By.LINK, station.now())}
    assert meters[0].number == lazy
    assert meters[0].asked == (2, 25, 31)
    assert meters[0].answered == (0, 0, 1)
    assert [areas["A"].percent_tenths(span) for span in range(3)] == [833, 833, 838]
    assert areas["B"].percent_tenths(1) == 1000
    assert links["line 1"].percent_tenths(0) == 666


def test_silence_raises_an_alarm_that_ends_with_it(station: Station, clock: Clock) -> None:
    street = _Street(station)
    silent = street.meters["A"][0]
    for _ in range(30):
        street.hour(silent)
        clock.advance(hours=1)
    street.hour(silent, *street.meters["A"][1:4])
    watch_health(station)
    watch_health(station)
    assert _alarms(station) == [("meter_silent", "meter 0"), ("success_low", "link line 1")]
    clock.advance(hours=1)
    street.hour()
    watch_health(station)
    assert ("meter_silent", "meter 0") not in _alarms(station)


def test_a_meter_alone_on_its_line_is_told_of_when_it_is_silent(
    station: Station, clock: Clock
) -> None:
    line = add_line(station, "tcp://h:9", name="alone")
    device, _ = add_meter(station, "9", None, link_id=line)
    for _ in range(8):
        hour = station.now().replace(minute=0, second=0, microsecond=0)
        counts = {"hour": hour, "asked": 1, "answered": 0}
        with station.writing() as connection:
            connection.execute(insert(contact_hours), {"device_id": device, **counts})
            connection.execute(
                insert(link_hours), {"link_id": line, **counts, "broken": 0, "busy_ms": 1}
            )
        clock.advance(hours=1)
    watch_outages(station)
    watch_health(station)
    assert _alarms(station) == [("meter_silent", "meter 9")]
