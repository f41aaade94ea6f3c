"""The requests for a set of items are the fewest that there can be."""

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus import VOCABULARY, Confidence, Item, Profile, Table, load_profile, plan
from protocols.modbus.registers import Layout, RegisterType

NAMES = [name for name, quantity in VOCABULARY.items() if quantity.unit == "Wh"]
WIDTHS = {1: RegisterType.U16, 2: RegisterType.U32, 4: RegisterType.U64}


def profile_of(places: Sequence[tuple[int, int]], registers_max: int, gap_max: int) -> Profile:
    items = {
        name: Item(
            name=name,
            quantity=VOCABULARY[name],
            table=Table.HOLDING,
            register=register,
            layout=Layout(WIDTHS[width], width),
        )
        for name, (register, width) in zip(NAMES, places, strict=False)
    }
    return Profile(
        name="made",
        model="made",
        maker="made",
        confidence=Confidence.OWN,
        sources=("made",),
        registers_max=registers_max,
        gap_max=gap_max,
        items=items,
    )


@st.composite
def small_profiles(draw: st.DrawFn) -> tuple[Profile, list[str]]:
    place = st.tuples(st.integers(0, 14), st.sampled_from(list(WIDTHS)))
    places = draw(st.lists(place, min_size=1, max_size=6, unique=True))
    profile = profile_of(places, draw(st.integers(4, 8)), draw(st.integers(0, 3)))
    wanted = draw(st.lists(st.sampled_from(list(profile.items)), min_size=1, unique=True))
    return profile, wanted


def is_allowed(profile: Profile, start: int, end: int) -> bool:
    """The rule in its own words: not too long, and no long stretch of unknown registers."""
    if end - start > profile.registers_max:
        return False
    known = {r for item in profile.items.values() for r in range(item.register, item.end)}
    unknown_in_a_row = 0
    for register in range(start, end):
        unknown_in_a_row = 0 if register in known else unknown_in_a_row + 1
        if unknown_in_a_row > profile.gap_max:
            return False
    return True


def fewest(profile: Profile, wanted: Sequence[str]) -> int:
    """By trying all sets of all allowed stretches."""
    items = [profile.items[name] for name in wanted]
    starts = {item.register for item in items}
    ends = {item.end for item in items}
    covers = {
        frozenset(i.name for i in items if start <= i.register and i.end <= end)
        for start in starts
        for end in ends
        if start < end and is_allowed(profile, start, end)
    }
    for count in range(1, len(items) + 1):
        for chosen in combinations(covers, count):
            if frozenset().union(*chosen) >= set(wanted):
                return count
    raise AssertionError("each item alone is always allowed")


@given(small_profiles())
def test_no_set_of_requests_is_smaller(made: tuple[Profile, list[str]]) -> None:
    profile, wanted = made
    spans = plan(profile, wanted)
    assert len(spans) == fewest(profile, wanted)
    covered = [item.name for span in spans for item in span.items]
    assert sorted(covered) == sorted(wanted)
    for span in spans:
        assert is_allowed(profile, span.register, span.register + span.count)
        assert all(
            span.register <= item.register and item.end <= span.register + span.count
            for item in span.items
        )


def test_known_registers_are_bridged_and_unknown_ones_are_not() -> None:
    places = [(0, 2), (2, 2), (4, 2), (7, 1)]
    first, middle, third, last = NAMES[:4]
    strict = profile_of(places, 125, 0)
    assert [(s.register, s.count) for s in plan(strict, [first, third])] == [(0, 6)]
    assert [(s.register, s.count) for s in plan(strict, [first, last])] == [(0, 2), (7, 1)]
    lenient = profile_of(places, 125, 1)
    assert [(s.register, s.count) for s in plan(lenient, [first, last])] == [(0, 8)]
    assert [(s.register, s.count) for s in plan(strict, [middle])] == [(2, 2)]


def test_a_hiking_is_read_in_one_request_and_an_em24_in_short_ones() -> None:
    assert [(s.register, s.count) for s in plan(load_profile("hiking-dds238"))] == [(0, 27)]
    em24 = plan(load_profile("carlo-gavazzi-em24"), ["voltage_l1", "current_l3", "frequency"])
    assert [(s.register, s.count) for s in em24] == [(0, 2), (0x10, 2), (0x37, 1)]
    assert plan(load_profile("eastron-sdm120"), []) == ()
