"""A key change that comes with a sale: policy, order of entry, states, the way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from storage.engine import open_engine, writing
from tests.operations.asking import code_of, sell
from tests.shop.databases import START
from vending import (
    EngineeringAct,
    EngineeringRequest,
    KeyChangeRequest,
    Meter,
    NewMeter,
    PublicTestKeys,
    ReversalRequest,
    Shop,
    VendRequest,
    VendResult,
    receipt_text,
)
from vending.security.groups import (
    GroupKind,
    KeyPolicy,
    KeyState,
    Provider,
    RevisionRecord,
    RevisionTerms,
    SupplyGroup,
    insert_revision,
    insert_supply_group,
    make_current,
)
from vending.shop.faults import (
    KeyChangeNotIssuedError,
    KeyChangeOfferedError,
    KeyRevisionDiffersError,
)
from vending.sts import (
    BaseDate,
    KeyExpiry,
    KeyGeneration,
    KeyRevision,
    KeySection,
    SupplyGroupCode,
    assemble,
    tid_at,
)
from vending.sts.public_test_key import TEST_SUPPLY_GROUP

KEYS = PublicTestKeys()
SGC = SupplyGroupCode(TEST_SUPPLY_GROUP)

Enrol = Callable[[KeyPolicy], None]


@pytest.fixture
def enrol(database_url: str) -> Enrol:
    """Put the public test keys' supply group on record: revision 2 is current, 1 outdated."""

    def put(policy: KeyPolicy) -> None:
        engine = open_engine(database_url)
        with writing(engine) as connection:
            group = SupplyGroup(SGC, "test", GroupKind.UNIQUE, policy, START)
            insert_supply_group(connection, group)
            for krn in (1, 2):
                terms = RevisionTerms(
                    SGC,
                    KeyRevision(krn),
                    KeyGeneration.DKGA04,
                    BaseDate.Y2014,
                    KeyExpiry(255 if krn == 1 else 120),
                    START - timedelta(days=400),
                )
                insert_revision(
                    connection,
                    RevisionRecord(
                        terms, KeyState.WAITING, "000000", Provider.MODULE, None, START, ""
                    ),
                )
                make_current(connection, SGC, KeyRevision(krn))
        engine.dispose()

    return put


def test_policy_fault_refuses_and_names_the_way_out(shop: Shop, meter: Meter, enrol: Enrol) -> None:
    enrol(KeyPolicy.FAULT)
    refused = shop.vend(VendRequest("kiosk", "1", meter.number, 10_000))
    assert code_of(refused) == "key_revision_outdated"
    assert f"key-change {meter.number} --krn 2 --ken 120" in str(refused.fault)
    shop.key_change(KeyChangeRequest("till", "k", meter.number, krn=2, ken=120)).require_done()
    assert sell(shop, meter.number, "2").meter.key.krn == 2


def test_policy_offer_asks_and_the_answer_is_given_under_the_same_id(
    shop: Shop, meter: Meter, enrol: Enrol
) -> None:
    enrol(KeyPolicy.OFFER)
    with pytest.raises(KeyChangeOfferedError, match="accept_key_change"):
        sell(shop, meter.number, "1")
    with pytest.raises(KeyChangeOfferedError):
        shop.trial_vend(meter.number, 10_000)
    receipt = sell(shop, meter.number, "1", accept_key_change=True)
    assert len(receipt.tokens) == 5
    assert sell(shop, meter.number, "2", 10_001).tokens[0].code == "credit"


def test_policy_auto_puts_the_key_change_before_the_credit(
    shop: Shop, meter: Meter, enrol: Enrol
) -> None:
    enrol(KeyPolicy.AUTO)
    offered = shop.trial_vend(meter.number, 10_000)
    assert offered.new_key is not None
    assert offered.new_key.krn == 2
    receipt = sell(shop, meter.number, "1")
    changed = shop.meter(meter.number)
    assert [token.name for token in receipt.tokens] == [
        "Key change: enter 1st",
        "Key change: enter 2nd",
        "Key change: enter 3rd",
        "Key change: enter 4th",
        "Electricity: enter last",
    ]
    assert receipt.meter.new_key is not None
    assert (receipt.meter.key.krn, receipt.meter.new_key.krn) == (1, 2)
    assert "bought earlier first" in receipt.messages[0]
    assert "Key change" in receipt_text(receipt)
    sections: dict[int, KeySection] = {}
    for token in receipt.tokens[:-1]:
        decoded = KEYS.read_token(token.digits, meter.attributes())
        assert isinstance(decoded.content, KeySection)
        sections[decoded.subclass] = decoded.content
    change = assemble(sections, meter.algorithm.key_bits)
    assert change is not None
    assert (change.krn, change.ken, change.rollover) == (2, 120, False)
    assert KEYS.read_token(receipt.tokens[-1].digits, changed.attributes()).crc_ok
    assert not KEYS.read_token(receipt.tokens[-1].digits, meter.attributes()).crc_ok
    statement = shop.statement()
    assert statement.agrees
    assert (statement.sales, statement.key_changes) == (1, 0)


