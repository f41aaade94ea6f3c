"""Receipts on fixed columns, in every language, against the files in ``golden``.

``METERHOUSE_WRITE_GOLDEN=1`` writes the files anew; read what changed before you keep it.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receipts.samples import CREDIT, KEY_CHANGE_AND_CREDIT, SAMPLES
from tests.receipts.strategies import receipts
from vending import Receipt, receipt_sms, receipt_text
from vending.receipts.faults import PaperWidthError, UnknownLanguageError
from vending.receipts.language import find_language
from vending.sts import grouped

GOLDEN = Path(__file__).with_name("golden")
LANGUAGES = ("en", "fr", "pt", "zh")


def columns(line: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [48, 32])
def test_every_kind_of_receipt_in_every_language(language: str, width: int) -> None:
    texts = [receipt_text(receipt, language, width) for receipt in SAMPLES.values()]
    _require_golden(f"text-{width}.{language}.txt", f"{'=' * width}\n".join(texts))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_receipt_as_short_messages(language: str) -> None:
    texts = []
    for name, receipt in SAMPLES.items():
        parts = receipt_sms(receipt, language)
        texts += [f"--- {name}, {len(parts)} part(s)", *parts]
    _require_golden(f"sms.{language}.txt", "\n".join(texts) + "\n")


@settings(max_examples=50)
@given(receipts(), st.sampled_from(LANGUAGES), st.sampled_from([24, 32, 42, 48]))
def test_no_line_is_wider_than_the_paper_and_no_token_is_broken(
    receipt: Receipt, language: str, width: int
) -> None:
    text = receipt_text(receipt, language, width)
    assert max(columns(line) for line in text.split("\n")) <= width
    for token in receipt.tokens:
        assert grouped(token.digits) in text


@settings(max_examples=50)
@given(receipts(st.just("word")), st.sampled_from(LANGUAGES))
def test_the_test_mark_stands_there_exactly_when_it_must(receipt: Receipt, language: str) -> None:
    assert ("TEST" in receipt_text(receipt, language)) == bool(receipt.test_marks)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_copy_says_which_it_is(language: str) -> None:
    mark = find_language(language).say("mark.copy", number="3")
    assert mark in receipt_text(CREDIT.copy(3), language)
    assert mark not in receipt_text(CREDIT, language)


def test_the_order_of_entry_is_named_in_each_language() -> None:
    text = " ".join(receipt_text(KEY_CHANGE_AND_CREDIT, "fr").split())
    assert "Changement de clé : saisir en 1er" in text
    assert "Code de recharge électricité : saisir en dernier 42,9 kWh" in text
    assert "Saisissez d'abord" in text


def test_numbers_have_the_mark_of_the_language_and_digits_have_none() -> None:
    for language, amount in (("en", "ZAR 300.00"), ("zh", "ZAR 300.00"), ("fr", "300,00 ZAR")):
        text = receipt_text(CREDIT, language)
        assert amount in text
        assert "3791 8669 2362 3085 3317" in text


def test_a_receipt_of_version_1_is_said_in_another_language_as_far_as_it_can_be() -> None:
    (token,) = CREDIT.tokens
    old = replace(CREDIT, tokens=(replace(token, code=""),))
    assert "电量充值码" in receipt_text(old, "zh")
    assert "Electricity" in receipt_text(old)


def test_what_cannot_be_printed_is_refused() -> None:
    with pytest.raises(PaperWidthError, match="24 to 200"):
        receipt_text(CREDIT, "en", 20)
    with pytest.raises(UnknownLanguageError, match="choose one of en, fr, pt, zh"):
        receipt_text(CREDIT, "../en")


def _require_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("METERHOUSE_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
