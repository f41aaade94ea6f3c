"""The review list: what checks have flagged, for a person to release, estimate or correct.

``released``   nothing is wrong: the span is settled as it was measured
``estimated``  the person says what was used; the registers go on from there
``corrected``  the readings were corrected: the span is judged anew
``passed``     looked at again by itself, there was nothing to object to any more
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, update

from billing.accounts.tables import customer_accounts, supplies
from billing.faults import BadEntryError
from billing.office import Office
from billing.person import Right
from billing.settlement.faults import NoSuchReviewError, ReviewDecidedError
from billing.settlement.metering import QUANTITIES, TOTAL
from billing.settlement.run import settle_supplies
from billing.settlement.tables import settlement_reviews, settlement_waits
from billing.settlement.writing import canonical
from headend.registry.tables import service_points
from storage.audit import record

ENERGY_MOST_WH: Final = 10**12
"""Nobody uses more in a span; a slip of the pen does."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the review list."""

    review_id: int
    supply_id: int
    account_id: int
    account: str
    """Its number."""
    point: str
    since: datetime
    until: datetime
    check: str
    cause: str
    reason: str
    figures: Mapping[str, int]
    holds: bool
    """Whether its span waits for a decision."""
    state: str
    found_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    words: str | None
    energy_wh: Mapping[str, int] | None
    """What was estimated."""


@dataclass(frozen=True, slots=True)
class CauseCount:
    """One line of the monthly summary of causes."""

    cause: str
    found: int
    open: int
    released: int
    estimated: int
    corrected: int
    passed: int


class ReviewDesk:
    """What people do with what was flagged.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def causes(self, since: datetime, until: datetime) -> list[CauseCount]:
        """How often each cause was found in a span, and what became of it: a month's summary."""
        self._office.require(Right.LOOK)
        states = ("open", "released", "estimated", "corrected", "passed")
        counts = [
            func.count().filter(settlement_reviews.c.state == state).label(state)
            for state in states
        ]
        chosen = (
            select(settlement_reviews.c.cause, func.count().label("found"), *counts)
            .where(settlement_reviews.c.found_at >= since, settlement_reviews.c.found_at < until)
            .group_by(settlement_reviews.c.cause)
            .order_by(func.count().desc(), settlement_reviews.c.cause)
        )
        with self._office.reading() as connection:
            return [CauseCount(*row) for row in connection.execute(chosen)]

    def list(
        self,
        *,
        state: str | None = "open",
        holding: bool | None = None,
        account_id: int | None = None,
        limit: int = 100,
    ) -> list[Item]:
        """Items, the oldest first.

        Args:
            state: only in this state; None: in any.
            holding: only those that hold their span, or only those that do not.
            account_id: only of this account.
            limit: so many at most.
        """
        self._office.require(Right.LOOK)
        chosen = _shown()
        if state is not None:
            chosen = chosen.where(settlement_reviews.c.state == state)
        if holding is not None:
            chosen = chosen.where(settlement_reviews.c.holds == int(holding))
        if account_id is not None:
            chosen = chosen.where(settlement_reviews.c.account_id == account_id)
        chosen = chosen.order_by(settlement_reviews.c.review_id).limit(limit)
        with self._office.reading() as connection:
            return [_item(row) for row in connection.execute(chosen)]

    def show(self, review_id: int) -> Item:
        """One item.

        Raises:
            NoSuchReviewError: there is none of this number.
        """
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            return _found(connection, review_id)

    def release(self, review_id: int, words: str) -> Item:
        """Nothing is wrong: settle the span as it was measured.

        Raises:
            BadEntryError: nothing is said; or the register itself is impossible, so that there is
                nothing to settle by: estimate, or correct the reading.
            NoSuchReviewError, ReviewDecidedError, RightMissingError: as they say.
        """
        with self._office.reading() as connection:
            item = _found(connection, review_id)
        if item.check == "register":
            raise BadEntryError(
                "What was used is not known here: correct the reading (`meterhouse readings "
                "correct`) and say so with `settle review correct`, or estimate the span."
            )
        return self._decide(item, "released", words)

    def correct(self, review_id: int, words: str) -> Item:
        """The readings were corrected: judge the span anew.

        Raises:
            BadEntryError, NoSuchReviewError, ReviewDecidedError, RightMissingError: as they say.
        """
        with self._office.reading() as connection:
            item = _found(connection, review_id)
        return self._decide(item, "corrected", words)

    def estimate(self, review_id: int, energy_wh: Mapping[str, int], words: str) -> Item:
        """Say what was used in an item's span.

        Args:
            review_id: which.
            energy_wh: by register: ``total``, and ``t1`` .. ``t8`` where the tariff has them,
                which add up to it.
            words: how it was found.

        Raises:
            BadEntryError, NoSuchReviewError, ReviewDecidedError, RightMissingError: as they say.
        """
        with self._office.reading() as connection:
            item = _found(connection, review_id)
        return self._decide(item, "estimated", words, _checked(energy_wh))

    def estimate_waiting(self, supply_id: int, energy_wh: Mapping[str, int], words: str) -> Item:
        """Say what a supply used in the span that it waits with, for want of a reading.

        Raises:
            NoSuchReviewError: it does not wait.
            BadEntryError, RightMissingError: as they say.
        """
        office = self._office
        office.require(Right.SETTLE)
        _require_words(words)
        energy = _checked(energy_wh)
        with office.writing() as connection:
            wait = connection.execute(
                select(settlement_waits).where(settlement_waits.c.supply_id == supply_id)
            ).first()
            if wait is None:
                raise NoSuchReviewError(
                    f"Supply {supply_id} does not wait: `meterhouse settle status --waiting` shows "
                    "which do."
                )
            review_id: int = connection.execute(
                insert(settlement_reviews)
                .values(
                    supply_id=supply_id,
                    account_id=wait.account_id,
                    since=wait.since,
                    until=wait.until,
                    check_name=wait.why,
                    cause=wait.why,
                    reason=wait.words,
                    figures="{}",
                    holds=1,
                    state="estimated",
                    found_at=wait.first_at,
                    decided_at=office.now(),
                    decided_by=office.person.name or "nobody",
                    words=words.strip(),
                    energy=canonical(energy),
                )
                .returning(settlement_reviews.c.review_id)
            ).scalar_one()
            _record(connection, office, review_id, "estimated", words, energy)
        settle_supplies(office, [supply_id])
        return self.show(review_id)

    def _decide(
        self, item: Item, state: str, words: str, energy: Mapping[str, int] | None = None
    ) -> Item:
        office = self._office
        office.require(Right.SETTLE)
        _require_words(words)
        values: dict[str, Any] = {
            "state": state,
            "decided_at": office.now(),
            "decided_by": office.person.name or "nobody",
            "words": words.strip(),
        }
        if energy is not None:
            values["energy"] = canonical(dict(energy))
        with office.writing() as connection:
            changed = connection.execute(
                update(settlement_reviews)
                .where(
                    settlement_reviews.c.review_id == item.review_id,
                    settlement_reviews.c.state == "open",
                )
                .values(**values)
            )
            if changed.rowcount != 1:
                known = _found(connection, item.review_id)
                raise ReviewDecidedError(
                    f"Item {item.review_id} is {known.state} already, by {known.decided_by}."
                )
            _record(connection, office, item.review_id, state, words, energy)
        if item.holds:
            settle_supplies(office, [item.supply_id])
        return self.show(item.review_id)


