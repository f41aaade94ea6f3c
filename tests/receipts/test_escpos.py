"""ESC/POS: read back by a printer that is written from the commands' manual alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receipts.paper import Paper, TillPrinter
from tests.receipts.samples import (
    ACCOUNT_PAYMENT,
    CREDIT,
    FREE_BASIC,
    KEY_CHANGE_AND_CREDIT,
    SAMPLES,
)
from tests.receipts.strategies import receipts
from tests.receipts.test_text import LANGUAGES, columns
from vending import Printer, Receipt, receipt_escpos, receipt_text
from vending.receipts.faults import PaperWidthError, PrinterSettingError
from vending.sts import grouped

NARROW = Printer(columns=32)


def printed(receipt: Receipt, language: str = "en", printer: Printer | None = None) -> Paper:
    return TillPrinter().take(receipt_escpos(receipt, language, printer or Printer()))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [48, 32])
def test_the_paper_says_what_the_screen_says(name: str, language: str, width: int) -> None:
    receipt = SAMPLES[name]
    paper = printed(receipt, language, Printer(columns=width))
    lines = [line.strip() for line in receipt_text(receipt, language, width).splitlines()]
    shown = [line.strip() for line in paper.lines if line]
    assert shown == lines
    assert paper.cuts == 1


def test_tokens_are_large_and_whole() -> None:
    digits = [grouped(token.digits) for token in KEY_CHANGE_AND_CREDIT.tokens]
    wide = printed(KEY_CHANGE_AND_CREDIT)
    assert wide.large == digits
    assert all(2 * len(line) <= 48 for line in wide.large)
    assert printed(KEY_CHANGE_AND_CREDIT, printer=NARROW).tall[-len(digits) :] == digits


def test_the_qr_code_holds_the_meter_and_the_tokens_in_entry_order() -> None:
    (code,) = printed(KEY_CHANGE_AND_CREDIT).qr_codes
    tokens = [token.digits for token in KEY_CHANGE_AND_CREDIT.tokens]
    assert code.split("\n") == ["TEST", "07000000773", *tokens]
    assert printed(ACCOUNT_PAYMENT).qr_codes == []
    assert printed(CREDIT, printer=Printer(has_qr=False)).qr_codes == []


def test_the_drawer_opens_for_cash_alone_and_never_for_a_copy() -> None:
    def kicks(receipt: Receipt, *, asked: bool = True) -> int:
        return TillPrinter().take(receipt_escpos(receipt, open_drawer=asked)).drawer_kicks

    assert kicks(CREDIT) == 1
    assert kicks(CREDIT, asked=False) == 0
    assert kicks(CREDIT.copy(1)) == 0
    assert kicks(ACCOUNT_PAYMENT) == 0  # by bank
    assert kicks(FREE_BASIC) == 0


def test_french_and_portuguese_come_out_of_other_code_pages_too() -> None:
    for number, page in ((2, "cp850"), (16, "cp1252")):
        paper = printed(CREDIT, "fr", Printer(code_page=number, encoding=page))
        assert "RECHARGE D'ÉLECTRICITÉ" in paper.text


def test_a_letter_that_the_printer_has_not_loses_its_accent_and_keeps_its_place() -> None:
    named = replace(CREDIT, meter=replace(CREDIT.meter, customer="Őrsi Ünal 王 €"))
    paper = printed(named, printer=Printer(code_page=2, encoding="cp850", has_chinese=False))
    (line,) = (line for line in paper.lines if line.startswith("Customer"))
    assert line.endswith("Orsi Ünal ?? ?")
    assert len(line) == 48


@settings(max_examples=50)
@given(receipts(), st.sampled_from(LANGUAGES), st.booleans(), st.sampled_from([32, 42, 48]))
def test_any_receipt_comes_out_within_the_paper(
    receipt: Receipt, language: str, has_chinese: bool, width: int
) -> None:
    paper = printed(receipt, language, Printer(columns=width, has_chinese=has_chinese))
    assert max(columns(line) for line in paper.lines) <= width
    for token in receipt.tokens:
        assert grouped(token.digits) in paper.lines


@settings(max_examples=50)
@given(receipts(st.just("word")), st.sampled_from(LANGUAGES))
def test_the_test_mark_is_on_the_paper_exactly_when_it_must(
    receipt: Receipt, language: str
) -> None:
    assert ("TEST" in printed(receipt, language).text) == bool(receipt.test_marks)


def test_a_name_cannot_hold_a_command() -> None:
    # names are checked when they are stored; a receipt of another program might not be
    evil = replace(CREDIT, meter=replace(CREDIT.meter, customer="A\x1bp\x00\x19\xfaB\x1d"))
    assert printed(evil).drawer_kicks == 0


def test_wrong_settings_of_a_printer_are_refused() -> None:
    with pytest.raises(PrinterSettingError, match="cp1252"):
        Printer(encoding="utf-16")
    with pytest.raises(PrinterSettingError, match="cp1252"):
        Printer(encoding="no such page")
    with pytest.raises(PrinterSettingError, match="0 to 255"):
        Printer(code_page=256)
    with pytest.raises(PaperWidthError):
        Printer(columns=10)
