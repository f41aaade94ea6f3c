"""Key changes at the keypad: any order, time-out, roll-over, and what is refused."""

from itertools import permutations

import pytest

from simulators.results import Outcome
from tests.simulators.workbench import KEYS, MISTY1, OTHER_KEYS, STA, Bench
from vending.sts import EncryptionAlgorithm, KeyType, SupplyGroupCode

FIRST, SECOND, THIRD, FOURTH = (
    Outcome.FIRST_KCT,
    Outcome.SECOND_KCT,
    Outcome.THIRD_KCT,
    Outcome.FOURTH_KCT,
)
WAITING = (FIRST, SECOND, THIRD, FOURTH)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_four_sections_work_in_any_order(order: tuple[int, ...]) -> None:
    bench = Bench(credit_wh=700)
    tokens = bench.change()
    outcomes = [bench.outcome(tokens[place]) for place in order]
    assert outcomes == [*(WAITING[place] for place in order[:3]), Outcome.ACCEPT]
    key = bench.meter.state.key
    assert key.decoder_key == OTHER_KEYS[MISTY1]
    assert (key.sgc, key.krn, key.tariff_index, key.ken) == ("600111", 2, "07", 0xC5)
    assert bench.meter.registers.remaining_wh == 700
    assert bench.outcome(bench.credit(1)) is Outcome.ACCEPT


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_sections_leave_the_supply_group_as_it_was(order: tuple[int, ...]) -> None:
    bench = Bench(STA)
    tokens = bench.change()
    assert [bench.outcome(tokens[i]) for i in order] == [WAITING[order[0]], Outcome.ACCEPT]
    assert bench.meter.state.key.decoder_key == OTHER_KEYS[STA]
    assert bench.meter.state.key.sgc == "123457"


def test_the_old_key_works_until_the_set_is_complete_and_no_longer() -> None:
    bench = Bench()
    *parts, last = bench.change()
    before, after = bench.credit(1), bench.credit(2)
    for part in parts:
        bench.enter(part)
    assert bench.outcome(before) is Outcome.ACCEPT
    bench.enter(last)
    assert bench.outcome(after) is Outcome.CRC_ERROR
    assert bench.outcome(parts[0]) is Outcome.CRC_ERROR


def test_the_type_of_the_key_is_changed_with_it() -> None:
    bench = Bench(key_type=KeyType.DEFAULT)
    for token in bench.change(key_type=KeyType.UNIQUE):
        bench.enter(token)
    assert bench.meter.state.key.key_type is KeyType.UNIQUE
    assert bench.outcome(bench.credit(1)) is Outcome.ACCEPT


@pytest.mark.parametrize("algorithm", [STA, MISTY1])
@pytest.mark.parametrize("key_type", list(KeyType))
def test_nothing_goes_to_an_initialisation_key(
    algorithm: EncryptionAlgorithm, key_type: KeyType
) -> None:
    bench = Bench(algorithm, key_type=key_type)
    krn_1_kt_0 = 1 << 36
    assert bench.outcome(bench.raw(2, 3, krn_1_kt_0)) is Outcome.KEY_TYPE_ERROR
    assert not bench.meter.state.pending.sections


def test_an_incomplete_set_is_forgotten_after_the_time_out() -> None:
    bench = Bench(key_change_timeout_s=900)
    tokens = bench.change()
    bench.enter(tokens[0])
    bench.wait(899)
    assert bench.outcome(tokens[1]) is SECOND  # the time-out begins anew
    bench.wait(899)
    assert bench.outcome(tokens[2]) is THIRD
    bench.wait(900)
    assert not bench.meter.state.pending.sections
    assert bench.outcome(tokens[3]) is FOURTH
    assert [bench.outcome(tokens[i]) for i in (0, 1, 2)] == [FIRST, SECOND, Outcome.ACCEPT]


def test_the_time_out_runs_without_power_too() -> None:
    bench = Bench()
    tokens = bench.change()
    bench.enter(tokens[0])
    bench.meter.power_off(bench.now)
    bench.wait(900)
    bench.meter.power_on(bench.now)
    assert [bench.outcome(token) for token in tokens[1:]] == [SECOND, THIRD, FOURTH]


