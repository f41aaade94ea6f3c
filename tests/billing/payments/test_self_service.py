"""Customers ask by text message, voice and web (specs/utility.md 7)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, select

from billing.accounts.numbers import account_number
from billing.accounts.tables import contacts, supplies
from billing.faults import UnknownAccountError
from billing.ledger.books import REVENUE
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from billing.payments.door import take
from billing.payments.faults import NotProvenError, TooManyAsksError
from billing.payments.payment import Payment
from billing.payments.self_service import ASKS_MAX, Caller, SelfService, same_phone, sweep
from billing.payments.sms import LENGTH_MAX, answer, parse
from billing.payments.tables import self_service_asks
from headend.registry.tables import end_devices, installations, service_points
from tests.billing.made import make_account, make_supply
from tests.shop.conftest import Clock
from vending import NewMeter, Shop, VendRequest
from vending.sts import make_drn

PHONE = "+86 138 0000 1234"


@pytest.fixture
def shop(database_url: str, clock: Clock) -> Iterator[Shop]:
    with Shop.open(database_url, now=clock) as shop:
        yield shop


@pytest.fixture
def number(office: Office) -> str:
    """Of an account that has paid 100.00 and used 30.00; its customer's telephone is `PHONE`."""
    with office.writing() as connection:
        account_id = make_account(connection, office)
        make_supply(connection, office, account_id)
        connection.execute(
            insert(contacts).values(
                account_id=account_id,
                role="customer",
                name_sealed=office.seal.seal("contact.name", "Li Wei"),
                phone_sealed=office.seal.seal("contact.phone", PHONE),
                gets_bill=1,
                gets_notices=1,
                since=office.now(),
            )
        )
        take(connection, office, Payment("web", "1", 100_00, account_id))
        energy = Entry(account_id, EntryKind.ENERGY, -30_00, REVENUE, "settlement 1", "energy")
        post(connection, office, [energy])
    return account_number(account_id)


def _install(connection: Connection, office: Office, number: str) -> None:
    """A token meter on the same account."""
    now = office.now()
    point_id = connection.execute(
        insert(service_points)
        .values(name="token point", role="customer", added_at=now)
        .returning(service_points.c.point_id)
    ).scalar_one()
    device_id = connection.execute(
        insert(end_devices)
        .values(
            number=number,
            protocol="dlt645-2007",
            address="000000000099",
            kind="keypad",
            ratio=1,
            state="active",
            added_at=now,
        )
        .returning(end_devices.c.device_id)
    ).scalar_one()
    connection.execute(
        insert(installations).values(
            point_id=point_id,
            device_id=device_id,
            since=now,
            first_wh=0,
            reason="installed",
            made_by="test",
        )
    )
    connection.execute(insert(supplies).values(account_id=1, point_id=point_id, since=now))


def test_req07_the_customers_telephone_is_answered(office: Office, number: str) -> None:
    assert answer(office, "13800001234", f"bal {number}") == f"{number}: balance CNY 70.00."
    assert answer(office, "+8613800001234", f"DUE {number}") == f"{number}: nothing is due."
    said = answer(office, "13800001234", f"PAY {number}")
    assert said.startswith(f"{number}: last payment CNY 100.00 on ")
    assert answer(office, "13800001234", f"USE {number}") == f"{number}: 0.0 kWh in 30 days."
    assert answer(office, "13800001234", f"TOK {number}") == f"{number}: no token was sold."


def test_req07_arrears_are_told_with_their_day(office: Office, number: str, clock: Clock) -> None:
    account_id = int(number[:9]) - 100_000_000
    with office.writing() as connection:
        for amount, days in ((-80_00, 1), (-5_00, 9)):
            due = office.now() + timedelta(days=days)
            entry = Entry(account_id, EntryKind.FEE, amount, REVENUE, "fee 1", "a fee", due_at=due)
            post(connection, office, [entry])
    clock.advance(days=2)
    said = answer(office, "13800001234", f"DUE {number}")
    assert "overdue CNY 10.00, please pay now; CNY 5.00 due on" in said
    assert answer(office, "13800001234", f"BAL {number}").endswith("Overdue: CNY 10.00.")


def test_req07_another_telephone_proves_itself_by_four_digits(office: Office, number: str) -> None:
    other = "13911112222"
    assert "not known for the account" in answer(office, other, f"BAL {number}")
    assert "not known for the account" in answer(office, other, f"BAL {number} 4321")
    assert "CNY 70.00" in answer(office, other, f"BAL {number} 1234")


