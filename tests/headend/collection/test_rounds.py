"""Rounds over simulated streets: read once, resumed, retried, closed, chased."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

import headend.collection.visit as visiting
from headend.collection.desk import Collection
from headend.collection.job import handler
from headend.collection.rounds import DOUBT
from headend.collection.sweep import sweep
from headend.collection.tables import contact_hours, link_hours, round_devices, round_links
from headend.registry.tables import end_devices, links
from headend.station import Station
from headend.store import readings as store
from headend.talk.device import Device
from headend.talk.happenings import Known, read_events
from headend.talk.lines import Lines
from headend.talk.reading import ReadOut
from headend.work.port import Urgency
from simulators.faces.items.dispatch import read_item
from simulators.faults import Fault, FaultPlan
from simulators.metering.smart_meter import SmartMeter
from simulators.street_plan import BusPlan
from tests.headend.collection.collecting import ENERGY, HOURLY, Head, head_end, plan_of
from tests.headend.registered import add_device
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock


@on_a_loop
async def test_a_due_plan_makes_one_round_with_a_job_for_each_link(
    station: Station, clock: Clock
) -> None:
    two = (BusPlan(name="a", listen=LISTEN, meters=3), BusPlan(name="b", listen=LISTEN, meters=2))
    async with head_end(station, clock, *two) as head:
        head.collection.add_plan("hourly", HOURLY)
        assert await head.swept() == 0
        head.wait(minutes=31)
        assert await head.swept() == 2
        (view,) = head.collection.rounds()
        assert view.counts == {"read": 5}
        assert view.ended_at is not None
        assert head.stored() == 5
        assert await head.swept() == 0


@on_a_loop
async def test_a_dead_meter_costs_only_itself_and_is_asked_again_later_and_less_urgently(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=5, dead_every=5)) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await head.swept()
        (view,) = head.collection.rounds()
        assert view.counts == {"read": 4, "waiting": 1}
        urgencies = []
        for _ in range(12):
            head.wait(minutes=5)
            await asyncio.to_thread(sweep, station, head.work)
            urgencies += [job.urgency for job in head.work.waiting if job.payload["round"] == 1]
            await head.work.run(head.handlers)
        assert urgencies[:3] == [Urgency.RETRY_SOON, Urgency.RETRY_LATE, Urgency.RETRY_LATE]
        assert 3 <= len(urgencies) <= 6
        first = head.collection.round(view.round_id)
        assert first.counts == {"read": 4, "failed": 1}
        (lost,) = head.collection.missing(view.round_id)
        assert (lost.number, lost.why) == (head.devices[4].number, "no_answer")
        assert first.ended_at is not None


@on_a_loop
async def test_a_job_whose_worker_was_killed_goes_on_where_it_was(
    station: Station, clock: Clock, database_url: str
) -> None:
    """At 2400 baud a meter takes a fifth of a second: the worker dies in the middle."""
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=10, baud=2400)) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await asyncio.to_thread(sweep, station, head.work)
        (job,) = head.work.waiting
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.headend.collection.carry_one", database_url,
            clock.now.isoformat(), job.key, str(job.line), "1",
        )  # fmt: skip
        while head.counts(1).get("read", 0) < 2:
            await asyncio.sleep(0.02)
        worker.kill()
        await worker.wait()
        kept = head.counts(1)["read"]
        assert kept < 10
        assert head.stored() == kept
        clock.advance(seconds=30)
        await head.handlers["round"](job)
        await head.handlers["round"](job)
        while head.counts(1) != {"read": 10}:  # a busy machine may have been too late for one
            clock.advance(minutes=3)
            await head.swept()
        assert head.stored() == 10


@on_a_loop
async def test_two_workers_with_the_same_job_keep_each_value_once(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=6)) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await asyncio.to_thread(sweep, station, head.work)
        (job,) = head.work.waiting
        other = Lines(station)
        second = handler(station, other, head.work)
        await asyncio.gather(head.handlers["round"](job), second(job))
        await other.aclose()
        assert head.counts(1) == {"read": 6}
        assert head.stored() == 6


@on_a_loop
async def test_a_lost_job_is_queued_anew_and_the_old_one_does_nothing(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await asyncio.to_thread(sweep, station, head.work)
        (lost,) = head.work.waiting
        head.work._waiting.clear()
        clock.now += DOUBT + timedelta(seconds=1)
        await asyncio.to_thread(sweep, station, head.work)
        (anew,) = head.work.waiting
        assert anew.key != lost.key
        await head.handlers["round"](lost)
        assert head.counts(1) == {"waiting": 4}
        await head.work.run(head.handlers)
        assert head.counts(1) == {"read": 4}


@on_a_loop
async def test_on_demand_overtakes_a_round_between_its_meters(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=8)) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await asyncio.to_thread(sweep, station, head.work)
        (job,) = head.work.waiting
        del head.work._waiting[job.key]
        number = head.devices[7].number
        demanded = await asyncio.to_thread(
            head.collection.read_now, [number], {"quantities": ["voltage_l1"]}, head.work
        )
        await head.handlers["round"](job)  # finds that a person waits
        assert head.counts(1) == {"waiting": 8}
        first, second = head.work.waiting
        assert (first.urgency, second.urgency) == (Urgency.ON_DEMAND, Urgency.ROUTINE)
        await head.work.run(head.handlers)
        assert head.counts(demanded) == {"read": 1}
        assert head.counts(1) == {"read": 8}


@on_a_loop
async def test_a_round_reads_only_within_its_windows_and_goes_on_in_the_next(
    station: Station, clock: Clock
) -> None:
    """The station's time is 17:30 in Shanghai."""
    async with head_end(station, clock) as head:
        nightly = plan_of(
            ENERGY, when={"days": list(range(1, 32)), "at": "18:00"}, windows=[["22:00", "06:00"]]
        )
        head.collection.add_plan("nightly", nightly)
        head.wait(minutes=31)
        assert await head.swept() == 0
        assert head.counts(1) == {"waiting": 4}
        head.wait(hours=3)
        assert await head.swept() == 0
        head.wait(hours=1)
        assert await head.swept() == 1
        assert head.counts(1) == {"read": 4}


