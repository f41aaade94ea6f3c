"""Receipts as short messages: their limits by 3GPP TS 23.038, and what they must say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receipts.samples import CREDIT, ENGINEERING, KEY_CHANGE_AND_CREDIT
from tests.receipts.strategies import receipts
from tests.receipts.test_text import LANGUAGES
from vending import Receipt, receipt_sms
from vending.receipts.sms import fold
from vending.sts import grouped

# 3GPP TS 23.038, 6.2.1: the default alphabet, written out a second time.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
TWO = "^{}\\[~]|€"


def fits(part: str) -> bool:
    if all(letter in BASIC + TWO for letter in part):
        return len(part) + sum(letter in TWO for letter in part) <= 160
    return len(part.encode("utf-16-be")) <= 140


@settings(max_examples=50)
@given(receipts(), st.sampled_from(LANGUAGES))
def test_every_part_fits_into_one_message_and_no_token_is_split(
    receipt: Receipt, language: str
) -> None:
    parts = receipt_sms(receipt, language)
    assert parts
    assert all(fits(part) for part in parts)
    for token in receipt.tokens:
        assert any(grouped(token.digits) in part for part in parts)


@settings(max_examples=50)
@given(receipts(st.just("word")), st.sampled_from(LANGUAGES))
def test_the_test_mark_is_in_every_part_exactly_when_it_must(
    receipt: Receipt, language: str
) -> None:
    parts = receipt_sms(receipt, language)
    assert {"TEST" in part for part in parts} == {bool(receipt.test_marks)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_purchase_is_one_message(language: str) -> None:
    (part,) = receipt_sms(CREDIT, language)
    assert "3791 8669 2362 3085 3317" in part
    assert "07000000013" in part
    assert "kWh" in part


def test_parts_are_numbered_and_tokens_stay_in_order() -> None:
    parts = receipt_sms(KEY_CHANGE_AND_CREDIT, "zh")
    assert [part.split()[0] for part in parts] == [
        f"{number}/{len(parts)}" for number in range(1, len(parts) + 1)
    ]
    text = "\n".join(parts)
    places = [text.index(grouped(token.digits)) for token in KEY_CHANGE_AND_CREDIT.tokens]
    assert places == sorted(places)


def test_what_is_no_purchase_says_what_it_is() -> None:
    (part,) = receipt_sms(ENGINEERING)
    assert "Clear tamper" in part
    assert "ENGINEERING" in part


def test_accents_that_the_alphabet_has_not_are_dropped() -> None:
    assert fold("ação é à Œuvre m³") == "acao é à OEuvre m3"
    assert fold("购电") is None


def test_a_long_name_of_a_utility_does_not_cost_a_second_message() -> None:
    named = replace(CREDIT, seller=replace(CREDIT.seller, utility="Municipality " * 12))
    assert len(receipt_sms(named)) == 1
