"""The same meter as DL/T 645-1997 sees it."""

from typing import Any

import pytest

from protocols.dlt645 import (
    Accepted,
    Address,
    BroadcastTime1997,
    ChangePassword1997,
    ClearDemand1997,
    DataAnswer,
    Edition,
    Password,
    PasswordAnswer,
    ReadData1997,
    ReadFollowing1997,
    RereadData1997,
    WriteAddress1997,
    WriteData1997,
)
from protocols.dlt645.times import MeterTime
from simulators import ConstantLoad
from tests.simulators.wire_bench import PASSWORD, WireBench, accepted, refused

ALL = "99" * 6


def bench_1997(**kwargs: Any) -> WireBench:
    return WireBench(edition=Edition.Y1997, **kwargs)


@pytest.mark.parametrize(
    ("di", "texts"),
    [
        (0x9010, ["24.00"]),
        (0x9014, ["8.00"]),
        (0x901F, ["24.00", "3.00", "5.50", "7.50", "8.00"]),
        (0x9020, ["0.00"]),
        (0xC010, ["2026-11-22 w0"]),
        (0xC011, ["16:00:00"]),
        (0xC030, ["1200"]),
        (0xC032, ["001000000016"]),
        (0xC034, ["001000000016"]),
        (0xC111, ["15"]),
        (0xC117, ["01 00h"]),
        (0xC313, ["4"]),
        (0xC331, ["00:00 n4"]),
        (0xC337, ["23:00 n4"]),
        (0xA010, ["1.0000"]),
        (0xB010, ["11-21 16:15"]),
        (0xB212, ["0"]),
        (0xB310, ["0"]),
        (0xB630, ["1.0000"]),
        (0xC020, ["02"]),
    ],
)
def test_items(di: int, texts: list[str]) -> None:
    bench = bench_1997()
    bench.wait(days=1)
    bench.wait(1)
    bench.meter.set_clock(bench.meter.local - 1, bench.now)
    assert bench.texts(di) == texts


def test_a_voltage_has_no_decimals_and_missing_phases_are_empty() -> None:
    bench = bench_1997()
    (volts,) = bench.texts(0xB611)
    assert volts is not None
    assert 210 <= int(volts) <= 230
    assert bench.texts(0xB612) == [None]
    later = bench.meter.measured().phases[0]
    assert bench.texts(0xB621) == [f"{(later.current_ma + 5) // 10 / 100:.2f}"]


@pytest.mark.parametrize("di", [0xC332 + 0x10, 0x901A, 0x9415, 0xFFFF, 0x1234, 0xC338])
def test_what_there_is_not_is_refused(di: int) -> None:
    assert refused(bench_1997().ask(ReadData1997(di))) == ["no requested data"]


def test_a_long_block_is_fetched_without_numbers() -> None:
    bench = bench_1997()
    bench.wait(days=1)
    first = bench.ask(ReadData1997(0x90FF))
    assert isinstance(first, DataAnswer)
    whole = bench.long(ReadData1997(0x90FF))
    assert whole is not None
    assert whole.count(b"\xaa") == 3
    assert first.more == (len(whole) > 198)
    assert refused(bench.ask(ReadFollowing1997(0x9010))) == ["no requested data"]


def test_the_last_answer_is_read_again() -> None:
    bench = bench_1997()
    first = bench.ask(ReadData1997(0x9010))
    bench.wait(hours=1)
    assert bench.ask(RereadData1997(0x9010)) == first
    assert refused(bench.ask(RereadData1997(0x9020))) == ["no requested data"]


def test_one_meter_on_the_line_is_read_without_its_number() -> None:
    bench = bench_1997()
    answer = bench.ask(ReadData1997(0x9010), ALL)
    assert isinstance(answer, DataAnswer)
    (frame,) = bench.frames(ReadData1997(0x9010), "AAAAAA" + bench.meter.address[6:])
    assert frame.address == bench.meter.address
    assert bench.frames(ReadData1997(0xFFFF), ALL) == []


def test_writes_clears_and_passwords() -> None:
    bench = bench_1997()
    wrong = WriteData1997(0xC011, Password(2, "111111"), bytes.fromhex("000012"))
    assert refused(bench.ask(wrong)) == ["password wrong/not authorised"]
    assert accepted(bench.ask(WriteData1997(0xC011, PASSWORD, bytes.fromhex("000012"))))
    assert bench.texts(0xC011) == ["12:00:00"]
    bench.wait(hours=1)
    assert bench.texts(0xA010) == ["1.0000"]
    assert accepted(bench.ask(ClearDemand1997(PASSWORD)))
    assert bench.texts(0xA010) == ["0.0000"]
    assert bench.texts(0xB213) == ["1"]
    new = Password(2, "222222")
    assert bench.ask(ChangePassword1997(PASSWORD, new)) == PasswordAnswer(new)
    assert refused(bench.ask(ClearDemand1997(PASSWORD))) == ["password wrong/not authorised"]


def test_a_new_address_is_confirmed_from_the_old_one() -> None:
    bench = bench_1997()
    old = bench.meter.address
    request = WriteAddress1997(Address("000000000161"))
    assert bench.frames(request, ALL) == []
    bench.meter.press_programming_key(bench.now)
    (frame,) = bench.frames(request, ALL)
    assert frame.address == old
    assert bench.meter.address == "000000000161"
    assert isinstance(bench.ask(WriteData1997(0xC011, PASSWORD, bytes(3))), Accepted)


def test_broadcast_time_is_obeyed_in_silence() -> None:
    bench = bench_1997()
    time = MeterTime(year=2026, month=11, day=21, hour=1, minute=2, second=3)
    assert bench.frames(BroadcastTime1997(time), ALL) == []
    assert bench.texts(0xC011) == ["01:02:03"]


def test_control_codes_of_2007_are_not_understood() -> None:
    bench = bench_1997()
    bench.meter.set_load(ConstantLoad(5), bench.now)
    assert bench.send(bytes.fromhex("68AAAAAAAAAAAA681300DF16")) == b""
