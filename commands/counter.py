"""What the clerks' commands share: which shop, who stands at which till, how money is typed."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

import vending
from commands.sign_in import api_key_option, open_signed_in
from commands.unlock import shop_keys

if TYPE_CHECKING:
    from vending import Meter, Shop

DEFAULT_DATABASE: Final = "sqlite:///meterhouse.db"
LOG_LEVEL_VARIABLE: Final = "METERHOUSE_LOG_LEVEL"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def database_option(command: _Command) -> _Command:
    """Give a command ``--database`` (parameter ``database``), and ways to sign in there."""
    return click.option(
        "--database",
        metavar="URL",
        envvar="METERHOUSE_DATABASE_URL",
        default=DEFAULT_DATABASE,
        show_default=True,
        show_envvar=True,
        help="The shop's database: sqlite:///FILE or postgresql://USER@HOST/NAME.",
    )(api_key_option(command))


def operator_option(command: _Command) -> _Command:
    """Give a command ``--operator``, whom receipts and audit lines name."""
    return click.option(
        "--operator",
        envvar="METERHOUSE_OPERATOR",
        default=login_name,
        show_default="your login name",
        show_envvar=True,
        help="Who stands at the till.",
    )(command)


def terminal_option(command: _Command) -> _Command:
    """Give a command ``--terminal``, which receipts name."""
    return click.option(
        "--terminal",
        envvar="METERHOUSE_TERMINAL",
        default="1",
        show_default=True,
        show_envvar=True,
        help="Which till it is.",
    )(command)


@contextmanager
def open_shop(database: str, *, keys_now: bool = False) -> Iterator[Shop]:
    """The shop, for the length of a command.

    Args:
        database: its URL.
        keys_now: unlock the keys at once.  A command that makes tokens without a question
            before says so, lest a sale's transaction waits for a passphrase.
    """
    configure_logs()
    with (
        shop_keys(database, now=keys_now) as keys,
        open_signed_in(
            database,
            lambda credentials: vending.Shop.open(database, credentials=credentials, security=keys),
        ) as shop,
    ):
        yield shop


def configure_logs() -> None:
    """Log to standard error, warnings and worse; METERHOUSE_LOG_LEVEL=info shows every sale.

    Standard output belongs to receipts and JSON.  Tracebacks come without the variables' values:
    these hold tokens and PINs.
    """
    import logging

    import structlog

    levels = logging.getLevelNamesMapping()
    wanted = os.environ.get(LOG_LEVEL_VARIABLE, "warning").upper()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(levels.get(wanted, logging.WARNING)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def meter_object(meter: Meter) -> dict[str, Any]:
    """A meter as JSON answers give it."""
    return {
        "meter": meter.number,
        "meter_pan": str(meter.pan),
        "customer": meter.customer,
        "location": meter.location,
        "blocked": meter.blocked,
        "ea": int(meter.algorithm),
        "sgc": meter.key.sgc,
        "krn": meter.key.krn,
        "key_type": int(meter.key.key_type),
        "tariff_index": meter.key.tariff_index,
        "base_year": int(meter.key.base_date),
        "ken": meter.key.ken,
    }


def login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
