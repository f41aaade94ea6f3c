"""Forecast of arrears: train it on the books, name those who are likely to pay late, remind them.

Training reads how accounts have paid, holds the last months back, and keeps with the model how it
did on those (specs/utility.md 25).  The sweep forecasts each due date once, some days ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, insert, select

from billing.accounts.tables import customer_accounts
from billing.collecting.ageing import due_day, open_items_of
from billing.collecting.faults import NoForecastError, TooLittleHistoryError
from billing.collecting.features import Example, bills_of, examples_of, features_of
from billing.collecting.finding import owing_after
from billing.collecting.model import Counting, Hits, Model, fit, hits_of
from billing.collecting.passes import begin_part, end_part, is_done
from billing.collecting.record import histories
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import CollectionRules
from billing.collecting.tables import arrears_forecasts, forecast_models, score_snapshots
from billing.notices.outbox import queue_notices
from billing.notices.port import Event, Notice
from billing.office import Office
from billing.person import Right
from storage import audit

_DAY: Final = timedelta(days=1)
_AT_ONCE: Final = 500
_PERCENT: Final = 10_000
"""In millionths."""
HISTORY_DAYS: Final = 730
HOLDOUT_DAYS: Final = 120
_EXAMPLES_MIN: Final = 200
_LATE_MIN: Final = 10


@dataclass(frozen=True, slots=True)
class Trained:
    """A model as it is kept."""

    model_id: int
    model: Model
    hits: Hits
    trained_at: datetime
    trained_until: datetime
    """It has learnt from due dates before this moment; its hits are of those after it."""
    trained_by: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was forecast for a due date of an account."""

    account_id: int
    number: str
    due_day: str
    chance_ppm: int
    amount_minor: int
    reminded: bool