def test_a_meter_of_1993_is_rolled_over_to_2014(
    shop: Shop, new_number: Callable[[], str], enrol: Enrol
) -> None:
    enrol(KeyPolicy.AUTO)
    old = shop.add_meter(NewMeter(new_number(), base_year=1993))
    receipt = sell(shop, old.number, "1")
    first = KEYS.read_token(receipt.tokens[0].digits, old.attributes()).content
    assert getattr(first, "rollover", None) is True
    changed = shop.meter(old.number)
    assert (changed.key.krn, changed.key.base_date) == (2, BaseDate.Y2014)
    assert receipt.tokens[-1].tid == tid_at(START, BaseDate.Y2014)


def test_without_a_registered_group_a_meter_of_1993_is_refused(
    shop: Shop, new_number: Callable[[], str]
) -> None:
    old = shop.add_meter(NewMeter(new_number(), base_year=1993))
    refused = shop.vend(VendRequest("kiosk", "1", old.number, 10_000, accept_key_change=True))
    assert code_of(refused) == "key_change_required"
    assert "--base-year 2014" in str(refused.fault)


def test_a_key_change_is_confirmed_by_the_revision_that_the_meter_shows(
    shop: Shop, meter: Meter, enrol: Enrol
) -> None:
    enrol(KeyPolicy.AUTO)
    with pytest.raises(KeyChangeNotIssuedError):
        shop.confirm_key_change(meter.number, 1)
    sell(shop, meter.number, "1")
    assert shop.lookup.confirm_meter(meter.number).key.change_state == "issued"
    with pytest.raises(KeyRevisionDiffersError):
        shop.confirm_key_change(meter.number, 1)
    shop.confirm_key_change(meter.number, 2)
    shop.confirm_key_change(meter.number, 2)
    assert shop.lookup.confirm_meter(meter.number).key.change_state == "confirmed"


def test_a_reversed_sale_takes_its_key_change_back(shop: Shop, meter: Meter, enrol: Enrol) -> None:
    enrol(KeyPolicy.AUTO)
    sell(shop, meter.number, "1")
    shop.advice.reverse(ReversalRequest("kiosk", "r", "1")).require_done()
    assert shop.meter(meter.number).key.krn == 1
    assert shop.lookup.confirm_meter(meter.number).key.change_state is None
    again = sell(shop, meter.number, "2")
    assert len(again.tokens) == 5
    assert shop.meter(meter.number).key.krn == 2
    assert shop.lookup.confirm_meter(meter.number).key.change_state == "issued"
    assert shop.statement().agrees


def test_a_key_change_that_was_followed_is_not_undone(
    shop: Shop, meter: Meter, enrol: Enrol
) -> None:
    enrol(KeyPolicy.AUTO)

    def undo(message_id: str, sale: str) -> VendResult:
        return shop.advice.reverse(ReversalRequest("kiosk", message_id, sale))

    sell(shop, meter.number, "1")
    undo("r1", "1").require_done()
    with pytest.raises(KeyChangeNotIssuedError):
        shop.confirm_key_change(meter.number, 2)
    sell(shop, meter.number, "2")
    clear = EngineeringRequest("kiosk", "e", meter.number, EngineeringAct.CLEAR_TAMPER, 0, "x")
    shop.engineering.issue(clear).require_done()
    assert code_of(undo("r2", "2")) == "not_latest_sale"
    assert shop.meter(meter.number).key.krn == 2


def test_a_key_change_that_was_seen_on_the_meter_is_not_undone(
    shop: Shop, meter: Meter, enrol: Enrol
) -> None:
    enrol(KeyPolicy.AUTO)
    sell(shop, meter.number, "1")
    shop.confirm_key_change(meter.number, 2)
    result = shop.advice.reverse(ReversalRequest("kiosk", "r", "1"))
    assert code_of(result) == "sale_confirmed"
    assert shop.meter(meter.number).key.krn == 2


def test_a_refused_sale_changes_no_key(shop: Shop, meter: Meter, enrol: Enrol) -> None:
    enrol(KeyPolicy.AUTO)
    refused = shop.vend(VendRequest("kiosk", "1", meter.number, 499))
    assert code_of(refused) == "below_minimum"
    assert shop.meter(meter.number).key.krn == 1
    shop.block_meter(meter.number, "debt")
    blocked = shop.vend(VendRequest("kiosk", "2", meter.number, 10_000))
    assert code_of(blocked) == "meter_blocked"


def test_the_end_of_a_key_is_told_ahead(shop: Shop, new_number: Callable[[], str]) -> None:
    # KEN 103 of base date 2014 ends on 2026-12-17
    ending = shop.add_meter(NewMeter(new_number(), ken=103))
    receipt = sell(shop, ending.number, "1")
    assert receipt.messages == (
        "The key of this meter ends on 2026-12-17: it has to be changed before then.",
    )
    assert receipt.message_reasons[0].code == "key_ends"
    standing = shop.lookup.confirm_meter(ending.number)
    assert standing.key.ends_soon
    lasting = shop.add_meter(NewMeter(new_number()))
    assert sell(shop, lasting.number, "2").messages == ()
    assert not shop.lookup.confirm_meter(lasting.number).key.ends_soon
