"""What the other rooms of the office ask about accounts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from billing.accounts.faults import NoAgreementError
from billing.accounts.looking import (
    account,
    account_by_number,
    accounts_of,
    agreement_at,
    agreements_at,
    contacts_of,
    names_of,
    supplies_of,
    supplies_of_many,
    supply_at_point,
    tariff_at,
)
from billing.accounts.numbers import account_number
from billing.accounts.tables import agreements, contacts
from billing.faults import UnknownAccountError
from billing.office import Office
from tests.billing.made import make_account, make_supply


def test_an_account_is_found_by_number_and_id(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office, mode="prepaid")
    with office.reading() as connection:
        found = account(connection, account_id)
        assert account_by_number(connection, found.number) == found
        assert accounts_of(connection, [account_id, 999]) == {account_id: found}
        assert names_of(connection, office, [account_id]) == {account_id: "Li Wei"}
        assert (found.mode, found.state, found.closed_at) == ("prepaid", "active", None)
        with pytest.raises(UnknownAccountError) as refused:
            account_by_number(connection, account_number(999_999))
        with pytest.raises(UnknownAccountError):
            account(connection, 999_999)
    assert refused.value.code == "unknown_account"


def test_the_agreement_of_a_moment_is_the_newest_that_began(office: Office) -> None:
    start = office.now()
    with office.writing() as connection:
        account_id = make_account(connection, office)
        first = connection.execute(select(agreements)).one()._asdict()
        first.pop("agreement_id")
        later = {"version": 2, "since": start + timedelta(days=3), "cycle": "monthly"}
        connection.execute(insert(agreements).values({**first, **later}))
    with office.reading() as connection:
        assert agreement_at(connection, account_id, start + timedelta(days=2)).cycle == "daily"
        assert agreement_at(connection, account_id, start + timedelta(days=3)).cycle == "monthly"
        assert agreements_at(connection, [account_id], start - timedelta(days=1)) == {}
        with pytest.raises(NoAgreementError) as refused:
            agreement_at(connection, account_id, start - timedelta(days=1))
    assert refused.value.code == "no_agreement"


def test_supplies_of_a_moment(office: Office) -> None:
    start = office.now()
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, _device = make_supply(connection, office, account_id, tariff="shop")
    with office.reading() as connection:
        (supply,) = supplies_of(connection, account_id)
        assert supply.supply_id == supply_id
        assert supplies_of(connection, account_id, start - timedelta(days=1)) == []
        assert supplies_of_many(connection, [account_id, 999], start) == {
            account_id: [supply],
            999: [],
        }
        assert supply_at_point(connection, supply.point_id, start) == supply
        assert supply_at_point(connection, supply.point_id, start - timedelta(days=1)) is None
        assert tariff_at(connection, supply_id, start) == "shop"


def test_req04_several_contacts_get_the_bill(office: Office) -> None:
    now = office.now()
    people = [("tenant", "Wang", 1, 1), ("customer", "Li", 1, 0), ("accountant", "Zhao", 0, 1)]
    with office.writing() as connection:
        account_id = make_account(connection, office)
        for role, name, bill, notices in people:
            connection.execute(
                insert(contacts).values(
                    account_id=account_id,
                    role=role,
                    name_sealed=office.seal.seal("contact.name", name),
                    email_sealed=office.seal.seal("contact.email", f"{name}@example.org"),
                    gets_bill=bill,
                    gets_notices=notices,
                    since=now,
                )
            )
    with office.reading() as connection:
        bills = contacts_of(connection, office, account_id, bills=True)
        notices_ = contacts_of(connection, office, account_id, notices=True)
    assert [(each.role, each.email) for each in bills] == [
        ("customer", "Li@example.org"),
        ("tenant", "Wang@example.org"),
    ]
    assert [each.name for each in notices_] == ["Wang", "Zhao"]
    assert "Wang" not in repr(bills)
