"""Putting money into a meter, once: open account (070101FF) and recharge (070102FF).

A purchase carries its count, and a meter takes only the count after its own.  So the count tells
before whether the order fits, and afterwards whether it arrived: it is read first, the order goes
out once, and the count is read again whatever the meter answered (spec section 3).

==========================  ===================================================================
count before                what is done
==========================  ===================================================================
one less than the order's   it is sent
the same                    nothing: the meter has it; its record is compared where it tells
any other                   nothing: failed
not to be read              nothing: failed
==========================  ===================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from protocols.dlt645.addresses import Address
from protocols.dlt645.answers import SecurityAnswer
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.master.conversation import Conversation, Delivery, Sent
from protocols.dlt645.master.errors import MeterRefusal
from protocols.dlt645.master.orders import READ_FAULTS, one_meter, read_until, require_2007
from protocols.dlt645.master.prepayment import (
    PurchaseKind,
    PurchaseState,
    read_purchase,
    read_purchase_state,
)
from protocols.dlt645.requests import Security
from protocols.dlt645.security import (
    IDENTITY_AUTHENTICATION,
    OPEN_ACCOUNT,
    AuthenticationResult,
    IdentityAuthentication,
    Purchase,
    open_account,
    recharge,
)
from protocols.errors import ProtocolError
from protocols.outcomes import Outcome

_SETTLE_S: Final = 2.0


class PurchaseModule(Protocol):
    """The operator's ESAM or key server: ciphers and MACs, which open code cannot make."""

    async def authentication(self, meter: str) -> IdentityAuthentication:
        """Cipher, random number and diversification factor for this meter."""

    async def purchase(
        self,
        meter: str,
        session: AuthenticationResult,
        amount_cents: int,
        count: int,
        client_number: str,
    ) -> Purchase:
        """The order with its two MACs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeResult:
    """What came of a purchase."""

    outcome: Outcome
    text: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    """False: the meter had it already, or nothing could be sent."""
    before: PurchaseState | None = None
    after: PurchaseState | None = None
    """As read last; None: it could not be read."""
    refusal: MeterRefusal | None = None


async def order_purchase(
    talk: Conversation, address: str, purchase: Purchase, operator: str, *, first: bool
) -> RechargeResult:
    """Open an account (``first``) or recharge; see `Master.recharge`."""
    require_2007(talk.edition, "Prepayment")
    meter = one_meter(address, talk.edition)
    request = (open_account if first else recharge)(operator, purchase)
    async with talk.order_turn(meter):
        try:
            before = await read_purchase_state(talk, meter, operator)
        except READ_FAULTS as error:
            text = f"Nothing was sent, since the purchase count could not be read first: {error}"
            return RechargeResult(outcome=Outcome.FAILED, text=text, was_sent=False)
        if _has(before, purchase, first=first):
            return await _repeated(talk, meter, purchase, before)
        if before.count + 1 != purchase.count and not (first and purchase.count == before.count):
            text = (
                f"Nothing was sent: the meter has taken purchase {before.count}, so its next is "
                f"{before.count + 1} and not {purchase.count}."
            )
            return RechargeResult(
                outcome=Outcome.FAILED, text=text, was_sent=False, before=before, after=before
            )
        sent = await talk.send(meter, request)
        return await _settled(talk, meter, request, purchase, operator, before, sent)


def _has(state: PurchaseState, purchase: Purchase, *, first: bool) -> bool:
    """Whether the meter has taken this purchase; an account opened with count 0 needs more."""
    if state.count != purchase.count:
        return False
    return not first or purchase.count > 0 or state.client_number == purchase.client_number


async def _repeated(
    talk: Conversation, meter: Address, purchase: Purchase, state: PurchaseState
) -> RechargeResult:
    """The meter has this count already: compare what it remembers of that purchase."""
    try:
        record = await read_purchase(talk, meter, PurchaseKind.MONEY, 1)
    except READ_FAULTS:
        record = None
    outcome = Outcome.DONE
    text = f"The meter had purchase {purchase.count} before; nothing was sent."
    if record is None or record.count != purchase.count or record.bought is None:
        text += " Its amount could not be compared."
    elif record.bought != purchase.amount_cents:
        outcome = Outcome.FAILED
        text = (
            f"Nothing was sent: the meter's purchase {purchase.count} is another one, "
            f"of {record.bought} cents."
        )
    return RechargeResult(outcome=outcome, text=text, was_sent=False, before=state, after=state)


async def _settled(
    talk: Conversation,
    meter: Address,
    request: Security,
    purchase: Purchase,
    operator: str,
    before: PurchaseState,
    sent: Sent,
) -> RechargeResult:
    after: PurchaseState | None = None
    trouble: ProtocolError | None = None
    first = request.di == OPEN_ACCOUNT
    if sent.delivery is not Delivery.NOT_SENT:
        try:
            after = await read_until(
                lambda: read_purchase_state(talk, meter, operator),
                lambda state: (
                    sent.delivery is Delivery.REFUSED or _has(state, purchase, first=first)
                ),
                _SETTLE_S,
            )
        except READ_FAULTS as error:
            trouble = error
    outcome, text = _concluded(purchase, before, after, sent, trouble, first=first)
    return RechargeResult(
        outcome=outcome,
        text=text,
        was_sent=sent.delivery is not Delivery.NOT_SENT,
        before=before,
        after=after,
        refusal=sent.refusal,
    )


def _concluded(
    purchase: Purchase,
    before: PurchaseState,
    after: PurchaseState | None,
    sent: Sent,
    trouble: ProtocolError | None,
    *,
    first: bool,
) -> tuple[Outcome, str]:
    """Outcome and words: the meter's count decides, its answer where the count is not known."""
    accepted = sent.delivery is Delivery.ACCEPTED
    if sent.delivery is Delivery.NOT_SENT:
        return Outcome.FAILED, f"Nothing was sent: {sent.trouble}"
    if after is None:
        if accepted:
            return Outcome.DONE, f"The meter accepted it; its count could not be read: {trouble}"
        return Outcome.UNKNOWN, (
            f"{sent.trouble} The count could not be read either: {trouble} Give the same order "
            "again later: the meter takes a count only once."
        )
    if _has(after, purchase, first=first):
        return Outcome.DONE, f"The meter has purchase {purchase.count}. {sent.trouble}".strip()
    if after.count != before.count:
        return Outcome.UNKNOWN, (
            f"The meter's count went from {before.count} to {after.count}: somebody else pays "
            f"into it. {sent.trouble}"
        )
    if accepted:
        return Outcome.UNKNOWN, (
            f"The meter accepted it, but its count is still {after.count}: look at its amount "
            "before anything is sent again."
        )
    return Outcome.FAILED, f"Nothing was added: the count is still {after.count}. {sent.trouble}"


