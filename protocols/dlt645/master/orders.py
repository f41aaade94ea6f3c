"""What all orders share: results, full addresses, and waiting for a state to show.

An order is sent once.  If its answer is lost, the meter's state is read before anything else is
concluded; nothing here sends an order a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from protocols.dlt645.addresses import Address, is_full, parse_address
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import AddressError, NotInEditionError
from protocols.dlt645.master.conversation import Delivery, Sent
from protocols.dlt645.master.errors import MeterRefusal
from protocols.errors import RemoteProtocolError
from protocols.outcomes import Outcome
from protocols.transport.errors import LinkError

S = TypeVar("S")

POLL_S: Final = 0.5
READ_FAULTS: Final = (LinkError, RemoteProtocolError)
"""Everything by which a state cannot be read, a refusal included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderResult:
    """What came of an order that has no state of its own to show."""

    outcome: Outcome
    text: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    """False: no meter has seen it."""
    refusal: MeterRefusal | None = None


def one_meter(address: str, edition: Edition) -> Address:
    """The address, if it names one meter: orders are not given to whoever feels meant.

    Raises:
        AddressError: a wildcard, 99…99, or no address.
    """
    meter = parse_address(address, edition)
    if not is_full(meter):
        raise AddressError(f"An order goes to one meter by its full number, not to {meter}.")
    return meter


def require_2007(edition: Edition, what: str) -> None:
    """Refuse what 1997 does not have.

    Raises:
        NotInEditionError: the meter speaks 1997.
    """
    if edition is not Edition.Y2007:
        raise NotInEditionError(f"{what} does not exist in DL/T 645-1997.")


def plain_result(sent: Sent) -> OrderResult:
    """What can be said by the meter's answer alone."""
    if sent.delivery is Delivery.ACCEPTED:
        return OrderResult(outcome=Outcome.DONE, text="The meter accepted it.", was_sent=True)
    if sent.delivery is Delivery.IN_DOUBT:
        text = f"Whether the meter has done it is not known. {sent.trouble}"
        return OrderResult(outcome=Outcome.UNKNOWN, text=text, was_sent=True)
    return OrderResult(
        outcome=Outcome.FAILED,
        text=sent.trouble,
        was_sent=sent.delivery is not Delivery.NOT_SENT,
        refusal=sent.refusal,
    )


async def read_until(
    read: Callable[[], Awaitable[S]], is_settled: Callable[[S], bool], settle_s: float
) -> S:
    """Read a state until it is settled or has had its time; gives what was read last.

    Args:
        read: raises what `READ_FAULTS` has.
        is_settled: whether there is no need to look again.
        settle_s: seconds that the meter is given, at least one reading.

    Raises:
        LinkError, RemoteProtocolError: the last reading failed.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + settle_s
    while True:
        is_late = clock() >= deadline
        try:
            state = await read()
        except READ_FAULTS:
            if is_late:
                raise
        else:
            if is_late or is_settled(state):
                return state
        await asyncio.sleep(min(POLL_S, settle_s))
