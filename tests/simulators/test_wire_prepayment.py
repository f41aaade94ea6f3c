"""Local prepayment in money, by wire: what a payment does, and what the meter refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645 import RelayCommand, Security, SecurityAnswer, security
from protocols.dlt645.security import Purchase
from simulators import OpenReason
from simulators.metering.esam import PUBLIC_TEST_MAC
from simulators.purse import GRAINS_PER_MINOR, Purse
from tests.simulators.wire_bench import OPERATOR, WireBench, accepted, refused

CLIENT = "000000000042"
FLAT = (5_600,) * 4
"""0.56 a kWh in all tariffs."""
REMAINING = 0x00900200
OVERDRAWN = 0x00900201


def purchase(
    amount: int, count: int, client: str = CLIENT, mac: bytes = PUBLIC_TEST_MAC
) -> Purchase:
    return Purchase(amount, count, mac, client, mac)


def opened(amount: int = 10_000, **ratings: Any) -> WireBench:
    bench = WireBench("money", **({"prices": FLAT} | ratings))
    answer = bench.ask(security.open_account(OPERATOR, purchase(amount, 1)))
    assert isinstance(answer, SecurityAnswer), answer
    return bench


def recharge(bench: WireBench, amount: int, count: int, client: str = CLIENT) -> list[str]:
    """Why not; empty: it is done."""
    answer = bench.ask(security.recharge(OPERATOR, purchase(amount, count, client)))
    return [] if isinstance(answer, SecurityAnswer) else refused(answer)


def status(bench: WireBench) -> security.PrepaymentStatus:
    answer = bench.ask(security.status_query(OPERATOR))
    assert isinstance(answer, SecurityAnswer)
    return security.PrepaymentStatus.parse(answer.data)


def test_a_meter_without_money_is_dark_until_its_account_is_opened() -> None:
    bench = WireBench("money", prices=FLAT)
    assert bench.meter.keypad.open_reasons == (OpenReason.CREDIT_EXHAUSTED,)
    assert isinstance(
        bench.ask(security.open_account(OPERATOR, purchase(5_000, 1))), SecurityAnswer
    )
    assert bench.lit()
    assert bench.relay_word().local_account_opened
    assert bench.text(REMAINING) == "50.00"


def test_energy_is_paid_for_to_the_last_grain() -> None:
    bench = opened()
    bench.wait(hours=10)  # 10 kWh at 0.56
    assert bench.text(REMAINING) == "94.40"
    bench.wait(1)
    assert bench.text(REMAINING) == "94.39"  # shown rounded down, kept exact
    purse = bench.meter.flow.supply.purse
    assert purse is not None
    assert purse.balance_grains == 10_000 * GRAINS_PER_MINOR - 36_001_000 * 5_600


def test_each_tariff_has_its_price() -> None:
    bench = WireBench("money")
    bench.ask(security.open_account(OPERATOR, purchase(10_000, 1)))
    bench.wait(hours=7)  # 16-18 T3 0.56, 18-21 T1 0.84, 21-23 T2 0.70
    assert bench.text(REMAINING) == f"{100 - (2 * 0.56 + 3 * 0.84 + 2 * 0.70):.2f}"
    assert bench.text(0x0280000B) == "0.3000"  # 23:00, T4


def test_out_of_money_the_supply_ends_exactly() -> None:
    bench = opened(560)  # 10 kWh
    bench.wait(hours=9, minutes=59, seconds=59)
    assert bench.lit()
    bench.wait(1)
    assert not bench.lit()
    assert bench.text(REMAINING) == "0.00"
    bench.wait(days=1)
    assert bench.meter.keypad.registers.consumed_wh == 10_000
    assert recharge(bench, 560, 2) == []
    assert bench.lit()


def test_overdraft_lends_and_the_next_payment_pays_it_back() -> None:
    bench = opened(560, overdraft_minor=560)
    bench.wait(hours=15)
    assert (bench.text(REMAINING), bench.text(OVERDRAWN)) == ("0.00", "2.80")
    assert bench.lit()
    bench.wait(hours=15)
    assert (bench.text(REMAINING), bench.text(OVERDRAWN)) == ("0.00", "5.60")
    assert not bench.lit()
    assert recharge(bench, 100, 2) == []
    assert bench.text(OVERDRAWN) == "4.60"
    assert not bench.lit(), "closing is allowed from 0.00 on only"
    assert recharge(bench, 460, 3) == []
    assert bench.lit()
    assert (bench.text(REMAINING), bench.text(OVERDRAWN)) == ("0.00", "0.00")


def test_the_first_alarm_amount_warns() -> None:
    bench = opened(5_001)
    assert "LOW CREDIT" not in bench.meter.keypad.display(bench.now)
    bench.wait(hours=1)
    assert "LOW CREDIT" in bench.meter.keypad.display(bench.now)


def test_a_repeated_payment_adds_nothing() -> None:
    bench = opened()
    assert recharge(bench, 2_000, 2) == []
    assert recharge(bench, 2_000, 2) == ["repeated recharge"]
    assert bench.text(REMAINING) == "120.00"
    assert status(bench).purchase_count == 2


@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_only_the_next_count_is_taken(count: int) -> None:
    bench = opened()
    why = recharge(bench, 2_000, count)
    assert why == (["repeated recharge"] if count == 1 else ["recharge count wrong"])
    assert bench.text(REMAINING) == "100.00"


def test_another_client_is_refused() -> None:
    bench = opened()
    assert recharge(bench, 2_000, 2, "000000000043") == ["client number mismatch"]
    assert bench.text(REMAINING) == "100.00"


def test_more_than_may_be_hoarded_is_refused() -> None:
    bench = opened(hoarding_minor=15_000)
    assert recharge(bench, 5_001, 2) == ["amount over hoarding limit"]
    assert status(bench).purchase_count == 1
    assert recharge(bench, 5_000, 2) == []


def test_a_wrong_mac_is_refused() -> None:
    bench = opened()
    forged = security.recharge(OPERATOR, purchase(2_000, 2, mac=b"ABCD"))
    assert refused(bench.ask(forged)) == ["esam check failed"]


def test_an_account_is_opened_once() -> None:
    bench = opened()
    again = security.open_account(OPERATOR, purchase(10_000, 1))
    assert refused(bench.ask(again)) == ["repeated recharge"]
    other = security.open_account(OPERATOR, purchase(10_000, 1, "000000000077"))
    assert refused(bench.ask(other)) == ["client number mismatch"]
    assert bench.text(REMAINING) == "100.00"


def test_a_recharge_needs_an_account() -> None:
    bench = WireBench("money")
    assert recharge(bench, 1_000, 1) == ["client number mismatch"]


def test_the_status_tells_what_a_lost_answer_left_open() -> None:
    bench = opened()
    recharge(bench, 2_345, 2)
    told = status(bench)
    assert (told.remaining_cents, told.purchase_count, told.client_number) == (12_345, 2, CLIENT)
    assert told.remaining_mac == told.count_mac == PUBLIC_TEST_MAC


def test_purchases_are_recorded() -> None:
    bench = opened()
    bench.wait(hours=10)
    recharge(bench, 2_000, 2)
    read = [bench.text(0x03330001 | part << 8) for part in range(1, 7)]
    assert read == ["2026-11-22 02:00", "2", "20.00", "94.40", "114.40", "120.00"]
    assert bench.text(0x03330102) == "2026-11-21 16:00"
    for count in range(3, 15):
        recharge(bench, 100, count)
    assert bench.text(0x0333020A) == "5"


def test_authentication_comes_first_where_the_type_asks_for_it() -> None:
    bench = WireBench("money", needs_authentication=True)
    pay = security.open_account(OPERATOR, purchase(10_000, 1))
    assert refused(bench.ask(pay)) == ["identity authentication failed"]
    random = bytes(range(8))
    wrong = security.IdentityAuthentication(bytes(8), random, bytes(8))
    code = security.IDENTITY_AUTHENTICATION
    assert refused(bench.ask(Security(code, OPERATOR, wrong.encode()))) == [
        "identity authentication failed"
    ]
    right = security.IdentityAuthentication(random, random, bytes(8))
    answer = bench.ask(Security(code, OPERATOR, right.encode()))
    assert isinstance(answer, SecurityAnswer)
    assert len(security.AuthenticationResult.parse(answer.data).random) == 4
    assert bench.relay_word().authenticated
    assert isinstance(bench.ask(pay), SecurityAnswer)
    bench.wait(minutes=30)
    again = security.recharge(OPERATOR, purchase(10_000, 2))
    assert refused(bench.ask(again)) == ["identity authentication failed"]


def test_the_wallet_is_initialised_before_the_account_only() -> None:
    bench = WireBench("money", prices=FLAT)
    mac = PUBLIC_TEST_MAC
    wallet = security.WalletInitialisation(500, mac, 0, mac).encode()
    request = Security(security.WALLET_INITIALISATION, OPERATOR, wallet)
    assert isinstance(bench.ask(request), SecurityAnswer)
    assert bench.text(REMAINING) == "5.00"
    bench.ask(security.open_account(OPERATOR, purchase(1_000, 1)))
    assert refused(bench.ask(request)) == ["other"]


def test_amounts_are_parameters_and_work_at_once() -> None:
    bench = opened(560)
    bench.wait(hours=11)
    assert not bench.lit()
    assert accepted(bench.write(0x04001003, bytes.fromhex("00100000")))  # 10.00 of overdraft
    assert bench.lit()
    assert bench.text(0x04001003) == "10.00"


def test_a_price_is_a_parameter() -> None:
    bench = opened()
    for di in range(0x04050101, 0x04050105):
        assert accepted(bench.write(di, bytes.fromhex("00000100")))  # 1.0000
    bench.wait(hours=3)
    assert bench.text(REMAINING) == "97.00"


def test_a_keypad_meter_knows_no_money_and_a_money_meter_no_tokens() -> None:
    keypad = WireBench()
    assert refused(keypad.ask(security.recharge(OPERATOR, purchase(1, 1)))) == ["other"]
    assert keypad.data(REMAINING) is None
    money = opened()
    assert money.data(0x04F00102) is None
    assert not money.meter.enter_token("0" * 20, money.now).is_accepted


def test_an_announced_trip_is_called_off_by_money_too() -> None:
    bench = opened()
    bench.relay(RelayCommand.TRIP_DELAYED_DIRECT_CLOSE, 1)
    bench.wait(120)
    assert not bench.lit()
    assert recharge(bench, 100, 2) == []
    assert bench.lit()


@given(
    st.integers(0, 10**7), st.integers(0, 10**6), st.integers(1, 99_999_999),
    st.lists(st.integers(0, 10**9), max_size=20),
)  # fmt: skip
def test_no_grain_is_lost(minor: int, overdraft: int, price: int, draws: list[int]) -> None:
    purse = Purse().with_limits(overdraft=overdraft, close_from=0, warn_below=0)
    purse = purse.at_price(price).with_amount(minor)
    for ws in draws:
        before, ws = purse, min(ws, purse.allowance_ws)
        purse = purse.after_energy(ws)
        taken = before.balance_grains - purse.balance_grains
        assert taken <= ws * price < taken + price or taken == ws * price
        assert purse.balance_grains >= -purse.overdraft_grains
        assert (purse.allowance_ws == 0) == purse.is_cut
