"""Reading statements: CAMT.053 in its versions, CSV by mappings, and what must be refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cash.camt import ACCOUNT, VERSIONS, Booking, Payment, statement
from vending.cash.bank.camt import read_camt
from vending.cash.bank.csv_file import known_mappings, load_mapping, read_csv
from vending.cash.bank.line import BadLine, Line, keyed, parse_minor
from vending.cash.bank.matching import meter_numbers, vendor_reference
from vending.cash.faults import BankFileError, BankMappingError
from vending.shop.money import scaled
from vending.sts import make_drn

ZAR = {"ZAR": 2}
METER = make_drn("07", "00000042")


def read(content: bytes) -> list[Line | BadLine]:
    return list(keyed(read_camt(io.BytesIO(content), ZAR)))


def lines(content: bytes) -> list[Line]:
    found = read(content)
    assert not [each for each in found if isinstance(each, BadLine)]
    return [each for each in found if isinstance(each, Line)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_the_same(version: str) -> None:
    bookings = [
        Booking([Payment("150.50", f"METER {METER}")], reference="R1"),
        Booking([Payment("20.00", "a"), Payment("30.25", "b", name="K Roe")], reference="R2"),
        Booking([Payment("9.99", "fee")], sign="DBIT"),
    ]
    found = lines(statement(bookings, version))
    assert [line.amount_minor for line in found] == [15_050, 2_000, 3_025, -999]
    assert {line.account for line in found} == {ACCOUNT}
    assert found[0].text == f"METER {METER}"
    assert (found[0].counterparty, found[0].counterparty_account) == ("J Doe", "ZA99PAYER1")
    assert [line.place for line in found] == ["", "1", "2", ""]
    assert found[2].counterparty == "K Roe"
    assert len({line.key for line in found}) == 4


def test_a_batch_whose_details_do_not_add_up_stays_one_booking() -> None:
    booking = Booking([Payment("20.00"), Payment("30.00")], amount="49.00")
    assert [line.amount_minor for line in lines(statement([booking]))] == [4_900]


@pytest.mark.parametrize(
    ("booking", "why"),
    [
        (Booking([Payment("1.00")], status="PDNG"), "not booked"),
        (Booking([Payment("1.00")], currency="EUR"), "currency is EUR"),
        (Booking([Payment("1.00")], sign="BOTH"), "neither CRDT nor DBIT"),
        (Booking([Payment("1.00")], day="yesterday"), "day of a booking"),
        (Booking([Payment("1.00")], amount="1.005"), "more than 2 digits"),
        (Booking([Payment("1.00")], amount="0"), "not above zero"),
        (Booking([Payment("1.00")], amount="1e3"), "not an amount"),
    ],
)
def test_a_bad_entry_is_told_and_the_others_are_taken(booking: Booking, why: str) -> None:
    bad, good = read(statement([booking, Booking([Payment("2.00")])]))
    assert isinstance(bad, BadLine)
    assert why in bad.message
    assert bad.where == "entry 1"
    assert isinstance(good, Line)


_BOMB = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Document><BkToCstmrStmt><Stmt><Acct><Id><IBAN>&c;</IBAN></Id></Acct></Stmt></BkToCstmrStmt>
</Document>"""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not sound XML"),
        (b"Date;Amount\n", "not sound XML"),
        (statement([Booking([Payment("1.00")])])[:-40], "not sound XML"),
        (b"<Document><CstmrCdtTrfInitn/></Document>", "not a CAMT"),
        (_BOMB, "document type"),
        (b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><d/>', "document type"),
        (b"<BkToCstmrStmt>" + b"<a>" * 60, "nested deeper"),
    ],
)
def test_what_is_no_statement_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(BankFileError, match=why):
        read(content)


def test_a_large_statement_is_read_as_a_stream() -> None:
    one = statement([Booking([Payment("1.00", "x" * 100)])])
    entry = one[one.index(b"<Ntry>") : one.index(b"</Ntry>") + len(b"</Ntry>")]
    head, tail = one.split(entry)
    file = io.BytesIO(head + entry * 5_000 + tail)
    assert sum(1 for _ in read_camt(file, ZAR)) == 5_000


