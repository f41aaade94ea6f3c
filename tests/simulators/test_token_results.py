"""Every answer that a meter can give to a token, and what each leaves unchanged."""

import pytest

from simulators import OpenReason
from simulators.results import Outcome
from tests.simulators.workbench import MISTY1, STA, START, Bench
from tests.sts.vectors import TOKENS, name_of
from vending.sts import (
    AMOUNT_MAX,
    ClearCredit,
    ClearTamperCondition,
    Content,
    CreditRegister,
    DecoderKey,
    EncryptionAlgorithm,
    InitiateMeterTest,
    KeyType,
    MeterPan,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    TransferCredit,
    decode,
    make_drn,
)


def untouched(bench: Bench, token: str | Content) -> Outcome:
    """The outcome of a token that must leave all but the keypad's lock as it was."""
    before = bench.meter.state
    outcome = bench.outcome(token)
    after = bench.meter.state
    for part in ("key", "supply", "memory", "pending", "tariff_rate", "water_factor"):
        assert getattr(after, part) == getattr(before, part), part
    return outcome


@pytest.mark.parametrize("algorithm", [STA, MISTY1])
def test_credit_is_accepted_and_said_so(algorithm: EncryptionAlgorithm) -> None:
    bench = Bench(algorithm)
    result = bench.enter(bench.credit(123))
    assert result.outcome is Outcome.ACCEPT
    assert (result.credit_added_wh, result.credit_wh) == (12_300, 12_300)
    assert result.token == "transfer credit"
    assert "12.3 kWh added" in result.text
    assert bench.meter.registers.accepted_wh == 12_300


def test_spaces_and_dashes_between_digits_are_ignored() -> None:
    bench = Bench()
    digits = bench.credit(1)
    assert bench.outcome(f"{digits[:4]}-{digits[4:8]} {digits[8:]}") is Outcome.ACCEPT


def test_a_token_works_once() -> None:
    bench = Bench()
    token = bench.credit(100)
    assert bench.outcome(token) is Outcome.ACCEPT
    assert untouched(bench, token) is Outcome.USED_ERROR


def test_a_tid_is_used_up_whatever_the_token_is() -> None:
    bench = Bench()
    assert bench.outcome(SetMaximumPowerLimit(5, 700, limit_w=900)) is Outcome.ACCEPT
    assert untouched(bench, bench.credit(1, tid=700)) is Outcome.USED_ERROR


def test_older_than_the_fifty_remembered_is_old() -> None:
    bench = Bench()
    for tid in range(100, 150):
        assert bench.outcome(bench.credit(1, tid=tid)) is Outcome.ACCEPT
    assert untouched(bench, bench.credit(1, tid=99)) is Outcome.OLD_ERROR
    assert untouched(bench, bench.credit(1, tid=100)) is Outcome.USED_ERROR
    assert bench.outcome(bench.credit(1, tid=150)) is Outcome.ACCEPT
    assert untouched(bench, bench.credit(1, tid=100)) is Outcome.OLD_ERROR


def test_older_is_welcome_while_a_place_is_free() -> None:
    bench = Bench()
    for tid in range(100, 149):
        assert bench.outcome(bench.credit(1, tid=tid)) is Outcome.ACCEPT
    assert bench.outcome(bench.credit(1, tid=5)) is Outcome.ACCEPT
    assert untouched(bench, bench.credit(1, tid=4)) is Outcome.OLD_ERROR


@pytest.mark.parametrize(
    ("tid", "outcome"),
    [(0x10_FFFF, Outcome.ACCEPT), (0x11_0000, Outcome.KEY_EXPIRED_ERROR)],
)
def test_a_tid_past_the_key_expiry_number_is_refused(tid: int, outcome: Outcome) -> None:
    bench = Bench(ken=0x10)
    assert bench.outcome(bench.credit(1, tid=tid)) is outcome


def test_a_default_key_takes_no_credit_but_is_managed() -> None:
    bench = Bench(key_type=KeyType.DEFAULT)
    assert untouched(bench, bench.credit(1)) is Outcome.DDTK_ERROR
    assert bench.outcome(SetMaximumPowerLimit(5, 9, limit_w=900)) is Outcome.ACCEPT


