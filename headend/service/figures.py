"""What Prometheus is given: a registry of this worker's own, filled when it is asked.

Counts of what this worker did are kept here; what waits, runs, and who works is read from the
database at each look.  No names of customers or meters, no keys: kinds, outcomes, numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, literal_column, select

from headend.faults import StoreUnavailableError
from headend.station import Station
from headend.work.port import Job
from headend.work.tables import jobs, line_owners, workers

_NOT_ENDED: Final = ("waiting", "running")
"""Written out in the queries: SQLite takes an index of some rows for no bound value, and would
walk through all jobs that have ended."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

Reads = Callable[[Connection], Iterable[Metric]]
"""Figures of a room: reads with success and without, orders by outcome."""


@dataclass(frozen=True, slots=True)
class Now:
    """What the process itself knows."""

    lines_open: int
    lines_in_hand: int
    jobs_in_hand: int
    modems: int
    unknown_calls: int
    step_s: float
    is_ready: bool


class Figures(Collector):
    """The figures of one worker."""

    def __init__(self, station: Station, now: Callable[[], Now], rooms: Iterable[Reads]) -> None:
        self._station = station
        self._now = now
        self._rooms = tuple(rooms)
        self._registry = CollectorRegistry()
        self._ended = Counter(
            "meterhouse_jobs_ended",
            "Jobs that ended in this worker, by kind and how.",
            ["kind", "how"],
            registry=self._registry,
        )
        self._took = Histogram(
            "meterhouse_job_seconds",
            "How long jobs of this worker took.",
            ["kind"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(self)

    def ended(self, job: Job, how: str, _fault: str, took_s: float) -> None:
        """A job has ended."""
        self._ended.labels(job.kind, how).inc()
        self._took.labels(job.kind).observe(took_s)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the database need not be there when the registry is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What is true now."""
        yield from self._of_process()
        try:
            with self._station.reading() as connection:
                found = list(self._of_database(connection))
        except StoreUnavailableError:
            found = []
            answers = 0
        else:
            answers = 1
        yield from found
        yield _gauge("meterhouse_database_up", "Whether the database answers.", answers)

    def _of_process(self) -> Iterator[Metric]:
        now = self._now()
        yield _gauge("meterhouse_lines_open", "Lines that this worker has open.", now.lines_open)
        yield _gauge(
            "meterhouse_lines_in_hand", "Lines whose turn is with this worker.", now.lines_in_hand
        )
        yield _gauge("meterhouse_jobs_in_hand", "Jobs that this worker runs.", now.jobs_in_hand)
        yield _gauge("meterhouse_modems", "Modems connected to this worker.", now.modems)
        yield _gauge(
            "meterhouse_unknown_calls",
            "Calls refused because nobody knows them.",
            now.unknown_calls,
        )
        yield _gauge(
            "meterhouse_database_step_seconds", "What a step in the database takes.", now.step_s
        )
        yield _gauge("meterhouse_ready", "Whether this worker takes new work.", int(now.is_ready))

    def _of_database(self, connection: Connection) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "meterhouse_jobs", "Jobs that wait or run, on all workers.", labels=["kind", "state"]
        )
        for state in _NOT_ENDED:
            rows = connection.execute(
                select(jobs.c.kind, func.count())
                .where(jobs.c.state == literal_column(f"'{state}'"))
                .group_by(jobs.c.kind)
            )
            for kind, count in rows:
                states.add_metric([kind, state], count)
        yield states
        ages = GaugeMetricFamily(
            "meterhouse_queue_age_seconds",
            "How long the oldest waiting job of an urgency has waited; 1 is the most urgent.",
            labels=["urgency"],
        )
        moment = self._station.now()
        for urgency, since in connection.execute(
            select(jobs.c.urgency, func.min(jobs.c.queued_at))
            .where(jobs.c.state == literal_column("'waiting'"))
            .group_by(jobs.c.urgency)
        ):
            ages.add_metric([str(urgency)], max(0.0, (moment - since).total_seconds()))
        yield ages
        alive = connection.execute(select(func.count()).select_from(workers)).scalar_one()
        yield _gauge("meterhouse_workers", "Workers on this database.", alive)
        owned = connection.execute(select(func.count()).select_from(line_owners)).scalar_one()
        yield _gauge("meterhouse_modem_lines", "Modems connected to any worker.", owned)
        for room in self._rooms:
            yield from room(connection)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)
