"""``meterhouse office run``: what the office does by itself."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Final

import click
import structlog

from commands.counter import configure_logs, database_option
from commands.office import open_office
from commands.office_work import SWEEP_NAMES, OfficeSweep, office_sweeps
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from billing.office import Office

log = structlog.get_logger("office")
_ROUNDS_MAX: Final = 1_000
"""Of --once: what brings work for ever is a mistake."""


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, and end.")
@click.option(
    "--only", multiple=True, type=click.Choice(SWEEP_NAMES), help="Only these; may be repeated."
)
@database_option
@json_option
def run(once: bool, only: tuple[str, ...], database: str, as_json: bool) -> None:
    """Settle, bill, warn, disconnect and reconnect, remind, collect, send: whatever is due.

    Runs until Ctrl-C (or SIGTERM), beside `meterhouse serve`, which carries orders to meters. May
    be stopped and killed at any time, and run several times at once: on PostgreSQL they share the
    work. For cron: --once.
    """
    configure_logs()
    with open_office(database) as office:
        from billing.person import SERVICE, Right

        office.require(Right.SETTLE)
        sweeps = [each for each in office_sweeps() if not only or each.name in only]
        office = office.acting(SERVICE)
        if once:
            _once(office, sweeps, as_json=as_json)
        else:
            _keep(office, sweeps)


def _once(office: Office, sweeps: list[OfficeSweep], *, as_json: bool) -> None:
    """Each until nothing is left that was due; what one brings about the next ones find."""
    done = {}
    for sweep in sweeps:
        count = whole = sweep.act(office)
        for _ in range(_ROUNDS_MAX):
            if not count:
                break
            count = sweep.act(office)
            whole += count
        done[sweep.name] = whole
    if as_json:
        print_json(done)
        return
    for name, number in done.items():
        console.print(f"{name:12} {number:>8,}", markup=False)


def _keep(office: Office, sweeps: list[OfficeSweep]) -> None:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    console.print("The office works. Ctrl-C ends it.")
    due = dict.fromkeys((sweep.name for sweep in sweeps), 0.0)
    while not told.is_set():
        for sweep in sweeps:
            if told.is_set():
                break
            if time.monotonic() >= due[sweep.name]:
                _act(office, sweep)
                due[sweep.name] = time.monotonic() + sweep.every_s
        told.wait(max(0.1, min(due.values()) - time.monotonic()))
    console.print("Stopped; what was not done is done next time.")


def _act(office: Office, sweep: OfficeSweep) -> None:
    """One sweep; a fault of one room must not end the others."""
    from billing.faults import BillingError

    try:
        count = sweep.act(office)
    except BillingError as fault:
        log.warning("sweep.refused", sweep=sweep.name, code=fault.code, fault=str(fault))
    except Exception:
        log.exception("sweep.failed", sweep=sweep.name)
    else:
        if count:
            log.info("sweep.done", sweep=sweep.name, count=count)
