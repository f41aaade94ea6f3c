"""What a token in a customer's hand means to a meter, and whether it was sold here."""

from __future__ import annotations

from sqlalchemy import Connection, select

from vending.security.port import SecurityModule
from vending.shop.meters import find_meter, keys_of
from vending.shop.requests import VerifiedToken
from vending.shop.tables import tokens
from vending.sts import DecodedToken


def verify(
    connection: Connection, security: SecurityModule, number: str, digits: str
) -> VerifiedToken:
    """Read a token under the meter's key in use, or else under its earlier ones.

    Raises:
        UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
        TokenFormatError: not a token's number.
    """
    meter = find_meter(connection, number)
    decoded: DecodedToken | None = None
    for key in keys_of(connection, meter.meter_id):
        decoded = security.read_token(digits, meter.attributes(key))
        if decoded.crc_ok:
            break
    assert decoded is not None  # every meter has a key
    plain = digits.replace(" ", "").replace("-", "")
    receipt_no = connection.scalar(
        select(tokens.c.receipt_no).where(
            tokens.c.meter_id == meter.meter_id, tokens.c.digits == plain
        )
    )
    return VerifiedToken(decoded, receipt_no)
