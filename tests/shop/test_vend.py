"""Sales: one id one outcome, tokens that open the meter, identifiers that only grow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from tests.shop.conftest import RND, Clock
from tests.shop.databases import PRICE, START
from vending import (
    KeyChangeRequest,
    Meter,
    NewMeter,
    Outcome,
    Price,
    PublicTestKeys,
    Receipt,
    Shop,
    Tender,
    VendRequest,
)
from vending.errors import FaultFamily
from vending.shop.faults import (
    AboveMaximumError,
    ClockBehindError,
    KeyChangeRequiredError,
    MessageConflictError,
    MeterBlockedError,
    MeterExistsError,
    NoPriceError,
    RequestFormatError,
    ShopSystemError,
    SupplyGroupNotAuthorisedError,
    UnknownMessageError,
    UnknownReceiptError,
)
from vending.sts import (
    CheckDigitError,
    InvalidValueError,
    KeyExpiredError,
    KeyRevision,
    Service,
    SupplyGroupCode,
    TransferCredit,
    is_reserved,
    make_drn,
    tid_at,
)


def sell(shop: Shop, meter: Meter | str, amount: int = 10_000, message_id: str = "m1") -> Receipt:
    number = meter if isinstance(meter, str) else meter.number
    return shop.vend(VendRequest("kiosk", message_id, number, amount)).require_done()


class NoKeys(PublicTestKeys):
    """A security module that has lost its keys."""

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        raise SupplyGroupNotAuthorisedError(f"No key of {sgc}, {krn} is here.")


def refusal(shop: Shop, request: VendRequest) -> str:
    result = shop.vend(request)
    assert result.outcome is Outcome.FAILED
    assert result.receipt is None
    assert result.fault is not None
    assert result.fault.family is FaultFamily.BUSINESS
    return result.fault.code


def test_a_sold_token_decodes_under_the_meters_key_to_the_units_on_the_receipt(
    shop: Shop, meter: Meter
) -> None:
    receipt = sell(shop, meter)
    decoded = PublicTestKeys().read_token(receipt.token, meter.attributes())
    assert decoded.crc_ok
    assert decoded.content == TransferCredit(
        Service.ELECTRICITY, RND, tid_at(START, meter.key.base_date), receipt.units
    )
    assert receipt.units == 347


@pytest.mark.parametrize(
    ("algorithm", "marks"),
    [(11, ("public test keys",)), (7, ("public test keys", "sample STA tables"))],
)
def test_results_say_why_they_are_tests(
    shop: Shop, new_number: Callable[[], str], algorithm: int, marks: tuple[str, ...]
) -> None:
    meter = shop.add_meter(NewMeter(new_number(), algorithm=algorithm))
    assert sell(shop, meter).test_marks == marks


def test_the_same_request_again_gives_the_same_bytes_and_sells_nothing(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    request = VendRequest("kiosk", "m1", meter.number, 10_000, operator="anna")
    first = shop.vend(request)
    clock.advance(days=3)
    shop.set_price(Price(999_000))
    again = shop.vend(VendRequest("kiosk", "m1", f"{meter.number[:4]} {meter.number[4:]}", 10_000))
    assert again.response == first.response
    assert again.receipt == first.receipt
    assert (first.replayed, again.replayed) == (False, True)
    assert shop.statement().sales == 1


@pytest.mark.parametrize(
    "change",
    [{"amount_minor": 10_001}, {"tender": Tender.CARD}, {"meter": make_drn("07", "00000999")}],
)
def test_another_request_under_the_same_id_is_a_conflict(
    shop: Shop, meter: Meter, change: dict[str, object]
) -> None:
    first = {"client": "kiosk", "message_id": "m1", "meter": meter.number, "amount_minor": 10_000}
    shop.vend(VendRequest(**first))  # type: ignore[arg-type]
    with pytest.raises(MessageConflictError) as fault:
        shop.vend(VendRequest(**{**first, **change}))  # type: ignore[arg-type]
    assert fault.value.family is FaultFamily.PROTOCOL
    assert shop.statement().sales == 1


def test_another_operation_under_the_same_id_is_a_conflict(shop: Shop, meter: Meter) -> None:
    sell(shop, meter)
    with pytest.raises(MessageConflictError):
        shop.key_change(KeyChangeRequest("kiosk", "m1", meter.number, krn=2))


def test_two_clients_may_use_the_same_id(shop: Shop, meter: Meter) -> None:
    for client in ("kiosk-1", "kiosk-2"):
        shop.vend(VendRequest(client, "m1", meter.number, 10_000)).require_done()
    assert shop.statement().sales == 2


def test_a_refusal_is_stored_and_given_again(shop: Shop, meter: Meter) -> None:
    request = VendRequest("kiosk", "m1", meter.number, 10_000)
    shop.block_meter(meter.number, "unpaid debt")
    first = shop.vend(request)
    shop.unblock_meter(meter.number)
    again = shop.vend(request)
    assert again.response == first.response
    assert again.replayed
    assert isinstance(again.fault, MeterBlockedError)
    assert "unpaid debt" in str(again.fault)
    assert shop.statement().sales == 0
    with pytest.raises(MeterBlockedError):
        again.require_done()


def test_refusals_have_their_codes(
    shop: Shop, meter: Meter, new_number: Callable[[], str], clock: Clock
) -> None:
    def asked(message_id: str, number: str, amount: int) -> str:
        return refusal(shop, VendRequest("kiosk", message_id, number, amount))

    default_key = shop.add_meter(NewMeter(new_number(), key_type=1))
    expiring = shop.add_meter(NewMeter(new_number(), ken=103))
    assert asked("2", new_number(), 10_000) == "unknown_meter"
    assert asked("3", meter.number, 499) == "below_minimum"
    assert asked("4", meter.number, -5) == "below_minimum"
    assert asked("5", meter.number, 10_000_01) == "above_maximum"
    assert asked("6", default_key.number, 10_000) == "key_type"
    clock.now = datetime(2027, 1, 1, tzinfo=UTC)
    assert asked("7", expiring.number, 10_000) == "key_expired"
    assert shop.statement().sales == 0


@pytest.mark.parametrize(
    ("behind", "fault"),
    [
        (START - timedelta(microseconds=1), NoPriceError),
        (datetime(2013, 12, 31, 23, 59, tzinfo=UTC), ClockBehindError),
        (datetime(1, 1, 1, tzinfo=UTC), ClockBehindError),
    ],
)
def test_a_clock_that_is_behind_costs_nobody_a_message_id(
    shop: Shop, meter: Meter, clock: Clock, behind: datetime, fault: type[ShopSystemError]
) -> None:
    request = VendRequest("kiosk", "m1", meter.number, 10_000)
    clock.now = behind
    with pytest.raises(fault, match="clock") as raised:
        shop.vend(request)
    assert raised.value.family is FaultFamily.SYSTEM
    with pytest.raises(fault):
        shop.trial_vend(meter.number, 10_000)
    with pytest.raises(UnknownMessageError):
        shop.last_response("kiosk", "m1")
    clock.now = START
    assert shop.vend(request).outcome is Outcome.DONE


def test_the_end_of_a_base_date_is_an_answer_and_names_the_way_out(
    shop: Shop, new_number: Callable[[], str], clock: Clock
) -> None:
    of_2014, of_1993, of_2035 = (
        shop.add_meter(NewMeter(new_number(), base_year=year)).number for year in (2014, 1993, 2035)
    )
    clock.now = datetime(2046, 1, 1, tzinfo=UTC)
    for number in (of_2014, of_1993):  # 2014 has ended too by now
        refused = shop.vend(VendRequest("kiosk", number, number, 10_000))
        assert isinstance(refused.fault, KeyChangeRequiredError)
        assert f"key-change {number} --base-year 2035)" in str(refused.fault)
        shop.key_change(
            KeyChangeRequest("kiosk", f"k{number}", number, base_year=2035)
        ).require_done()
        sell(shop, number, message_id=f"s{number}")
    clock.now = datetime(2070, 1, 1, tzinfo=UTC)
    refused = shop.vend(VendRequest("kiosk", "1", of_2035, 10_000))
    assert isinstance(refused.fault, KeyChangeRequiredError)
    assert "key-change" not in str(refused.fault)
    assert "no later base date" in str(refused.fault)


def test_a_default_key_is_told_to_change_its_type(
    shop: Shop, new_number: Callable[[], str]
) -> None:
    number = shop.add_meter(NewMeter(new_number(), key_type=1)).number
    refused = shop.vend(VendRequest("kiosk", "1", number, 10_000))
    assert f"meterhouse vend key-change {number} --kt 2" in str(refused.fault)
    shop.key_change(KeyChangeRequest("kiosk", "k", number, key_type=2)).require_done()
    sell(shop, number, message_id="2")


def test_a_mistyped_meter_number_takes_no_message_id(shop: Shop, meter: Meter) -> None:
    mistyped = meter.number[:-1] + str((int(meter.number[-1]) + 1) % 10)
    with pytest.raises(CheckDigitError, match="Read the number again"):
        sell(shop, mistyped)
    with pytest.raises(InvalidValueError, match="position 3"):
        sell(shop, meter.number[:2] + "x" + meter.number[3:])
    with pytest.raises(CheckDigitError):
        KeyChangeRequest("kiosk", "m1", mistyped, krn=2)
    assert sell(shop, meter).message_id == "m1"


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_minor": 100.0},
        {"amount_minor": True},
        {"amount_minor": "100"},
        {"message_id": ""},
        {"message_id": "x" * 129},
        {"message_id": "two\nlines"},
        {"client": " "},
        {"meter": 7},
        {"tender": "cash"},
        {"operator": "x\x00"},
        {"amount_minor": 1 << 63},
        pytest.param({"amount_minor": 10**5_000}, id="too long to be printed"),
    ],
)
def test_malformed_requests_are_refused_before_anything_is_stored(
    fields: dict[str, object],
) -> None:
    whole = {"client": "c", "message_id": "m", "meter": "07000000013", "amount_minor": 100}
    with pytest.raises(RequestFormatError):
        VendRequest(**{**whole, **fields})  # type: ignore[arg-type]


def test_several_tokens_in_one_minute_take_the_following_minutes(shop: Shop, meter: Meter) -> None:
    tids = [sell(shop, meter, message_id=str(n)).tokens[0].tid for n in range(5)]
    first = tid_at(START, meter.key.base_date)
    assert tids == [first + n for n in range(5)]


def test_identifiers_grow_when_the_clock_goes_back(shop: Shop, meter: Meter, clock: Clock) -> None:
    clock.advance(hours=1)
    before = sell(shop, meter, message_id="1").tokens[0].tid
    assert before is not None
    clock.advance(minutes=-30)
    assert sell(shop, meter, message_id="2").tokens[0].tid == before + 1
    clock.advance(minutes=-29)
    assert sell(shop, meter, message_id="3").tokens[0].tid == before + 2
    clock.advance(days=1)
    ahead = sell(shop, meter, message_id="4").tokens[0].tid
    assert ahead == tid_at(clock.now, meter.key.base_date)


def test_the_reserved_minute_is_left_out(shop: Shop, meter: Meter, clock: Clock) -> None:
    clock.now = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
    tids = [sell(shop, meter, message_id=str(n)).tokens[0].tid for n in range(3)]
    midnight = tid_at(clock.now, meter.key.base_date)
    assert tids == [midnight, midnight + 2, midnight + 3]
    assert not any(is_reserved(tid) for tid in tids if tid is not None)


def test_meters_do_not_share_identifiers(shop: Shop, new_number: Callable[[], str]) -> None:
    pair = [shop.add_meter(NewMeter(new_number())) for _ in range(2)]
    first, second = (sell(shop, meter, message_id=meter.number) for meter in pair)
    assert first.tokens[0].tid == second.tokens[0].tid
    assert first.token != second.token


def test_the_last_response_is_there_for_who_lost_it(shop: Shop, meter: Meter) -> None:
    sold = shop.vend(VendRequest("kiosk", "m1", meter.number, 10_000))
    assert shop.last_response("kiosk", "m1").response == sold.response
    assert shop.last_receipt(meter.number) == sold.receipt
    with pytest.raises(UnknownMessageError, match="ask again with the same id"):
        shop.last_response("kiosk", "m2")
    with pytest.raises(UnknownMessageError):
        shop.last_response("till", "m1")


def test_a_reprint_is_the_stored_receipt_as_a_numbered_copy(shop: Shop, meter: Meter) -> None:
    receipt = sell(shop, meter)
    copies = [shop.reprint(receipt.receipt_no, operator="ben") for _ in range(3)]
    assert [copy.copy_no for copy in copies] == [1, 2, 3]
    assert copies[2].copy(0) == receipt
    with pytest.raises(UnknownReceiptError):
        shop.reprint(999)


def test_a_trial_shows_what_the_sale_then_does(shop: Shop, meter: Meter) -> None:
    trial = shop.trial_vend(meter.number, 10_000)
    assert trial.meter == meter
    assert shop.statement().sales == 0
    receipt = sell(shop, meter)
    assert receipt.units == trial.quote.units
    assert receipt.payment is not None
    assert [(line.kind, line.amount_minor, line.explanation) for line in receipt.payment.lines] == [
        (line.kind.value, line.amount_minor, line.explanation) for line in trial.quote.lines
    ]


def test_a_trial_refuses_what_the_sale_refuses(
    shop: Shop, database_url: str, meter: Meter, new_number: Callable[[], str], clock: Clock
) -> None:
    expiring = shop.add_meter(NewMeter(new_number(), ken=103))
    blocked = shop.add_meter(NewMeter(new_number()))
    shop.block_meter(blocked.number, "debt")
    clock.now = datetime(2027, 1, 1, tzinfo=UTC)
    for number, amount, fault in (
        (expiring.number, 10_000, KeyExpiredError),
        (blocked.number, 10_000, MeterBlockedError),
        (meter.number, 10_000_01, AboveMaximumError),
    ):
        with pytest.raises(fault) as tried:
            shop.trial_vend(number, amount)
        with pytest.raises(fault) as refused:
            sell(shop, number, amount, message_id=number)
        assert str(tried.value) == str(refused.value)
    with Shop.open(database_url, security=NoKeys(), now=clock) as keyless:
        with pytest.raises(SupplyGroupNotAuthorisedError):
            keyless.trial_vend(meter.number, 10_000)
        assert refusal(keyless, VendRequest("kiosk", "9", meter.number, 10_000)) == (
            "supply_group_not_authorised"
        )


def test_a_verified_token_names_its_receipt_and_strangers_none(
    shop: Shop, meter: Meter, new_number: Callable[[], str]
) -> None:
    receipt = sell(shop, meter)
    ours = shop.verify_token(meter.number, receipt.token)
    assert ours.decoded.crc_ok
    assert ours.receipt_no == receipt.receipt_no
    other = shop.add_meter(NewMeter(new_number()))
    strange = shop.verify_token(other.number, receipt.token)
    assert (strange.decoded.crc_ok, strange.receipt_no) == (False, None)


def test_receipts_tokens_and_ledger_agree_in_the_statement(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    amounts = {Tender.CASH: 10_000, Tender.CARD: 5_555, Tender.WALLET: 777}
    for tender, amount in amounts.items():
        request = VendRequest("kiosk", tender.value, meter.number, amount, tender)
        shop.vend(request).require_done()
    middle = clock.now
    clock.advance(days=1)
    last = sell(shop, meter, 3_000, "late")
    whole, late = shop.statement(), shop.statement(since=clock.now)
    assert whole.agrees
    assert late.agrees
    assert (whole.sales, late.sales) == (4, 1)
    assert whole.tendered_minor == sum(amounts.values()) + 3_000
    assert late.units == last.units
    assert whole.energy_wh == whole.units * 100
    assert shop.statement(until=middle).sales == 0
    held = {each.account: each.balance_minor for each in whole.accounts}
    assert held["tender.card"] == 5_555
    assert held["change"] == 0


@pytest.mark.parametrize("hours", [0, 24, -1, -24 * 365])
def test_a_new_price_holds_from_now_on_whatever_the_clock_says(
    shop: Shop, meter: Meter, clock: Clock, hours: int
) -> None:
    clock.advance(hours=hours)
    shop.set_price(Price(900_000, 1500))
    shop.set_price(Price(500_000, 1500))  # at the same moment
    assert shop.price() == Price(500_000, 1500)
    dearer = sell(shop, meter)
    assert dearer.units == 173
    assert dearer.payment is not None
    assert dearer.payment.price_per_kwh == 2 * PRICE.per_kwh


def test_a_price_set_by_a_clock_ahead_gives_way_to_the_next_one(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    clock.advance(days=4_000)
    shop.set_price(Price(900_000))
    clock.now = START
    shop.set_price(Price(500_000, 1500))
    assert sell(shop, meter).units == 173
    clock.advance(days=5_000)
    assert sell(shop, meter, message_id="2").units == 173


def test_days_since_the_last_purchase_follow_the_utilitys_calendar(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    clock.now = datetime(2026, 11, 21, 21, 59, tzinfo=UTC)  # 23:59 in the utility's zone
    assert sell(shop, meter, message_id="1").days_since_last is None
    clock.advance(minutes=2)
    assert sell(shop, meter, message_id="2").days_since_last == 1
    clock.advance(days=30)
    assert sell(shop, meter, message_id="3").days_since_last == 30


def test_a_meter_is_registered_once_and_only_with_a_right_number(
    shop: Shop, meter: Meter, new_number: Callable[[], str]
) -> None:
    with pytest.raises(MeterExistsError):
        shop.add_meter(NewMeter(meter.number))
    wrong = meter.number[:-1] + str((int(meter.number[-1]) + 5) % 10)
    with pytest.raises(CheckDigitError, match="its last digit is"):
        shop.add_meter(NewMeter(wrong))
    with pytest.raises(SupplyGroupNotAuthorisedError):
        shop.add_meter(NewMeter(new_number(), sgc="999999"))
    assert [each.number for each in shop.meters()] == [meter.number]
    assert shop.meter(meter.number) == meter


def test_meters_are_listed_page_by_page(shop: Shop, new_number: Callable[[], str]) -> None:
    numbers = [shop.add_meter(NewMeter(new_number())).number for _ in range(5)]
    first = shop.meters(limit=3)
    rest = shop.meters(after=first[-1].number, limit=3)
    assert [each.number for each in first + rest] == sorted(numbers)


def test_logs_hold_ids_and_neither_tokens_nor_keys_nor_names(
    shop: Shop, meter: Meter, events: list[structlog.types.EventDict]
) -> None:
    receipt = sell(shop, meter)
    sell(shop, meter)
    shop.vend(VendRequest("kiosk", "m2", meter.number, 1))
    changed = shop.key_change(KeyChangeRequest("kiosk", "k1", meter.number, krn=2)).require_done()
    assert [event["event"] for event in events] == [
        "vend.done",
        "vend.replayed",
        "vend.refused",
        "key_change.done",
    ]
    assert events[0]["receipt_no"] == receipt.receipt_no
    assert events[0]["message_id"] == "m1"
    assert events[0]["test"] == ["public test keys"]
    assert events[2]["code"] == "below_minimum"
    logged = repr(events)
    for token in (*receipt.tokens, *changed.tokens):
        assert token.digits not in logged
    assert "Anna" not in logged
    assert "abababab" not in logged.lower()
