"""Runs: killed anywhere, continued, shared; reports by area."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from billing.faults import BadEntryError, OfficeRefusedError
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.person import Person
from billing.settlement.faults import ReportDecidedError, SameReviewerError
from billing.settlement.reporting import ReportDesk
from billing.settlement.run import runs, settle_day, settle_month, sweep
from billing.settlement.spans import midnight
from billing.settlement.tables import (
    settlement_parts,
    settlement_report_lines,
    settlement_reports,
    settlement_runs,
    settlements,
)
from headend.registry.tables import places, service_points
from tests.billing.settlement.made import HOME, Home, home, judged, rate
from tests.shop.conftest import Clock

ROOT = Path(__file__).parents[3]
DAY = date(2026, 11, 20)
FIRST = date(2026, 11, 1)
A_DAY = timedelta(days=1)
HOMES = 40
WORKER = """
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo
import billing.tables_all
from billing.office import Office
from billing.privacy.seal import Seal
from billing.settlement.run import settle_day
from storage.engine import open_engine
from vending import Currency

office = Office(
    engine=open_engine(sys.argv[1]),
    zone=ZoneInfo("Asia/Shanghai"),
    currency=Currency.named("CNY"),
    clock=lambda: datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    seal=Seal(bytes(32)),
)
print("ready", flush=True)
print(settle_day(office, date(2026, 11, 20), accounts=2).state)
"""


def _street(office: Office) -> list[Home]:
    rate(office, HOME, FIRST)
    homes = [home(office, since=DAY, mode="prepaid") for _ in range(HOMES)]
    for number, one in enumerate(homes, 1):
        one.read(DAY, 0)
        one.read(DAY + A_DAY, number * 1_000)
    judged(office, DAY + A_DAY)
    return homes


def _worker(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def _require_whole(office: Office) -> None:
    """Each home settled once and posted once."""
    with office.reading() as connection:
        rows = connection.execute(select(settlements.c.supply_id, settlements.c.seq)).all()
        assert sorted(rows) == [(number, 1) for number in range(1, HOMES + 1)]
        assert (
            connection.scalar(select(func.sum(settlements.c.amount_minor)))
            == sum(range(1, HOMES + 1)) * 50
        )
        entries = connection.execute(
            select(account_entries.c.source, account_entries.c.amount_minor)
        ).all()
    assert len(entries) == HOMES
    assert sum(each.amount_minor for each in entries) == -sum(range(1, HOMES + 1)) * 50


def test_req13_a_run_that_was_killed_is_continued_and_settles_nothing_twice(
    office: Office, database_url: str
) -> None:
    _street(office)
    for pieces in (1, 4):
        worker = _worker(database_url)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        _wait_for_pieces(office, pieces)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    done = settle_day(office, DAY)
    assert (done.state, done.accounts, done.accounts_done) == ("done", HOMES, HOMES)
    assert done.settled == HOMES
    _require_whole(office)


def _wait_for_pieces(office: Office, pieces: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with office.reading() as connection:
            done = connection.scalar(
                select(func.count())
                .select_from(settlement_parts)
                .where(settlement_parts.c.state == "done")
            )
        if (done or 0) >= pieces:
            return
        time.sleep(0.005)
    pytest.fail("the worker settles nothing")


def test_req13_several_processes_share_a_run(office: Office, database_url: str) -> None:
    _street(office)
    workers = [_worker(database_url) for _ in range(2)]
    own: list[str] = []
    mine = threading.Thread(target=lambda: own.append(settle_day(office, DAY, accounts=2).state))
    mine.start()
    for worker in workers:
        said, _ = worker.communicate(timeout=120)
        assert said.split() == ["ready", "done"]
        assert worker.returncode == 0
    mine.join()
    assert own == ["done"]
    _require_whole(office)
    with office.reading() as connection:
        counts = connection.execute(
            select(settlement_runs.c.run_id, func.count(settlement_parts.c.part))
            .outerjoin(settlement_parts, settlement_parts.c.run_id == settlement_runs.c.run_id)
            .group_by(settlement_runs.c.run_id)
            .order_by(settlement_runs.c.run_id)
        ).all()
    assert counts[0][1] == HOMES // 2


def test_progress_is_told_with_the_total(office: Office) -> None:
    _street(office)
    told: list[tuple[int, int]] = []
    settle_day(office, DAY, progress=lambda done, of: told.append((done, of)), accounts=10)
    assert told == [(10, 40), (20, 40), (30, 40), (40, 40)]


def test_the_sweep_settles_what_is_due_and_is_repeatable(office: Office) -> None:
    _street(office)
    assert sweep(office) == HOMES
    assert sweep(office) == 0
    assert {(each.cycle.value, each.state) for each in runs(office)} == {
        ("hourly", "done"), ("daily", "done"), ("monthly", "done")
    }  # fmt: skip


def test_a_supply_that_is_far_behind_is_settled_in_several_transactions(office: Office) -> None:
    since = date(2026, 9, 1)
    rate(office, HOME, since)
    one = home(office, since=since, mode="prepaid")
    for number in range(82):
        one.read(since + number * A_DAY, number * 1_000)
    done = settle_day(office, date(2026, 11, 20))
    assert (done.settled, done.state) == (81, "done")


def test_req15_the_monthly_report_is_by_area_reviewed_by_another_and_immutable(
    office: Office, clock: Clock
) -> None:
    rate(office, HOME, FIRST)
    homes = [home(office, since=FIRST, cycle="monthly") for _ in range(3)]
    with office.writing() as connection:
        substation = connection.execute(
            insert(places).values(kind="substation", name="North").returning(places.c.place_id)
        ).scalar_one()
        area = connection.execute(
            insert(places)
            .values(kind="area", name="North 7", parent_id=substation)
            .returning(places.c.place_id)
        ).scalar_one()
        points = connection.scalars(select(service_points.c.point_id)).all()
        connection.execute(
            update(service_points)
            .where(service_points.c.point_id.in_(points[:2]))
            .values(place_id=area)
        )
    for number, one in enumerate(homes, 1):
        one.read(FIRST, 0)
        if number != 3:
            one.read(date(2026, 12, 1), number * 100_000)
    clock.now = midnight(date(2026, 11, 30), office.zone) + timedelta(hours=9)
    with office.writing() as connection:
        paid = Entry(
            homes[0].account_id, EntryKind.PAYMENT, 2_000, "billing.adjustments", "payment 1", "p"
        )
        post(connection, office, [paid])
    clock.now = midnight(date(2026, 12, 1), office.zone) + timedelta(hours=9)
    judged(office, date(2026, 12, 1))
    settle_month(office, FIRST)
    clerk, auditor = office.acting(Person("Wang")), office.acting(Person("Zhao"))
    report = ReportDesk(clerk).make(FIRST)
    by_area = {line.area: line for line in report.lines}
    assert set(by_area) == {"", "North 7"}
    north = by_area["North 7"]
    assert (north.accounts, north.supplies, north.waiting) == (2, 2, 0)
    assert (north.energy_wh, north.amount_minor) == (300_000, 15_000)
    assert (north.paid_minor, north.corrected_minor) == (2_000, 0)
    assert (by_area[""].energy_wh, by_area[""].waiting) == (0, 1)
    with pytest.raises(SameReviewerError):
        ReportDesk(clerk).approve(report.report_id, "looks right")
    with pytest.raises(BadEntryError):
        ReportDesk(auditor).approve(report.report_id, " ")
    final = ReportDesk(auditor).approve(report.report_id, "compared with the losses")
    assert (final.state, final.approved_by) == ("final", "Zhao")
    with pytest.raises(ReportDecidedError):
        ReportDesk(auditor).refuse(report.report_id, "too late")
    with pytest.raises(ReportDecidedError):
        ReportDesk(clerk).make(FIRST)
    names = [column.name for column in settlement_report_lines.c]
    for statement in (
        update(settlement_reports).values(words="other"),
        update(settlement_report_lines).values(paid_minor=0),
        insert(settlement_report_lines).values(
            {**dict.fromkeys(names, 0),
             "report_id": report.report_id, "line": 9, "area": "x"}
        ),
    ):  # fmt: skip
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(statement)
    # what is settled late stands in the next report
    clock.advance(hours=1)
    homes[2].read(date(2026, 12, 1), 10_000)
    settle_month(office, FIRST)
    with pytest.raises(BadEntryError):
        ReportDesk(clerk).make(date(2026, 12, 1))
    clock.now = midnight(date(2027, 1, 1), office.zone) + timedelta(hours=9)
    later = {line.area: line for line in ReportDesk(clerk).make(date(2026, 12, 1)).lines}
    assert (later[""].energy_wh, later[""].corrected_minor) == (10_000, 500)
    assert later["North 7"].energy_wh == 0
    assert later["North 7"].outstanding_minor == 13_000
