"""Once a day, everybody who is prepaid: use, limits, and a reminder before the balance runs out.

The pass goes through the accounts in the order of their ids, a page in a transaction; where it has
come to is kept with each page, so that it goes on wherever it was interrupted, in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from billing.accounts.looking import Agreement, agreements_at
from billing.accounts.tables import customer_accounts
from billing.ledger.posting import balances, lock
from billing.notices.outbox import queue_notices
from billing.notices.port import Notice
from billing.office import Office
from billing.prepaid.faults import NotPrepaidError
from billing.prepaid.policy import PrepaidPolicy, load_policy
from billing.prepaid.running_out import Use, runs_out_on
from billing.prepaid.standing import limits_from_use
from billing.prepaid.states import Watched, mark_reminded, watched
from billing.prepaid.tables import prepaid_passes, prepaid_states, prepaid_uses
from billing.prepaid.telling import days_left as days_left_notice
from billing.prepaid.uses import settled_until, uses_of
from billing.prepaid.watcher import look
from headend.orders.calendar import load_calendar

_AT_ONCE: Final = 500
"""Accounts in one transaction."""
_PAGES: Final = 20
"""Pages in one sweep; the next one goes on."""
_FRESH: Final = timedelta(days=7)
"""So long an account's use is not computed anew."""
_SATURDAY: Final = 6


@dataclass(frozen=True, slots=True)
class Outlook:
    """How long an account's balance lasts."""

    account_id: int
    balance_minor: int
    floor_minor: int
    warn_minor: int
    use: Use
    runs_out_on: date | None
    """None: not within a year, or nothing is known of the use."""
    days_left: int | None
    """Whole days until then."""


def daily_pass(office: Office) -> int:
    """Go on with today's look at everybody; gives how many accounts were looked at.

    It begins at the policy's hour, when the night's settlements are there.
    """
    looked = 0
    for _ in range(_PAGES):
        with office.writing() as connection:
            page = _page(connection, office)
        looked += page
        if page < _AT_ONCE:
            break
    return looked


def outlook_of(connection: Connection, office: Office, account_id: int) -> Outlook:
    """How long an account's balance lasts, from its settlements until now.

    Raises:
        NotPrepaidError: it has no limits.
    """
    each = next(watched(connection, [account_id], office.now()), None)
    if each is None:
        raise NotPrepaidError(
            "The account is not prepaid, or not active: nothing runs out. "
            "See its agreement with meterhouse account show."
        )
    rests = _rests(connection, office)
    uses = uses_of(connection, office, [account_id], load_policy(connection).use_days, rests)
    return _outlooks(connection, office, [each], uses, rests)[0]


def _page(connection: Connection, office: Office) -> int:
    """One page; gives how many accounts it had."""
    policy, now = load_policy(connection), office.now()
    if now.astimezone(office.zone).hour < policy.remind_from_hour:
        return 0
    today = office.today().isoformat()
    row = connection.execute(select(prepaid_passes).with_for_update()).one()
    if row.day == today and row.is_over:
        return 0
    after = row.after_account_id if row.day == today else 0
    ids = connection.scalars(
        select(customer_accounts.c.account_id)
        .where(
            customer_accounts.c.account_id > after,
            customer_accounts.c.state == "active",
            customer_accounts.c.mode == "prepaid",
        )
        .order_by(customer_accounts.c.account_id)
        .limit(_AT_ONCE)
    ).all()
    if ids:
        _look_at(connection, office, ids, policy)
    connection.execute(
        update(prepaid_passes).values(
            day=today,
            after_account_id=ids[-1] if ids else after,
            is_over=int(len(ids) < _AT_ONCE),
        )
    )
    return len(ids)


def _look_at(
    connection: Connection, office: Office, ids: Sequence[int], policy: PrepaidPolicy
) -> None:
    lock(connection, ids)
    rests = _rests(connection, office)
    uses = _uses(connection, office, ids, policy, rests)
    look(connection, office, balances(connection, ids))  # limits may have changed since
    found = list(watched(connection, ids, office.now()))
    _remind(connection, office, policy, _outlooks(connection, office, found, uses, rests))


