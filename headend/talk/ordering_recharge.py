"""Money into a money meter: the purchase count tells whether it fits, and whether it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headend.talk.ordering_values import (
    Call,
    OrderOutcome,
    Ready,
    done,
    failed,
    not_done,
    unknown,
)
from protocols.dlt645.master import PurchaseKind
from protocols.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class RechargeWay:
    """070102FF, or 070101FF for the first one (spec section 3); a module makes the MACs."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        if self.call.module is None:
            return failed(
                "No module makes purchase MACs here: money meters cannot be recharged. Name one "
                "with METERHOUSE_PURCHASE_MODULE to `meterhouse serve`; see docs/orders.md."
            )
        count, client = await self._state()
        if client is not None and not self._first and client != self._client:
            return failed(f"The meter belongs to client {client}, not {self._client}.")
        return Ready({"count": count + 1, "count_before": count})

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        assert self.call.module is not None, "prepare has seen to it"
        result = await self.call.master.pay(
            self.call.device.address,
            self.call.module,
            self._amount,
            int(evidence["count"]),
            self._client,
            self.call.key.operator,
            first=self._first,
        )
        details: dict[str, Any] = {"count": evidence["count"]}
        if result.after is not None:
            details["remaining_minor"] = result.after.remaining_cents
        return OrderOutcome(
            outcome=result.outcome, words=result.text, was_sent=result.was_sent, details=details
        )

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        wanted, before = int(evidence["count"]), int(evidence["count_before"])
        count, _ = await self._state()
        details: dict[str, Any] = {"count": count}
        if count == before:
            return not_done(f"Nothing was added: the purchase count is still {count}.", **details)
        if count < wanted:
            return unknown(f"The meter's purchase count is {count}; it was {before}.", **details)
        nth = count - wanted + 1
        bought = await self._bought(nth, wanted)
        if bought is None:
            return unknown(
                f"The meter has a purchase {wanted}; whether it is this one cannot be compared.",
                **details,
            )
        if bought != self._amount:
            return not_done(
                f"The meter's purchase {wanted} is another one, of {bought} minor units.", **details
            )
        return done(f"The meter has purchase {wanted}.", **details)

    @property
    def _amount(self) -> int:
        return int(self.call.command.says["amount_minor"])

    @property
    def _client(self) -> str:
        return str(self.call.command.says["client_number"])

    @property
    def _first(self) -> bool:
        return bool(self.call.command.says.get("first", False))

    async def _state(self) -> tuple[int, str | None]:
        """The purchase count and the client: of 078102FF, or of the purchase records."""
        master, address = self.call.master, self.call.device.address
        try:
            status = await master.prepayment_status(address, self.call.key.operator)
        except RemoteProtocolError:
            async for record in master.purchases(address, PurchaseKind.MONEY, 1):
                return record.count or 0, None
            raise
        return status.purchase_count, status.client_number

    async def _bought(self, nth: int, count: int) -> int | None:
        """The amount of the purchase with this count; None where the meter does not tell."""
        purchases = self.call.master.purchases(self.call.device.address, PurchaseKind.MONEY, nth)
        async for record in purchases:
            if record.count == count:
                return record.bought
        return None
