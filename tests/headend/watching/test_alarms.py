"""Alarms: one open for each kind and subject, acknowledged, escalated, closed, remembered."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import delete, func, insert, select, update

from headend.faults import EntryError, NotAllowedError, StoreRefusedError
from headend.person import Person, Right
from headend.station import Station
from headend.watching.alarms import AlarmDesk, Severity, close_if_open, raise_alarm
from headend.watching.escalation import Step, escalate, set_steps, take_notices
from headend.watching.faults import AlarmClosedError, NoSuchAlarmError
from headend.watching.tables import alarm_history, alarm_notices, alarms
from tests.headend.registered import add_line
from tests.headend.watching.town import add_meter, add_place
from tests.shop.conftest import Clock

ANNA = Person("anna")


def _raise(
    station: Station, kind: str = "odd", severity: Severity = Severity.NOTICE, **subject: int
) -> int:
    with station.writing() as connection:
        return raise_alarm(
            connection, kind, severity=severity, words="Look.", at=station.now(), **subject
        )


def test_a_repeated_alarm_is_counted_and_never_becomes_milder(
    station: Station, clock: Clock
) -> None:
    device, _ = add_meter(station, "1", None)
    first = _raise(station, severity=Severity.CRITICAL, device_id=device)
    began = station.now()
    clock.advance(minutes=5)
    assert _raise(station, device_id=device) == first
    (alarm,) = AlarmDesk(station).list()
    assert (alarm.about, alarm.count, alarm.severity) == ("meter 1", 2, Severity.CRITICAL)
    assert (alarm.first_at, alarm.last_at) == (began, station.now())


def test_each_kind_and_subject_has_an_alarm_of_its_own(station: Station) -> None:
    device, _ = add_meter(station, "1", None)
    link = add_line(station, "tcp://127.0.0.1:1")
    place = add_place(station, "substation", "S1")
    numbers = {
        _raise(station),
        _raise(station, "worse"),
        _raise(station, device_id=device),
        _raise(station, link_id=link),
        _raise(station, place_id=place),
    }
    assert len(numbers) == 5
    about = {alarm.about for alarm in AlarmDesk(station).list()}
    assert about == {"station", "meter 1", "link line 1", "substation S1"}
    with pytest.raises(EntryError, match="one thing"):
        _raise(station, device_id=device, link_id=link)


def test_the_database_itself_refuses_a_second_open_alarm(station: Station) -> None:
    _raise(station)
    row = {
        "kind": "odd",
        "subject": "station",
        "severity": "notice",
        "words": "Again.",
        "first_at": station.now(),
        "last_at": station.now(),
        "count": 1,
        "step": 0,
    }
    with pytest.raises(StoreRefusedError), station.writing() as connection:
        connection.execute(insert(alarms), row)
    with pytest.raises(StoreRefusedError), station.writing() as connection:
        connection.execute(insert(alarms), {**row, "subject": "device 7"})


def test_alarms_raised_at_once_are_one(station: Station) -> None:
    place = add_place(station, "substation", "S1")
    threads = [
        threading.Thread(target=_raise, args=(station,), kwargs={"place_id": place})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (alarm,) = AlarmDesk(station).list()
    assert alarm.count == 8
    assert [entry.act for entry in AlarmDesk(station).show(alarm.alarm_id)[1]] == ["raised"]


def test_who_acknowledged_and_closed_and_why_stays_visible(station: Station) -> None:
    desk = AlarmDesk(replace(station, person=ANNA))
    number = _raise(station)
    desk.acknowledge(number, "On my way.")
    with pytest.raises(AlarmClosedError, match="acknowledged already, by anna"):
        desk.acknowledge(number, "Me too.")
    desk.close(number, "A fuse; replaced.")
    with pytest.raises(AlarmClosedError, match="closed already"):
        desk.close(number, "Again.")
    alarm, history = desk.show(number)
    assert alarm.state == "closed"
    assert [(entry.act, entry.actor, entry.words) for entry in history] == [
        ("raised", "meterhouse", "Look."),
        ("acknowledged", "anna", "On my way."),
        ("closed", "anna", "A fuse; replaced."),
    ]
    assert desk.list() == []
    assert _raise(station) != number, "a cause that comes back is another alarm"


def test_an_alarm_without_a_cause_closes_itself(station: Station) -> None:
    number = _raise(station)
    with station.writing() as connection:
        assert close_if_open(connection, "odd", words="Gone.", at=station.now())
        assert not close_if_open(connection, "odd", words="Gone.", at=station.now())
    alarm, _ = AlarmDesk(station).show(number)
    assert alarm.closed_by == "meterhouse"


def test_words_rights_and_numbers_are_asked_for(station: Station) -> None:
    number = _raise(station)
    desk = AlarmDesk(station)
    with pytest.raises(EntryError, match="some words"):
        desk.acknowledge(number, " ")
    with pytest.raises(NoSuchAlarmError, match="alarm list"):
        desk.close(number + 1, "What?")
    looker = AlarmDesk(replace(station, person=Person("ben", frozenset({Right.LOOK}))))
    with pytest.raises(NotAllowedError):
        looker.acknowledge(number, "Mine.")


@pytest.mark.parametrize("table", [alarms, alarm_history])
def test_alarms_and_their_history_are_never_deleted(station: Station, table: object) -> None:
    _raise(station)
    with pytest.raises(StoreRefusedError, match="never"), station.writing() as connection:
        connection.execute(delete(table))  # type: ignore[arg-type]
    with pytest.raises(StoreRefusedError, match="never"), station.writing() as connection:
        connection.execute(update(alarm_history).values(words="Nothing."))


def test_an_alarm_that_nobody_takes_climbs_its_steps(station: Station, clock: Clock) -> None:
    steps = [Step(0, "notice", "duty"), Step(15, "warning", "lead"), Step(60, "critical", "boss")]
    set_steps(station, "odd", steps)
    number = _raise(station)
    told = []
    for minutes in (0, 14, 1, 60, 600):
        clock.advance(minutes=minutes)
        escalate(station)
        with station.writing() as connection:
            told.append([each.recipients for each in take_notices(connection, station.now())])
    assert told == [["duty"], [], ["lead"], ["boss"], []]
    alarm, history = AlarmDesk(station).show(number)
    assert alarm.severity == Severity.CRITICAL
    assert [entry.act for entry in history] == ["raised"] + ["escalated"] * 3


def test_acknowledging_stops_the_climb(station: Station, clock: Clock) -> None:
    number = _raise(station)
    assert escalate(station) == 1
    AlarmDesk(station).acknowledge(number, "Mine.")
    clock.advance(days=3)
    assert escalate(station) == 0


def test_shortened_steps_end_an_escalation(station: Station, clock: Clock) -> None:
    _raise(station)
    escalate(station)
    set_steps(station, "odd", [Step(0, "notice", "duty")])
    clock.advance(days=3)
    escalate(station)
    assert escalate(station) == 0
    with station.reading() as connection:
        assert connection.execute(select(func.count()).select_from(alarm_notices)).scalar() == 1


@pytest.mark.parametrize(
    "steps",
    [
        [Step(10, "notice", "a"), Step(10, "warning", "b")],
        [Step(-1, "notice", "a")],
        [Step(1, "loud", "a")],
        [Step(1, "notice", "")],
    ],
)
def test_steps_that_cannot_be_are_refused(station: Station, steps: list[Step]) -> None:
    with pytest.raises(EntryError):
        set_steps(station, "odd", steps)
