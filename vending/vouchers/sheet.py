"""What a batch is printed on: cards on A4 as PDF, or CSV for a printing house.

These are the only places where a voucher's secret is written.
"""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from importlib import resources
from io import StringIO
from typing import Final

from vending.receipts.pdf import compile_pdf
from vending.shop.settings import Utility
from vending.vouchers.desk import MadeVouchers

_HEADINGS: Final = ("serial", "pin", "face_value", "currency", "valid_through")


def voucher_sheet(made: MadeVouchers, utility: Utility, *, how_to: str) -> bytes:
    """Cards with serial number, secret, face value and end, ten on an A4 page, as PDF.

    Args:
        made: the batch with its secrets.
        utility: whose name they bear; the end is shown in its zone.
        how_to: how a customer redeems one.

    Raises:
        FontMissingError: letters that no font here has; says what to install.
    """
    money = utility.currency
    template = (resources.files(__package__) / "voucher.typ").read_text("utf-8")
    return compile_pdf(
        template,
        {
            "lang": "en",
            "utility": utility.name,
            "face": f"{money.code} {money.text(made.batch.face_minor)}",
            "valid": f"{_last_moment(made, utility):%Y-%m-%d}",
            "how_to": how_to,
            "cards": [
                {"serial": f"{made.batch.batch_id}-{serial}", "pin": pin.digits()}
                for serial, pin in enumerate(made.pins, 1)
            ],
        },
        made_at=made.batch.made_at,
    )


def voucher_csv(made: MadeVouchers, utility: Utility) -> str:
    """The same as CSV: serial, pin, face_value, currency, valid_through, with headings."""
    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_HEADINGS)
    money = utility.currency
    end = f"{_last_moment(made, utility):%Y-%m-%d}"
    for serial, pin in enumerate(made.pins, 1):
        rows.writerow(
            (
                f"{made.batch.batch_id}-{serial}",
                pin.digits(),
                money.text(made.batch.face_minor),
                money.code,
                end,
            )
        )
    return text.getvalue()


def _last_moment(made: MadeVouchers, utility: Utility) -> datetime:
    """An end at midnight belongs to the day before."""
    return utility.local(made.batch.expires_at - timedelta(microseconds=1))
