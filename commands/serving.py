"""What `meterhouse serve` is made of: every room's handlers, sweeps and figures, put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Connection, func, select

from commands.order.wiring import order_handlers, order_sweeps
from headend.collection import job as collection_job
from headend.collection import sweep as collection_sweep
from headend.collection.tables import contact_hours
from headend.orders.tables import orders
from headend.person import SERVICE
from headend.service.figures import Reads
from headend.service.service import Rooms
from headend.service.sweeps import Sweep
from headend.station import Station
from headend.store import sweep as store_sweep
from headend.watching import sweep as watching_sweep
from headend.work.port import Work

if TYPE_CHECKING:
    from headend.orders.credentials import Credentials
    from headend.publishing.publisher import Publisher
    from headend.talk.lines import Lines

_COLLECTION_S: Final = 1.0
_STORE_S: Final = 300.0
_ALARMS_S: Final = 1.0


def rooms(
    station: Station,
    lines: Lines,
    work: Work,
    secrets: Credentials,
    publisher: Publisher | None = None,
) -> Rooms:
    """All rooms of the head-end, acting as the service; published over MQTT where it is wanted."""
    kept = None if publisher is None else publisher.kept
    acting = replace(station, person=SERVICE)
    return Rooms(
        handlers={
            "round": collection_job.handler(acting, lines, work, kept),
            **order_handlers(acting, lines, work, secrets),
        },
        sweeps=(
            *(Sweep(name, every_s, act) for name, every_s, act in order_sweeps()),
            Sweep("rounds", _COLLECTION_S, collection_sweep.sweep),
            Sweep("store", _STORE_S, store_sweep.sweep),
            Sweep("watching", watching_sweep.EVERY_MIN * 60, _watch),
            *([] if publisher is None else [_alarms_of(publisher)]),
        ),
        figures=(_reads, _orders, *([] if publisher is None else [_publishing_of(publisher)])),
        parts={} if publisher is None else {"mqtt": publisher.run},
    )


def _alarms_of(publisher: Publisher) -> Sweep:
    def publish(station: Station, _: Work) -> int:
        return publisher.sweep_alarms(station)

    return Sweep("mqtt alarms", _ALARMS_S, publish, brings_work=False)


def _publishing_of(publisher: Publisher) -> Reads:
    def read(_: Connection) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "meterhouse_mqtt_connected",
            "Whether this worker's broker has taken it.",
            value=int(publisher.is_connected),
        )
        yield GaugeMetricFamily(
            "meterhouse_mqtt_waiting", "Messages that wait for it.", value=publisher.waiting
        )
        yield CounterMetricFamily(
            "meterhouse_mqtt_dropped",
            "Messages that gave way because too many waited.",
            value=publisher.dropped,
        )

    return read


def _watch(station: Station, _work: Work) -> int:
    return watching_sweep.sweep(station)


def _reads(connection: Connection) -> Iterable[Metric]:
    """Visits of meters in the hour that was begun last."""
    latest = connection.scalar(select(func.max(contact_hours.c.hour)))
    asked, answered = 0, 0
    if latest is not None:
        row = connection.execute(
            select(func.sum(contact_hours.c.asked), func.sum(contact_hours.c.answered)).where(
                contact_hours.c.hour == latest
            )
        ).one()
        asked, answered = int(row[0] or 0), int(row[1] or 0)
    reads = GaugeMetricFamily(
        "meterhouse_reads_of_hour",
        "Visits of meters in the hour that was begun last, by outcome.",
        labels=["outcome"],
    )
    reads.add_metric(["ok"], answered)
    reads.add_metric(["failed"], asked - answered)
    yield reads


def _orders(connection: Connection) -> Iterable[Metric]:
    """Orders by their state; of those that have ended, a count that only grows."""
    states = GaugeMetricFamily("meterhouse_orders_open", "Orders on their way.", labels=["state"])
    ended = CounterMetricFamily("meterhouse_orders", "Orders that ended.", labels=["outcome"])
    for state, is_over, count in connection.execute(
        select(orders.c.state, orders.c.ended_at.is_not(None), func.count()).group_by(
            orders.c.state, orders.c.ended_at.is_not(None)
        )
    ):
        (ended if is_over else states).add_metric([state], count)
    yield states
    yield ended
