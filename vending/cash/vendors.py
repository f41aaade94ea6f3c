"""The vendors' desk: vendors, their credit, commission, terminals, statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from storage import audit
from vending.cash.bank.matching import vendor_reference
from vending.cash.bank.tables import commission_rates
from vending.cash.commission import (
    BASIS_POINTS,
    CommissionRate,
    Settlement,
    rates_of,
    settle,
)
from vending.cash.faults import (
    CommissionRateError,
    TerminalExistsError,
    UnknownTerminalError,
    VendorExistsError,
)
from vending.cash.tables import terminals, vendor_credit, vendors
from vending.cash.top_ups import TopUp, add_credit, top_up_once
from vending.cash.vendor_rows import Vendor, list_vendors, require_vendor
from vending.cash.vendor_statement import VendorStatement, make_statement
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.shop.books import Tender
from vending.shop.faults import InvalidSettingError, RequestFormatError
from vending.shop.house import House
from vending.shop.requests import require_no_voucher, require_tender
from vending.shop.values import require_moment, require_text, require_whole

_AMOUNT_MAX: Final = 10**15


@dataclass(frozen=True, slots=True)
class Credit:
    """What a vendor may sell for yet, in minor units."""

    available_minor: int
    """The credit limit included."""
    reserved_minor: int
    """Set aside for tokens in the making."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A till or a kiosk, by the name that it puts into its requests."""

    terminal_id: int
    name: str
    vendor_id: int | None
    """None: the utility's own."""
    blocked: str | None
    added_at: datetime