def test_req07_wrong_proofs_are_limited_for_the_account_by_whomever(
    office: Office, number: str, clock: Clock
) -> None:
    for guess in range(5):
        answer(office, f"1391111222{guess}", f"BAL {number} 000{guess}")
    said = answer(office, "13911119999", f"BAL {number} 1234")
    assert said == "Too many questions. Please wait an hour."
    assert "CNY 70.00" in answer(office, "13800001234", f"BAL {number}")  # its own telephone
    clock.advance(minutes=61)
    assert "CNY 70.00" in answer(office, "13911119999", f"BAL {number} 1234")


def test_req07_a_sender_asks_so_often_in_an_hour(office: Office, number: str) -> None:
    service = SelfService(office)
    stranger = Caller("web 7", "9999999999")
    for _ in range(ASKS_MAX):
        with pytest.raises(UnknownAccountError):
            service.standing(stranger)
    with pytest.raises(TooManyAsksError) as refused:
        service.standing(Caller("web 7", number, last_four="1234"))
    assert refused.value.code == "too_many_asks"
    assert service.standing(Caller("web 8", number, last_four="1234")).balance_minor == 70_00
    with pytest.raises(NotProvenError) as unproven:
        service.standing(Caller("web 8", number))
    assert unproven.value.code == "not_proven"


def test_req07_a_token_is_masked_for_who_has_proven_nothing(
    office: Office, number: str, shop: Shop
) -> None:
    drn = make_drn("07", "00000001")
    shop.add_meter(NewMeter(drn))
    with office.writing() as connection:
        _install(connection, office, drn)
    sold = shop.vend(VendRequest("till", "m1", drn, 100_00))
    assert sold.receipt is not None
    digits = str(sold.receipt.tokens[0].digits)
    service = SelfService(office)
    shown = service.last_token(Caller("web", number, last_four="1234"))
    assert shown is not None
    assert shown.digits.replace(" ", "") == digits.replace(" ", "")
    masked = service.last_token(Caller("web", number))
    assert masked is not None
    assert masked.digits == f"**** **** **** **** {digits[-4:]}"
    assert digits[:4] not in repr(shown)
    assert shown.digits in answer(office, "13800001234", f"TOK {drn}")


def test_req06_req07_anybody_tops_up_with_a_voucher(
    office: Office, number: str, shop: Shop, clock: Clock
) -> None:
    made = shop.vouchers.make(50_00, 1, clock() + timedelta(days=30))
    shop.vouchers.activate(made.batch.batch_id, "corner shop")
    pin = made.pins[0].digits()
    grouped = f"{pin[:4]} {pin[4:8]} {pin[8:12]} {pin[12:]}"
    stranger = "13911112222"
    assert answer(office, stranger, f"top {number} {grouped}") == (
        f"CNY 50.00 was paid onto {number}."
    )
    assert answer(office, stranger, f"TOP {number} {pin}") == (
        f"CNY 50.00 was paid before onto {number}."
    )
    wrong = answer(office, stranger, f"TOP {number} {'0' * 15}1")
    assert "no voucher number" in wrong
    assert answer(office, "13800001234", f"BAL {number}") == f"{number}: balance CNY 120.00."
    assert "1234567" not in repr(parse(f"TOP {number} 1234567812345678"))


def test_what_was_asked_is_forgotten(office: Office, number: str, clock: Clock) -> None:
    answer(office, "13800001234", f"BAL {number}")
    assert sweep(office) == 0
    clock.advance(days=31)
    assert sweep(office) == 1
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(self_service_asks)) == 0


@pytest.mark.parametrize(
    "text", ["", "BAL", "hello there", "BAL abc", "BAL 12 345", "TOP 12 1234", "TOP 12", "BAL ١٢"]
)
def test_what_is_not_understood_is_helped(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    found = parse(text)
    assert found is None or found.number.isdigit()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (PHONE, "13800001234", True),
        (PHONE, "008613800001234", True),
        ("13800001234", "+8613800001234", True),
        ("1234", PHONE, False),
        ("", PHONE, False),
        ("13800001235", PHONE, False),
    ],
)
def test_one_telephone_is_known_in_its_spellings(one: str, other: str, same: bool) -> None:
    assert same_phone(one, other) is same


def test_answers_fit_a_text_message(office: Office) -> None:
    assert len(answer(office, "1", "help")) <= LENGTH_MAX
