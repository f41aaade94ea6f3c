"""Figures of an example for each event: for previews, and for the tests of texts."""

from __future__ import annotations

from datetime import datetime, timedelta

from billing.notices.wording import fields_of

_NAMED = {
    "reason": "arrears",
    "bill_number": "B-2026-000123",
    "reference": "RC-4711",
    "marketing": "Cheaper at night: ask us about the time-of-use tariff.",
    "refund_channel": "bank",
    "role": "duty",
    "worst": "critical",
    "list": "17  critical  feeder 12 is out\n18  warning  line 3 is silent",
    "first": "feeder 12 is out",
}


def sample_of(event: str, now: datetime, *, only_needed: bool = False) -> dict[str, str | int]:
    """What a notice of an event could say.

    Args:
        event: which.
        now: the example is of this time.
        only_needed: leave out what may be missing.
    """
    fields = fields_of(event)
    names = fields.needed if only_needed else fields.needed | fields.known
    return {name: _value(name, now) for name in sorted(names)}


def _value(name: str, now: datetime) -> str | int:
    if name in _NAMED:
        return _NAMED[name]
    if name.endswith("_minor"):
        return 1_234_56
    if name.endswith("_wh"):
        return 312_400
    if name.endswith("_at"):
        return (now + timedelta(days=3)).isoformat()
    if name.endswith("_on"):
        return (now + timedelta(days=14)).date().isoformat()
    return 4
