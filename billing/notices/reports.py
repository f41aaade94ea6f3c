"""Providers' reports of delivery as they are posted, and what each is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import structlog
from sqlalchemy import select

from billing.faults import BillingError, OfficeUnavailableError
from billing.notices.channels.setup import adapter_of
from billing.notices.faults import NoticeChannelSettingsError, UnknownMessageError
from billing.notices.proofs import take_report
from billing.notices.tables import notice_channels
from billing.office import Office
from billing.payments.web_hook.receiving import Answer

log = structlog.get_logger("billing.notices")
_STATUS: Final[dict[type[BillingError], int]] = {
    NoticeChannelSettingsError: 401,
    UnknownMessageError: 404,
    OfficeUnavailableError: 503,
}


def signature_headers(office: Office) -> dict[str, str]:
    """By channel that takes reports: in which header its provider signs them, in lower case.

    Raises:
        NoticeChannelSettingsError: no channel does, or one cannot be used as it is set up.
    """
    with office.reading() as connection:
        rows = connection.execute(
            select(notice_channels.c.channel, notice_channels.c.adapter, notice_channels.c.settings)
        ).all()
    found: dict[str, str] = {}
    for row in rows:
        adapter = adapter_of(row.channel, row.adapter, row.settings)
        header = getattr(adapter, "signature_header", "")
        if header:
            found[row.channel] = header
    if not found:
        raise NoticeChannelSettingsError(
            "No channel takes reports yet: set its report_secret_file, report_reference_path and "
            "report_status_path (`meterhouse notice channels --set sms --by http ...`)."
        )
    return found


@dataclass(slots=True)
class Reports:
    """Takes what providers post for the channels that it was given.

    A report of a message that is not known is answered with 404: it may have come before we have
    kept that the message was taken, and providers report again.
    """

    office: Office
    headers: dict[str, str]
    taken: int = 0
    refused: int = 0
    _counting: Lock = field(default_factory=Lock)

    def receive(self, channel: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one report; it is kept when it is answered with success.

        Args:
            channel: by which path it came.
            headers: names in lower case.
            body: as it was posted, byte by byte.
        """
        header = self.headers.get(channel)
        if header is None:
            return Answer(404, "There is no such channel here.\n")
        try:
            take_report(self.office, channel, body, headers.get(header, ""))
        except BillingError as fault:
            with self._counting:
                self.refused += 1
            log.warning("report.refused", channel=channel, code=fault.code)
            status = next((each for kind, each in _STATUS.items() if isinstance(fault, kind)), 500)
            return Answer(status, f"{fault.code}\n")
        with self._counting:
            self.taken += 1
        return Answer(200, "taken\n")
