"""Receipts: as data, and as text on 48 columns against the files in ``golden``.

``METERHOUSE_WRITE_GOLDEN=1`` writes the files anew; read what changed before you keep it.
"""

from __future__ import annotations

import json
import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shop.conftest import Clock
from vending import (
    KeyChangeRequest,
    Meter,
    NewMeter,
    Price,
    Receipt,
    Shop,
    VendRequest,
    receipt_text,
)
from vending.receipts.columns import COLUMNS
from vending.receipts.receipt import (
    KeyPart,
    LinePart,
    MeterPart,
    PaymentPart,
    Reason,
    ReceiptKind,
    SellerPart,
    TokenPart,
)
from vending.shop.requests import canonical_json
from vending.sts import grouped, make_drn

GOLDEN = Path(__file__).with_name("golden")
STA_METER = make_drn("07", "00000077")


def require_golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("METERHOUSE_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def columns(line: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line
    )


def sale(shop: Shop, number: str, amount: int = 10_000) -> Receipt:
    request = VendRequest("kiosk", "5f0c-1", number, amount, operator="ben", terminal="Till 2")
    return shop.vend(request).require_done()


def test_a_credit_receipt(shop: Shop, meter: Meter) -> None:
    require_golden("credit", receipt_text(sale(shop, meter.number)))


def test_a_copy_of_a_receipt_with_sample_tables(shop: Shop, clock: Clock) -> None:
    shop.add_meter(NewMeter(STA_METER, customer="王小明", location="幸福路 12 号", algorithm=7))
    shop.vend(VendRequest("kiosk", "earlier", STA_METER, 5_000)).require_done()
    clock.advance(days=12)
    receipt_no = sale(shop, STA_METER, 123_45).receipt_no
    require_golden("copy_sta", receipt_text(shop.reprint(receipt_no)))


def test_a_key_change_receipt(shop: Shop) -> None:
    shop.add_meter(NewMeter(STA_METER, customer="Anna Example", base_year=1993))
    changed = shop.key_change(
        KeyChangeRequest(
            "kiosk", "5f0c-2", STA_METER, krn=2, base_year=2014, ken=200, operator="ben"
        )
    )
    require_golden("key_change", receipt_text(changed.require_done()))


def test_a_receipt_in_json_is_the_receipt(shop: Shop, meter: Meter) -> None:
    receipt = sale(shop, meter.number)
    plain = json.loads(json.dumps(receipt.to_json()))
    assert Receipt.from_json(plain) == receipt
    assert plain["issued_at"] == "2026-11-21T09:30:00.000000Z"
    assert plain["tokens"][0]["digits"] == receipt.token
    assert plain["test_marks"] == ["public test keys"]


def test_a_receipt_tells_what_its_token_cost_and_in_which_shift(shop: Shop, meter: Meter) -> None:
    assert sale(shop, meter.number).shift_no is None
    shift = shop.shifts.open(operator="ben", terminal="Till 2")
    shop.set_price(Price(per_kwh=25_000, tax_bp=1_600), operator="ben")
    request = VendRequest(
        "kiosk",
        "5f0c-9",
        meter.number,
        10_000,
        operator="ben",
        terminal="Till 2",
        confirmed_second=True,
    )
    receipt = shop.vend(request).require_done()
    assert receipt.payment is not None
    lines = {line.kind: line.amount_minor for line in receipt.payment.lines}
    (token,) = receipt.tokens
    assert (token.amount_minor, token.tax_minor) == (lines["energy"], lines["tax"])
    assert token.tax_minor > 0
    assert receipt.shift_no == shift.batch_id


def test_the_mark_is_there_only_when_it_must_be(shop: Shop, meter: Meter) -> None:
    receipt = sale(shop, meter.number)
    assert "TEST" in receipt_text(receipt)
    assert "TEST" not in receipt_text(replace(receipt, test_marks=()))


WORDS = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=200)
RECEIPTS = st.builds(
    Receipt,
    receipt_no=st.integers(1, 10**18),
    kind=st.sampled_from(ReceiptKind),
    issued_at=st.datetimes(timezones=st.timezones()),
    zone=st.sampled_from(["UTC", "Africa/Lagos", "Asia/Kathmandu"]),
    client=WORDS,
    message_id=WORDS,
    seller=st.builds(SellerPart, WORDS, WORDS, WORDS, WORDS, WORDS, WORDS),
    meter=st.builds(
        MeterPart,
        number=st.just(STA_METER),
        algorithm=st.just(11),
        customer=WORDS,
        location=WORDS,
        key=st.just(KeyPart("123457", 1, 2, "01", 1993, 255)),
        new_key=st.none() | st.just(KeyPart("123457", 2, 2, "01", 2014, 200)),
    ),
    tokens=st.lists(
        st.builds(
            TokenPart,
            WORDS,
            st.from_regex(r"[0-9]{20}", fullmatch=True),
            st.integers(0, 10**7),
            st.none(),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    payment=st.none()
    | st.builds(
        PaymentPart,
        currency=st.just("ZAR"),
        minor_digits=st.integers(0, 4),
        tender=st.just("cash"),
        tendered_minor=st.integers(0, 10**15),
        change_minor=st.integers(0, 10**15),
        price_id=st.just(1),
        price_per_kwh=st.just(1),
        tax_bp=st.just(0),
        lines=st.lists(st.builds(LinePart, WORDS, st.integers(0, 10**15), WORDS)).map(tuple),
    ),
    messages=st.lists(WORDS, max_size=2).map(tuple),
    test_marks=st.lists(WORDS, max_size=2).map(tuple),
)


@given(RECEIPTS)
def test_no_line_is_wider_than_the_paper_and_no_token_is_broken(receipt: Receipt) -> None:
    text = receipt_text(receipt)
    assert max(columns(line) for line in text.split("\n")) <= COLUMNS
    for token in receipt.tokens:
        assert grouped(token.digits) in text


@pytest.mark.parametrize("name", ["credit", "copy_sta", "key_change"])
def test_the_golden_receipts_fit_the_paper(name: str) -> None:
    lines = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").split("\n")
    assert max(map(columns, lines)) <= COLUMNS


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_PLAIN)
def test_a_value_has_one_spelling_whoever_writes_it(value: Any) -> None:
    spelt = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert canonical_json(value) == spelt.encode()


@given(st.text())
def test_a_receipt_is_spelt_as_its_plain_values(name: str) -> None:
    assert canonical_json(Reason(name, (name, "x"))) == canonical_json(
        {"code": name, "values": [name, "x"]}
    )
