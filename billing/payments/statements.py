"""A provider's statement: CAMT.053, or CSV by a mapping (the readers are the vending house's).

Which of them is a setting of the channel: ``statement = {"format": "camt"}``, or ``{"format":
"csv", "mapping": "NAME or FILE", "account": "OUR NUMBER THERE"}``.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from typing import Final

from billing.accounts.faults import AccountNumberError
from billing.accounts.numbers import checked_number
from billing.office import Office
from billing.payments.channels import Adapter, Channel
from billing.payments.faults import StatementError
from billing.payments.payment import REFERENCE_LENGTH_MAX
from vending.cash.bank.camt import read_camt
from vending.cash.bank.csv_file import load_mapping, read_csv
from vending.cash.bank.line import BadLine, Line, keyed
from vending.cash.faults import BankFileError, BankMappingError

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
_GROUPS: Final = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){9}(?![0-9])")


def statement_lines(office: Office, channel: Channel, content: bytes) -> Iterator[Line | BadLine]:
    """The bookings of a statement, as they come.

    Raises:
        StatementError: the channel has no statements, or the file is none of its.
    """
    settings = channel.settings.get("statement")
    if not isinstance(settings, dict):
        raise StatementError(
            f"The channel {channel.name} has no statements yet: `meterhouse channel set "
            f"{channel.name} --statement camt`, or --statement csv --mapping NAME."
        )
    if len(content) > FILE_BYTES_MAX:
        raise StatementError(f"A statement has at most {FILE_BYTES_MAX // 2**20} MiB.")
    money = office.currency
    try:
        if settings.get("format") == "camt":
            yield from keyed(read_camt(io.BytesIO(content), {money.code: money.minor_digits}))
            return
        yield from keyed(
            read_csv(
                content,
                load_mapping(str(settings.get("mapping", "generic"))),
                account=str(settings.get("account") or channel.name),
                currency=money.code,
                digits=money.minor_digits,
            )
        )
    except (BankFileError, BankMappingError) as fault:
        raise StatementError(str(fault)) from None


def reference_of(channel: Channel, line: Line) -> str:
    """What a booking's payment is known by in its channel.

    A provider who posts payments names them in its statement, too.  A bank's booking is known by
    its key: the day, the bank's reference, the place in a batch booking.
    """
    if channel.adapter is not Adapter.FILE and line.reference:
        return line.reference
    whole = f"{line.account}/{line.key}"
    if len(whole) <= REFERENCE_LENGTH_MAX:
        return whole
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def number_in(text: str) -> str:
    """The one account number in what a payer has written; empty: none, or several.

    The check digit tells it from most other numbers of ten digits.
    """
    found = set()
    for group in _GROUPS.findall(text):
        try:
            found.add(checked_number(group))
        except AccountNumberError:
            continue
    return found.pop() if len(found) == 1 else ""
