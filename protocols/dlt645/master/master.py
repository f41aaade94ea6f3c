"""`Master`: everything that a head-end or an engineer asks of DL/T 645 meters on one link."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Final

from protocols.dlt645 import catalogue
from protocols.dlt645.addresses import Address, parse_address
from protocols.dlt645.answers import Answer, SecurityAnswer
from protocols.dlt645.catalogue import Item
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import FieldRangeError, LayoutError, NotInEditionError
from protocols.dlt645.fields import MultiFunctionOutput, Password, RelayCommand, Speed
from protocols.dlt645.master import (
    clock,
    history,
    prepayment,
    recharge,
    relay_orders,
    service,
    token_loading,
    writing,
)
from protocols.dlt645.master.clock import DEFAULT_LIMITS, ClockLimits, ClockResult, Now
from protocols.dlt645.master.conversation import Conversation
from protocols.dlt645.master.history import (
    EVENT_RECORDS_MAX,
    EventKind,
    FreezeKind,
    FreezePart,
    FreezeRecord,
)
from protocols.dlt645.master.orders import OrderResult
from protocols.dlt645.master.prepayment import (
    PURCHASE_RECORDS_MAX,
    Prepayment,
    PrepaymentLimits,
    PurchaseKind,
    PurchaseRecord,
)
from protocols.dlt645.master.readings import ItemAnswer, ManyAnswers, item_answer
from protocols.dlt645.master.recharge import PurchaseModule, RechargeResult
from protocols.dlt645.master.relay_orders import RELAY_SETTLE_S, RelayCipher, RelayResult
from protocols.dlt645.master.service import SwitchSpeed
from protocols.dlt645.master.token_loading import TOKEN_FINISH_S, TokenLoad
from protocols.dlt645.master.writing import Values, WriteResult
from protocols.dlt645.payloads import LoadRecord
from protocols.dlt645.request import Request
from protocols.dlt645.requests import ALL_EVENTS, ChangeBaud, Security
from protocols.dlt645.requests_1997 import ChangeBaud1997
from protocols.dlt645.security import (
    READ_ESAM_FILE,
    AuthenticationResult,
    EsamFile,
    EsamFileRead,
    IdentityAuthentication,
    PrepaymentStatus,
    Purchase,
)
from protocols.dlt645.status_words import StatusWord3
from protocols.dlt645.times import MeterTime
from protocols.errors import ProtocolError, RemoteProtocolError
from protocols.transport.errors import LinkError
from protocols.transport.exchange import Priority
from protocols.transport.link import Link

NO_OPERATOR: Final = "00000000"
_DI_1997_MAX: Final = 0xFFFF


class Master:
    """Meters of one edition on one link; two masters may share a link, one for each edition.

    Addresses are up to 12 digits; reads also take wildcards.  Identifiers are numbers as they are
    printed, or catalogue items; a 1997 master takes those of 2007 too, where 1997 has the item.

    Reads raise

    * `MeterRefusal`: the meter answered abnormally; its error bits are with it,
    * `NoAnswer`, `LinkDown`, `LinkClosed`, `LinkBusy`: see `Link.run`,
    * `LayoutError`, `FollowUpError`, `ValueShapeError`: what came cannot be used,
    * `LocalProtocolError`: nothing was sent (`AddressError`, `NotInEditionError` …).

    Orders raise only `LocalProtocolError`.  Whatever the wire does is in their result: done,
    failed or unknown.  An order is sent once, never again by itself.  If its caller is cancelled
    meanwhile, what became of it is not known, and its state should be read.
    """

    def __init__(
        self,
        link: Link,
        edition: Edition = Edition.Y2007,
        *,
        priority: Priority = Priority.ROUTINE,
    ) -> None:
        """A master.

        Args:
            link: the line.
            edition: what the meters speak.
            priority: in which queue of the link its requests wait.
        """
        self.link = link
        self.edition = edition
        self._is_2007 = edition is Edition.Y2007
        self._item_answer = partial(item_answer, edition)
        self._talk = Conversation(link, edition, priority)

    # Reading

    async def ask(self, address: str, request: Request) -> Answer:
        """Carry out any request that is answered; for what has no call of its own.

        What moves money or a contact is better given by its own call, which settles a lost
        answer.
        """
        if request.edition is not self.edition:
            raise NotInEditionError(f"This master speaks the edition of {self.edition}.")
        return await self._talk.ask(address, request)

    async def read(self, address: str, item: Item | int) -> ItemAnswer:
        """Read an item or a block, with all its following parts: whole, or an error."""
        return await self._talk.read_as(self._item_answer, address, self._di(item))

    async def read_many(self, address: str, items: Iterable[Item | int]) -> ManyAnswers:
        """Read several items of one meter, one after the other.

        One item's refusal does not cost the others.  Once the meter or the line falls silent,
        nothing more is asked, and what was not read has that as its fault.
        """
        asked = [item.di if isinstance(item, Item) else item for item in items]
        translated = [(di, self._di(di)) for di in asked]
        answers: dict[int, ItemAnswer] = {}
        faults: dict[int, ProtocolError] = {}
        silence: LinkError | None = None
        for di, sent in translated:
            if silence is not None:
                faults[di] = silence
                continue
            try:
                answers[di] = await self._talk.read_as(self._item_answer, address, sent)
            except LinkError as error:
                faults[di] = silence = error
            except RemoteProtocolError as error:
                faults[di] = error
        return ManyAnswers(answers, faults)

    async def read_status_word_3(self, address: str) -> StatusWord3:
        """The relay's word: contact, order, kind of meter."""
        self._require_2007("The relay's status word")
        return await relay_orders.read_status_word_3(self._talk, parse_address(address))

    async def read_address(self, asked: str | None = None) -> Address:
        """The full number of the one meter on this line, or of the one that answers to ``asked``.

        Args:
            asked: a shortened address.  None: AA…AA with 13 (2007), or 99…99 with a read of
                9010 (1997, which has no 13).
        """
        return await service.read_address(self._talk, asked)

    async def read_clock(self, address: str) -> MeterTime:
        """Date and time on the meter's clock."""
        return await clock.read_clock(self._talk, address)

    async def clock_offset_s(self, address: str, now: Now) -> int:
        """How many seconds the meter's clock is ahead."""
        return await clock.clock_offset_s(self._talk, address, now)

    # What meters remember

    def freezes(
        self, address: str, kind: FreezeKind, part: FreezePart = FreezePart.ALL, latest: int = 12
    ) -> AsyncIterator[FreezeRecord]:
        """The last freezes of a kind, the latest first, until the meter has no more."""
        return history.read_freezes(self._talk, address, kind, part, latest)

    async def event_count(self, address: str, kind: EventKind) -> int | None:
        """How often something happened; None where the meter does not count it."""
        return await history.read_event_count(self._talk, address, kind)

    def events(
        self, address: str, kind: EventKind, latest: int = EVENT_RECORDS_MAX
    ) -> AsyncIterator[ItemAnswer]:
        """The last records of an event, the latest first, ten at most."""
        return history.read_events(self._talk, address, kind, latest)

    def load_profile(
        self,
        address: str,
        since: MeterTime,
        until: MeterTime,
        *,
        load_class: int = 0,
        interval_min: int | None = None,
        blocks: int = 1,
    ) -> AsyncIterator[LoadRecord]:
        """The load records of a span on the meter's clock, in order.

        Args:
            address: the meter.
            since: the first moment, year to minute.
            until: the moment after the last.
            load_class: 1-6, or 0 for all.
            interval_min: minutes between records; None: asked of the meter (04000A02-07).
            blocks: how many records one request asks for; more come in parts.

        Raises:
            LayoutError: a record is damaged, or earlier than asked for.
        """
        return history.read_load_since(
            self._talk, address, load_class, since, until, interval_min, blocks
        )

    async def load_earliest(
        self, address: str, blocks: int = 1, *, load_class: int = 0
    ) -> tuple[LoadRecord, ...]:
        """The earliest load records that the meter still has."""
        return await history.read_load_end(self._talk, address, load_class, blocks, latest=False)

    async def load_latest(
        self, address: str, blocks: int = 1, *, load_class: int = 0
    ) -> tuple[LoadRecord, ...]:
        """The latest load records."""
        return await history.read_load_end(self._talk, address, load_class, blocks, latest=True)

    # Prepayment

    async def prepayment(self, address: str) -> Prepayment:
        """Remaining and overdrawn sums of a prepaid meter."""
        return await prepayment.read_prepayment(self._talk, address)

    async def prepayment_limits(self, address: str) -> PrepaymentLimits:
        """Alarm amounts, overdraft and hoarding limits."""
        return await prepayment.read_limits(self._talk, address)

    def purchases(
        self,
        address: str,
        kind: PurchaseKind = PurchaseKind.MONEY,
        latest: int = PURCHASE_RECORDS_MAX,
    ) -> AsyncIterator[PurchaseRecord]:
        """The last purchases, the latest first, ten at most."""
        return prepayment.read_purchases(self._talk, address, kind, latest)

    async def prepayment_status(self, address: str, operator: str) -> PrepaymentStatus:
        """078102FF: remaining amount, purchase count, client, each with its MAC."""
        self._require_2007("Security")
        return await prepayment.query_status(self._talk, address, operator)

    async def recharge(self, address: str, purchase: Purchase, operator: str) -> RechargeResult:
        """Put money into a meter, by an order whose MACs are made already.

        The purchase count is read before and after; the same order may be given again, and adds
        nothing the second time.
        """
        return await recharge.order_purchase(self._talk, address, purchase, operator, first=False)

    async def open_account(self, address: str, purchase: Purchase, operator: str) -> RechargeResult:
        """The first purchase (count 0 or 1); as `recharge`."""
        return await recharge.order_purchase(self._talk, address, purchase, operator, first=True)

    async def pay(
        self,
        address: str,
        module: PurchaseModule,
        amount_cents: int,
        count: int,
        client_number: str,
        operator: str,
        *,
        first: bool = False,
    ) -> RechargeResult:
        """Authenticate, let the operator's module make the MACs, then `recharge`.

        Args:
            address: the meter.
            module: ciphers and MACs.
            amount_cents: what is paid.
            count: the meter's purchase count plus one.
            client_number: 12 digits.
            operator: C0-C3, eight hexadecimal digits.
            first: open the account.
        """
        return await recharge.pay(
            self._talk, address, module, amount_cents, count, client_number, operator, first=first
        )

    async def load_token(
        self,
        address: str,
        digits: str,
        sequence: int,
        password: Password,
        operator: str = NO_OPERATOR,
        *,
        finish_s: float = TOKEN_FINISH_S,
    ) -> TokenLoad:
        """Give an STS keypad meter a token by the token block (docs/token-block.md).

        Args:
            address: the meter.
            digits: 20; spaces and dashes are ignored.
            sequence: 1-9999, another one for each token of this meter, the same one for the
                same token; see `next_token_sequence`.
            password: PA and P0-P2 as the meter demands for class 04.
            operator: C0-C3.
            finish_s: how long the meter may take.

        Raises:
            TokenBlockError: not 20 digits, or a number that is none.
        """
        return await token_loading.load_token(
            self._talk, address, digits, sequence, password, operator, finish_s
        )

    async def next_token_sequence(self, address: str) -> int:
        """The number for this meter's next token, by the last one that it saw."""
        self._require_2007("The token block")
        return await token_loading.next_sequence(self._talk, address)

    # Security: the container; ciphers and MACs are the operator's

    async def authenticate(
        self, address: str, request: IdentityAuthentication, operator: str
    ) -> AuthenticationResult:
        """070000FF: identity authentication."""
        return await recharge.authenticate(self._talk, address, request, operator)

    async def read_esam_file(self, address: str, asked: EsamFileRead, operator: str) -> EsamFile:
        """078001FF: a part of a file of the ESAM."""
        data = await self.security(address, READ_ESAM_FILE, asked.encode(), operator)
        return EsamFile.parse(data)

    async def security(self, address: str, di: int, data: bytes, operator: str) -> bytes:
        """Any other security command, sent once: the answer's data without the identifier."""
        self._require_2007("Security")
        answer = await self._talk.ask(address, Security(di, operator, data))
        if not isinstance(answer, SecurityAnswer):
            raise LayoutError(f"The answer to {di:08X} holds no data.")
        return answer.data

    # Orders

    async def relay(
        self,
        address: str,
        command: RelayCommand,
        valid_until: MeterTime,
        password: Password,
        operator: str = NO_OPERATOR,
        *,
        delay_min: int | None = None,
        parameter: int = 0,
        cipher: RelayCipher | None = None,
        settle_s: float = RELAY_SETTLE_S,
    ) -> RelayResult:
        """Trip, allow close, close, alarm, protect; see `relay_orders` for what is concluded.

        Args:
            address: the meter, by its full number.
            command: N1.
            valid_until: on the meter's clock; the meter refuses when it is past.
            password: PA and P0-P2; level 02 by custom.
            operator: C0-C3, eight hexadecimal digits.
            delay_min: N2 of the delayed trips, 1-255; only for these.
            parameter: N2 otherwise: 00, one vendor wants 01.
            cipher: for meters that take orders only under their keys; password is not sent then.
            settle_s: how long the contact may take to follow.

        Raises:
            NotInEditionError, AddressError, FieldRangeError, ValueFormatError: nothing was sent.
        """
        return await relay_orders.order_relay(
            self._talk,
            address,
            command,
            password,
            operator,
            valid_until,
            delay_min=delay_min,
            parameter=parameter,
            cipher=cipher,
            settle_s=settle_s,
        )

    async def write(
        self,
        address: str,
        item: Item | int,
        values: Values,
        password: Password,
        operator: str = NO_OPERATOR,
        *,
        read_back: bool = True,
    ) -> WriteResult:
        """Write a parameter, once, and read it back.

        Args:
            address: the meter, by its full number.
            item: what is written.
            values: one value, one for each element, or the bytes in wire order (also cipher or
                MAC for PA 98 and 99; then without ``read_back``).
            password: PA and P0-P2.
            operator: C0-C3; 1997 has none.
            read_back: False: the meter's answer has to do.

        Raises:
            UnknownItemError, ValueFormatError, TooLongError: nothing was sent.
        """
        return await writing.write_item(
            self._talk, address, self._di(item), values, password, operator, read_back=read_back
        )

    async def write_address(self, new: str) -> OrderResult:
        """Give the one meter on this line a number; it may want its programming key pressed."""
        return await service.write_address(self._talk, new)

    async def broadcast_time(self, now: Now, limits: ClockLimits = DEFAULT_LIMITS) -> None:
        """Set the clocks of all meters on the line; nobody answers.

        Args:
            now: the true time, asked when the line is free, in the zone of the meters' clocks.
            limits: when clocks must not be touched.

        Raises:
            ClockLimitError: it is around midnight; nothing was sent.
            LinkError: the line is down.
        """
        await clock.broadcast_time(self._talk, now, limits)

    async def set_clock(
        self, address: str, now: Now, limits: ClockLimits = DEFAULT_LIMITS
    ) -> ClockResult:
        """Correct one meter's clock by a few minutes: read, sent (08, no answer), read back.

        Raises:
            ClockLimitError: it is around midnight; nothing was sent.
        """
        return await clock.set_clock(self._talk, address, now, limits)

    async def freeze(self, address: str, when: MeterTime | None = None) -> OrderResult:
        """Keep the registers of a meter, or of all (99…99, never answered: unknown).

        Args:
            address: the meter, or `BROADCAST`.
            when: see `requests.freeze_time`; None: now.
        """
        return await service.freeze(self._talk, address, when)

    async def clear_demand(
        self, address: str, password: Password, operator: str = NO_OPERATOR
    ) -> OrderResult:
        """Maximum demands to zero; a lost answer is settled by the meter's count of clears."""
        return await service.clear_demand(self._talk, address, password, operator)

    async def clear_meter(
        self, address: str, password: Password, operator: str = NO_OPERATOR
    ) -> OrderResult:
        """Energies, demands and records to zero; settled as `clear_demand`."""
        return await service.clear_meter(self._talk, address, password, operator)

    async def clear_events(
        self, address: str, password: Password, operator: str = NO_OPERATOR, di: int = ALL_EVENTS
    ) -> OrderResult:
        """Forget the events of one kind (``di`` ends with FF), or all; as `clear_demand`."""
        return await service.clear_events(self._talk, address, password, operator, di)

    async def set_output(self, address: str, output: MultiFunctionOutput) -> OrderResult:
        """What the meter's test output gives out."""
        return await service.set_output(self._talk, address, output)

    async def change_password(
        self, address: str, level: int, old: Password, new: Password
    ) -> OrderResult:
        """The password of a level (1997: that of ``new``); never tried twice: meters lock."""
        return await service.change_password(self._talk, address, level, old, new)

    async def change_speed(
        self,
        address: str,
        speed: Speed | int,
        *,
        old_baud: int,
        new_baud: int | None = None,
        switch: SwitchSpeed | None = None,
    ) -> OrderResult:
        """Another speed of the meter's port: asked and answered at the old one.

        Args:
            address: the meter.
            speed: one of `Speed`; in 1997 any byte, whose meaning is the maker's.
            old_baud: the line's speed now.
            new_baud: the one that 1997's byte stands for.
            switch: sets our end; with it the meter is asked at the new speed, and again at the
                old one if it is silent.  None: the answer has to do.
        """
        if self.edition is Edition.Y2007:
            if not isinstance(speed, Speed):
                raise FieldRangeError("In 2007 a speed is one of `Speed`.")
            return await service.change_speed(
                self._talk, address, ChangeBaud(speed), speed.baud, old_baud, switch
            )
        if new_baud is None:
            raise NotInEditionError("What the speed's byte means in 1997 must be said.")
        return await service.change_speed(
            self._talk, address, ChangeBaud1997(speed), new_baud, old_baud, switch
        )

    # Identifiers

    def _require_2007(self, what: str) -> None:
        if self.edition is not Edition.Y2007:
            raise NotInEditionError(f"{what} does not exist in DL/T 645-1997.")

    def _di(self, item: Item | int) -> int:
        """The identifier in this edition.

        Raises:
            NotInEditionError: 1997 has no such item.
        """
        di = item.di if isinstance(item, Item) else item
        if self._is_2007 or di <= _DI_1997_MAX:
            return di
        earlier = catalogue.in_1997(di)
        if earlier is None:
            raise NotInEditionError(f"Item {di:08X} has no counterpart in DL/T 645-1997.")
        return earlier