@on_a_loop
async def test_a_window_that_ends_leaves_a_list_for_people_and_can_be_chased(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=3, dead_every=3)) as head:
        head.collection.add_plan("hourly", plan_of(HOURLY, within_min=10))
        head.wait(minutes=30)
        await head.swept()
        head.wait(minutes=11)
        await head.swept()
        first = head.collection.round(1)
        assert first.counts == {"read": 2, "failed": 1}
        chased = await asyncio.to_thread(head.collection.chase, 1, head.work)
        await head.work.run(head.handlers)
        assert sum(head.counts(chased).values()) == 1


@on_a_loop
async def test_seeded_faults_cost_retries_but_no_values_and_make_none_wrong(
    station: Station, clock: Clock
) -> None:
    faults = FaultPlan(
        {Fault.SILENCE: 60, Fault.BIT_ERROR: 60, Fault.CUT: 30, Fault.WRONG_ADDRESS: 30,
         Fault.NOISE: 60, Fault.DISCONNECT: 20}, seed=11,
    )  # fmt: skip
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=12, faults=faults)) as head:
        head.collection.add_plan("hourly", plan_of(HOURLY, retry_min=1))
        head.wait(minutes=30)
        await head.swept()
        for _ in range(8):
            head.clock.advance(minutes=3)
            await head.swept()
        assert head.counts(1) == {"read": 12}
        assert head.stored() == 12
        with station.reading() as connection:
            for device in head.devices:
                told = store.latest(connection, device.device_id, ["energy_import_total"])
                meter = head.street.meter(device.address)
                assert told["energy_import_total"].value == _wire_wh(meter)


def _wire_wh(meter: SmartMeter) -> int:
    raw = read_item(meter, 0x00010000)
    assert raw is not None
    return int(raw[::-1].hex()) * 10


@on_a_loop
async def test_a_broken_line_lets_its_meters_wait_and_costs_them_no_attempt(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=5)) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        port = head.street.ports[0].port
        await port.stop()
        await head.swept()
        assert head.counts(1) == {"waiting": 5}
        with station.reading() as connection:
            (share,) = connection.execute(select(round_links)).all()
        assert share.state == "resting"
        await port.start()
        _follow_port(station, head)
        head.wait(minutes=5)
        await head.swept()
        assert head.counts(1) == {"read": 5}


def _follow_port(station: Station, head: Head) -> None:
    """The simulated port may come back under another number."""
    with station.writing() as connection:
        connection.execute(update(links).values(url=head.street.ports[0].url))
    head.lines._open.clear()


