"""The files of texts: complete, alike, and refused with a clear word when they are not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.receipts.samples import CREDIT
from vending import receipt_text
from vending.price.lines import LineKind
from vending.receipts.faults import LanguageFileError, UnknownLanguageError
from vending.receipts.language import FOLDER_VARIABLE, find_language, languages
from vending.receipts.receipt import Reason, ReceiptKind
from vending.receipts.sms import fold
from vending.shop.books import Tender
from vending.shop.engineering import EngineeringAct
from vending.shop.resources import Resource

ROOT = Path(__file__).parents[2]
OURS = ROOT / "vending" / "receipts" / "languages"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's folder of languages."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def english() -> str:
    return (OURS / "en.toml").read_text("utf-8")


def swahili() -> str:
    return english().replace('code = "en"', 'code = "sw"')


def test_all_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    assert languages() == ("en", "fr", "pt", "zh")
    keys = [list(find_language(code).texts) for code in languages()]  # which checks each
    assert all(sorted(each) == sorted(keys[0]) for each in keys)


@pytest.mark.parametrize("code", languages())
def test_every_name_that_a_receipt_can_hold_has_its_word(code: str) -> None:
    texts = find_language(code).texts
    assert all(f"tender.{tender.value}" in texts for tender in Tender)
    assert all(f"reason.fee_{tender.value}" in texts for tender in Tender)
    for resource in Resource:
        assert f"unit.{resource.value}" in texts
        assert f"title.credit_{resource.value}" in texts
        assert f"token.credit_{resource.value}" in texts
    assert all(f"line.{kind.value}" in texts for kind in LineKind)
    assert all(f"token.{act.value}" in texts for act in EngineeringAct)
    kinds = {kind.value for kind in ReceiptKind} - {"credit"}
    assert all(f"title.{kind}" in texts for kind in kinds)


@pytest.mark.parametrize("code", ["en", "fr", "pt"])
def test_texts_of_short_messages_are_in_the_gsm_alphabet(code: str) -> None:
    texts = find_language(code).texts
    for key, text in texts.items():
        if key.startswith(("sms.", "mark.", "token.", "title.", "unit.", "reason.")):
            assert fold(text) is not None, key


@pytest.mark.parametrize("code", languages())
def test_every_reason_that_the_shop_gives_can_be_said(code: str) -> None:
    texts = find_language(code).texts
    found = list(_reasons())
    assert len(found) > 10
    for where, pattern, count in found:
        known = [text for key, text in texts.items() if re.fullmatch(pattern, key)]
        assert known, f"{where}: no text for {pattern}"
        if count is not None:
            for text in known:
                assert len(set(re.findall(r"\{[0-9]\}", text))) == count, where


def test_a_language_of_the_operator_is_a_file_in_a_folder(folder: Path) -> None:
    (folder / "sw.toml").write_text(swahili().replace("CREDIT TOKEN", "STAKABADHI"), "utf-8")
    assert languages() == ("en", "fr", "pt", "sw", "zh")
    assert "STAKABADHI" in receipt_text(CREDIT, "sw")


def test_a_file_of_the_operator_goes_before_ours(folder: Path) -> None:
    ours = (OURS / "fr.toml").read_text("utf-8")
    (folder / "fr.toml").write_text(ours.replace("Abonné", "Usager"), "utf-8")
    assert "Usager" in receipt_text(CREDIT, "fr")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("shift = ", "shifts = "), "label.shift is missing; label.shifts is not known"),
        (('copy = "COPY {number}"', 'copy = "COPY"'), "mark.copy has other placeholders"),
        (("{number}", "{number.__class__}"), "no plain name or digit"),
        (("{number}", "{number!r:>9999999}"), "no plain name or digit"),
        (("{number}", "{number"), "cannot be read"),
        (("%H:%M:%S %Z", "%H:%M:%S %x"), "format.date may hold"),
        (('decimal_mark = "."', "decimal_mark = 1"), "is no text"),
        (('decimal_mark = "."', 'decimal_mark = ""'), "is empty"),
        (('decimal_mark = "."', 'decimal_mark = "\\u001b"'), "cannot be printed"),
        (("[language]", "x = 1\n[language]"), "outside of a section"),
        (("[language]", "[language"), "is no TOML"),
        (('code = "sw"', 'code = "sv"'), "Make them the same"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_reason(
    folder: Path, change: tuple[str, str], said: str
) -> None:
    (folder / "sw.toml").write_text(swahili().replace(*change, 1), "utf-8")
    with pytest.raises(LanguageFileError, match=re.escape(said)) as refused:
        find_language("sw")
    assert "sw.toml" in str(refused.value)


def test_wrong_names_and_folders_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownLanguageError, match=r"sw\.toml"):
        find_language("sw")
    (folder / "Swahili.toml").write_text(swahili(), "utf-8")
    with pytest.raises(LanguageFileError, match="named by its language"):
        find_language("sw")
    (folder / "Swahili.toml").rename(folder / "sw.toml")
    (folder / "sw.toml").write_bytes(b"\xff")
    with pytest.raises(LanguageFileError, match="cannot be read"):
        find_language("sw")
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder / "nowhere"))
    with pytest.raises(LanguageFileError, match="no folder"):
        languages()


def test_what_a_newer_program_says_is_said_in_english() -> None:
    french = find_language("fr")
    assert french.sentence(Reason("of_tomorrow", ("1",)), "in English") == "in English"
    assert french.sentence(Reason("units_at_price", ("1",)), "in English") == "in English"
    assert french.sentence(None, "in English") == "in English"
    said = french.sentence(Reason("units_at_price", ("34.7", "m3", "2.50")), "in English")
    assert said == "34,7 m³ @ 2,50"


def test_english_is_said_as_it_was_stored() -> None:
    reason = Reason("units_at_price", ("34.7", "kWh", "2.50"))
    assert find_language("en").sentence(reason, "as it was") == "as it was"


def _reasons() -> Iterator[tuple[str, str, int | None]]:
    """Where a reason is made, the keys that it may have, how many values it gives."""
    for path in sorted((ROOT / "vending").rglob("*.py")):
        if "Reason(" not in path.read_text("utf-8"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reason"):
                continue
            pattern = _pattern(node.args[0]) if node.args else None
            if pattern is None:
                continue
            values = node.args[1] if len(node.args) > 1 else ast.Tuple(elts=[])
            count = len(values.elts) if isinstance(values, ast.Tuple) else None
            yield f"{path.name}:{node.lineno}", pattern, count


def _pattern(code: ast.expr) -> str | None:
    if isinstance(code, ast.Constant):
        return f"reason\\.{re.escape(str(code.value))}"
    if isinstance(code, ast.JoinedStr):
        parts = [
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+?"
            for part in code.values
        ]
        return "reason\\." + "".join(parts) + ("(?<!_and_taxes)" if len(parts) == 2 else "")
    return None
