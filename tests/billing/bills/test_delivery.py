"""A bill goes by e-mail, with its PDF, to everybody who gets it (requirement 20)."""

from __future__ import annotations

import email
from email.policy import default
from io import BytesIO
from pathlib import Path

from pypdf import PdfReader

from billing.bills.kinds import BillKind
from billing.bills.sending import messages_of
from billing.ledger.books import ADJUSTMENTS
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.notices.sweeping import sweep
from billing.office import Office
from tests.billing.bills.made import bill_now
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact, set_up
from tests.billing.notices.servers import real_server


def test_req20_everybody_gets_the_bill_in_their_language(office: Office, tmp_path: Path) -> None:
    with real_server(tmp_path) as (inbox, settings):
        with office.writing() as connection:
            set_up(connection, office, "email", "smtp", settings)
            account_id = make_account(connection, office)
            make_contact(connection, office, account_id, email="tenant@example.org", role="tenant")
            make_contact(
                connection,
                office,
                account_id,
                email="books@example.org",
                language="fr",
                role="accountant",
            )
            make_contact(connection, office, account_id, email="other@example.org", gets_bill=False)
            entry = Entry(account_id, EntryKind.ADJUSTMENT, -12_34, ADJUSTMENTS, "t 1", "used")
            post(connection, office, [entry])
        made = bill_now(office, account_id, BillKind.FINAL)
        with office.reading() as connection:
            assert {each.state for each in messages_of(connection, made.bill_id)} == {"queued"}
        sweep(office)
        with office.reading() as connection:
            sent = messages_of(connection, made.bill_id)
    assert [(each.channel, each.state) for each in sent] == [("email", "sent")] * 2
    assert {each.language for each in sent} == {"en", "fr"}
    texts = {}
    for recipient, content in inbox.taken:
        message = email.message_from_bytes(content, policy=default)
        assert made.number in str(message["Subject"])
        [file] = message.iter_attachments()
        assert file.get_content_type() == "application/pdf"
        texts[recipient] = PdfReader(BytesIO(file.get_content())).pages[0].extract_text()
    assert set(texts) == {"tenant@example.org", "books@example.org"}
    assert "Final bill" in texts["tenant@example.org"]
    assert "Facture de clôture" in texts["books@example.org"]
