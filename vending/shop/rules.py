"""The rules of the counter that a utility sets: what is asked, and what takes two persons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, insert, select, update

from storage import audit
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.shop.agreed import agreed
from vending.shop.clock import AHEAD_MAX_H
from vending.shop.counter_tables import counter_rules
from vending.shop.faults import InvalidSettingError
from vending.shop.house import House
from vending.shop.values import require_whole
from vending.sts import AMOUNT_MAX

_WINDOW_S_MAX: Final = 86_400
_WARNING_DAYS_MAX: Final = 3_650
_CLOCK_AHEAD_H_MAX: Final = 87_600
_RULES: Final = select(counter_rules)


@dataclass(frozen=True, slots=True)
class CounterRules:
    """What is asked at the counter, and from where on a second person decides.

    Raises:
        InvalidSettingError: no whole number, below zero, or out of its range.
    """

    double_sale_window_s: int = 600
    """Within so many seconds the same amount for the same meter is asked about; 0: never."""
    free_issue_limit_units: int = 0
    """A free issue of more units (tenths) takes two persons; 0: each one does."""
    replacement_limit_units: int = 1_000
    """A replacement of more units (tenths) takes two persons."""
    free_basic_units: int = 0
    """The month's free units (tenths) of a service point, where its tariff gives none."""
    key_expiry_warning_days: int = 90
    """So long before a meter's key expires it is told of."""
    clock_ahead_max_h: int = AHEAD_MAX_H
    """A clock so many hours ahead of the latest receipt waits for a person's word; 0: never."""

    def __post_init__(self) -> None:
        for name, maximum in (
            ("double_sale_window_s", _WINDOW_S_MAX),
            ("free_issue_limit_units", AMOUNT_MAX),
            ("replacement_limit_units", AMOUNT_MAX),
            ("free_basic_units", AMOUNT_MAX),
            ("key_expiry_warning_days", _WARNING_DAYS_MAX),
            ("clock_ahead_max_h", _CLOCK_AHEAD_H_MAX),
        ):
            value = require_whole(name, getattr(self, name), fault=InvalidSettingError)
            if not 0 <= value <= maximum:
                raise InvalidSettingError(f"{name} must lie between 0 and {maximum}.")

    def lets_one_person_more_than(self, before: CounterRules) -> bool:
        """Whether a limit above which two persons decide is higher than before."""
        return (
            self.free_issue_limit_units > before.free_issue_limit_units
            or self.replacement_limit_units > before.replacement_limit_units
        )

    @property
    def double_sale_window(self) -> timedelta:
        """As a span of time."""
        return timedelta(seconds=self.double_sale_window_s)

    @property
    def key_expiry_warning(self) -> timedelta:
        """As a span of time."""
        return timedelta(days=self.key_expiry_warning_days)


@agreed
def rules_of(connection: Connection) -> CounterRules:
    """The rules that were set, or else the defaults."""
    row = connection.execute(_RULES).one_or_none()
    if row is None:
        return CounterRules()
    return CounterRules(
        double_sale_window_s=row.double_sale_window_s,
        free_issue_limit_units=row.free_issue_limit_units,
        replacement_limit_units=row.replacement_limit_units,
        free_basic_units=row.free_basic_units,
        key_expiry_warning_days=row.key_expiry_warning_days,
        clock_ahead_max_h=row.clock_ahead_max_h,
    )


@dataclass(frozen=True, slots=True)
class RulesDesk:
    """The counter's rules: see them, set them."""

    house: House

    def show(self) -> CounterRules:
        """The rules that hold now."""
        self.house.require(Permission.LOOK)
        with self.house.reading() as connection:
            return rules_of(connection)

    def set(self, rules: CounterRules, *, operator: str = "") -> None:
        """From now on the counter works by these rules; leaves an audit line.

        To raise a limit above which two persons decide takes two persons itself: an approval
        (`Act.COUNTER_RULES`) for exactly the rules' fields by name.

        Raises:
            PermissionDeniedError: the actor may not change tariffs and rules.
            ApprovalRequiredError: a limit is raised, and nobody approved it.
        """
        self.house.require(Permission.TARIFFS)
        who, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            if rules.lets_one_person_more_than(rules_of(connection)):
                actor = self.house.current_actor()
                use_approval(
                    connection,
                    Act.COUNTER_RULES,
                    asdict(rules),
                    actor,
                    now,
                    subject="counter_rules",
                )
            _store(connection, rules)
            _record(connection, rules, who, now)
        self.house.watch.forget()


def _store(connection: Connection, rules: CounterRules) -> None:
    if connection.execute(_RULES).one_or_none() is None:
        connection.execute(insert(counter_rules), {"rules_id": 1, **asdict(rules)})
    else:
        connection.execute(update(counter_rules).values(**asdict(rules)))


def _record(connection: Connection, rules: CounterRules, who: str, now: datetime) -> None:
    audit.record(
        connection,
        now,
        actor=who,
        action="counter_rules.set",
        subject="counter_rules",
        detail=" ".join(f"{name}={value}" for name, value in asdict(rules).items()),
    )
