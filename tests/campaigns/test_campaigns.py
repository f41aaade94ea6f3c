"""A campaign makes one key change for each meter, whatever cuts it off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.engine import open_engine
from tests.campaigns.keypad import keypad_of
from tests.shop.conftest import Clock
from vending import KeyChangeRequest, Meter, NewMeter, Outcome, Shop, VendRequest
from vending.campaigns.campaign import CampaignState, MeterState
from vending.campaigns.faults import (
    CampaignEmptyError,
    CampaignExistsError,
    CampaignStateError,
    UnknownCampaignError,
)
from vending.shop.faults import RequestFormatError

ROOT = Path(__file__).parent.parent.parent
GROUP = {"sgc": "123457", "krn": 1}
NEXT = {"krn": 2}


@pytest.fixture
def street(shop: Shop, new_number: Callable[[], str]) -> list[Meter]:
    """Five meters of one group and revision, of both algorithms."""
    return [shop.add_meter(NewMeter(new_number(), algorithm=(7, 11)[n % 2])) for n in range(5)]


def test_every_meter_gets_its_tokens_once_in_entry_order(shop: Shop, street: list[Meter]) -> None:
    shop.campaigns.prepare("revision 2", GROUP, NEXT, "new keys")
    ended = shop.campaigns.run("revision 2")
    assert ended.state is CampaignState.CLOSED
    assert ended.counts[MeterState.ISSUED] == 5
    found = list(shop.campaigns.meters("revision 2"))
    assert [each.number for each in found] == [meter.number for meter in street]
    for each, meter in zip(found, street, strict=True):
        assert each.receipt is not None
        assert len(each.receipt.tokens) == (2 if meter.algorithm == 7 else 4)
        assert each.receipt.tokens[0].name == "Key change: enter 1st"
        assert each.receipt.tokens[-1].name == "Key change: enter last"
        assert shop.meter(meter.number).key.krn == 2
    assert shop.statement().key_changes == 5


def test_a_meter_takes_the_tokens_that_the_campaign_gives_it(
    shop: Shop, street: list[Meter], clock: Clock
) -> None:
    keypads = {meter.number: keypad_of(meter, clock.now) for meter in street}
    shop.campaigns.prepare("revision 2", GROUP, NEXT, "new keys")
    shop.campaigns.run("revision 2")
    for each in shop.campaigns.meters("revision 2"):
        assert each.receipt is not None
        keypad = keypads[each.number]
        for token in each.receipt.tokens:
            assert keypad.enter_token(token.digits, clock.now).is_accepted
        clock.advance(minutes=1)
        bought = shop.vend(VendRequest("till", each.number, each.number, 5_000)).require_done()
        assert keypad.enter_token(bought.token, clock.now).credit_added_wh == bought.units * 100
        shop.confirm_key_change(each.number, 2)
    counts = shop.campaigns.find("revision 2").counts
    assert counts[MeterState.CONFIRMED] == 5
    assert counts[MeterState.ISSUED] == 0


def test_running_again_makes_nothing_twice(shop: Shop, street: list[Meter]) -> None:
    shop.campaigns.prepare("revision 2", GROUP, NEXT, "new keys")
    stops = iter([False, False, True])
    half = shop.campaigns.run("revision 2", stop=lambda: next(stops))
    assert half.state is CampaignState.OPEN
    assert (half.counts[MeterState.ISSUED], half.waiting) == (2, 3)
    # answered, but the campaign was cut off before it wrote that down
    due = street[2]
    answered = shop._change_key(
        KeyChangeRequest(half.client, f"{due.number}/1", due.number, reason="new keys", krn=2)
    ).require_done()
    ended = shop.campaigns.run("revision 2")
    assert ended.counts[MeterState.ISSUED] == 5
    receipts = {each.number: each.receipt for each in shop.campaigns.meters("revision 2")}
    assert receipts[due.number] == answered
    assert shop.statement().key_changes == 5


def test_a_campaign_that_is_killed_goes_on_where_it_was(
    shop: Shop, new_number: Callable[[], str], database_url: str
) -> None:
    for _ in range(230):
        shop.add_meter(NewMeter(new_number()))
    shop.campaigns.prepare("revision 2", GROUP, NEXT, "new keys")
    command = [sys.executable, "-m", "tests.campaigns.run_one", database_url, "revision 2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline().startswith("100 ")
        runner.kill()
    half = shop.campaigns.find("revision 2")
    assert 100 <= half.counts[MeterState.ISSUED] < 230
    two = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [runner.wait(timeout=120) for runner in two] == [0, 0]
    ended = shop.campaigns.find("revision 2")
    assert ended.state is CampaignState.CLOSED
    assert ended.counts[MeterState.ISSUED] == 230
    assert shop.statement().key_changes == 230


def test_a_refused_meter_is_told_of_and_may_wait_again(shop: Shop, street: list[Meter]) -> None:
    shop.campaigns.prepare("revision 3", GROUP, {"krn": 3}, "no such key here")
    ended = shop.campaigns.run("revision 3")
    assert ended.state is CampaignState.OPEN
    assert ended.counts[MeterState.REFUSED] == 5
    faults = {each.fault for each in shop.campaigns.meters("revision 3", MeterState.REFUSED)}
    assert faults == {"supply_group_not_authorised"}
    assert shop.campaigns.retry("revision 3").waiting == 5
    assert shop.campaigns.run("revision 3").counts[MeterState.REFUSED] == 5
    assert shop.campaigns.close("revision 3").state is CampaignState.CLOSED
    assert shop.vend(VendRequest("t", "1", street[0].number, 5_000)).outcome is Outcome.DONE


def test_a_base_date_rolls_over(shop: Shop, new_number: Callable[[], str]) -> None:
    old = shop.add_meter(NewMeter(new_number(), base_year=1993))
    shop.add_meter(NewMeter(new_number(), base_year=2014))
    made = shop.campaigns.prepare(
        "rollover", {"sgc": "123457", "base_year": 1993}, {"base_year": 2014, "krn": 2}, "TID"
    )
    assert made.meters == 1
    shop.campaigns.run("rollover")
    assert int(shop.meter(old.number).key.base_date) == 2014


def test_what_cannot_be_a_campaign_is_refused(shop: Shop, street: list[Meter]) -> None:
    assert street
    for selection, changes, fault in (
        ({}, NEXT, RequestFormatError),
        ({"sgc": "123457", "colour": 1}, NEXT, RequestFormatError),
        (GROUP, {"colour": 1}, RequestFormatError),
        (GROUP, {"krn": "2"}, RequestFormatError),
        (GROUP, {}, CampaignEmptyError),
        (GROUP, {"krn": 1}, CampaignEmptyError),
        ({"sgc": "999999"}, NEXT, CampaignEmptyError),
    ):
        with pytest.raises(fault):
            shop.campaigns.prepare("x", selection, changes, "why")
    assert shop.campaigns.all() == []
    shop.campaigns.prepare("x", GROUP, NEXT, "why")
    with pytest.raises(CampaignExistsError):
        shop.campaigns.prepare("x", GROUP, NEXT, "why")
    with pytest.raises(UnknownCampaignError):
        shop.campaigns.run("y")


def test_a_cancelled_campaign_makes_nothing_more(shop: Shop, street: list[Meter]) -> None:
    assert street
    shop.campaigns.prepare("x", GROUP, NEXT, "why")
    with pytest.raises(CampaignStateError):
        shop.campaigns.close("x")
    shop.campaigns.cancel("x")
    for act in (shop.campaigns.run, shop.campaigns.retry, shop.campaigns.close):
        with pytest.raises(CampaignStateError):
            act("x")
    assert shop.statement().key_changes == 0


def test_the_database_keeps_what_was_issued(
    shop: Shop, street: list[Meter], database_url: str
) -> None:
    assert street
    shop.campaigns.prepare("x", GROUP, NEXT, "why")
    shop.campaigns.run("x")
    engine = open_engine(database_url)
    for statement in (
        "UPDATE campaign_meters SET state = 'waiting', receipt_no = NULL",
        "DELETE FROM campaign_meters",
        "UPDATE campaigns SET state = 'open'",
        "UPDATE campaigns SET changes = '{}'",
    ):
        with engine.connect() as connection, pytest.raises(Exception, match="campaign"):
            connection.execute(text(statement))
    engine.dispose()