def test_a_section_entered_twice_changes_nothing() -> None:
    bench = Bench()
    tokens = bench.change()
    assert [bench.outcome(tokens[0]) for _ in range(3)] == [FIRST] * 3
    for token in tokens[1:]:
        last = bench.outcome(token)
    assert last is Outcome.ACCEPT


def test_a_section_of_another_set_begins_that_set() -> None:
    bench = Bench()
    old, new = bench.change(), bench.change(new_key=KEYS[MISTY1], krn=3)
    for place in (0, 1, 3):
        bench.enter(old[place])
    outcomes = [bench.outcome(token) for token in new]
    assert outcomes == [FIRST, SECOND, THIRD, Outcome.ACCEPT]
    assert bench.meter.state.key.krn == 3


def test_used_tokens_stay_used_after_a_key_change() -> None:
    bench = Bench()
    bench.enter(bench.credit(1, tid=500))
    for token in bench.change():
        bench.enter(token)
    assert bench.outcome(bench.credit(1, tid=500)) is Outcome.USED_ERROR


def test_roll_over_forgets_used_tokens() -> None:
    bench = Bench(credit_wh=700)
    bench.enter(bench.credit(1, tid=500))
    for token in bench.change(rollover=True):
        bench.enter(token)
    assert bench.meter.state.memory.tids == ()
    assert bench.outcome(bench.credit(1, tid=500)) is Outcome.ACCEPT
    assert bench.meter.registers.remaining_wh == 900


def test_roll_over_with_the_same_key_is_refused_and_forgets_nothing() -> None:
    bench = Bench()
    used = bench.credit(1)
    bench.enter(used)
    *parts, last = bench.change(new_key=KEYS[MISTY1], rollover=True)
    for part in parts:
        bench.enter(part)
    assert bench.outcome(last) is Outcome.FORMAT_ERROR
    assert bench.meter.state.key.krn == 1
    assert not bench.meter.state.pending.sections
    assert bench.outcome(used) is Outcome.USED_ERROR


def test_the_same_key_without_roll_over_renews_its_attributes() -> None:
    bench = Bench()
    for token in bench.change(new_key=KEYS[MISTY1]):
        bench.enter(token)
    assert bench.meter.state.key.krn == 2


def test_flags_that_contradict_the_key_length_are_refused() -> None:
    krn_1_3kct_kt_2 = 1 << 36 | 0b0110 << 32
    bench = Bench(MISTY1)
    assert bench.outcome(bench.raw(2, 3, krn_1_3kct_kt_2)) is Outcome.FORMAT_ERROR


def test_a_set_with_an_impossible_supply_group_is_refused_and_forgotten() -> None:
    bench = Bench()
    tokens = bench.change()
    for token in (*tokens[:2], bench.raw(2, 8, 0xFFF << 32)):
        bench.enter(token)
    assert bench.outcome(bench.raw(2, 9, 0xFFF << 32)) is Outcome.FORMAT_ERROR
    assert not bench.meter.state.pending.sections


def test_sections_of_long_keys_mean_nothing_to_a_short_key() -> None:
    bench = Bench(STA)
    assert bench.outcome(bench.raw(2, 8, 1)) is Outcome.FUNCTION_ERROR
    assert bench.outcome(bench.raw(2, 9, 1)) is Outcome.FUNCTION_ERROR


def test_the_unconfirmed_set_of_three_is_only_for_meters_that_say_so() -> None:
    changes = {"three_tokens": True, "sgc": SupplyGroupCode("600111")}
    bench = Bench(STA)
    tokens = bench.change(**changes)
    assert bench.outcome(tokens[0]) is Outcome.FUNCTION_ERROR
    assert bench.outcome(tokens[2]) is Outcome.FUNCTION_ERROR
    for order in permutations(range(3)):
        bench = Bench(STA, takes_three_token_set=True)
        outcomes = [bench.outcome(tokens[place]) for place in order]
        assert outcomes == [*(WAITING[place] for place in order[:2]), Outcome.ACCEPT]
        assert bench.meter.state.key.sgc == "600111"


def test_a_third_section_that_the_first_does_not_announce_is_refused() -> None:
    bench = Bench(STA, takes_three_token_set=True)
    first, _second = bench.change()
    third = bench.change(three_tokens=True, sgc=SupplyGroupCode("600111"))[2]
    assert bench.outcome(third) is THIRD
    assert bench.outcome(first) is Outcome.FORMAT_ERROR
    assert not bench.meter.state.pending.sections
