"""A voucher pays once, when it is valid, and nobody learns one by trying or by looking."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.engine import open_engine
from tests.shop.conftest import Clock
from tests.shop.databases import START
from vending import (
    Meter,
    NewMeter,
    Outcome,
    Pin,
    RedeemRequest,
    RefundRequest,
    ReversalRequest,
    Shop,
    Tender,
    VendRequest,
)
from vending.cash.faults import CountError
from vending.cash.reckoning import Count
from vending.shop.faults import MessageConflictError, RequestFormatError
from vending.sts import make_drn
from vending.vouchers.batches import BatchState
from vending.vouchers.desk import MadeVouchers
from vending.vouchers.faults import (
    TooManyVoucherTriesError,
    UnknownVoucherBatchError,
    VoucherBatchStateError,
    VoucherPinError,
)
from vending.vouchers.pins import check_digit
from vending.vouchers.sheet import voucher_csv, voucher_sheet
from vending.vouchers.tries import METER_TRIES_MAX, TRY_WINDOW

FACE = 5_000
ARABIC_INDIC = "\N{ARABIC-INDIC DIGIT ONE}"
END = START + timedelta(days=30)


@pytest.fixture
def made(shop: Shop) -> MadeVouchers:
    """Three valid vouchers."""
    made = shop.vouchers.make(FACE, 3, END, operator="ann")
    shop.vouchers.activate(made.batch.batch_id, "Corner shop", operator="ann")
    return made


def ask(meter: Meter, pin: Pin, message_id: str = "r1", client: str = "web") -> RedeemRequest:
    return RedeemRequest(client, message_id, meter.number, pin)


def wrong_pin(number: int = 1) -> Pin:
    body = f"{number:015d}"
    return Pin(body + check_digit(body))


def balances(shop: Shop) -> dict[str, int]:
    return {each.account: each.balance_minor for each in shop.statement().accounts}


def test_a_voucher_buys_what_its_face_value_buys(
    shop: Shop, meter: Meter, made: MadeVouchers
) -> None:
    sold = shop.vend(VendRequest("till", "m1", meter.number, FACE)).require_done()
    paid = shop.vouchers.redeem(ask(meter, made.pins[0])).require_done()
    assert paid.units == sold.units
    assert paid.payment is not None
    assert paid.payment.tender == "voucher"
    assert paid.token != sold.token
    assert shop.vouchers.batch(made.batch.batch_id).redeemed == 1
    assert shop.statement().agrees


def test_the_same_request_gives_the_same_bytes_and_another_one_finds_the_voucher_used(
    shop: Shop, meter: Meter, made: MadeVouchers
) -> None:
    first = shop.vouchers.redeem(ask(meter, made.pins[0]))
    again = shop.vouchers.redeem(ask(meter, made.pins[0]))
    assert again.replayed
    assert again.response == first.response
    other = shop.vouchers.redeem(ask(meter, made.pins[0], "r2"))
    assert other.outcome is Outcome.FAILED
    assert other.fault is not None
    assert other.fault.code == "voucher_used"
    with pytest.raises(MessageConflictError):
        shop.vouchers.redeem(ask(meter, made.pins[1]))


def test_the_books_say_what_is_still_owed_to_the_holders(
    shop: Shop, meter: Meter, made: MadeVouchers
) -> None:
    before = balances(shop)
    assert before["vouchers.outstanding"] == before["vouchers.receivable"] == 3 * FACE
    shop.vouchers.redeem(ask(meter, made.pins[0])).require_done()
    shop.vouchers.block_one(made.batch.batch_id, 2, "torn")
    after = balances(shop)
    assert after["vouchers.outstanding"] - after["tender.voucher"] == FACE
    blocked = shop.vouchers.block(made.batch.batch_id, "box stolen")
    assert blocked.state is BatchState.BLOCKED
    assert (blocked.redeemed, blocked.blocked) == (1, 1)
    end = balances(shop)
    assert end["vouchers.outstanding"] == end["tender.voucher"]
    assert shop.statement().agrees


def test_what_lapsed_is_income_of_its_own(shop: Shop, clock: Clock, made: MadeVouchers) -> None:
    clock.now = END
    shop.vouchers.block(made.batch.batch_id, "expired")
    assert balances(shop)["vouchers.lapsed"] == 3 * FACE


def test_a_voucher_that_was_not_activated_pays_nothing(shop: Shop, meter: Meter) -> None:
    made = shop.vouchers.make(FACE, 1, END)
    refused = shop.vouchers.redeem(ask(meter, made.pins[0]))
    assert refused.fault is not None
    assert refused.fault.code == "voucher_not_active"


@pytest.mark.parametrize("how", ["expired", "blocked", "blocked one"])
def test_a_voucher_that_is_not_valid_any_more_pays_nothing(
    shop: Shop, clock: Clock, meter: Meter, made: MadeVouchers, how: str
) -> None:
    match how:
        case "expired":
            clock.now = END
        case "blocked":
            shop.vouchers.block(made.batch.batch_id, "box stolen")
        case _:
            shop.vouchers.block_one(made.batch.batch_id, 1, "torn")
    refused = shop.vouchers.redeem(ask(meter, made.pins[0]))
    assert refused.fault is not None
    assert refused.fault.code == ("voucher_expired" if how == "expired" else "voucher_blocked")
    assert "torn" in str(refused.fault) or how != "blocked one"


def test_a_sale_that_is_refused_leaves_the_voucher_good(
    shop: Shop, meter: Meter, made: MadeVouchers
) -> None:
    shop.block_meter(meter.number, "meter removed")
    refused = shop.vouchers.redeem(ask(meter, made.pins[0]))
    assert refused.outcome is Outcome.FAILED
    shop.unblock_meter(meter.number)
    assert shop.vouchers.redeem(ask(meter, made.pins[0], "r2")).outcome is Outcome.DONE


def test_wrong_pins_are_limited_for_a_meter_and_right_ones_are_not_counted(
    shop: Shop, clock: Clock, meter: Meter, made: MadeVouchers
) -> None:
    shop.vouchers.redeem(ask(meter, made.pins[0], "good")).require_done()
    for number in range(METER_TRIES_MAX):
        refused = shop.vouchers.redeem(ask(meter, wrong_pin(number), f"w{number}"))
        assert refused.fault is not None
        assert refused.fault.code == "voucher_unknown"
    shop.vouchers.redeem(ask(meter, wrong_pin(0), "w0"))  # asked before: no new try
    for pin in (wrong_pin(99), made.pins[1]):
        with pytest.raises(TooManyVoucherTriesError):
            shop.vouchers.redeem(ask(meter, pin, "w-more"))
    clock.now += TRY_WINDOW
    assert shop.vouchers.redeem(ask(meter, made.pins[1], "w-more")).outcome is Outcome.DONE


def test_wrong_pins_are_limited_for_a_client_too(
    shop: Shop, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vending.vouchers.tries.CLIENT_TRIES_MAX", 3)
    numbers = [meter.number]
    for serial in range(3):
        drn = make_drn("07", f"9999{serial:04d}")
        numbers.append(shop.add_meter(NewMeter(drn)).number)
    for attempt, number in enumerate(numbers[:3]):
        shop.vouchers.redeem(RedeemRequest("web", f"w{attempt}", number, wrong_pin(attempt)))
    with pytest.raises(TooManyVoucherTriesError):
        shop.vouchers.redeem(RedeemRequest("web", "w9", numbers[3], wrong_pin(9)))
    other = shop.vouchers.redeem(RedeemRequest("phone", "w9", numbers[3], wrong_pin(9)))
    assert other.outcome is Outcome.FAILED


def test_a_meter_that_is_not_registered_never_gets_to_guess(
    shop: Shop, meter: Meter, made: MadeVouchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vending.vouchers.tries.HOUSE_TRIES_MAX", 4)
    for number in range(4):
        nobody = make_drn("07", f"9998{number:04d}")
        pin = made.pins[0] if number % 2 else wrong_pin(number)
        refused = shop.vouchers.redeem(RedeemRequest(f"web{number}", "w", nobody, pin))
        assert refused.fault is not None
        assert refused.fault.code == "unknown_meter"
    with pytest.raises(TooManyVoucherTriesError):  # the house has its limit, too
        shop.vouchers.redeem(ask(meter, made.pins[0]))


def test_a_batch_has_a_reseller_and_a_face_value_that_can_be_sold(shop: Shop) -> None:
    for face in (shop.utility.minimum_minor - 1, shop.utility.maximum_minor + 1):
        with pytest.raises(RequestFormatError):
            shop.vouchers.make(face, 1, END)
    batch = shop.vouchers.make(FACE, 1, END).batch
    for reseller in ("", "  ", None):
        with pytest.raises(RequestFormatError):
            shop.vouchers.activate(batch.batch_id, reseller)  # type: ignore[arg-type]


def test_values_of_the_wrong_kind_are_told(shop: Shop, meter: Meter) -> None:
    with pytest.raises(RequestFormatError):
        shop.vouchers.make(FACE, 1, None)  # type: ignore[arg-type]
    with pytest.raises(RequestFormatError):
        RedeemRequest("web", "r", meter.number, "1234")  # type: ignore[arg-type]
    with pytest.raises(RequestFormatError):
        shop.bank.read("text")  # type: ignore[arg-type]
    with pytest.raises(CountError):
        Count(None)  # type: ignore[arg-type]
    vendor = shop.vendors.add("Corner Shop")
    for tender in ("gold", Tender.VOUCHER):
        with pytest.raises(RequestFormatError):
            shop.vendors.top_up(vendor.vendor_id, 1, reference="r", tender=tender)  # type: ignore[arg-type]


def test_many_at_once_pay_once(shop: Shop, meter: Meter, made: MadeVouchers) -> None:
    outcomes: list[Outcome] = []
    start = threading.Barrier(4)

    def pay(number: int) -> None:
        start.wait()
        outcomes.append(shop.vouchers.redeem(ask(meter, made.pins[0], f"p{number}")).outcome)

    threads = [threading.Thread(target=pay, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Outcome.DONE, *[Outcome.FAILED] * 3]
    assert shop.statement().sales == 1


def test_a_sale_for_a_voucher_is_not_turned_into_money(
    shop: Shop, meter: Meter, made: MadeVouchers
) -> None:
    paid = shop.vouchers.redeem(ask(meter, made.pins[0])).require_done()
    reversal = shop.advice.reverse(ReversalRequest("web", "v1", "r1", reason="mistake"))
    refund = shop.advice.refund(RefundRequest("web", "f1", paid.receipt_no, reason="mistake"))
    for undone in (reversal, refund):
        assert undone.fault is not None
        assert undone.fault.code == "paid_by_voucher"
    assert balances(shop)["tender.cash"] <= 0
    assert shop.statement().agrees


def test_money_cannot_be_called_a_voucher(shop: Shop, meter: Meter) -> None:
    with pytest.raises(RequestFormatError):
        shop.vend(VendRequest("till", "m1", meter.number, FACE, Tender.VOUCHER))
    assert shop.statement().sales == 0


def test_no_secret_is_in_the_database_the_log_or_a_text(
    shop: Shop,
    meter: Meter,
    made: MadeVouchers,
    database_url: str,
    events: list[dict[str, object]],
) -> None:
    result = shop.vouchers.redeem(ask(meter, made.pins[0]))
    secrets = [pin.digits().replace(" ", "") for pin in made.pins]
    said = repr(made) + repr(result) + repr(events) + repr(ask(meter, made.pins[0]))
    stored = StringIO()
    engine = open_engine(database_url)
    with engine.connect() as connection:
        for table in ("vouchers", "voucher_batches", "requests", "receipts", "audit_lines"):
            for row in connection.execute(text(f"SELECT * FROM {table}")):
                stored.write(repr(row))
    engine.dispose()
    for secret in secrets:
        assert secret not in said
        assert secret not in stored.getvalue()
        assert secret.encode().hex() not in stored.getvalue()


def test_the_database_itself_lets_a_voucher_pay_once_and_in_full(
    shop: Shop, meter: Meter, made: MadeVouchers, database_url: str
) -> None:
    paid = shop.vouchers.redeem(ask(meter, made.pins[0])).require_done()
    cash = shop.vend(VendRequest("till", "m1", meter.number, FACE)).require_done()
    engine = open_engine(database_url)
    for statement in (
        f"INSERT INTO voucher_payments SELECT 2, {cash.receipt_no}, paid_at FROM voucher_payments",
        "UPDATE voucher_payments SET voucher_id = 3",
        "DELETE FROM voucher_payments",
        "UPDATE voucher_batches SET state = 'made'",
        "UPDATE voucher_batches SET face_minor = 1",
        "UPDATE voucher_house SET salt = salt",
        "DELETE FROM voucher_tries",
    ):
        with engine.connect() as connection, pytest.raises(DBAPIError):
            connection.execute(text(statement))
    engine.dispose()
    assert paid.token


def test_a_batch_goes_forward_only(shop: Shop, made: MadeVouchers) -> None:
    number = made.batch.batch_id
    with pytest.raises(VoucherBatchStateError):
        shop.vouchers.activate(number, "again")
    shop.vouchers.block(number, "lost")
    acts: tuple[Callable[[], object], ...] = (
        lambda: shop.vouchers.activate(number, "again"),
        lambda: shop.vouchers.block(number, "again"),
        lambda: shop.vouchers.block_one(number, 1, "again"),
    )
    for act in acts:
        with pytest.raises(VoucherBatchStateError):
            act()
    with pytest.raises(UnknownVoucherBatchError):
        shop.vouchers.batch(number + 1)


@pytest.mark.parametrize(
    ("face", "count", "end"),
    [(0, 1, END), (-5, 1, END), (FACE, 0, END), (FACE, 100_001, END), (FACE, 1, START)],
)
def test_a_batch_that_makes_no_sense_is_not_made(
    shop: Shop, face: int, count: int, end: object
) -> None:
    with pytest.raises(RequestFormatError):
        shop.vouchers.make(face, count, end)  # type: ignore[arg-type]
    assert shop.vouchers.batches() == []


@given(st.integers(0, 10**15 - 1), st.integers(0, 15), st.integers(1, 9))
def test_every_single_mistyped_digit_is_caught(body: int, place: int, by: int) -> None:
    digits = f"{body:015d}"
    digits += check_digit(digits)
    assert Pin(digits).digits().replace(" ", "") == digits
    typed = list(digits)
    typed[place] = str((int(typed[place]) + by) % 10)
    with pytest.raises(VoucherPinError):
        Pin("".join(typed))


@pytest.mark.parametrize("typed", ["", "123", "1" * 20, "abcd" * 4, ARABIC_INDIC * 16])
def test_what_is_no_pin_is_refused_without_quoting_it(typed: str) -> None:
    with pytest.raises(VoucherPinError) as refused:
        Pin(typed)
    assert not typed or typed not in str(refused.value)


def test_the_sheet_shows_each_secret_once(shop: Shop, made: MadeVouchers) -> None:
    lines = voucher_csv(made, shop.utility).splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == [pin.digits() for pin in made.pins]
    pdf = voucher_sheet(made, shop.utility, how_to="Ask at the counter.")
    pages = PdfReader(BytesIO(pdf)).pages
    words = "".join(page.extract_text() for page in pages)
    for serial, pin in enumerate(made.pins, 1):
        assert words.count(pin.digits()) == 1
        assert f"{made.batch.batch_id}-{serial}" in words
