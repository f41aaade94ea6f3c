"""Orders: sent once, settled by what the meter then shows."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from protocols.dlt645 import (
    ANY_METER,
    BROADCAST,
    Address,
    Edition,
    EncryptedRelayControl,
    ErrorByte,
    MeterTime,
    MultiFunctionOutput,
    Password,
    Refused,
    RelayCommand,
    RelayError,
    Speed,
    StatusWord3,
    freeze_time,
    parse_request,
)
from protocols.dlt645.errors import AddressError, FieldRangeError, NotInEditionError
from protocols.dlt645.master import ClockLimitError, Outcome
from protocols.dlt645.requests import ALL_EVENTS, BroadcastTime
from protocols.transport import LinkDown, LinkOptions
from tests.protocols.dlt645.meters import (
    METER,
    OTHER,
    PASSWORD,
    LineMeter,
    Losing,
    bcd,
    line_of,
)
from tests.protocols.transport.peers import in_loop

UNTIL = MeterTime(year=2026, month=11, day=21, hour=12, minute=30, second=0)
RELAY, WRITE, READ = 0x1C, 0x14, 0x11
OPEN = StatusWord3(relay_off=True, relay_command_off=True)
CLOSED = StatusWord3()
REPEATING = LinkOptions(
    delay_ms_first=250, delay_ms_max=400, margin_ms=50, retries=2, backoff_ms_first=20
)
"""A link that repeats what may be repeated: orders never are."""


# The relay


@pytest.mark.parametrize(
    ("command", "before", "supply_on"),
    [
        (RelayCommand.TRIP, CLOSED, False),
        (RelayCommand.DIRECT_CLOSE, OPEN, True),
        (RelayCommand.ALARM_ON, CLOSED, True),
        (RelayCommand.ALARM_OFF, CLOSED, True),
        (RelayCommand.PROTECTION_ON, CLOSED, True),
        (RelayCommand.PROTECTION_OFF, StatusWord3(power_protection=True), True),
    ],
)
def test_an_order_is_done_when_the_status_word_shows_it(
    command: RelayCommand, before: StatusWord3, supply_on: bool
) -> None:
    @in_loop
    async def run() -> None:
        async with line_of(LineMeter(word=before)) as (master, line):
            result = await master.relay(METER, command, UNTIL, PASSWORD, "12345678")
            assert result.outcome is Outcome.DONE
            assert result.was_sent
            assert result.before == before
            assert result.supply_on is supply_on
            assert line.count(RELAY) == 1
            (sent,) = (frame for frame in line.heard if frame.control == RELAY)
            # PA, password, operator, N1, N2, then the validity time from the second up
            assert sent.data == (
                bytes.fromhex("0256341278563412")
                + bytes((command, 0))
                + bytes.fromhex("003012211126")
            )

    run()


@in_loop
async def test_allow_close_is_not_supply_on() -> None:
    async with line_of(LineMeter(word=OPEN)) as (master, _):
        result = await master.relay(METER, RelayCommand.ALLOW_CLOSE, UNTIL, PASSWORD)
    assert result.outcome is Outcome.DONE
    assert result.supply_on is False
    assert result.awaits_button
    assert "button" in result.text


@in_loop
async def test_allow_close_with_somebody_at_the_button() -> None:
    async with line_of(LineMeter(word=OPEN, presses_button=True)) as (master, _):
        result = await master.relay(METER, RelayCommand.ALLOW_CLOSE, UNTIL, PASSWORD)
    assert result.outcome is Outcome.DONE
    assert result.supply_on is True
    assert not result.awaits_button


@in_loop
async def test_a_delayed_trip_carries_its_minutes() -> None:
    async with line_of(LineMeter()) as (master, line):
        result = await master.relay(
            METER, RelayCommand.TRIP_DELAYED_ALLOW_CLOSE, UNTIL, PASSWORD, delay_min=30
        )
        assert result.outcome is Outcome.DONE
        assert next(frame for frame in line.heard if frame.control == RELAY).data[9] == 30
        for command, delay in (
            (RelayCommand.TRIP, 5),
            (RelayCommand.TRIP_DELAYED_DIRECT_CLOSE, None),
            (RelayCommand.TRIP_DELAYED_DIRECT_CLOSE, 0),
        ):
            with pytest.raises(FieldRangeError):
                await master.relay(METER, command, UNTIL, PASSWORD, delay_min=delay)


@pytest.mark.parametrize("carries_out", [True, False])
def test_a_lost_answer_is_settled_by_the_state_and_the_order_is_on_the_wire_once(
    carries_out: bool,
) -> None:
    @in_loop
    async def run() -> None:
        meter = LineMeter(carries_out=carries_out)
        losing = Losing(RELAY)
        async with line_of(meter, mangle=losing, options=REPEATING) as (master, line):
            result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD, settle_s=0.6)
            assert losing.lost == 1
            assert result.outcome is (Outcome.DONE if carries_out else Outcome.FAILED)
            assert result.supply_on is not carries_out
            assert line.count(RELAY) == 1
            after = line.heard[[frame.control for frame in line.heard].index(RELAY) + 1 :]
            assert {frame.control for frame in after} == {READ}

    run()


@in_loop
async def test_a_lost_answer_and_a_dead_meter_leave_it_unknown() -> None:
    losing = Losing(RELAY, then_dead=True)
    async with line_of(LineMeter(), mangle=losing) as (master, line):
        result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD, settle_s=0.1)
        assert result.outcome is Outcome.UNKNOWN
        assert result.status is None
        assert result.supply_on is None
        assert line.count(RELAY) == 1


@in_loop
async def test_a_lost_answer_where_it_was_so_before_proves_nothing() -> None:
    async with line_of(LineMeter(word=OPEN), mangle=Losing(RELAY)) as (master, _):
        result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD, settle_s=0.1)
    assert result.outcome is Outcome.UNKNOWN
    assert result.supply_on is False


@in_loop
async def test_a_silent_meter_is_not_ordered() -> None:
    async with line_of(LineMeter()) as (master, line):
        result = await master.relay(OTHER, RelayCommand.TRIP, UNTIL, PASSWORD)
        assert result.outcome is Outcome.FAILED
        assert not result.was_sent
        assert line.count(RELAY) == 0


@pytest.mark.parametrize(
    ("refusal", "word"),
    [
        (Refused.of(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED), "password"),
        (Refused.of(RelayError.VALIDITY_TIME_OVER), "clock"),
        (Refused.of(RelayError.TRIP_FAILED_BY_PROTECTION), "protection"),
    ],
)
def test_a_refusal_is_failed_and_says_why(refusal: Refused, word: str) -> None:
    @in_loop
    async def run() -> None:
        async with line_of(LineMeter(refusal=refusal)) as (master, line):
            result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD)
            assert result.outcome is Outcome.FAILED
            assert result.refusal is not None
            assert result.refusal.refused == refusal
            assert word in result.text
            assert line.count(RELAY) == 1

    run()


@in_loop
async def test_a_refusal_that_was_carried_out_all_the_same_is_found_out() -> None:
    meter = LineMeter(refusal=Refused.of(ErrorByte.OTHER), does_nevertheless=True)
    async with line_of(meter) as (master, _):
        result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD)
    assert result.outcome is Outcome.DONE
    assert result.refusal is not None


@in_loop
async def test_accepted_and_nothing_happened_is_failed() -> None:
    async with line_of(LineMeter(carries_out=False)) as (master, _):
        result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD, settle_s=0.1)
    assert result.outcome is Outcome.FAILED


@in_loop
async def test_a_meter_that_has_the_order_and_has_not_moved_is_unknown() -> None:
    class Late(LineMeter):
        def _switch(self, command: RelayCommand) -> None:
            self.word = StatusWord3(relay_command_off=command is RelayCommand.TRIP)

    async with line_of(Late()) as (master, _):
        result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD, settle_s=0.1)
    assert result.outcome is Outcome.UNKNOWN
    assert "delay" in result.text


@in_loop
async def test_direct_close_on_a_meter_that_waits_for_its_button() -> None:
    class Button(LineMeter):
        def _switch(self, command: RelayCommand) -> None:
            self.word = StatusWord3(relay_off=True)

    async with line_of(Button(word=OPEN)) as (master, _):
        result = await master.relay(METER, RelayCommand.DIRECT_CLOSE, UNTIL, PASSWORD, settle_s=0.1)
    assert result.outcome is Outcome.UNKNOWN
    assert result.awaits_button
    assert result.supply_on is False


@in_loop
async def test_a_meter_without_the_status_word_is_ordered_and_nothing_is_claimed() -> None:
    async with line_of(LineMeter(word=None, carries_out=False)) as (master, line):
        result = await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD, settle_s=0.1)
        assert result.outcome is Outcome.UNKNOWN
        assert line.count(RELAY) == 1


@in_loop
async def test_an_encrypted_order_goes_through_the_operators_module() -> None:
    class Module:
        async def seal_relay(self, meter: str, plain_text: bytes) -> bytes:
            assert meter == METER
            assert plain_text == bytes.fromhex("1a00261121123000")
            return plain_text.ljust(16, b"\0") + b"MAC!"

    meter = LineMeter(refusal=Refused.of(RelayError.MAC_WRONG))
    async with line_of(meter) as (master, line):
        result = await master.relay(
            METER, RelayCommand.TRIP, UNTIL, PASSWORD, "12345678", cipher=Module()
        )
        assert result.outcome is Outcome.FAILED
        sent = next(frame for frame in line.heard if frame.control == RELAY)
        request = parse_request(sent, Edition.Y2007)
        assert isinstance(request, EncryptedRelayControl)
        assert request.cipher_and_mac[-4:] == b"MAC!"


@pytest.mark.parametrize("address", [ANY_METER, BROADCAST, "AAAAAAAA9012"])
def test_orders_go_to_one_meter_by_its_full_number(address: str) -> None:
    @in_loop
    async def run() -> None:
        async with line_of(LineMeter()) as (master, line):
            with pytest.raises(AddressError):
                await master.relay(address, RelayCommand.TRIP, UNTIL, PASSWORD)
            with pytest.raises(AddressError):
                await master.write(address, 0x04001001, Decimal(10), PASSWORD)
            with pytest.raises(AddressError):
                await master.clear_meter(address, PASSWORD)
            assert not line.heard

    run()


# Writes


ALARM = 0x04001001


@in_loop
async def test_a_write_is_read_back() -> None:
    async with line_of(LineMeter()) as (master, line):
        result = await master.write(METER, ALARM, Decimal("10.5"), PASSWORD, "12345678")
        assert result.outcome is Outcome.DONE
        assert result.held is not None
        assert result.held.value == Decimal("10.50")
        (sent,) = (frame for frame in line.heard if frame.control == WRITE)
        assert sent.data == bytes.fromhex("011000040256341278563412") + bcd(1050, 4)


@pytest.mark.parametrize("carries_out", [True, False])
def test_a_lost_answer_to_a_write_is_settled_by_reading(carries_out: bool) -> None:
    @in_loop
    async def run() -> None:
        meter = LineMeter(items={ALARM: bcd(0, 4)}, carries_out=carries_out)
        async with line_of(meter, mangle=Losing(WRITE), options=REPEATING) as (master, line):
            result = await master.write(METER, ALARM, Decimal(10), PASSWORD)
            assert result.outcome is (Outcome.DONE if carries_out else Outcome.FAILED)
            assert result.held is not None
            assert line.count(WRITE) == 1

    run()


@in_loop
async def test_a_lost_answer_to_a_write_that_cannot_be_read_back_is_unknown() -> None:
    async with line_of(LineMeter(), mangle=Losing(WRITE, then_dead=True)) as (master, line):
        result = await master.write(METER, ALARM, Decimal(10), PASSWORD)
        assert result.outcome is Outcome.UNKNOWN
        assert line.count(WRITE) == 1
    async with line_of(LineMeter(), mangle=Losing(WRITE)) as (master, line):
        result = await master.write(METER, 0x04F00101, bytes(12), PASSWORD, read_back=False)
        assert result.outcome is Outcome.UNKNOWN
        assert [frame.control for frame in line.heard] == [WRITE]


@in_loop
async def test_a_refused_write_and_one_that_the_meter_only_claims() -> None:
    refusing = LineMeter(refusal=Refused.of(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED))
    async with line_of(refusing) as (master, line):
        result = await master.write(METER, ALARM, Decimal(10), PASSWORD)
        assert result.outcome is Outcome.FAILED
        assert result.refusal is not None
        assert line.count(WRITE) == 1
    claiming = LineMeter(items={ALARM: bcd(0, 4)}, carries_out=False)
    async with line_of(claiming) as (master, _):
        result = await master.write(METER, ALARM, Decimal(10), PASSWORD)
        assert result.outcome is Outcome.FAILED
        assert "0.00" in result.text


@in_loop
async def test_a_clock_has_gone_on_when_it_is_read_back() -> None:
    class Running(LineMeter):
        def _do(self, request: object) -> None:
            self.items[0x04000102] = bytes.fromhex("070000")

    async with line_of(Running()) as (master, _):
        late = MeterTime(hour=23, minute=59, second=58)
        assert (await master.write(METER, 0x04000102, late, PASSWORD)).outcome is Outcome.DONE
        noon = MeterTime(hour=12, minute=0, second=0)
        assert (await master.write(METER, 0x04000102, noon, PASSWORD)).outcome is Outcome.FAILED


@in_loop
async def test_1997_writes_without_an_operator() -> None:
    meter = LineMeter(items={0xC032: bytes(6)})
    async with line_of(meter, edition=Edition.Y1997) as (master, line):
        result = await master.write(METER, 0xC032, "000000000042", PASSWORD)
        assert result.outcome is Outcome.DONE
        assert line.heard[0].data == bytes.fromhex("32c002563412") + bcd(42, 6)
        with pytest.raises(NotInEditionError):
            await master.relay(METER, RelayCommand.TRIP, UNTIL, PASSWORD)


@in_loop
async def test_nothing_is_in_doubt_when_the_line_was_down_from_the_start() -> None:
    async with line_of(LineMeter()) as (master, line):
        await master.link.aclose()
        result = await master.write(METER, ALARM, Decimal(10), PASSWORD)
        assert result.outcome is Outcome.FAILED
        assert not result.was_sent
        assert (await master.clear_demand(METER, PASSWORD)).was_sent is False
        with pytest.raises(LinkDown):
            await master.read(METER, ALARM)
        assert not line.heard


# Clears, freeze, address, speed, password, output


@pytest.mark.parametrize("carries_out", [True, False])
def test_a_lost_answer_to_a_clear_is_settled_by_the_meters_count(carries_out: bool) -> None:
    @in_loop
    async def run() -> None:
        meter = LineMeter(items={0x03300200: bcd(7, 3)}, carries_out=carries_out)
        async with line_of(meter, mangle=Losing(0x19), options=REPEATING) as (master, line):
            result = await master.clear_demand(METER, PASSWORD)
            assert result.outcome is (Outcome.DONE if carries_out else Outcome.FAILED)
            assert line.count(0x19) == 1

    run()


@in_loop
async def test_clears_freezes_and_the_rest_are_accepted_or_refused() -> None:
    async with line_of(LineMeter()) as (master, line):
        for result in (
            await master.clear_demand(METER, PASSWORD),
            await master.clear_meter(METER, PASSWORD),
            await master.clear_events(METER, PASSWORD),
            await master.freeze(METER),
            await master.freeze(METER, freeze_time(minute=0, hour=12)),
            await master.set_output(METER, MultiFunctionOutput.SLOT_SWITCH),
            await master.change_password(METER, 2, PASSWORD, Password(2, "654321")),
            await master.change_speed(METER, Speed.BAUD_9600, old_baud=2400),
        ):
            assert result.outcome is Outcome.DONE
        clears = next(frame for frame in line.heard if frame.control == 0x1B)
        assert clears.data[-4:] == ALL_EVENTS.to_bytes(4, "little")
    async with line_of(LineMeter(refusal=Refused.of(ErrorByte.OTHER))) as (master, _):
        assert (await master.freeze(METER)).outcome is Outcome.FAILED
    async with line_of(LineMeter(), mangle=Losing(0x18)) as (master, line):
        lost = await master.change_password(METER, 2, PASSWORD, PASSWORD)
        assert lost.outcome is Outcome.UNKNOWN
        assert line.count(0x18) == 1


@in_loop
async def test_a_broadcast_freeze_waits_for_nobody() -> None:
    async with line_of(LineMeter()) as (master, line):
        result = await master.freeze(BROADCAST)
        assert result.was_sent
        assert result.outcome is Outcome.UNKNOWN
        await master.read_address()
        assert line.count(0x16) == 1


@in_loop
async def test_an_address_is_given_and_read_back() -> None:
    async with line_of(LineMeter(), mangle=Losing(0x15)) as (master, line):
        result = await master.write_address("777")
        assert result.outcome is Outcome.DONE
        assert await master.read_address() == Address("000000000777")
        assert line.count(0x15) == 1
    meter = LineMeter(items={0x9010: bytes(4)})
    async with line_of(meter, edition=Edition.Y1997) as (master, line):
        assert (await master.write_address("777")).outcome is Outcome.DONE
        assert line.heard[0].address == BROADCAST


@pytest.mark.parametrize(("speed", "outcome"), [(9600, Outcome.DONE), (2400, Outcome.FAILED)])
def test_a_speed_is_tried_and_the_old_one_taken_back(speed: int, outcome: Outcome) -> None:
    @in_loop
    async def run() -> None:
        ours: list[int] = []

        async def switch(baud: int) -> None:
            ours.append(baud)

        lost = Losing(0x17)

        def mangle(request, answer):  # type: ignore[no-untyped-def]
            if ours and ours[-1] != speed:
                return []
            return lost(request, answer)

        async with line_of(LineMeter(), mangle=mangle) as (master, line):
            result = await master.change_speed(METER, Speed.BAUD_9600, old_baud=2400, switch=switch)
            assert result.outcome is outcome
            assert ours == ([9600] if outcome is Outcome.DONE else [9600, 2400])
            assert line.count(0x17) == 1

    run()


# Clocks


NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class ClockMeter(LineMeter):
    """Its clock stands at what it was set to."""

    takes_time = True

    def show(self, moment: datetime) -> None:
        digits = f"{moment:%y%m%d}{moment.isoweekday() % 7:02d}"
        self.items[0x04000101] = bytes.fromhex(digits)[::-1]
        self.items[0x04000102] = bytes.fromhex(f"{moment:%H%M%S}")[::-1]

    def _do(self, request: object) -> None:
        if isinstance(request, BroadcastTime) and self.takes_time:
            self.show(request.time.at(UTC))


def clock_meter(offset_s: int) -> ClockMeter:
    meter = ClockMeter()
    meter.show(NOON + timedelta(seconds=offset_s))
    return meter


@in_loop
async def test_one_clock_is_corrected_and_read_back() -> None:
    async with line_of(clock_meter(-120)) as (master, line):
        assert await master.clock_offset_s(METER, lambda: NOON) == -120
        result = await master.set_clock(METER, lambda: NOON)
        assert result.outcome is Outcome.DONE
        assert (result.offset_before_s, result.offset_after_s) == (-120, 0)
        (sent,) = (frame for frame in line.heard if frame.control == 8)
        assert sent.data == bytes.fromhex("000012211126")  # ss mm hh DD MM YY


@in_loop
async def test_a_clock_far_off_is_left_alone_and_one_that_does_not_follow_is_failed() -> None:
    async with line_of(clock_meter(301)) as (master, line):
        result = await master.set_clock(METER, lambda: NOON)
        assert result.outcome is Outcome.FAILED
        assert not result.was_sent
        assert line.count(8) == 0
    stubborn = clock_meter(100)
    stubborn.takes_time = False
    async with line_of(stubborn) as (master, line):
        result = await master.set_clock(METER, lambda: NOON)
        assert result.outcome is Outcome.FAILED
        assert line.count(8) == 1


@in_loop
async def test_clocks_are_not_touched_around_midnight() -> None:
    async with line_of(clock_meter(0)) as (master, line):
        for moment in (
            NOON.replace(hour=23, minute=56),
            NOON.replace(hour=0, minute=4),
            NOON.replace(year=1999),
        ):
            with pytest.raises(ClockLimitError):
                await master.broadcast_time(lambda moment=moment: moment)  # type: ignore[misc]
        assert not line.heard
        await master.broadcast_time(lambda: NOON)
        await master.read_address()
        assert line.heard[0].address == BROADCAST
        assert line.count(8) == 1
