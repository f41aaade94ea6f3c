import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645.addresses import (
    ANY_METER,
    BROADCAST,
    answers,
    expects_answer,
    is_addressed,
    is_full,
    parse_address,
    shortened,
)
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import AddressError

OWN = "123456789012"
NUMBERS = st.integers(0, 10**12 - 1).map(lambda number: f"{number:012d}")


def test_short_numbers_are_padded_on_the_high_side() -> None:
    assert parse_address("161") == "000000000161"
    assert parse_address("12 34 56 78 90 12") == OWN


@pytest.mark.parametrize(
    "text", ["", "1234567890123", "12A4", "AA12", "12AAAAAAAAAA", "\uff11\uff12"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


def test_wildcards() -> None:
    assert parse_address("aaaaaaaaaaaa") == ANY_METER
    assert shortened("9012") == "AAAAAAAA9012"
    for digits in ("", "012", "AA12"):
        with pytest.raises(AddressError):
            shortened(digits)


def test_1997_takes_three_wild_bytes_at_most() -> None:
    assert shortened("789012", Edition.Y1997) == "AAAAAA789012"
    assert parse_address(ANY_METER, Edition.Y1997) == ANY_METER
    with pytest.raises(AddressError, match="three AA"):
        shortened("9012", Edition.Y1997)
    assert not is_addressed("AAAAAAAA9012", OWN, Edition.Y1997)
    assert is_addressed("AAAAAAAA9012", OWN, Edition.Y2007)


@given(NUMBERS, NUMBERS)
def test_a_full_address_is_answered_by_itself_alone(asked: str, answering: str) -> None:
    if BROADCAST not in (asked, answering):
        assert answers(asked, answering, Edition.Y2007) is (asked == answering)
        assert is_addressed(asked, answering, Edition.Y2007) is (asked == answering)


@given(NUMBERS, st.integers(1, 5))
def test_a_shortened_address_is_answered_in_full(own: str, pairs: int) -> None:
    asked = shortened(own[-2 * pairs :])
    assert answers(asked, own, Edition.Y2007) is (own != BROADCAST)
    assert is_addressed(asked, own, Edition.Y2007)
    other = own[:-1] + str((int(own[-1]) + 1) % 10)
    assert not answers(asked, other, Edition.Y2007)
    assert not answers(asked, asked, Edition.Y2007)


def test_broadcast_is_answered_in_1997_only() -> None:
    assert answers(BROADCAST, OWN, Edition.Y1997)
    assert not answers(BROADCAST, OWN, Edition.Y2007)
    assert expects_answer(BROADCAST, Edition.Y1997)
    assert not expects_answer(BROADCAST, Edition.Y2007)
    assert is_addressed(BROADCAST, OWN, Edition.Y2007)


def test_an_answer_never_comes_from_a_wildcard() -> None:
    assert answers(ANY_METER, OWN, Edition.Y2007)
    for address in (ANY_METER, BROADCAST, "AAAAAAAA9012"):
        assert not is_full(address)
        assert not answers(ANY_METER, address, Edition.Y2007)
