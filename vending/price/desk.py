"""The tariff desk: tariffs and their versions, which meter has which, debts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import insert, update

from storage import audit
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.price import debts, quoting, store
from vending.price.debts import Debt
from vending.price.faults import TariffResourceError
from vending.price.lines import Quote
from vending.price.situation import Scheme, Situation
from vending.price.store import TariffVersion
from vending.price.tables import tariff_assignments
from vending.price.tariff import Tariff
from vending.receipts.receipt import PaymentPart
from vending.shop.copies import stored_receipt
from vending.shop.faults import RequestFormatError
from vending.shop.house import House
from vending.shop.meters import find_meter
from vending.shop.tables import meters
from vending.shop.values import require_moment, require_text, require_whole

_METERS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the money of a stored receipt was divided, and by which tariff."""

    receipt_no: int
    payment: PaymentPart
    """As the receipt shows it, line by line."""
    definition: TariffVersion | None
    """The tariff's version as it was then; None for the shop's flat price."""


@dataclass(frozen=True, slots=True)
class TariffDesk:
    """Tariffs and debts of a shop.

    Every act needs `Permission.TARIFFS` and leaves an audit line; looking needs
    `Permission.LOOK`.
    """

    house: House

    # --- tariffs --------------------------------------------------------------------------

    def add(
        self, tariff: Tariff, *, valid_from: datetime | None = None, operator: str = ""
    ) -> TariffVersion:
        """Add a tariff, with its first version.

        Args:
            tariff: its definition; its name is the tariff's name for ever.
            valid_from: from when on; None is now.
            operator: who does it, in an open house.

        Raises:
            PermissionDeniedError: the actor may not change tariffs.
            TariffExistsError: the name is taken; `add_version` is for another version.
            TariffValidityError: it would be valid before now.
        """
        return self._add(store.add_tariff, "tariff.added", tariff, valid_from, operator)

    def add_version(
        self, tariff: Tariff, *, valid_from: datetime | None = None, operator: str = ""
    ) -> TariffVersion:
        """Add the next version of the tariff of this name; what was sold stays as it was.

        Raises:
            PermissionDeniedError: the actor may not change tariffs.
            UnknownTariffError: there is no tariff of this name.
            TariffFormatError: it is for another resource than the versions before.
            TariffValidityError: it would be valid before now, or before the last version.
        """
        return self._add(store.add_version, "tariff.version_added", tariff, valid_from, operator)

    def list(self) -> tuple[TariffVersion, ...]:
        """The latest version of every tariff, by name."""
        self.house.require(Permission.LOOK)
        with self.house.reading() as connection:
            return tuple(store.list_tariffs(connection, self.house.utility.currency))

    def versions(self, name: str) -> tuple[TariffVersion, ...]:
        """All versions of a tariff, the first one first.

        Raises:
            UnknownTariffError: there is none of this name.
        """
        self.house.require(Permission.LOOK)
        require_text("A tariff's name", name)
        with self.house.reading() as connection:
            return tuple(store.versions_of(connection, name, self.house.utility.currency))

    def assign(self, name: str | None, numbers: Sequence[str], *, operator: str = "") -> int:
        """Sell to these meters by a tariff from now on; all of them or none.

        Args:
            name: of the tariff; None is the shop's flat price.
            numbers: meters, at most 10,000 at a time.
            operator: who does it, in an open house.

        Returns:
            How many meters were assigned; those that have the tariff already are left alone.

        Raises:
            PermissionDeniedError: the actor may not change tariffs.
            UnknownTariffError, UnknownMeterError, CheckDigitError, InvalidValueError: no such.
            TariffResourceError: a meter counts another resource.
        """
        self.house.require(Permission.TARIFFS)
        if len(numbers) > _METERS_MAX:
            raise RequestFormatError(f"Assign at most {_METERS_MAX} meters at a time.")
        by, now = self.house.who(operator), self.house.now()
        done = 0
        with self.house.writing() as connection:
            known = None if name is None else store.require_tariff(connection, name)
            tariff_id = None if known is None else known.tariff_id
            for number in sorted(numbers):  # one order of locks for all
                meter = find_meter(connection, number, lock=True)
                if known is not None and known.resource != meter.resource.value:
                    raise TariffResourceError(
                        f"Meter {meter.number} counts {meter.resource.value}, and the tariff "
                        f"{name!r} is for {known.resource}: no meter was assigned."
                    )
                if meter.tariff_id == tariff_id:
                    continue
                done += 1
                connection.execute(
                    update(meters)
                    .where(meters.c.meter_id == meter.meter_id)
                    .values(tariff_id=tariff_id)
                )
                connection.execute(
                    insert(tariff_assignments),
                    {
                        "meter_id": meter.meter_id,
                        "tariff_id": tariff_id,
                        "assigned_at": now,
                        "assigned_by": by,
                    },
                )
                audit.record(
                    connection,
                    now,
                    actor=by,
                    action="tariff.assigned",
                    subject=meter.number,
                    detail=name or "the shop's flat price",
                )
        return done

    def try_amount(self, name: str, amount_minor: int, situation: Situation | None = None) -> Quote:
        """What an amount would buy now by a tariff, without any meter.

        Raises:
            UnknownTariffError: there is none of this name.
            VendingError: whatever would refuse the sale.
        """
        self.house.require(Permission.LOOK)
        currency = self.house.utility.currency
        with self.house.reading() as connection:
            tariff_id = store.require_tariff(connection, name).tariff_id
            valid = store.tariff_at(connection, tariff_id, self.house.now(), currency)
        return quoting.quote(valid.tariff, situation or Situation(), amount_minor, currency)

    def explain(self, receipt_no: int) -> Explanation:
        """How the money of a stored receipt was divided: its lines, and the tariff of then.

        Raises:
            UnknownReceiptError: no such receipt.
            RequestFormatError: not a receipt's number, or nothing was paid on it.
        """
        self.house.require(Permission.LOOK)
        require_whole("A receipt's number", receipt_no)
        with self.house.reading() as connection:
            payment = stored_receipt(connection, receipt_no).payment
            if payment is None:
                raise RequestFormatError(f"Nothing was paid on receipt {receipt_no}.")
            definition = None
            if payment.tariff_version is not None:
                currency = self.house.utility.currency
                versions = store.versions_of(connection, payment.tariff, currency)
                definition = versions[payment.tariff_version - 1]
        return Explanation(receipt_no, payment, definition)

    # --- debts ----------------------------------------------------------------------------

    def add_debt(
        self,
        number: str,
        *,
        name: str,
        principal_minor: int,
        scheme: Scheme,
        reason: str,
        operator: str = "",
    ) -> Debt:
        """Take a debt of a meter's customer over; sales collect it by its scheme.

        Raises:
            PermissionDeniedError: the actor may not change debts.
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
            RequestFormatError: no name or reason, or no whole amount above zero.
        """
        self.house.require(Permission.TARIFFS)
        by, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            meter = find_meter(connection, number, lock=True)
            debt_id = debts.add_debt(
                connection,
                meter,
                name=name,
                principal_minor=principal_minor,
                scheme=scheme,
                reason=reason,
                by=by,
                now=now,
                currency=self.house.utility.currency,
            )
            audit.record(
                connection,
                now,
                actor=by,
                action="debt.added",
                subject=meter.number,
                detail=f"debt {debt_id} principal_minor={principal_minor} {reason}",
            )
            return debts.find_debt(connection, debt_id)

    def debts(self, number: str) -> tuple[Debt, ...]:
        """All debts of a meter, those that are paid off too; the oldest first.

        Raises:
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
        """
        self.house.require(Permission.LOOK)
        with self.house.reading() as connection:
            return debts.debts_of(connection, find_meter(connection, number).meter_id)

    def write_off(
        self,
        debt_id: int,
        *,
        amount_minor: int | None = None,
        reason: str,
        operator: str = "",
    ) -> Debt:
        """Forgive a debt, or a part of it.  Takes two people (`Act.DEBT_WRITE_OFF`).

        The approval is for `write_off_essence` of exactly this debt and amount.

        Args:
            debt_id: which.
            amount_minor: how much; None is all that is left.
            reason: why.
            operator: who does it, in an open house.

        Raises:
            PermissionDeniedError: the actor may not change debts.
            ApprovalRequiredError: nobody has approved exactly this.
            UnknownDebtError: no such debt.
            NothingDueError: more than is left.
            RequestFormatError: no reason, or no whole amount above zero.
        """
        self.house.require(Permission.TARIFFS)
        require_whole("A debt's number", debt_id)
        by, now = self.house.who(operator), self.house.now()
        currency = self.house.utility.currency
        with self.house.writing() as connection:
            meter = find_meter(connection, debts.find_debt(connection, debt_id).meter, lock=True)
            debt = debts.find_debt(connection, debt_id)
            amount = debt.left_minor if amount_minor is None else amount_minor
            use_approval(
                connection,
                Act.DEBT_WRITE_OFF,
                write_off_essence(debt_id, amount_minor),
                self.house.current_actor(),
                now,
                subject=meter.number,
            )
            debts.write_off(
                connection, debt, amount, meter=meter, reason=reason, now=now, currency=currency
            )
            audit.record(
                connection,
                now,
                actor=by,
                action="debt.written_off",
                subject=meter.number,
                detail=f"debt {debt_id} amount_minor={amount} {reason}",
            )
        return replace(debt, left_minor=debt.left_minor - amount)

    # --- inside ---------------------------------------------------------------------------

    def _add(
        self,
        adding: Callable[..., TariffVersion],
        action: str,
        tariff: Tariff,
        valid_from: datetime | None,
        operator: str,
    ) -> TariffVersion:
        self.house.require(Permission.TARIFFS)
        by, now = self.house.who(operator), self.house.now()
        begins = now if valid_from is None else require_moment("The validity", valid_from)
        with self.house.writing() as connection:
            added = adding(
                connection,
                tariff,
                self.house.utility.currency,
                valid_from=begins,
                now=now,
                by=by,
            )
            audit.record(
                connection,
                now,
                actor=by,
                action=action,
                subject=tariff.name,
                detail=f"version {added.version} valid_from {begins.isoformat()}",
            )
        return added


def write_off_essence(debt_id: int, amount_minor: int | None) -> dict[str, int | None]:
    """What a second person approves: this debt, and this amount (None: all that is left)."""
    return {"debt_id": debt_id, "amount_minor": amount_minor}
