"""Whatever comes by wire, a simulated meter neither falls over nor loses count."""

import gc
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols.dlt645 import (
    BroadcastTime,
    BroadcastTime1997,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    Edition,
    Frame,
    FrameDecoder,
    Freeze,
    MeterTime,
    ReadData,
    ReadData1997,
    ReadFollowing,
    ReadFollowing1997,
    RelayCommand,
    RelayControl,
    Request,
    Security,
    WriteData,
    WriteData1997,
    encode,
    freeze_time,
    request_frame,
)
from protocols.dlt645.catalogue import decode, find, items
from protocols.dlt645.controls import Function1997, Function2007
from protocols.dlt645.security import (
    OPEN_ACCOUNT,
    RECHARGE,
    STATUS_QUERY,
    WALLET_INITIALISATION,
    Purchase,
)
from protocols.modbus import Framing, load_profile
from protocols.token_block.dlt645 import TOKEN_DI
from simulators.bus import Bus, BusSession
from simulators.faces.items import read_item
from simulators.faults import Fault, FaultPlan
from simulators.metering.esam import PUBLIC_TEST_MAC
from simulators.metering.smart_meter import SmartMeter
from simulators.wire import Dlt645Wire, ModbusWire, crc
from tests.simulators.wire_bench import OPERATOR, PASSWORD, WireBench

KEYPAD = load_profile("meterhouse-keypad")
ADDRESSES = ("001000000016", "AA" * 6, "99" * 6, "AAAAAAAA0016", "000000000001")
CONTROLS = [*Function2007, *Function1997]
PASSWORD_AND_OPERATOR = bytes.fromhex("02000000 78563412")
WRITABLE = [
    0x04000101, 0x04000102, 0x0400010C, 0x04000103, 0x04000401, 0x04000901, 0x04000A02,
    0x04000B01, 0x04000B02, 0x04001001, 0x04001003, 0x04001005, 0x04001202, 0x04001203,
    0x04010001, 0x04050101, TOKEN_DI,
]  # fmt: skip
KNOWN_ITEMS = [
    0x00010000, 0x0001FF00, 0x000100FF, 0x00900200, 0x01010000, 0x0201FF00, 0x02800004,
    0x03110001, 0x03300001, 0x04000101, 0x04000102, 0x0400010C, 0x04000401, 0x04000503,
    0x04000A02, 0x04000B01, 0x04001003, 0x04010001, 0x04050101, 0x05060001, 0x0506FF01,
    0x06000000, 0x06000002, 0x1D000101, TOKEN_DI, OPEN_ACCOUNT, RECHARGE, STATUS_QUERY,
    WALLET_INITIALISATION, 0xFFFFFFFF,
]  # fmt: skip
READ_1997 = [0x9010, 0x90FF, 0x901F, 0xA01F, 0xB01F, 0xB6FF, 0xC0FF, 0xC33F]
WRITABLE_1997 = [0xC010, 0xC011, 0xC117, 0xC111]
MONTHLY = freeze_time(day=1, hour=0, minute=0)
FACES = ["2007", "1997", "modbus-rtu", "modbus-tcp"]


def session_of(bench: WireBench, face: str) -> BusSession:
    if face.startswith("modbus"):
        framing = Framing.TCP if face == "modbus-tcp" else Framing.RTU
        wire = ModbusWire({1: bench.meter}, KEYPAD, framing, bench.clock.now)
        return Bus(wire).connect()
    return Bus(Dlt645Wire([bench.meter], Edition(face))).connect()


def check(meter: SmartMeter) -> None:
    """What always holds, to the watt-second and the grain."""
    flow = meter.flow
    registers = flow.supply.registers
    assert (
        registers.accepted_ws + registers.uncredited_ws
        == registers.consumed_ws + registers.remaining_ws + registers.cleared_ws
    )
    assert sum(flow.forward_ws) + sum(flow.reverse_ws) == registers.consumed_ws
    purse = flow.supply.purse
    if purse is not None:
        assert purse.balance_grains + purse.overdraft_grains >= 0 or purse.is_cut


parts = st.binary(max_size=60) | st.sampled_from(
    [bytes.fromhex("6816"), b"\x68" * 9, b"\xfe" * 8, bytes(12), b"\x01\x03\x01\x00\x00\x04"]
)


@pytest.mark.parametrize("face", FACES)
@given(stream=st.lists(parts, max_size=30))
def test_any_bytes_are_borne(face: str, stream: list[bytes]) -> None:
    bench = WireBench()
    session = session_of(bench, face)
    for place, data in enumerate(stream):
        session.receive(data, bench.now, float(place % 3))
    check(bench.meter)


