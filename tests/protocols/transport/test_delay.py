from hypothesis import given
from hypothesis import strategies as st

from protocols.transport.backoff import BackOff
from protocols.transport.call_rate import CallRate
from protocols.transport.delay import LearnedDelay


def meter() -> LearnedDelay:
    return LearnedDelay(first_s=0.5, min_s=0.02, max_s=5.0)


def test_a_fast_meter_is_waited_for_shortly() -> None:
    delay = meter()
    for _ in range(50):
        delay.learn(0.03)
    assert 0.03 < delay.allowance_s < 0.06


def test_a_meter_that_varies_is_given_room() -> None:
    delay = meter()
    for _ in range(50):
        delay.learn(0.03)
        delay.learn(0.40)
    assert delay.allowance_s > 0.5


def test_silence_never_asks_for_more_than_an_unknown_meter_gets() -> None:
    delay = meter()
    delay.learn(0.03)
    for _ in range(20):
        delay.missed(heard=False)
    assert delay.allowance_s == 0.5


def test_bytes_out_of_time_raise_the_allowance_to_the_limit() -> None:
    delay = meter()
    for _ in range(20):
        delay.missed(heard=True)
    assert delay.allowance_s == 5.0
    delay.learn(0.03)
    assert delay.allowance_s < 0.1


def test_a_late_answer_is_awaited_next_time() -> None:
    delay = meter()
    delay.late(2.0)
    assert 2.0 < delay.allowance_s < 3.0
    delay.missed(heard=False)
    assert delay.allowance_s > 2.0  # silence takes nothing away


@given(
    st.lists(
        st.tuples(st.sampled_from(("learn", "late", "heard", "silent")), st.floats(0, 100)),
        max_size=50,
    )
)
def test_the_allowance_keeps_its_bounds(events: list[tuple[str, float]]) -> None:
    delay = meter()
    for kind, delay_s in events:
        if kind == "learn":
            delay.learn(delay_s)
        elif kind == "late":
            delay.late(delay_s)
        else:
            delay.missed(heard=kind == "heard")
        assert 0.02 <= delay.allowance_s <= 5.0


def test_back_off_doubles_to_its_limit_and_starts_again_after_success() -> None:
    back_off = BackOff(first_s=0.5, max_s=60, jitter=lambda: 1.0)
    pauses = []
    for _ in range(10):
        back_off.failed(100.0)
        pauses.append(back_off.pause_s(100.0))
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    back_off.forget()
    assert back_off.pause_s(100.0) <= 0
    back_off.failed(100.0)
    assert back_off.pause_s(100.2) == 100.5 - 100.2


@given(st.floats(0, 1), st.integers(1, 2000))
def test_back_off_is_spread_and_bounded(jitter: float, failures: int) -> None:
    back_off = BackOff(first_s=0.5, max_s=60, jitter=lambda: jitter)
    for _ in range(failures):
        back_off.failed(0.0)
        assert 0.25 <= back_off.pause_s(0.0) <= 60


def test_calls_are_counted_per_address_and_minute() -> None:
    rate = CallRate(calls_max=2, addresses_max=2)
    assert [rate.allows("a", t) for t in (0, 1, 2)] == [True, True, False]
    assert rate.allows("b", 3)
    assert rate.allows("a", 60)
    assert rate.allows("c", 61)  # the table is full: b, the oldest window, is forgotten
    assert len(rate) == 2