def test_an_initialisation_key_takes_only_key_changes_and_tests() -> None:
    bench = Bench(key_type=KeyType.INITIALISATION)
    assert untouched(bench, bench.credit(1)) is Outcome.FUNCTION_ERROR
    assert untouched(bench, SetMaximumPowerLimit(5, 9, limit_w=9)) is Outcome.FUNCTION_ERROR
    assert bench.outcome(InitiateMeterTest(1 << 4)) is Outcome.ACCEPT
    for token in bench.change():
        bench.enter(token)
    assert bench.outcome(bench.credit(1)) is Outcome.ACCEPT


def test_credit_that_passes_the_top_is_refused_and_can_be_entered_later() -> None:
    bench = Bench(credit_max_wh=10_000, load=3_600)
    assert bench.outcome(bench.credit(100)) is Outcome.ACCEPT  # exactly the top
    token = bench.credit(1)
    assert untouched(bench, token) is Outcome.OVERFLOW_ERROR
    bench.wait(99)
    assert untouched(bench, token) is Outcome.OVERFLOW_ERROR  # one watt-hour short
    bench.wait(1)
    assert bench.outcome(token) is Outcome.ACCEPT


def test_another_meters_token_and_a_mistyped_one_are_not_authentic() -> None:
    ours, theirs = Bench(), Bench()
    for token in theirs.change():
        theirs.enter(token)
    assert untouched(ours, theirs.credit(1)) is Outcome.CRC_ERROR
    digits = ours.credit(1)
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    assert untouched(ours, wrong) is Outcome.CRC_ERROR


@pytest.mark.parametrize("digits", ["9" * 20, "73786976294838206464"])
def test_a_number_beyond_66_bits_is_no_token(digits: str) -> None:
    assert untouched(Bench(), digits) is Outcome.FORMAT_ERROR


@pytest.mark.parametrize("text", ["", "1234", "1" * 21, "1" * 19 + "x", "\u0661" * 20])
def test_what_is_not_twenty_digits_is_no_token(text: str) -> None:
    assert untouched(Bench(), text) is Outcome.FORMAT_ERROR


def test_an_authentic_token_with_an_impossible_field_is_a_format_error() -> None:
    bench = Bench()
    krn_0, tariff_index_100 = 0, 100 << 32
    assert untouched(bench, bench.raw(2, 3, krn_0)) is Outcome.FORMAT_ERROR
    assert untouched(bench, bench.raw(2, 4, tariff_index_100)) is Outcome.FORMAT_ERROR


@pytest.mark.parametrize("service", [Service.WATER, Service.GAS, Service.TIME])
def test_credit_for_another_service_is_refused(service: Service) -> None:
    bench = Bench()
    result = bench.enter(bench.credit(1, service=service))
    assert result.outcome is Outcome.FUNCTION_ERROR
    assert service.name.lower() in result.text
    assert not bench.meter.state.memory.tids


@pytest.mark.parametrize(
    ("token_class", "subclass"),
    [(0, 4), (0, 7), (0, 8), (1, 2), (1, 6), (2, 10), (2, 11), (2, 15), (3, 0), (3, 15)],
)
def test_currency_reserved_and_proprietary_tokens_are_refused(
    token_class: int, subclass: int
) -> None:
    bench = Bench()
    assert untouched(bench, bench.raw(token_class, subclass, 0x123456)) is Outcome.FUNCTION_ERROR


def test_currency_credit_is_validated_before_it_is_refused() -> None:
    bench = Bench(key_type=KeyType.DEFAULT)
    assert untouched(bench, bench.raw(0, 4, 500 << 16)) is Outcome.DDTK_ERROR


# --- management ----------------------------------------------------------------------------


def test_a_power_limit_is_set() -> None:
    bench = Bench()
    assert bench.outcome(SetMaximumPowerLimit(5, 9, limit_w=2_300)) is Outcome.ACCEPT
    assert bench.meter.supply.power_limit_w == 2_300


