"""Units that nobody pays for: free issue (005), free basic (010), replacement (003).

They carry units and no money; who pays for them in the end is told by the claim report, which
counts them by fund (`FUNDS`), month and meter.  They count in the blocks of the month, as sold
units do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, case, func, insert, select

from storage import audit
from vending.cash.credit import vendor_of
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.price.dues import lock_point
from vending.price.store import free_basic_units
from vending.receipts.receipt import Reason, Receipt, ReceiptKind
from vending.shop.agreed import agreed, as_ordered
from vending.shop.answering import answer
from vending.shop.claims import ClaimLine, claim_report
from vending.shop.counter_tables import exchanges, free_basic_months
from vending.shop.faults import ExchangeError, NoFreeBasicDueError, ReplacedBeforeError
from vending.shop.giveout import give_out, reason_words, require_reason, units_token
from vending.shop.holds import hold
from vending.shop.house import House
from vending.shop.meters import Meter, find_meter, set_blocked
from vending.shop.once import question_of
from vending.shop.requests import VendResult, require_units, require_who
from vending.shop.rules import rules_of
from vending.shop.tables import receipts
from vending.shop.values import require_moment
from vending.sts import MeterPan

TYPE_CODES: Final = {
    ReceiptKind.FREE_ISSUE: "005",
    ReceiptKind.FREE_BASIC: "010",
    ReceiptKind.REPLACEMENT: "003",
}
"""Transaction types of NRS 009-6-10."""


@dataclass(frozen=True, slots=True)
class FreeIssueRequest:
    """Give units away.

    Raises:
        RequestFormatError: a field has the wrong form.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """

    client: str
    message_id: str
    meter: str
    units: int
    """Tenths of a unit."""
    reason: str = ""
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_who(self)
        require_units(self.units)

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {
            "meter": MeterPan.from_drn(self.meter).drn,
            "units": self.units,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class FreeBasicRequest:
    """Give the month's free units of a meter's service point.

    Raises:
        As `FreeIssueRequest`.
    """

    client: str
    message_id: str
    meter: str
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_who(self)

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {"meter": MeterPan.from_drn(self.meter).drn}


@dataclass(frozen=True, slots=True)
class ReplacementRequest:
    """Give the units that were left in an exchanged meter to the new one.

    Raises:
        As `FreeIssueRequest`.
    """

    client: str
    message_id: str
    meter: str
    """The new meter."""
    old_meter: str
    """The one that was taken down; registered, of the same resource."""
    units: int
    """Tenths of a unit, as read from the old meter."""
    reason: str = ""
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_who(self)
        MeterPan.from_drn(self.old_meter)
        require_units(self.units)

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {
            "meter": MeterPan.from_drn(self.meter).drn,
            "old_meter": MeterPan.from_drn(self.old_meter).drn,
            "units": self.units,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class GivingDesk:
    """Free issue, free basic, replacement, and the claim report.

    The three requests are repeatable as a sale is: the same message id, the same answer.
    """

    house: House

    def free_issue(self, request: FreeIssueRequest) -> VendResult:
        """Give units away (type 005); needs a reason.

        Above the limit of the counter's rules it takes a second person's approval
        (`Act.FREE_ISSUE`) for exactly ``request.essence()``.

        Raises:
            PermissionDeniedError: the actor may not give.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.GIVE)
        request = self.house.signed(request)
        now = self.house.now()

        def work(connection: Connection, at: datetime = now) -> Receipt:
            asked = as_ordered(request)
            require_reason(asked.reason)
            vendor_of(connection, asked.terminal)
            meter = find_meter(connection, asked.meter, lock=True)
            limit = rules_of(connection).free_issue_limit_units
            self._approved(connection, Act.FREE_ISSUE, asked, meter, limit, at)
            return self._give(connection, asked, ReceiptKind.FREE_ISSUE, meter, at)

        return self._once(request, ReceiptKind.FREE_ISSUE, now, work)

    def replacement(self, request: ReplacementRequest) -> VendResult:
        """Carry units over from an exchanged meter (type 003), once for each old meter.

        Above the limit of the counter's rules, and when the old meter never got so many units,
        it takes a second person's approval (`Act.REPLACEMENT`) for exactly
        ``request.essence()``.  From then on the old meter is blocked.

        Raises:
            PermissionDeniedError: the actor may not give.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.GIVE)
        request = self.house.signed(request)
        now = self.house.now()

        def work(connection: Connection, at: datetime = now) -> Receipt:
            asked = as_ordered(request)
            require_reason(asked.reason)
            vendor_of(connection, asked.terminal)
            old, new = _both(connection, asked)
            _require_exchange(connection, old, new)
            hold(connection, f"exchange {old.meter_id}")
            limit = min(rules_of(connection).replacement_limit_units, _given_to(connection, old))
            self._approved(connection, Act.REPLACEMENT, asked, new, limit, at)
            receipt = self._give(connection, asked, ReceiptKind.REPLACEMENT, new, at)
            if old.blocked is None:
                set_blocked(connection, old.meter_id, f"exchanged for {new.number}")
            connection.execute(
                insert(exchanges),
                {
                    "old_meter_id": old.meter_id,
                    "new_meter_id": new.meter_id,
                    "receipt_no": receipt.receipt_no,
                },
            )
            return receipt

        return self._once(request, ReceiptKind.REPLACEMENT, now, work)

    def free_basic(self, request: FreeBasicRequest) -> VendResult:
        """Give the free units of this month (type 010): once for a service point.

        The month is the calendar's in the utility's zone; what was not asked for in it lapses.

        Raises:
            PermissionDeniedError: the actor may not sell, which is enough for what is due.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.SELL)
        request = self.house.signed(request)
        now = self.house.now()

        def work(connection: Connection, at: datetime = now) -> Receipt:
            asked = as_ordered(request)
            vendor_of(connection, asked.terminal)  # refuses who is blocked
            meter = find_meter(connection, asked.meter, lock=True)
            lock_point(connection, meter)
            month = month_of(self.house, at)
            units = free_basic_due(connection, self.house, meter, at)
            if not units:
                raise NoFreeBasicDueError(
                    f"No free units are due to meter {meter.number}: {month} gives none, or "
                    "they were taken."
                )
            made, token = units_token(connection, self.house, meter, units, at)
            receipt = give_out(
                connection,
                self.house,
                asked,
                kind=ReceiptKind.FREE_BASIC,
                meter=meter,
                now=at,
                made=(made,),
                tokens=(token,),
                messages=((f"Free units of {month}.", Reason("free_basic_of", (month,))),),
                type_code=TYPE_CODES[ReceiptKind.FREE_BASIC],
            )
            connection.execute(
                insert(free_basic_months),
                {
                    "service_point": meter.point,
                    "month": month,
                    "receipt_no": receipt.receipt_no,
                },
            )
            return receipt

        return self._once(request, ReceiptKind.FREE_BASIC, now, work)

    def again(
        self, request: FreeIssueRequest | FreeBasicRequest | ReplacementRequest
    ) -> VendResult:
        """Go on with a request whose outcome is unknown.

        Raises:
            As the request's own method.
        """
        if isinstance(request, FreeIssueRequest):
            return self.free_issue(request)
        if isinstance(request, FreeBasicRequest):
            return self.free_basic(request)
        return self.replacement(request)

    def claims(self, since: datetime, until: datetime) -> tuple[ClaimLine, ...]:
        """Units given away, by fund, month and meter (``until`` is exclusive).

        Raises:
            PermissionDeniedError: the actor may not see reports.
            RequestFormatError: a time without a zone.
        """
        self.house.require(Permission.REPORTS)
        since = require_moment("The report's beginning", since)
        until = require_moment("The report's end", until)
        with self.house.reading() as connection:
            return claim_report(connection, self.house.utility, since, until)

    def _once(self, request: Any, kind: ReceiptKind, now: datetime, work: Any) -> VendResult:
        question = question_of(kind.value, request)
        return answer(self.house, question, now, work, work_at=work)

    def _approved(
        self,
        connection: Connection,
        act: Act,
        request: FreeIssueRequest | ReplacementRequest,
        meter: Meter,
        limit_units: int,
        now: datetime,
    ) -> None:
        if request.units <= limit_units:
            return
        actor = self.house.current_actor()
        use_approval(connection, act, request.essence(), actor, now, subject=meter.number)

    def _give(
        self,
        connection: Connection,
        request: FreeIssueRequest | ReplacementRequest,
        kind: ReceiptKind,
        meter: Meter,
        now: datetime,
    ) -> Receipt:
        made, token = units_token(connection, self.house, meter, request.units, now)
        receipt = give_out(
            connection,
            self.house,
            request,
            kind=kind,
            meter=meter,
            now=now,
            made=(made,),
            tokens=(token,),
            messages=(reason_words(request.reason),),
            type_code=TYPE_CODES[kind],
        )
        audit.record(
            connection,
            now,
            actor=self.house.who(request.operator),
            action=f"{kind.value}.given",
            subject=meter.number,
            detail=f"receipt {receipt.receipt_no} units {made.units}: {request.reason}",
        )
        return receipt