digits = st.sampled_from(b"\x00\x01\x02\x12\x23\x30\x59\x99")
bcd = st.lists(digits, min_size=1, max_size=6).map(bytes)
known_items = st.sampled_from(KNOWN_ITEMS)
moments = st.builds(
    MeterTime,
    year=st.sampled_from([2000, 2026, 2027, 2099]),
    month=st.sampled_from([1, 2, 11, 12]),
    day=st.sampled_from([1, 21, 22, 28]),
    hour=st.sampled_from([0, 16, 23]),
    minute=st.sampled_from([0, 30, 59]),
    second=st.sampled_from([0, 59]),
)
purchases = st.builds(
    Purchase,
    st.sampled_from([0, 1, 5_000, 99_999_999, 0xFFFFFFFF]),
    st.integers(0, 4),
    st.just(PUBLIC_TEST_MAC),
    st.sampled_from(["000000000000", "000000000042"]),
    st.just(PUBLIC_TEST_MAC),
)


@st.composite
def writes(draw: st.DrawFn) -> Request:
    """A value of the right length for an item that may be written."""
    di = draw(st.sampled_from(WRITABLE))
    item = find(di)
    length = item.length if item is not None else None
    data = draw(st.lists(digits, min_size=length or 12, max_size=length or 12).map(bytes))
    return WriteData(di, PASSWORD, OPERATOR, data[:50])


sound_requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(ReadData, known_items),
    st.builds(ReadData, st.sampled_from([0x06000000, 0x06000002, 0x06040001]), st.integers(1, 99)),
    st.builds(ReadData, st.just(0x06000001), st.integers(1, 20), moments),
    st.builds(ReadFollowing, known_items, st.integers(1, 4)),
    writes(),
    st.builds(BroadcastTime, moments),
    st.builds(
        RelayControl, st.just(PASSWORD), st.just(OPERATOR), st.sampled_from(RelayCommand), moments,
        st.integers(0, 3),
    ),
    st.builds(lambda purchase: Security(OPEN_ACCOUNT, OPERATOR, purchase.encode()), purchases),
    st.builds(lambda purchase: Security(RECHARGE, OPERATOR, purchase.encode()), purchases),
    st.just(Security(STATUS_QUERY, OPERATOR)),
    st.builds(ClearDemand, st.just(PASSWORD), st.just(OPERATOR)),
    st.builds(ClearMeter, st.just(PASSWORD), st.just(OPERATOR)),
    st.builds(ClearEvents, st.just(PASSWORD), st.just(OPERATOR)),
    st.builds(Freeze, st.sampled_from([freeze_time(), freeze_time(minute=9), MONTHLY])),
)  # fmt: skip
sound_1997: st.SearchStrategy[Request] = st.one_of(
    st.builds(ReadData1997, st.sampled_from(READ_1997)),
    st.builds(ReadFollowing1997, st.sampled_from([0x90FF, 0x9010])),
    st.builds(BroadcastTime1997, moments),
    st.builds(WriteData1997, st.sampled_from(WRITABLE_1997), st.just(PASSWORD), bcd),
)  # fmt: skip


@st.composite
def nearly_requests(draw: st.DrawFn) -> bytes:
    """A good frame with anything in it, some of it nearly right."""
    di = draw(known_items | st.integers(0, 0xFFFFFFFF)).to_bytes(4, "little")
    head = draw(st.sampled_from([b"", di, di[:2], di + PASSWORD_AND_OPERATOR]))
    body = draw(st.binary(max_size=40) | bcd)
    control = draw(st.sampled_from(CONTROLS) | st.integers(0, 255))
    return encode(Frame(draw(st.sampled_from(ADDRESSES)), int(control), (head + body)[:200]))


class AnythingByWire(RuleBasedStateMachine):
    """Frames of any content, tokens, covers and power cuts, under the invariants."""

    bench: WireBench

    @initialize(
        kind=st.sampled_from(["keypad", "money"]),
        edition=st.sampled_from([Edition.Y2007, Edition.Y1997]),
        ratings=st.fixed_dictionaries(
            {}, optional={"needs_programming_key": st.just(False), "load_records_max": st.just(9)}
        ),
    )
    def begin(self, kind: str, edition: Edition, ratings: dict[str, Any]) -> None:
        self.bench = WireBench(
            kind, edition=edition, load="home", credit_wh=900, amount_minor=80,
            password_tries=10**9, **ratings,
        )  # fmt: skip

    @rule(data=nearly_requests())
    def frame(self, data: bytes) -> None:
        self._send(data)

    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        is_new = self.bench.edition is Edition.Y2007
        request = data.draw(sound_requests if is_new else sound_1997)
        self._send(encode(request_frame(request, self.bench.meter.address)))

    def _send(self, data: bytes) -> None:
        before = self.bench.meter.address
        for answer in FrameDecoder().feed(self.bench.send(data)):
            assert answer.from_meter
            assert answer.address in (before, self.bench.meter.address)
            assert len(answer.data) <= 200

    @rule(seconds=st.sampled_from([0, 1, 59, 3_600, 86_400, 10 * 86_400]))
    def wait(self, seconds: int) -> None:
        self.bench.wait(seconds)

    @precondition(lambda self: self.bench.meter.has_power)
    @rule(good=st.booleans())
    def token(self, good: bool) -> None:
        digits = self.bench.credit(3) if good else "12345678901234567890"
        self.bench.meter.take_token(1, digits, self.bench.now)

    @rule(phases=st.integers(0, 7))
    def reverse(self, phases: int) -> None:
        self.bench.meter.reverse_current(phases, self.bench.now)

    @rule(opened=st.booleans())
    def cover(self, opened: bool) -> None:
        change = self.bench.meter.open_cover if opened else self.bench.meter.close_cover
        change(self.bench.now)

    @rule(off=st.booleans())
    def power(self, off: bool) -> None:
        change = self.bench.meter.power_off if off else self.bench.meter.power_on
        change(self.bench.now)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "bench"):
            check(self.bench.meter)


