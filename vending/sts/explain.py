"""A token field by field, for a person who wants to see how it is built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Final

from vending.sts.content import (
    CREDIT_CLASS,
    MANAGEMENT_CLASS,
    TEST_CLASS,
    TEST_NAMES,
    ClearCredit,
    Content,
    CreditRegister,
    CurrencyCredit,
    InitiateMeterTest,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    TransferCredit,
    token_name,
)
from vending.sts.tid import BaseDate, time_of
from vending.sts.token import DecodedToken

_CLASS_NAMES: Final = {
    CREDIT_CLASS: "credit, encrypted",
    TEST_CLASS: "meter test or display, not encrypted: works in every meter",
    MANAGEMENT_CLASS: "management, encrypted",
    3: "reserved",
}
_UNITS: Final = {
    Service.ELECTRICITY: "kWh",
    Service.WATER: "m3",
    Service.GAS: "m3",
    Service.TIME: "min",
}


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One field of a token."""

    field: str
    """The standard's name."""
    bits: int
    """Its width."""
    value: str
    meaning: str


def explain(decoded: DecodedToken, base: BaseDate | None) -> list[FieldLine]:
    """The fields of a token in the order of the standard.

    Sections of a decoder key are not shown.  Of a token whose CRC is wrong only the class is
    told, because nothing that was decrypted can be trusted.
    """
    token_class, subclass = decoded.token_class, decoded.subclass
    name = token_name(token_class, subclass)
    head = [
        FieldLine("Class", 2, str(token_class), _CLASS_NAMES[token_class]),
        FieldLine("SubClass", 4, str(subclass), name),
    ]
    if decoded.content is None:
        return [
            *head[:1],
            FieldLine("CRC", 16, "wrong", "mistyped, or made for another meter, key or tables"),
        ]
    return [
        *head,
        *_content_lines(decoded.content, base),
        FieldLine("CRC", 16, "right", "made for this meter and key, and typed without fault"),
    ]


def tenths(amount: int, unit: str) -> str:
    """Tenths of a unit as a decimal number with its unit."""
    return f"{amount // 10:,}.{amount % 10} {unit}"


def _stamp_lines(rnd: int, tid: int, base: BaseDate | None) -> list[FieldLine]:
    if base is None:
        when = "minutes since the base date; give --base-year for the time of issue"
    else:
        when = f"issued {time_of(tid, base).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return [
        FieldLine("RND", 4, str(rnd), "random"),
        FieldLine("TID", 24, str(tid), f"{when}; key expiry number (KEN) {tid >> 16} needed"),
    ]


def _content_lines(content: Content, base: BaseDate | None) -> list[FieldLine]:
    match content:
        case InitiateMeterTest():
            return _test_lines(content)
        case Set1stSectionDecoderKey():
            return [
                FieldLine("KENHO", 4, str(content.ken_high), "key expiry number, high half"),
                FieldLine("KRN", 4, str(content.krn), "key revision"),
                FieldLine(
                    "RO", 1, str(int(content.rollover)),
                    "meter forgets used tokens" if content.rollover else "used tokens stay used",
                ),
                FieldLine(
                    "3KCT", 1, str(int(content.three_tokens)),
                    "a third token follows" if content.three_tokens else "",
                ),
                FieldLine("KT", 2, str(int(content.key_type)), content.key_type.name.lower()),
                FieldLine("NKHO", 32, "hidden", "new key, high-order 32 bits"),
            ]  # fmt: skip
        case Set2ndSectionDecoderKey():
            return [
                FieldLine("KENLO", 4, str(content.ken_low), "key expiry number, low half"),
                FieldLine("TI", 8, f"{content.tariff_index:02d}", "tariff index"),
                FieldLine("NKLO", 32, "hidden", "new key, low-order 32 bits"),
            ]
        case Set3rdSectionDecoderKey():
            return [
                FieldLine("SGCLO", 12, str(content.sgc_low), "supply group code, low 12 bits"),
                FieldLine("NKMO2", 32, "hidden", "new key, bits 95-64"),
            ]
        case Set4thSectionDecoderKey():
            return [
                FieldLine("SGCHO", 12, str(content.sgc_high), "supply group code, high 12 bits"),
                FieldLine("NKMO1", 32, "hidden", "new key, bits 63-32"),
            ]
    rnd, tid = getattr(content, "rnd", None), getattr(content, "tid", None)
    if rnd is None or tid is None:
        return [FieldLine("Content", 44, f"{getattr(content, 'raw', 0):011x}", "not ours to read")]
    return [*_stamp_lines(rnd, tid, base), _word_line(content)]


def _word_line(content: Content) -> FieldLine:
    """The last 16 bits of a stamped token."""
    match content:
        case TransferCredit():
            unit = _UNITS[content.service]
            meaning = f"{tenths(content.amount, unit)} of {content.service.name.lower()}"
            return FieldLine("Amount", 16, str(content.amount), meaning)
        case CurrencyCredit():
            return FieldLine("Amount", 16, f"{content.raw_amount:04x}", "raw: coding unconfirmed")
        case SetMaximumPowerLimit():
            return FieldLine("MPL", 16, str(content.limit_w), f"{content.limit_w:,} W")
        case SetMaximumPhasePowerUnbalanceLimit():
            return FieldLine("MPPUL", 16, str(content.limit_w), f"{content.limit_w:,} W")
        case ClearCredit():
            return FieldLine("Register", 16, f"{content.register:04X}", _register(content))
        case SetTariffRate():
            return FieldLine("Rate", 16, str(content.rate), "")
        case SetWaterMeterFactor():
            return FieldLine("WMFactor", 16, str(content.factor), "")
    return FieldLine("Pad", 16, "", "")


def _register(content: ClearCredit) -> str:
    try:
        name = CreditRegister(content.register).name.lower().replace("_", " ")
    except ValueError:
        return "no register that the standard names"
    return "all registers" if name == "all" else name


def _test_lines(content: InitiateMeterTest) -> list[FieldLine]:
    wide = content.four_digit_manufacturer
    numbers = [bit for bit in range(36) if content.control >> bit & 1]
    asked = ", ".join(TEST_NAMES.get(bit, f"test {bit}") for bit in numbers) or "nothing"
    maker = content.manufacturer_code
    return [
        FieldLine("Control", 28 if wide else 36, f"{content.control:x}", asked),
        FieldLine(
            "MfrCode", 16 if wide else 8, str(maker), f"maker {maker}" if maker else "any maker"
        ),
    ]