@dataclass(frozen=True, slots=True)
class VendorDesk:
    """Vendors and terminals (`Shop.vendors`).  All of it needs the permission ``vendors``, the
    statement ``reports``.
    """

    house: House

    # --- vendors --------------------------------------------------------------------------

    def add(
        self, name: str, *, prepaid: bool = True, credit_limit_minor: int = 0, operator: str = ""
    ) -> Vendor:
        """Register a vendor.

        Args:
            name: as receipts and statements show it; unique.
            prepaid: sells from credit; False: settles afterwards.
            credit_limit_minor: how far below nothing the credit may go.
            operator: who does it.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            VendorExistsError: the name is taken.
            InvalidSettingError: no name, or a limit below zero.
            ApprovalRequiredError: a limit above zero is credit without a payment, which takes
                two persons (`Act.VENDOR_CREDIT` for ``{"vendor", "credit_limit_minor"}``).
        """
        who, now = self._begin(operator)
        if not require_text("A vendor's name", name, fault=InvalidSettingError).strip():
            raise InvalidSettingError("A vendor needs a name.")
        _require_limit(credit_limit_minor)
        with self.house.writing() as connection:
            if connection.scalar(select(vendors.c.vendor_id).where(vendors.c.name == name)):
                raise VendorExistsError(f"There is a vendor {name} already.")
            vendor_id: int = connection.execute(
                insert(vendors).returning(vendors.c.vendor_id),
                {
                    "name": name,
                    "prepaid": int(bool(prepaid)),
                    "credit_limit_minor": credit_limit_minor,
                    "added_at": now,
                },
            ).scalar_one()
            if credit_limit_minor:
                essence = {"vendor": name, "credit_limit_minor": credit_limit_minor}
                self._approved(connection, essence, name, now)
                add_credit(connection, vendor_id, credit_limit_minor)
            _record(connection, now, who, "vendor.added", vendor_id)
            return require_vendor(connection, vendor_id)

    def vendor(self, vendor_id: int) -> Vendor:
        """A vendor by number.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            UnknownVendorError: no such vendor.
        """
        self.house.require(Permission.VENDORS)
        with self.house.reading() as connection:
            return require_vendor(connection, vendor_id)

    def all(self) -> list[tuple[Vendor, Credit]]:
        """All vendors with their credit, by number.

        Raises:
            PermissionDeniedError: needs ``vendors``.
        """
        self.house.require(Permission.VENDORS)
        with self.house.reading() as connection:
            return [
                (vendor, _credit(connection, vendor.vendor_id))
                for vendor in list_vendors(connection)
            ]

    def credit(self, vendor_id: int) -> Credit:
        """What a vendor may sell for yet.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            UnknownVendorError: no such vendor.
        """
        self.house.require(Permission.VENDORS)
        with self.house.reading() as connection:
            require_vendor(connection, vendor_id)
            return _credit(connection, vendor_id)

    def reference(self, vendor_id: int) -> str:
        """What the vendor writes into a bank transfer: ``VND``, six digits, a check digit."""
        return vendor_reference(self.vendor(vendor_id).vendor_id)

    def block(self, vendor_id: int, reason: str, *, operator: str = "") -> Vendor:
        """Let a vendor sell nothing until it is unblocked.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            UnknownVendorError: no such vendor.
        """
        require_text("The reason", reason)
        return self._change(
            vendor_id, {"blocked": reason or "no reason given"}, "vendor.blocked", operator
        )

    def unblock(self, vendor_id: int, *, operator: str = "") -> Vendor:
        """Let a vendor sell again."""
        return self._change(vendor_id, {"blocked": None}, "vendor.unblocked", operator)

    def set_credit_limit(
        self, vendor_id: int, credit_limit_minor: int, *, operator: str = ""
    ) -> Vendor:
        """Let a vendor's credit go so far below nothing.

        It is credit without a payment: it takes a second person's approval
        (`Act.VENDOR_CREDIT`) for exactly ``{"vendor_id", "credit_limit_minor"}``.

        Raises:
            ApprovalRequiredError: nobody approved it.
            PermissionDeniedError: needs ``vendors``.
            VendorCreditExhaustedError: it is below the new limit already; nothing was changed.
            UnknownVendorError, InvalidSettingError: no such vendor, or a limit below zero.
        """
        who, now = self._begin(operator)
        _require_limit(credit_limit_minor)
        with self.house.writing() as connection:
            before = require_vendor(connection, vendor_id, lock=True)
            if credit_limit_minor != before.credit_limit_minor:
                essence = {"vendor_id": vendor_id, "credit_limit_minor": credit_limit_minor}
                self._approved(connection, essence, before.name, now)
            add_credit(connection, vendor_id, credit_limit_minor - before.credit_limit_minor)
            connection.execute(
                update(vendors)
                .where(vendors.c.vendor_id == vendor_id)
                .values(credit_limit_minor=credit_limit_minor)
            )
            _record(connection, now, who, "vendor.credit_limit", vendor_id, str(credit_limit_minor))
            return require_vendor(connection, vendor_id)

    def top_up(
        self,
        vendor_id: int,
        amount_minor: int,
        *,
        reference: str,
        tender: Tender = Tender.CASH,
        note: str = "",
        operator: str = "",
    ) -> TopUp:
        """Take a vendor's money in and give credit for it.

        The same reference again is the same top-up and adds nothing.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            TopUpConflictError: the reference stands for another top-up.
            UnknownVendorError, RequestFormatError: no such vendor, or a wrong value.
        """
        who, now = self._begin(operator)
        require_no_voucher(tender)
        require_text("The note", note)
        if not require_text("The reference", reference).strip():
            raise RequestFormatError("A top-up needs a reference, which makes it happen once.")
        if not 0 < require_whole("A top-up", amount_minor) <= _AMOUNT_MAX:
            raise RequestFormatError("A top-up lies between 1 and 10**15 minor units.")
        require_tender(tender)
        with self.house.writing() as connection:
            made = top_up_once(
                connection,
                self.house.utility.currency.code,
                vendor_id=vendor_id,
                reference=reference,
                amount_minor=amount_minor,
                source=Tender(tender).value,
                debit=Tender(tender).account,
                note=note,
                now=now,
                operator=who,
            )
            if made.made_at == now:
                _record(
                    connection, now, who, "vendor.top_up", vendor_id, f"top_up {made.top_up_id}"
                )
            return made

    # --- commission -----------------------------------------------------------------------

    def set_commission(
        self,
        vendor_id: int,
        *,
        basis_points: int = 0,
        fixed_minor: int = 0,
        valid_from: datetime | None = None,
        operator: str = "",
    ) -> CommissionRate:
        """A new version of a vendor's commission.

        Args:
            vendor_id: whose.
            basis_points: of what was paid, less change; 150 is 1.5 %.
            fixed_minor: for each sale, in minor units.
            valid_from: from when; not in the past; None: from now.
            operator: who sets it.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            CommissionRateError: out of range, or it would begin in the past.
            UnknownVendorError: no such vendor.
        """
        who, now = self._begin(operator)
        begin = now if valid_from is None else require_moment("The beginning", valid_from)
        whole = require_whole("A rate in basis points", basis_points, fault=CommissionRateError)
        fixed = require_whole("A fixed commission", fixed_minor, fault=CommissionRateError)
        if not (0 <= whole <= BASIS_POINTS and 0 <= fixed <= _AMOUNT_MAX):
            raise CommissionRateError("A commission is 0 to 10,000 basis points, and not negative.")
        if begin < now:
            raise CommissionRateError(
                "A commission begins now or later: what was sold keeps the rate that it had."
            )
        with self.house.writing() as connection:
            require_vendor(connection, vendor_id)
            connection.execute(
                insert(commission_rates),
                {
                    "vendor_id": vendor_id,
                    "valid_from": begin,
                    "basis_points": whole,
                    "fixed_minor": fixed,
                    "set_at": now,
                    "set_by": who,
                },
            )
            _record(connection, now, who, "vendor.commission", vendor_id, f"{whole} bp + {fixed}")
            return max(rates_of(connection, vendor_id), key=lambda rate: rate.rate_id)

    def commission(self, vendor_id: int) -> list[CommissionRate]:
        """All versions of a vendor's commission, by their beginning.

        Raises:
            PermissionDeniedError: needs ``vendors``.
        """
        self.house.require(Permission.VENDORS)
        with self.house.reading() as connection:
            require_vendor(connection, vendor_id)
            return rates_of(connection, vendor_id)

    def settle_commission(self, vendor_id: int, *, operator: str = "") -> Settlement:
        """Credit the commission of every receipt that is not settled yet.

        Again, right after, it finds nothing to do.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            UnknownVendorError: no such vendor.
        """
        who, now = self._begin(operator)
        with self.house.writing() as connection:
            settled = settle(connection, self.house.utility.currency.code, vendor_id, now, who)
            if settled.settlement_id is not None:
                _record(
                    connection,
                    now,
                    who,
                    "vendor.commission_settled",
                    vendor_id,
                    f"receipts={settled.receipts} commission_minor={settled.commission_minor}",
                )
            return settled

    def statement(
        self, vendor_id: int, *, since: datetime | None = None, until: datetime | None = None
    ) -> VendorStatement:
        """A vendor's statement (``until`` is exclusive); `VendorStatement.agrees` tells whether
        it is what the ledger says.

        Raises:
            PermissionDeniedError: needs ``reports``.
            UnknownVendorError: no such vendor.
            RequestFormatError: a time without a zone.
        """
        self.house.require(Permission.REPORTS)
        since = None if since is None else require_moment("The statement's beginning", since)
        until = None if until is None else require_moment("The statement's end", until)
        with self.house.reading() as connection:
            vendor = require_vendor(connection, vendor_id)
            return make_statement(connection, self.house.utility, vendor, since, until)

    # --- terminals ------------------------------------------------------------------------

    def add_terminal(
        self, name: str, *, vendor_id: int | None = None, operator: str = ""
    ) -> Terminal:
        """Register a terminal.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            TerminalExistsError: the name is taken.
            UnknownVendorError, InvalidSettingError: no such vendor, or no name.
        """
        who, now = self._begin(operator)
        if not require_text("A terminal's name", name, fault=InvalidSettingError).strip():
            raise InvalidSettingError("A terminal needs a name.")
        with self.house.writing() as connection:
            if vendor_id is not None:
                require_vendor(connection, vendor_id)
            if connection.scalar(select(terminals.c.terminal_id).where(terminals.c.name == name)):
                raise TerminalExistsError(f"There is a terminal {name} already.")
            connection.execute(
                insert(terminals), {"name": name, "vendor_id": vendor_id, "added_at": now}
            )
            _record(connection, now, who, "terminal.added", name, f"vendor={vendor_id}")
            return _terminal(connection, name)

    def assign_terminal(self, name: str, vendor_id: int | None, *, operator: str = "") -> Terminal:
        """Give a terminal to a vendor, or (None) to the utility itself.

        Raises:
            PermissionDeniedError: needs ``vendors``.
            UnknownTerminalError, UnknownVendorError: no such thing.
        """
        who, now = self._begin(operator)
        with self.house.writing() as connection:
            _terminal(connection, name)
            if vendor_id is not None:
                require_vendor(connection, vendor_id)
            connection.execute(
                update(terminals).where(terminals.c.name == name).values(vendor_id=vendor_id)
            )
            _record(connection, now, who, "terminal.assigned", name, f"vendor={vendor_id}")
            return _terminal(connection, name)

    def terminals(self) -> list[Terminal]:
        """All terminals, by name.

        Raises:
            PermissionDeniedError: needs ``vendors``.
        """
        self.house.require(Permission.VENDORS)
        with self.house.reading() as connection:
            rows = connection.execute(select(terminals).order_by(terminals.c.name))
            return [Terminal(**row._mapping) for row in rows]

    # --- inside ---------------------------------------------------------------------------

    def _begin(self, operator: str) -> tuple[str, datetime]:
        self.house.require(Permission.VENDORS)
        return self.house.who(operator), self.house.now()

    def _approved(
        self, connection: Connection, essence: dict[str, Any], name: str, now: datetime
    ) -> None:
        actor = self.house.current_actor()
        use_approval(connection, Act.VENDOR_CREDIT, essence, actor, now, subject=name)

    def _change(self, vendor_id: int, values: dict[str, Any], action: str, operator: str) -> Vendor:
        who, now = self._begin(operator)
        with self.house.writing() as connection:
            require_vendor(connection, vendor_id, lock=True)
            connection.execute(
                update(vendors).where(vendors.c.vendor_id == vendor_id).values(**values)
            )
            _record(connection, now, who, action, vendor_id, str(values.get("blocked") or ""))
            return require_vendor(connection, vendor_id)


def _credit(connection: Connection, vendor_id: int) -> Credit:
    row = connection.execute(
        select(
            func.coalesce(func.sum(vendor_credit.c.available_minor), 0),
            func.coalesce(func.sum(vendor_credit.c.reserved_minor), 0),
        ).where(vendor_credit.c.vendor_id == vendor_id)
    ).one()
    return Credit(int(row[0]), int(row[1]))


def _terminal(connection: Connection, name: str) -> Terminal:
    row = connection.execute(select(terminals).where(terminals.c.name == name)).one_or_none()
    if row is None:
        raise UnknownTerminalError(
            f"There is no terminal {name!r}; `meterhouse terminal list` tells."
        )
    return Terminal(**row._mapping)


def _require_limit(credit_limit_minor: int) -> None:
    limit = require_whole("A credit limit", credit_limit_minor, fault=InvalidSettingError)
    if not 0 <= limit <= _AMOUNT_MAX:
        raise InvalidSettingError("A credit limit must lie between 0 and 10**15 minor units.")


def _record(
    connection: Connection, now: datetime, who: str, action: str, subject: object, detail: str = ""
) -> None:
    audit.record(connection, now, actor=who, action=action, subject=str(subject), detail=detail)
