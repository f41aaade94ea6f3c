"""Bills on paper: every language, read back from the PDF; print batches (requirements 18-20)."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from pypdf import PdfReader
from sqlalchemy import func, select, update

from billing.bills.bill import Bill
from billing.bills.faults import (
    BillTextsError,
    NoSuchBatchError,
    NoSuchBillError,
    NothingToBillError,
)
from billing.bills.fees import Fee, charge_fee
from billing.bills.kinds import BillKind
from billing.bills.late_fees import LateFeeDesk, LateFeeRule
from billing.bills.looking import addressee, bill_by_number, document
from billing.bills.paper import payment_code
from billing.bills.pdf import bill_pdf
from billing.bills.printing import PrintDesk, post_code
from billing.bills.sending import WayDesk, Ways, deliveries_of, send_again
from billing.bills.tables import bills
from billing.bills.texts import TextDesk
from billing.bills.wording import find_wording, languages
from billing.faults import BadEntryError, RightMissingError
from billing.notices.tables import notices
from billing.office import Office
from billing.person import Person, Right
from tests.billing.bills.made import address, bill_now, contact, line, pay, settle, speak
from tests.billing.made import make_account, make_supply
from tests.shop.conftest import Clock


def _billed(office: Office, clock: Clock, language: str = "en", **more: str) -> Bill:
    """A bill with energy, a payment and a fee; the account speaks a language."""
    with office.writing() as connection:
        name = {"zh": "李伟"}.get(language, "Ann Example")
        account_id = make_account(connection, office, name=name, **more)  # type: ignore[arg-type]
        supply_id, device_id = make_supply(connection, office, account_id)
        speak(connection, account_id, language)
        where = {"zh": "北京市朝阳区建国路 88 号\n100022 北京"}.get(
            language, "12 Long Acre\nSpringfield 4001"
        )
        address(connection, office, supply_id, where)
        clock.advance(days=40)
        lines = [
            line("block1", "104000", "2000", "0.52"),
            line("block2", "23456", "408", "0.57491"),
            line("vat", "16569.28", None, "13", kind="tax"),
        ]
        settle(
            connection,
            office,
            account_id,
            supply_id,
            office.now(),
            lines,
            2_408_000,
            1440_25,
            device_id=device_id,
        )
        pay(connection, office, account_id, 40_00)
        charge_fee(connection, office, Fee(account_id, "connection", 120_00, f"f {account_id}"))
    return bill_now(office, account_id)


def _text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("en", ["Electricity bill", "CNY 1,520.25", "12 Long Acre", "Block 2", "Connection"]),
        ("zh", ["电费账单", "CNY 1,520.25", "李伟", "建国路", "第 2 档", "接电费"]),
        ("fr", ["Facture d’électricité", "1 520,25 CNY", "Tranche 2", "Raccordement"]),
        ("pt", ["Fatura de eletricidade", "1.520,25 CNY", "Escalão 2", "Ligação"]),
    ],
)
def test_req18_a_bill_is_read_back_from_its_pdf(
    office: Office, clock: Clock, language: str, wanted: list[str]
) -> None:
    made = _billed(office, clock, language)
    with office.reading() as connection:
        pdf = bill_pdf(connection, office, made.bill_id)
        assert bill_pdf(connection, office, made.bill_id) == pdf, "the same bytes again"
    text = _text(pdf).replace("\u00a0", " ").replace("'", "’")
    wording = find_wording(language)
    due = wording.day(made.due_on(office.zone))
    for each in (*wanted, office.name, made.number, due, "2"):
        assert each in text, each
    assert "2,408.000" in text or "2 408,000" in text or "2.408,000" in text
    for minor in made.sums.values():
        if minor:
            assert wording.amount(-minor, office.currency).replace("\u00a0", " ") in text


def test_req20_a_bill_may_be_had_in_another_language(office: Office, clock: Clock) -> None:
    made = _billed(office, clock, "sw")
    with office.reading() as connection:
        assert "Electricity bill" in _text(bill_pdf(connection, office, made.bill_id))
        french = _text(bill_pdf(connection, office, made.bill_id, "fr"))
        with pytest.raises(NoSuchBillError) as fault:
            bill_pdf(connection, office, made.bill_id + 1)
    assert "Facture" in french
    assert fault.value.code == "no_such_bill"


def test_req18_a_bill_says_what_paying_late_costs(office: Office, clock: Clock) -> None:
    none = _billed(office, clock)
    LateFeeDesk(office).set(LateFeeRule("residential", office.today(), 500, 30_00))
    some = _billed(office, clock)
    with office.reading() as connection:
        assert "paid later" not in _text(bill_pdf(connection, office, none.bill_id))
        text = " ".join(_text(bill_pdf(connection, office, some.bill_id)).split())
    assert "What is paid later costs 0.05 % of what is open for each day, at most 30 %" in text


def test_req18_thirteen_months_are_drawn(office: Office, clock: Clock) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, _ = make_supply(connection, office, account_id)
    made = None
    for month in range(14):
        clock.advance(days=30)
        with office.writing() as connection:
            lines = [line("t1", "100", "100", "1")]
            energy = (month + 1) * 11_000
            settle(connection, office, account_id, supply_id, office.now(), lines, energy)
        made = bill_now(office, account_id, BillKind.FINAL)
    assert made is not None
    with office.reading() as connection:
        use = document(connection, made.bill_id).use_wh
        text = _text(bill_pdf(connection, office, made.bill_id))
    assert sum(use.values()) == sum(range(1, 15)) * 11_000
    for name, energy_wh in list(use.items())[-13:]:
        assert f"{name[5:]}/{name[2:4]}" in text
        assert str(energy_wh // 1000) in text


def test_req18_a_bill_stays_as_it_was_given_out(office: Office, clock: Clock) -> None:
    made = _billed(office, clock)
    with office.reading() as connection:
        first = bill_pdf(connection, office, made.bill_id)
    with office.writing() as connection:
        address(connection, office, 1, "another street")
        speak(connection, made.account_id, "fr")
    with office.reading() as connection:
        assert bill_pdf(connection, office, made.bill_id) == first


def test_req30_whom_a_bill_is_for_is_not_in_clear(office: Office, clock: Clock) -> None:
    made = _billed(office, clock)
    with office.reading() as connection:
        row = connection.execute(select(bills)).one()
        assert addressee(connection, office, made.bill_id).name == "Ann Example"
        assert "Ann" not in repr(addressee(connection, office, made.bill_id))
    assert "Ann" not in row.document
    assert b"Ann" not in bytes(row.addressee_sealed)
    with office.writing() as connection:  # as fields are sealed anew, and emptied in the end
        erased = office.seal.seal("bill.addressee", "")
        connection.execute(update(bills).values(addressee_sealed=erased))
    with office.reading() as connection:
        assert addressee(connection, office, made.bill_id).name == ""
        assert made.number in _text(bill_pdf(connection, office, made.bill_id))


def test_the_payment_code_says_what_to_pay(office: Office, clock: Clock) -> None:
    made = _billed(office, clock)
    account = made.number.rpartition("-")[0]
    assert payment_code(made, office.currency) == (
        f"meterhouse:pay?account={account}&bill={made.number}&amount=1520.25&currency=CNY"
    )


def test_req20_information_is_chosen_by_class_and_language(office: Office, clock: Clock) -> None:
    desk = TextDesk(office)
    today = office.today()
    until = today + timedelta(days=90)
    everybody = desk.add(
        "Charge at night.", language="en", since=today, until=until, customer_class=None
    )
    desk.add("夜间用电。", language="zh", since=today, until=until, customer_class=None)
    desk.add("Save at home.", language="en", since=today, until=until, customer_class="residential")
    desk.add("Too late.", language="en", since=today, until=today, customer_class="residential")
    with pytest.raises(BadEntryError):
        desk.add("", language="en", since=today, until=until, customer_class=None)
    for language, wanted in (("en", "Save at home."), ("zh", "夜间用电。")):
        made = _billed(office, clock, language)
        with office.reading() as connection:
            assert document(connection, made.bill_id).information == wanted
    made = _billed(office, clock, "fr", customer_class="public")
    with office.reading() as connection:
        assert document(connection, made.bill_id).information == ""
    assert len(desk.list()) == 4
    desk.end(everybody, today)
    with pytest.raises(BadEntryError, match="no text"):
        desk.end(99, today)


def test_req20_a_bill_is_handed_over_with_its_making(office: Office, clock: Clock) -> None:
    made = _billed(office, clock)
    works = _billed(office, clock, customer_class="industrial")
    with office.reading() as connection:
        [mine] = deliveries_of(connection, made.bill_id)
        both = deliveries_of(connection, works.bill_id)
        row = connection.execute(select(notices).where(notices.c.bill_id == made.bill_id)).one()
    assert (mine.way, mine.notice_id) == ("notice", row.notice_id)
    assert [each.way for each in both] == ["notice", "paper"]
    assert made.number in row.about
    with office.writing() as connection:
        again = send_again(connection, office, made, "asked at the counter")
        assert send_again(connection, office, made, "asked at the counter") is None
    assert again is not None
    assert again != mine.notice_id
    WayDesk(office).set(Ways("residential", by_notice=False, on_paper=True))
    with office.reading() as connection:
        before = connection.scalar(select(func.count()).select_from(notices))
    later = _billed(office, clock)
    with office.reading() as connection:
        assert [each.way for each in deliveries_of(connection, later.bill_id)] == ["paper"]
        assert connection.scalar(select(func.count()).select_from(notices)) == before


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("12 Long Acre\nSpringfield 4001", "4001"),
        ("北京市朝阳区建国路 88 号\n100022 北京", "100022"),
        ("Rua 1234, 5\n1000-205 Lisboa", "1000-205"),
        ("10 Downing Street\nLondon SW1A 2AA", "SW1A 2AA"),
        ("the house behind the mill", "~"),
        ("phone 0123456789", "~"),
    ],
)
def test_post_codes_are_found(text: str, code: str) -> None:
    assert post_code(text) == code


def test_req20_letters_are_printed_in_the_order_of_post_codes_and_once(
    office: Office, clock: Clock
) -> None:
    desk = PrintDesk(office)
    with pytest.raises(NothingToBillError, match="paper"):
        desk.make()
    WayDesk(office).set(Ways("residential", by_notice=True, on_paper=True))
    clock.advance(days=1)
    made = []
    for code in ("9000", "1000", "5000"):
        with office.writing() as connection:
            account_id = make_account(connection, office)
            people = [("Works", f"1 Street\nTown {code}", "en")]
            if code == "5000":
                people.append(("Comptable", "2 Rue\nVille 0500", "fr"))
            for name, post, language in people:
                contact(connection, office, account_id, name, post_address=post, language=language)
            charge_fee(connection, office, Fee(account_id, "visit", int(code), f"v {code}"))
        made.append(bill_now(office, account_id, BillKind.NON_METERING))
    assert desk.waiting() == 3
    printed = desk.make()
    rows = list(csv.DictReader(StringIO(printed.manifest)))
    assert [row["post_code"] for row in rows] == ["0500", "1000", "5000", "9000"]
    assert [row["bill"] for row in rows] == [
        made[2].number,
        made[1].number,
        made[2].number,
        made[0].number,
    ]
    pages = PdfReader(BytesIO(printed.pdf)).pages
    assert len(pages) == printed.batch.pages == 4
    for row in rows:
        text = pages[int(row["first_page"]) - 1].extract_text()
        assert row["bill"] in text
        assert row["post_code"] in text
        assert "1 of 1" in text or "1 sur 1" in text
    assert "Facture de frais" in pages[0].extract_text()
    with pytest.raises(NothingToBillError):
        desk.make()
    again = desk.again(printed.batch.batch_id)
    assert (again.pdf, again.manifest, again.is_exact) == (printed.pdf, printed.manifest, True)
    assert [each.letters for each in desk.list()] == [4]
    with pytest.raises(NoSuchBatchError) as fault:
        desk.again(99)
    assert fault.value.code == "no_such_print_batch"


@pytest.mark.parametrize("right", [Right.BILL, Right.PERSONAL])
def test_req29_letters_take_the_right_to_see_personal_fields(office: Office, right: Right) -> None:
    """The desk asks for it, whatever command or program is in front of it."""
    desk = PrintDesk(office.acting(Person("erna", frozenset(Right) - {right})))
    with pytest.raises(RightMissingError, match=right.value):
        desk.make()
    with pytest.raises(RightMissingError, match=right.value):
        desk.again(1)


@pytest.fixture
def own_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the operator's own texts."""
    (tmp_path / "bills").mkdir()
    monkeypatch.setenv("METERHOUSE_LANGUAGES", str(tmp_path))
    return tmp_path / "bills"


def test_every_language_has_every_text() -> None:
    assert set(languages()) >= {"en", "fr", "pt", "zh"}
    for code in languages():
        assert find_wording(code).code == code


def test_an_operators_texts_go_first_and_are_checked(own_texts: Path) -> None:
    ours = Path("billing/bills/languages/en.toml").read_text("utf-8")
    (own_texts / "en.toml").write_text(ours.replace("Electricity bill", "Power bill"), "utf-8")
    assert find_wording("en").say("title.regular") == "Power bill"
    (own_texts / "sw.toml").write_text(ours.replace("{account}", "{customer}"), "utf-8")
    with pytest.raises(BillTextsError, match=r"pay\.how_text has other placeholders") as fault:
        find_wording("sw")
    assert fault.value.code == "bill_texts"


def test_a_bill_is_found_by_its_number(office: Office, clock: Clock) -> None:
    made = _billed(office, clock)
    with office.reading() as connection:
        assert bill_by_number(connection, made.number) == made
        with pytest.raises(NoSuchBillError, match="bill list"):
            bill_by_number(connection, "1-1")
