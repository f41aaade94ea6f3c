"""Freezes, events and the load profile."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from protocols.dlt645 import (
    Answer,
    DataAnswer,
    Edition,
    MeterTime,
    ReadData,
    Request,
    build_load_record,
)
from protocols.dlt645.errors import FieldRangeError, LayoutError, NotInEditionError
from protocols.dlt645.master import EventKind, FreezeKind, FreezePart
from tests.protocols.dlt645.meters import METER, NO_DATA, LineMeter, bcd, line_of
from tests.protocols.transport.peers import in_loop

START = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)
STEP = timedelta(minutes=15)


def at(steps: int) -> MeterTime:
    moment = START + steps * STEP
    return MeterTime(
        year=moment.year,
        month=moment.month,
        day=moment.day,
        hour=moment.hour,
        minute=moment.minute,
    )


def record(steps: int) -> bytes:
    return build_load_record(at(steps), {4: (Decimal(steps), Decimal(0), Decimal(0), Decimal(0))})


class ProfileMeter(LineMeter):
    """Records of a day, some missing; answers only for moments that it has, as some meters do."""

    exact = True
    steps: tuple[int, ...] = tuple(n for n in range(4, 40) if n not in (10, 11, 20))

    def answer(self, request: Request, *, to_broadcast: bool) -> Answer | None:
        if not isinstance(request, ReadData) or request.di >> 24 != 6:
            return super().answer(request, to_broadcast=to_broadcast)
        assert request.blocks is not None
        if request.di & 0xFF == 0:
            chosen = self.steps[: request.blocks]
        elif request.di & 0xFF == 2:
            chosen = self.steps[-request.blocks :]
        else:
            assert request.since is not None
            first = (request.since.at(UTC) - START) // STEP
            later = tuple(step for step in self.steps if step >= first)
            if self.exact and first not in self.steps:
                later = ()
            chosen = later[: request.blocks]
        return DataAnswer(request.di, b"".join(map(record, chosen))) if chosen else NO_DATA


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("blocks", [1, 7])
def test_a_span_with_gaps_comes_whole_and_in_order(exact: bool, blocks: int) -> None:
    @in_loop
    async def run() -> None:
        meter = ProfileMeter(items={0x04000A02: bcd(15, 2)})
        meter.exact = exact
        async with line_of(meter) as (master, _):
            found = [
                found async for found in master.load_profile(METER, at(0), at(96), blocks=blocks)
            ]
        assert [entry.time for entry in found] == [at(step) for step in meter.steps]
        assert found[3].classes[4][0].value == Decimal(meter.steps[3])

    run()


@in_loop
async def test_the_end_is_the_end_and_the_grid_is_the_meters() -> None:
    async with line_of(ProfileMeter()) as (master, line):
        odd = MeterTime(year=2026, month=11, day=21, hour=1, minute=20)
        found = [entry async for entry in master.load_profile(METER, odd, at(9), interval_min=15)]
        assert [entry.time for entry in found] == [at(6), at(7), at(8)]
        assert line.heard[0].data[4:] == bytes.fromhex("013001211126")


@in_loop
async def test_earliest_latest_and_none() -> None:
    meter = ProfileMeter()
    async with line_of(meter) as (master, _):
        assert [entry.time for entry in await master.load_earliest(METER, 2)] == [at(4), at(5)]
        assert [entry.time for entry in await master.load_latest(METER)] == [at(39)]
        meter.steps = ()
        assert await master.load_latest(METER) == ()
        span = master.load_profile(METER, at(0), at(4), interval_min=15)
        assert [entry async for entry in span] == []
        with pytest.raises(FieldRangeError):
            await master.load_latest(METER, 100)


@in_loop
async def test_a_record_from_before_the_span_ends_it_with_an_error() -> None:
    class Stuck(ProfileMeter):
        def answer(self, request: Request, *, to_broadcast: bool) -> Answer | None:
            assert isinstance(request, ReadData)
            return DataAnswer(request.di, record(4))

    async with line_of(Stuck()) as (master, _):
        span = master.load_profile(METER, at(4), at(8), interval_min=15)
        assert (await anext(span)).time == at(4)
        with pytest.raises(LayoutError):
            await anext(span)


@in_loop
async def test_freezes_until_there_are_no_more() -> None:
    items = {}
    for nth in (1, 2, 3):
        items[0x05060000 | nth] = bytes.fromhex(f"0000{24 - nth}1126")
        items[0x05060100 | nth] = b"".join(bcd(1000 * nth + place, 4) for place in range(5))
    async with line_of(LineMeter(items=items)) as (master, _):
        found = [
            entry
            async for entry in master.freezes(METER, FreezeKind.DAILY, FreezePart.FORWARD_ACTIVE)
        ]
        assert [entry.nth for entry in found] == [1, 2, 3]
        assert found[1].time == MeterTime(year=2026, month=11, day=22, hour=0, minute=0)
        assert found[1].part.readings[0].value == Decimal("20.00")
        with pytest.raises(FieldRangeError):
            await anext(master.freezes(METER, FreezeKind.DAILY, latest=63))


@in_loop
async def test_events_by_their_count() -> None:
    items = {0x03300D00: bcd(2, 3)}
    for nth in (1, 2, 3):
        items[0x03300D00 | nth] = bytes.fromhex("301512211126" * 2) + bcd(nth, 4) * 12
    async with line_of(LineMeter(items=items)) as (master, _):
        assert await master.event_count(METER, EventKind.COVER_OPENED) == 2
        found = [entry async for entry in master.events(METER, EventKind.COVER_OPENED)]
        assert [entry.readings[2].value for entry in found] == [Decimal("0.01"), Decimal("0.02")]
        assert await master.event_count(METER, EventKind.POWER_DOWN) is None
        assert [entry async for entry in master.events(METER, EventKind.POWER_DOWN)] == []


@in_loop
async def test_1997_has_none_of_it() -> None:
    async with line_of(LineMeter(), edition=Edition.Y1997) as (master, line):
        for entries in (
            master.freezes(METER, FreezeKind.DAILY),
            master.load_profile(METER, at(0), at(1)),
            master.events(METER, EventKind.POWER_DOWN),
        ):
            with pytest.raises(NotInEditionError):
                await anext(entries)
        assert not line.heard
