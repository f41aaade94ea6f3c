"""Many accounts from another system (requirement 1): every bad line is told of."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from billing.accounts.tables import customer_accounts
from billing.faults import BadEntryError, RightMissingError
from billing.ledger.entry import Purse
from billing.office import Office
from billing.person import Person, Right
from tests.billing.accounts.desks import desk_of, make_point

HEADINGS = "old_number,name,identity,class,mode,warn,point,meter,tariff,phone,balance,deposit_held"
GOOD = [
    HEADINGS,
    "A-1,Li Wei,ID 1111,residential,prepaid,20,p 1,,home,+8613800138000,-12.30,100",
    "A-1,Li Wei,ID 1111,residential,prepaid,20,,5002,home,,,",
    "A-2,Sun Yu,,commercial,postpaid,,,,,,55.00,",
    "A-3,Li Wei,ID 1111,,,,,,,,,",
]


def _points(office: Office) -> None:
    with office.writing() as connection:
        for meter in ("5001", "5002"):
            make_point(connection, office, meter)


def test_req01_accounts_are_brought_in_with_their_balances_once(office: Office) -> None:
    _points(office)
    desk = desk_of(office)
    lines = [line.replace("p 1", "point of 5001") for line in GOOD]
    done = desk.import_accounts(lines)
    assert done.bad == ()
    assert (done.lines, done.accounts, done.supplies, done.there) == (4, 3, 2, 0)
    (one,) = desk.search("A-1")
    card = desk.card(one.account.number)
    assert (card.balances[Purse.CURRENT], card.balances[Purse.DEPOSIT]) == (-12_30, 100_00)
    assert [each.meter for each in card.supplies] == ["5001", "5002"]
    assert card.agreement is not None
    assert (card.agreement.mode, card.agreement.warn_minor) == ("prepaid", 20_00)
    (three,) = desk.search("A-3")
    assert three.account.customer_id == one.account.customer_id
    again = desk.import_accounts(lines)
    assert (again.accounts, again.supplies, again.there, again.bad) == (0, 0, 4, ())
    assert desk.card(one.account.number).balances[Purse.CURRENT] == -12_30


def test_req01_a_bad_line_undoes_all_unless_it_is_left_out(office: Office) -> None:
    _points(office)
    desk = desk_of(office)
    lines = [
        HEADINGS,
        "B-1,Li Wei,,,,,,,,,1,",
        "B-2,,,,,,,,,,,",
        "B-3,Sun Yu,,,someday,,,,,,,",
        "B-4,Sun Yu,,,,,nowhere,,home,,,",
        "B-5,Sun Yu,,,,,,5001,,,,",
        "B-6,Sun Yu,,,,,,,,,1.234,",
        "B-7,Sun Yu,,,,,,,,letters,,",
        "B-8,too few",
        "B-1,Another,,,,,,,,,,",
        "B-1,Li Wei,,,,,,5002,home,,3,",
    ]
    done = desk.import_accounts(lines)
    assert [each.line for each in done.bad] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert not any("Sun" in each.message for each in done.bad)
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(customer_accounts)) == 0
    assert desk.import_accounts(lines[:2], dry_run=True).accounts == 1
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(customer_accounts)) == 0
    kept = desk.import_accounts(lines, skip_bad=True)
    assert (kept.accounts, len(kept.bad)) == (1, 9)
    assert len(desk.accounts()) == 1


def test_a_table_needs_its_headings_and_the_right(office: Office) -> None:
    desk = desk_of(office)
    for lines in ([], ["name"], ["old_number,name,colour"], ["old_number,name,name"]):
        with pytest.raises(BadEntryError):
            desk.import_accounts(lines)
    clerk = desk_of(office, Person("Gao", frozenset({Right.SERVE, Right.LOOK})))
    with pytest.raises(RightMissingError):
        clerk.import_accounts(GOOD)
