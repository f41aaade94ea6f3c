"""Payments that come as a file: the bank's statement, or a provider's list.

Each booking is a transaction of its own: a program that was killed goes on where it was when it is
given the file again, and files that overlap add nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from billing.faults import BillingError
from billing.office import Office
from billing.payments.channels import Adapter, Channel
from billing.payments.door import take
from billing.payments.faults import ChannelSettingsError
from billing.payments.health import keep_failure
from billing.payments.payment import Payment, PaymentState
from billing.payments.statements import number_in, reference_of, statement_lines
from billing.person import Right
from vending.cash.bank.line import BadLine, Line


@dataclass(frozen=True, slots=True)
class FileTaken:
    """What came of a file."""

    taken: int
    taken_minor: int
    known: int
    """Taken before."""
    suspense: int
    """Of those that are new: nobody could tell whose they are."""
    outgoing: int
    """Bookings of money that went out: left alone."""
    bad: tuple[BadLine, ...]


def take_file(
    office: Office,
    channel: Channel,
    content: bytes,
    *,
    progress: Callable[[int], None] | None = None,
) -> FileTaken:
    """Take the payments of a file.

    Args:
        office: the office; its person brings the file.
        channel: whose adapter is `Adapter.FILE`.
        content: the file.
        progress: called with the number of bookings that were looked at.

    Raises:
        RightMissingError: needs ``serve``.
        ChannelSettingsError: the channel's payments come by another way.
        StatementError: the file cannot be read at all; that is kept for the channel's health.
    """
    office.require(Right.SERVE)
    if channel.adapter is not Adapter.FILE:
        raise ChannelSettingsError(f"The payments of {channel.name} do not come as a file.")
    try:
        lines = list(statement_lines(office, channel, content))
    except BillingError as fault:
        with office.writing() as connection:
            keep_failure(connection, office, channel.name, fault.code, str(fault))
        raise
    counts = {"taken": 0, "taken_minor": 0, "known": 0, "suspense": 0, "outgoing": 0}
    bad: list[BadLine] = []
    for number, line in enumerate(lines, 1):
        if isinstance(line, BadLine):
            bad.append(line)
        elif line.amount_minor < 0:
            counts["outgoing"] += 1
        else:
            _take(office, channel, line, counts, bad)
        if progress is not None:
            progress(number)
    return FileTaken(**counts, bad=tuple(bad))


def payment_of_line(office: Office, channel: Channel, line: Line) -> Payment:
    """A booking as a payment; the account is the one that its text names, if it names one."""
    who = ": ".join(each for each in (line.counterparty, line.text) if each)
    return Payment(
        channel=channel.name,
        reference=reference_of(channel, line),
        amount_minor=line.amount_minor,
        number=number_in(line.text),
        paid_at=office.day_start(line.booked_on),
        note=who[:2_000],
        where="file",
    )


def _take(
    office: Office, channel: Channel, line: Line, counts: dict[str, int], bad: list[BadLine]
) -> None:
    payment = payment_of_line(office, channel, line)
    try:
        with office.writing() as connection:
            taken = take(connection, office, payment)
    except BillingError as fault:
        if fault.is_system:
            raise
        bad.append(BadLine(payment.reference, str(fault)))
        return
    if not taken.is_new:
        counts["known"] += 1
        return
    counts["taken"] += 1
    counts["taken_minor"] += line.amount_minor
    counts["suspense"] += taken.state is PaymentState.SUSPENSE
