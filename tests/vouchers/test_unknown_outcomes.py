"""A redemption whose security module did not answer is finished, or given up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.shop.conftest import Clock
from tests.shop.databases import START
from tests.shop.test_intents import NUMBER, made_by, module
from vending import NewMeter, Outcome, Pin, PublicTestKeys, RedeemRequest, Shop, VendRequest
from vending.shop.faults import MeterBusyError

FACE = 5_000


@pytest.fixture
def pin(database_url: str, clock: Clock) -> Pin:
    """Of a valid voucher; and a meter."""
    with Shop.open(database_url, now=clock, security=PublicTestKeys()) as shop:
        shop.add_meter(NewMeter(NUMBER))
        made = shop.vouchers.make(FACE, 1, START + timedelta(days=30))
        shop.vouchers.activate(made.batch.batch_id, "Corner shop")
        return made.pins[0]


def redeem_in_vain(url: str, clock: Clock, state: Path, request: RedeemRequest) -> None:
    """The module dies when it is asked for the token."""
    with (
        module(state, "before-making") as remote,
        Shop.open(url, now=clock, security=remote) as shop,
    ):
        assert shop.vouchers.redeem(request).outcome is Outcome.UNKNOWN
        assert shop.vouchers.redeem(request).outcome is Outcome.UNKNOWN
        with pytest.raises(MeterBusyError):
            shop.vend(VendRequest("till", "s1", NUMBER, FACE))


def test_whoever_opens_the_shop_finishes_it(
    database_url: str, clock: Clock, pin: Pin, tmp_path: Path
) -> None:
    state, request = tmp_path / "made.jsonl", RedeemRequest("web", "r1", NUMBER, pin)
    redeem_in_vain(database_url, clock, state, request)
    with (
        module(state) as remote,
        Shop.open(database_url, now=clock, security=remote) as shop,
    ):
        assert shop.outstanding() == []
        paid = shop.vouchers.redeem(request)
        assert paid.replayed
        assert [paid.require_done().token] == made_by(state)
        assert shop.statement().agrees


def test_what_is_given_up_has_failed_and_frees_the_meter(
    database_url: str, clock: Clock, pin: Pin, tmp_path: Path
) -> None:
    state, request = tmp_path / "made.jsonl", RedeemRequest("web", "r1", NUMBER, pin)
    redeem_in_vain(database_url, clock, state, request)
    with (
        module(state, "before-making") as remote,
        Shop.open(database_url, now=clock, security=remote) as shop,
    ):
        given_up = shop.give_up("web", "r1", operator="ann")
        assert given_up.outcome is Outcome.FAILED
        assert given_up.fault is not None
        assert given_up.fault.code == "given_up"
        assert shop.outstanding() == []
        again = shop.vouchers.redeem(request)
        assert (again.response, again.replayed) == (given_up.response, True)
        assert shop.give_up("web", "r1").response == given_up.response
    with module(state) as remote, Shop.open(database_url, now=clock, security=remote) as shop:
        assert shop.vend(VendRequest("till", "s1", NUMBER, FACE)).outcome is Outcome.DONE
        other = RedeemRequest("web", "r2", NUMBER, pin)
        assert shop.vouchers.redeem(other).outcome is Outcome.DONE  # it has not paid before
