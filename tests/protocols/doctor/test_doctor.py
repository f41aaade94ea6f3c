"""The doctor on lines of this process: parity, collisions, what bytes were, and its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645.addresses import ANY_METER, Address
from protocols.dlt645.answers import AddressAnswer
from protocols.dlt645.codec import encode
from protocols.dlt645.controls import Edition
from protocols.dlt645.matching import answer_frame, request_frame
from protocols.dlt645.requests import ReadAddress, ReadData
from protocols.doctor import Diagnosis, Patience, Progress, Step, examine
from protocols.doctor.hearing import Question, is_echo_so_far, understand, without_echo
from protocols.doctor.plan import FIRST, settings_to_try
from protocols.transport.address import LineSettings, Parity
from protocols.transport.channel import Channel, Lost, Received
from protocols.transport.errors import LinkDown
from tests.commands.meters import Bus, ScriptedMeter

QUICK = Patience(listen_s=0.02, answer_s=0.02, quiet_s=0.01, total_s=30)
QUESTION = Question(ReadAddress(), ANY_METER)
ANSWER = encode(
    answer_frame(ReadAddress(), Address("000000000161"), AddressAnswer(Address("000000000161"))), 2
)


class Wires(Channel):
    """The near end of a bus whose meters understand one setting only."""

    def __init__(self, received: Received, lost: Lost, hear: Bus, *, understood: bool) -> None:
        super().__init__(received, lost)
        self._bus = hear
        self._understood = understood
        self._closed.set()

    def write(self, data: bytes) -> None:
        said = self._bus.hear(data) if self._understood else b""
        if said:
            asyncio.get_running_loop().call_soon(self.data_received, said)


def examined(
    meters: Sequence[ScriptedMeter],
    *,
    right: LineSettings | None = None,
    url: str = "serial:///dev/null?baud=19200",
    patience: Patience = QUICK,
    search: bool = True,
) -> tuple[Diagnosis, list[Step | Progress]]:
    """Examine a bus whose meters listen at the setting ``right`` (None: at any)."""
    bus = Bus(list(meters))
    told: list[Step | Progress] = []

    async def opened(settings: LineSettings | None, received: Received, lost: Lost) -> Channel:
        return Wires(received, lost, bus, understood=right in (None, settings))

    found = asyncio.run(examine(url, told.append, patience=patience, opener=opened, search=search))
    return found, told


@pytest.mark.parametrize(
    "right",
    [
        LineSettings(baud=9600, parity=Parity.NONE),
        LineSettings(baud=1200, parity=Parity.ODD),
        LineSettings(baud=600),
    ],
    ids=str,
)
def test_speed_and_parity_are_found(right: LineSettings) -> None:
    found, _ = examined([ScriptedMeter("000000000161")], right=right)
    assert found.setting is not None
    assert found.setting.line == right
    assert not found.is_own_setting
    assert found.advice[0].code == "other_setting"


def test_the_links_own_setting_is_tried_first_then_the_likeliest() -> None:
    own = LineSettings(baud=300, parity=Parity.MARK)
    tried = settings_to_try(own)
    assert tried[:3] == [own, FIRST, LineSettings(baud=9600)]
    assert len(tried) == len(set(tried))
    assert len(settings_to_try(FIRST)) == len(tried) - 1


def test_both_editions_on_one_line_are_found() -> None:
    old = ScriptedMeter("000000000097", Edition.Y1997)
    old.set(0x9010, "1.00")
    found, _ = examined([ScriptedMeter("000000000161"), old])
    assert [(meter.address, meter.edition.value) for meter in found.meters] == [
        ("000000000097", "1997"),
        ("000000000161", "2007"),
    ]


def test_collisions_are_resolved_level_by_level() -> None:
    numbers = ("000000000161", "000000009961", "000000000062", "110000000162")
    found, told = examined([ScriptedMeter(number) for number in numbers])
    assert sorted(meter.address for meter in found.meters) == sorted(numbers)
    assert found.search is not None
    assert found.search.is_complete
    assert found.search.asked == 300  # all endings, then before 61 and before 62
    progress = [news for news in told if isinstance(news, Progress)]
    assert all(0 <= news.left_s <= QUICK.total_s for news in progress)
    assert all(news.done <= news.total for news in progress)


def test_a_number_that_two_meters_have_is_told() -> None:
    meters = [ScriptedMeter(number) for number in ("000000000161", "000000000161", "000000000262")]
    for meter, energy in zip(meters, ("1.00", "77.00", "3.00"), strict=True):
        meter.set(0x00010000, energy)
    patience = Patience(listen_s=0.01, answer_s=0.01, quiet_s=0.01, total_s=60)
    url = "serial:///dev/null?baud=1000000"
    found, _ = examined(meters, url=url, patience=patience)
    assert found.search is not None
    assert found.search.doubled == ("000000000161",)
    assert [meter.address for meter in found.meters] == ["000000000262"]
    assert "doubled_number" in [advice.code for advice in found.advice]


def test_several_1997_meters_cannot_be_told_apart_and_it_says_so() -> None:
    meters = [ScriptedMeter(f"{number:012d}", Edition.Y1997) for number in (1, 2)]
    for meter in meters:
        meter.set(0x9010, "1.00")
    found, _ = examined(meters)
    assert not found.found
    assert found.search is None
    assert "1997 has no way to search" in found.advice[0].text


def test_searching_can_be_left_out() -> None:
    meters = [ScriptedMeter(f"{number:012d}") for number in (161, 162)]
    found, _ = examined(meters, search=False)
    assert found.search is None
    assert found.advice[0].code == "garbled"


def test_all_ends_in_time() -> None:
    meters = [ScriptedMeter(f"{number:012d}") for number in (161, 162)]
    patience = Patience(listen_s=0.02, answer_s=0.02, quiet_s=0.01, total_s=1.5)
    found, _ = examined(meters, patience=patience)
    assert found.out_of_time
    assert found.took_s < 3
    assert "out_of_time" in [advice.code for advice in found.advice]


def test_a_line_that_breaks_is_a_broken_line() -> None:
    class Breaking(Wires):
        def write(self, data: bytes) -> None:
            self.connection_lost(OSError("unplugged"))

    async def opened(_settings: LineSettings | None, received: Received, lost: Lost) -> Channel:
        return Breaking(received, lost, Bus([]), understood=False)

    with pytest.raises(LinkDown, match="unplugged"):
        asyncio.run(examine("serial:///dev/null", print, patience=QUICK, opener=opened))


# --- what bytes were -----------------------------------------------------------------------


def test_an_answer_an_echo_and_noise_are_kept_apart() -> None:
    heard = understand(b"\x00\xff" + QUESTION.wire + ANSWER, QUESTION, 0.02)
    assert (heard.meters, heard.echo, heard.noise_bytes) == (("000000000161",), True, 2)
    assert heard.is_clean
    assert not heard.is_garbled


@given(lost=st.integers(0, 4))
def test_an_echo_that_lost_its_first_bytes_is_one_still(lost: int) -> None:
    echo = QUESTION.wire[lost:]
    assert without_echo(echo + ANSWER, QUESTION.wire) == (ANSWER, True)
    assert all(is_echo_so_far(echo[:end], QUESTION.wire) for end in range(len(echo) + 1))
    assert not is_echo_so_far(echo + b"\x00", QUESTION.wire)


def test_an_echo_heard_twice_is_no_second_master() -> None:
    heard = understand(QUESTION.wire * 2 + ANSWER, QUESTION)
    assert heard.requests == ()
    assert heard.is_clean


def test_somebody_elses_traffic_is_told_from_ours() -> None:
    other = request_frame(ReadData(0x00010000), "000000000777")
    heard = understand(encode(other) + ANSWER, None)
    assert heard.requests == (other,)
    assert [frame.address for frame in heard.foreign] == ["000000000161"]
    assert heard.meters == ()


@given(data=st.binary(max_size=400))
def test_whatever_comes_is_understood_somehow(data: bytes) -> None:
    heard = understand(data, QUESTION)
    assert heard.noise_bytes <= len(data)
    assert len(heard.sample) <= 32