def test_two_equal_bookings_without_reference_are_two_and_known_again() -> None:
    twice = statement([Booking([Payment("5.00", "same")])] * 2)
    keys = [line.key for line in lines(twice)]
    assert len(set(keys)) == 2
    assert [line.key for line in lines(twice)] == keys


CSV_COMMA = "Auszug\n\nDate;Name;Account;Text;Amount\n21.11.2026;Müller;DE1;Zähler;1.234,56\n"


def test_csv_is_read_by_its_mapping() -> None:
    def read(content: bytes, name: str) -> list[Line | BadLine]:
        mapping = load_mapping(name)
        return list(keyed(read_csv(content, mapping, account="A 1", currency="ZAR", digits=2)))

    (one,) = read(CSV_COMMA.encode("cp1252"), "decimal-comma")
    assert isinstance(one, Line)
    assert (one.amount_minor, one.text, one.counterparty) == (123_456, "Zähler", "Müller")
    assert (one.account, one.booked_on.isoformat()) == ("A1", "2026-11-21")
    two = read(
        b'Date,Description,Debit,Credit\n01/02/2026,in,,"1,000.00"\n01/02/2026,out,5.5,\n'
        b"01/02/2026,both,1,1\n31/02/2026,x,,1\n01/02/2026,none,,\n",
        "debit-credit",
    )
    assert [each.amount_minor for each in two if isinstance(each, Line)] == [100_000, -550]
    assert [each.where for each in two if isinstance(each, BadLine)] == [
        "line 4",
        "line 5",
        "line 6",
    ]
    (three,) = read(
        "\ufeffDate,Amount,Description,Reference\n20261121,-12,fee,R9\n".encode(), "generic"
    )
    assert isinstance(three, Line)
    assert (three.amount_minor, three.reference) == (-1_200, "R9")
    with pytest.raises(BankFileError, match="headings"):
        read(b"a,b\n1,2\n", "generic")


def test_mappings_are_checked(tmp_path: Path) -> None:
    assert known_mappings() == ["debit-credit", "decimal-comma", "generic"]
    for name in known_mappings():
        load_mapping(name)
    with pytest.raises(BankMappingError, match="generic"):
        load_mapping("nobody")
    for text in (
        "x =",
        "[columns]\ndate = 'D'",
        "[columns]\ndate='D'\namount='A'\ncolour='C'",
        "delimiter = ';;'\n[columns]\ndate='D'\namount='A'",
        "encodings = ['nope']\n[columns]\ndate='D'\namount='A'",
    ):
        own = tmp_path / "own.toml"
        own.write_text(text)
        with pytest.raises(BankMappingError):
            load_mapping(str(own))


@given(st.integers(-(10**14), 10**14), st.integers(0, 4))
def test_amounts_are_read_as_they_are_written(minor: int, digits: int) -> None:
    assert parse_minor(scaled(minor, digits), digits) == minor
    comma = scaled(minor, digits).replace(".", ",")
    assert parse_minor(comma, digits, decimal=",", grouping=".") == minor


@given(st.text(max_size=20))
def test_no_text_is_an_amount_by_accident(text: str) -> None:
    try:
        parse_minor(text, 2)
    except BankFileError:
        return
    assert any(character in "0123456789" for character in text)


def test_meter_numbers_are_found_by_their_check_digit() -> None:
    grouped = f"{METER[:4]} {METER[4:8]}-{METER[8:]}"
    wrong = METER[:-1] + str((int(METER[-1]) + 1) % 10)
    assert meter_numbers(f"elec {grouped} thanks") == [METER]
    assert meter_numbers(f"paid 2026-11-20 for {METER}, ref 77") == [METER]
    assert meter_numbers(f"for {wrong}") == []


def test_a_vendors_reference_has_a_check_digit() -> None:
    assert vendor_reference(7) == "VND0000075"
    assert len({vendor_reference(number) for number in range(100)}) == 100
