"""Every event says in every language what has happened and what to do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.notices.faults import NoticeRulesError
from billing.notices.parts import fold, sms_size
from billing.notices.port import Event
from billing.notices.quiet import Span, may_leave_at, parse_span
from billing.notices.render import Setting, Told, money, render
from billing.notices.rules import EVENTS, FOLDER_VARIABLE, rule_of
from billing.notices.samples import sample_of
from billing.notices.wording import codes, find_wording, placeholders
from tests.billing.conftest import ZONE
from vending import Currency

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SETTING = Setting("City Power", ZONE, Currency.named("CNY"))


def told(event: str, code: str, *, only_needed: bool = False) -> Told:
    about = sample_of(event, NOW, only_needed=only_needed)
    return render(find_wording(code), SETTING, event, about, account="1234567897", name="Li Wei")


def test_req16_the_languages_are_en_zh_fr_pt() -> None:
    assert codes() == ("en", "fr", "pt", "zh")


@pytest.mark.parametrize("code", ["en", "zh", "fr", "pt"])
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("only_needed", [False, True])
def test_req16_every_event_says_in_every_language_what_to_do(
    event: str, code: str, only_needed: bool
) -> None:
    found = told(event, code, only_needed=only_needed)
    text = find_wording(code).texts[event]
    for words in (found.subject, found.letter, found.chat, found.sms):
        assert words.strip()
        assert not re.search(r"[{}]|None", words)
    assert any(
        not placeholders("x", each) or each.split("{")[0] in found.letter for each in text.do
    )
    assert "1234567897" in found.letter
    assert found.sms.startswith("City Power: ")
    assert sms_size(found.sms).parts <= (3 if only_needed is False else 2)


@pytest.mark.parametrize("code", ["en", "fr", "pt"])
@pytest.mark.parametrize("event", EVENTS)
def test_sms_in_latin_letters_are_of_the_gsm_alphabet(event: str, code: str) -> None:
    assert sms_size(told(event, code).sms).alphabet == "GSM-7"


def test_req17_the_days_that_are_left_are_said() -> None:
    assert "about 4 day(s)" in told(Event.DAYS_LEFT, "en").letter
    assert "约可使用 4 天" in told(Event.DAYS_LEFT, "zh").letter


def test_req21_a_disconnect_notice_has_time_and_reason() -> None:
    found = told(Event.DISCONNECT_NOTICE, "en")
    assert "27 November 2026, 10:00" in found.letter  # of the utility's zone
    assert "the account is in arrears" in found.letter
    assert "27/11/2026 10:00" in found.sms


@pytest.mark.parametrize(
    ("code", "minor", "text"),
    [
        ("en", 1_234_567_89, "CNY 1,234,567.89"),
        ("zh", -5, "-0.05 CNY"),
        ("fr", 1_234_50, "1 234,50 CNY"),
        ("pt", 1_234_50, "1.234,50 CNY"),
    ],
)
def test_amounts_are_written_as_the_language_does(code: str, minor: int, text: str) -> None:
    assert money(find_wording(code), Currency.named("CNY"), minor) == text


def test_amounts_without_minor_digits_have_no_mark() -> None:
    assert money(find_wording("fr"), Currency.named("XOF"), 12_500) == "12 500 XOF"


def test_a_language_that_is_not_there_is_the_next_best() -> None:
    assert find_wording("pt-BR").code == "pt"
    assert find_wording("sw", "fr").code == "fr"
    assert find_wording("sw").code == "en"


@pytest.mark.parametrize(
    ("text", "alphabet", "letters", "parts"),
    [
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("€" * 80, "GSM-7", 160, 1),
        ("a" * 152 + "€" + "a" * 153, "GSM-7", 307, 3),
        ("电" * 70, "UCS-2", 70, 1),
        ("电" * 71, "UCS-2", 71, 2),
        ("电" * 134, "UCS-2", 134, 2),
        ("😀" * 35, "UCS-2", 70, 1),
        ("", "GSM-7", 0, 1),
    ],
)
def test_the_parts_of_a_short_message_are_counted(
    text: str, alphabet: str, letters: int, parts: int
) -> None:
    size = sms_size(text)
    assert (size.alphabet, size.letters, size.parts) == (alphabet, letters, parts)


@given(st.text(max_size=400))
def test_any_text_has_room_in_its_parts(text: str) -> None:
    size = sms_size(text)
    room = {"GSM-7": (160, 153), "UCS-2": (70, 67)}[size.alphabet]
    assert size.letters <= (room[0] if size.parts == 1 else size.parts * room[1])
    assert (size.alphabet == "GSM-7") == (fold(text) == text)


def own(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))


def test_the_utilitys_own_words_go_first_event_by_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(
        tmp_path,
        monkeypatch,
        "en.toml",
        '[frame]\nhello = "Hello {name}!"\n'
        '[reconnected]\nsubject = "Light!"\nsays = ["It is back."]\n'
        'do = ["Enjoy."]\nsms = ["Back."]\n',
    )
    assert told(Event.RECONNECTED, "en").letter.startswith("Hello Li Wei!\n\nIt is back.")
    assert "Please top up" in told(Event.LOW_BALANCE, "en").letter


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("en.toml", "[reconnected]\nsubject = 'x'\n", "subject, says, do and sms"),
        (
            "en.toml",
            "[refund]\nsubject='{iban}'\nsays=['x']\ndo=['x']\nsms=['x']\n",
            "names what no notice says: iban",
        ),
        (
            "en.toml",
            "[refund]\nsubject='x'\nsays=['{by_on}']\ndo=['x']\nsms=['x']\n",
            "would be empty",
        ),
        ("en.toml", "[refund]\nsubject='{x!r}'\nsays=['x']\ndo=['x']\nsms=['x']\n", "plain name"),
        ("en.toml", "[refundd]\nsubject='x'\n", "is not known"),
        ("en.toml", "subject = 'x'\n", "stands in a section"),
        ("en.toml", "[refund\n", "cannot be read"),
        ("en.toml", "[format]\ndate = '%c'\n", "may hold"),
        ("sw.toml", "[language]\ncode = 'sw'\n", "is missing"),
        ("not a language.toml", "", "named by its language"),
        ("rules.toml", "[refund]\nways = 'some'\n", "ways"),
        ("rules.toml", "[refund]\nquiet = { sms = 'night' }\n", "22:00-07:00"),
        ("rules.toml", "[refundd]\nrank = 1\n", "no events named refundd"),
        ("rules.toml", "[refund]\nkeep_h = 0\n", "keep_h"),
    ],
)
def test_own_texts_and_rules_that_could_fail_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, wrong: str
) -> None:
    own(tmp_path, monkeypatch, name, text)
    with pytest.raises(NoticeRulesError, match=re.escape(wrong)) as fault:
        rule_of("refund") if name == "rules.toml" else find_wording(name.removesuffix(".toml"))
    assert fault.value.code == "notice_rules"


def test_the_utilitys_own_rules_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(tmp_path, monkeypatch, "rules.toml", "['*']\nkeep_h = 7\n[bill]\nconfirm_days = 9\n")
    assert (rule_of("bill").confirm_days, rule_of("bill").keep_h) == (9, 480)
    assert rule_of("reminder").keep_h == 7


@given(st.integers(0, 1439), st.integers(0, 1439), st.datetimes(timezones=st.just(UTC)))
def test_what_leaves_never_leaves_in_quiet_hours(begin: int, end: int, moment: datetime) -> None:
    if not 1950 < moment.year < 2100:
        return
    quiet = Span(begin, end)
    leaves = may_leave_at(moment, quiet, ZONE)
    local = leaves.astimezone(ZONE)
    assert leaves >= moment
    assert not quiet.holds(local.hour * 60 + local.minute)
    assert (leaves - moment).total_seconds() < 86_400 + 7_200
    assert parse_span(str(quiet)) == quiet
