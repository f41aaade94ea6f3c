import pytest
from hypothesis import given
from hypothesis import strategies as st

from vending.sts import (
    AMOUNT_MAX,
    CodedAmount,
    InvalidValueError,
    decode_amount,
    encode_amount,
    floor_amount,
)

AMOUNTS = st.integers(0, AMOUNT_MAX) | st.sampled_from(
    [0, 16_383, 16_384, 16_385, 180_214, 180_215, 180_223, 180_224, 1_818_524, 1_818_623,
     1_818_624, AMOUNT_MAX - 1, AMOUNT_MAX]
)  # fmt: skip
CODES = st.integers(0, 0xFFFF)


@pytest.mark.parametrize(
    ("amount", "coded"),
    [
        (0, CodedAmount(0x0000, 0, 0)),
        (16_383, CodedAmount(0x3FFF, 16_383, 0)),
        (16_384, CodedAmount(0x4000, 16_384, 0)),
        (20_000, CodedAmount(0x4000 | 362, 20_004, 4)),
        (180_214, CodedAmount(0x7FFF, 180_214, 0)),
        (180_223, CodedAmount(0x8000, 180_224, 1)),
        (180_224, CodedAmount(0x8000, 180_224, 0)),
        (1_818_623, CodedAmount(0xC000, 1_818_624, 1)),
        (1_818_624, CodedAmount(0xC000, 1_818_624, 0)),
        (18_201_624, CodedAmount(0xFFFF, 18_201_624, 0)),
    ],
)
def test_coding_at_the_edges(amount: int, coded: CodedAmount) -> None:
    assert encode_amount(amount) == coded


@given(CODES)
def test_every_code_reads_back(code: int) -> None:
    assert encode_amount(decode_amount(code)) == CodedAmount(code, decode_amount(code), 0)


@given(AMOUNTS)
def test_rounding_is_up_to_the_very_next_step(amount: int) -> None:
    coded = encode_amount(amount)
    assert coded.amount == decode_amount(coded.code) == amount + coded.rounding
    assert coded.rounding >= 0
    if coded.code:
        assert decode_amount(coded.code - 1) < amount


@given(AMOUNTS)
def test_floor_is_the_largest_step_not_above(amount: int) -> None:
    floor = floor_amount(amount)
    code = encode_amount(floor)
    assert code.rounding == 0
    assert floor <= amount
    if code.code < 0xFFFF:
        assert decode_amount(code.code + 1) > amount


@pytest.mark.parametrize("amount", [-1, AMOUNT_MAX + 1])
def test_out_of_range(amount: int) -> None:
    for coding in (encode_amount, floor_amount):
        with pytest.raises(InvalidValueError, match="must be 0-18201624"):
            coding(amount)
