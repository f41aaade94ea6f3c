"""``meterhouse readings``: what a meter has said, and what of it is in doubt."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.round import enter
from commands.station import open_station

if TYPE_CHECKING:
    from headend.station import Station
    from headend.values import IntervalValue, Reading

_ENERGY: Final = "energy_import_total"
_MOMENT: Final = click.DateTime(
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]
)
_ROWS: Final = 200


@click.group()
def readings() -> None:
    """What meters have said: show, plot, correct, settle."""


readings.add_command(enter)


@readings.command()
@click.argument("meter")
@click.option("--quantity", default=_ENERGY, show_default=True, help="See `meterhouse items`.")
@click.option("--since", type=_MOMENT, help="In the utility's zone. [default: 31 days ago]")
@click.option("--until", type=_MOMENT, help="Up to this moment or day, not with it. [default: now]")
@click.option("--intervals", is_flag=True, help="The load profile's values instead of registers.")
@click.option("--as-read", is_flag=True, help="As the meter gave them, without corrections.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="A picture: FILE.svg, .png."
)
@click.option(
    "--csv", "table", type=click.Path(dir_okay=False, allow_dash=True), help="A table; - is stdout."
)
@database_option
@json_option
def show(
    meter: str,
    quantity: str,
    since: datetime | None,
    until: datetime | None,
    intervals: bool,
    as_read: bool,
    plot: Path | None,
    table: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Show what METER has said of a quantity, archived months too.

    \b
    meterhouse readings show 4001 --since 2026-11-01
    meterhouse readings show 4001 --intervals --since 2026-11-20 --plot day.svg
    meterhouse readings show 4001 --quantity voltage_l1 --csv voltage.csv
    """
    from commands.plots.sales import require_picture_file
    from headend.registry.desk import Registry
    from headend.store.readings import intervals as find_intervals
    from headend.store.readings import readings as find_readings

    form = None if plot is None else require_picture_file(plot)
    with open_station(database) as station:
        device_id = Registry(station).device(meter).device_id
        end = station.now() if until is None else until.replace(tzinfo=station.zone)
        begin = end - timedelta(days=31) if since is None else since.replace(tzinfo=station.zone)
        if begin >= end:
            raise click.UsageError("--since is not before --until.")
        with station.reading() as connection:
            found: list[Reading] | list[IntervalValue]
            if intervals:
                found = find_intervals(connection, device_id, quantity, begin, end)
            else:
                found = find_readings(
                    connection, device_id, quantity, begin, end, corrected=not as_read
                )
        zone = station.zone
    if plot is not None and form is not None:
        plot.write_bytes(_picture(meter, quantity, found, zone, form))
    if table is not None:
        _write_table(table, meter, found)
    if as_json:
        print_json([_object(each) for each in found])
    elif plot is not None:
        console.print(f"{len(found)} values are drawn in {plot}.", markup=False)
    elif table is None:
        _print(meter, quantity, found, zone)
    elif table != "-":
        console.print(f"{len(found)} rows are in {table}.", markup=False)


@readings.command()
@click.option("--meter", help="Of this meter only.")
@click.option(
    "--state",
    type=click.Choice(["open", "superseded", "kept", "taken"]),
    default="open",
    show_default=True,
    help="superseded: estimates that gave way to what was measured.",
)
@database_option
@json_option
def differing(meter: str | None, state: str, database: str, as_json: bool) -> None:
    """List values that contradict what is kept: nothing was overwritten, a person decides."""
    from headend.registry.desk import Registry
    from headend.store.corrections import contradictions

    with open_station(database) as station:
        device_id = None if meter is None else Registry(station).device(meter).device_id
        with station.reading() as connection:
            found = contradictions(connection, state=state, device_id=device_id)
        zone = station.zone
    if as_json:
        print_json(
            [
                {
                    "number": each.number,
                    "meter": each.meter,
                    "quantity": each.quantity,
                    "at": _iso(each.at),
                    "source": each.source.value,
                    "interval_min": each.interval_min or None,
                    "kept": {"value": each.kept_value, "quality": each.kept_quality.name.lower()},
                    "other": {
                        "value": each.other_value,
                        "quality": each.other_quality.name.lower(),
                    },
                    "seen_at": _iso(each.seen_at),
                    "state": each.state,
                }
                for each in found
            ]
        )
        return
    table = Table("no.", "meter", "quantity", "at", "source", "kept", "other")
    for each in found:
        table.add_row(
            str(each.number), each.meter, each.quantity, _local(each.at, zone),
            f"{each.interval_min} min" if each.interval_min else each.source.value,
            _amount(each.quantity, each.kept_value), _amount(each.quantity, each.other_value),
        )  # fmt: skip
    console.print(table if found else "No value contradicts what is kept.")


@readings.command()
@click.argument("number", type=int)
@click.option(
    "--take",
    type=click.Choice(["kept", "other"]),
    required=True,
    help="Which of the two holds; see `readings differing`.",
)
@click.option("--reason", required=True, help="Why; it is kept with the value.")
@database_option
def settle(number: int, take: str, reason: str, database: str) -> None:
    """Settle contradiction NUMBER: which of its two values holds."""
    from headend.store.corrections import settle as settle_values

    with open_station(database) as station:
        settle_values(station, number, take_other=take == "other", reason=reason)
    console.print(f"Contradiction {number} is settled: the {take} value holds.")


