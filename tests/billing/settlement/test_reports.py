"""Monthly reports while others settle: each shows one state, and nothing falls between two."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, func, select

from billing.ledger.entry import Posted
from billing.office import Office
from billing.person import Person
from billing.settlement.correcting import follow_corrections
from billing.settlement.reporting import Report, ReportDesk
from billing.settlement.run import settle_month, settle_supplies
from billing.settlement.spans import midnight
from billing.settlement.tables import settlements
from headend.store.corrections import correct_reading
from headend.values import Reading, Source
from tests.billing.settlement.made import HOME, Home, home, judged, rate
from tests.shop.conftest import Clock

FIRST = date(2026, 11, 1)
NEXT = date(2026, 12, 1)
AFTER = date(2027, 1, 1)


@pytest.fixture
def homes(office: Office, clock: Clock) -> list[Home]:
    """Three homes whose month is over and read."""
    rate(office, HOME, FIRST)
    found = [home(office, since=FIRST, cycle="monthly") for _ in range(3)]
    for each in found:
        each.read(FIRST, 0)
        each.read(NEXT, 100_000)
    clock.now = midnight(NEXT, office.zone) + timedelta(hours=9)
    judged(office, NEXT)
    return found


def test_req15_what_is_corrected_while_a_report_is_made_stands_in_the_next_one(
    office: Office, clock: Clock, homes: list[Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.settlement.reporting._AT_ONCE", 1)
    settle_month(office, FIRST)

    def meanwhile(done: int, _total: int) -> None:
        if done != 1:
            return
        for each in (homes[0], homes[2]):  # of one that was looked at, and of one that was not
            _correct(office, each, 80_000)
        assert follow_corrections(office) == 2

    report = ReportDesk(office.acting(Person("Wang"))).make(FIRST, progress=meanwhile)
    assert report.asked_at == clock.now
    assert _sums(report) == (300_000, 15_000, 0)
    assert _sums(_next(office, clock, report)) == (-40_000, -2_000, -2_000)


@pytest.mark.timeout(60)
def test_req15_what_is_being_settled_when_a_report_is_begun_is_waited_for(
    office: Office, clock: Clock, homes: list[Home]
) -> None:
    supplies = [each.supply_id for each in homes]
    settle_supplies(office, supplies[:2])
    slow = _Slow()
    settling = threading.Thread(
        target=settle_supplies, args=(replace(office, watchers=(slow,)), supplies[2:])
    )
    made: list[Report] = []
    desk = ReportDesk(office.acting(Person("Wang")))
    reporting = threading.Thread(target=lambda: made.append(desk.make(FIRST)))
    settling.start()
    assert slow.has_begun.wait(10)
    reporting.start()
    reporting.join(0.5)
    slow.may_end.set()
    settling.join(30)
    reporting.join(30)
    assert _sums(made[0]) == (300_000, 15_000, 0)
    assert _sums(_next(office, clock, made[0])) == (0, 0, 0)


@dataclass
class _Slow:
    """A balance watcher that takes its time in the transaction of a settlement."""

    has_begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def moved(self, _connection: Connection, _office: Office, _posted: Sequence[Posted]) -> None:
        self.has_begun.set()
        self.may_end.wait(10)


def _next(office: Office, clock: Clock, report: Report) -> Report:
    """The next month's, in which nothing is used; both together are all that was settled."""
    ReportDesk(office.acting(Person("Zhao"))).approve(report.report_id, "compared")
    clock.now = midnight(AFTER, office.zone) + timedelta(hours=9)
    later = ReportDesk(office.acting(Person("Wang"))).make(NEXT)
    with office.reading() as connection:
        amount = connection.scalar(select(func.sum(settlements.c.amount_minor)))
    assert _sums(report)[1] + _sums(later)[1] == amount
    return later


def _sums(report: Report) -> tuple[int, int, int]:
    """Energy, amount, and the part of it that is of earlier months."""
    return (
        sum(line.energy_wh for line in report.lines),
        sum(line.amount_minor for line in report.lines),
        sum(line.corrected_minor for line in report.lines),
    )


def _correct(office: Office, one: Home, value: int) -> None:
    """The register at the month's end."""
    assert office.station is not None
    at = midnight(NEXT, office.zone)
    reading = Reading(one.device_id, "energy_import_total", at, 0, Source.FREEZE)
    correct_reading(office.station, reading, value=value, reason="misread")