@on_a_loop
async def test_a_budget_of_requests_ends_a_links_share(station: Station, clock: Clock) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=6)) as head:
        head.collection.add_plan("hourly", plan_of(HOURLY, requests=4))
        head.wait(minutes=30)
        await head.swept()
        assert head.counts(1) == {"read": 4, "skipped": 2}
        assert {lost.why for lost in head.collection.missing(1)} == {"budget"}


@on_a_loop
async def test_contacts_are_counted_by_the_hour(station: Station, clock: Clock) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=2, dead_every=2)) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await head.swept()
        with station.reading() as connection:
            visits = connection.execute(
                select(contact_hours).order_by(contact_hours.c.device_id)
            ).all()
            (line,) = connection.execute(select(link_hours)).all()
        assert [(row.asked, row.answered) for row in visits] == [(1, 1), (1, 0)]
        assert (line.asked, line.answered, line.broken) == (2, 1, 0)


@on_a_loop
async def test_after_a_pause_of_the_service_only_the_last_hourly_round_is_made(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.wait(hours=7)
        await head.swept()
        (view,) = head.collection.rounds()
        assert view.due_at == station.now().replace(minute=0)


@on_a_loop
async def test_a_meter_on_no_line_is_on_the_list_at_once(station: Station, clock: Clock) -> None:
    async with head_end(station, clock) as head:
        add_device(station, "77700000001", None)
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await head.swept()
        assert head.counts(1) == {"read": 4, "skipped": 1}
        assert [(m.number, m.why) for m in Collection(station).missing(1)] == [
            ("77700000001", "no_line")
        ]


@on_a_loop
async def test_a_meter_that_moved_to_another_line_is_left_out(
    station: Station, clock: Clock
) -> None:
    """The old line's job would open the new line beside that line's own job."""
    two = (BusPlan(name="a", listen=LISTEN, meters=2), BusPlan(name="b", listen=LISTEN))
    async with head_end(station, clock, *two) as head:
        head.collection.add_plan("hourly", plan_of(HOURLY, whom={"links": ["a"]}))
        head.wait(minutes=30)
        await asyncio.to_thread(sweep, station, head.work)
        moved, other = head.devices[0], head.devices[2]
        with station.writing() as connection:
            connection.execute(
                update(end_devices)
                .where(end_devices.c.device_id == moved.device_id)
                .values(link_id=other.link_id)
            )
        await head.work.run(head.handlers)
        assert head.counts(1) == {"read": 1, "skipped": 1}


@on_a_loop
async def test_old_rounds_are_forgotten_and_their_readings_stay(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock) as head:
        head.collection.add_plan("hourly", HOURLY)
        head.collection.add_plan("monthly", plan_of(ENERGY, when={"days": [21], "at": "18:00"}))
        head.wait(minutes=31)
        await head.swept()
        assert len(head.collection.rounds()) == 2
        head.collection.end_plan("hourly")
        head.wait(days=8)
        await head.swept()
        assert [view.name for view in head.collection.rounds()] == ["monthly"]
        assert head.stored() == 4  # both rounds read in the same second: the same values


@on_a_loop
async def test_what_nobody_had_thought_of_costs_one_part_of_one_meter(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock, BusPlan(listen=LISTEN, meters=3)) as head:
        what = {"quantities": ["energy_import_total"], "events": True, "clock": False}
        head.collection.add_plan("watch", {"what": what, "when": {"every_min": 60}})
        odd = head.devices[0].device_id

        async def stumbling(
            lines: Lines, device: Device, known: Mapping[str, Known], **more: Any
        ) -> tuple[ReadOut, dict[str, Known]]:
            if device.device_id == odd:
                raise RuntimeError("nobody had thought of this")
            return await read_events(lines, device, known, **more)

        with pytest.MonkeyPatch.context() as patch, capture_logs() as logged:
            patch.setattr(visiting, "read_events", stumbling)
            for _ in range(3):
                head.wait(minutes=30)
                await head.swept()
        assert logged[0]["event"] == "visit.broken"
        view = head.collection.round(1)
        assert view.counts == {"partial": 1, "read": 2}
        (lost,) = head.collection.missing(1)
        assert (lost.number, lost.why) == (head.devices[0].number, "visit_broken")
        with station.reading() as connection:
            (values,) = store.latest(connection, odd, ["energy_import_total"]).values()
            tries = connection.execute(
                select(round_devices.c.attempts).where(round_devices.c.device_id == odd)
            ).scalars()
            assert max(tries) >= 1
        assert values.value > 0
