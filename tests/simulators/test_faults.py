"""Faults on demand: each does what it says, as often as it is told, and the same each time."""

import itertools

import pytest

from protocols.dlt645 import (
    ErrorByte,
    FrameDecoder,
    ReadData,
    Refused,
    RelayCommand,
    encode,
    request_frame,
)
from simulators.bus import Bus, Pace
from simulators.errors import SimulatorValueError
from simulators.faults import DEAD, Fault, FaultPlan
from simulators.wire import Dlt645Wire
from tests.simulators.wire_bench import WireBench

READ = ReadData(0x00010000)


def one(fault: Fault) -> WireBench:
    """A meter whose second request goes wrong."""
    return WireBench(faults=FaultPlan(script={1: (fault,)}))


def wire(bench: WireBench) -> bytes:
    return bench.send(encode(request_frame(READ, bench.meter.address)))


def test_a_script_names_the_request_that_goes_wrong() -> None:
    bench = one(Fault.SILENCE)
    good = wire(bench)
    assert [wire(bench), wire(bench)] == [b"", good]


def test_a_silent_meter_did_nothing() -> None:
    bench = one(Fault.SILENCE)
    bench.text(0x04000102)
    assert bench.relay(RelayCommand.TRIP) is None
    assert bench.lit()


def test_a_lost_answer_was_carried_out() -> None:
    bench = one(Fault.LOST_ANSWER)
    bench.text(0x04000102)
    assert bench.relay(RelayCommand.TRIP) is None
    assert not bench.lit()


def test_a_denied_write_was_carried_out_all_the_same() -> None:
    bench = one(Fault.DENIED)
    bench.text(0x04000102)
    assert bench.relay(RelayCommand.TRIP) == Refused.of(ErrorByte.OTHER)
    assert not bench.lit()


def test_a_bit_error_is_one_bit() -> None:
    bench = one(Fault.BIT_ERROR)
    good, bad = wire(bench), wire(bench)
    assert len(good) == len(bad)
    assert sum((a ^ b).bit_count() for a, b in zip(good, bad, strict=True)) == 1


def test_cut_noise_echo_and_storm() -> None:
    request = encode(request_frame(READ, WireBench().meter.address))
    for fault in (Fault.CUT, Fault.NOISE, Fault.ECHO, Fault.FE_STORM):
        bench = one(fault)
        good, bad = wire(bench), wire(bench)
        if fault is Fault.CUT:
            assert good.startswith(bad)
            assert bad != good
            continue
        assert bad.endswith(good)
        extra = bad.removesuffix(good)
        assert extra
        if fault is Fault.ECHO:
            assert extra == request
        if fault is Fault.FE_STORM:
            assert set(extra) == {0xFE}
        assert len(FrameDecoder().feed(bad)) >= 1


def test_a_wrong_address_is_another_meters() -> None:
    bench = one(Fault.WRONG_ADDRESS)
    (good,), (bad,) = bench.frames(READ), bench.frames(READ)
    assert good.address == bench.meter.address != bad.address
    assert (good.control, good.data) == (bad.control, bad.data)


def test_a_late_answer_and_a_cut_connection() -> None:
    bench = WireBench()
    plan = FaultPlan(script={0: (Fault.LATE,), 1: (Fault.DISCONNECT,)}, late_ms=(700, 800))
    bus = Bus(Dlt645Wire([bench.meter]), faults=plan)
    session = bus.connect()
    request = encode(request_frame(READ, bench.meter.address))
    (late,) = session.receive(request, bench.now, 0.0)
    assert 0.7 <= late.after_s <= 0.8
    (gone,) = session.receive(request, bench.now, 0.0)
    assert gone.disconnects
    assert late.data.startswith(gone.data)


def test_the_same_seed_gives_the_same_faults() -> None:
    rates = dict.fromkeys(Fault, 150)
    runs = []
    for seed in (5, 5, 6):
        bench = WireBench(faults=FaultPlan(rates, seed=seed))
        runs.append([wire(bench) for _ in range(200)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_meters_faults_do_not_depend_on_the_others() -> None:
    rates = {Fault.SILENCE: 300}
    alone = WireBench(faults=FaultPlan(rates))
    together = WireBench()
    other = WireBench(seed=99).meter
    other.address = "000000000099"
    bus = Bus(Dlt645Wire([together.meter, other]), faults=FaultPlan(rates))
    session = bus.connect()
    request = encode(request_frame(READ, together.meter.address))
    noise = encode(request_frame(READ, other.address))
    seen = []
    for place in range(100):
        for _ in range(place % 3):
            session.receive(noise, together.now, 0.0)
        seen.append(bool(session.receive(request, together.now, 0.0)))
    assert seen == [bool(wire(alone)) for _ in range(100)]


def test_probabilities_are_kept() -> None:
    bench = WireBench(faults=FaultPlan({Fault.SILENCE: 100, Fault.NOISE: 50}, seed=3))
    silent = sum(not wire(bench) for _ in range(2_000))
    assert 150 <= silent <= 250


def test_faults_can_be_put_on_one_meter_and_taken_off() -> None:
    bench = WireBench()
    bench.bus.set_faults(DEAD, bench.meter.address)
    assert wire(bench) == b""
    bench.bus.set_faults(None, bench.meter.address)
    assert wire(bench)
    bench.bus.set_faults(DEAD)
    assert wire(bench) == b""


def test_descriptions_of_faults() -> None:
    plan = FaultPlan.from_table({"silence": 10, "late": 5, "late_ms": [1, 2]}, seed=4)
    assert plan == FaultPlan({Fault.SILENCE: 10, Fault.LATE: 5}, late_ms=(1, 2), seed=4)
    for wrong in ({"silent": 1}, {"silence": "1"}, {"silence": 1_001}, {"late_ms": [2, 1]}):
        with pytest.raises(SimulatorValueError):
            FaultPlan.from_table(wrong)


def test_a_paced_answer_takes_its_time_and_the_line_is_busy_meanwhile() -> None:
    bench = WireBench()
    bus = Bus(Dlt645Wire([bench.meter]), pace=Pace(2_400, delay_ms=50))
    session = bus.connect()
    request = encode(request_frame(READ, bench.meter.address))
    replies = session.receive(request, bench.now, 10.0)
    answer = b"".join(reply.data for reply in replies)
    character = 11 / 2_400
    end = (len(request) + len(answer)) * character + 0.05
    assert replies[-1].after_s == pytest.approx(end)
    assert replies[0].after_s == pytest.approx(
        len(request) * character + 0.05 + len(replies[0].data) * character
    )
    assert all(a.after_s < b.after_s for a, b in itertools.pairwise(replies))
    second = bus.connect().receive(request, bench.now, 10.0)
    assert second[-1].after_s == pytest.approx(end + 0.05 + len(answer) * character)


def test_wildcards_make_several_meters_talk_at_once() -> None:
    first, second = WireBench(seed=1).meter, WireBench(seed=2).meter
    second.address = "000000000161"
    bench = WireBench()
    session = Bus(Dlt645Wire([first, second])).connect()

    def heard(address: str) -> list[str]:
        (reply,) = session.receive(encode(request_frame(READ, address)), bench.now, 0.0)
        return [frame.address for frame in FrameDecoder().feed(reply.data)]

    assert heard("AAAAAAAAAA61") == ["000000000161"]
    assert heard("AA" * 6) == [], "they collide"
