"""What the request of each two-person act holds: what the second person reads.  Pure.

An approval for a request that nobody can make is worth nothing, and looks as if it were: a
mistyped field is refused when the approval is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vending.people.acts import Act
from vending.shop.faults import RequestFormatError
from vending.shop.values import pan_of, require_whole

_WHOLE: Final = "whole number"
_TEXT: Final = "text"
_METER: Final = "meter number"
_TABLE: Final = "object"
_WHOLE_OR_NULL: Final = "whole number or null"
_DEPTH_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Essence:
    """The fields of an act's request, and of which kind each is."""

    required: Mapping[str, str]
    one_or_more_of: Mapping[str, str]
    """Empty: there are only the required ones."""

    @property
    def words(self) -> str:
        """For people: ``meter, units, reason``."""
        required = ", ".join(self.required)
        if not self.one_or_more_of:
            return required
        choice = f"one or more of {', '.join(self.one_or_more_of)}"
        return f"{required}, {choice}" if required else choice


_KEY_CHANGE: Final = {
    "sgc": _TEXT,
    "krn": _WHOLE,
    "key_type": _WHOLE,
    "tariff_index": _TEXT,
    "base_year": _WHOLE,
    "ken": _WHOLE,
}
_ENGINEERING: Final = Essence({"meter": _METER, "act": _TEXT, "value": _WHOLE, "reason": _TEXT}, {})
ESSENCES: Final[Mapping[Act, Essence]] = {
    Act.FREE_ISSUE: Essence({"meter": _METER, "units": _WHOLE, "reason": _TEXT}, {}),
    Act.REPLACEMENT: Essence(
        {"meter": _METER, "old_meter": _METER, "units": _WHOLE, "reason": _TEXT}, {}
    ),
    Act.REFUND: Essence({"receipt_no": _WHOLE, "reason": _TEXT}, {}),
    Act.CLEAR_CREDIT: _ENGINEERING,
    Act.CLEAR_TAMPER: _ENGINEERING,
    Act.METER_RATE: _ENGINEERING,
    Act.KEY_CHANGE: Essence({"meter": _METER}, _KEY_CHANGE),
    Act.DEBT_WRITE_OFF: Essence({"debt_id": _WHOLE, "amount_minor": _WHOLE_OR_NULL}, {}),
    Act.VENDOR_CREDIT: Essence(
        {"credit_limit_minor": _WHOLE}, {"vendor_id": _WHOLE, "vendor": _TEXT}
    ),
    Act.BULK_VEND: Essence({"bookings": _TABLE}, {}),
    Act.COUNTER_RULES: Essence(
        {
            "double_sale_window_s": _WHOLE,
            "free_issue_limit_units": _WHOLE,
            "replacement_limit_units": _WHOLE,
            "free_basic_units": _WHOLE,
            "key_expiry_warning_days": _WHOLE,
            "clock_ahead_max_h": _WHOLE,
        },
        {},
    ),
    Act.VOUCHER_BATCH: Essence({"voucher_batch": _WHOLE, "reseller": _TEXT}, {}),
    Act.CAMPAIGN: Essence({"campaign": _TEXT, "selection": _TABLE, "changes": _TABLE}, {}),
    Act.KEY_CUSTODY: Essence(
        {}, {"import": _TEXT, "export": _TEXT, "generate": _TEXT, "withdraw": _TEXT}
    ),
}
"""Of the acts that ask for an approval today."""


def require_essence(act: Act, essence: Mapping[str, Any]) -> None:
    """Refuse what the request of this act cannot be.

    Raises:
        RequestFormatError: says which field is missing, unknown or of another kind.
        CheckDigitError, InvalidValueError: not a meter number.
    """
    _require_plain(essence, _DEPTH_MAX)
    known = ESSENCES.get(act)
    if known is None:
        return
    allowed = {**known.required, **known.one_or_more_of}
    missing = [name for name in known.required if name not in essence]
    unknown = sorted(set(essence) - set(allowed))
    if missing or unknown or not set(essence) & set(known.one_or_more_of or allowed):
        raise RequestFormatError(
            f"The request of {act.value} has the fields: {known.words}. "
            f"Missing: {', '.join(missing) or '-'}; unknown: {', '.join(unknown) or '-'}."
        )
    for name, value in essence.items():
        _require_kind(name, value, allowed[name])


def _require_kind(name: str, value: object, kind: str) -> None:
    if kind == _WHOLE or (kind == _WHOLE_OR_NULL and value is not None):
        require_whole(name, value)
    elif (kind in (_TEXT, _METER) and not isinstance(value, str)) or (
        kind == _TABLE and not isinstance(value, Mapping)
    ):
        raise RequestFormatError(f"{name} must be: {kind}.")
    elif kind == _METER and pan_of(str(value)).drn != value:
        raise RequestFormatError(
            f"{name} must be the meter's number without spaces and prefix: "
            f"{pan_of(str(value)).drn}."
        )


def _require_plain(value: object, depth: int) -> None:
    """Texts, whole numbers, yes and no, null, and objects and lists of them."""
    if depth < 0:
        raise RequestFormatError("A request to be approved is nested too deeply to be read.")
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise RequestFormatError("A request's fields are named by texts.")
        inner = list(value.values())
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif value is None or isinstance(value, str | bool | int):
        return
    else:
        raise RequestFormatError(
            "A request to be approved has texts and whole numbers only, no "
            f"{type(value).__name__}: money is whole minor units, energy whole tenths."
        )
    for each in inner:
        _require_plain(each, depth - 1)