@pytest.mark.parametrize("register", [CreditRegister.ELECTRICITY, CreditRegister.ALL])
def test_credit_is_cleared(register: int) -> None:
    bench = Bench(credit_wh=5_000, load=100)
    assert bench.outcome(ClearCredit(5, 9, register=register)) is Outcome.ACCEPT
    registers = bench.meter.registers
    assert (registers.remaining_wh, registers.cleared_wh) == (0, 5_000)
    assert bench.meter.open_reasons == (OpenReason.CREDIT_EXHAUSTED,)


@pytest.mark.parametrize("register", [1, 2, 3, 4, 7, 8, 0xFFFE])
def test_a_register_that_the_meter_does_not_have_is_a_range_error(register: int) -> None:
    bench = Bench(credit_wh=5_000)
    assert untouched(bench, ClearCredit(5, 9, register=register)) is Outcome.RANGE_ERROR


def test_functions_that_the_meter_was_not_built_with_are_refused() -> None:
    bench = Bench()
    for token in (
        SetTariffRate(5, 9, rate=77),
        SetWaterMeterFactor(5, 9, factor=77),
        SetMaximumPhasePowerUnbalanceLimit(5, 9, limit_w=77),
    ):
        assert untouched(bench, token) is Outcome.FUNCTION_ERROR


def test_functions_that_the_meter_was_built_with_are_carried_out() -> None:
    bench = Bench(phases=3, takes_tariff_rate=True, takes_water_factor=True)
    assert bench.outcome(SetTariffRate(5, 9, rate=77)) is Outcome.ACCEPT
    assert bench.outcome(SetWaterMeterFactor(5, 10, factor=78)) is Outcome.ACCEPT
    assert bench.outcome(SetMaximumPhasePowerUnbalanceLimit(5, 11, limit_w=79)) is Outcome.ACCEPT
    state = bench.meter.state
    assert (state.tariff_rate, state.water_factor) == (77, 78)
    assert state.supply.phase_unbalance_limit_w == 79


def test_tampering_is_cleared_by_its_token() -> None:
    bench = Bench(credit_wh=1_000)
    bench.meter.open_cover(bench.now)
    bench.meter.close_cover(bench.now)
    assert bench.meter.open_reasons == (OpenReason.TAMPER,)
    assert bench.outcome(ClearTamperCondition(5, 9)) is Outcome.ACCEPT
    assert bench.lit()


def test_the_contact_stays_open_while_the_cover_is() -> None:
    bench = Bench(credit_wh=1_000)
    bench.meter.open_cover(bench.now)
    result = bench.enter(ClearTamperCondition(5, 9))
    assert result.outcome is Outcome.ACCEPT
    assert "cover is still open" in result.text
    assert bench.meter.open_reasons == (OpenReason.TAMPER,)
    bench.meter.close_cover(bench.now)
    assert bench.lit()


# --- meter tests ---------------------------------------------------------------------------


def shown(bench: Bench, control: int, maker: int = 0) -> tuple[str, ...]:
    result = bench.enter(InitiateMeterTest(control, maker))
    assert result.outcome is Outcome.ACCEPT
    return result.lines


def test_the_named_tests_show_what_they_are_for() -> None:
    bench = Bench(credit_wh=9_000, load=3_600)
    bench.wait(1_234)
    assert shown(bench, 1 << 2) == ("8888-8888-8888-8888-8888",)
    assert shown(bench, 1 << 3) == ("consumed 1.2 kWh",)
    assert shown(bench, 1 << 4) == ("KRN 1",)
    assert shown(bench, 1 << 5) == ("TI 01",)
    assert shown(bench, 1 << 4 | 1 << 5) == ("KRN 1", "TI 01")


def test_unnamed_tests_show_their_number() -> None:
    assert shown(Bench(), 1 << 6 | 1 << 17) == ("test 6", "test 17")


def test_all_tests_show_all_that_the_meter_can_show() -> None:
    bench = Bench(credit_wh=9_000, power_limit_w=2_300)
    lines = shown(bench, 1)
    for line in ("8888-8888-8888-8888-8888", "KRN 1", "TI 01", "EA 11", "KT 2", "SGC 123457",
                 "credit 9.0 kWh", "limit 2300 W", "breaker test"):  # fmt: skip
        assert line in lines
    assert bench.meter.open_reasons == (OpenReason.TEST,)
    assert shown(bench, 1 | 1 << 4) == lines  # each line once


