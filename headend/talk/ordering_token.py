"""20 digits by wire (docs/token-block.md): the sequence number, chosen before, settles it.

That a token did not arrive is shown only by a report that is still the one from before it was sent.
A report of a third token shows nothing: the meter keeps the last one only.

A token that the meter knows as used was typed at the keypad before it came by wire: the customer
has what was paid for, and the order is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headend.talk.ordering_values import (
    Call,
    OrderOutcome,
    Ready,
    done,
    not_done,
    unknown,
)
from protocols.dlt645.master import TokenLoad
from protocols.dlt645.master.orders import read_until
from protocols.modbus import ModbusValueError, load_token
from protocols.modbus import TokenLoad as ModbusTokenLoad
from protocols.outcomes import Outcome
from protocols.token_block import TokenResult, fingerprint, following_sequence
from protocols.token_block.dlt645 import REPORT_DI, keypad_items

_ACCEPTED: Final = frozenset(result.word for result in TokenResult if result.is_accepted)
_USED: Final = TokenResult.USED_ERROR.word
_KEYPAD: Final = "The customer can type it at the keypad."
_LOOK: Final = (
    "Whether the meter took this one shows only at the meter: have somebody look at its credit, "
    "then say so with `meterhouse order settle --as done` or `--as failed`."
)
_FINISH_S: Final = 10.0
_REPORT: Final = (
    "token_sequence",
    "token_status",
    "token_result",
    "token_fingerprint",
    "token_credit_added",
    "token_credit_after",
)


@dataclass(frozen=True, slots=True)
class TokenWay:
    """Either protocol: they report by the same names."""

    call: Call

    async def prepare(self) -> Ready | OrderOutcome:
        """See `Way`."""
        if self.call.device.is_modbus:
            spec = self.call.meter.profile.token
            if spec is None:
                raise ModbusValueError("This meter takes no tokens by wire.")
            if not spec.has_sequence:
                await self._report()
                return Ready({})
        before = _known_by(await self._report())
        last = before["sequence_before"]
        return Ready({"sequence": following_sequence(last or 0), **before})

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        assert self.call.command.digits is not None, "a token order is sent with its digits"
        sequence = evidence.get("sequence")
        result: TokenLoad | ModbusTokenLoad
        if self.call.device.is_modbus:
            result = await load_token(self.call.meter, self.call.command.digits, sequence)
        else:
            result = await self.call.master.load_token(
                self.call.device.address,
                self.call.command.digits,
                int(evidence["sequence"]),
                self.call.key.password,
                self.call.key.operator,
            )
        if result.outcome is Outcome.FAILED and result.was_sent and not _is_told(result):
            return await self.look(evidence)  # by what was there before, which the load knows not
        return _outcome(result)

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """See `Way`."""
        sequence = evidence.get("sequence")
        if sequence is None:
            return unknown(f"This meter does not tell which token it saw. {_KEYPAD}")
        report = await read_until(
            self._report,
            lambda now: (
                now.get("token_sequence") != sequence or now.get("token_status") == "finished"
            ),
            _FINISH_S,
        )
        if report.get("token_sequence") == sequence:
            if report.get("token_fingerprint") not in (None, self._fingerprint):
                return unknown(f"Its number is another token's. {_LOOK}")
        elif _is_as_before(report, evidence):
            return not_done(f"The token did not reach the meter. {_KEYPAD}")
        else:
            return unknown(f"Another token came to the meter after it was sent. {_LOOK}")
        if report.get("token_status") != "finished":
            return unknown("The meter has not finished with it.")
        return _judged(report)

    @property
    def _fingerprint(self) -> int:
        return int(self.call.command.says["fingerprint"])

    async def _report(self) -> Mapping[str, Any]:
        if self.call.device.is_modbus:
            meter = self.call.meter
            readings = await meter.read([name for name in _REPORT if name in meter.profile.items])
            for fault in readings.faults.values():
                raise fault
            return readings.values
        answer = await self.call.master.read(self.call.device.address, REPORT_DI)
        return keypad_items()[REPORT_DI].decode(answer.data)


def fingerprint_of(digits: str) -> int:
    """What an order keeps of a token.

    Raises:
        TokenBlockError: not 20 digits.
    """
    return fingerprint(digits)


def _known_by(report: Mapping[str, Any]) -> dict[str, int | None]:
    """What tells one report from the next, as evidence; numbers that the meter has not are None."""
    return {
        f"{name}_before": value if isinstance(value := report.get(f"token_{name}"), int) else None
        for name in ("sequence", "fingerprint")
    }


def _is_as_before(report: Mapping[str, Any], evidence: Mapping[str, Any]) -> bool:
    """Whether the meter has seen no token by wire since the evidence was taken."""
    now = _known_by(report)
    return all(name in evidence and evidence[name] == value for name, value in now.items())


def _is_told(result: TokenLoad | ModbusTokenLoad) -> bool:
    """Whether the meter itself said what came of the token."""
    return result.result is not None or result.refusal is not None


def _judged(report: Mapping[str, Any]) -> OrderOutcome:
    result = report.get("token_result")
    details = _known(
        {
            "result": result,
            "sequence": report.get("token_sequence"),
            "credit_added_wh": report.get("token_credit_added"),
            "credit_wh": report.get("token_credit_after"),
        }
    )
    if result in _ACCEPTED:
        return done(f"The meter says {result}.", **details)
    if result == _USED:
        return done("The meter had it before: typed at the keypad.", **details)
    return not_done(f"The meter says {result}. {_KEYPAD}", **details)


def _outcome(result: TokenLoad | ModbusTokenLoad) -> OrderOutcome:
    details = _known(
        {
            "result": result.result,
            "sequence": result.sequence,
            "credit_added_wh": result.credit_added_wh,
            "credit_wh": result.credit_wh,
            "locked_for_s": result.locked_for_s or None,
        }
    )
    if result.result == _USED:
        return done("The meter had it before: typed at the keypad.", **details)
    words = result.text if result.outcome is Outcome.DONE else f"{result.text} {_KEYPAD}"
    return OrderOutcome(
        outcome=result.outcome, words=words, was_sent=result.was_sent, details=details
    )


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