def _remind(
    connection: Connection, office: Office, policy: PrepaidPolicy, found: Sequence[Outlook]
) -> None:
    """Tell whoever runs out soon, once until they are well again."""
    reminded = set(
        connection.scalars(
            select(prepaid_states.c.account_id).where(
                prepaid_states.c.account_id.in_([each.account_id for each in found]),
                prepaid_states.c.reminded_at.is_not(None),
            )
        )
    )
    now, today = office.now(), office.today()
    notices: list[Notice] = []
    well: list[int] = []
    for each in found:
        is_short = each.days_left is not None and each.days_left <= policy.remind_days
        if not is_short and each.account_id in reminded:
            well.append(each.account_id)
        if (
            is_short
            and policy.remind_days
            and each.account_id not in reminded
            and each.balance_minor >= each.floor_minor
        ):
            notices.append(_notice(each, today))
    if notices:
        queue_notices(connection, office, notices)
        mark_reminded(connection, [each.account_id for each in notices], now)
    mark_reminded(connection, well, None)


def _notice(each: Outlook, today: date) -> Notice:
    assert each.days_left is not None
    assert each.runs_out_on is not None
    return days_left_notice(
        each.account_id,
        each.days_left,
        each.runs_out_on,
        each.balance_minor,
        each.use.day_minor,
        today,
    )


def _outlooks(
    connection: Connection,
    office: Office,
    found: Sequence[Watched],
    uses: Mapping[int, Use],
    rests: Callable[[date], bool],
) -> list[Outlook]:
    ids = [each.account_id for each in found]
    held = balances(connection, ids)
    ends = settled_until(connection, ids, office.now()) if ids else {}
    today = office.today()
    outlooks: list[Outlook] = []
    for each in found:
        balance_minor, use = held[each.account_id], uses[each.account_id]
        limits = each.limits
        runs_out = None
        if use.tells and each.account_id in ends:
            first = ends[each.account_id].astimezone(office.zone).date()
            runs_out = runs_out_on(balance_minor - limits.floor_minor, use, first, rests)
        days = None if runs_out is None else max((runs_out - today).days, 0)
        outlooks.append(
            Outlook(
                each.account_id,
                balance_minor,
                limits.floor_minor,
                limits.warn_minor,
                use,
                runs_out if runs_out is None else max(runs_out, today),
                days,
            )
        )
    return outlooks


def _uses(
    connection: Connection,
    office: Office,
    ids: Sequence[int],
    policy: PrepaidPolicy,
    rests: Callable[[date], bool],
) -> dict[int, Use]:
    """The use of accounts: as it was computed lately, or anew."""
    now = office.now()
    agreed = agreements_at(connection, ids, now)
    kept = {
        row.account_id: row
        for row in connection.execute(
            select(prepaid_uses).where(prepaid_uses.c.account_id.in_(ids))
        )
    }
    old = [each for each in ids if not _is_fresh(kept.get(each), agreed.get(each), now)]
    uses = {
        number: Use(row.workday_minor, row.restday_minor, row.days) for number, row in kept.items()
    }
    if old:
        anew = uses_of(connection, office, old, policy.use_days, rests)
        uses |= anew
        rows = [
            _use_row(each, anew[each], agreed[each], policy, now) for each in old if each in agreed
        ]
        _keep_uses(connection, rows)
    return uses


def _is_fresh(row: Any, agreement: Agreement | None, now: datetime) -> bool:
    if row is None or row.computed_at <= now - _FRESH:
        return False
    return agreement is None or agreement.since <= row.computed_at


def _use_row(
    account_id: int, use: Use, agreement: Agreement, policy: PrepaidPolicy, now: datetime
) -> dict[str, object]:
    if use.tells:
        limits = limits_from_use(
            agreement.floor_minor, agreement.cycle, use.day_minor, policy.warn_days
        )
        floor, warn = limits.floor_minor, limits.warn_minor
    else:
        floor, warn = agreement.floor_minor, agreement.warn_minor
    return {
        "account_id": account_id,
        "workday_minor": use.workday_minor,
        "restday_minor": use.restday_minor,
        "days": use.days,
        "warn_minor": warn,
        "floor_minor": floor,
        "computed_at": now,
    }


def _keep_uses(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    if not rows:
        return
    changed = ("workday_minor", "restday_minor", "days", "warn_minor", "floor_minor", "computed_at")
    into = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = into(prepaid_uses)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id"],
            set_={name: statement.excluded[name] for name in changed},
        ),
        list(rows),
    )


def _rests(connection: Connection, office: Office) -> Callable[[date], bool]:
    """Whether a day is a day of rest: a weekend, or a holiday of the head-end's."""
    holidays = load_calendar(connection, office.zone).holidays

    def is_rest(day: date) -> bool:
        return day.isoweekday() >= _SATURDAY or day in holidays

    return is_rest