TestAnythingByWire = AnythingByWire.TestCase
TestAnythingByWire.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


@given(st.lists(st.binary(min_size=2, max_size=40), max_size=20))
def test_any_modbus_request_is_borne(bodies: list[bytes]) -> None:
    bench = WireBench()
    session = session_of(bench, "modbus-rtu")
    for body in bodies:
        frame = b"\x01" + body
        session.receive(frame + crc(frame), bench.now, 0.0)
    check(bench.meter)


def test_a_stream_of_garbage_does_not_grow_memory() -> None:
    bench = WireBench()
    sessions = [session_of(bench, face) for face in FACES[:3]]
    garbage = bytes(range(256)) * 16 + b"\x68" * 300

    def feed(times: int) -> None:
        for _ in range(times):
            for session in sessions:
                session.receive(garbage, bench.now, 0.0)

    feed(5)
    gc.collect()
    tracemalloc.start()
    feed(25)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 20_000


def test_ten_thousand_orders_do_not_grow_a_meter_without_end() -> None:
    bench = WireBench()

    def events(times: int) -> None:
        for _ in range(times):
            bench.wait(1)
            bench.meter.open_cover(bench.now)
            bench.meter.close_cover(bench.now)
            bench.write(0x04001001, bytes(4))

    events(400)
    gc.collect()
    tracemalloc.start()
    events(400)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 300_000


@given(st.integers(0, 2**32), st.lists(st.sampled_from(Fault), max_size=4), st.binary(max_size=60))
def test_any_faults_are_borne(seed: int, faults: list[Fault], answer: bytes) -> None:
    drawn = FaultPlan(script={0: tuple(faults)}, seed=seed).drawn(7, 0)
    spoiled = drawn.spoil(answer, b"request")
    assert len(spoiled.data) <= len(answer) + 1_000


# --- every item of the catalogue ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["keypad", "money"])
@pytest.mark.parametrize("phases", [1, 3])
def test_every_item_has_the_catalogues_length_and_format(kind: str, phases: int) -> None:
    bench = WireBench(kind, phases=phases, load="home", amount_minor=10_000)
    bench.wait(days=11)
    bench.meter.open_cover(bench.now)
    bench.meter.close_cover(bench.now)
    bench.meter.reverse_current(1, bench.now)
    bench.wait(hours=1)
    known = 0
    for item in items():
        data = read_item(bench.meter, item.di)
        if data is None:
            continue
        known += 1
        decoded = decode(item.di, data)
        assert not decoded.notes, f"{item.di:08X} {item.name_en}: {decoded.notes}"
        assert all(reading.fault is None for reading in decoded.readings), f"{item.di:08X}"
    assert known > 2_000


@pytest.mark.parametrize(
    "di",
    [
        0x0000FF00, 0x000100FF, 0x0002FF01, 0x0101FF00, 0x010100FF, 0x0201FF00, 0x0202FF00,
        0x0203FF00, 0x0204FF00, 0x0205FF00, 0x0206FF00, 0x0207FF00, 0x020A01FF, 0x040005FF,
        0x040001FF, 0x040501FF, 0x0506FF01, 0x0504FF01, 0x05060901,
    ],
)  # fmt: skip
@pytest.mark.parametrize("phases", [1, 3])
def test_blocks_are_decoded_by_the_catalogue(di: int, phases: int) -> None:
    bench = WireBench(phases=phases)
    bench.wait(days=11)
    data = bench.long(ReadData(di))
    assert data is not None
    decoded = decode(di, data)
    assert find(di) is not None
    assert all(reading.fault is None for reading in decoded.readings)
    if di not in (0x040001FF, 0x000100FF):
        assert not decoded.notes, decoded.notes


def test_an_answer_to_a_shortened_address_carries_the_full_one() -> None:
    bench = WireBench()
    request = encode(request_frame(ReadData(0x00010000), "AAAAAAAAAA16"))
    (frame,) = FrameDecoder().feed(bench.send(request))
    assert frame.address == "001000000016"
