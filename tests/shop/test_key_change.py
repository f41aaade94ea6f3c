"""Key changes: the tokens, the way out of an old base date, what is sold afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.shop.conftest import Clock
from vending import KeyChangeRequest, Meter, NewMeter, Outcome, PublicTestKeys, Shop, VendRequest
from vending.errors import VendingError
from vending.shop.faults import ClockBehindError, KeyChangeRequiredError, RequestFormatError
from vending.sts import KeyExpiredError, KeySection, KeyType, assemble, derive_decoder_key, tid_at
from vending.sts.public_test_key import PUBLIC_TEST_VENDING_KEY, TEST_KEY_GENERATION

KEYS = PublicTestKeys()


def _fault(shop: Shop, number: str, changes: Mapping[str, Any]) -> VendingError:
    request = KeyChangeRequest("kiosk", "k1", number, **changes)
    result = shop.key_change(request)
    assert result.outcome is Outcome.FAILED
    assert result.fault is not None
    return result.fault


@pytest.mark.parametrize(("algorithm", "count"), [(11, 4), (7, 2)])
def test_the_set_put_together_by_a_meter_is_the_new_key(
    shop: Shop, new_number: Callable[[], str], algorithm: int, count: int
) -> None:
    meter = shop.add_meter(NewMeter(new_number(), algorithm=algorithm))
    receipt = shop.key_change(
        KeyChangeRequest("kiosk", "k1", meter.number, krn=2, tariff_index="07", ken=200)
    ).require_done()
    assert len(receipt.tokens) == count
    sections: dict[int, KeySection] = {}
    for token in receipt.tokens:
        decoded = KEYS.read_token(token.digits, meter.attributes())
        assert decoded.crc_ok
        assert isinstance(decoded.content, KeySection)
        sections[decoded.subclass] = decoded.content
    change = assemble(sections, meter.algorithm.key_bits)
    assert change is not None
    assert (change.krn, change.tariff_index, change.ken) == (2, "07", 200)
    assert change.key_type is KeyType.UNIQUE
    assert not change.rollover
    attributes = shop.meter(meter.number).attributes()
    assert change.new_key == derive_decoder_key(
        TEST_KEY_GENERATION, PUBLIC_TEST_VENDING_KEY, attributes
    )


def test_from_then_on_tokens_are_made_under_the_new_key(shop: Shop, meter: Meter) -> None:
    before = shop.vend(VendRequest("kiosk", "1", meter.number, 5_000)).require_done()
    shop.key_change(KeyChangeRequest("kiosk", "k1", meter.number, krn=2)).require_done()
    after = shop.vend(VendRequest("kiosk", "2", meter.number, 5_000)).require_done()
    changed = shop.meter(meter.number)
    assert after.meter.key.krn == 2
    assert KEYS.read_token(after.token, changed.attributes()).crc_ok
    assert not KEYS.read_token(after.token, meter.attributes()).crc_ok
    assert before.tokens[0].tid is not None
    assert after.tokens[0].tid == before.tokens[0].tid + 1
    # an old token is still known as ours, under the key that it was made for
    assert shop.verify_token(meter.number, before.token).decoded.crc_ok


def test_a_receipt_numbers_the_tokens_in_entry_order(shop: Shop, meter: Meter) -> None:
    receipt = shop.key_change(KeyChangeRequest("kiosk", "k1", meter.number, krn=2)).require_done()
    assert [token.name for token in receipt.tokens] == [
        f"Key change: enter {place}" for place in ("1st", "2nd", "3rd", "last")
    ]
    assert "bought earlier first" in receipt.messages[0]
    assert receipt.payment is None
    assert receipt.meter.new_key is not None
    assert (receipt.meter.key.krn, receipt.meter.new_key.krn) == (1, 2)


def test_a_repeated_request_gives_the_same_tokens(shop: Shop, meter: Meter) -> None:
    request = KeyChangeRequest("kiosk", "k1", meter.number, krn=2)
    first, again = shop.key_change(request), shop.key_change(request)
    assert first.response == again.response
    assert again.replayed
    assert shop.statement().key_changes == 1


@pytest.mark.parametrize("algorithm", [7, 11])
def test_a_meter_on_base_date_1993_gets_credit_only_after_a_key_change(
    shop: Shop, new_number: Callable[[], str], clock: Clock, algorithm: int
) -> None:
    old = shop.add_meter(NewMeter(new_number(), base_year=1993, algorithm=algorithm))
    refused = shop.vend(VendRequest("kiosk", "1", old.number, 5_000))
    assert isinstance(refused.fault, KeyChangeRequiredError)
    assert f"meterhouse vend key-change {old.number} --base-year 2014" in str(refused.fault)
    with pytest.raises(KeyChangeRequiredError):
        shop.trial_vend(old.number, 5_000)
    changed = shop.key_change(
        KeyChangeRequest("kiosk", "k1", old.number, base_year=2014)
    ).require_done()
    first = KEYS.read_token(changed.tokens[0].digits, old.attributes()).content
    assert getattr(first, "rollover", None) is True
    sold = shop.vend(VendRequest("kiosk", "2", old.number, 5_000)).require_done()
    meter = shop.meter(old.number)
    assert sold.tokens[0].tid == tid_at(clock.now, meter.key.base_date)
    assert KEYS.read_token(sold.token, meter.attributes()).crc_ok


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "key_unchanged"),
        ({"krn": 1}, "key_unchanged"),
        ({"krn": 3}, "supply_group_not_authorised"),
        ({"sgc": "123456"}, "supply_group_not_authorised"),
        ({"sgc": "12345"}, "invalid_value"),
        ({"krn": 10}, "invalid_value"),
        ({"ken": 256}, "invalid_value"),
        ({"tariff_index": "7"}, "invalid_value"),
        ({"base_year": 2000}, "invalid_value"),
        ({"base_year": 1993}, "key_change"),
        ({"key_type": 0}, "key_type"),
    ],
)
def test_key_changes_that_cannot_be_are_refused(
    shop: Shop, meter: Meter, changes: Mapping[str, Any], code: str
) -> None:
    assert _fault(shop, meter.number, changes).code == code
    assert shop.meter(meter.number) == meter
    assert shop.statement().key_changes == 0


@pytest.mark.parametrize(("year", "base_year"), [(2026, 2035), (2010, 2014)])
def test_a_base_date_that_has_not_begun_costs_nobody_a_message_id(
    shop: Shop, new_number: Callable[[], str], clock: Clock, year: int, base_year: int
) -> None:
    """The clock may be behind: the shop cannot tell."""
    old = shop.add_meter(NewMeter(new_number(), base_year=1993))
    request = KeyChangeRequest("kiosk", "k1", old.number, base_year=base_year)
    clock.now = clock.now.replace(year=year)
    with pytest.raises(ClockBehindError, match=f"base date {base_year} begins"):
        shop.key_change(request)
    clock.now = clock.now.replace(year=base_year)
    shop.key_change(request).require_done()


@pytest.mark.parametrize(
    "fields", [{"krn": 2.0}, {"krn": True}, {"base_year": 2014.0}, {"ken": "7"}, {"sgc": 123457}]
)
def test_a_key_is_described_in_whole_numbers_and_text(fields: Mapping[str, Any]) -> None:
    with pytest.raises(RequestFormatError):
        KeyChangeRequest("kiosk", "k1", "01234567897", **fields)


def test_a_meter_may_return_to_a_key_that_it_had_and_its_identifiers_still_grow(
    shop: Shop, meter: Meter
) -> None:
    tids = []
    for number, krn in enumerate((2, 1, 2), 1):
        sold = shop.vend(VendRequest("kiosk", f"s{number}", meter.number, 5_000)).require_done()
        tids.append(sold.tokens[0].tid)
        shop.key_change(
            KeyChangeRequest("kiosk", f"k{number}", meter.number, krn=krn)
        ).require_done()
    last = shop.vend(VendRequest("kiosk", "s4", meter.number, 5_000)).require_done()
    tids.append(last.tokens[0].tid)
    assert tids[0] is not None
    assert tids == list(range(tids[0], tids[0] + 4))


@pytest.mark.parametrize("ken", [0, 1])
def test_a_key_that_has_expired_is_given_to_no_meter(shop: Shop, meter: Meter, ken: int) -> None:
    refused = shop.key_change(KeyChangeRequest("till", "1", meter.number, ken=ken))
    assert isinstance(refused.fault, KeyExpiredError)
    assert "--ken" in str(refused.fault)
    assert shop.vend(VendRequest("till", "2", meter.number, 5_000)).outcome is Outcome.DONE
    now_or_later = KeyChangeRequest("till", "3", meter.number, ken=254)
    assert shop.key_change(now_or_later).outcome is Outcome.DONE
    assert shop.vend(VendRequest("till", "4", meter.number, 5_000)).outcome is Outcome.DONE
