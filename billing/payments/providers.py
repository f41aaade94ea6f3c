"""What there is behind a channel: the port, and one adapter for each kind.

How payments come in differs too much to be one call: the counter is asked by a person
(`counter`), a file is brought (`bank_file`), messages are posted (`web_hook`), PINs are typed
(`vouchers`).  All of them end at `door.take`.  What is the same for all is here: whether the way
works, and the provider's statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import select

from billing.office import Office
from billing.payments.channels import Adapter, Channel
from billing.payments.faults import ChannelDownError, ChannelSettingsError, StatementError
from billing.payments.statements import statement_lines
from billing.payments.web_hook.receiving import Hook
from billing.payments.web_hook.signing import SharedSecret, Signed, require_signed
from storage.ledger import accounts
from vending.cash.bank.csv_file import load_mapping
from vending.cash.bank.line import BadLine, Line
from vending.cash.cash_tables import cash_settings
from vending.cash.faults import BankMappingError
from vending.shop.books import Tender
from vending.vouchers.batches import house_salt


class Provider(Protocol):
    """Who brings the payments of a channel."""

    def test(self, office: Office) -> str:
        """Try the way as far as nothing moves; gives what was found, in a sentence.

        Raises:
            BillingError: it does not work, and why.
        """

    def statement(self, office: Office, content: bytes) -> Iterator[Line | BadLine]:
        """The bookings of the provider's statement file.

        Raises:
            StatementError: there are no statements, or this is none.
        """


@dataclass(frozen=True, slots=True)
class CounterProvider:
    """The house's own cashiers."""

    channel: Channel

    def test(self, office: Office) -> str:
        """Whether there is a drawer for the money."""
        with office.reading() as connection:
            drawer = connection.scalar(
                select(accounts.c.account).where(
                    accounts.c.account == Tender.CASH.account,
                    accounts.c.currency == office.currency.code,
                )
            )
            wanted = connection.scalar(select(cash_settings.c.shifts_required))
        if drawer is None:
            raise ChannelDownError(f"No drawer of this house holds {office.currency.code}.")
        return f"Cash is taken {'in an open shift only' if wanted else 'in a shift or without'}."

    def statement(self, office: Office, content: bytes) -> Iterator[Line | BadLine]:
        """None: drawers are counted (`meterhouse shift`)."""
        raise StatementError("The counter has no statement: its drawers are counted by shift.")


@dataclass(frozen=True, slots=True)
class FileProvider:
    """A bank, or whoever sends files."""

    channel: Channel

    def test(self, office: Office) -> str:
        """Whether its files could be read."""
        settings = self.channel.settings.get("statement", {})
        form = settings.get("format")
        if form == "camt":
            return "CAMT.053 files are read."
        if form != "csv":
            raise ChannelSettingsError(
                f"Say how the files of {self.channel.name} are written: `meterhouse channel set "
                f"{self.channel.name} --statement camt`, or --statement csv --mapping NAME."
            )
        try:
            mapping = load_mapping(str(settings.get("mapping", "generic")))
        except BankMappingError as fault:
            raise ChannelSettingsError(str(fault)) from None
        return f"CSV files are read by the mapping {mapping.name}."

    def statement(self, office: Office, content: bytes) -> Iterator[Line | BadLine]:
        """The file itself."""
        return statement_lines(office, self.channel, content)


@dataclass(frozen=True, slots=True)
class WebHookProvider:
    """A wallet that posts signed messages."""

    channel: Channel

    def test(self, office: Office) -> str:
        """Whether its key is there and works."""
        hook = Hook.of(self.channel)
        if isinstance(hook.key, SharedSecret):
            now = office.now()
            timestamp, body = str(int(now.timestamp())), b"{}"
            signature = hook.key.sign(timestamp, "test", body)
            require_signed(hook.key, Signed(timestamp, "test", signature, body), now)
        return f"Messages are checked by {hook.key!r}, within {hook.window_s} s."

    def statement(self, office: Office, content: bytes) -> Iterator[Line | BadLine]:
        """As the channel's settings say."""
        return statement_lines(office, self.channel, content)


@dataclass(frozen=True, slots=True)
class VoucherProvider:
    """The vending house's vouchers."""

    channel: Channel

    def test(self, office: Office) -> str:
        """Whether PINs can be looked up."""
        with office.reading() as connection:
            house_salt(connection)
        return "Vouchers of this house are redeemed."

    def statement(self, office: Office, content: bytes) -> Iterator[Line | BadLine]:
        """None: each voucher is in the house's own books."""
        raise StatementError("Vouchers are this house's own: `meterhouse voucher list` has them.")


_PROVIDERS: Final[Mapping[Adapter, type[Provider]]] = {
    Adapter.COUNTER: CounterProvider,
    Adapter.FILE: FileProvider,
    Adapter.WEB_HOOK: WebHookProvider,
    Adapter.VOUCHER: VoucherProvider,
}


def provider_of(channel: Channel) -> Provider:
    """Who is behind a channel."""
    made: Provider = _PROVIDERS[channel.adapter](channel)  # type: ignore[call-arg]
    return made
