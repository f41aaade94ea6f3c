"""One order, carried out: rules, a look, marked as being sent, sent once, settled.

==========================  ====================================================================
found in state              what is done
==========================  ====================================================================
queued                      the meter is read (nothing is sent that changes it); then, in one
                            transaction, the rules are asked again and the order is marked as
                            ``sending`` with what was read; then it goes out, once
sending                     its process died: nothing is sent, the meter is read and settles it
unknown                     the same, a few times, further and further apart
anything else               nothing
==========================  ====================================================================

A meter that cannot be reached before anything was sent is tried again until the order expires; so
is one that is suspended, or that has no password in the file.  What was prepared for a meter is not
sent to another one that has got its address meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from headend.orders.aftermath import follow_up
from headend.orders.credentials import Credential, Credentials
from headend.orders.faults import (
    CredentialsError,
    NotReachableError,
    OrderError,
    TokenGoneError,
)
from headend.orders.moves import find_order, move
from headend.orders.ports import NoTokens, TokenSource
from headend.orders.queueing import ORDER_ID, queue_if_due
from headend.orders.rules import GUARDED, Rules, hold_the_gate, words_of
from headend.orders.says import canonical
from headend.orders.sent_to import (
    EVIDENCE,
    hold_device,
    is_removed,
    meter_of,
    what_changed,
    why_no_look,
)
from headend.orders.tokens import in_the_way_of
from headend.orders.values import Order, OrderKind, OrderState
from headend.person import SERVICE
from headend.station import Station
from headend.talk.device import Device, load_device
from headend.talk.faults import NoModemError
from headend.talk.lines import Lines
from headend.talk.ordering import Command, NotNowError, NotReachedError, OrderOutcome, Ready, Talk
from headend.work.faults import LineAwayError
from headend.work.port import Handler, Job, Work
from protocols.dlt645.master import PurchaseModule
from protocols.outcomes import Outcome
from protocols.token_block import TokenBlockError

T = TypeVar("T")

_RETRY_S: Final = (30, 120, 600, 1_800, 3_600)
"""How long after each failed try to reach a meter the next one comes; the last repeats."""
_LOOK_AFTER: Final = timedelta(minutes=1)
_LOOK_UNTIL: Final = timedelta(days=1)
"""An unknown outcome is looked at again after as long as it has been unknown: after 1 minute, 2, 4,
8 ... and after so long by a person only."""
_SENDING_S: Final = 120
"""An order that is still marked as being sent after so long has lost its process."""
_OPEN: Final = frozenset({OrderState.QUEUED, OrderState.SENDING, OrderState.UNKNOWN})
_STATES: Final = {
    Outcome.DONE: OrderState.DONE,
    Outcome.FAILED: OrderState.FAILED,
    Outcome.UNKNOWN: OrderState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class _Moment:
    """When the rules let an order go, and of a disconnect until when they do."""

    now: datetime
    closes_at: datetime | None


def handler(
    station: Station,
    lines: Lines,
    work: Work,
    credentials: Credentials,
    *,
    tokens: TokenSource | None = None,
    purchases: PurchaseModule | None = None,
) -> Handler:
    """Who carries orders out.

    Args:
        station: the database and the zone; acts as the service.
        lines: this process's.
        work: the queue, for an order whose meter has gone to another line; those that become due
            again are found by the sweep.
        credentials: the operator's meter passwords.
        tokens: where tokens live.
        purchases: makes the MACs of money meters.
    """
    carrier = Carrier(
        replace(station, person=SERVICE), lines, credentials, tokens or NoTokens(), purchases, work
    )
    return carrier.carry_out


@dataclass(frozen=True, slots=True)
class Carrier:
    """What carrying orders out needs; keeps nothing of its own."""

    station: Station
    lines: Lines
    credentials: Credentials
    tokens: TokenSource
    purchases: PurchaseModule | None
    work: Work | None = None

    async def carry_out(self, job: Job) -> None:
        """Carry the order of a job out, or settle it.

        Raises:
            LineAwayError: nothing was sent, and the line's modem is not there.
        """
        order_id = int(job.payload[ORDER_ID])
        order, device = await self._in_thread(lambda c: self._found(c, order_id))
        if device.link_id != job.line:
            await self._in_thread(lambda c: self._to_its_line(c, order_id, job), write=True)
            return
        try:
            if order.state is OrderState.QUEUED:
                await self._give(order, device)
            elif order.state in (OrderState.SENDING, OrderState.UNKNOWN):
                await self._settle(order, device)
        except NoModemError as fault:
            raise LineAwayError(str(fault)) from None

    # Giving it

    async def _give(self, order: Order, device: Device) -> None:
        talk = await self._in_thread(lambda c: self._talk(c, order, device), write=True)
        if talk is None:
            return
        try:
            prepared = await talk.prepare()
        except (NotReachedError, NotNowError) as fault:
            words = str(fault)
            await self._in_thread(lambda c: self._try_again(c, order, words), write=True)
            return
        if isinstance(prepared, OrderOutcome):
            outcome = prepared
            await self._in_thread(lambda c: self._store(c, order, outcome), write=True)
            return
        ready = prepared
        sending = await self._in_thread(lambda c: self._mark(c, order, device, ready), write=True)
        if sending is None:
            return
        result = await talk.send(ready.evidence)
        await self._in_thread(lambda c: self._store(c, sending, result), write=True)

    def _found(self, connection: Connection, order_id: int) -> tuple[Order, Device]:
        order = find_order(connection, order_id)
        return order, load_device(connection, order.device_id)

    def _to_its_line(self, connection: Connection, order_id: int, job: Job) -> None:
        """Queue the order on the line that its meter is on by now: this job has another one."""
        order = find_order(connection, order_id, lock=True)
        if order.state not in _OPEN or order.job_key != job.key:
            return
        words = "Its meter is on another line by now."
        now = self.station.now()
        move(
            connection,
            self.station,
            order,
            order.state,
            "line changed",
            words,
            due_at=now,
            job_key=None,
        )
        queue_if_due(connection, self.station, self.work, find_order(connection, order_id))

    def _talk(self, connection: Connection, order: Order, device: Device) -> Talk | None:
        """What is needed to give the order; None when it has ended or waits instead."""
        order = find_order(connection, order.order_id, lock=True)
        if order.state is not OrderState.QUEUED or self._may_begin(connection, order) is None:
            return None
        try:
            command = self._command(connection, order)
            credential = self._credential(device, order)
        except (TokenGoneError, TokenBlockError) as fault:
            self._end(connection, order, OrderState.CANCELLED, f"{fault} Nothing was sent.")
            return None
        except CredentialsError as fault:  # the file may be mended before the order expires
            self._try_again(connection, order, str(fault))
            return None
        return Talk(self.lines, device, command, credential, self.purchases)

    def _may_begin(self, connection: Connection, order: Order) -> _Moment | None:
        """The moment, if the order's time is now; if not, it is put off or ended here."""
        rules = Rules(self.station, connection)
        if rules.now >= order.expires_at:
            words = "Its time was over before it could be sent."
            self._end(connection, order, OrderState.EXPIRED, words)
            return None
        try:
            verdict = rules.judge(
                order.kind,
                order.device_id,
                order.says,
                outside_window=order.outside_window,
                not_before=order.not_before,
            )
        except OrderError as fault:
            if isinstance(fault, NotReachableError) and not is_removed(connection, order.device_id):
                self._try_again(connection, order, str(fault))  # a suspended meter may come back
            else:
                self._end(connection, order, OrderState.CANCELLED, words_of(fault))
            return None
        if verdict.two_because and not order.two_because and order.kind in GUARDED:
            words = (
                f"It takes two people by now: {verdict.two_because}. Nothing was sent: "
                "order it again."
            )
            self._end(connection, order, OrderState.CANCELLED, words)
            return None
        if verdict.waits_for:
            self._put_off(connection, order, verdict.due_at, f"Waits for {verdict.waits_for}.")
            return None
        if order.kind is OrderKind.SET_CLOCK and rules.clock_set_today(
            order.device_id, order.order_id
        ):
            self._end(
                connection,
                order,
                OrderState.CANCELLED,
                "This clock was corrected today already, and meters take one correction a day.",
            )
            return None
        if order.token_ref is not None and (way := in_the_way_of(connection, order, rules.now)):
            if way.until is None:
                self._end(connection, order, OrderState.CANCELLED, way.words)
            else:
                self._put_off(connection, order, way.until, way.words)
            return None
        return _Moment(rules.now, verdict.closes_at)

    def _has_its_token(self, connection: Connection, order: Order) -> bool:
        """Whether the token may be given out yet: its sale may have been undone meanwhile."""
        if order.token_ref is None:
            return True
        try:
            self.tokens.digits(connection, order.token_ref)
        except TokenGoneError as fault:
            self._end(connection, order, OrderState.CANCELLED, f"{fault} Nothing was sent.")
            return False
        return True

    def _command(self, connection: Connection, order: Order) -> Command:
        digits = None
        if order.token_ref is not None:
            digits = self.tokens.digits(connection, order.token_ref)
        return Command(kind=order.kind, says=order.says, digits=digits)

    def _credential(self, device: Device, order: Order) -> Credential | None:
        """A reading and a Modbus meter need none."""
        if device.is_modbus or order.kind is OrderKind.BALANCE:
            return None
        return self.credentials.of(device.credential)

    def _mark(
        self, connection: Connection, order: Order, device: Device, ready: Ready
    ) -> Order | None:
        """Mark the order as being sent, if the rules still let it; None: it is not sent.

        What comes before this commit has sent nothing; what comes after it is settled by reading.
        """
        if order.token_ref is not None:
            self.tokens.hold(connection, order.token_ref)  # before the order: as a reversal locks
        hold_device(connection, order.device_id)
        order = find_order(connection, order.order_id, lock=True)
        if order.state is not OrderState.QUEUED:
            return None
        if order.kind in GUARDED:
            hold_the_gate(connection)
        moment = self._may_begin(connection, order)
        if moment is None or not self._has_its_token(connection, order):
            return None
        if changed := what_changed(connection, device):
            self._try_again(connection, order, changed)
            return None
        move(
            connection,
            self.station,
            order,
            OrderState.SENDING,
            "sending",
            tries=order.tries + 1,
            sending_at=moment.now,
            allowed_until=moment.closes_at,
            evidence=canonical({**ready.evidence, EVIDENCE: meter_of(device)}),
            due_at=moment.now + timedelta(seconds=_SENDING_S),
        )
        return find_order(connection, order.order_id)

    # Settling it

    async def _settle(self, order: Order, device: Device) -> None:
        """Read the meter, and conclude; nothing is sent."""
        looking = await self._in_thread(lambda c: self._begin_look(c, order), write=True)
        if looking is None:
            return
        words = await self._in_thread(lambda c: why_no_look(c, order, device))
        outcome = await self._look(order, device) if not words else _still_unknown(words)
        await self._in_thread(lambda c: self._store(c, looking, outcome), write=True)

    async def _look(self, order: Order, device: Device) -> OrderOutcome:
        try:
            credential = self._credential(device, order)
        except CredentialsError as fault:
            return _still_unknown(str(fault))
        command = Command(kind=order.kind, says=order.says)
        talk = Talk(self.lines, device, command, credential, self.purchases)
        return await talk.look(order.evidence or {})

    def _begin_look(self, connection: Connection, order: Order) -> Order | None:
        """Take the order over: whoever was sending it can write its outcome no more."""
        moved = move(
            connection,
            self.station,
            order,
            order.state,
            "looking",
            tries=order.tries + 1,
            due_at=self.station.now() + timedelta(seconds=_SENDING_S),
        )
        return find_order(connection, order.order_id) if moved else None

    # Writing down

    def _store(self, connection: Connection, order: Order, outcome: OrderOutcome) -> None:
        """Write down what came of it, unless somebody else has settled it meanwhile."""
        state, words = _STATES[outcome.outcome], outcome.words
        changes: dict[str, Any] = {"result": canonical(outcome.details)}
        if state is OrderState.UNKNOWN:
            changes |= {"due_at": self._next_look(order), "job_key": None}
        if move(connection, self.station, order, state, state.value, words, **changes):
            follow_up(connection, order, state, words, self.station.now(), outcome)

    def _next_look(self, order: Order) -> datetime | None:
        now = self.station.now()
        assert order.sending_at is not None, "only what was sent is unknown"
        since = now - order.sending_at
        return None if since >= _LOOK_UNTIL else now + max(since, _LOOK_AFTER)

    def _try_again(self, connection: Connection, order: Order, words: str) -> None:
        order = find_order(connection, order.order_id, lock=True)
        if order.state is not OrderState.QUEUED:
            return
        wait = _RETRY_S[min(order.tries, len(_RETRY_S) - 1)]
        due = self.station.now() + timedelta(seconds=wait)
        self._put_off(connection, order, due, f"Nothing was sent: {words}", tries=order.tries + 1)

    def _put_off(
        self, connection: Connection, order: Order, due: datetime, words: str, **changes: Any
    ) -> None:
        move(
            connection,
            self.station,
            order,
            OrderState.QUEUED,
            "put off",
            words,
            due_at=due,
            job_key=None,
            **changes,
        )

    def _end(self, connection: Connection, order: Order, state: OrderState, words: str) -> None:
        move(connection, self.station, order, state, state.value, words)
        follow_up(connection, order, state, words, self.station.now())

    async def _in_thread(self, act: Callable[[Connection], T], *, write: bool = False) -> T:
        """A transaction beside the event loop."""

        def transaction() -> T:
            with self.station.writing() if write else self.station.reading() as connection:
                return act(connection)

        return await asyncio.to_thread(transaction)


def _still_unknown(words: str) -> OrderOutcome:
    return OrderOutcome(outcome=Outcome.UNKNOWN, words=words, was_sent=True)
