"""Any receipt that a shop may have stored, this version's or an older one's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from hypothesis import strategies as st

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

WORDS: Final = st.text(
    st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=200
)
_EUROPEAN: Final = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_categories=["C"]), max_size=60
)
_MONEY: Final = st.integers(-(10**15), 10**15)
_CODES: Final = st.sampled_from(
    ["", "credit", "key_change", "clear_tamper", "water_factor", "of_a_newer_program"]
)


def _reasons(words: st.SearchStrategy[str]) -> st.SearchStrategy[Reason]:
    return st.builds(
        Reason,
        st.sampled_from(["units_at_price", "old_credit_first", "debt_paid", "of_a_newer_program"]),
        st.lists(words, max_size=4).map(tuple),
    )


def receipts(words: st.SearchStrategy[str] = WORDS) -> st.SearchStrategy[Receipt]:
    """Receipts with any words."""
    reason = st.none() | _reasons(words)
    payment = st.builds(
        PaymentPart,
        currency=st.just("ZAR"),
        minor_digits=st.integers(0, 4),
        tender=st.sampled_from(["cash", "wallet", "of a newer program"]),
        tendered_minor=st.integers(0, 10**15),
        change_minor=st.integers(0, 10**15),
        lines=st.lists(
            st.builds(LinePart, st.just("energy") | words, _MONEY, words, reason), max_size=4
        ).map(tuple),
        tariff=words,
        tariff_version=st.none() | st.integers(1, 10**6),
        debts=st.lists(st.builds(DebtPart, words, _MONEY, _MONEY), max_size=2).map(tuple),
    )
    return st.builds(
        Receipt,
        receipt_no=st.integers(1, 10**18),
        kind=st.sampled_from(ReceiptKind),
        issued_at=st.datetimes(
            datetime.fromisoformat("1993-01-01"),
            datetime.fromisoformat("2100-01-01"),
            timezones=st.just(UTC),
        ),
        zone=st.sampled_from(["UTC", "Africa/Lagos", "Asia/Kathmandu"]),
        client=words,
        message_id=words,
        seller=st.builds(SellerPart, words, words, words, words, words, words),
        meter=st.builds(
            MeterPart,
            number=st.just("07000000773"),
            algorithm=st.sampled_from([7, 11]),
            customer=words,
            location=words,
            key=st.just(KeyPart("123457", 1, 2, "01", 1993, 255)),
            new_key=st.none() | st.just(KeyPart("123457", 2, 2, "01", 2014, 200)),
            resource=st.sampled_from(["electricity", "water", "gas", "time", "heat"]),
            account=words,
        ),
        tokens=st.lists(
            st.builds(
                TokenPart,
                words,
                st.from_regex(r"[0-9]{20}", fullmatch=True),
                st.integers(0, 10**7),
                st.none(),
                _CODES,
                st.integers(0, 10**9),
                st.integers(0, 10**9),
            ),
            max_size=5,
        ).map(tuple),
        payment=st.none() | payment,
        messages=st.lists(words, max_size=2).map(tuple),
        test_marks=st.lists(st.just("public test keys") | words, max_size=2).map(tuple),
        days_since_last=st.none() | st.integers(0, 10**5),
        message_reasons=st.lists(_reasons(words), max_size=2).map(tuple),
        shift_no=st.none() | st.integers(1, 10**6),
        type_code=st.sampled_from(["000", "003", "005", "010"]),
        reversed_receipt_no=st.none() | st.integers(1, 10**6),
        copy_no=st.integers(0, 99),
    )


EUROPEAN_RECEIPTS: Final = receipts(_EUROPEAN)
"""Receipts whose letters every PDF has."""
