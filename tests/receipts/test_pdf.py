"""Receipts as PDF, read back by another program's reader (pypdf)."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from tests.receipts.samples import CREDIT, FREE_BASIC, SAMPLES
from tests.receipts.strategies import EUROPEAN_RECEIPTS
from vending import Paper, Receipt, receipt_pdf
from vending.receipts.faults import FontMissingError, PdfError
from vending.receipts.fonts import FONTS_VARIABLE, fonts_for
from vending.receipts.pdf import compile_pdf
from vending.sts import grouped

POINTS_PER_MM = 72 / 25.4


def _has_chinese_font() -> bool:
    try:
        fonts_for("购电凭证充值码")
    except FontMissingError:
        return False
    return True


needs_chinese_font = pytest.mark.skipif(
    not _has_chinese_font(),
    reason="no font with Chinese letters on this machine (Debian: apt install fonts-noto-cjk)",
)


def pages(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(content)).pages]


def text_of(content: bytes) -> str:
    return "\n".join(pages(content))


@pytest.mark.parametrize("language", ["en", "fr", "pt"])
@pytest.mark.parametrize("paper", list(Paper))
@pytest.mark.parametrize("name", ["credit", "free_basic", "account_payment", "reversal"])
def test_a_pdf_holds_the_tokens_and_the_mark(name: str, language: str, paper: Paper) -> None:
    receipt = SAMPLES[name]
    (text,) = pages(receipt_pdf(receipt, language, paper))
    for token in receipt.tokens:
        assert grouped(token.digits) in text
    assert ("TEST" in text) == bool(receipt.test_marks)
    assert receipt.seller.utility in text


@needs_chinese_font
@pytest.mark.parametrize("paper", list(Paper))
@pytest.mark.parametrize("name", SAMPLES)
def test_a_pdf_in_chinese_holds_the_letters_themselves(name: str, paper: Paper) -> None:
    receipt = SAMPLES[name]
    text = text_of(receipt_pdf(receipt, "zh", paper))
    assert "凭证" in text
    assert ("测试" in text) == bool(receipt.test_marks)
    assert receipt.meter.customer in text
    for token in receipt.tokens:
        assert grouped(token.digits) in text


@settings(max_examples=15)
@given(EUROPEAN_RECEIPTS, st.sampled_from(["en", "fr", "pt"]), st.sampled_from(Paper))
def test_any_receipt_becomes_a_pdf_with_its_tokens(
    receipt: Receipt, language: str, paper: Paper
) -> None:
    text = text_of(receipt_pdf(receipt, language, paper))
    for token in receipt.tokens:
        assert grouped(token.digits) in text


def test_the_same_receipt_gives_the_same_bytes() -> None:
    assert receipt_pdf(CREDIT, "fr") == receipt_pdf(CREDIT, "fr")
    reader = PdfReader(BytesIO(receipt_pdf(CREDIT)))
    assert reader.metadata is not None
    assert reader.metadata.creation_date == CREDIT.issued_at


def test_the_roll_is_80_mm_wide_and_as_long_as_it_takes() -> None:
    (page,) = PdfReader(BytesIO(receipt_pdf(CREDIT, "en", Paper.ROLL))).pages
    assert float(page.mediabox.width) == pytest.approx(80 * POINTS_PER_MM, abs=0.1)
    (short,) = PdfReader(BytesIO(receipt_pdf(FREE_BASIC, "en", Paper.ROLL))).pages
    assert short.mediabox.height < page.mediabox.height


def test_letters_without_a_font_are_named_and_so_is_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(FontMissingError, match=r"fonts-noto-cjk.*METERHOUSE_FONTS"):
        compile_pdf("#data.x", {"x": "\U0001e2c0"})  # Wancho, which hardly any font has
    monkeypatch.setenv(FONTS_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(FontMissingError, match="which is no folder"):
        compile_pdf("#data.x", {"x": "购"})


@needs_chinese_font
def test_a_folder_of_the_operator_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(FONTS_VARIABLE, str(tmp_path))
    assert fonts_for("购电").families
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert fonts_for("购电").families


def test_data_is_text_and_never_a_command() -> None:
    text = text_of(compile_pdf("#data.x", {"x": '#panic("no") = *bold* $x$ \\ "'}))
    assert '#panic("no") = *bold* $x$ \\ "' in text


def test_a_broken_template_is_told() -> None:
    with pytest.raises(PdfError, match="could not be typeset"):
        compile_pdf("#foo(", {})
