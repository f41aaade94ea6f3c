"""Which key it is: the options that an import and a new key share."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vending import RevisionTerms


def terms_options(command: Any) -> Any:
    options = (
        click.argument("sgc"),
        click.argument("krn", type=int),
        click.option(
            "--dkga", type=click.Choice(["2", "4"]), default="4", show_default=True,
            help="02: a key of 64 bits, 04: of 160.",
        ),
        click.option("--base-year", type=int, default=2014, show_default=True),
        click.option("--ken", type=int, default=255, show_default=True, help="Key expiry number."),
        click.option("--valid-from", metavar="DATE", help="First day (UTC). [default: now]"),
        click.option("--issued-until", metavar="DATE", help="Last day (UTC). [default: no limit]"),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def terms(
    *,
    sgc: str,
    krn: int,
    dkga: str,
    base_year: int,
    ken: int,
    valid_from: str | None,
    issued_until: str | None,
) -> RevisionTerms:
    from vending import RevisionTerms
    from vending.sts import (
        KeyGeneration,
        parse_base_date,
        parse_key_expiry,
        parse_key_revision,
        parse_supply_group_code,
    )

    return RevisionTerms(
        sgc=parse_supply_group_code(sgc),
        krn=parse_key_revision(krn),
        dkga=KeyGeneration(int(dkga)),
        base_date=parse_base_date(base_year),
        ken=parse_key_expiry(ken),
        valid_from=datetime.now(UTC) if valid_from is None else day(valid_from, time.min),
        issued_until=None if issued_until is None else end_of(issued_until),
    )


def end_of(text: str) -> datetime:
    return day(text, time.max)


def day(text: str, moment: time) -> datetime:
    with suppress(ValueError):
        return datetime.combine(datetime.fromisoformat(text).date(), moment, UTC)
    raise click.BadParameter(f"{text!r} is not a day like 2026-11-21.")