@dataclass(frozen=True, slots=True)
class ForecastDesk:
    """Train, look."""

    office: Office

    def train(
        self,
        *,
        history_days: int = HISTORY_DAYS,
        holdout_days: int = HOLDOUT_DAYS,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Trained:
        """Learn from the books, and say how good it is on the last months, which are held back.

        Args:
            history_days: how far back due dates are looked at.
            holdout_days: the last days, of which it learns nothing.
            progress: told how many accounts were read.

        Raises:
            TooLittleHistoryError: there is not enough to learn from.
            RightMissingError: the person may not configure.
        """
        self.office.require(Right.CONFIGURE)
        at = self.office.now()
        mark = at - holdout_days * _DAY
        with self.office.reading() as connection:
            rules = rules_in_force(connection).rules
        learnt, held = Counting(), Counting()
        grace = rules.score.late_days
        span = (at - history_days * _DAY, at - grace * _DAY)
        for example in _examples(self.office, rules, span, at, progress):
            # what is learnt from was over before the first of those held back
            if example.due_at + grace * _DAY < mark:
                learnt.add(example.features, example.late)
            elif example.due_at >= mark:
                held.add(example.features, example.late)
        for counting, what in ((learnt, "to learn from"), (held, "held back to test it")):
            _require_enough(counting, what)
        model = fit(learnt.counts)
        limit = rules.early_reminder.chance_percent * _PERCENT
        hits = hits_of(model, held.counts, limit)
        return self._keep(model, hits, at, mark)

    def newest(self) -> Trained:
        """The model in use.

        Raises:
            NoForecastError: none was trained.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            found = newest_model(connection)
        if found is None:
            raise NoForecastError(
                "No forecast was trained yet: `meterhouse collect forecast --train`."
            )
        return found

    def list(self, *, limit: int = 100) -> list[Forecast]:
        """Forecasts for due dates from today on, the likeliest to be late first."""
        self.office.require(Right.LOOK)
        there = arrears_forecasts.c
        query = (
            select(
                there.account_id,
                customer_accounts.c.number,
                there.due_day,
                there.chance_ppm,
                there.amount_minor,
                there.reminded,
            )
            .join(customer_accounts, customer_accounts.c.account_id == there.account_id)
            .where(there.due_day >= self.office.today().isoformat())
            .order_by(there.chance_ppm.desc(), there.account_id)
            .limit(limit)
        )
        with self.office.reading() as connection:
            return [
                Forecast(*row[:-1], reminded=bool(row.reminded))
                for row in connection.execute(query)
            ]

    def _keep(self, model: Model, hits: Hits, at: datetime, until: datetime) -> Trained:
        who = self.office.person.name
        with self.office.writing() as connection:
            number: int = connection.execute(
                insert(forecast_models)
                .values(
                    document=model.document(),
                    hits=hits.document(),
                    trained_at=at,
                    trained_until=until,
                    trained_by=who,
                )
                .returning(forecast_models.c.model_id)
            ).scalar_one()
            audit.record(connection, at, actor=who, action="forecast.train", subject=str(number))
        return Trained(number, model, hits, at, until, who)


def newest_model(connection: Connection) -> Trained | None:
    """The model that was trained last."""
    row = connection.execute(
        select(forecast_models).order_by(forecast_models.c.model_id.desc()).limit(1)
    ).first()
    if row is None:
        return None
    model, hits = Model.read(row.document), Hits.read(row.hits)
    return Trained(row.model_id, model, hits, row.trained_at, row.trained_until, row.trained_by)


def forecast_due(office: Office, parts_max: int = 40) -> int:
    """Forecast what becomes due in the next days, once, and remind those who may be late.

    Args:
        office: the office.
        parts_max: of 500 owing accounts each; the next call goes on.
    """
    now, name = office.now(), f"forecast {office.today().isoformat()}"
    with office.reading() as connection:
        hour = rules_in_force(connection).rules.hour
        if now.astimezone(office.zone).hour < hour or is_done(connection, name):
            return 0
    made = 0
    for _ in range(parts_max):
        with office.writing() as connection:
            last = begin_part(connection, name)
            if last is None:
                break
            owing = [row.account_id for row in owing_after(connection, last, _AT_ONCE)]
            if owing:
                made += _forecast(connection, office, owing)
            end_part(connection, name, owing[-1] if owing else None, now)
            if not owing:
                break
    return made


@dataclass(frozen=True, slots=True)
class _Coming:
    """What becomes due next."""

    account_id: int
    due_at: datetime
    due_day: str
    amount_minor: int


def _forecast(connection: Connection, office: Office, account_ids: Sequence[int]) -> int:
    at = office.now()
    rules = rules_in_force(connection).rules
    trained = newest_model(connection)
    until = at + rules.early_reminder.lead_days * _DAY
    coming = _not_forecast(connection, _coming(connection, office, account_ids, at, until))
    doubtful = _doubtful(connection, office, rules, [each.account_id for each in coming])
    chances = {} if trained is None else _chances(connection, office, trained.model, coming, at)
    limit = rules.early_reminder.chance_percent * _PERCENT
    reminded = {
        each.account_id
        for each in coming
        if each.account_id in doubtful or chances.get(each.account_id, -1) >= limit
    }
    if trained is not None and coming:
        rows = [
            {
                "account_id": each.account_id,
                "due_day": each.due_day,
                "model_id": trained.model_id,
                "chance_ppm": chances[each.account_id],
                "amount_minor": each.amount_minor,
                "made_at": at,
                "reminded": int(each.account_id in reminded),
            }
            for each in coming
        ]
        connection.execute(insert(arrears_forecasts), rows)
    queue_notices(
        connection, office, [_reminder(each) for each in coming if each.account_id in reminded]
    )
    return len(coming)


def _reminder(coming: _Coming) -> Notice:
    about: dict[str, str | int] = {"owed_minor": coming.amount_minor, "due_on": coming.due_day}
    once = f"early {coming.account_id} {coming.due_day}"
    return Notice(Event.EARLY_REMINDER, coming.account_id, once, about)


def _coming(
    connection: Connection,
    office: Office,
    account_ids: Sequence[int],
    at: datetime,
    until: datetime,
) -> list[_Coming]:
    """The next due date of each account, if it is near, and what is due then."""
    coming: list[_Coming] = []
    for account_id, items in open_items_of(connection, account_ids).items():
        near = [each for each in items if at < each.due_at <= until]
        if near:
            first = near[0].due_at
            amount = sum(each.open_minor for each in near if each.due_at == first)
            day = due_day(office, first).isoformat()
            coming.append(_Coming(account_id, first, day, amount))
    return coming


def _not_forecast(connection: Connection, coming: Sequence[_Coming]) -> list[_Coming]:
    there = arrears_forecasts.c
    rows = connection.execute(
        select(there.account_id, there.due_day).where(
            there.account_id.in_([each.account_id for each in coming]),
            there.due_day.in_({each.due_day for each in coming}),
        )
    )
    known = {(row.account_id, row.due_day) for row in rows}
    return [each for each in coming if (each.account_id, each.due_day) not in known]


def _chances(
    connection: Connection, office: Office, model: Model, coming: Sequence[_Coming], at: datetime
) -> dict[int, int]:
    """The chance of each account of being late, in millionths."""
    by_account = {each.account_id: each for each in coming}
    since = at - HISTORY_DAYS * _DAY
    chances: dict[int, int] = {}
    for account_id, history in histories(connection, sorted(by_account), since, at):
        amount = by_account[account_id].amount_minor
        features = features_of(bills_of(history), office.zone, at, amount)
        chances[account_id] = model.chance_ppm(features)
    return chances


def _doubtful(
    connection: Connection, office: Office, rules: CollectionRules, account_ids: Sequence[int]
) -> set[int]:
    """Accounts whose band is reminded before each due date, by the newest score of two months."""
    bands = {each.name for each in rules.bands if each.early_reminder}
    this = office.today().replace(day=1)
    last = (this - _DAY).replace(day=1)
    there = score_snapshots.c
    rows = connection.execute(
        select(there.account_id, there.band)
        .where(
            there.account_id.in_(account_ids),
            there.month.in_([f"{last:%Y-%m}", f"{this:%Y-%m}"]),
        )
        .order_by(there.month)
    )
    newest = {row.account_id: row.band for row in rows}
    return {account_id for account_id, band in newest.items() if band in bands}


def _examples(
    office: Office,
    rules: CollectionRules,
    span: tuple[datetime, datetime],
    at: datetime,
    progress: Callable[[int], None],
) -> Iterator[Example]:
    last, read = 0, 0
    while True:
        with office.reading() as connection:
            account_ids = connection.scalars(
                select(customer_accounts.c.account_id)
                .where(customer_accounts.c.account_id > last)
                .order_by(customer_accounts.c.account_id)
                .limit(_AT_ONCE)
            ).all()
            for _, history in histories(connection, account_ids, span[0], at):
                yield from examples_of(
                    bills_of(history),
                    office.zone,
                    *span,
                    lead_days=rules.early_reminder.lead_days,
                    grace_days=rules.score.late_days,
                )
        if not account_ids:
            return
        last, read = account_ids[-1], read + len(account_ids)
        progress(read)


def _require_enough(counting: Counting, what: str) -> None:
    in_time = counting.total - counting.late
    if counting.total < _EXAMPLES_MIN or min(counting.late, in_time) < _LATE_MIN:
        raise TooLittleHistoryError(
            f"There are {counting.total} due dates {what}, {counting.late} of them late: a "
            f"forecast needs {_EXAMPLES_MIN}, with at least {_LATE_MIN} late and {_LATE_MIN} not."
        )