def test_a_breaker_test_opens_the_contact_briefly() -> None:
    bench = Bench(credit_wh=9_000, load=3_600)
    shown(bench, 1 << 1)
    assert not bench.lit()
    bench.wait(2)
    assert not bench.lit()
    bench.wait(1)
    assert bench.lit()
    assert bench.meter.registers.consumed_wh == 0
    bench.wait(10)
    assert bench.meter.registers.consumed_wh == 10


def test_a_breaker_test_does_not_close_an_open_contact() -> None:
    bench = Bench()
    shown(bench, 1 << 1)
    bench.wait(10)
    assert bench.meter.open_reasons == (OpenReason.CREDIT_EXHAUSTED,)


@pytest.mark.parametrize(
    ("drn", "own", "other"), [("01234567897", 1, 2), (make_drn("4321", "00000001"), 4321, 21)]
)
def test_a_test_is_for_all_makers_or_for_the_meters_own(drn: str, own: int, other: int) -> None:
    bench = Bench(pan=MeterPan.from_drn(drn))
    four = own > 99
    test = InitiateMeterTest(1 << 3, own, four_digit_manufacturer=four)
    assert bench.enter(test).lines == ("test 3",)  # a maker's own numbering
    wrong = InitiateMeterTest(1 << 3, other, four_digit_manufacturer=four)
    assert untouched(bench, wrong) is Outcome.MFR_CODE_ERROR
    beyond_two_digits = bench.raw(1, 0, 1 << 11 | 0xFA)
    assert untouched(bench, beyond_two_digits) is Outcome.MFR_CODE_ERROR


def test_a_test_token_that_asks_for_nothing_is_refused() -> None:
    assert untouched(Bench(), InitiateMeterTest(0)) is Outcome.RANGE_ERROR


def test_every_published_test_token_is_accepted() -> None:
    class_1 = [case for case in TOKENS if case["class"] == 1]
    assert len(class_1) > 30
    for case in class_1:
        assert Bench().outcome(case["token"]) is Outcome.ACCEPT, name_of(case)


def test_published_credit_tokens_are_accepted_with_their_amounts() -> None:
    cases = [
        case
        for case in TOKENS
        if case["class"] == 0 and case["subclass"] == 0 and case["ea"] in (7, 11)
    ]
    assert cases
    for case in cases:
        bench = Bench(
            EncryptionAlgorithm(case["ea"]),
            decoder_key=DecoderKey.from_hex(case["decoder_key"]),
            credit_max_wh=AMOUNT_MAX * 100,
        )
        content = decode(case["token"], bench.meter.state.cipher()).content
        assert isinstance(content, TransferCredit)
        result = bench.enter(case["token"])
        assert result.outcome is Outcome.ACCEPT, name_of(case)
        assert result.credit_added_wh == content.amount * 100


# --- shape ---------------------------------------------------------------------------------


def test_outcomes_carry_the_standards_names() -> None:
    assert {outcome.value for outcome in Outcome} == {
        "Accept", "1stKCT", "2ndKCT", "3rdKCT", "4thKCT", "OverflowError", "KeyTypeError",
        "FormatError", "RangeError", "FunctionError", "CRCError", "MfrCodeError", "OldError",
        "UsedError", "KeyExpiredError", "DDTKError", "Locked",
    }  # fmt: skip
    for outcome in Outcome:
        assert outcome.text.endswith(".")


def test_a_key_never_shows() -> None:
    bench = Bench()
    bench.enter(bench.change()[0])
    for text in (repr(bench.meter.state), str(bench.meter.display(START))):
        assert "f94b6ed3" not in text
        assert str(0xB2088343) not in text  # the new key's first section


def test_a_meter_is_light_enough_for_tens_of_thousands() -> None:
    meter = Bench().meter
    for part in (meter, meter.state, meter.state.key, meter.supply, meter.registers):
        assert not hasattr(part, "__dict__")