async def authenticate(
    talk: Conversation, meter: str, request: IdentityAuthentication, operator: str
) -> AuthenticationResult:
    """070000FF; see `Master.authenticate`."""
    require_2007(talk.edition, "Security")
    answer = await talk.ask(meter, Security(IDENTITY_AUTHENTICATION, operator, request.encode()))
    if not isinstance(answer, SecurityAnswer):
        raise LayoutError("The answer to the authentication holds no data.")
    return AuthenticationResult.parse(answer.data)


async def pay(
    talk: Conversation,
    address: str,
    module: PurchaseModule,
    amount_cents: int,
    count: int,
    client_number: str,
    operator: str,
    *,
    first: bool,
) -> RechargeResult:
    """Authenticate, have the order sealed, and give it; see `Master.pay`."""
    meter = one_meter(address, talk.edition)
    try:
        session = await authenticate(talk, meter, await module.authentication(meter), operator)
    except READ_FAULTS as error:
        text = f"Nothing was paid: the meter was not authenticated: {error}"
        refusal = error if isinstance(error, MeterRefusal) else None
        return RechargeResult(outcome=Outcome.FAILED, text=text, was_sent=False, refusal=refusal)
    purchase = await module.purchase(meter, session, amount_cents, count, client_number)
    return await order_purchase(talk, meter, purchase, operator, first=first)
