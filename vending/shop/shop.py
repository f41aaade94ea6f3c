"""The shop: every operation of the counter."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Self

from sqlalchemy import Connection, Engine

import vending.shop.tables_all  # noqa: F401 - the metadata must be whole
from storage import audit
from storage.engine import open_engine, reading, writing
from storage.migrate import create_schema, require_current, require_ours, upgrade_schema
from vending.campaigns.campaign import covering_campaign
from vending.campaigns.desk import CampaignDesk
from vending.cash.bank.bank_desk import BankDesk
from vending.cash.batch_desk import BatchDesk
from vending.cash.reports import ReportDesk
from vending.cash.shifts import ShiftDesk
from vending.cash.vendors import VendorDesk
from vending.errors import VendingError
from vending.meter_faults.desk import MeterFaultDesk
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approval_desk import ApprovalDesk
from vending.people.approvals import use_approval
from vending.people.audit_desk import AuditDesk
from vending.people.credentials import Credentials
from vending.people.door import come_in
from vending.people.people_desk import PeopleDesk
from vending.price.desk import TariffDesk
from vending.receipts.receipt import Receipt
from vending.security.desk import KeyDesk
from vending.security.opening import default_security
from vending.security.port import SecurityModule
from vending.shop.advice import AdviceDesk
from vending.shop.agreed import as_ordered
from vending.shop.answering import answer, log, told_of_reversal
from vending.shop.at_till import require_sellable_at
from vending.shop.clock import ClockDesk
from vending.shop.copies import latest_receipt, make_copy
from vending.shop.engineering import EngineeringDesk
from vending.shop.faults import RequestFormatError, storage_faults
from vending.shop.giving import GivingDesk
from vending.shop.house import House, read_clock
from vending.shop.intents import Outstanding, give_up, outstanding
from vending.shop.key_change import change_key, confirm_key_change
from vending.shop.lookup import LookupDesk
from vending.shop.making import by_order
from vending.shop.meter_import import ImportReport, import_meters
from vending.shop.meters import (
    Meter,
    NewMeter,
    find_meter,
    insert_meter,
    list_meters,
    require_limits,
    set_blocked,
    set_limits,
)
from vending.shop.once import Question, question_of, stored_answer
from vending.shop.payment import PaymentDesk
from vending.shop.price import Price
from vending.shop.recovery import (
    GIFTS,
    engineering_request_of,
    gift_request_of,
    key_change_request_of,
    vend_request_of,
)
from vending.shop.requests import (
    KeyChangeRequest,
    TrialVend,
    VendRequest,
    VendResult,
    VerifiedToken,
    require_no_voucher,
)
from vending.shop.rules import RulesDesk
from vending.shop.sale import sell_credit, try_sale
from vending.shop.second_sale import log_answer
from vending.shop.settings import (
    Utility,
    add_price,
    last_price,
    load_utility,
    require_line,
    store_utility,
)
from vending.shop.statement import Statement, make_statement
from vending.shop.values import require_moment, require_text, require_whole
from vending.shop.verify import verify
from vending.shop.whose_sale import require_own_answer
from vending.vouchers.desk import VoucherDesk

_RND_VALUES: Final = 16
_LIST_MAX: Final = 1_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _random_bits() -> int:
    return secrets.randbelow(_RND_VALUES)


class Shop:
    """A counter that sells prepayment tokens.

    Make one with `Shop.create`, then `Shop.open`.  It may be used from several threads, and
    several processes may open the same database.

    Args:
        engine: the database, of the right version.
        security: where keys live.  Unless another is given: the public test keys, or, when
            the shop has keys of its own, a module that is locked (see `vending.Vault`).
        now: the clock; an aware time.
        rnd: 4 random bits (0-15).
        credentials: who comes in; a shop without operators needs none.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        security: SecurityModule | None = None,
        now: Callable[[], datetime] = _utc_now,
        rnd: Callable[[], int] = _random_bits,
        credentials: Credentials | None = None,
    ) -> None:
        with storage_faults(), reading(engine) as connection:
            require_current(connection)
            self.utility: Final = load_utility(connection)
            if security is None:
                security = default_security(connection)
        with storage_faults():
            door = come_in(engine, credentials, lambda: read_clock(now))
            actor = door.actor()
        self._house: Final = House(engine, self.utility, by_order(security), now, rnd, actor, door)

    @classmethod
    def create(
        cls,
        url: str,
        utility: Utility,
        price: Price,
        *,
        security: SecurityModule | None = None,
        now: Callable[[], datetime] = _utc_now,
        rnd: Callable[[], int] = _random_bits,
    ) -> Self:
        """Make the database of a new shop, in one transaction, and open it.

        Args:
            url: see `storage.engine.open_engine`.
            utility: who sells.
            price: valid from now on.
            security, now, rnd: as for the class.

        Raises:
            DatabaseExistsError: there are tables already; nothing was changed.
            DatabaseUrlError, DatabaseUnavailableError: the database cannot be used.
            RequestFormatError: the clock gives no time with a zone.
        """
        created_at = read_clock(now)
        with _engine(url, create=True) as engine:
            with writing(engine) as connection:
                create_schema(connection)
                store_utility(connection, utility)
                add_price(connection, price, created_at)
            return cls(engine, security=security, now=now, rnd=rnd)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        security: SecurityModule | None = None,
        now: Callable[[], datetime] = _utc_now,
        rnd: Callable[[], int] = _random_bits,
        credentials: Credentials | None = None,
    ) -> Self:
        """Open a shop.

        Raises:
            DatabaseMissingError: there is no shop at this URL.
            DatabaseVersionError: its schema is older or newer than this program.
            DatabaseUrlError, DatabaseUnavailableError: the database cannot be used.
            SignInRequiredError: it has operators, and no credentials were given.
            WrongCredentialsError, TooManyTriesError: the credentials do not open it.
        """
        with _engine(url) as engine:
            shop = cls(engine, security=security, now=now, rnd=rnd, credentials=credentials)
            shop.recover()
            return shop

    def close(self) -> None:
        """Give the database connections back."""
        self._house.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- people ---------------------------------------------------------------------------

    @property
    def approvals(self) -> ApprovalDesk:
        """Two-person acts: ask, approve, refuse."""
        return ApprovalDesk(self._house)

    @property
    def people(self) -> PeopleDesk:
        """Operators, roles, passwords, API keys, sign-ins."""
        return PeopleDesk(self._house)

    @property
    def audit(self) -> AuditDesk:
        """The audit trail: read, seal, verify."""
        return AuditDesk(self._house)

    @property
    def keys(self) -> KeyDesk:
        """Supply groups, key revisions, the vault, imports of keys."""
        return KeyDesk(self._house)

    @property
    def tariffs(self) -> TariffDesk:
        """Tariffs and their versions, which meter has which, debts."""
        return TariffDesk(self._house)

    # --- cash -----------------------------------------------------------------------------

    @property
    def shifts(self) -> ShiftDesk:
        """Drawers: open, count, close."""
        return ShiftDesk(self._house)

    @property
    def batches(self) -> BatchDesk:
        """Sales and bank batches, deposit slips."""
        return BatchDesk(self._house)

    @property
    def vendors(self) -> VendorDesk:
        """Vendors, their credit and commission; terminals."""
        return VendorDesk(self._house)

    @property
    def bank(self) -> BankDesk:
        """Bank statements: import, review, settle, vend."""
        return BankDesk(self._house, self._vend_for_bank)

    @property
    def reports(self) -> ReportDesk:
        """What was sold, by day, vendor, tender, resource; what is unknown."""
        return ReportDesk(self._house)

    @property
    def vouchers(self) -> VoucherDesk:
        """Vouchers: make, make valid, block, redeem."""
        return VoucherDesk(self._house)

    @property
    def campaigns(self) -> CampaignDesk:
        """Key changes of whole supply groups."""
        return CampaignDesk(self._house, self._change_key)

    # --- meters ---------------------------------------------------------------------------

    def add_meter(self, new: NewMeter, *, operator: str = "") -> Meter:
        """Register a meter with the key that is in it.

        Raises:
            CheckDigitError, InvalidValueError, KeyTypeError, RequestFormatError,
                InvalidSettingError: a wrong value.
            MeterExistsError: it is registered already.
            SupplyGroupNotAuthorisedError: no token could be made for it here.
        """
        self._house.require(Permission.METERS)
        now, operator = self._house.now(), self._house.who(operator)
        with self._house.writing() as connection:
            meter = insert_meter(connection, new, now)
            self._house.security.require(meter.key.sgc, meter.key.krn)
            audit.record(
                connection, now, actor=operator, action="meter.added", subject=meter.number
            )
        return meter

    def import_meters(
        self,
        text: Iterable[str],
        *,
        operator: str = "",
        skip_bad: bool = False,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> ImportReport:
        """Register the meters of a CSV table, or tell of every bad line; see `meter_import`.

        Raises:
            MeterTableError: it is no table of meters.
        """
        return import_meters(
            self._house,
            text,
            operator=operator,
            skip_bad=skip_bad,
            dry_run=dry_run,
            progress=progress,
        )

    def meter(self, number: str) -> Meter:
        """Look a meter up.

        Raises:
            CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
            UnknownMeterError: not registered.
        """
        self._house.require(Permission.LOOK)
        with self._house.reading() as connection:
            return find_meter(connection, number)

    def meters(self, *, after: str = "", limit: int = _LIST_MAX) -> list[Meter]:
        """The next meters by number, beginning behind the number ``after``.

        Raises:
            RequestFormatError: ``after`` is no text, or ``limit`` no whole number above zero.
        """
        self._house.require(Permission.LOOK)
        require_text("The number to begin behind", after)
        if require_whole("The limit of a list", limit) < 1:
            raise RequestFormatError("The limit of a list must be above zero.")
        with self._house.reading() as connection:
            return list_meters(connection, after, limit)

    def block_meter(self, number: str, reason: str, *, operator: str = "") -> None:
        """Sell nothing to this meter until it is unblocked.

        Raises:
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
            InvalidSettingError: the reason cannot stand on a line.
        """
        require_line("The reason", reason)
        self._set_blocked(number, reason or "no reason given", operator)

    def unblock_meter(self, number: str, *, operator: str = "") -> None:
        """Sell to this meter again."""
        self._set_blocked(number, None, operator)

    def set_meter_limits(
        self,
        number: str,
        minimum_minor: int | None,
        maximum_minor: int | None,
        *,
        operator: str = "",
    ) -> None:
        """Give a meter a smallest and a largest sale of its own; None: the shop's.

        Raises:
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
            InvalidSettingError: not above zero, or the wrong way round.
        """
        self._house.require(Permission.METERS)
        require_limits(minimum_minor, maximum_minor)
        now, operator = self._house.now(), self._house.who(operator)
        with self._house.writing() as connection:
            meter = find_meter(connection, number, lock=True)
            set_limits(connection, meter.meter_id, minimum_minor, maximum_minor)
            audit.record(
                connection,
                now,
                actor=operator,
                action="meter.limits_set",
                subject=meter.number,
                detail=f"minimum={minimum_minor} maximum={maximum_minor}",
            )

    # --- sales ----------------------------------------------------------------------------

    def set_price(self, price: Price, *, operator: str = "") -> None:
        """From now on units cost this much, whatever the clock said before or will say."""
        self._house.require(Permission.TARIFFS)
        now, operator = self._house.now(), self._house.who(operator)
        with self._house.writing() as connection:
            add_price(connection, price, now)
            audit.record(
                connection,
                now,
                actor=operator,
                action="price.set",
                subject="price",
                detail=f"per_kwh={price.per_kwh} tax_bp={price.tax_bp}",
            )

    def price(self) -> Price:
        """What units cost: the price that was set last."""
        self._house.require(Permission.LOOK)
        with self._house.reading() as connection:
            return last_price(connection)

    def trial_vend(self, number: str, amount_minor: int) -> TrialVend:
        """What a sale would be at this moment; sells nothing.

        Raises:
            RequestFormatError: the amount is not a whole number of minor units.
            VendingError: whatever would refuse the sale.
        """
        return self.trial_request(VendRequest("trial", "trial", number, amount_minor))

    def trial_request(self, request: VendRequest) -> TrialVend:
        """What a sale would be at this moment, by units too; sells nothing.

        When a terminal is named (or the actor stands at one): at that terminal, with its
        vendor's credit and the operator's shift.

        Raises:
            VendingError: whatever would refuse the sale, but no question about a second one.
        """
        self._house.require(Permission.LOOK)
        now = self._house.now()
        with self._house.reading() as connection:
            self._house.watch.require(connection, now)
            trial = try_sale(
                connection,
                request,
                utility=self.utility,
                security=self._house.security,
                now=now,
            )
            require_sellable_at(connection, self._house, request, trial.quote)
            return trial

    def vend(self, request: VendRequest) -> VendResult:
        """Sell one credit token, in one transaction.

        The same request again, under the same message id, gives the same answer byte for
        byte, and sells nothing more.  A refusal by a rule is an answer, too (`Outcome.FAILED`).

        Raises:
            QuestionError: the customer has to be asked first (`double_sale_question`,
                `key_change_offered`); nothing is stored, answer under the same message id.
            MessageConflictError: the message id stands for another request.
            ShopSystemError: the installation is at fault (its clock, too); nothing was sold,
                and asking again with the same message id is safe.
        """
        self._house.require(Permission.SELL)
        request = self._house.signed(request)
        require_no_voucher(request.tender)
        return self._sell(request)

    def _vend_for_bank(self, request: VendRequest) -> VendResult:
        self._house.require(Permission.SELL)
        return self._sell(self._house.signed(request, own=True))

    def _sell(self, request: VendRequest) -> VendResult:
        now = self._house.now()

        def work(connection: Connection, at: datetime = now) -> Receipt:
            return sell_credit(
                connection,
                request,
                utility=self.utility,
                security=self._house.security,
                now=at,
                rnd=self._house.rnd(),
            )

        return self._once(question_of("vend", request), now, work)

    def decline_second(self, request: VendRequest) -> None:
        """The customer answered `double_sale_question` with no: nothing is sold, it is logged."""
        self._house.require(Permission.SELL)
        request = self._house.signed(request)
        now = self._house.now()
        with self._house.writing() as connection:
            meter = find_meter(connection, request.meter)
            log_answer(connection, meter.number, request, "sale.second_declined", now)

    def key_change(self, request: KeyChangeRequest) -> VendResult:
        """Make the tokens that move a meter to another key; repeatable as `vend` is.

        From then on tokens for the meter are made under the new key.  A change of the supply
        group, the tariff index or the key type decides whose and how dear later tokens are: it
        takes a second person's approval (`Act.KEY_CHANGE`) for exactly ``request.essence()``.

        Raises:
            MessageConflictError, ShopSystemError: as for `vend`.
        """
        self._house.require(Permission.ENGINEER)
        return self._change_key(self._house.signed(request))

    def _change_key(self, request: KeyChangeRequest) -> VendResult:
        now = self._house.now()

        def work(connection: Connection, at: datetime = now) -> Receipt:
            asked = as_ordered(request)
            campaign = covering_campaign(connection, asked)
            if asked.moves_money and campaign is None:
                actor = self._house.current_actor()
                essence = asked.essence()
                use_approval(connection, Act.KEY_CHANGE, essence, actor, at, subject=asked.meter)
            receipt = change_key(
                connection, asked, utility=self.utility, security=self._house.security, now=at
            )
            audit.record(
                connection,
                at,
                actor=asked.operator,
                action="key_change.issued",
                subject=receipt.meter.number,
                detail=_of_campaign(campaign, asked.reason),
            )
            return receipt

        return self._once(question_of("key_change", request), now, work)

    def confirm_key_change(self, number: str, krn: int, *, operator: str = "") -> None:
        """The meter was seen to have its new key: it accepted a token, or shows this revision.

        Confirming again changes nothing.

        Raises:
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
            KeyChangeNotIssuedError: no key change of it was ever given out.
            KeyRevisionDiffersError: it shows another revision: it has not taken the tokens.
        """
        self._house.require(Permission.SELL)
        require_whole("A key revision number", krn)
        now, who = self._house.now(), self._house.who(operator)
        with self._house.writing() as connection:
            confirm_key_change(connection, number, krn, now, who)

    # --- the counter's desks --------------------------------------------------------------

    @property
    def lookup(self) -> LookupDesk:
        """Find meters and customers; say whether they can be sold to."""
        return LookupDesk(self._house)

    @property
    def giving(self) -> GivingDesk:
        """Units that nobody pays for: free issue, free basic, replacement; the claim report."""
        return GivingDesk(self._house)

    @property
    def engineering(self) -> EngineeringDesk:
        """Tokens for one meter that carry no units."""
        return EngineeringDesk(self._house)

    @property
    def payments(self) -> PaymentDesk:
        """Money for debts and charges, without a token."""
        return PaymentDesk(self._house)

    @property
    def advice(self) -> AdviceDesk:
        """After a sale: printed, confirmed, reversed, refunded."""
        return AdviceDesk(self._house)

    @property
    def meter_faults(self) -> MeterFaultDesk:
        """What customers report of their meters: report, list, close."""
        return MeterFaultDesk(self._house)

    @property
    def clock(self) -> ClockDesk:
        """The shop's clock: show it, say that it is right."""
        return ClockDesk(self._house)

    @property
    def rules(self) -> RulesDesk:
        """What is asked at the counter, and what takes two persons."""
        return RulesDesk(self._house)

    def printed(self, receipt_no: int, *, operator: str = "") -> None:
        """The receipt was printed, or shown to the customer; see `AdviceDesk.printed`."""
        self.advice.printed(receipt_no, operator=operator)

    # --- recovery -------------------------------------------------------------------------

    def outstanding(self) -> list[Outstanding]:
        """Requests whose outcome is unknown: a security module was asked and has not answered.

        The oldest first.  Ask again with their message ids, or `recover`.
        """
        self._house.require(Permission.LOOK)
        with self._house.reading() as connection:
            return outstanding(connection)

    def recover(self) -> list[VendResult]:
        """Go on with every request whose outcome is unknown.

        What the module has made is given out, what it has not is made now, under the same id:
        nothing is sold twice.  Also done when a shop is opened.  The results tell which are
        unknown still; gifts and engineering tokens need the permission to make them.  What cannot
        be finished is asked again later (`outstanding`), or given up (`give_up`).
        """
        with self._house.reading() as connection:
            unknown = outstanding(connection)
        results = []
        for each in unknown:
            try:
                if each.operation == "vend":
                    results.append(self._sell(vend_request_of(each)))
                elif each.operation == "key_change":
                    results.append(self._change_key(key_change_request_of(each)))
                elif each.operation == "redeem":
                    results.append(self.vouchers.finish(each))
                elif each.operation == "engineering":
                    results.append(self.engineering.issue(engineering_request_of(each)))
                elif each.operation in GIFTS:
                    results.append(self.giving.again(gift_request_of(each)))
            except VendingError as fault:
                log.warning(
                    "recover.failed",
                    client=each.client,
                    message_id=each.message_id,
                    code=fault.code,
                )
        return results

    def give_up(self, client: str, message_id: str, *, operator: str = "") -> VendResult:
        """End a request whose outcome is unknown: it failed, and the meter is free again.

        What was set aside goes back, and the TID is not used again.  First `recover`: what the
        module says it has made is not given up.  When the module does not answer, it is the
        supervisor's decision; a token that it may have made is then never given out.  A request
        that was answered already keeps its answer.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            UnknownMessageError: nothing was asked under this id.
            OutcomeUnknownError: the module has made its token: `recover`, or ask again.
            RequestFormatError: the client or the id has the wrong form.
        """
        self._house.require(Permission.SUPERVISE)
        require_text("client", client)
        require_text("message_id", message_id)
        now, who = self._house.now(), self._house.who(operator)
        with storage_faults():
            return give_up(self._house.engine, self._house.security, client, message_id, now, who)

    def last_response(self, client: str, message_id: str) -> VendResult:
        """What was answered under a message id.

        Raises:
            UnknownMessageError: nothing was sold or refused under it.
            RequestFormatError: the client or the id has the wrong form.
            ClientMismatchError: the actor's API key was made for another client.
            PermissionDeniedError: a seller asks what another was answered, at another terminal.
        """
        self._house.require(Permission.LOOK)
        require_text("client", client)
        require_text("message_id", message_id)
        self._house.require_client(client)
        with self._house.reading() as connection:
            answered = stored_answer(connection, client, message_id)
            require_own_answer(connection, self._house, client, message_id)
            return told_of_reversal(connection, answered)

    def last_receipt(self, number: str) -> Receipt:
        """The latest receipt of a meter.

        Raises:
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
            UnknownReceiptError: nothing was given out for it yet.
            ClientMismatchError: the actor's API key was made for another client.
        """
        self._house.require(Permission.LOOK)
        with self._house.reading() as connection:
            receipt = latest_receipt(connection, find_meter(connection, number))
        self._house.require_client(receipt.client)
        return receipt

    def reprint(self, receipt_no: int, *, operator: str = "") -> Receipt:
        """The stored receipt as COPY 1, 2, ...; each copy is counted and leaves an audit line.

        Raises:
            UnknownReceiptError: no such receipt.
            RequestFormatError: not a receipt's number.
            ClientMismatchError: the actor's API key was made for another client.
        """
        self._house.require(Permission.SELL)
        require_whole("A receipt's number", receipt_no)
        operator = self._house.who(operator)
        with self._house.writing() as connection:
            copy = make_copy(connection, receipt_no, operator, self._house.now())
            self._house.require_client(copy.client)
            return copy

    def verify_token(self, number: str, digits: str) -> VerifiedToken:
        """What a token means to a meter, under its key in use or an earlier one.

        Raises:
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
            TokenFormatError, RequestFormatError: not a token's number.
        """
        self._house.require(Permission.LOOK)
        require_text("A token", digits)
        with self._house.reading() as connection:
            return verify(connection, self._house.security, number, digits)

    # --- reports --------------------------------------------------------------------------

    def statement(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Statement:
        """Totals from the receipts and from the ledger (``until`` is exclusive).

        Raises:
            RequestFormatError: a time without a zone, or beyond the calendar.
        """
        self._house.require(Permission.REPORTS)
        since = None if since is None else require_moment("The statement's beginning", since)
        until = None if until is None else require_moment("The statement's end", until)
        with self._house.reading() as connection:
            return make_statement(connection, self.utility, since, until)

    # --- inside ---------------------------------------------------------------------------

    def _set_blocked(self, number: str, reason: str | None, operator: str) -> None:
        self._house.require(Permission.METERS)
        now, operator = self._house.now(), self._house.who(operator)
        with self._house.writing() as connection:
            meter = find_meter(connection, number, lock=True)
            set_blocked(connection, meter.meter_id, reason)
            audit.record(
                connection,
                now,
                actor=operator,
                action="meter.unblocked" if reason is None else "meter.blocked",
                subject=meter.number,
                detail=reason or "",
            )

    def _once(
        self,
        question: Question,
        now: datetime,
        work: Callable[..., Receipt],
    ) -> VendResult:
        return answer(self._house, question, now, work, work_at=work)


def _of_campaign(campaign: str | None, reason: str) -> str:
    return reason if campaign is None else f"campaign {campaign}: {reason}"


def upgrade(url: str) -> None:
    """Bring a shop's database to this program's schema, in one transaction.

    Raises:
        DatabaseMissingError, DatabaseUrlError, DatabaseUnavailableError: cannot be used.
    """
    with _engine(url) as engine:
        with writing(engine) as connection:
            require_ours(connection)
            upgrade_schema(connection)
        engine.dispose()


@contextmanager
def _engine(url: str, *, create: bool = False) -> Iterator[Engine]:
    """An engine that is let go of when it cannot be made use of."""
    with storage_faults():
        engine = open_engine(url, create=create)
        try:
            yield engine
        except BaseException:
            engine.dispose()
            raise