@readings.command()
@click.argument("meter")
@click.argument("at", type=_MOMENT)
@click.argument("value", type=int)
@click.option("--quantity", default=_ENERGY, show_default=True)
@click.option(
    "--source",
    type=click.Choice(["register", "freeze", "manual", "estimate"]),
    default="register",
    show_default=True,
)
@click.option("--reason", required=True, help="Why; it is kept with the value.")
@database_option
def correct(
    meter: str, at: datetime, value: int, quantity: str, source: str, reason: str, database: str
) -> None:
    """Put VALUE (Wh, or as kept) in the place of METER's reading AT a moment.

    The reading itself is never changed: the correction stands beside it, with the reason.
    AT is in the utility's zone, as `readings show` gives it; the reading of that minute is meant
    when there is just one.
    """
    from headend.registry.desk import Registry
    from headend.store.corrections import correct_reading
    from headend.values import Source

    with open_station(database) as station:
        device_id = Registry(station).device(meter).device_id
        moment = at.replace(tzinfo=station.zone)
        reading = _reading_at(station, device_id, quantity, moment, Source(source))
        correct_reading(station, reading, value=value, reason=reason)
    console.print(f"The reading of {meter} is corrected to {_amount(quantity, value)}.")


def _reading_at(
    station: Station, device_id: int, quantity: str, moment: datetime, source: Any
) -> Reading:
    from headend.store.readings import readings as find_readings

    width = timedelta(seconds=1) if moment.second else timedelta(minutes=1)
    with station.reading() as connection:
        near = find_readings(connection, device_id, quantity, moment, moment + width)
    found = [each for each in near if each.source is source]
    if len(found) != 1:
        raise click.ClickException(
            f"{'No' if not found else 'More than one'} {source.value} reading of {quantity} lies "
            f"at {moment:%Y-%m-%d %H:%M:%S}: look with `meterhouse readings show`, and give the "
            "seconds."
        )
    return found[0]


def _picture(meter: str, quantity: str, found: Iterable[Any], zone: tzinfo, form: Any) -> bytes:
    from commands.plots.readings import draw_readings

    parts: list[list[tuple[datetime, int]]] = []
    expected: datetime | None = None
    for each in found:
        at = _moment(each)
        length = getattr(each, "interval_min", 0)
        if not parts or (length and at != expected):
            parts.append([])
        parts[-1].append((at, each.value))
        expected = at + timedelta(minutes=length)
    unit, per_unit = _unit(quantity)
    return draw_readings(f"{meter}: {quantity}", parts, unit, per_unit, zone, form)


def _write_table(path: str, meter: str, found: Iterable[Any]) -> None:
    with click.open_file(path, "w", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["meter", "quantity", "at", "kind", "value", "quality"])
        for each in found:
            row = _object(each)
            kind = row.get("source") or f"{row['interval_min']} min"
            writer.writerow([meter, row["quantity"], row["at"], kind, row["value"], row["quality"]])


def _print(meter: str, quantity: str, found: list[Any], zone: tzinfo) -> None:
    if not found:
        console.print(f"Nothing is kept of {quantity} of {meter} in this time.", markup=False)
        return
    table = Table("at", quantity, "quality", "source")
    for each in found[-_ROWS:]:
        kind = each.source.value if hasattr(each, "source") else f"{each.interval_min} min"
        table.add_row(
            _local(_moment(each), zone), _amount(quantity, each.value),
            each.quality.name.lower(), kind,
        )  # fmt: skip
    console.print(table)
    if len(found) > _ROWS:
        console.print(f"The last {_ROWS} of {len(found)}; --csv - gives all.")


def _object(each: Any) -> dict[str, Any]:
    row = {
        "quantity": each.quantity,
        "at": _iso(_moment(each)),
        "value": each.value,
        "quality": each.quality.name.lower(),
    }
    if hasattr(each, "source"):
        return row | {"source": each.source.value}
    return row | {"interval_min": each.interval_min}


def _moment(each: Any) -> datetime:
    moment: datetime = each.at if hasattr(each, "at") else each.start
    return moment


def _unit(quantity: str) -> tuple[str, int]:
    """In what a person reads it, and how many of the kept units make one."""
    from protocols.modbus import VOCABULARY, Kind

    known = VOCABULARY.get(quantity)
    if known is None:
        return "", 1
    if known.kind is Kind.ENERGY:
        return f"k{known.unit}", 1000
    return known.unit, 1000 if known.kind is Kind.DECIMAL else 1


def _amount(quantity: str, value: int) -> str:
    unit, per_unit = _unit(quantity)
    if per_unit == 1:
        return f"{value:,} {unit}".rstrip()
    sign, whole = "-" if value < 0 else "", abs(value)
    return f"{sign}{whole // per_unit:,}.{whole % per_unit:03} {unit}".rstrip()


def _local(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
