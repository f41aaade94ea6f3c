"""Alarms reach those on duty: the first at once, a storm as one message."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from billing.faults import BadEntryError
from billing.notices.faults import UnknownMessageError
from billing.notices.staff import StaffDesk
from billing.notices.sweeping import sweep
from billing.notices.tables import staff_alarms
from billing.office import Office
from headend.watching.alarms import Severity, raise_alarm
from headend.watching.tables import alarm_notices
from tests.billing.notices.made import set_up
from tests.shop.conftest import Clock


def alarm(office: Office, words: str, severity: Severity, recipients: str = "duty") -> None:
    at = office.now()
    with office.writing() as connection:
        number = raise_alarm(connection, words, severity=severity, words=words, at=at)
        connection.execute(
            insert(alarm_notices).values(
                alarm_id=number,
                step=1,
                severity=severity,
                recipients=recipients,
                words=words,
                due_at=at,
            )
        )


def texts(folder: Path) -> list[str]:
    paths = sorted(folder.iterdir(), key=lambda path: int(path.name.split(".")[1]))
    return [path.read_text() for path in paths]


def test_req16_a_storm_of_alarms_is_two_messages_to_each_on_duty(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {"folder": str(tmp_path)})
    alarm(office, "feeder 1 is out", Severity.CRITICAL)
    sweep(office)
    assert texts(tmp_path) == []  # nobody is named yet
    desk = StaffDesk(office)
    desk.add("duty", "email", "duty@power.example")
    desk.add("duty", "email", "second@power.example", "zh")
    desk.add("losses", "email", "losses@power.example")
    sweep(office)
    first = texts(tmp_path)
    assert len(first) == 2
    assert "To: duty@power.example" in first[0]
    assert "1 alarm(s) for duty, worst: critical" in first[0]
    assert "feeder 1 is out" in first[0]
    assert "告警" in first[1]
    for number in range(100):
        alarm(office, f"meter {number} is silent", Severity.WARNING)
    alarm(office, "feeder 2 is out", Severity.CRITICAL)
    sweep(office)
    assert len(texts(tmp_path)) == 2
    clock.advance(minutes=5)
    sweep(office)
    third = texts(tmp_path)[2]
    assert len(texts(tmp_path)) == 4
    assert "101 alarm(s)" in third
    assert third.index("feeder 2 is out") < third.index("meter 0 is silent")
    assert "... +61" in third
    sweep(office)
    assert len(texts(tmp_path)) == 4


def test_a_role_without_an_address_keeps_its_alarms(office: Office, tmp_path: Path) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {"folder": str(tmp_path)})
    desk = StaffDesk(office)
    number = desk.add("duty", "email", "duty@power.example")
    alarm(office, "late at night", Severity.CRITICAL, "management")
    sweep(office)
    with office.reading() as connection:
        assert connection.scalars(select(staff_alarms.c.notice_id)).all() == [None]
    desk.add("management", "email", "boss@power.example")
    sweep(office)
    assert len(texts(tmp_path)) == 1
    desk.remove(number)
    assert [each.address for each in desk.list()] == ["boss@power.example"]
    with pytest.raises(UnknownMessageError):
        desk.remove(number)
    with pytest.raises(BadEntryError):
        desk.add("duty", "pigeon", "x")
