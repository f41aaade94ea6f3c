"""Receipts of every kind, as the shop would store them, for tests of their prints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from vending.receipts.receipt import (
    DebtPart,
    KeyPart,
    LinePart,
    MeterPart,
    PaymentPart,
    Reason,
    Receipt,
    ReceiptKind,
    SellerPart,
    TokenPart,
)

_SELLER: Final = SellerPart(
    "City Power", "12 Main Road, Springfield", "4012345678", "Corner Shop", "Till 2", "ben"
)
_KEY: Final = KeyPart("123457", 1, 2, "01", 1993, 255)
_NEW_KEY: Final = KeyPart("123457", 2, 2, "01", 2014, 200)
_METER: Final = MeterPart(
    "07000000013", 11, "Anna Example", "Block 4, House 12", _KEY, None, account="AC-0042"
)
_TEST: Final = ("public test keys", "sample STA tables")


def _receipt(kind: ReceiptKind, **parts: Any) -> Receipt:
    return Receipt(
        **{
            "receipt_no": 1042,
            "kind": kind,
            "issued_at": datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
            "zone": "Africa/Johannesburg",
            "client": "kiosk",
            "message_id": "5f0c-1",
            "seller": _SELLER,
            "meter": _METER,
            "tokens": (),
            "payment": None,
            "messages": (),
            "test_marks": _TEST,
            **parts,
        }
    )


CREDIT: Final = _receipt(
    ReceiptKind.CREDIT,
    tokens=(TokenPart("Electricity", "37918669236230853317", 1234, 99, "credit", 20_000, 3_000),),
    payment=PaymentPart(
        "ZAR",
        2,
        "cash",
        30_000,
        17,
        (
            LinePart("fee", 500, "payment by cash", Reason("fee_cash")),
            LinePart(
                "charge",
                1_500,
                "Service, 2026-11",
                Reason("charge_of_month", ("Service", "2026-11")),
            ),
            LinePart(
                "debt",
                5_000,
                "Fridge loan, 450.50 left",
                Reason("debt_paid", ("Fridge loan", "450.50")),
            ),
            LinePart(
                "energy",
                10_000,
                "50.0 kWh @ 2.00",
                Reason("units_at_price", ("50.0", "kWh", "2.00")),
            ),
            LinePart(
                "energy",
                10_000,
                "73.4 kWh @ 1.3624",
                Reason("units_at_price", ("73.4", "kWh", "1.3624")),
            ),
            LinePart("tax", 3_000, "15 % VAT on energy", Reason("tax_on_energy", ("15", "VAT"))),
            LinePart(
                "rounding",
                -17,
                "less than a coin of 0.50",
                Reason("below_smallest_coin", ("0.50",)),
            ),
            LinePart("change", 17, "less than 0.1 kWh", Reason("less_than_a_unit", ("kWh",))),
        ),
        tariff="Domestic blocks",
        tariff_version=3,
        debts=(DebtPart("Fridge loan", 5_000, 45_050),),
    ),
    days_since_last=12,
    shift_no=7,
)
KEY_CHANGE_AND_CREDIT: Final = _receipt(
    ReceiptKind.CREDIT,
    meter=MeterPart("07000000773", 7, "王小明", "幸福路 12 号", _KEY, _NEW_KEY),
    tokens=(
        TokenPart("Key change: enter 1st", "13901830617728369953", 0, None, "key_change"),
        TokenPart("Key change: enter 2nd", "60557700154631445592", 0, None, "key_change"),
        TokenPart("Electricity", "17285138628710810920", 429, 98, "credit"),
    ),
    payment=PaymentPart(
        "ZAR", 2, "card", 12_345, 11, (LinePart("energy", 12_345, "42.9 kWh @ 2.50"),)
    ),
    messages=(
        "Enter credit tokens bought earlier first: after the key change the meter refuses them.",
    ),
    message_reasons=(Reason("old_credit_first"),),
    copy_no=2,
)
FREE_BASIC: Final = _receipt(
    ReceiptKind.FREE_BASIC,
    tokens=(TokenPart("Electricity", "09201939528031441390", 500, 97, "credit"),),
    type_code="010",
    test_marks=(),
)
ENGINEERING: Final = _receipt(
    ReceiptKind.ENGINEERING,
    tokens=(TokenPart("Clear tamper", "55921939528031441390", 0, None, "clear_tamper"),),
)
WATER: Final = _receipt(
    ReceiptKind.CREDIT,
    meter=MeterPart("07000000013", 11, "", "", _KEY, None, resource="water"),
    tokens=(TokenPart("Water", "00001939528031441390", 25, 97, "credit"),),
    payment=PaymentPart("XOF", 0, "wallet", 1_500, 0, (LinePart("energy", 1_500, ""),)),
)
ACCOUNT_PAYMENT: Final = _receipt(
    ReceiptKind.ACCOUNT_PAYMENT,
    payment=PaymentPart(
        "ZAR",
        2,
        "bank",
        5_000,
        0,
        (LinePart("debt", 5_000, "Fridge loan"),),
        debts=(DebtPart("Fridge loan", 5_000, 0),),
    ),
)
REVERSAL: Final = _receipt(
    ReceiptKind.REVERSAL,
    reversed_receipt_no=1041,
    payment=PaymentPart("ZAR", 2, "cash", 10_000, 0, (LinePart("energy", 10_000, ""),)),
)
SAMPLES: Final = {
    "credit": CREDIT,
    "key_change_and_credit": KEY_CHANGE_AND_CREDIT,
    "free_basic": FREE_BASIC,
    "engineering": ENGINEERING,
    "water": WATER,
    "account_payment": ACCOUNT_PAYMENT,
    "reversal": REVERSAL,
}
