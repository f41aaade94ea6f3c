"""Emergency credit: asked, approved by another, given once to everybody, paid back by a share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import insert, select, update

from billing.faults import OfficeRefusedError
from billing.ledger.books import EMERGENCY, ensure_account
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import balances, entries_of, post
from billing.office import Office
from billing.person import Person, Right
from billing.prepaid.cuts import CutState
from billing.prepaid.emergency import EmergencyCreditDesk
from billing.prepaid.faults import EmergencyCreditError, EmergencyCreditLimitError
from billing.prepaid.giving import give
from billing.prepaid.standing import Level
from billing.prepaid.tables import emergency_credits_given
from billing.prepaid.watcher import PrepaidWatcher
from headend.registry.entries import PlaceKind
from headend.registry.places import insert_place
from headend.registry.tables import service_points
from storage.ledger import AccountKind
from tests.billing.made import make_account, make_supply
from tests.billing.prepaid.town import COUNTER, strict, town_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

ANNA, BORIS = Person("anna"), Person("boris")
BOTH = {"each_minor": 30_00, "share_bp": 2_500, "reason": "flood"}


@pytest.fixture
def area(office: Office) -> Office:
    """Five prepaid accounts in the area North, two elsewhere, one that is billed."""
    with office.writing() as connection:
        ensure_account(connection, COUNTER, AccountKind.ASSET, office.currency.code)
        insert_place(connection, PlaceKind.SUBSTATION, "S", None)
        north = insert_place(connection, PlaceKind.AREA, "North", "S")
        for number in range(8):
            mode = "postpaid" if number == 7 else "prepaid"
            account_id = make_account(connection, office, mode=mode)
            make_supply(connection, office, account_id)
            if number < 5 or number == 7:
                connection.execute(
                    update(service_points)
                    .where(service_points.c.name == f"point {number + 1}")
                    .values(place_id=north)
                )
    return replace(office, watchers=(PrepaidWatcher(),))


def _balances(office: Office) -> list[int]:
    with office.reading() as connection:
        return list(balances(connection, range(1, 9)).values())


def _pay(
    office: Office, account_id: int, amount_minor: int, *sources: str, kind: str = "payment"
) -> None:
    """So much by each of these payments, together."""
    entries = [
        Entry(account_id, EntryKind(kind), amount_minor, COUNTER, source, "paid")
        for source in sources or ("payment 1",)
    ]
    with office.writing() as connection:
        post(connection, office, entries)


def _undo(office: Office, account_id: int, amount_minor: int, source: str) -> None:
    _pay(office, account_id, -amount_minor, source, kind="payment_undone")


def test_req26_credit_goes_to_everybody_in_the_place_once(area: Office) -> None:
    desk = EmergencyCreditDesk(area.acting(ANNA))
    made = desk.ask(place="S", **BOTH)  # type: ignore[arg-type]
    assert (made.state, desk.how_many(made.emergency_id)) == ("asked", 5)
    with pytest.raises(EmergencyCreditError, match="second person"):
        desk.give(made.emergency_id)
    with pytest.raises(EmergencyCreditError, match="anna asked for it"):
        desk.approve(made.emergency_id)
    EmergencyCreditDesk(area.acting(BORIS)).approve(made.emergency_id)
    given = desk.give(made.emergency_id)
    assert (given.state, given.accounts, given.given_minor) == ("given", 5, 150_00)
    assert _balances(area) == [30_00] * 5 + [0, 0, 0]
    assert desk.give(made.emergency_id).accounts == 5, "given again, nobody has it twice"
    assert _balances(area) == [30_00] * 5 + [0, 0, 0]


def test_req26_it_goes_on_where_it_was_interrupted(
    area: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.prepaid.giving._AT_ONCE", 2)
    desk = EmergencyCreditDesk(area.acting(ANNA))
    made = desk.ask(place=None, **BOTH)  # type: ignore[arg-type]
    EmergencyCreditDesk(area.acting(BORIS)).approve(made.emergency_id)
    assert give(area, made.emergency_id, pages=2) == 4
    assert desk.find(made.emergency_id).state == "giving"
    counts: list[int] = []
    assert desk.give(made.emergency_id, counts.append).accounts == 7
    assert counts == [2, 3]
    assert _balances(area) == [30_00] * 7 + [0]


def test_req26_it_is_paid_back_by_a_share_of_payments(area: Office) -> None:
    desk = EmergencyCreditDesk(area.acting(ANNA))
    made = desk.ask(place="North", **BOTH)  # type: ignore[arg-type]
    EmergencyCreditDesk(area.acting(BORIS)).approve(made.emergency_id)
    desk.give(made.emergency_id)
    _pay(area, 1, 10_00)
    assert _balances(area)[0] == 40_00, "not before the emergency is over"
    assert desk.recover(made.emergency_id).state == "recovering"
    _pay(area, 1, 100_00)
    _pay(area, 6, 100_00)
    assert _balances(area)[0] == 40_00 + 75_00
    assert _balances(area)[5] == 100_00, "who was given nothing pays nothing back"
    _pay(area, 1, 100_00)
    assert _balances(area)[0] == 115_00 + 100_00 - 5_00, "what is left, and no more"
    _pay(area, 1, 100_00)
    assert _balances(area)[0] == 310_00
    found = desk.find(made.emergency_id)
    assert (found.given_minor, found.recovered_minor, found.state) == (
        150_00,
        30_00,
        "recovering",
    )
    with area.reading() as connection:
        back = [
            each.entry
            for each in entries_of(connection, 1)
            if each.entry.kind is EntryKind.EMERGENCY_CREDIT
        ]
    assert [each.amount_minor for each in back] == [30_00, -25_00, -5_00]
    assert {each.counter for each in back} == {EMERGENCY}
    paid = f"emergency {made.emergency_id} payment 1"
    assert [each.source for each in back] == [f"emergency {made.emergency_id}", paid, paid]


@pytest.mark.parametrize("parts", [1, 3])
def test_req26_a_payment_that_is_undone_has_paid_nothing_back(area: Office, parts: int) -> None:
    desk = EmergencyCreditDesk(area.acting(ANNA))
    made = desk.ask(place="North", **BOTH)  # type: ignore[arg-type]
    EmergencyCreditDesk(area.acting(BORIS)).approve(made.emergency_id)
    desk.give(made.emergency_id)
    _pay(area, 1, 10_00, "payment 1")
    desk.recover(made.emergency_id)
    _pay(area, 1, 20_00, *(f"payment {number}" for number in range(2, 2 + parts)))
    assert _balances(area)[0] == 40_00 + parts * 15_00
    for number in (1, *range(2, 2 + parts)):
        _undo(area, 1, 10_00 if number == 1 else 20_00, f"payment {number}")
    assert _balances(area)[0] == 30_00, "as it was given"
    assert desk.find(made.emergency_id).recovered_minor == 0
    _pay(area, 1, 400_00, "payment 9")
    assert _balances(area)[0] == 400_00, "all of it is owed yet"
    _undo(area, 1, 400_00, "payment 9")
    _pay(area, 1, 20_00, "payment 9")
    assert _balances(area)[0] == 45_00, "one that came back to the account has a share of its own"
    _undo(area, 1, 20_00, "payment 9")
    assert _balances(area)[0] == 30_00


def test_req26_it_is_limited(area: Office) -> None:
    desk = EmergencyCreditDesk(area.acting(ANNA))
    with pytest.raises(EmergencyCreditLimitError, match=r"100\.00 CNY"):
        desk.ask(place=None, each_minor=100_01, share_bp=1, reason="x")
    for wrong in ({"each_minor": 0}, {"share_bp": 0}, {"share_bp": 10_001}, {"reason": " "}):
        with pytest.raises(EmergencyCreditError):
            desk.ask(place=None, **{**BOTH, **wrong})  # type: ignore[arg-type]
    with pytest.raises(EmergencyCreditError, match="no emergency credit 9"):
        desk.approve(9)


def test_req26_the_database_gives_nothing_that_nobody_approved(area: Office) -> None:
    desk = EmergencyCreditDesk(area.acting(ANNA))
    made = desk.ask(place=None, **BOTH)  # type: ignore[arg-type]
    row = {
        "emergency_id": made.emergency_id,
        "account_id": 1,
        "amount_minor": 30_00,
        "recovered_minor": 0,
        "given_at": area.now(),
    }
    with pytest.raises(OfficeRefusedError, match="nobody has approved"):
        _insert(area, row)
    EmergencyCreditDesk(area.acting(BORIS)).approve(made.emergency_id)
    with pytest.raises(OfficeRefusedError):
        _insert(area, {**row, "amount_minor": 30_01})
    _insert(area, row)
    with pytest.raises(OfficeRefusedError):
        _insert(area, row)
    for wrong in (30_01, -1):
        with pytest.raises(OfficeRefusedError), area.writing() as connection:
            connection.execute(update(emergency_credits_given).values(recovered_minor=wrong))


def _insert(office: Office, row: dict[str, object]) -> None:
    with office.writing() as connection:
        connection.execute(insert(emergency_credits_given), row)


def test_req29_rights_of_emergencies(area: Office) -> None:
    clerk = EmergencyCreditDesk(area.acting(Person("x", frozenset({Right.LOOK}))))
    for act in (
        partial(clerk.ask, place=None, each_minor=1, share_bp=1, reason="x"),
        partial(clerk.approve, 1),
        partial(clerk.give, 1),
        partial(clerk.recover, 1),
    ):
        with pytest.raises(Exception, match="right"):
            act()
    assert clerk.list() == []


def test_req26_credit_brings_light(office: Office, clock: Clock) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            (account,) = town.accounts
            await town.until_cut(account, 60_00)
            desk = EmergencyCreditDesk(town.office.acting(ANNA))
            made = await town.do(partial(desk.ask, place=None, **BOTH))  # type: ignore[arg-type]
            await town.do(EmergencyCreditDesk(town.office.acting(BORIS)).approve, made.emergency_id)
            for _ in range(2):
                await town.all()
            assert town.scene.lit()
            assert town.cuts(account)[0].state is CutState.LIT
            assert town.level(account) is Level.OK
            assert "emergency_credit" in town.told(account)
            with office.reading() as connection:
                assert connection.scalar(select(emergency_credits_given.c.amount_minor)) == 30_00

    go()
