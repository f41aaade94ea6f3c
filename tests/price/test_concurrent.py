"""Many tills at one service point: the month, the debts and the change are counted once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.price.strategies import ZAR
from vending import NewMeter, Shop, VendRequest
from vending.price.document import read_toml
from vending.price.situation import Scheme, SchemeKind

BLOCKS = """
name = "Domestic"
[[blocks]]
up_to = 50
price = "1.00"
[[blocks]]
price = "2.00"
[change]
rule = "carry"
"""


def test_tills_at_one_service_point_take_turns(shop: Shop, new_number: Callable[[], str]) -> None:
    numbers = [
        shop.add_meter(NewMeter(new_number(), service_point="Farm 7")).number for _ in range(2)
    ]
    shop.tariffs.add(read_toml(BLOCKS, ZAR))
    shop.tariffs.assign("Domestic", numbers)
    for number in numbers:
        shop.tariffs.add_debt(
            number,
            name="Old bill",
            principal_minor=300,
            scheme=Scheme(SchemeKind.FIXED, None, 100),
            reason="bill",
        )

    def sell(turn: int) -> int:
        request = VendRequest(f"till {turn}", "1", numbers[turn % 2], 1_005, confirmed_second=True)
        return shop.vend(request).require_done().units

    with ThreadPoolExecutor(4) as tills:
        units = sum(tills.map(sell, range(16)))
    # 16 x 10.05 less 6.00 of debts: 154.80.  50 kWh cost 50.00, the rest 52.4 kWh at 2.00
    left = {each.account: each.balance_minor for each in shop.statement().accounts}
    assert left["debts"] == 0
    assert 500 * 10 + (units - 500) * 20 + left["carried"] == 15_480
    assert units == 500 + 524
    assert shop.statement().agrees
