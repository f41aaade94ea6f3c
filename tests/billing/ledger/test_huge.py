"""An amount that nobody has leaves the accounts as they were."""

from __future__ import annotations

import pytest

from billing.faults import BadEntryError
from billing.ledger.books import ADJUSTMENTS
from billing.ledger.entry import AMOUNT_MAX, Entry, EntryKind
from billing.ledger.posting import balance, post
from billing.office import Office
from tests.billing.made import make_account


@pytest.mark.parametrize("sign", [1, -1])
def test_an_entry_of_more_money_than_there_is_is_refused(office: Office, sign: int) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)

    def add(amount_minor: int) -> None:
        entry = Entry(account_id, EntryKind.ADJUSTMENT, amount_minor, ADJUSTMENTS, "refund 1", "x")
        with office.writing() as connection:
            post(connection, office, [entry])

    for huge in (AMOUNT_MAX + 1, 9 * 10**18, 10**30):
        with pytest.raises(BadEntryError, match="too large"):
            add(sign * huge)
    add(sign * AMOUNT_MAX)
    with office.reading() as connection:
        assert balance(connection, account_id) == sign * AMOUNT_MAX
