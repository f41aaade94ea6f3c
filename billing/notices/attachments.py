"""What goes with e-mails: a bill's PDF, made when the e-mail leaves."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection

from billing.notices.channels.port import Attachment
from billing.office import Office


class BillFiles(Protocol):
    """Where a bill's file comes from."""

    def __call__(
        self, connection: Connection, office: Office, bill_id: int, language: str, /
    ) -> Attachment:
        """The file that goes with an e-mail in a language."""


def bill_file(connection: Connection, office: Office, bill_id: int, language: str) -> Attachment:
    """The bill as PDF.

    Raises:
        NoSuchBillError, FontMissingError, PdfError: as for `billing.bills.pdf.bill_pdf`.
    """
    from billing.bills.pdf import bill_pdf  # bills ask for notices: not at the time of import

    content = bill_pdf(connection, office, bill_id, language)
    return Attachment(f"bill-{bill_id}.pdf", "application/pdf", content)
