"""The 50 places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import SimulatorValueError
from simulators.results import Outcome
from simulators.token_memory import PLACES, TokenMemory
from vending.sts import TID_MAX


@given(st.lists(st.integers(0, 300), max_size=200))
def test_no_tid_is_taken_twice_and_the_newest_are_kept(tids: list[int]) -> None:
    memory, taken = TokenMemory(), set()
    for tid in tids:
        objection = memory.objection_to(tid)
        if objection is None:
            assert tid not in taken
            taken.add(tid)
            memory = memory.with_used(tid)
        else:
            full = len(taken) >= PLACES
            oldest = sorted(taken)[-PLACES:][0]
            is_old = full and tid < oldest
            assert objection is (Outcome.OLD_ERROR if is_old else Outcome.USED_ERROR)
            assert is_old or tid in taken
    assert list(memory.tids) == sorted(taken)[-PLACES:]


@pytest.mark.parametrize("tids", [(2, 1), (1, 1), (-1,), (TID_MAX + 1,), tuple(range(PLACES + 1))])
def test_memories_that_no_meter_has_are_refused(tids: tuple[int, ...]) -> None:
    with pytest.raises(SimulatorValueError):
        TokenMemory(tids)