def _checked(energy_wh: Mapping[str, int]) -> dict[str, int]:
    energy = dict(energy_wh)
    if TOTAL not in energy or set(energy) - QUANTITIES.keys():
        raise BadEntryError("An estimate has the total, and registers t1 to t8 or reactive.")
    if any(not 0 <= wh <= ENERGY_MOST_WH for wh in energy.values()):
        raise BadEntryError("An estimate is not below zero, and not above 1,000,000,000 kWh.")
    parts = [wh for code, wh in energy.items() if code.startswith("t") and code != TOTAL]
    if parts and sum(parts) != energy[TOTAL]:
        raise BadEntryError("The registers t1 to t8 of an estimate add up to its total.")
    return energy


def _require_words(words: str) -> None:
    if not words.strip():
        raise BadEntryError("Say in some words how you decided: an auditor will ask.")


def _record(
    connection: Connection,
    office: Office,
    review_id: int,
    act: str,
    words: str,
    energy: Mapping[str, int] | None,
) -> None:
    record(
        connection,
        office.now(),
        actor=office.person.name,
        action=f"settlement.{act}",
        subject=str(review_id),
        detail="" if energy is None else canonical(dict(energy)),
        reason=words.strip(),
    )


def _shown() -> Select[Any]:
    return (
        select(
            settlement_reviews,
            customer_accounts.c.number.label("number"),
            service_points.c.name.label("point"),
        )
        .join(customer_accounts, customer_accounts.c.account_id == settlement_reviews.c.account_id)
        .join(supplies, supplies.c.supply_id == settlement_reviews.c.supply_id)
        .join(service_points, service_points.c.point_id == supplies.c.point_id)
    )


def _found(connection: Connection, review_id: int) -> Item:
    row = connection.execute(_shown().where(settlement_reviews.c.review_id == review_id)).first()
    if row is None:
        raise NoSuchReviewError(
            f"There is no review item {review_id}: `meterhouse settle review list` shows them."
        )
    return _item(row)


def _item(row: Any) -> Item:
    return Item(
        row.review_id,
        row.supply_id,
        row.account_id,
        row.number,
        row.point,
        row.since,
        row.until,
        row.check_name,
        row.cause,
        row.reason,
        json.loads(row.figures),
        row.holds == 1,
        row.state,
        row.found_at,
        row.decided_at,
        row.decided_by,
        row.words,
        None if row.energy is None else json.loads(row.energy),
    )