def month_of(house: House, now: datetime) -> str:
    """The calendar month in the utility's zone, ``2026-11``."""
    return f"{house.utility.local(now):%Y-%m}"


@agreed
def free_basic_due(connection: Connection, house: House, meter: Meter, now: datetime) -> int:
    """The free units (tenths) that a meter's service point may still take this month."""
    month = month_of(house, now)
    taken = connection.scalar(
        select(free_basic_months.c.receipt_no).where(
            free_basic_months.c.service_point == meter.point, free_basic_months.c.month == month
        )
    )
    if taken is not None:
        return 0
    if meter.tariff_id is None:
        return rules_of(connection).free_basic_units
    return free_basic_units(connection, meter.tariff_id, now, house.utility.currency)


def _both(connection: Connection, request: ReplacementRequest) -> tuple[Meter, Meter]:
    """The old and the new meter, both locked, in one order for everybody."""
    found = {
        drn: find_meter(connection, drn, lock=True)
        for drn in sorted(
            {MeterPan.from_drn(each).drn for each in (request.old_meter, request.meter)}
        )
    }
    return (
        found[MeterPan.from_drn(request.old_meter).drn],
        found[MeterPan.from_drn(request.meter).drn],
    )


@agreed
def _given_to(connection: Connection, meter: Meter) -> int:
    """The units (tenths) that a meter ever got: more cannot be left in it."""
    gone = receipts.c.kind == ReceiptKind.REVERSAL.value
    given = connection.scalar(
        select(func.sum(case((gone, -receipts.c.units), else_=receipts.c.units))).where(
            receipts.c.meter_id == meter.meter_id
        )
    )
    return int(given or 0)


@agreed
def _require_exchange(connection: Connection, old: Meter, new: Meter) -> None:
    if old.meter_id == new.meter_id:
        raise ExchangeError("The old meter and the new one are the same.")
    if old.resource is not new.resource:
        raise ExchangeError(
            f"Meter {old.number} counts {old.resource.value} and meter {new.number} "
            f"{new.resource.value}: units cannot be carried over."
        )
    before = connection.scalar(
        select(exchanges.c.receipt_no).where(exchanges.c.old_meter_id == old.meter_id)
    )
    if before is not None:
        raise ReplacedBeforeError(
            f"The units left in meter {old.number} were carried over before, on receipt {before}."
        )
