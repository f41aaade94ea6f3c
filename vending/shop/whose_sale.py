"""Whose a sale is: who may undo it, at which till, and who may hear its answer again.

=================  ==========================================================================
a program          only what its own client sold (its API key names the client)
a seller           only their own sale, in the same shift at the same terminal, and for
                   `UNDO_WITHIN` after it
with ``reverse``   any sale; of a vendor's people, only that vendor's
=================  ==========================================================================

The money goes back on the side where it came in: a vendor's sale at a terminal of that vendor,
the house's own at a terminal of the house; and out of the open drawer of whoever gives it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from vending.cash.cash_tables import batches
from vending.cash.credit import vendor_of
from vending.cash.drawer import open_shift_id, shift_of_sale
from vending.cash.faults import NoShiftError
from vending.people.actor import Permission
from vending.shop.books import Tender
from vending.shop.faults import (
    NotOwnSaleError,
    OtherSideError,
    PermissionDeniedError,
    ReceiptPrintedError,
)
from vending.shop.house import House
from vending.shop.tables import requests
from vending.shop.undoing import Sale

UNDO_WITHIN: Final = timedelta(minutes=15)
"""For so long a seller may reverse their own sale without the permission ``reverse``."""
_BANK_CLIENT: Final = "bank"


def require_own_sale(
    connection: Connection, house: House, sale: Sale, operator: str, terminal: str, now: datetime
) -> None:
    """Refuse to reverse somebody else's sale.

    Raises:
        ClientMismatchError: a program asks about another client's sale.
        ReceiptPrintedError: a bank booking was settled by it: its tokens were made to be sent.
        NotOwnSaleError: it is another person's, of another shift or terminal, or too long ago.
    """
    house.require_client(sale.receipt.client)
    if sale.receipt.client == _BANK_CLIENT:
        raise ReceiptPrintedError(
            f"Receipt {sale.receipt_no} settled a bank booking: its tokens are made to be sent "
            "to the customer. What is left is a refund."
        )
    actor = house.current_actor()
    if actor.client is not None:
        return
    if actor.may(Permission.REVERSE):
        if actor.vendor_id not in (None, sale.vendor_id):
            raise NotOwnSaleError(
                f"Receipt {sale.receipt_no} is of another vendor, or the house's."
            )
        return
    seller = sale.receipt.seller
    same_till = (seller.operator, seller.terminal) == (operator, terminal)
    if not same_till or sale.shift_id != open_shift_id(connection, operator, terminal):
        raise NotOwnSaleError(
            f"Receipt {sale.receipt_no} was sold by somebody else, at another terminal or in "
            "another shift: ask a person with the permission 'reverse'."
        )
    if not timedelta(0) <= now - sale.receipt.issued_at <= UNDO_WITHIN:
        raise NotOwnSaleError(
            f"Receipt {sale.receipt_no} was sold more than "
            f"{UNDO_WITHIN // timedelta(minutes=1)} minutes ago: ask a person with the "
            "permission 'reverse'."
        )


def require_same_side(connection: Connection, sale: Sale, terminal: str) -> None:
    """Refuse to give money back on another side than where it came in.

    Raises:
        OtherSideError: the sale was a vendor's and the terminal is not that vendor's, or the
            house's and the terminal is a vendor's.
        TerminalBlockedError, VendorBlockedError: the terminal may not be used.
    """
    here = vendor_of(connection, terminal)
    if (None if here is None else here.vendor_id) == sale.vendor_id:
        return
    if sale.vendor_id is None:
        raise OtherSideError(
            f"Receipt {sale.receipt_no} was sold by the house, and terminal {terminal} is a "
            "vendor's: give the money back at a terminal of the house."
        )
    raise OtherSideError(
        f"Receipt {sale.receipt_no} was sold by a vendor: the money is given back at a terminal "
        f"of that vendor, not at {terminal or '(no terminal)'}."
    )


def drawer_of_undoing(
    connection: Connection, sale: Sale, operator: str, terminal: str, tender: Tender
) -> int | None:
    """The shift out of whose drawer the money goes.

    Raises:
        NoShiftError: the sale's cash was counted in a shift, or the house wants shifts, and who
            gives it back has none open here.
    """
    shift_id = shift_of_sale(connection, operator, terminal, tender)
    if shift_id is None and sale.shift_id is not None and tender is Tender.CASH:
        raise NoShiftError(
            f"The cash of receipt {sale.receipt_no} is in the drawer of a shift, and no shift of "
            f"{operator or 'this operator'} is open at terminal {terminal or '(none)'}: the "
            "money must go out of an open drawer. Open a shift with `meterhouse shift open`."
        )
    return shift_id


def require_own_answer(connection: Connection, house: House, client: str, message_id: str) -> None:
    """Refuse to tell a seller what another seller was answered, at another till.

    Who does not sell (an auditor), and who may reverse, hears all.

    Raises:
        PermissionDeniedError: it is another's answer.
    """
    actor = house.current_actor()
    if actor.is_anybody or actor.client is not None or not actor.may(Permission.SELL):
        return
    if actor.may(Permission.REVERSE):
        return
    asked = connection.execute(
        select(requests.c.operator, requests.c.terminal).where(
            requests.c.client == client, requests.c.message_id == message_id
        )
    ).one()
    if asked.operator == actor.name or asked.terminal in _own_terminals(connection, house):
        return
    raise PermissionDeniedError(
        f"Message id {message_id} of client {client} was asked by somebody else, at another "
        "terminal: look the meter's last receipt up instead, or ask a person with the "
        "permission 'reverse'."
    )


def _own_terminals(connection: Connection, house: House) -> set[str]:
    """Where the actor stands, and where a shift of theirs is open."""
    actor = house.current_actor()
    opened = connection.scalars(
        select(batches.c.terminal).where(
            batches.c.kind == "shift",
            batches.c.state == "open",
            batches.c.operator == actor.name,
        )
    )
    return {terminal for terminal in (actor.terminal, *opened) if terminal}
