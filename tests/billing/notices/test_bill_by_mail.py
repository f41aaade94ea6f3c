"""From a bill to the mailbox: a real bill, its PDF, a real mail server."""

from __future__ import annotations

import email
import io
from email.policy import default
from pathlib import Path

from pypdf import PdfReader

from billing.bills.kinds import BillKind
from billing.bills.sending import send_again
from billing.ledger.books import ADJUSTMENTS
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.notices.sweeping import sweep
from billing.office import Office
from tests.billing.bills.made import bill_now
from tests.billing.made import make_account, make_supply
from tests.billing.notices.made import make_contact, set_up
from tests.billing.notices.servers import real_server


def test_req20_a_bill_reaches_two_recipients_each_in_their_language_with_its_pdf(
    office: Office, tmp_path: Path
) -> None:
    with real_server(tmp_path) as (inbox, settings):
        with office.writing() as connection:
            set_up(connection, office, "email", "smtp", settings)
            account_id = make_account(connection, office)
            make_supply(connection, office, account_id)
            make_contact(connection, office, account_id, language="zh")
            make_contact(
                connection, office, account_id, role="accountant", email="books@works.example"
            )
            used = Entry(account_id, EntryKind.ADJUSTMENT, -80_00, ADJUSTMENTS, "t 1", "used")
            post(connection, office, [used])
        bill = bill_now(office, account_id, BillKind.REGULAR)
        with office.writing() as connection:
            assert send_again(connection, office, bill, "at the counter") is not None
        sweep(office)
    letters = {to: email.message_from_bytes(content, policy=default) for to, content in inbox.taken}
    assert set(letters) == {"li.wei@example.org", "books@works.example"}
    assert "电费账单" in letters["li.wei@example.org"]["Subject"]
    assert "CNY 80.00" in letters["books@works.example"]["Subject"]
    for letter in letters.values():
        (file,) = letter.iter_attachments()
        assert file.get_content_type() == "application/pdf"
        pages = PdfReader(io.BytesIO(file.get_content())).pages
        assert bill.number in "".join(page.extract_text() for page in pages)
